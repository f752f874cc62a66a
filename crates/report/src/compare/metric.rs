//! Which figure of a run is compared, how is it written, and which way is better?

use std::fmt;
use std::str::FromStr;

use super::row::Repeat;
use crate::histogram::Percentile;
use crate::summary::Summary;
use crate::units::{count, nanos, rate, share};

/// Names that are no percentile, each with what it means.
const NAMED: [(&str, Metric); 17] = [
    ("rps", Metric::Rps),
    ("mean", Metric::Mean),
    ("max", Metric::Max),
    ("max/p50", Metric::MaxTail),
    ("errors", Metric::Errors),
    ("error_rate", Metric::ErrorRate),
    ("timeouts", Metric::Timeouts),
    ("rps_per_cpu", Metric::RpsPerCpu),
    ("cpu_us_per_request", Metric::CpuPerRequest),
    ("cost", Metric::Cost),
    ("thread_wait", Metric::ThreadWait),
    ("lock_wait", Metric::LockWait),
    ("commit", Metric::Commit),
    ("rows_per_commit", Metric::RowsPerCommit),
    ("target_cpus", Metric::TargetCpus),
    ("generator_cpus", Metric::GeneratorCpus),
    ("cpu_pressure", Metric::CpuPressure),
];
/// How a source says that a rate is a lower bound.
pub(super) const MORE_THAN: &str = "more than";
/// How it says that a rate is an upper bound. A cost is the inverse of a rate: it is bounded from the other side.
pub(super) const LESS_THAN: &str = "less than";
/// Seconds of a month: a twelfth of 365.25 days.
const MONTH_S: f64 = 365.25 / 12.0 * 86_400.0;

/// One figure of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Answers per second.
    Rps,
    /// A percentile of the latency, in nanoseconds.
    Latency(Percentile),
    /// The mean latency, in nanoseconds.
    Mean,
    /// The largest latency, in nanoseconds.
    Max,
    /// A percentile by the median: how far the tail lies from the middle.
    Tail(Percentile),
    /// The largest latency by the median.
    MaxTail,
    /// HTTP errors, failures, timeouts and aborted requests.
    Errors,
    /// Errors by requests sent, 0 to 1.
    ErrorRate,
    /// Timeouts alone.
    Timeouts,
    /// Answers per second by the CPUs of the target's machine: those that the generator was allowed to use beside it.
    RpsPerCpu,
    /// CPU time of the target's processes by the requests they were sent, in nanoseconds.
    CpuPerRequest,
    /// What a million answers cost at this rate, by the price of the machine.
    Cost,
    /// Mean time that a row waited in the target for a thread that writes, in nanoseconds, as the target tells.
    ThreadWait,
    /// Mean time from there until its transaction had the write lock, in nanoseconds.
    LockWait,
    /// Mean time from there until it was committed, in nanoseconds.
    Commit,
    /// Rows by transactions.
    RowsPerCommit,
    /// CPUs that the target kept busy.
    TargetCpus,
    /// CPUs that the generator kept busy meanwhile.
    GeneratorCpus,
    /// Share of the time in which some task of the machine waited for a CPU, 0 to 1.
    CpuPressure,
}

/// Which way is better?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Rates.
    Higher,
    /// Times, errors, costs.
    Lower,
}

/// What a run says of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Value {
    /// In the unit of the metric.
    pub value: f64,
    /// Whether the true value is this or larger.
    pub is_lower_bound: bool,
}

impl Metric {
    /// What is compared when nobody says otherwise.
    pub const DEFAULT: [Self; 5] = [
        Self::Rps,
        Self::Latency(Percentile::P50),
        Self::Latency(Percentile::P99),
        Self::Errors,
        Self::Timeouts,
    ];

    /// Which way is better.
    pub fn better(self) -> Better {
        match self {
            Self::Rps | Self::RpsPerCpu | Self::RowsPerCommit => Better::Higher,
            _ => Better::Lower,
        }
    }

