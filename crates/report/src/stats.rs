//! Do two sets of runs differ, by how much, and could it be chance? Numbers in, numbers out.
//!
//! The unit is the run: one number each. What lies within a run never decides, because neighbouring requests depend on each
//! other. Ratios are estimated on logarithms, with a t interval ([`Effect`]); exact tests ([`exact`]) stand beside it.

mod chance;
mod effect;
pub mod exact;
mod middle;
mod shares;
mod trend;
pub mod usl;

pub use self::effect::{Design, Effect, holm};
pub use self::middle::{geometric_mean, hodges_lehmann, median, median_interval};
pub use self::shares::{difference_interval, fisher};
pub use self::trend::Trend;

/// What is claimed with 95% confidence may be wrong once in twenty times.
pub const ALPHA: f64 = 0.05;

/// From where to where.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Interval {
    /// Whether the value lies in it, its ends included.
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }
}
