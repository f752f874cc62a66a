//! k6's summary, in milliseconds: of `--summary-export`, or the data that a script's `handleSummary` gets. There, the values of a metric
//! lie one level deeper.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::json::parsed;
use super::{ImportError, blank, duration, percentile, shifted};
use crate::document::Figures;

/// Of all that k6 writes, what figures hold.
#[derive(Deserialize)]
struct Report {
    metrics: BTreeMap<String, Map<String, Value>>,
    state: Option<State>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct State {
    test_run_duration_ms: f64,
}

impl Report {
    /// A number of a metric, whichever form it has.
    fn number(&self, metric: &str, key: &str) -> Option<f64> {
        self.values(metric)?.get(key)?.as_f64().filter(|number| number.is_finite())
    }

    fn values(&self, metric: &str) -> Option<&Map<String, Value>> {
        let metric = self.metrics.get(metric)?;
        metric.get("values").map_or(Some(metric), Value::as_object)
    }
}

pub(super) fn read_json(value: Value) -> Result<Figures, ImportError> {
    let missing = |label| ImportError::Missing { tool: "k6", label };
    let report: Report = parsed(value, "k6")?;
    let mut figures = blank("k6");
    figures.rps = Some(report.number("http_reqs", "rate").ok_or_else(|| missing("http_reqs"))?);
    let requests = report.number("http_reqs", "count").ok_or_else(|| missing("http_reqs"))?;
    figures.total_s = duration(report.state.as_ref().map(|state| shifted(state.test_run_duration_ms, 3)));
    let latencies = report.values("http_req_duration").ok_or_else(|| missing("http_req_duration"))?;
    for (name, ms) in latencies {
        let at = duration(ms.as_f64().map(|ms| shifted(ms, 3)));
        match name.as_str() {
            "min" => figures.fastest_s = at,
            "max" => figures.slowest_s = at,
            "avg" => figures.average_s = at,
            "med" => figures.percentiles_s.extend(at.map(|at| ("50".to_owned(), at))),
            _ => {
                let percent = name.strip_prefix("p(").and_then(|rest| percentile(rest.strip_suffix(')')?));
                figures.percentiles_s.extend(percent.zip(at));
            }
        }
    }
    // Of a rate, what k6 calls `passes` is how often it was true: here, how many requests failed.
    let failed = report.number("http_req_failed", "passes");
    figures.timeouts = failed.filter(|failed| *failed == 0.0).map(|_| 0);
    figures.notes = vec![
        "Latencies are k6's http_req_duration: sending, waiting and receiving, without connecting; requests that failed are in all figures.".into(),
    ];
    if let Some(failed) = failed {
        figures.notes.push(format!(
            "{failed} of {requests} requests failed: no answer, or another status than the script expects (200 to 399 unless it says)."
        ));
    }
    let users = report.number("vus_max", "max").or(report.number("vus_max", "value"));
    if let Some(users) = users {
        figures.notes.push(format!("{users} virtual users at most, each with connections of its own."));
    }
    if let Some(dropped) = report.number("dropped_iterations", "count").filter(|dropped| *dropped > 0.0) {
        figures.notes.push(format!("{dropped} iterations that were due were never begun."));
    }
    Ok(figures)
}
