//! What are the derived numbers? Computed here and nowhere else.

mod target;
mod usage;

use std::collections::{BTreeMap, BTreeSet};

pub use self::target::{Spent, TargetTimes};
pub use self::usage::{InstanceUse, TargetUse};
use crate::document::{Document, FailureKind, Figures, Latencies, Named, Run};
use crate::histogram::{Distribution, Histogram, Percentile};

/// The configuration key whose presence makes a run an open one.
pub const RATE_KEY: &str = "load.rate";
/// The key of a load in stages; it too makes the load an open one.
pub const STAGES_KEY: &str = "load.stages";
/// The key of a paced closed load.
pub const RATE_PER_CONNECTION_KEY: &str = "load.rate_per_connection";
/// The configuration key of the number of connections.
pub const CONNECTIONS_KEY: &str = "load.connections";
/// The key of the requests at a time on a connection, where they are more than one.
pub const STREAMS_KEY: &str = "load.streams";
/// The configuration key of the number of server processes.
pub const INSTANCES_KEY: &str = "target.instances";

/// Where a plan says how its target misbehaves on purpose; empty or absent where it does not.
pub const FAULTS_KEY: &str = "target.faults";

/// hey keeps the results of so many answered requests, and leaves the rest out of everything but its rate.
pub(crate) const HEY_RESULTS: u64 = 1_000_000;

/// How requests were released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// Each connection sends its next request when the last one is answered. The latency is the service time.
    Closed,
    /// Requests are due on a schedule fixed before the run. The latency is the response time, from the due time.
    Open,
}

/// Everything that can be said of one document in single numbers. What its source does not know is `None`, never zero.
#[derive(Debug, Clone)]
pub struct Summary {
    /// How requests were released.
    pub model: Option<Model>,
    /// What only the open model has.
    pub open: Option<OpenModel>,
    /// Answers inside the window per second of the window.
    pub rps: Option<f64>,
    /// Requests per second as hey defines it: everything that ended, failures included, by the whole time.
    pub rps_hey: Option<f64>,
    /// In what sense the rate is rough: `about`, `more than`. `None` for an exact one.
    pub rps_qualifier: Option<String>,
    /// Seconds from time zero to the end of the last request.
    pub total_s: Option<f64>,
    /// Requests begun.
    pub sent: Option<u64>,
    /// Requests that got a complete answer, whatever its status.
    pub answered: Option<u64>,
    /// HTTP errors (400 and above), answers that failed a check, failures, timeouts and aborted requests.
    pub errors: Option<u64>,
    /// Requests not answered within the request timeout.
    pub timeouts: Option<u64>,
    /// Errors by requests sent, 0 to 1.
    pub error_rate: Option<f64>,
    /// Answers by status code. Empty when none is known.
    pub status: BTreeMap<u16, u64>,
    /// The latency distribution: answered requests, and unanswered ones as lower bounds.
    pub latency: Latency,
    /// The distribution of answered requests alone, for the histogram of bars.
    pub answered_latency: Option<Histogram>,
    /// Where the time of answered requests went. `None` for published figures.
    pub phases: Option<Phases>,
    /// Bytes of answers' bodies.
    pub body_bytes: Option<u64>,
    /// The places of the plan (`-c N`).
    pub connections: Option<u64>,
    /// Server processes of the target.
    pub instances: Option<u64>,
    /// The requests of a mix by name. Empty where there was none.
    pub requests: Vec<Request>,
    /// Where the time went inside the target. `None` where its instances did not tell.
    pub target: Option<TargetTimes>,
    /// What the target used of its machine. `None` where nobody watched.
    pub usage: Option<TargetUse>,
}

/// The requests of one name.
#[derive(Debug, Clone)]
pub struct Request {
    /// The name.
    pub name: String,
    /// Requests begun.
    pub sent: u64,
    /// Of them, everything that did not get a good answer.
    pub errors: u64,
    /// Bytes of its answers' bodies.
    pub body_bytes: u64,
    /// Its latencies: answered ones, and those given up as lower bounds.
    pub latency: Latency,
}

impl Request {
    fn of(named: &Named, further: &[Percentile]) -> Self {
        Self {
            name: named.name.clone(),
            sent: named.sent,
            errors: named.errors(),
            body_bytes: named.body_read,
            latency: Latency::of_pair((&named.answered, &named.censored), 0, further),
        }
    }
}

