//! How does throughput grow with the number of instances, and with that of CPUs?

use std::collections::BTreeMap;

use super::config::makes_a_difference;
use super::list::percent;
use super::pairs::Pairs;
use super::{Comparison, Metric, Row};
use crate::stats::usl::{self, Fit, LEAST_SIZES, Size};
use crate::stats::{self, Design, Effect, Interval};
use crate::summary::INSTANCES_KEY;
use crate::table::{Align, Table};
use crate::units::{one_line, rate};
use crate::verdict::Verdict;

impl Comparison {
    /// One sentence for each set of rows that differ in the number of instances alone, from four numbers on: the law, or why
    /// there is none.
    pub fn scaling(&self) -> Vec<String> {
        let told = self.sets().into_iter().filter(|(_, rows)| rows.len() >= LEAST_SIZES);
        let fitted = |rows: &[&Row]| {
            let sizes: Vec<Size> =
                rows.iter().filter_map(|row| Some(size_of(row, row.instances()?))).collect();
            usl::fit(&sizes)
        };
        told.map(|(set, rows)| match fitted(&rows) {
            Ok(fit) => format!("{set}, over the number of instances: {}", sentence(&fit)),
            Err(refusal) => format!("{set}, over the number of instances: {refusal}"),
        })
        .collect()
    }

    /// How many times as much more instances carry than the fewest of their set, and what part that is of what each would
    /// carry alone. `None` where no rows differ in the number of instances alone.
    pub fn speed_ups(&self) -> Option<Table> {
        use Align::{Left, Right};
        let titles = [("rows", Left), ("instances", Right), ("speed-up", Right), ("efficiency", Right)];
        let mut table = Table::new(titles);
        for (set, mut rows) in self.sets() {
            rows.sort_by_key(|row| row.instances());
            let Some((base, others)) = rows.split_first() else { continue };
            for row in others {
                // By the same runs as the judgement of the two.
                let pairs = Pairs::of(base, row);
                let (before, after) = pairs.pick(&throughputs(base), &throughputs(row));
                let ratio = ratio(&before, &after, pairs.design);
                let sizes = (base.instances().unwrap_or_default(), row.instances().unwrap_or_default());
                if let Some(cells) = grown(ratio, sizes) {
                    table.push([set.clone()].into_iter().chain(cells).collect());
                }
            }
        }
        (!table.is_empty()).then_some(table)
    }

    /// The same for one plan on machines with more CPUs: how many times as much it carries there as on the one with the fewest.
    /// `None` where no plan ran on machines of two sizes.
    pub fn larger_machines(&self) -> Option<Table> {
        use Align::{Left, Right};
        let titles =
            [("rows", Left), ("machines", Left), ("CPUs", Right), ("speed-up", Right), ("efficiency", Right)];
        let mut table = Table::new(titles);
        let mut plans: BTreeMap<_, Vec<(u64, &Row)>> = BTreeMap::new();
        for row in self.rows.iter().filter(|row| tells_scaling(row)) {
            // Of a target elsewhere nobody knows the CPUs.
            if let Some(cpus) = row.runs.first().and_then(|run| run.cpus) {
                plans.entry(plan_of(row)).or_default().push((cpus, row));
            }
        }
        for mut rows in plans.into_values() {
            rows.sort_by_key(|(cpus, _)| *cpus);
            let Some(((fewest, base), others)) = rows.split_first() else { continue };
            for (cpus, row) in others {
                let ratio = ratio(&throughputs(base), &throughputs(row), Design::Unpaired);
                if let Some(cells) = grown(ratio, (*fewest, *cpus)) {
                    let machines = one_line(&format!("{} to {}", base.machine, row.machine));
                    table.push([base.label(), machines].into_iter().chain(cells).collect());
                }
            }
        }
        (!table.is_empty()).then_some(table)
    }

