//! The two ways out: results to stdout, everything else to stderr.

use std::io::{self, IsTerminal, Write};

use report::document::{Document, Run};
use report::format::{Format, Style, View};
use report::summary::Summary;
use report::warning;

/// Writes results. A reader that has gone (`| head`) is no error.
pub(super) fn show(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Tells a person something beside the results.
pub(super) fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Tells why a strict command does not end with 0.
pub(super) fn object(objection: &str) {
    tell(&format!("loadgen: --strict: {objection}"));
}

/// Tells why nothing came of it: the error and its causes in one sentence. Some errors already name their cause.
pub(super) fn complain(error: &anyhow::Error) {
    let mut sentence = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if sentence.is_empty() {
            sentence = cause;
        } else if !sentence.contains(&cause) {
            sentence = format!("{sentence}: {cause}");
        }
    }
    tell(&format!("loadgen: {sentence}"));
}

/// Renders a document in a format.
pub(super) fn render(document: &Document, format: &Format) -> String {
    let summary = Summary::of(document);
    let warnings = warning::of(document, &summary);
    (format.render)(&View { document, summary: &summary, warnings: &warnings, style: style() })
}

/// The same for a run that was just made.
pub(super) fn render_run(run: Run, format: &Format) -> (Document, String) {
    let document = Document::Run(Box::new(run));
    let text = render(&document, format);
    (document, text)
}

/// How stdout wants to be written to.
#[expect(clippy::disallowed_methods, reason = "the cli room reads the environment")]
pub(super) fn style() -> Style {
    let stdout = io::stdout();
    let terminal = stdout.is_terminal();
    let columns = rustix::termios::tcgetwinsize(&stdout).map_or(0, |size| usize::from(size.ws_col));
    let default = Style::default();
    // A terminal that does not know its width says 0.
    let width = if columns < 40 { default.width } else { columns };
    Style { width, colour: terminal && std::env::var_os("NO_COLOR").is_none(), terminal }
}
