//! h2load's report. Later versions print other columns of times, and their names above them.

use super::{ImportError, after, blank, duration, number, percentile, sum, time};
use crate::document::Figures;
use crate::units::one_line;

/// What it prints behind a time.
const UNITS: [&str; 3] = ["us", "ms", "s"];

pub(super) fn read(text: &str) -> Result<Figures, ImportError> {
    let missing = |label| ImportError::Missing { tool: "h2load", label };
    let mut figures = blank("h2load");
    let mut finished = after(text, "finished in").unwrap_or_default().split(", ");
    let total = finished.next().and_then(|total| time(total, &UNITS));
    let rate = finished.next().and_then(|rate| number(rate.strip_suffix(" req/s")?));
    let (total, rate) = total.zip(rate).ok_or_else(|| missing("finished in T, N req/s"))?;
    (figures.total_s, figures.rps) = (duration(Some(total)), Some(rate));
    let requests = after(text, "requests:").ok_or_else(|| missing("requests:"))?;
    let timeouts = requests
        .split(", ")
        .find_map(|part| part.strip_suffix(" timeout"))
        .and_then(|text| text.parse().ok());
    figures.timeouts = Some(timeouts.ok_or_else(|| missing("N timeout"))?);
    let codes = after(text, "status codes:").ok_or_else(|| missing("status codes:"))?;
    read_times(&mut figures, text).ok_or_else(|| missing("time for request:"))?;
    if let Some(clients) = clients(text) {
        figures.config.insert("load.connections".into(), clients.to_string());
    }
    figures.notes = vec![
        "Requests/sec is h2load's own: answers with any status. Times count from when a request was sent, without connecting."
            .into(),
        one_line(&format!("requests: {requests}; status codes: {codes}.")),
    ];
    if let Some(protocol) = after(text, "Application protocol:") {
        figures.notes.push(one_line(&format!("Application protocol: {protocol}.")));
    }
    Ok(figures)
}

/// Times stand in columns below their names: `min  max  mean  sd  +/- sd`, or with `median  p95  p99` among them. `None` for a row
/// that is not whole: a share stands at its end, below the two words `+/- sd`.
fn read_times(figures: &mut Figures, text: &str) -> Option<()> {
    let is_title = |line: &&str| line.trim_start().starts_with("min ") && line.contains(" max ");
    let titles: Vec<&str> = text.lines().find(is_title)?.split_whitespace().collect();
    let row = after(text, "time for request:").or_else(|| after(text, "request     :"))?;
    let cells: Vec<&str> = row.split_whitespace().collect();
    let (share, times) = cells.split_last()?;
    if !share.ends_with('%') || cells.len() + 1 != titles.len() {
        return None;
    }
    for (title, at) in titles.into_iter().zip(times) {
        let at = duration(Some(time(at, &UNITS)?));
        match title {
            "min" => figures.fastest_s = at,
            "max" => figures.slowest_s = at,
            "mean" => figures.average_s = at,
            "median" => figures.percentiles_s.extend(at.map(|at| ("50".to_owned(), at))),
            _ => {
                let name = title.strip_prefix('p').and_then(percentile);
                figures.percentiles_s.extend(name.zip(at));
            }
        }
    }
    Some(())
}

/// `spawning thread #0: 10 total client(s). 400 total requests`, a line for each thread. `None` where the first ones are not there.
fn clients(text: &str) -> Option<u128> {
    let of_thread = |line: &str| {
        let (thread, rest) = line.strip_prefix("spawning thread #")?.split_once(": ")?;
        let (clients, _) = rest.split_once(" total client(s)")?;
        Some((thread.parse::<u64>().ok()?, clients.parse::<u64>().ok()?))
    };
    let threads: Vec<(u64, u64)> = text.lines().filter_map(of_thread).collect();
    let is_whole = (0..).zip(&threads).all(|(place, (thread, _))| place == *thread);
    (is_whole && !threads.is_empty()).then(|| sum(threads.iter().map(|(_, clients)| clients)))
}
