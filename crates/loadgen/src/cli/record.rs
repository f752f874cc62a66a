//! What is written while a run goes on, and who looks on for it: rows on stdout or in a file, the interval log.

use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, bail, ensure};
use report::document::Run;
use report::histogram::Histogram;
use report::os::why_not_written;
use report::units::count;

use super::args::{OutputOptions, RecordOptions, Shown};
use super::exit::Exit;
use super::live::{Live, Overall};
use super::output;
use crate::collector::Collector;
use crate::fleet::Attention;
use crate::interval_log::IntervalLog;
use crate::plan::{Model, Plan};
use crate::rawlog::{Form, Output, Outputs, Writer, Written};
use crate::recorder::Interval;
use crate::rows::Feed;
use crate::run::Observer;

/// What the shell calls stdout.
const DASH: &str = "-";

/// One run's rows and intervals on their way out. Made before the run begins, so that what cannot be written is refused.
#[derive(Debug, Default)]
pub(super) struct Recording {
    live: Live,
    writer: Option<Writer>,
    has_rows: bool,
    /// Whether rows go to stdout, and the report's lines to stderr.
    takes_stdout: bool,
    log: Option<IntervalLog>,
    /// Raised when stdout takes no more rows: the run has no use then.
    lost: Arc<AtomicBool>,
}

/// Whether stdout is taken by rows, so that a report cannot go there.
pub(super) fn takes_stdout(output: &OutputOptions, record: &RecordOptions) -> bool {
    matches!(output.shown(), Shown::Rows) || record.raw.as_deref() == Some(Path::new(DASH))
}

/// Refuses what cannot go together, before anything is opened.
pub(super) fn check(output: &OutputOptions, record: &RecordOptions, runs: usize) -> anyhow::Result<()> {
    let raw_to_stdout = record.raw.as_deref() == Some(Path::new(DASH));
    ensure!(
        !(raw_to_stdout && output.is_given()),
        "--raw - takes stdout, and so does -o: give --raw a file, or leave -o out"
    );
    ensure!(
        record.hlog.as_deref() != Some(Path::new(DASH)),
        "--hlog goes to a file: `-` is none; write ./- for a file of that name"
    );
    ensure!(record.raw.is_none() || record.raw != record.hlog, "--raw and --hlog need a file each");
    let has_any = takes_stdout(output, record) || record.raw.is_some() || record.hlog.is_some();
    ensure!(
        runs == 1 || !has_any,
        "-o csv, --raw and --hlog record one run, and this makes {runs}: name one scenario, with --repeats 1"
    );
    Ok(())
}

impl Recording {
    /// Opens what is asked for. Files that are there are overwritten.
    pub(super) fn open(output: &OutputOptions, record: &RecordOptions, plan: &Plan) -> anyhow::Result<Self> {
        check(output, record, 1)?;
        let lost = Arc::<AtomicBool>::default();
        let stdout = || Output {
            name: "stdout".to_owned(),
            file: Box::new(io::stdout()),
            lost: Some(Arc::clone(&lost)),
        };
        let mut outputs = Outputs::default();
        if let Shown::Rows = output.shown() {
            outputs.rows.push((Form::Hey, stdout()));
        }
        match record.raw.as_deref() {
            Some(path) if path == Path::new(DASH) => outputs.rows.push((Form::Raw, stdout())),
            Some(path) => outputs.rows.push((Form::Raw, create("--raw", path)?)),
            None => {}
        }
        outputs.log = record.hlog.as_deref().map(|path| create("--hlog", path)).transpose()?;
        let is_open = matches!(plan.load.model, Model::Open(_));
        let log = outputs.log.is_some().then(|| IntervalLog::new(is_open));
        let has_rows = !outputs.rows.is_empty();
        let writer = if outputs.is_empty() {
            None
        } else {
            Some(
                Writer::start(outputs, plan.load.workers.get())
                    .context("cannot start a thread that writes")?,
            )
        };
        let takes_stdout = takes_stdout(output, record);
        Ok(Self { live: Live::default(), writer, has_rows, takes_stdout, log, lost })
    }

