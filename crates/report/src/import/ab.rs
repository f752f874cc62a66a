//! The report of ab, by its labels: later versions print more lines.

use super::{ImportError, after, blank, duration, number, percentile};
use crate::document::Figures;
use crate::units::one_line;

pub(super) fn read(text: &str) -> Result<Figures, ImportError> {
    let missing = |label| ImportError::Missing { tool: "ab", label };
    let count = |label: &str| after(text, label)?.parse::<u64>().ok();
    let mut figures = blank("ab");
    let rate =
        after(text, "Requests per second:").and_then(|rest| number(rest.strip_suffix("[#/sec] (mean)")?));
    figures.rps = Some(rate.ok_or_else(|| missing("Requests per second:"))?);
    let total = after(text, "Time taken for tests:").and_then(|rest| number(rest.strip_suffix("seconds")?));
    figures.total_s = Some(duration(total).ok_or_else(|| missing("Time taken for tests:"))?);
    let complete = count("Complete requests:").ok_or_else(|| missing("Complete requests:"))?;
    if let Some(connections) = count("Concurrency Level:") {
        figures.config.insert("load.connections".into(), connections.to_string());
    }
    if let Some(url) = url(text) {
        figures.config.insert("load.url".into(), url);
    }
    // Percentile rows may be left out (-d), the rows of times never.
    if text.contains("served within a certain time (ms)") && !text.contains("(longest request)") {
        return Err(missing("100% N (longest request)"));
    }
    for (percent, ms) in text.lines().filter_map(row) {
        match (percentile(percent), duration(Some(ms / 1e3))) {
            (Some(percent), Some(seconds)) => _ = figures.percentiles_s.insert(percent, seconds),
            (None, seconds) => figures.slowest_s = seconds,
            (Some(_), None) => {}
        }
    }
    // In a row without an end may be half a number.
    let mut rows = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    let total = rows.find_map(|row| row.trim_start().strip_prefix("Total:")).unwrap_or_default();
    let total: Vec<f64> = total.split_whitespace().filter_map(number).collect();
    // `min mean sd median max`, or with -S `min avg max`.
    if let [fastest, average, .., slowest] = total[..] {
        figures.fastest_s = duration(Some(fastest / 1e3));
        figures.average_s = duration(Some(average / 1e3));
        figures.slowest_s = figures.slowest_s.or(duration(Some(slowest / 1e3)));
    }
    figures.notes = notes(text, complete, &count);
    Ok(figures)
}

fn notes(text: &str, complete: u64, count: &dyn Fn(&str) -> Option<u64>) -> Vec<String> {
    let mut notes = vec![
        "ab prints whole milliseconds: what is below half of one is left out.".to_owned(),
        "Requests per second is ab's own: failed and Non-2xx requests included.".to_owned(),
    ];
    let (failed, other) = (count("Failed requests:"), count("Non-2xx responses:").unwrap_or(0));
    let why = text.lines().map(str::trim).find(|line| line.starts_with("(Connect:")).unwrap_or_default();
    let failed = failed.map(|failed| format!("{failed} failed {}", one_line(why))).unwrap_or_default();
    notes.push(format!(
        "{complete} complete requests, {}, {other} with a status that is not 2xx; ab's Length failures are answers of another length than the \
         first.",
        failed.trim_end()
    ));
    if count("Keep-Alive requests:").is_none() {
        notes.push("Every request had a connection of its own (no -k).".into());
    }
    notes
}

/// `  50%      0` and ` 100%      6 (longest request)`.
fn row(line: &str) -> Option<(&str, f64)> {
    let (percent, rest) = line.trim().split_once('%')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let ms = rest.trim().split(' ').next().filter(|ms| is_number(ms) && is_number(percent))?;
    Some((percent, number(ms)?))
}

fn url(text: &str) -> Option<String> {
    let host = after(text, "Server Hostname:").filter(|host| !host.is_empty())?;
    let port = after(text, "Server Port:")?;
    let path = after(text, "Document Path:")?;
    let scheme = if after(text, "SSL/TLS Protocol:").is_some() { "https" } else { "http" };
    Some(format!("{scheme}://{host}:{port}{path}"))
}
