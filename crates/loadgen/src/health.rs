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

/// The watch over the generator, from time zero until [`Watch::finish`].
#[derive(Debug)]
pub struct Watch {
    timer: RealTimer,
    /// Dropped to end the sleeping thread. `None` where there could be no thread.
    sleeper: Option<(mpsc::Sender<()>, JoinHandle<Option<Seen>>)>,
}

/// What the sleeping thread saw.
#[derive(Debug)]
struct Seen {
    began: Nanos,
    before: CpuUse,
    late: Histogram,
    /// Time it was ready to run and waited for a CPU.
    queue_ns: Option<Nanos>,
}

impl Watch {
    /// Watches from the moment `zero` on: what happens in a warm-up is in none of the figures. What cannot be watched is
    /// not told.
    pub fn start(timer: RealTimer, zero: Nanos) -> Self {
        let (stop, stopped) = mpsc::channel::<()>();
        let body = move || sleep(timer, zero, &stopped);
        let sleeper = thread::Builder::new().name("sleeper".to_owned()).spawn(body).ok();
        Self { timer, sleeper: sleeper.map(|thread| (stop, thread)) }
    }

    /// Ends it. `sent_late`: what the workers counted of requests that were begun after the window.
    pub fn finish(self, sent_late: u64) -> Generator {
        let (now, ended) = (CpuUse::now(), self.timer.now());
        let seen = self.sleeper.and_then(|(stop, thread)| {
            drop(stop);
            thread.join().ok().flatten()
        });
        let cpus = machine::cpus().map(|cpus| cpus.to_string());
        let known = Generator { sent_late, cpus, cpus_milli: machine::cpus_milli(), ..Generator::default() };
        let Some(Seen { began, before, late, queue_ns }) = seen else { return known };
        let passed = |after: Option<u64>, before: Option<u64>| Some(after?.saturating_sub(before?));
        Generator {
            watched_ns: ended.saturating_sub(began),
            cpu_ns: passed(now.process_ns, before.process_ns),
            throttled_ns: passed(now.throttled_ns, before.throttled_ns),
            stolen_ns: passed(now.stolen_ns, before.stolen_ns),
            machine_cpu_ns: passed(now.machine_ns, before.machine_ns),
            pressure_ns: passed(now.pressure_ns, before.pressure_ns),
            hiccup: late.to_distribution(),
            hiccup_queue_ns: queue_ns,
            ..known
        }
    }
}

/// Sleeps and looks at the clock, from time zero until the other end is dropped. `None`: that was before time zero.
fn sleep(timer: RealTimer, zero: Nanos, stopped: &mpsc::Receiver<()>) -> Option<Seen> {
    let mut late = Histogram::new();
    let warmup = zero.saturating_sub(timer.now());
    if warmup > 0 {
        if stopped.recv_timeout(Duration::from_nanos(warmup)) != Err(RecvTimeoutError::Timeout) {
            return None;
        }
        record(&mut late, timer.now().saturating_sub(zero));
    }
    let queue_before = machine::thread_cpu().map(|(_, queue)| queue);
    let (began, before) = (timer.now(), CpuUse::now());
    let mut awake = timer.now();
    while stopped.recv_timeout(NAP) == Err(RecvTimeoutError::Timeout) {
        let now = timer.now();
        record(&mut late, now.saturating_sub(awake).saturating_sub(nanos(NAP)));
        awake = now;
    }
    let queue_after = machine::thread_cpu().map(|(_, queue)| queue);
    let queue_ns = queue_before.zip(queue_after).map(|(before, after)| after - before);
    Some(Seen { began, before, late, queue_ns })
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
        let watch = Watch::start(timer, 0);
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

    #[test]
    fn a_warm_up_is_not_watched() {
        let timer = RealTimer::start();
        let zero = nanos(Duration::from_millis(100));
        let (whole, cut_short) = (Watch::start(timer, zero), Watch::start(timer, zero));
        let cut_short = cut_short.finish(0);
        assert_eq!((cut_short.watched_ns, cut_short.cpu_ns, cut_short.hiccup.count), (0, None, 0));
        assert!(cut_short.cpus_milli > 0);
        while timer.now() < 2 * zero {
            thread::yield_now();
        }
        let health = whole.finish(0);
        let since = timer.now() - zero;
        assert!(health.watched_ns > 0 && health.watched_ns <= since, "{health:?}");
    }
}
