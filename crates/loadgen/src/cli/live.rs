//! What is drawn on stderr meanwhile: a line that moves on a terminal, a line every ten seconds elsewhere.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::{stderr_width, tell};
use crate::clock::{RealTimer, Timer};
use crate::collector::Collector;
use crate::plan::Plan;
use crate::progress::Progress;
use crate::recorder::Interval;
use crate::series::about;

/// How often a line is printed where nothing can be drawn.
const QUIET_SECONDS: u64 = 10;

/// Shows a run while it goes on.
#[derive(Debug, Default)]
pub(super) struct Live {
    /// The series that it is a run of, if there are more.
    overall: Option<Overall>,
    current: Option<Current>,
}

/// How far a series has come.
#[derive(Debug, Clone)]
pub(super) struct Overall {
    /// Which run it is.
    pub(super) text: String,
    /// How long the series will take from the beginning of this run on, if that can be known.
    pub(super) left: Option<Duration>,
}

impl Overall {
    /// A line, so long after the load began.
    fn line(&self, elapsed: Duration) -> String {
        let left = self.left.map(|left| format!("; about {} left", about(left.saturating_sub(elapsed))));
        format!("{}{}", self.text, left.unwrap_or_default())
    }
}

#[derive(Debug)]
struct Current {
    progress: Progress,
    start: RealTimer,
    /// Hidden where stderr is no terminal.
    bar: ProgressBar,
    terminal: bool,
    told: u64,
}

impl Live {
    /// The display of a run of a series.
    pub(super) fn within(overall: Option<Overall>) -> Self {
        Self { overall, current: None }
    }

    /// The load begins now.
    pub(super) fn begin(&mut self, plan: &Plan) {
        let terminal = io::stderr().is_terminal();
        let target =
            if terminal { ProgressDrawTarget::stderr_with_hz(5) } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        let run = "{elapsed:>4} {wide_bar} {percent:>3}%  {msg}";
        let overall = self.overall.as_ref().map(|_| "\n{prefix}").unwrap_or_default();
        if let Ok(style) = ProgressStyle::with_template(&format!("{run}{overall}")) {
            bar.set_style(style);
        }
        if let Some(overall) = &self.overall {
            bar.set_prefix(fitting(overall, Duration::ZERO));
        }
        if !plan.load.warmup.is_zero() {
            bar.set_message("warming up");
        }
        let progress = Progress::new(&plan.load);
        self.current = Some(Current { progress, start: RealTimer::start(), bar, terminal, told: 0 });
    }

    /// These seconds are complete.
    pub(super) fn seconds(&mut self, seconds: &[Interval], collector: &Collector) {
        let Some(current) = &mut self.current else { return };
        current.progress.advance(seconds);
        let elapsed = Duration::from_nanos(current.start.now());
        if current.terminal {
            let (done, total) = current.progress.position(elapsed, collector);
            if let Some(overall) = &self.overall {
                current.bar.set_prefix(fitting(overall, elapsed));
            }
            current.bar.set_length(total);
            current.bar.set_position(done);
            if !seconds.is_empty() {
                current.bar.set_message(current.progress.line(collector));
            }
        } else if current.progress.seconds() >= current.told + QUIET_SECONDS {
            current.told = current.progress.seconds();
            tell(&format!("{} s: {}", current.told, current.progress.line(collector)));
        }
    }

    /// Tells a person something without disturbing the line that moves.
    pub(super) fn note(&mut self, note: &str) {
        match &self.current {
            Some(current) => current.bar.suspend(|| tell(&format!("loadgen: {note}"))),
            None => tell(&format!("loadgen: {note}")),
        }
    }

    /// The load is over.
    pub(super) fn end(&mut self) {
        if let Some(current) = self.current.take() {
            current.bar.finish_and_clear();
        }
    }
}

/// As much of the line as the terminal has room for: one that wraps would not be taken away.
fn fitting(overall: &Overall, elapsed: Duration) -> String {
    let width = stderr_width().unwrap_or(usize::MAX);
    overall.line(elapsed).chars().take(width).collect()
}
