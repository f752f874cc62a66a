//! h2load's report. Later versions print other columns of times, and their names above them.

use super::{ImportError, after, blank, duration, number, percentile, time};
use crate::document::Figures;
use crate::units::one_line;

pub(super) fn read(text: &str) -> Result<Figures, ImportError> {
    let missing = |label| ImportError::Missing { tool: "h2load", label };
    let mut figures = blank("h2load");
    let mut finished = after(text, "finished in").unwrap_or_default().split(", ");
    figures.total_s = duration(finished.next().and_then(time));
    let rate = finished.next().and_then(|rate| number(rate.strip_suffix(" req/s")?));
    figures.rps = Some(rate.ok_or_else(|| missing("finished in T, N req/s"))?);
    let requests = after(text, "requests:").ok_or_else(|| missing("requests:"))?;
    let timeouts = requests
        .split(", ")
        .find_map(|part| part.strip_suffix(" timeout"))
        .and_then(|text| text.parse().ok());
    figures.timeouts = Some(timeouts.ok_or_else(|| missing("N timeout"))?);
    let codes = after(text, "status codes:").ok_or_else(|| missing("status codes:"))?;
    read_times(&mut figures, text).ok_or_else(|| missing("time for request:"))?;
    let clients = clients(text);
    if clients > 0 {
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

/// Times stand in columns below their names: `min  max  mean  sd  +/- sd`, or with `median  p95  p99` among them.
fn read_times(figures: &mut Figures, text: &str) -> Option<()> {
    let is_title = |line: &&str| line.trim_start().starts_with("min ") && line.contains(" max ");
    let titles = text.lines().find(is_title)?.split_whitespace();
    let times = after(text, "time for request:").or_else(|| after(text, "request     :"))?;
    for (title, at) in titles.zip(times.split_whitespace().map(time)) {
        let at = duration(at);
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

/// `spawning thread #0: 10 total client(s). 400 total requests`, a line for each thread.
fn clients(text: &str) -> u64 {
    let of_thread = |line: &str| {
        let (clients, _) =
            line.strip_prefix("spawning thread #")?.split_once(": ")?.1.split_once(" total client(s)")?;
        clients.parse::<u64>().ok()
    };
    text.lines().filter_map(of_thread).sum()
}