    /// Rows that differ in the number of instances alone, by what they have in common.
    fn sets(&self) -> BTreeMap<String, Vec<&Row>> {
        let mut sets: BTreeMap<String, Vec<&Row>> = BTreeMap::new();
        for row in self.rows.iter().filter(|row| tells_scaling(row) && row.instances().is_some()) {
            sets.entry(set_of(row)).or_default().push(row);
        }
        sets
    }
}

fn size_of(row: &Row, size: u64) -> Size {
    Size { size: size as f64, throughputs: throughputs(row) }
}

fn throughputs(row: &Row) -> Vec<f64> {
    row.values(Metric::Rps).unwrap_or_default().iter().map(|value| value.value).collect()
}

/// What rows of one plan have in common, whatever machine they are of.
fn plan_of(row: &Row) -> (&str, bool, Vec<(&str, &str)>) {
    let keys = row.config.iter().filter(|(key, _)| makes_a_difference(key));
    (&row.scenario, row.is_baseline, keys.map(|(key, value)| (key.as_str(), value.as_str())).collect())
}

/// From which size to which, how many times as much the larger one carries, and what part that is of how many times as large it is.
/// `None` where it is no larger, or the ratio unknown.
fn grown(ratio: Option<(f64, Option<Interval>)>, (from, to): (u64, u64)) -> Option<[String; 3]> {
    let (speed_up, interval) = ratio.filter(|_| from > 0 && to > from)?;
    let more = to as f64 / from as f64;
    let span = |of: &dyn Fn(f64) -> String| {
        interval.map_or_else(String::new, |it| format!(" [{}..{}]", of(it.low), of(it.high)))
    };
    let (times, part) = (|by: f64| format!("{by:.2}"), |by: f64| percent(by / more));
    Some([
        format!("{from} to {to}"),
        format!("x{}{}", times(speed_up), span(&times)),
        format!("{}{}", part(speed_up), span(&part)),
    ])
}

/// The ratio of two sets of runs, with its 95% interval where there are runs enough.
fn ratio(base: &[f64], other: &[f64], design: Design) -> Option<(f64, Option<Interval>)> {
    if let Some(effect) = Effect::of(base, other, design) {
        return Some((effect.ratio, Some(effect.interval(0.95))));
    }
    let ratio = stats::median(other)? / stats::median(base)?;
    ratio.is_finite().then_some((ratio, None))
}

/// A generator that was the limit tells nothing of its target.
fn tells_scaling(row: &Row) -> bool {
    row.source.is_none() && row.is_whole && row.verdict != Verdict::ClientLimited
}

fn set_of(row: &Row) -> String {
    let instances = format!("{INSTANCES_KEY}=");
    let rest: Vec<&str> =
        row.differences.iter().map(String::as_str).filter(|it| !it.starts_with(&instances)).collect();
    let rest = if rest.is_empty() { String::new() } else { format!(" ({})", rest.join(", ")) };
    one_line(&format!("{}{rest} on {}", row.scenario, row.machine))
}

fn sentence(fit: &Fit) -> String {
    let span = |Interval { low, high }: Interval| format!("{low:.4}..{high:.4}");
    let waiting = if fit.law.sigma > 1.0 {
        "each waits for the others longer than it works".to_owned()
    } else {
        format!("{} of the work is done by one at a time", percent(fit.law.sigma))
    };
    let peak = match fit.law.peak().filter(|_| fit.has_peak()) {
        None => "no evidence of a peak".to_owned(),
        Some(size) if size <= 1.0 => "one carries the most, each further one takes away".to_owned(),
        Some(size) => match fit.predicted(size) {
            Some(most) => {
                format!("the most is about {} req/s, at {size:.0} instances, and more carry less", rate(most))
            }
            None => format!("the peak lies beyond {} times what was measured", usl::FURTHEST),
        },
    };
    format!(
        "one carries {} req/s, contention {:.4} ({}), crosstalk {:.5} ({}): {waiting}, {peak} (Universal Scalability Law, runs \
         weighted by their relative error)",
        rate(fit.law.lambda),
        fit.law.sigma,
        span(fit.sigma),
        fit.law.kappa,
        span(fit.kappa),
    )
}
