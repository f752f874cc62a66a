//! What do the repeats of one plan on one machine say together?

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::metric::{Metric, Value};
use super::natural::natural;
use crate::document::{Block, Figures, Run};
use crate::histogram::Percentile;
use crate::stats::{self, Interval};
use crate::summary::{Model, Summary};
use crate::verdict::{self, Verdict};

/// Repeats of one plan on one machine, or one set of published figures.
#[derive(Debug, Clone)]
pub struct Row {
    /// The scenario.
    pub scenario: String,
    /// In what its plan, program or state differs from other rows of the scenario: `load.duration=20s`.
    pub differences: Vec<String>,
    /// The machine's label.
    pub machine: String,
    /// What makes it comparable with others. `None` for published figures.
    pub fingerprint: Option<String>,
    /// CPUs of the machine, where known.
    pub cpus: Option<u64>,
    /// Its configuration without what varies between its runs; of published figures, what is known.
    pub config: BTreeMap<String, String>,
    /// Its place among [`super::Comparison::sources`], counted from 1. `None` for what was measured.
    pub source: Option<usize>,
    /// The runs in order of their start: a single one for published figures.
    pub runs: Vec<Repeat>,
    /// The gravest verdict of its runs on their generator. Of published figures nothing is known.
    pub verdict: Verdict,
    /// Whether its runs came to their planned end and balance. Nothing is claimed from others.
    pub is_whole: bool,
    /// Whether generator and target ran on the same CPUs: the figures are of both.
    pub shares_cpus: bool,
    /// Whether it was named as what others are held against.
    pub is_baseline: bool,
    /// Of the baseline: how many documents of its very runs were to be held against it, and were left out. 0 elsewhere.
    pub shared: u64,
}

/// One run of a row.
#[derive(Debug, Clone)]
pub struct Repeat {
    /// When it began, RFC 3339; empty for published figures.
    pub started_at: String,
    /// Its place in a comparison of two arms, if it was made for one.
    pub block: Option<Block>,
    /// CPUs of the target's machine: measured, those that the generator was allowed to use beside it. `None` where the target ran elsewhere.
    pub cpus: Option<u64>,
    /// CPU time of the target's processes for a request, as far as it was watched, else over their whole lives.
    pub target_ns_per_request: Option<f64>,
    /// What its machine costs a month, in whatever currency. Absent where nobody says.
    pub price_per_month: Option<f64>,
    /// Its numbers.
    pub summary: Summary,
}

impl Repeat {
    pub(super) fn of_run(run: &Run, summary: Summary) -> Self {
        let requests = run.account.sent + run.warmup.as_ref().map_or(0, |warmup| warmup.sent);
        let cpu: Option<u64> = run.instances.iter().map(|instance| instance.cpu_ns).sum();
        let cpu =
            cpu.filter(|_| requests > 0 && !run.instances.is_empty()).map(|ns| ns as f64 / requests as f64);
        // What was watched second by second is of the load alone, and of children too.
        let watched = summary.usage.as_ref().and_then(|usage| usage.cpu_us_per_request).map(|us| us * 1e3);
        Self {
            started_at: run.started_at.clone(),
            block: run.block.clone(),
            // Nobody knows whether generators of machines that are called alike shared one.
            cpus: Some(run.machine.cpus_allowed)
                .filter(|_| is_beside_its_target(run) && run.merged.is_none()),
            target_ns_per_request: watched.or(cpu),
            price_per_month: None,
            summary,
        }
    }

    pub(super) fn of_figures(figures: &Figures, summary: Summary) -> Self {
        let cpus = figures.machine.cpus;
        let price_per_month = figures.machine.price_per_month.as_deref().and_then(amount);
        Self {
            started_at: String::new(),
            block: None,
            cpus,
            target_ns_per_request: None,
            price_per_month,
            summary,
        }
    }
}

/// Whether the CPUs of the generator's machine are those of the target's, too.
fn is_beside_its_target(run: &Run) -> bool {
    !run.instances.is_empty() || verdict::shares_machine(run)
}

/// The one number in a price: `about $4`. Of several, nobody knows which is meant.
fn amount(price: &str) -> Option<f64> {
    let mut numbers =
        price.split(|c: char| !c.is_ascii_digit() && c != '.').filter_map(|word| word.parse().ok());
    let first = numbers.next()?;
    numbers.next().is_none().then_some(first).filter(|price: &f64| *price > 0.0)
}

/// The middle of several runs' values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Median {
    /// The median: of an even number, the mean of the middle two.
    pub value: f64,
    /// The smallest.
    pub smallest: f64,
    /// The largest.
    pub largest: f64,
    /// Its 95% interval by order statistics. `None` for fewer than six runs.
    pub interval: Option<Interval>,
    /// How many values there are.
    pub runs: usize,
    /// Whether the true value is this or larger.
    pub is_lower_bound: bool,
}

impl Median {
    /// How far the interval of the median, or of fewer than six runs their values, lie from it at most, as a share of it.
    pub fn spread(&self) -> Option<f64> {
        let Interval { low, high } =
            self.interval.unwrap_or(Interval { low: self.smallest, high: self.largest });
        let spread = (high - self.value).max(self.value - low) / self.value;
        (self.runs > 1 && spread.is_finite()).then_some(spread)
    }
}

impl Row {
    /// Requests per second.
    pub fn rps(&self) -> Option<Median> {
        self.median(Metric::Rps)
    }

    /// A percentile of the latency, in nanoseconds. `None` when one of the runs cannot support it.
    pub fn latency(&self, percentile: Percentile) -> Option<Median> {
        self.median(Metric::Latency(percentile))
    }

    /// The middle of its runs. A value that one of the runs does not have is no value of the row.
    pub fn median(&self, metric: Metric) -> Option<Median> {
        let values = self.values(metric)?;
        let is_lower_bound = values.iter().any(|value| value.is_lower_bound);
        let mut values: Vec<f64> = values.into_iter().map(|value| value.value).collect();
        values.sort_by(f64::total_cmp);
        Some(Median {
            value: stats::median(&values)?,
            smallest: *values.first()?,
            largest: *values.last()?,
            interval: stats::median_interval(&values),
            runs: values.len(),
            is_lower_bound,
        })
    }

    /// What its runs say of a metric, in order of their start. `None` when one of them does not know.
    pub fn values(&self, metric: Metric) -> Option<Vec<Value>> {
        self.runs.iter().map(|run| metric.of(run)).collect()
    }

    /// How its requests were released.
    pub fn model(&self) -> Option<Model> {
        self.runs.first().and_then(|run| run.summary.model)
    }

    /// Server processes of the target.
    pub fn instances(&self) -> Option<u64> {
        self.runs.first().and_then(|run| run.summary.instances)
    }

    /// The places of the plan (`-c N`).
    pub fn connections(&self) -> Option<u64> {
        self.runs.first().and_then(|run| run.summary.connections)
    }

    pub(super) fn order(&self, other: &Self) -> Ordering {
        let rest = |row: &Self| (row.source.is_none(), row.cpus);
        natural(&self.scenario, &other.scenario)
            .then_with(|| rest(self).cmp(&rest(other)))
            .then_with(|| natural(&self.machine, &other.machine))
            .then_with(|| other.is_baseline.cmp(&self.is_baseline))
            .then_with(|| natural(&self.differences.join(" "), &other.differences.join(" ")))
    }
}
