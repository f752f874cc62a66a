//! bombardier's report, as text or JSON (`-o json`, in microseconds).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::json::parsed;
use super::{ImportError, after, blank, duration, is_timeout, number, percentile, shifted, sum, time, url};
use crate::document::Figures;
use crate::units::one_line;

/// What it prints behind a time.
const UNITS: [&str; 5] = ["us", "ms", "s", "m", "h"];
/// Where its JSON begins.
const JSON: &str = "{\"spec\":";

/// Of all that bombardier writes, what figures hold.
#[derive(Deserialize)]
struct Report {
    spec: Spec,
    result: Outcome,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    number_of_connections: u64,
    test_duration_seconds: Option<f64>,
    number_of_requests: Option<u64>,
    url: String,
    rate: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    time_taken_seconds: f64,
    req1xx: u64,
    req2xx: u64,
    req3xx: u64,
    req4xx: u64,
    req5xx: u64,
    others: u64,
    #[serde(default)]
    errors: Vec<Failed>,
    latency: Option<Latency>,
    rps: Option<Rate>,
}

#[derive(Deserialize)]
struct Failed {
    description: String,
    count: u64,
}

#[derive(Deserialize)]
struct Latency {
    mean: f64,
    max: f64,
    #[serde(default)]
    percentiles: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
struct Rate {
    mean: f64,
}

/// The JSON behind what bombardier prints meanwhile (without `-p r`).
pub(super) fn json_in(text: &str) -> Option<&str> {
    text.trim_start()
        .starts_with("Bombarding ")
        .then(|| text.find(JSON))
        .flatten()
        .map(|begin| &text[begin..])
}

/// What is to be done about a JSON that is whole and cannot be read: bombardier writes texts as Go does.
pub(super) fn misspelt(text: &str) -> Option<ImportError> {
    (text.trim_start().starts_with(JSON) && text.trim_end().ends_with("}}")).then_some(ImportError::Form(
        "is bombardier's JSON, in a spelling which JSON does not know (of a control character, perhaps): import the text that it prints without -o",
    ))
}

pub(super) fn read_json(value: Value) -> Result<Figures, ImportError> {
    let Report { spec, result } = parsed(value, "bombardier")?;
    let mut figures = blank("bombardier");
    figures.rps = result.rps.map(|rate| rate.mean);
    figures.total_s = duration(Some(result.time_taken_seconds));
    let us = |us: f64| duration(Some(shifted(us, 6)));
    if let Some(Latency { mean, max, percentiles }) = result.latency {
        (figures.average_s, figures.slowest_s) = (us(mean), us(max));
        figures.percentiles_s =
            percentiles.into_iter().filter_map(|(name, at)| percentile(name.trim()).zip(us(at))).collect();
    }
    let mut told =
        vec![("load.connections", spec.number_of_connections.to_string()), ("load.url", url(&spec.url))];
    told.extend(spec.test_duration_seconds.map(|seconds| ("load.duration", format!("{seconds}s"))));
    told.extend(spec.number_of_requests.map(|requests| ("load.requests", requests.to_string())));
    figures.config.extend(told.into_iter().map(|(key, value)| (key.to_owned(), value)));
    let Outcome { req1xx, req2xx, req3xx, req4xx, req5xx, others, errors, .. } = result;
    let codes = format!("1xx - {req1xx}, 2xx - {req2xx}, 3xx - {req3xx}, 4xx - {req4xx}, 5xx - {req5xx}");
    let errors: Vec<(&str, u64)> = errors.iter().map(|it| (it.description.as_str(), it.count)).collect();
    count(&mut figures, &codes, others, &errors);
    if let Some(rate) = spec.rate {
        figures.notes.push(format!(
            "Connections were held back to {rate} requests a second; latencies count from when one was sent."
        ));
    }
    Ok(figures)
}

pub(super) fn read(text: &str) -> Result<Figures, ImportError> {
    let missing = |label| ImportError::Missing { tool: "bombardier", label };
    let mut figures = blank("bombardier");
    // It says so in words where there was not enough to compute them from.
    figures.rps = after(text, "Reqs/sec").and_then(|row| number(row.split_whitespace().next()?));
    let timed = |text: &str| time(text, &UNITS);
    let mut latency = after(text, "Latency ").unwrap_or_default().split_whitespace().map(timed);
    figures.average_s = duration(latency.next().flatten());
    figures.slowest_s = duration(latency.nth(1).flatten());
    let rows = text.lines().skip_while(|line| line.trim() != "Latency Distribution").skip(1);
    let row = |line: &str| {
        let (percent, at) = line.trim().split_once('%')?;
        Some((percentile(percent)?, timed(at)?))
    };
    figures.percentiles_s = rows.map_while(row).filter(|(_, at)| *at > 0.0).collect();
    let (target, connections) = after(text, "Bombarding ")
        .and_then(|rest| rest.strip_suffix(" connection(s)")?.rsplit_once(" using "))
        .unwrap_or_default();
    if !connections.is_empty() {
        figures.config.insert("load.connections".into(), connections.to_owned());
    }
    if let Some((address, length)) = target.rsplit_once(" for ") {
        figures.config.insert("load.url".into(), url(address));
        figures.config.insert("load.duration".into(), length.to_owned());
    } else if let Some((address, requests)) = target.rsplit_once(" with ") {
        figures.config.insert("load.url".into(), url(address));
        let requests = requests.strip_suffix(" request(s)").unwrap_or(requests);
        figures.config.insert("load.requests".into(), requests.to_owned());
    }
    let codes = after(text, "1xx - ").ok_or_else(|| missing("HTTP codes:"))?;
    let others = after(text, "others - ").and_then(|others| others.parse().ok());
    let others = others.ok_or_else(|| missing("others - N"))?;
    // Always the last line: where it stands, so do all errors.
    after(text, "Throughput:").ok_or_else(|| missing("Throughput:"))?;
    let errors = text.lines().skip_while(|line| line.trim() != "Errors:").skip(1);
    let errors: Vec<(&str, u64)> = errors
        .map_while(|line| line.trim().rsplit_once(" - "))
        .filter_map(|(message, count)| Some((message, count.parse().ok()?)))
        .collect();
    count(&mut figures, &format!("1xx - {codes}"), others, &errors);
    Ok(figures)
}

fn count(figures: &mut Figures, codes: &str, others: u64, errors: &[(&str, u64)]) {
    let told = sum(errors.iter().map(|(_, count)| count));
    // Why a request was not answered is known of all of them, or nobody knows how many timed out.
    figures.timeouts = (told == u128::from(others))
        .then(|| errors.iter().filter(|(message, _)| is_timeout(message)).map(|(_, count)| count).sum());
    figures.notes = vec![
        "Requests/sec is the mean of bombardier's samples of it, requests that failed included, and so are all latencies."
            .into(),
        one_line(&format!("status codes: {codes}; without an answer - {others}.")),
    ];
    if figures.timeouts.is_none() {
        figures.notes.push(format!(
            "It names {told} errors, and counts {others} requests without an answer: how many timed out is not known."
        ));
    }
}
