//! Is a row better or worse than another, or can nobody know?

use std::fmt;

use super::metric::{Better, Metric};
use super::pairs::Pairs;
use super::row::Row;
use crate::stats::{self, ALPHA, Effect, Interval};
use crate::units::share;
use crate::verdict::Verdict;

/// An error rate may rise by so much, a tenth of a percentage point, before every other verdict is withheld.
const ERRORS_MORE: f64 = 0.001;
/// Why latencies of two rows are of different things.
const OTHER_MODEL: &str = "closed beside open model";
/// Why two rows that differ in nothing else are not judged by each other.
pub(super) const OTHER_MACHINE: &str = "another machine";
/// Keys of the load that may differ between two rows whose figures are still of the same load.
const SAME_LOAD: [&str; 4] = ["load.url", "load.workers", "load.seed", "load.drain"];

/// What can be said of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Judgement {
    /// Worse, by as much as is not tolerated.
    Regressed,
    /// Worse, by less.
    Worse,
    /// Better.
    Improved,
    /// Shown to differ by less than what is tolerated.
    Equivalent,
    /// None of these can be claimed. Never to be read as "no change".
    Inconclusive,
}

impl Judgement {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Regressed => "regressed",
            Self::Worse => "worse",
            Self::Improved => "improved",
            Self::Equivalent => "equivalent",
            Self::Inconclusive => "inconclusive",
        }
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One metric of a row held against that of its base.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The place of the base among [`super::Comparison::rows`].
    pub base: usize,
    /// The place of the row.
    pub row: usize,
    /// What is compared.
    pub metric: Metric,
    /// The row's value by the base's: of geometric means where there is an effect, else of medians. `None` for counts.
    pub ratio: Option<f64>,
    /// What chance may have to do with it. `None` with one run, for counts, and where runs show no spread to judge by.
    pub effect: Option<Effect>,
    /// By how much the share of errors rose, with 90% confidence. Only of counts of errors.
    pub errors: Option<Interval>,
    /// What can be said. `None` where the two are not to be judged by each other at all.
    pub judgement: Option<Judgement>,
    /// Why nothing, or nothing more, is said.
    pub why: Option<String>,
}

