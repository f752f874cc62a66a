//! wrk's report. wrk2 prints nearly the same, and not the rate that it kept.

use super::{ImportError, after, blank, duration, number, percentile, time, url};
use crate::document::Figures;
use crate::units::one_line;

/// What it prints behind a time.
const UNITS: [&str; 4] = ["us", "ms", "s", "m"];

pub(super) fn read(text: &str) -> Result<Figures, ImportError> {
    let missing = |label| ImportError::Missing { tool: "wrk", label };
    if text.contains("HdrHistogram") || text.contains("Thread calibration:") {
        return Err(ImportError::Form(
            "is wrk2's output, which does not say the rate that its latencies are of: it stands beside nothing",
        ));
    }
    let mut figures = blank("wrk");
    figures.rps =
        Some(after(text, "Requests/sec:").and_then(number).ok_or_else(|| missing("Requests/sec:"))?);
    // Always the last line: where it stands, the rate above it is whole.
    after(text, "Transfer/sec:").ok_or_else(|| missing("Transfer/sec:"))?;
    let (duration_text, address) = after(text, "Running ")
        .and_then(|rest| rest.split_once(" test @ "))
        .ok_or_else(|| missing("Running ... test @ URL"))?;
    figures.config.insert("load.url".into(), url(address));
    figures.config.insert("load.duration".into(), duration_text.to_owned());
    let connections =
        text.lines().find_map(|line| line.trim().strip_suffix(" connections")?.split(' ').next_back());
    if let Some(connections) = connections.filter(|text| text.parse::<u64>().is_ok()) {
        figures.config.insert("load.connections".into(), connections.to_owned());
    }
    let timed = |text: &str| time(text, &UNITS);
    let mut latency = after(text, "Latency ").unwrap_or_default().split_whitespace().map(timed);
    figures.average_s = duration(latency.next().flatten());
    figures.slowest_s = duration(latency.nth(1).flatten());
    let rows = text.lines().skip_while(|line| line.trim() != "Latency Distribution").skip(1);
    figures.percentiles_s =
        rows.map_while(row).filter_map(|(percent, at)| Some((percent, duration(Some(at))?))).collect();
    let done = text.lines().map(str::trim).find(|line| line.contains(" requests in "));
    let done = done.ok_or_else(|| missing("N requests in T"))?;
    figures.total_s = done.split_once(" requests in ").and_then(|(_, rest)| timed(rest.split(',').next()?));
    let socket = after(text, "Socket errors:");
    let timeouts = socket.and_then(|rest| rest.rsplit_once("timeout ")?.1.parse().ok());
    figures.timeouts = timeouts;
    let bad = after(text, "Non-2xx or 3xx responses:").unwrap_or("none");
    figures.notes = vec![
        "wrk leaves latencies at and above its timeout (2 s unless told) out of its percentiles, and fills in what it thinks it missed."
            .into(),
        one_line(&format!("{done}; with a status of 400 or above: {bad}; socket errors: {}.", socket.unwrap_or("none told"))),
    ];
    Ok(figures)
}

/// `     50%    2.21ms`.
fn row(line: &str) -> Option<(String, f64)> {
    let (percent, at) = line.trim().split_once('%')?;
    Some((percentile(percent)?, time(at, &UNITS)?))
}
