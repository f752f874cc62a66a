//! How does throughput grow with the number of instances?

use std::collections::BTreeMap;

use super::list::percent;
use super::{Comparison, Metric, Row};
use crate::stats::usl::{self, Fit, LEAST_SIZES, Size};
use crate::stats::{self, Design, Effect, Interval};
use crate::summary::INSTANCES_KEY;
use crate::table::{Align, Table};
use crate::units::{one_line, rate};
use crate::verdict::Verdict;

/// A crosstalk whose interval begins lower is none that could be shown.
const NO_CROSSTALK: f64 = 1e-9;

impl Comparison {
    /// One sentence for each set of rows that differ in the number of instances alone, from four numbers on: the law, or why
    /// there is none.
    pub fn scaling(&self) -> Vec<String> {
        let told = self.sets().into_iter().filter(|(_, sizes)| sizes.len() >= LEAST_SIZES);
        told.map(|(set, sizes)| match usl::fit(&sizes) {
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
        for (set, mut sizes) in self.sets() {
            sizes.sort_by(|left, right| left.size.total_cmp(&right.size));
            let Some((base, others)) = sizes.split_first().filter(|(base, _)| base.size > 0.0) else {
                continue;
            };
            for size in others.iter().filter(|size| size.size > base.size) {
                if let Some((speed_up, interval)) = ratio(&base.throughputs, &size.throughputs) {
                    let more = size.size / base.size;
                    let span = |of: &dyn Fn(f64) -> String| {
                        interval.map_or_else(String::new, |it| format!(" [{}..{}]", of(it.low), of(it.high)))
                    };
                    let (times, part) = (|by: f64| format!("{by:.2}"), |by: f64| percent(by / more));
                    table.push(vec![
                        set.clone(),
                        format!("{} to {}", base.size, size.size),
                        format!("x{}{}", times(speed_up), span(&times)),
                        format!("{}{}", part(speed_up), span(&part)),
                    ]);
                }
            }
        }
        (!table.is_empty()).then_some(table)
    }

    /// Rows that differ in the number of instances alone, by what they have in common.
    fn sets(&self) -> BTreeMap<String, Vec<Size>> {
        let mut sets: BTreeMap<String, Vec<Size>> = BTreeMap::new();
        for row in self.rows.iter().filter(|row| tells_scaling(row)) {
            let values = row.values(Metric::Rps).unwrap_or_default();
            let size = Size {
                size: row.instances().unwrap_or_default() as f64,
                throughputs: values.iter().map(|value| value.value).collect(),
            };
            sets.entry(set_of(row)).or_default().push(size);
        }
        sets
    }
}

/// The ratio of two sets of runs, with its 95% interval where there are runs enough.
fn ratio(base: &[f64], other: &[f64]) -> Option<(f64, Option<Interval>)> {
    if let Some(effect) = Effect::of(base, other, Design::Unpaired) {
        return Some((effect.ratio, Some(effect.interval(0.95))));
    }
    let ratio = stats::median(other)? / stats::median(base)?;
    ratio.is_finite().then_some((ratio, None))
}

/// A generator that was the limit tells nothing of its target.
fn tells_scaling(row: &Row) -> bool {
    row.source.is_none() && row.is_whole && row.verdict != Verdict::ClientLimited && row.instances().is_some()
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
    let peak = match fit.law.peak().filter(|_| fit.kappa.low > NO_CROSSTALK) {
        None => "no evidence of a peak".to_owned(),
        Some(size) => match fit.predicted(size) {
            Some(most) => format!("the most is about {} req/s, at {size:.0} instances", rate(most)),
            None => format!("the peak lies beyond {} times what was measured", usl::FURTHEST),
        },
    };
    format!(
        "one carries {} req/s, contention {:.4} ({}), crosstalk {:.5} ({}); {peak} (Universal Scalability Law, runs \
         weighted by their relative error)",
        rate(fit.law.lambda),
        fit.law.sigma,
        span(fit.sigma),
        fit.law.kappa,
        span(fit.kappa),
    )
}
