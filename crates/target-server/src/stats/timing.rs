//! How long did something take? Every value is kept, in a histogram with three digits.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Significant digits: values are exact to a thousandth.
const DIGITS: u8 = 3;

/// The largest value that is told apart; what lasts longer counts as this.
const LONGEST_NS: u64 = 3_600_000_000_000;

/// Upper bounds of the buckets in which all times are told: three to a decade, from the time of a fast transaction to a client's patience.
pub const BOUNDS: [Duration; 19] = [
    Duration::from_micros(10),
    Duration::from_micros(25),
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2500),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// Times of one kind.
#[derive(Debug, Default)]
pub struct Timing(Mutex<Times>);

#[derive(Debug, Default)]
struct Times {
    /// Made with the first value: most kinds never have one.
    histogram: Option<Histogram<u64>>,
    sum_ns: u128,
    max_ns: u64,
}

/// What is told of the times of one kind. Percentiles are by nearest rank and exact to a thousandth; count, mean and
/// maximum are exact. All but the count are absent where there is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Distribution {
    /// How many values there are.
    pub count: u64,
    /// Their mean in nanoseconds.
    pub mean_ns: Option<f64>,
    /// Half of them are at most this long.
    pub p50_ns: Option<u64>,
    /// 90 percent.
    pub p90_ns: Option<u64>,
    /// 99 percent.
    pub p99_ns: Option<u64>,
    /// 99.9 percent.
    pub p99_9_ns: Option<u64>,
    /// The longest.
    pub max_ns: Option<u64>,
}

/// The times of one kind for a cumulative histogram.
#[derive(Clone, Debug, PartialEq)]
pub struct Buckets {
    /// For each bound, in its order, how many values are at most as long.
    pub at_most: Vec<u64>,
    /// All of them.
    pub count: u64,
    /// Their sum in seconds.
    pub sum_seconds: f64,
}

impl Timing {
    /// One more.
    pub fn record(&self, time: Duration) {
        self.record_all(std::iter::once(time));
    }

    /// Some more.
    pub fn record_all(&self, all: impl Iterator<Item = Duration>) {
        let mut times = self.lock();
        if times.histogram.is_none() {
            times.histogram = Histogram::new_with_bounds(1, LONGEST_NS, DIGITS).ok();
        }
        for time in all {
            let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            times.sum_ns += u128::from(ns);
            times.max_ns = times.max_ns.max(ns);
            if let Some(histogram) = &mut times.histogram {
                histogram.saturating_record(ns);
            }
        }
    }

    /// Forgets all.
    pub fn reset(&self) {
        *self.lock() = Times::default();
    }

    /// What there is so far.
    pub fn distribution(&self) -> Distribution {
        let times = self.lock();
        let Some(histogram) = times.histogram.as_ref().filter(|histogram| !histogram.is_empty()) else {
            return Distribution::default();
        };
        // A value stands for all that share its place in the histogram, and none of them was longer than the longest.
        let at = |quantile| Some(histogram.value_at_quantile(quantile).min(times.max_ns));
        let count = histogram.len();
        Distribution {
            count,
            mean_ns: Some(times.sum_ns as f64 / count as f64),
            p50_ns: at(0.5),
            p90_ns: at(0.9),
            p99_ns: at(0.99),
            p99_9_ns: at(0.999),
            max_ns: Some(times.max_ns),
        }
    }

    /// What there is so far, below ascending bounds.
    pub fn buckets(&self, bounds: &[Duration]) -> Buckets {
        let times = self.lock();
        let sum_seconds = times.sum_ns as f64 / 1e9;
        let Some(histogram) = &times.histogram else {
            return Buckets { at_most: vec![0; bounds.len()], count: 0, sum_seconds };
        };
        let below = |bound: &Duration| {
            histogram.count_between(0, u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX))
        };
        Buckets { at_most: bounds.iter().map(below).collect(), count: histogram.len(), sum_seconds }
    }

    fn lock(&self) -> MutexGuard<'_, Times> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_tells_what_was_recorded() {
        let timing = Timing::default();
        assert_eq!(timing.distribution(), Distribution::default());
        (1..=1000).for_each(|ms| timing.record(Duration::from_millis(ms)));
        let told = timing.distribution();
        assert_eq!((told.count, told.mean_ns, told.max_ns), (1000, Some(500_500_000.0), Some(1_000_000_000)));
        for (told, ms) in [(told.p50_ns, 500), (told.p90_ns, 900), (told.p99_ns, 990), (told.p99_9_ns, 999)] {
            let (told, exact) = (told.unwrap() as f64, f64::from(ms) * 1e6);
            assert!((told / exact - 1.0).abs() < 0.001, "{told} instead of {exact}");
        }
        timing.reset();
        assert_eq!(timing.distribution(), Distribution::default());
    }

    #[test]
    fn buckets_are_cumulative() {
        let timing = Timing::default();
        let bounds = [1, 10, 100].map(Duration::from_millis);
        assert_eq!(timing.buckets(&bounds).at_most, [0, 0, 0]);
        for us in [500, 5_000, 6_000, 50_000, 500_000] {
            timing.record(Duration::from_micros(us));
        }
        let told = timing.buckets(&bounds);
        assert_eq!((&*told.at_most, told.count), (&[1, 3, 4][..], 5));
        assert!((told.sum_seconds - 0.5615).abs() < 1e-9);
    }

    #[test]
    fn what_lasts_longer_than_any_is_kept_all_the_same() {
        let timing = Timing::default();
        timing.record(Duration::from_secs(10_000));
        let told = timing.distribution();
        assert_eq!((told.count, told.max_ns), (1, Some(10_000_000_000_000)));
    }
}