    /// The change that counts: 5%, of tails 10%, because chance moves them further.
    pub fn tolerance(self) -> f64 {
        match self {
            Self::Latency(percentile) if percentile > Percentile::P50 => 0.10,
            Self::Tail(_) | Self::MaxTail | Self::Max => 0.10,
            _ => 0.05,
        }
    }

    /// Whether it counts requests, which may be none at all: such figures have differences, no ratios.
    pub fn is_count(self) -> bool {
        matches!(self, Self::Errors | Self::ErrorRate | Self::Timeouts)
    }

    /// The percentile it rests on, beside the median.
    pub fn percentile(self) -> Option<Percentile> {
        match self {
            Self::Latency(percentile) | Self::Tail(percentile) => Some(percentile),
            _ => None,
        }
    }

    /// The title of its column.
    pub fn title(self) -> String {
        match self {
            Self::Rps => "req/s".into(),
            Self::ErrorRate => "error rate".into(),
            Self::RpsPerCpu => "req/s per CPU".into(),
            Self::CpuPerRequest => "CPU per request".into(),
            Self::Cost => "cost per million".into(),
            Self::ThreadWait => "wait for a thread".into(),
            Self::LockWait => "wait for the lock".into(),
            Self::RowsPerCommit => "rows per commit".into(),
            Self::TargetCpus => "target's CPUs".into(),
            Self::GeneratorCpus => "generator's CPUs".into(),
            Self::CpuPressure => "waiting for a CPU".into(),
            _ => self.to_string(),
        }
    }

    /// The unit of [`Value::value`]; empty for plain numbers.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Rps | Self::RpsPerCpu => "1/s",
            Self::Latency(_)
            | Self::Mean
            | Self::Max
            | Self::CpuPerRequest
            | Self::ThreadWait
            | Self::LockWait
            | Self::Commit => "ns",
            _ => "",
        }
    }

    /// A value for a person.
    pub fn write(self, value: f64) -> String {
        match self {
            Self::Rps | Self::RpsPerCpu => rate(value),
            Self::Cost => format!("{value:.5}"),
            Self::ErrorRate | Self::CpuPressure => share(value),
            Self::Errors | Self::Timeouts => count(whole(value)),
            _ if self.unit() == "ns" => nanos(whole(value)),
            _ => format!("{value:.2}"),
        }
    }

    /// What a run says of it. `None` where it does not know, or where its sample is too small to say it.
    pub fn of(self, repeat: &Repeat) -> Option<Value> {
        let summary = &repeat.summary;
        let exact = |value| Some(Value { value, is_lower_bound: false });
        // "More than 20,000", a source says.
        let is_told = |bound| summary.rps_qualifier.as_deref() == Some(bound);
        let of_rate = |value| Some(Value { value, is_lower_bound: is_told(MORE_THAN) });
        match self {
            Self::Rps => of_rate(summary.rate()?),
            Self::Latency(percentile) => quantile(summary, percentile),
            Self::Mean => of_all(summary, summary.latency.average_ns),
            Self::Max => of_all(summary, summary.latency.slowest_ns.map(|ns| ns as f64)),
            Self::Tail(percentile) => by_median(summary, quantile(summary, percentile)?),
            Self::MaxTail => by_median(summary, Self::Max.of(repeat)?),
            Self::Errors => exact(summary.errors? as f64),
            Self::ErrorRate => exact(summary.error_rate?),
            Self::Timeouts => exact(summary.timeouts? as f64),
            Self::RpsPerCpu => of_rate(summary.rate()? / repeat.cpus.filter(|&cpus| cpus > 0)? as f64),
            Self::CpuPerRequest => exact(repeat.target_ns_per_request?),
            Self::Cost => {
                let rate = summary.rate().filter(|&rate| rate > 0.0)?;
                let value = repeat.price_per_month? / MONTH_S / rate * 1e6;
                Some(Value { value, is_lower_bound: is_told(LESS_THAN) })
            }
            Self::ThreadWait => exact(summary.target?.queue.mean_ns?),
            Self::LockWait => exact(summary.target?.lock.mean_ns?),
            Self::Commit => exact(summary.target?.commit.mean_ns?),
            Self::RowsPerCommit => exact(summary.target?.rows_per_transaction?),
            Self::TargetCpus => exact(summary.usage.as_ref()?.cpus),
            Self::GeneratorCpus => exact(summary.usage.as_ref()?.generator_cpus?),
            Self::CpuPressure => exact(summary.usage.as_ref()?.cpu_pressure?),
        }
    }
}

