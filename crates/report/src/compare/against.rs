//! Which row is the base of which, and how do differences look?

use std::collections::BTreeSet;

use super::judge::{Difference, Judgement, OTHER_MACHINE, Pair};
use super::list::percent;
use super::pivot::Pivot;
use super::{Comparison, Metric, Row};
use crate::stats;
use crate::table::{Align, Table, Tone};
use crate::units::one_line;

/// The column of judgements.
const VERDICT: &str = "verdict";

impl Comparison {
    /// What can be said of each measured row against its base: one entry for each metric.
    ///
    /// The base is the row of the baseline with the same scenario, where there is a baseline. Else it is looked for among the measured
    /// rows that stand before it, of its line in a table of rows and columns, and of its scenario in a list: the first by which it can
    /// be judged, or else the one that it has most in common with.
    pub fn differences(&self) -> Vec<Difference> {
        let measured = |(_, row): &(usize, &Row)| row.source.is_none();
        let rows: Vec<(usize, &Row)> = self.rows.iter().enumerate().filter(measured).collect();
        let mut differences = Vec::new();
        for &(place, row) in rows.iter().filter(|(_, row)| !row.is_baseline) {
            if let Some(base) = self.base_of(place, row, &rows) {
                let pair = Pair { base, row: (place, row), tolerance: &|metric| self.tolerance(metric) };
                differences.extend(pair.differences(&self.metrics));
            }
        }
        differences
    }

    /// The change of a metric that counts.
    pub fn tolerance(&self, metric: Metric) -> f64 {
        self.tolerances.get(&metric).copied().unwrap_or_else(|| metric.tolerance())
    }