/// Two rows and what they may be held to.
pub(super) struct Pair<'a> {
    /// The base and its place.
    pub(super) base: (usize, &'a Row),
    /// What is held against it, and its place.
    pub(super) row: (usize, &'a Row),
    /// How much of a change of a metric counts, where it is not [`Metric::tolerance`].
    pub(super) tolerance: &'a dyn Fn(Metric) -> f64,
}

impl Pair<'_> {
    /// Everything that can be said of these metrics. Errors come last, and always where they are known.
    pub(super) fn differences(&self, metrics: &[Metric]) -> Vec<Difference> {
        let (base, row) = (self.base.1, self.row.1);
        if base.model() != row.model() {
            return vec![self.refused(metrics.first().copied().unwrap_or(Metric::Rps), OTHER_MODEL)];
        }
        let unfit = self.unfit();
        let errors = self.errors(unfit.as_deref());
        let errors_rose =
            errors.as_ref().is_some_and(|errors| errors.judgement == Some(Judgement::Regressed));
        // By the CPUs of one machine, a rate is the same rate: asked twice, Holm would make it harder to answer.
        let is_again = |metric| {
            let is_same_machine = base.fingerprint == row.fingerprint;
            metric == Metric::RpsPerCpu && is_same_machine && metrics.contains(&Metric::Rps)
        };
        let is_ratio = |metric: &Metric| !metric.is_count() && !is_again(*metric);
        let ratios: Vec<Metric> = metrics.iter().copied().filter(is_ratio).collect();
        let mut differences: Vec<Difference> = ratios.into_iter().map(|metric| self.ratio(metric)).collect();
        let p: Vec<f64> = differences.iter().filter_map(|it| it.effect.map(|effect| effect.p)).collect();
        let mut corrected = stats::holm(&p).into_iter();
        for difference in &mut differences {
            let corrected = difference.effect.and_then(|_| corrected.next());
            if let Some(unfit) = &unfit {
                (difference.judgement, difference.why) = (None, Some(unfit.clone()));
            } else if errors_rose {
                difference.judgement = None;
                difference.why = Some("errors rose: fast failures look like speed".into());
            } else if let Some((effect, corrected)) = difference.effect.zip(corrected) {
                let metric = difference.metric;
                let judgement = judge(metric.better(), (self.tolerance)(metric), &effect, corrected);
                difference.judgement = Some(judgement);
                difference.why = doubt(&effect, corrected);
            }
        }
        differences.extend(errors);
        differences
    }

    /// Why nothing can be said of the two at all.
    pub(super) fn incomparable(&self) -> Option<String> {
        let is_other_model = self.base.1.model() != self.row.1.model();
        if is_other_model { Some(OTHER_MODEL.into()) } else { self.unfit() }
    }

    /// Why the two are not to be judged by each other, whatever their figures say.
    fn unfit(&self) -> Option<String> {
        let (base, row) = (self.base.1, self.row.1);
        if !base.is_whole || !row.is_whole {
            return Some("not every run is whole and valid".into());
        }
        if base.verdict == Verdict::ClientLimited || row.verdict == Verdict::ClientLimited {
            return Some("the generator was the limit".into());
        }
        let is_load = |key: &&String| key.starts_with("load.") && !SAME_LOAD.contains(&key.as_str());
        let mut keys = base.config.keys().chain(row.config.keys()).filter(is_load);
        if let Some(other) = keys.find(|key| base.config.get(*key) != row.config.get(*key)) {
            return Some(format!("another load: {other}"));
        }
        (base.fingerprint != row.fingerprint).then(|| OTHER_MACHINE.to_owned())
    }

    fn refused(&self, metric: Metric, why: &str) -> Difference {
        Difference {
            base: self.base.0,
            row: self.row.0,
            metric,
            ratio: None,
            effect: None,
            errors: None,
            judgement: Some(Judgement::Inconclusive),
            why: Some(why.into()),
        }
    }

    /// A ratio and its effect, not yet judged: inconclusive until something more can be said.
    fn ratio(&self, metric: Metric) -> Difference {
        let (base, row) = (self.base.1, self.row.1);
        let (Some(before), Some(after)) = (base.values(metric), row.values(metric)) else {
            return self.refused(metric, "not known of every run");
        };
        let pairs = Pairs::of(base, row);
        let (before, after) = pairs.pick(&before, &after);
        if before.iter().chain(&after).any(|value| value.is_lower_bound) {
            return self.refused(metric, "a lower bound: requests were given up");
        }
        let numbers = |values: &[super::Value]| values.iter().map(|value| value.value).collect::<Vec<f64>>();
        let (before, after) = (numbers(&before), numbers(&after));
        if before.iter().chain(&after).any(|value| *value <= 0.0) {
            return self.refused(metric, "a run without any");
        }
        let effect = Effect::of(&before, &after, pairs.design);
        let medians = stats::median(&after).zip(stats::median(&before)).map(|(after, before)| after / before);
        let ratio = effect.map(|effect| effect.ratio).or(medians);
        let mut difference = Difference { ratio, effect, ..self.refused(metric, "") };
        let is_same = before.iter().chain(&after).all(|value| value.total_cmp(&before[0]).is_eq());
        (difference.judgement, difference.why) = match (&effect, is_same) {
            _ if before.len() < 2 || after.len() < 2 => {
                (Some(Judgement::Inconclusive), Some("one run cannot be told from noise".into()))
            }
            (Some(_), _) => (Some(Judgement::Inconclusive), None),
            (None, true) => (Some(Judgement::Equivalent), Some("the same value in every run".into())),
            (None, false) => (
                Some(Judgement::Inconclusive),
                Some("one value in all runs of each: no spread to judge by".into()),
            ),
        };
        difference
    }

    /// The share of errors: the gate before everything else.
    fn errors(&self, unfit: Option<&str>) -> Option<Difference> {
        let (base, row) = (self.base.1, self.row.1);
        let totals = |row: &Row| {
            let of_run = |run: &super::Repeat| Some((run.summary.errors?, run.summary.sent?));
            let runs: Vec<(u64, u64)> = row.runs.iter().map(of_run).collect::<Option<_>>()?;
            let (errors, sent) = runs.iter().fold((0, 0), |sum, run| (sum.0 + run.0, sum.1 + run.1));
            (sent > 0).then_some((errors, sent))
        };
        let (before, after) = (totals(base)?, totals(row)?);
        let interval = stats::difference_interval(before, after, 0.90);
        let mut difference = Difference { errors: Some(interval), ..self.refused(Metric::Errors, "") };
        difference.why = None;
        if let Some(unfit) = unfit {
            (difference.judgement, difference.why) = (None, Some(unfit.to_owned()));
        } else if base.runs.len() < 2 || row.runs.len() < 2 {
            difference.why = Some("one run cannot be told from noise".into());
        } else {
            let more = after.0 as f64 / after.1 as f64 - before.0 as f64 / before.1 as f64;
            let is_certain = stats::fisher(before, after) < ALPHA;
            difference.judgement = Some(match (is_certain, more) {
                (true, more) if more > ERRORS_MORE => Judgement::Regressed,
                (true, more) if more > 0.0 => Judgement::Worse,
                (true, _) => Judgement::Improved,
                _ if interval.low > -ERRORS_MORE && interval.high < ERRORS_MORE => Judgement::Equivalent,
                _ => Judgement::Inconclusive,
            });
        }
        Some(difference)
    }
}