/// A latency distribution in numbers.
#[derive(Debug, Clone, Default)]
pub struct Latency {
    /// Samples: answered and censored ones.
    pub count: Option<u64>,
    /// Of them, requests that were given up: their values are lower bounds.
    pub censored: u64,
    /// The smallest value, exact.
    pub fastest_ns: Option<u64>,
    /// The largest value, exact. A lower bound when `censored` is not zero.
    pub slowest_ns: Option<u64>,
    /// The mean, exact. A lower bound when `censored` is not zero.
    pub average_ns: Option<f64>,
    /// The percentiles known, ascending.
    pub quantiles: Vec<Quantile>,
    /// The distribution itself, where there is one.
    pub histogram: Option<Histogram>,
}

/// The value at one percentile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantile {
    /// Which one.
    pub percentile: Percentile,
    /// Its value by nearest rank.
    pub value_ns: u64,
    /// Whether the true value is this or larger, because requests were given up.
    pub is_lower_bound: bool,
    /// Whether the sample is large enough to say anything about it. Only hey's block prints the others.
    pub is_supported: bool,
}

/// The parts of a request's time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Phases {
    /// Name look-up, dial and TLS, over all answered requests: zero for those on a kept connection.
    pub connect: Phase,
    /// Name look-up alone, over all answered requests.
    pub dns: Phase,
    /// Writing the request.
    pub write: Phase,
    /// From the last byte written to the first byte read.
    pub wait: Phase,
    /// Reading the answer.
    pub read: Phase,
}

/// One part of a request's time; zero where there were no requests.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Phase {
    /// The mean.
    pub average_ns: f64,
    /// The smallest value.
    pub fastest_ns: u64,
    /// The largest value.
    pub slowest_ns: u64,
}

/// Where the response time of the open model goes, beside the target. `None` where the sample is too small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpenModel {
    /// From the first byte written to the last byte read, median.
    pub service_p50_ns: Option<u64>,
    /// The same, 99th percentile.
    pub service_p99_ns: Option<u64>,
    /// Waiting for a free connection after the due time, 99th percentile.
    pub queue_p99_ns: Option<u64>,
    /// The generator's own lateness, 99th percentile.
    pub lag_p99_ns: Option<u64>,
}

impl OpenModel {
    fn of(run: &Run) -> Self {
        let at = |distribution: &crate::histogram::Distribution, percentile: Percentile| {
            let histogram = distribution.to_histogram().ok()?;
            histogram.value_at(percentile).filter(|_| percentile.is_supported_by(histogram.count()))
        };
        Self {
            service_p50_ns: at(&run.latencies.service, Percentile::P50),
            service_p99_ns: at(&run.latencies.service, Percentile::P99),
            queue_p99_ns: at(&run.latencies.queue, Percentile::P99),
            lag_p99_ns: at(&run.latencies.lag, Percentile::P99),
        }
    }
}

impl Summary {
    /// Derives the numbers of a document.
    pub fn of(document: &Document) -> Self {
        Self::with(document, &[])
    }

    /// The same with further percentiles, where the document can tell them.
    pub fn with(document: &Document, further: &[Percentile]) -> Self {
        match document {
            Document::Run(run) => Self::of_run(run, further),
            Document::Figures(figures) => Self::of_figures(figures),
        }
    }

    /// Requests per second: our definition where it is known, else hey's.
    pub fn rate(&self) -> Option<f64> {
        self.rps.or(self.rps_hey)
    }

    fn of_run(run: &Run, further: &[Percentile]) -> Self {
        let account = &run.account;
        let ended = account.answered() + account.failed + account.timeout + account.aborted;
        let model = model_of(&run.config).unwrap_or(Model::Closed);
        Self {
            model: Some(model),
            open: (model == Model::Open).then(|| OpenModel::of(run)),
            rps: match &run.merged {
                Some(merged) => merged.rate(),
                None => per_second(account.answered_in_window, run.window.measured_ns),
            },
            rps_hey: per_second(ended, run.window.wall_ns),
            rps_qualifier: None,
            total_s: Some(seconds(run.window.wall_ns)),
            sent: Some(account.sent),
            answered: Some(account.answered()),
            errors: Some(account.errors()),
            timeouts: Some(account.timeout),
            error_rate: ratio(account.errors(), account.sent),
            status: run.status.clone(),
            latency: Latency::of_run(&run.latencies, run.account.unsent, further),
            answered_latency: run.latencies.answered.to_histogram().ok(),
            phases: Some(Phases::of(run)),
            body_bytes: Some(run.bytes.body_read - run.bytes.unanswered_body_read.min(run.bytes.body_read)),
            connections: Some(run.connections.slots),
            instances: number(&run.config, INSTANCES_KEY)
                .or_else(|| u64::try_from(run.instances.len()).ok().filter(|&instances| instances > 0)),
            requests: run.requests.iter().map(|named| Request::of(named, further)).collect(),
            target: TargetTimes::of(&run.instances),
            usage: TargetUse::of(run),
        }
    }