    fn base_of<'a>(&self, place: usize, row: &Row, rows: &[(usize, &'a Row)]) -> Option<(usize, &'a Row)> {
        let whole = rows.iter().copied().filter(|(_, other)| other.is_whole);
        if rows.iter().any(|(_, row)| row.is_baseline) {
            let same_name = whole.filter(|(_, other)| other.is_baseline && other.scenario == row.scenario);
            // The nearest relative: the same machine counts more than any number of keys.
            return same_name.min_by_key(|(_, other)| {
                (other.fingerprint != row.fingerprint, config_distance(other, row))
            });
        }
        let mut before: Vec<(usize, &'a Row)> = match &self.pivot {
            Some(pivot) => {
                let line = pivot.line_of(row);
                let mut same: Vec<(usize, &'a Row)> =
                    whole.filter(|(_, other)| pivot.line_of(other) == line).collect();
                same.sort_by(|left, right| Pivot::order(&pivot.column_of(left.1), &pivot.column_of(right.1)));
                same
            }
            None => whole.filter(|(_, other)| other.scenario == row.scenario).collect(),
        };
        before.truncate(before.iter().position(|&(other, _)| other == place).unwrap_or(before.len()));
        let judges = |other: &(usize, &Row)| {
            let tolerance = &|metric: Metric| self.tolerance(metric);
            Pair { base: *other, row: (place, row), tolerance }.incomparable().is_none()
        };
        let nearest = before.iter().min_by_key(|(_, other)| config_distance(other, row));
        before.iter().find(|&other| judges(other)).or(nearest).copied()
    }

    /// The differences as a table. `None` where no row has a base.
    pub fn against(&self) -> Option<Table> {
        use Align::{Left, Right};
        // The names of a pair stand beside the first of its metrics alone.
        let titles = [
            ("row", Left),
            ("against", Left),
            ("metric", Left),
            ("ratio", Right),
            ("95% interval", Right),
            (VERDICT, Left),
            ("detectable", Right),
            ("runs needed", Right),
        ];
        let mut table = Table::new(titles);
        table.spare(&["runs needed", "against"]);
        let mut above: Option<(usize, usize)> = None;
        for difference in self.told() {
            let mut cells = self.cells_of(&difference);
            let pair = Some((difference.row, difference.base));
            if above == pair {
                cells[..2].fill(String::new());
            }
            above = pair;
            table.push(cells);
            let tone = match difference.judgement {
                Some(Judgement::Regressed) => Some(Tone::Bad),
                Some(Judgement::Worse) => Some(Tone::Doubtful),
                Some(Judgement::Improved) => Some(Tone::Good),
                Some(Judgement::Equivalent | Judgement::Inconclusive) | None => None,
            };
            if let Some(tone) = tone {
                table.tint_last(VERDICT, tone);
            }
        }
        for (metric, mean, rows) in self.geometric_means() {
            let dash = || "-".to_owned();
            let title = format!("geometric mean of {rows} rows");
            let ratio = format!("x{mean:.3}");
            table.push(vec![title, String::new(), metric.title(), ratio, dash(), dash(), dash(), dash()]);
        }
        (!table.is_empty()).then_some(table)
    }

    /// The differences that are told in words. Ratios of what cannot be judged by each other stand in the cells of a table of rows and
    /// columns, as far as they mean anything, and need no lines of their own.
    fn told(&self) -> Vec<Difference> {
        let mut differences = self.differences();
        if self.pivot.is_some() {
            let judged = differences.iter().filter(|it| it.judgement.is_some());
            let judged: BTreeSet<(usize, usize)> = judged.map(|it| (it.row, it.base)).collect();
            differences.retain(|it| judged.contains(&(it.row, it.base)));
        }
        differences
    }

    /// Of each metric, the geometric mean of its ratios over all rows that can be held against their bases, and how many they are: two
    /// at least. It has no verdict: rows may move in opposite directions, and each has its own.
    pub fn geometric_means(&self) -> Vec<(Metric, f64, usize)> {
        let differences = self.differences();
        let of = |metric: Metric| {
            let judged = differences.iter().filter(|it| it.metric == metric && it.judgement.is_some());
            let is_ratio = |ratio: &f64| *ratio > 0.0 && ratio.is_finite();
            let ratios: Vec<f64> = judged.filter_map(|it| it.ratio).filter(is_ratio).collect();
            let mean = stats::geometric_mean(&ratios).filter(|_| ratios.len() > 1)?;
            Some((metric, mean, ratios.len()))
        };
        self.metrics.iter().filter_map(|&metric| of(metric)).collect()
    }

    /// A difference in one line: `x0.905, 95% interval 0.899..0.911: regressed; tolerated 5%`.
    pub(super) fn said(&self, difference: &Difference) -> String {
        let cells = self.cells_of(difference);
        let mut parts = Vec::new();
        if difference.ratio.is_some() {
            parts.push(cells[3].clone());
        }
        if difference.effect.is_some() {
            parts.push(format!("95% interval {}", cells[4]));
        } else if difference.errors.is_some() {
            parts.push(format!("90% interval {}", cells[4]));
        }
        let figures = parts.join(", ");
        let tolerance = self.tolerance(difference.metric);
        let tolerated = if difference.ratio.is_some() {
            format!("; tolerated {}", percent(tolerance))
        } else {
            String::new()
        };
        if figures.is_empty() { cells[5].clone() } else { format!("{figures}: {}{tolerated}", cells[5]) }
    }

    fn cells_of(&self, difference: &Difference) -> Vec<String> {
        let Difference { metric, ratio, effect, errors, judgement, why, .. } = difference;
        let (row, base) = (&self.rows[difference.row], &self.rows[difference.base]);
        let dash = || "-".to_owned();
        let points = |share: f64| format!("{:+.2}", share * 100.0);
        let verdict = judgement.map_or_else(|| "not judged".to_owned(), |judgement| judgement.to_string());
        let mut interval = effect.map_or_else(dash, |effect| span(effect.interval(0.95)));
        if let Some(errors) = errors {
            interval = format!("{}..{} points", points(errors.low), points(errors.high));
        }
        vec![
            full_label(row),
            relative_label(base, row),
            metric.title(),
            ratio.map_or_else(dash, |ratio| format!("x{ratio:.3}")),
            interval,
            match why {
                Some(why) => format!("{verdict} ({why})"),
                None => verdict,
            },
            effect.map_or_else(dash, |effect| percent(effect.detectable())),
            effect.map_or_else(dash, |effect| format!("{:.0}", effect.runs_needed(self.tolerance(*metric)))),
        ]
    }

    /// What a reader must know of the table of differences.
    pub(super) fn notes_on_differences(&self) -> Vec<String> {
        let used = |metric: &&Metric| !metric.is_count();
        let tolerances: Vec<String> = self
            .metrics
            .iter()
            .filter(used)
            .map(|&metric| format!("{metric} {}", percent(self.tolerance(metric))))
            .collect();
        vec![
            format!(
                "a change counts as regressed from: {}; errors by 0.1 percentage points, and then nothing else is judged",
                tolerances.join(", ")
            ),
            "verdicts are by t on logarithms of runs (paired where they were interleaved), after Holm over the metrics of a pair"
                .into(),
            "detectable: the smallest change that so many runs with this spread show four times in five; runs needed: of each, \
             to show the tolerated one; inconclusive is not \"no change\""
                .into(),
        ]
    }

    /// What the ratios in the cells of a table of rows and columns are of. `None` where there are none.
    pub(super) fn note_on_cells(&self) -> Option<String> {
        let has_ratio = |it: &Difference| it.ratio.is_some() && it.means_something();
        (self.pivot.is_some() && self.differences().iter().any(has_ratio)).then(|| {
            "x in a cell: by the first cell of its line that it can be judged by, or else by the same load on another machine, and then \
             without a verdict"
                .to_owned()
        })
    }
}

impl Difference {
    /// Whether its ratio says something of the two: also where nothing but their machines differs.
    pub(super) fn means_something(&self) -> bool {
        self.judgement.is_some() || self.why.as_deref() == Some(OTHER_MACHINE)
    }
}

/// In how many keys two rows differ.
fn config_distance(left: &Row, right: &Row) -> usize {
    super::config::differing(&left.config, &right.config).len()
}

pub(super) fn span(interval: crate::stats::Interval) -> String {
    format!("{:.3}..{:.3}", interval.low, interval.high)
}

/// A row by name and machine.
pub(super) fn full_label(row: &Row) -> String {
    format!("{} on {}", row.label(), one_line(&row.machine))
}

/// The base in as few words as tell it from its row.
fn relative_label(base: &Row, row: &Row) -> String {
    let own: Vec<&str> =
        base.differences.iter().filter(|it| !row.differences.contains(it)).map(String::as_str).collect();
    let mut parts = Vec::new();
    if base.scenario != row.scenario || base.machine == row.machine && own.is_empty() {
        parts.push(base.label());
    } else if !own.is_empty() {
        parts.push(one_line(&own.join(", ")));
    }
    if base.machine != row.machine {
        parts.push(format!("on {}", one_line(&base.machine)));
    }
    parts.join(" ")
}
