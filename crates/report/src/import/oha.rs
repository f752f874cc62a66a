//! oha's JSON. Times are seconds; what it does not know is null, and so absent.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::json::parsed;
use super::{ImportError, blank, duration, percentile};
use crate::document::Figures;

/// Of all that oha writes, what figures hold.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    summary: Summary,
    latency_percentiles: BTreeMap<String, Option<f64>>,
    #[serde(default)]
    status_code_distribution: BTreeMap<u16, u64>,
    #[serde(default)]
    error_distribution: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    total: Option<f64>,
    slowest: Option<f64>,
    fastest: Option<f64>,
    average: Option<f64>,
    requests_per_sec: Option<f64>,
}

/// What oha calls requests under way when its time is up: no error of the server's.
const CUT_OFF: &str = "aborted due to deadline";

pub(super) fn read(value: Value) -> Result<Figures, ImportError> {
    let report: Report = parsed(value, "oha")?;
    let mut figures = blank("oha");
    figures.rps = report.summary.requests_per_sec.filter(|rate| rate.is_finite());
    figures.total_s = duration(report.summary.total);
    figures.slowest_s = duration(report.summary.slowest);
    figures.fastest_s = duration(report.summary.fastest);
    figures.average_s = duration(report.summary.average);
    let percentiles = report.latency_percentiles.into_iter();
    figures.percentiles_s = percentiles
        .filter_map(|(name, at)| Some((percentile(name.strip_prefix('p')?)?, duration(at)?)))
        .collect();
    figures.status = report.status_code_distribution;
    let errors = &report.error_distribution;
    let is_timeout = |message: &str| message.contains("timeout") || message.contains("timed out");
    figures.timeouts =
        Some(errors.iter().filter(|(message, _)| is_timeout(message)).map(|(_, count)| count).sum());
    figures.notes.push("Percentiles, slowest, fastest and average are of answered requests alone.".into());
    if let Some(cut_off) = errors.get(CUT_OFF) {
        figures.notes.push(format!("Requests/sec counts {cut_off} requests that oha cut off at its end."));
    }
    let failed: u64 = errors.iter().filter(|(message, _)| *message != CUT_OFF).map(|(_, count)| count).sum();
    if failed > 0 {
        figures.notes.push(format!("{failed} requests failed."));
    }
    Ok(figures)
}