    fn of_figures(figures: &Figures) -> Self {
        let kept: Option<u64> = (!figures.status.is_empty()).then(|| figures.status.values().sum());
        let http_error: u64 = figures.status.range(400..).map(|(_, count)| count).sum();
        let is_hey = figures.tool == "hey";
        // What hey keeps no more of was answered or failed: nobody knows.
        let answered = kept.filter(|&kept| !is_hey || kept < HEY_RESULTS);
        let sent = if is_hey { hey_requests(figures) } else { None };
        let errors = match (sent, answered) {
            (Some(sent), Some(answered)) if sent >= answered => Some(sent - answered + http_error),
            _ => None,
        };
        Self {
            model: model_of(&figures.config),
            open: None,
            rps: figures.rps.filter(|_| !is_hey),
            rps_hey: figures.rps.filter(|_| is_hey),
            rps_qualifier: figures.rps_qualifier.clone(),
            total_s: figures.total_s,
            sent,
            answered,
            errors,
            timeouts: figures.timeouts.or(errors.filter(|&errors| errors == 0)),
            error_rate: errors.zip(sent).and_then(|(errors, sent)| ratio(errors, sent)),
            status: figures.status.clone(),
            latency: Latency::of_figures(figures, kept),
            answered_latency: None,
            phases: None,
            body_bytes: None,
            connections: number(&figures.config, CONNECTIONS_KEY),
            instances: number(&figures.config, INSTANCES_KEY),
            requests: Vec::new(),
            target: None,
            usage: None,
        }
    }
}

/// A percentile moves by more than this share, or it is not called a lower bound.
const BOUND_SHARE: f64 = 0.01;

/// Whether a percentile is only a lower bound: whether it would be larger had every request that was given up never
/// been answered at all. `worst` is what it would be then; `None`: endless.
fn is_bound(value_ns: u64, worst: Option<u64>) -> bool {
    worst.is_none_or(|worst| worst as f64 > value_ns as f64 * (1.0 + BOUND_SHARE))
}

impl Latency {
    /// The value at a percentile, where it is known.
    pub fn at(&self, percentile: Percentile) -> Option<&Quantile> {
        self.quantiles.iter().find(|quantile| quantile.percentile == percentile)
    }

    /// The lowest of the computed percentiles that is only a lower bound.
    pub fn first_lower_bound(&self) -> Option<Percentile> {
        self.quantiles.iter().find(|quantile| quantile.is_lower_bound).map(|quantile| quantile.percentile)
    }

    /// `unsent`: how many of the censored ones were never sent. They bound the others, and support nothing.
    fn of_run(latencies: &Latencies, unsent: u64, further: &[Percentile]) -> Self {
        Self::of_pair((&latencies.answered, &latencies.censored), unsent, further)
    }

    fn of_pair(
        (answered, censored): (&Distribution, &Distribution),
        unsent: u64,
        further: &[Percentile],
    ) -> Self {
        // Documents from `store` have readable histograms; of any other, nothing is known rather than something wrong.
        let (Ok(answered), Ok(censored)) = (answered.to_histogram(), censored.to_histogram()) else {
            return Self::default();
        };
        let fastest_ns = answered.min().or(censored.min());
        let mut all = answered.clone();
        all.merge(&censored);
        let samples = all.count().saturating_sub(unsent);
        let percentiles: BTreeSet<_> = Percentile::REPORTED.iter().chain(further).copied().collect();
        let quantile = |percentile| {
            let value_ns = all.value_at(percentile)?;
            Some(Quantile {
                percentile,
                value_ns,
                is_lower_bound: is_bound(value_ns, answered.at_rank(percentile.rank(all.count()))),
                is_supported: percentile.is_supported_by(samples),
            })
        };
        Self {
            count: Some(samples),
            censored: censored.count(),
            fastest_ns,
            slowest_ns: all.max(),
            average_ns: all.mean(),
            quantiles: percentiles.into_iter().filter_map(quantile).collect(),
            histogram: Some(all),
        }
    }

