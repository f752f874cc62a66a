//! What did this machine do to the generator meanwhile? A thread that only sleeps, and what the system counts.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use report::document::Generator;
use report::histogram::Histogram;

use crate::clock::{Nanos, RealTimer, Timer, nanos};
use crate::machine::{self, CpuUse};

/// How long the sleeping thread sleeps at a time. A hundred wake-ups a second cost less than a thousandth of a CPU, and
/// a stall of ten milliseconds or more is never missed.
const NAP: Duration = Duration::from_millis(10);

/// The watch over the generator, from its start until [`Watch::finish`].
#[derive(Debug)]
pub struct Watch {
    timer: RealTimer,
    began: Nanos,
    before: CpuUse,
    /// Dropped to end the sleeping thread. `None` where there could be no thread.
    sleeper: Option<(mpsc::Sender<()>, JoinHandle<Hiccups>)>,
}

/// What the sleeping thread saw.
#[derive(Debug, Clone, Default)]
struct Hiccups {
    late: Histogram,
    /// Time it was ready to run and waited for a CPU.
    queue_ns: Option<Nanos>,
}

impl Watch {
    /// Begins to watch. What cannot be watched is not told.
    pub fn start(timer: RealTimer) -> Self {
        let (stop, stopped) = mpsc::channel::<()>();
        let body = move || sleep(timer, &stopped);
        let sleeper = thread::Builder::new().name("sleeper".to_owned()).spawn(body).ok();
        let (began, before) = (timer.now(), CpuUse::now());
        Self { timer, began, before, sleeper: sleeper.map(|thread| (stop, thread)) }
    }

    /// Ends it. `sent_late`: what the workers counted of requests that were begun after the window.
    pub fn finish(self, sent_late: u64) -> Generator {
        let now = CpuUse::now();
        let watched_ns = self.timer.now().saturating_sub(self.began);
        let hiccups = self.sleeper.and_then(|(stop, thread)| {
            drop(stop);
            thread.join().ok()
        });
        let Hiccups { late, queue_ns } = hiccups.unwrap_or_default();
        let passed = |after: Option<u64>, before: Option<u64>| Some(after?.saturating_sub(before?));
        Generator {
            watched_ns,
            sent_late,
            cpus_milli: machine::cpus_milli(),
            cpu_ns: passed(now.process_ns, self.before.process_ns),
            throttled_ns: passed(now.throttled_ns, self.before.throttled_ns),
            stolen_ns: passed(now.stolen_ns, self.before.stolen_ns),
            pressure_ns: passed(now.pressure_ns, self.before.pressure_ns),
            hiccup: late.to_distribution(),
            hiccup_queue_ns: queue_ns,
        }
    }
}

/// Sleeps and looks at the clock, until the other end is dropped.
fn sleep(timer: RealTimer, stopped: &mpsc::Receiver<()>) -> Hiccups {
    let mut late = Histogram::new();
    let queue_before = machine::thread_cpu().map(|(_, queue)| queue);
    let mut before = timer.now();
    while stopped.recv_timeout(NAP) == Err(RecvTimeoutError::Timeout) {
        let now = timer.now();
        record(&mut late, now.saturating_sub(before).saturating_sub(nanos(NAP)));
        before = now;
    }
    let queue_after = machine::thread_cpu().map(|(_, queue)| queue);
    Hiccups { late, queue_ns: queue_before.zip(queue_after).map(|(before, after)| after - before) }
}

/// Records one lateness, and those that the naps it covered would have had: a stall of a second is a hundred of them, so
/// that quantiles are shares of time (the method of jHiccup).
fn record(late: &mut Histogram, lateness: Nanos) {
    let mut rest = lateness;
    late.record(rest);
    while rest > nanos(NAP) {
        rest -= nanos(NAP);
        late.record(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_counts_for_its_length() {
        const MS: u64 = 1_000_000;
        let mut late = Histogram::new();
        record(&mut late, MS);
        assert_eq!(late.count(), 1);
        record(&mut late, 35 * MS);
        assert_eq!((late.count(), late.max(), late.sum()), (5, Some(35 * MS), (1 + 35 + 25 + 15 + 5) * MS));
    }

    #[test]
    fn what_the_process_does_is_seen() {
        let timer = RealTimer::start();
        let watch = Watch::start(timer);
        let mut sum = 0_u64;
        while timer.now() < nanos(Duration::from_millis(100)) {
            sum = (0..10_000).fold(sum, u64::wrapping_add);
        }
        let health = watch.finish(7);
        assert!(health.watched_ns > 90_000_000, "{sum} {health:?}");
        assert!(health.cpus_milli > 0 && health.sent_late == 7);
        assert!(health.cpu_ns.unwrap() > 0, "it computed: {health:?}");
        assert!(health.hiccup.count > 0, "it slept: {health:?}");
    }
}
