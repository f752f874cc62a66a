//! How is a distribution kept? The only user of hdrhistogram.
//!
//! [`Histogram`] is the live one that is recorded into and merged; [`Distribution`] is how it is stored.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
use serde::{Deserialize, Serialize};

/// The largest duration that has a bucket of its own; longer ones count in the top bucket. One hour.
pub const HIGHEST_NS: u64 = 3_600 * 1_000_000_000;
/// Significant decimal digits of a bucket: a quantile is at most 0.1% too high.
const DIGITS: u8 = 3;
/// A percentile is supported when at least this many samples lie beyond it: p99 needs 1,000 samples.
const SAMPLES_BEYOND: u64 = 10;

/// A percentile in parts per million, so that ranks are computed in whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percentile(u32);

impl Percentile {
    /// The median.
    pub const P50: Self = Self(500_000);
    /// The 90th percentile.
    pub const P90: Self = Self(900_000);
    /// The 99th percentile.
    pub const P99: Self = Self(990_000);
    /// The seven percentiles of hey's report.
    pub const HEY: [Self; 7] =
        [Self(100_000), Self(250_000), Self::P50, Self(750_000), Self::P90, Self(950_000), Self::P99];
    /// The percentiles that a summary computes: hey's and two further out.
    pub const REPORTED: [Self; 9] = [
        Self::HEY[0],
        Self::HEY[1],
        Self::HEY[2],
        Self::HEY[3],
        Self::HEY[4],
        Self::HEY[5],
        Self::HEY[6],
        Self(999_000),
        Self(999_900),
    ];

    /// From a percentage such as `99.9`, above 0 and below 100; four decimals count.
    pub fn from_percent(percent: f64) -> Option<Self> {
        if !(percent > 0.0 && percent < 100.0) {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to lie in 0..100"
        )]
        let ppm = (percent * 10_000.0).round() as u32;
        (1..1_000_000).contains(&ppm).then_some(Self(ppm))
    }

    /// As a percentage.
    pub fn percent(self) -> f64 {
        f64::from(self.0) / 10_000.0
    }

    /// Nearest rank: the smallest rank (from 1) such that at least this share of `count` samples lies at or below it.
    pub fn rank(self, count: u64) -> u64 {
        let rank = (u128::from(count) * u128::from(self.0)).div_ceil(1_000_000);
        u64::try_from(rank).unwrap_or(count).clamp(1, count.max(1))
    }

    /// Whether a sample of this size says anything about this percentile.
    pub fn is_supported_by(self, count: u64) -> bool {
        count - self.rank(count).min(count) >= SAMPLES_BEYOND
    }

    /// The smallest sample that supports it.
    pub fn samples_needed(self) -> u64 {
        (SAMPLES_BEYOND * 1_000_000).div_ceil(u64::from(1_000_000 - self.0))
    }
}

/// Prints `p50`, `p99.9`.
impl fmt::Display for Percentile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}", self.percent())
    }
}

/// Durations in nanoseconds: a histogram of 3 significant digits up to one hour, with exact count, sum, minimum and maximum.
///
/// It takes about 270 KB from the first duration on, however many it holds, and next to nothing while it is empty.
#[derive(Clone)]
pub struct Histogram {
    /// Allocated by the first duration: a run that never dials again need not pay for that histogram.
    buckets: Option<Box<hdrhistogram::Histogram<u64>>>,
    count: u64,
    sum: u64,
    min: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histogram")
            .field("count", &self.count)
            .field("sum", &self.sum)
            .field("min", &self.min)
            .field("max", &self.max)
            .finish_non_exhaustive()
    }
}

impl Histogram {
    /// An empty histogram.
    pub fn new() -> Self {
        Self { buckets: None, count: 0, sum: 0, min: u64::MAX, max: 0 }
    }

    /// Adds one duration. One beyond [`HIGHEST_NS`] counts in the top bucket, and exactly in sum and maximum.
    pub fn record(&mut self, nanos: u64) {
        self.buckets().saturating_record(nanos);
        self.count += 1;
        self.sum = self.sum.saturating_add(nanos);
        self.min = self.min.min(nanos);
        self.max = self.max.max(nanos);
    }

