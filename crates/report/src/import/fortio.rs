//! fortio's JSON (`fortio load -json FILE`). Latencies are seconds, the length of the run nanoseconds.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::json::parsed;
use super::{ImportError, blank, duration, number, percentile, shifted, url};
use crate::document::Figures;

/// The code under which fortio counts requests that were not answered.
const NO_ANSWER: &str = "-1";
/// What it calls a run over HTTP.
const HTTP: &str = "HTTP";

/// Of all that fortio writes, what figures hold.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Report {
    run_type: String,
    #[serde(rename = "RequestedQPS")]
    requested_qps: String,
    #[serde(rename = "ActualQPS")]
    actual_qps: f64,
    actual_duration: f64,
    num_threads: u64,
    duration_histogram: Histogram,
    #[serde(default)]
    ret_codes: BTreeMap<String, u64>,
    #[serde(default, rename = "URL")]
    url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Histogram {
    count: u64,
    min: f64,
    max: f64,
    avg: f64,
    #[serde(default)]
    percentiles: Vec<At>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct At {
    percentile: f64,
    value: f64,
}

pub(super) fn read_json(value: Value) -> Result<Figures, ImportError> {
    let report: Report = parsed(value, "fortio")?;
    if report.run_type != HTTP {
        return Err(ImportError::Form(
            "is fortio's result of another protocol than HTTP, which stands beside nothing",
        ));
    }
    let mut figures = blank("fortio");
    figures.rps = Some(report.actual_qps).filter(|rate| rate.is_finite());
    figures.total_s = duration(Some(shifted(report.actual_duration, 9)));
    let histogram = report.duration_histogram;
    if histogram.count > 0 {
        figures.fastest_s = duration(Some(histogram.min));
        figures.slowest_s = duration(Some(histogram.max));
        figures.average_s = duration(Some(histogram.avg));
        figures.percentiles_s = histogram
            .percentiles
            .into_iter()
            .filter_map(|At { percentile: percent, value }| {
                percentile(&percent.to_string()).zip(duration(Some(value)))
            })
            .collect();
    }
    figures.config.insert("load.connections".into(), report.num_threads.to_string());
    if !report.url.is_empty() {
        figures.config.insert("load.url".into(), url(&report.url));
    }
    let failed = report.ret_codes.get(NO_ANSWER).copied().unwrap_or(0);
    figures.status =
        report.ret_codes.into_iter().filter_map(|(code, count)| Some((code.parse().ok()?, count))).collect();
    // What ended without an answer is one number, whatever the reason.
    figures.timeouts = (failed == 0).then_some(0);
    figures.notes = vec![
        "Percentiles are estimates: fortio interpolates within the buckets of its histogram.".into(),
        "Requests/sec is fortio's own: requests that failed included, and so are all latencies.".into(),
    ];
    if number(&report.requested_qps).is_some() {
        figures.notes.push(format!(
            "Connections were held back to {} requests a second in all; latencies count from when one was sent.",
            report.requested_qps
        ));
    }
    if failed > 0 {
        figures.notes.push(format!("{failed} requests failed without an answer."));
    }
    Ok(figures)
}
