//! What time is it, and when is it time? The only room that reads clocks.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime};

use tokio::time::Sleep;

/// Nanoseconds since the run's time zero.
pub type Nanos = u64;

/// One second, the length of an interval.
pub const SECOND: Nanos = 1_000_000_000;

/// A duration as [`Nanos`]; beyond 584 years it is "for ever".
pub fn nanos(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Time as the workers see it: real, or virtual in tests. One per worker, cheap to clone.
pub trait Timer: Clone + 'static {
    /// Nanoseconds since time zero.
    fn now(&self) -> Nanos;
    /// That moment as the runtime's timers understand it.
    fn instant(&self, at: Nanos) -> tokio::time::Instant;
    /// Waits until that moment; never less, about a millisecond more.
    fn until(&self, at: Nanos) -> Sleep {
        tokio::time::sleep_until(self.instant(at))
    }
}

/// The monotonic clock of the machine.
#[derive(Debug, Clone, Copy)]
pub struct RealTimer {
    zero: Instant,
}

impl RealTimer {
    /// Time zero is now.
    #[expect(clippy::disallowed_methods, reason = "the clock room")]
    pub fn start() -> Self {
        Self { zero: Instant::now() }
    }
}

impl Timer for RealTimer {
    #[expect(clippy::disallowed_methods, reason = "the clock room")]
    fn now(&self) -> Nanos {
        nanos(Instant::now().duration_since(self.zero))
    }

    fn instant(&self, at: Nanos) -> tokio::time::Instant {
        tokio::time::Instant::from_std(self.zero + Duration::from_nanos(at))
    }
}

/// The paused clock of a test's runtime: it jumps to the next timer whenever every task waits.
#[cfg(test)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct VirtualTimer {
    zero: tokio::time::Instant,
}

#[cfg(test)]
impl VirtualTimer {
    /// Time zero is the runtime's now. Call it inside a runtime whose clock is paused.
    #[expect(clippy::disallowed_methods, reason = "the clock room")]
    pub(crate) fn start() -> Self {
        Self { zero: tokio::time::Instant::now() }
    }
}

#[cfg(test)]
impl Timer for VirtualTimer {
    #[expect(clippy::disallowed_methods, reason = "the clock room")]
    fn now(&self) -> Nanos {
        nanos(tokio::time::Instant::now().duration_since(self.zero))
    }

    fn instant(&self, at: Nanos) -> tokio::time::Instant {
        self.zero + Duration::from_nanos(at)
    }
}

/// Ends a wait at a given moment. Made once per connection and reused for every request.
///
/// Registering a timer per request and cancelling it microseconds later would cost more than recording the
/// request does. So the timer stays where it was set for an earlier request, and only when it fires is it moved
/// to the limit that holds by then.
#[derive(Debug)]
pub struct TimeLimit {
    sleep: Pin<Box<Sleep>>,
}

impl TimeLimit {
    /// A limit that was never set. Call it inside a runtime.
    pub fn new<T: Timer>(timer: &T) -> Self {
        Self { sleep: Box::pin(timer.until(0)) }
    }

    /// What `work` gives, or `None` when `limit` comes first. No limit: waits as long as it takes.
    pub async fn run<T, F>(&mut self, timer: &T, limit: Option<Nanos>, work: F) -> Option<F::Output>
    where
        T: Timer,
        F: Future,
    {
        let mut work = std::pin::pin!(work);
        let Some(limit) = limit.map(|limit| timer.instant(limit)) else { return Some(work.await) };
        if self.sleep.deadline() > limit {
            self.sleep.as_mut().reset(limit);
        }
        std::future::poll_fn(|context| {
            if let Poll::Ready(output) = work.as_mut().poll(context) {
                return Poll::Ready(Some(output));
            }
            // At most two rounds: a fired timer is moved to the limit, and then it either waits or has passed it.
            loop {
                match self.sleep.as_mut().poll(context) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(()) if self.sleep.deadline() < limit => self.sleep.as_mut().reset(limit),
                    Poll::Ready(()) => return Poll::Ready(None),
                }
            }
        })
        .await
    }
}

/// The wall clock, for naming a run. Never used to measure.
#[expect(clippy::disallowed_methods, reason = "the clock room")]
pub fn wall() -> SystemTime {
    SystemTime::now()
}

/// A moment of the wall clock as documents write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timestamp {
    /// RFC 3339 in UTC, to the millisecond.
    pub rfc3339: String,
    /// The same to the second, as a file may be called: `20261121T010203Z`.
    pub compact: String,
}

/// Writes a moment of the wall clock; one that no calendar knows as the epoch.
pub fn timestamp(moment: SystemTime) -> Timestamp {
    let moment = jiff::Timestamp::try_from(moment).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    Timestamp { rfc3339: format!("{moment:.3}"), compact: format!("{moment:.0}").replace(['-', ':'], "") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_twice() {
        let moment = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_222_923_456);
        let Timestamp { rfc3339, compact } = timestamp(moment);
        assert_eq!((rfc3339.as_str(), compact.as_str()), ("2026-11-21T01:02:03.456Z", "20261121T010203Z"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reused_limit_ends_each_wait_at_its_own_moment() {
        let timer = VirtualTimer::start();
        let mut limit = TimeLimit::new(&timer);
        // A quick one first, so that the timer is left where the first limit set it.
        let quick = limit.run(&timer, Some(5 * SECOND), timer.until(SECOND)).await;
        assert!(quick.is_some());
        let slow = limit.run(&timer, Some(8 * SECOND), timer.until(100 * SECOND)).await;
        assert!(slow.is_none());
        assert_eq!(timer.now() / 10_000_000, 8 * 100);
        // A limit earlier than the one before.
        assert!(limit.run(&timer, Some(20 * SECOND), timer.until(9 * SECOND)).await.is_some());
        assert!(limit.run(&timer, Some(10 * SECOND), timer.until(100 * SECOND)).await.is_none());
        assert_eq!(timer.now() / 10_000_000, 10 * 100);
        assert!(limit.run(&timer, None, timer.until(50 * SECOND)).await.is_some());
    }
}
