//! How do other programs read a comparison?

use serde_json::{Value, json};

use super::judge::Difference;
use super::{Comparison, Metric, Row};
use crate::summary::Model;

/// The schema of [`Comparison::json`]; the number rises when an old reader would misread a new one.
pub const COMPARISON_SCHEMA: &str = "loadgen.comparison/1";

/// The columns of [`Comparison::csv`].
const COLUMNS: [&str; 23] = [
    "scenario",
    "differences",
    "machine",
    "published",
    "shares_cpus",
    "generator",
    "metric",
    "unit",
    "runs",
    "median",
    "smallest",
    "largest",
    "lower_bound",
    "qualifier",
    "base",
    "ratio",
    "ratio_low",
    "ratio_high",
    "p",
    "exact_p",
    "detectable",
    "verdict",
    "why",
];

impl Comparison {
    /// A line for each row and metric, under a line of titles. What is not known is empty.
    pub fn csv(&self) -> String {
        let differences = self.differences();
        let mut text = COLUMNS.join(",") + "\n";
        for (place, row) in self.rows.iter().enumerate() {
            for &metric in &self.metrics {
                let found = differences.iter().find(|it| it.row == place && it.metric == metric);
                let cells = self.csv_cells(row, metric, found);
                text += &cells.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(",");
                text.push('\n');
            }
        }
        text
    }

    fn csv_cells(&self, row: &Row, metric: Metric, difference: Option<&Difference>) -> Vec<String> {
        let number = |number: Option<f64>| number.map_or_else(String::new, |number| number.to_string());
        let median = row.median(metric);
        let effect = difference.and_then(|it| it.effect);
        let interval = effect.map(|effect| effect.interval(0.95));
        vec![
            row.scenario.clone(),
            row.differences.join(", "),
            row.machine.clone(),
            row.source.is_some().to_string(),
            row.shares_cpus.to_string(),
            generator(row).unwrap_or_default().to_owned(),
            metric.to_string(),
            metric.unit().to_owned(),
            row.runs.len().to_string(),
            number(median.map(|median| median.value)),
            number(median.map(|median| median.smallest)),
            number(median.map(|median| median.largest)),
            median.map_or_else(String::new, |median| median.is_lower_bound.to_string()),
            median.and_then(|_| row.qualifier(metric)).unwrap_or_default().to_owned(),
            difference.map_or_else(String::new, |it| super::against::full_label(&self.rows[it.base])),
            number(difference.and_then(|it| it.ratio)),
            number(interval.map(|interval| interval.low)),
            number(interval.map(|interval| interval.high)),
            number(effect.map(|effect| effect.p)),
            number(effect.and_then(|effect| effect.exact_p)),
            number(effect.map(|effect| effect.detectable())),
            verdict(difference).unwrap_or_default().to_owned(),
            difference.and_then(|it| it.why.clone()).unwrap_or_default(),
        ]
    }

    /// Everything as one JSON object: rows, and what is said of them against their bases. What is not known is null.
    pub fn json(&self) -> String {
        let rows: Vec<Value> = self.rows.iter().map(|row| self.json_row(row)).collect();
        let differences: Vec<Value> = self.differences().iter().map(|it| self.json_difference(it)).collect();
        let sources: Vec<Value> = self
            .sources
            .iter()
            .map(|source| {
                let notes: Vec<&str> = source.notes.iter().map(|note| note.text.as_str()).collect();
                json!({"title": source.title, "tool": source.tool, "notes": notes})
            })
            .collect();
        let means: serde_json::Map<String, Value> = self
            .geometric_means()
            .into_iter()
            .map(|(metric, ratio, rows)| (metric.to_string(), json!({"ratio": ratio, "rows": rows})))
            .collect();
        let value = json!({
            "schema": COMPARISON_SCHEMA,
            "common": self.common(),
            "rows": rows,
            "differences": differences,
            "geometric_means": means,
            "sources": sources,
            "notes": self.notes,
        });
        format!("{value:#}\n")
    }

    fn json_row(&self, row: &Row) -> Value {
        let metrics: serde_json::Map<String, Value> = self
            .metrics
            .iter()
            .map(|&metric| {
                let said = row.median(metric).map(|median| {
                    let values: Vec<f64> =
                        row.values(metric).unwrap_or_default().iter().map(|v| v.value).collect();
                    json!({
                        "unit": metric.unit(),
                        "median": median.value,
                        "median_low": median.interval.map(|interval| interval.low),
                        "median_high": median.interval.map(|interval| interval.high),
                        "lower_bound": median.is_lower_bound,
                        "values": values,
                    })
                });
                (metric.to_string(), said.unwrap_or(Value::Null))
            })
            .collect();
        json!({
            "scenario": row.scenario,
            "differences": row.differences,
            "machine": row.machine,
            "fingerprint": row.fingerprint,
            "cpus": row.cpus,
            "instances": row.instances(),
            "connections": row.connections(),
            "model": row.model().map(|model| match model {
                Model::Closed => "closed",
                Model::Open => "open",
            }),
            "config": row.config,
            "source": row.source,
            "baseline": row.is_baseline,
            "shares_cpus": row.shares_cpus,
            "generator": generator(row),
            "rps_qualifier": row.runs.first().and_then(|run| run.summary.rps_qualifier.as_ref()),
            "runs": row.runs.len(),
            "metrics": metrics,
        })
    }

    fn json_difference(&self, difference: &Difference) -> Value {
        let Difference { base, row, metric, ratio, effect, errors, why, .. } = difference;
        let interval = effect.map(|effect| effect.interval(0.95));
        let tolerance = self.tolerance(*metric);
        json!({
            "row": row,
            "base": base,
            "metric": metric.to_string(),
            "ratio": ratio,
            "ratio_low": interval.map(|interval| interval.low),
            "ratio_high": interval.map(|interval| interval.high),
            "design": effect.map(|effect| match effect.design {
                crate::stats::Design::Paired => "paired",
                crate::stats::Design::Unpaired => "unpaired",
            }),
            "p": effect.map(|effect| effect.p),
            "exact_p": effect.and_then(|effect| effect.exact_p),
            "detectable": effect.map(|effect| effect.detectable()),
            "runs_needed": effect.map(|effect| effect.runs_needed(tolerance)),
            "error_share_low": errors.map(|errors| errors.low),
            "error_share_high": errors.map(|errors| errors.high),
            "tolerance": (!metric.is_count()).then_some(tolerance),
            "verdict": verdict(Some(difference)),
            "why": why,
        })
    }
}

/// Whether the figures are those of the generator. `None`: nobody knows.
fn generator(row: &Row) -> Option<&'static str> {
    row.source.is_none().then(|| row.verdict.name())
}

fn verdict(difference: Option<&Difference>) -> Option<&'static str> {
    difference.map(|it| it.judgement.map_or("not judged", super::Judgement::name))
}

/// A cell of CSV. One that a spreadsheet would take for a formula is told to be text.
fn quoted(cell: &str) -> String {
    let is_formula =
        cell.starts_with(['=', '+', '@']) || cell.starts_with('-') && cell.parse::<f64>().is_err();
    let cell = if is_formula { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stay_cells() {
        for (cell, expected) in [
            ("a", "a"),
            ("a,b", "\"a,b\""),
            ("a\"b", "\"a\"\"b\""),
            ("=1+1", "'=1+1"),
            ("-0.5", "-0.5"),
            ("-x", "'-x"),
        ] {
            assert_eq!(quoted(cell), expected);
        }
    }
}
