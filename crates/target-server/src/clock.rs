//! The only reader of clocks here: the time of day, and the monotonic one for spans.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Seconds since 1970, as rows are stamped with.
#[expect(clippy::disallowed_methods, reason = "the clock of this crate, which cannot see loadgen's")]
pub(crate) fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// A moment that only ever grows, for measuring spans.
#[expect(clippy::disallowed_methods, reason = "the clock of this crate, which cannot see loadgen's")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