    /// The same as one of a series.
    pub(super) fn within(self, overall: Option<Overall>) -> Self {
        Self { live: Live::within(overall), ..self }
    }

    /// Where workers tell their rows, if anybody wants them.
    pub(super) fn rows(&self) -> Option<Feed> {
        self.writer.as_ref().filter(|_| self.has_rows).map(|writer| writer.feed().clone())
    }

    /// Writes what is left, and puts into the run's notes what is missing. Says what it all means for the shell: a run
    /// whose record is not whole is not valid.
    pub(super) fn finish(self, run: &mut Run) -> Exit {
        let Some(writer) = self.writer else { return Exit::of(run) };
        if let Some(log) = self.log {
            writer.feed().lines(log.finish(run.window.wall_ns));
        }
        let notes = missing(writer.finish());
        // Where stderr gets the report's lines, it gets these with them.
        for note in notes.iter().filter(|_| !self.takes_stdout) {
            output::tell(&format!("loadgen: {note}"));
        }
        let exit = if notes.is_empty() { Exit::of(run) } else { Exit::Invalid };
        run.notes.extend(notes);
        exit
    }
}

/// What is not in the outputs, in sentences. A reader of stdout that has gone wanted no more.
fn missing(written: Written) -> Vec<String> {
    let Written { errors, lost_rows, lost_lines } = written;
    let is_gone =
        |name: &str, error: &io::Error| name == "stdout" && error.kind() == io::ErrorKind::BrokenPipe;
    let errors = errors.into_iter().filter(|(name, error)| !is_gone(name, error));
    let told = |(name, error): (String, io::Error)| {
        format!("{name} cannot be written: {}; it is not whole", why_not_written(&error))
    };
    let mut notes: Vec<_> = errors.map(told).collect();
    let mut lost = |number: u64, one: &str, many: &str| match number {
        0 => {}
        1 => notes.push(format!("1 {one} was lost, because it came faster than it could be written")),
        _ => notes.push(format!(
            "{} {many} were lost, because they came faster than they could be written",
            count(number)
        )),
    };
    lost(lost_rows, "row", "rows");
    lost(lost_lines, "line of the interval log", "lines of the interval log");
    notes
}

fn create(flag: &str, path: &Path) -> anyhow::Result<Output> {
    match File::create(path) {
        Ok(file) => Ok(Output { name: path.display().to_string(), file: Box::new(file), lost: None }),
        Err(error) => bail!("cannot write {flag} to {}: {}", path.display(), why_not_written(&error)),
    }
}

impl Observer for Recording {
    fn begin(&mut self, plan: &Plan) {
        // On a terminal the rows themselves move.
        if !(self.takes_stdout && io::stdout().is_terminal()) {
            self.live.begin(plan);
        }
    }

    fn seconds(&mut self, seconds: &[Interval], collector: &Collector) -> Attention {
        self.live.seconds(seconds, collector);
        if let (Some(log), Some(writer)) = (&mut self.log, &self.writer) {
            writer.feed().lines(log.advance(seconds, collector));
        }
        if self.lost.load(Ordering::Relaxed) { Attention::Stop } else { Attention::Continue }
    }

    fn unsent(&mut self, unsent: &Histogram) {
        if let Some(log) = &mut self.log {
            log.add_unsent(unsent);
        }
    }

    fn note(&mut self, note: &str) {
        self.live.note(note);
    }

    fn end(&mut self) {
        self.live.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_in_sentences() {
        let errors = vec![
            ("stdout".to_owned(), io::ErrorKind::BrokenPipe.into()),
            ("rows.csv".to_owned(), io::ErrorKind::StorageFull.into()),
        ];
        let notes = missing(Written { errors, lost_rows: 1200, lost_lines: 1 });
        assert_eq!(notes.len(), 3, "a reader that has gone is none: {notes:?}");
        assert!(notes[0].starts_with("rows.csv cannot be written: "), "{notes:?}");
        assert_eq!(notes[1], "1,200 rows were lost, because they came faster than they could be written");
        assert_eq!(
            notes[2],
            "1 line of the interval log was lost, because it came faster than it could be written"
        );
        assert_eq!(missing(Written::default()), Vec::<String>::new());
    }
}