    /// Adds everything that `other` holds.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if let Some(buckets) = &other.buckets {
            #[expect(clippy::expect_used, reason = "all histograms of this type have the same bounds")]
            self.buckets().add(&**buckets).expect("equal bounds add up");
        }
        self.count += other.count;
        self.sum = self.sum.saturating_add(other.sum);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// Empties it, keeping its memory.
    pub fn clear(&mut self) {
        if self.count == 0 {
            return;
        }
        if let Some(buckets) = &mut self.buckets {
            buckets.reset();
        }
        (self.count, self.sum, self.min, self.max) = (0, 0, u64::MAX, 0);
    }

    /// How many durations were recorded.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The smallest, exact. `None` when empty.
    pub fn min(&self) -> Option<u64> {
        (self.count > 0).then_some(self.min)
    }

    /// The largest, exact. `None` when empty.
    pub fn max(&self) -> Option<u64> {
        (self.count > 0).then_some(self.max)
    }

    /// The sum of all, exact below 2^64.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The arithmetic mean, from the exact sum. `None` when empty.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64)
    }

    /// The value at a percentile by nearest rank, at most 0.1% too high and never outside minimum and maximum.
    pub fn value_at(&self, percentile: Percentile) -> Option<u64> {
        self.at_rank(percentile.rank(self.count))
    }

    /// The value at a rank from 1 on, at most 0.1% too high. `None` beyond the count.
    pub fn at_rank(&self, rank: u64) -> Option<u64> {
        let mut seen = 0;
        for step in self.buckets.iter().flat_map(|buckets| buckets.iter_recorded()) {
            seen += step.count_since_last_iteration();
            if seen >= rank {
                return Some(step.value_iterated_to().clamp(self.min, self.max));
            }
        }
        None
    }

    /// How many samples are at most `nanos`, to the resolution of the buckets: the bucket of `nanos` counts whole.
    pub fn count_up_to(&self, nanos: u64) -> u64 {
        if nanos >= self.max {
            return self.count;
        }
        let Some(buckets) = self.buckets.as_deref() else { return 0 };
        buckets
            .iter_recorded()
            .take_while(|step| buckets.lowest_equivalent(step.value_iterated_to()) <= nanos)
            .map(|step| step.count_since_last_iteration())
            .sum()
    }

    /// The stored form.
    pub fn to_distribution(&self) -> Distribution {
        let Some(buckets) = self.buckets.as_deref() else { return Distribution::default() };
        if self.count == 0 {
            return Distribution::default();
        }
        Distribution {
            count: self.count,
            min_ns: self.min,
            max_ns: self.max,
            sum_ns: self.sum,
            histogram: STANDARD.encode(compressed(buckets)),
        }
    }

    /// The buckets alone in HdrHistogram's compressed V2 format, as base64, empty ones too.
    pub fn to_base64(&self) -> String {
        match &self.buckets {
            Some(buckets) => STANDARD.encode(compressed(buckets)),
            None => STANDARD.encode(compressed(Self::new().buckets())),
        }
    }

    fn buckets(&mut self) -> &mut hdrhistogram::Histogram<u64> {
        self.buckets.get_or_insert_with(|| {
            #[expect(clippy::expect_used, reason = "the bounds are constants that the library accepts")]
            let buckets =
                hdrhistogram::Histogram::new_with_bounds(1, HIGHEST_NS, DIGITS).expect("valid bounds");
            Box::new(buckets)
        })
    }
}

/// The buckets alone, in HdrHistogram's compressed V2 format.
fn compressed(buckets: &hdrhistogram::Histogram<u64>) -> Vec<u8> {
    let mut bytes = Vec::new();
    #[expect(clippy::expect_used, reason = "writing to memory cannot fail, and counts fit the format")]
    V2DeflateSerializer::new().serialize(buckets, &mut bytes).expect("a histogram serialises into memory");
    bytes
}

/// A stored [`Histogram`]: exact figures beside the buckets. All zero and empty when nothing was recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distribution {
    /// How many durations.
    pub count: u64,
    /// The smallest, exact.
    pub min_ns: u64,
    /// The largest, exact.
    pub max_ns: u64,
    /// The sum of all, exact.
    pub sum_ns: u64,
    /// HdrHistogram V2, compressed, base64: nanoseconds, 3 significant digits. Empty when `count` is 0.
    pub histogram: String,
}

/// Why a stored distribution cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DistributionError {
    /// Not base64.
    #[error("its histogram is not base64: {0}")]
    Base64(#[from] base64::DecodeError),
    /// Not a histogram.
    #[error("its histogram is not in HdrHistogram's V2 format: {0}")]
    Format(String),
    /// The buckets and the exact figures disagree.
    #[error("its histogram holds {buckets} samples, but its count says {count}")]
    Count {
        /// Samples in the buckets.
        buckets: u64,
        /// The count beside them.
        count: u64,
    },
}

impl Distribution {
    /// The live form.
    ///
    /// # Errors
    /// When the stored text is damaged, or its count is not that of the buckets.
    pub fn to_histogram(&self) -> Result<Histogram, DistributionError> {
        let mut histogram = Histogram::new();
        if self.histogram.is_empty() {
            return if self.count == 0 {
                Ok(histogram)
            } else {
                Err(DistributionError::Count { buckets: 0, count: self.count })
            };
        }
        let bytes = STANDARD.decode(&self.histogram)?;
        let buckets: hdrhistogram::Histogram<u64> = Deserializer::new()
            .deserialize(&mut bytes.as_slice())
            .map_err(|error| DistributionError::Format(error.to_string()))?;
        if buckets.len() != self.count {
            return Err(DistributionError::Count { buckets: buckets.len(), count: self.count });
        }
        histogram.buckets().add(&buckets).map_err(|error| DistributionError::Format(error.to_string()))?;
        (histogram.count, histogram.sum, histogram.min, histogram.max) =
            (self.count, self.sum_ns, self.min_ns, self.max_ns);
        Ok(histogram)
    }

    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The arithmetic mean in nanoseconds, from the exact sum. `None` when empty.
    pub fn mean_ns(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum_ns as f64 / self.count as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = u64>) -> Histogram {
        let mut histogram = Histogram::new();
        values.into_iter().for_each(|value| histogram.record(value));
        histogram
    }