/// The first that holds.
fn judge(better: Better, tolerance: f64, effect: &Effect, corrected: f64) -> Judgement {
    let is_worse = match better {
        Better::Higher => effect.ratio < 1.0,
        Better::Lower => effect.ratio > 1.0,
    };
    let band = 1.0 + tolerance;
    let is_large = effect.ratio >= band || effect.ratio <= 1.0 / band;
    let narrow = effect.interval(0.90);
    match (corrected < ALPHA, is_worse) {
        (true, true) if is_large => Judgement::Regressed,
        (true, true) => Judgement::Worse,
        (true, false) => Judgement::Improved,
        (false, _) if narrow.low >= 1.0 / band && narrow.high <= band => Judgement::Equivalent,
        (false, _) => Judgement::Inconclusive,
    }
}

/// What else there is to be said of a judged effect.
fn doubt(effect: &Effect, corrected: f64) -> Option<String> {
    if effect.is_contradicted() {
        let exact = effect.exact_p.unwrap_or(1.0);
        return Some(format!("the exact test disagrees: p {exact:.3}"));
    }
    (effect.p < ALPHA && corrected >= ALPHA)
        .then(|| format!("p {}, but several metrics were asked", share(effect.p)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Design;

    fn judged(better: Better, base: [f64; 5], by: f64, tolerance: f64) -> Judgement {
        let effect = Effect::of(&base, &base.map(|value| value * by), Design::Unpaired).unwrap();
        judge(better, tolerance, &effect, effect.p)
    }

    #[test]
    fn the_five_judgements() {
        let quiet = [1.0, 1.002, 0.998, 1.001, 0.999];
        let loud = [1.0, 1.2, 0.8, 1.1, 0.9];
        for (values, by, tolerance, lower, higher) in [
            (quiet, 1.10, 0.05, Judgement::Regressed, Judgement::Improved),
            (quiet, 1.02, 0.05, Judgement::Worse, Judgement::Improved),
            (quiet, 1.02, 0.01, Judgement::Regressed, Judgement::Improved),
            (quiet, 0.90, 0.05, Judgement::Improved, Judgement::Regressed),
            (quiet, 0.98, 0.05, Judgement::Improved, Judgement::Worse),
            (quiet, 1.000_1, 0.05, Judgement::Equivalent, Judgement::Equivalent),
            (loud, 1.10, 0.05, Judgement::Inconclusive, Judgement::Inconclusive),
            (loud, 1.0, 0.05, Judgement::Inconclusive, Judgement::Inconclusive),
        ] {
            assert_eq!(judged(Better::Lower, values, by, tolerance), lower, "{values:?} by {by}");
            assert_eq!(judged(Better::Higher, values, by, tolerance), higher, "{values:?} by {by}");
        }
    }
}