fn quantile(summary: &Summary, percentile: Percentile) -> Option<Value> {
    let quantile = summary.latency.at(percentile).filter(|quantile| quantile.is_supported)?;
    Some(Value { value: quantile.value_ns as f64, is_lower_bound: quantile.is_lower_bound })
}

/// What every request has a part in is a lower bound as soon as one was given up.
fn of_all(summary: &Summary, value: Option<f64>) -> Option<Value> {
    Some(Value { value: value?, is_lower_bound: summary.latency.censored > 0 })
}

/// A ratio whose lower part is itself only a bound says nothing.
fn by_median(summary: &Summary, tail: Value) -> Option<Value> {
    let median = quantile(summary, Percentile::P50)?;
    let ratio = tail.value / median.value;
    (!median.is_lower_bound && ratio.is_finite())
        .then_some(Value { value: ratio, is_lower_bound: tail.is_lower_bound })
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latency(percentile) => write!(f, "{percentile}"),
            Self::Tail(percentile) => write!(f, "{percentile}/p50"),
            _ => f.write_str(NAMED.iter().find(|(_, metric)| metric == self).map_or("", |(name, _)| name)),
        }
    }
}

/// Why a word is no metric.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no metric `{0}`: there are rps, p50, p99 (any percentile), mean, max, p99/p50, max/p50, errors, error_rate, timeouts, rps_per_cpu, cpu_us_per_request, cost, thread_wait, lock_wait, commit, rows_per_commit, target_cpus, generator_cpus and cpu_pressure"
)]
pub struct UnknownMetric(String);

impl FromStr for Metric {
    type Err = UnknownMetric;

    fn from_str(text: &str) -> Result<Self, UnknownMetric> {
        if let Some(&(_, metric)) = NAMED.iter().find(|(name, _)| *name == text) {
            return Ok(metric);
        }
        let percentile = |text: &str| {
            let digits = text.strip_prefix('p')?;
            let is_plain = digits.chars().all(|c| c.is_ascii_digit() || c == '.');
            Percentile::from_percent(digits.parse().ok().filter(|_| is_plain)?)
        };
        let metric = match text.strip_suffix("/p50") {
            Some(tail) => percentile(tail).filter(|&tail| tail > Percentile::P50).map(Self::Tail),
            None => percentile(text).map(Self::Latency),
        };
        metric.ok_or_else(|| UnknownMetric(text.to_owned()))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts and durations, never negative"
)]
fn whole(value: f64) -> u64 {
    value.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for name in
            ["rps", "p50", "p99.9", "mean", "max", "p90/p50", "max/p50", "errors", "error_rate", "timeouts"]
        {
            assert_eq!(name.parse::<Metric>().unwrap().to_string(), name);
        }
        for (name, metric) in NAMED {
            assert_eq!(name.parse(), Ok(metric));
        }
        for bad in ["", "p", "p0", "p100", "p-1", "p5e1", "50", "p50/p50", "p99/p90", "RPS", "rps/p50"] {
            let sentence = bad.parse::<Metric>().unwrap_err().to_string();
            assert!(sentence.contains(&format!("`{bad}`")) && sentence.contains("p99/p50"), "{sentence}");
        }
    }
}