    fn percent(percent: f64) -> Percentile {
        Percentile::from_percent(percent).unwrap()
    }

    #[test]
    fn percentiles_are_nearest_rank() {
        // Of four samples the median is the second; hey prints the fourth.
        assert_eq!(of([10, 20, 30, 40]).value_at(Percentile::P50), Some(20));
        assert_eq!(of([10, 20, 30, 40]).value_at(percent(75.0)), Some(30));
        assert_eq!(of([10, 20, 30, 40]).value_at(percent(75.1)), Some(40));
        assert_eq!(of(1..=100).value_at(Percentile::P99), Some(99));
        assert_eq!(of(1..=1000).value_at(percent(99.9)), Some(999));
        assert_eq!(of([7]).value_at(percent(10.0)), Some(7));
        assert_eq!(of([]).value_at(Percentile::P50), None);
    }

    #[test]
    fn quantiles_stay_inside_the_exact_bounds() {
        // 10,925,013 lies in a bucket whose top is 10,928,127: a known trap of the library.
        let histogram = of([10_925_013]);
        assert_eq!((histogram.min(), histogram.max()), (Some(10_925_013), Some(10_925_013)));
        assert_eq!(histogram.value_at(Percentile::P99), Some(10_925_013));
    }

    #[test]
    fn support_needs_ten_samples_beyond() {
        assert!(!Percentile::P99.is_supported_by(999));
        assert!(Percentile::P99.is_supported_by(1000));
        assert!(!Percentile::P50.is_supported_by(19));
        assert!(Percentile::P50.is_supported_by(20));
        assert!(!Percentile::P50.is_supported_by(0));
        for p in Percentile::REPORTED {
            assert!(p.is_supported_by(p.samples_needed()), "{p}");
            assert!(!p.is_supported_by(p.samples_needed() - 1), "{p}");
        }
    }

    #[test]
    fn counting_up_to_a_value_includes_its_bucket() {
        let histogram = of([10_925_013, 20_000_000, 30_000_000]);
        assert_eq!(histogram.count_up_to(10_000_000), 0);
        assert_eq!(histogram.count_up_to(10_925_013), 1);
        assert_eq!(histogram.count_up_to(29_000_000), 2);
        assert_eq!(histogram.count_up_to(30_000_000), 3);
        assert_eq!(of([]).count_up_to(5), 0);
    }

    #[test]
    fn beyond_an_hour_stays_exact_at_the_edges() {
        let histogram = of([5, 2 * HIGHEST_NS]);
        assert_eq!(histogram.max(), Some(2 * HIGHEST_NS));
        assert_eq!(histogram.count(), 2);
    }

    #[test]
    fn stored_and_read_back_it_is_the_same() {
        let histogram = of((0..10_000).map(|i| i * i * 37 % 9_000_000_000));
        let stored = histogram.to_distribution();
        assert!(stored.histogram.starts_with("HISTFA"), "the compressed V2 format begins so");
        let read = stored.to_histogram().unwrap();
        assert_eq!(read.to_distribution(), stored);
        for p in Percentile::HEY {
            assert_eq!(read.value_at(p), histogram.value_at(p));
        }
        assert_eq!(Histogram::new().to_distribution().to_histogram().unwrap().count(), 0);
    }

    #[test]
    fn damage_is_told() {
        let mut stored = of([1, 2, 3]).to_distribution();
        stored.count = 4;
        assert!(matches!(stored.to_histogram(), Err(DistributionError::Count { buckets: 3, count: 4 })));
        stored.histogram = "HISTFA!".into();
        assert!(matches!(stored.to_histogram(), Err(DistributionError::Base64(_))));
        stored.histogram = STANDARD.encode("nonsense");
        assert!(matches!(stored.to_histogram(), Err(DistributionError::Format(_))));
    }

    #[test]
    fn merging_is_recording_everything_in_one() {
        let mut left = of(1..500);
        left.merge(&of(500..=1000));
        assert_eq!(left.to_distribution(), of(1..=1000).to_distribution());
        left.clear();
        assert_eq!(left.to_distribution(), Distribution::default());
    }

    #[test]
    fn percentages_have_bounds() {
        for bad in [0.0, 100.0, -1.0, f64::NAN, 0.000_01] {
            assert_eq!(Percentile::from_percent(bad), None);
        }
        assert_eq!(percent(99.9).to_string(), "p99.9");
        assert_eq!(Percentile::P50.to_string(), "p50");
    }
}
