//! What is drawn on stderr meanwhile: a line that moves on a terminal, a line every ten seconds elsewhere.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::tell;
use crate::clock::{RealTimer, Timer};
use crate::collector::Collector;
use crate::plan::Plan;
use crate::progress::Progress;
use crate::recorder::Interval;

/// How often a line is printed where nothing can be drawn.
const QUIET_SECONDS: u64 = 10;

/// Shows a run while it goes on.
#[derive(Debug, Default)]
pub(super) struct Live {
    current: Option<Current>,
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
    /// The load begins now.
    pub(super) fn begin(&mut self, plan: &Plan) {
        let terminal = io::stderr().is_terminal();
        let target =
            if terminal { ProgressDrawTarget::stderr_with_hz(5) } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{elapsed:>4} {wide_bar} {percent:>3}%  {msg}") {
            bar.set_style(style);
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