    /// What a tool printed rests on the requests it got answered; where their number is unknown, it is believed.
    fn of_figures(figures: &Figures, answered: Option<u64>) -> Self {
        let quantile = |(percent, &value): (&String, &f64)| {
            let percentile = Percentile::from_percent(percent.parse().ok()?)?;
            Some(Quantile {
                percentile,
                value_ns: to_nanos(value)?,
                is_lower_bound: false,
                is_supported: answered.is_none_or(|count| percentile.is_supported_by(count)),
            })
        };
        let mut quantiles: Vec<Quantile> = figures.percentiles_s.iter().filter_map(quantile).collect();
        quantiles.sort_by_key(|quantile| quantile.percentile);
        Self {
            count: answered,
            censored: 0,
            fastest_ns: figures.fastest_s.and_then(to_nanos),
            slowest_ns: figures.slowest_s.and_then(to_nanos),
            average_ns: figures.average_s.map(|average| average * 1e9),
            quantiles,
            histogram: None,
        }
    }
}

impl Phases {
    fn of(run: &Run) -> Self {
        let latencies = &run.latencies;
        let answered = latencies.answered.count;
        // A request on a kept connection spends no time connecting, and counts as zero: hey does the same.
        let dialled = |distribution: &Distribution| Phase {
            average_ns: ratio(distribution.sum_ns, answered).unwrap_or(0.0),
            fastest_ns: if run.connections.reused > 0 { 0 } else { distribution.min_ns },
            slowest_ns: distribution.max_ns,
        };
        let plain = |distribution: &Distribution| Phase {
            average_ns: distribution.mean_ns().unwrap_or(0.0),
            fastest_ns: distribution.min_ns,
            slowest_ns: distribution.max_ns,
        };
        Self {
            connect: dialled(&latencies.connect),
            dns: dialled(&latencies.dns),
            write: plain(&latencies.write),
            wait: plain(&latencies.wait),
            read: plain(&latencies.read),
        }
    }
}

/// Requests that did not end well, as rows of an error table: by kind, with timeouts and aborted ones among them.
///
/// Sorted by name. Kinds that did not occur are left out.
pub fn unanswered(run: &Run) -> Vec<(&'static str, u64)> {
    let failures = run.failures.iter().map(|(kind, record): (&FailureKind, _)| (kind.name(), record.count));
    let mut rows: Vec<_> = failures
        .chain([("timeout", run.account.timeout), ("aborted", run.account.aborted)])
        .filter(|&(_, count)| count > 0)
        .collect();
    rows.sort_unstable();
    rows
}

/// How many requests hey counted. It prints their rate with four decimals, so the product is exact for all but the
/// longest runs; where the rounding could shift it, nothing is said.
fn hey_requests(figures: &Figures) -> Option<u64> {
    let (rps, total) = (figures.rps?, figures.total_s?);
    let rounding = 0.000_05 * (rps + total);
    let product = rps * total;
    let whole = product.round();
    if figures.rps_qualifier.is_some() || rounding >= 0.5 || (product - whole).abs() > rounding {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a product of two positive numbers"
    )]
    Some(whole as u64)
}

fn model_of(config: &BTreeMap<String, String>) -> Option<Model> {
    if config.contains_key(RATE_KEY) || config.contains_key(STAGES_KEY) {
        Some(Model::Open)
    } else {
        config.contains_key(CONNECTIONS_KEY).then_some(Model::Closed)
    }
}

fn number(config: &BTreeMap<String, String>, key: &str) -> Option<u64> {
    config.get(key)?.parse().ok()
}

fn per_second(count: u64, ns: u64) -> Option<f64> {
    (ns > 0).then(|| count as f64 / seconds(ns))
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

fn to_nanos(seconds: f64) -> Option<u64> {
    let ns = (seconds * 1e9).round();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be a positive number"
    )]
    (ns >= 0.0 && ns.is_finite()).then_some(ns as u64)
}
