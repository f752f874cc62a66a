//! What time is it, and when is it time? The only room that reads clocks.

mod alarm;
mod limit;

use std::time::{Duration, Instant, SystemTime};

use tokio::time::Sleep;

pub use self::alarm::{Alarm, Timerfd};
pub use self::limit::{GiveUp, TimeLimit, Waited};

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
    /// Waits until that moment; never less, about a millisecond more. An [`Alarm`] is more exact.
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

/// Virtual time has no lateness of its own, but for the resolution of the runtime's timers.
#[cfg(test)]
impl Alarm for VirtualTimer {
    async fn at(&self, moment: tokio::time::Instant) {
        tokio::time::sleep_until(moment).await;
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
}
