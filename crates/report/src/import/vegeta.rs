//! vegeta's report, as text or JSON (`vegeta report -type=json`, in nanoseconds).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::json::parsed;
use super::{ImportError, after, blank, duration, number, percentile, shifted, sum, time};
use crate::document::Figures;

/// The code under which vegeta counts requests that were not answered.
const NO_ANSWER: u16 = 0;

/// What Go prints in a duration.
const UNITS: [&str; 8] = ["ns", "us", "\u{b5}s", "\u{3bc}s", "ms", "s", "m", "h"];

/// Of all that vegeta writes, what figures hold.
#[derive(Deserialize)]
struct Report {
    latencies: BTreeMap<String, f64>,
    duration: f64,
    wait: f64,
    requests: u64,
    rate: f64,
    throughput: Option<f64>,
    status_codes: BTreeMap<u16, u64>,
}

pub(super) fn read_json(value: Value) -> Result<Figures, ImportError> {
    let report: Report = parsed(value, "vegeta")?;
    let seconds = |ns: f64| duration(Some(shifted(ns, 9)));
    let mut figures = blank("vegeta");
    figures.rps = report.throughput;
    figures.total_s = seconds(report.duration + report.wait);
    for (name, ns) in report.latencies {
        put(&mut figures, name.strip_suffix("th").unwrap_or(&name), seconds(ns));
    }
    count(&mut figures, report.status_codes, report.requests, report.rate);
    Ok(figures)
}

pub(super) fn read(text: &str) -> Result<Figures, ImportError> {
    let missing = |label| ImportError::Missing { tool: "vegeta", label };
    let mut figures = blank("vegeta");
    let requests = row(text, "Requests").ok_or_else(|| missing("Requests [total, rate, throughput]"))?;
    let value = |name: &str| requests.iter().find(|(title, _)| *title == name).map(|(_, value)| *value);
    let sent = value("total").and_then(|total| total.parse::<u64>().ok());
    let (sent, rate) =
        sent.zip(value("rate").and_then(number)).ok_or_else(|| missing("Requests [total, rate]"))?;
    figures.rps = value("throughput").and_then(number);
    let durations = row(text, "Duration").ok_or_else(|| missing("Duration [total, attack, wait]"))?;
    figures.total_s = duration(durations.first().and_then(|(_, total)| time(total, &UNITS)));
    for (name, at) in row(text, "Latencies").ok_or_else(|| missing("Latencies"))? {
        put(&mut figures, name, duration(time(at, &UNITS)));
    }
    let codes = after(text, "Status Codes").and_then(|rest| rest.strip_prefix("[code:count]"));
    let codes = codes.ok_or_else(|| missing("Status Codes"))?.split_whitespace();
    let code = |pair: &str| {
        let (code, count) = pair.split_once(':')?;
        Some((code.parse().ok()?, count.parse().ok()?))
    };
    let codes = codes.map(code).collect::<Option<BTreeMap<u16, u64>>>();
    // It has a code for every request.
    let codes = codes.filter(|codes| sum(codes.values()) == u128::from(sent));
    count(&mut figures, codes.ok_or_else(|| missing("Status Codes [code:count]"))?, sent, rate);
    Ok(figures)
}

/// A row that names its values: `Duration  [total, attack, wait]  10s, 9.9s, 100ms`.
fn row<'a>(text: &'a str, label: &str) -> Option<Vec<(&'a str, &'a str)>> {
    let (titles, values) = after(text, label)?.strip_prefix('[')?.split_once(']')?;
    let split = |list: &'a str| list.split(',').map(str::trim);
    let (titles, values): (Vec<_>, Vec<_>) = (split(titles).collect(), split(values).collect());
    (titles.len() == values.len()).then(|| titles.into_iter().zip(values).collect())
}

/// `min`, `mean`, `max`, or a percentile as a bare number.
fn put(figures: &mut Figures, name: &str, at: Option<f64>) {
    match name {
        "min" => figures.fastest_s = at,
        "mean" => figures.average_s = at,
        "max" => figures.slowest_s = at,
        _ => figures.percentiles_s.extend(percentile(name).zip(at)),
    }
}

fn count(figures: &mut Figures, mut codes: BTreeMap<u16, u64>, requests: u64, rate: f64) {
    let failed = codes.remove(&NO_ANSWER).unwrap_or(0);
    figures.status = codes;
    // Its errors are told without their numbers.
    figures.timeouts = (failed == 0).then_some(0);
    figures.notes.push(format!(
        "{requests} requests at {rate:.2} a second; latencies count from when one was sent, not from when it was due."
    ));
    if figures.rps.is_some() {
        figures.notes.push(
            "Requests/sec is vegeta's throughput: answers with a status from 200 to 399, divided by the whole time.".into(),
        );
    }
    figures.notes.push("Percentiles are vegeta's estimates.".into());
    if failed > 0 {
        figures
            .notes
            .push(format!("{failed} requests failed, and count in all latencies with the time they took."));
    }
}
