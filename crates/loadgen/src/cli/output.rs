//! The two ways out: results to stdout, everything else to stderr.

use std::io::{self, IsTerminal, Write};

use report::document::Document;
use report::format::{Format, Style, View};
use report::histogram::Percentile;
use report::summary::Summary;
use report::table::Page;
use report::{units, warning};

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

/// Tells why nothing came of it.
pub(super) fn complain(error: &anyhow::Error) {
    tell(&format!("loadgen: {}", sentence(error)));
}

/// An error and its causes in one sentence. Some errors already name their cause.
pub(super) fn sentence(error: &anyhow::Error) -> String {
    let mut sentence = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if sentence.is_empty() {
            sentence = cause;
        } else if !sentence.contains(&cause) {
            sentence = format!("{sentence}: {cause}");
        }
    }
    sentence
}

/// Renders a document in a format, with these percentiles or those of the house.
pub(super) fn render(document: &Document, format: &Format, percentiles: &[Percentile]) -> String {
    viewed(document, percentiles, |view| (format.render)(view))
}

/// What a report says beside its numbers, with the most important of them: for a run whose report has no place on stdout.
pub(super) fn tell_summary(document: &Document, percentiles: &[Percentile]) {
    let lines = viewed(document, percentiles, |view| {
        let summary = view.summary;
        let rate = summary.rate().map(|rate| format!("{} requests/sec", units::rate(rate)));
        let counts = [(summary.answered, "answered"), (summary.errors, "errors")];
        let counts =
            counts.into_iter().filter_map(|(number, what)| Some(format!("{} {what}", units::count(number?))));
        let headline: Vec<_> = rate.into_iter().chain(counts).collect();
        std::iter::once(headline.join(", ")).chain(view.notes()).collect::<Vec<_>>()
    });
    for line in &lines {
        tell(line);
    }
}

/// Characters in a line of stderr, where it is a terminal.
pub(super) fn stderr_width() -> Option<usize> {
    let stderr = io::stderr();
    let columns = rustix::termios::tcgetwinsize(&stderr).map_or(0, |size| usize::from(size.ws_col));
    (stderr.is_terminal() && columns > 0).then_some(columns)
}

fn viewed<T>(document: &Document, percentiles: &[Percentile], look: impl FnOnce(&View<'_>) -> T) -> T {
    let summary = Summary::with(document, percentiles);
    let warnings = warning::of(document, &summary);
    look(&View { document, summary: &summary, warnings: &warnings, percentiles, style: style() })
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

/// How wide a comparison may be, and whether it may be coloured: as wide as COLUMNS or the terminal says, else as it needs.
#[expect(clippy::disallowed_methods, reason = "the cli room reads the environment")]
pub(super) fn page() -> Page {
    let stdout = io::stdout();
    let typed = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let terminal = || stdout.is_terminal().then(|| rustix::termios::tcgetwinsize(&stdout).ok()).flatten();
    let width = typed.or_else(|| terminal().map(|size| usize::from(size.ws_col)));
    // A terminal that does not know its width says 0.
    Page { width: width.filter(|&columns| columns >= NARROWEST), colour: style().colour }
}

/// A page that is said to be narrower is not believed.
const NARROWEST: usize = 40;
