//! What does a person see meanwhile? A fold over the same intervals as everything else.

use std::time::Duration;

use report::histogram::Percentile;
use report::units;

use crate::clock::nanos;
use crate::collector::Collector;
use crate::plan::{Load, Stop};
use crate::recorder::{Counts, Interval};

/// How far a run has come.
#[derive(Debug, Clone)]
pub struct Progress {
    stop: Stop,
    warmup: Duration,
    seconds: u64,
    last: Counts,
}

impl Progress {
    /// Nothing yet.
    pub fn new(load: &Load) -> Self {
        Self { stop: load.stop, warmup: load.warmup, seconds: 0, last: Counts::default() }
    }

    /// Takes in the seconds completed since.
    pub fn advance(&mut self, seconds: &[Interval]) {
        self.seconds += seconds.len() as u64;
        if let Some(last) = seconds.last() {
            self.last = last.counts.clone();
        }
    }

    /// Seconds completed.
    pub fn seconds(&self) -> u64 {
        self.seconds
    }

    /// Done and to do: milliseconds (elapsed time decides) or requests. `elapsed`: since the load began, warm-up included.
    pub fn position(&self, elapsed: Duration, collector: &Collector) -> (u64, u64) {
        let elapsed = elapsed.saturating_sub(self.warmup);
        match self.stop {
            Stop::Duration(total) => {
                let total = nanos(total) / 1_000_000;
                ((nanos(elapsed) / 1_000_000).min(total), total)
            }
            Stop::Requests(total) => {
                let counts = &collector.total.counts;
                ((counts.answered() + counts.unanswered()).min(total), total)
            }
        }
    }

    /// The figures of the moment in one line.
    pub fn line(&self, collector: &Collector) -> String {
        let p99 = collector.total.latencies.answered.value_at(Percentile::P99);
        let rate = format!("{} req/s", units::count(self.last.answered()));
        let p99 = p99.map_or_else(String::new, |p99| format!(", p99 {}", units::nanos(p99)));
        let counts = &collector.total.counts;
        let errors = counts.unanswered() + counts.http_error + counts.check_failed;
        let errors =
            if errors == 0 { String::new() } else { format!(", {}", units::counted(errors, "error")) };
        format!("{rate}{p99}{errors}")
    }
}
