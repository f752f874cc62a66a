//! hey's report, that of loadgen in its format, and the form in which some versions print it: `10%% in 0.0134 secs`.

use super::{ImportError, after, blank, duration, is_timeout, number, percentile};
use crate::document::{FailureKind, Figures};
use crate::summary::HEY_RESULTS;

pub(super) fn read(text: &str) -> Result<Figures, ImportError> {
    let missing = |label| ImportError::Missing { tool: "hey", label };
    let seconds = |label: &str| number(after(text, label)?.strip_suffix("secs")?);
    let is_ours = is_ours(text);
    let mut figures = blank(if is_ours { "loadgen" } else { "hey" });
    figures.rps =
        Some(after(text, "Requests/sec:").and_then(number).ok_or_else(|| missing("Requests/sec:"))?);
    figures.total_s = Some(duration(seconds("Total:")).ok_or_else(|| missing("Total:"))?);
    let (_, rest) =
        text.split_once("Status code distribution:").ok_or_else(|| missing("Status code distribution:"))?;
    let (statuses, errors) = rest.split_once("Error distribution:").unwrap_or((rest, ""));
    for (code, count) in bracketed(statuses) {
        let count = count.strip_suffix("responses").and_then(|count| count.trim().parse().ok());
        let (code, count) = code.parse().ok().zip(count).ok_or_else(|| missing("[200] N responses"))?;
        figures.status.insert(code, count);
    }
    let answered: u64 = figures.status.values().sum();
    if answered > 0 {
        figures.slowest_s = duration(seconds("Slowest:"));
        figures.fastest_s = duration(seconds("Fastest:"));
        figures.average_s = duration(seconds("Average:"));
        figures.percentiles_s = text.lines().filter_map(row).collect();
    }
    let errors: Vec<(u64, &str)> =
        bracketed(errors).filter_map(|(count, message)| Some((count.parse().ok()?, message))).collect();
    // Before the reason stands `Get "URL": `, which may have any words in it.
    let is_timeout =
        |message: &str| is_timeout(message.rsplit_once("\": ").map_or(message, |(_, reason)| reason));
    let failed: u64 = errors.iter().map(|(count, _)| count).sum();
    let timeouts = errors.iter().filter(|(_, message)| is_timeout(message)).map(|(count, _)| count).sum();
    figures.timeouts = Some(timeouts);
    if is_ours {
        figures
            .notes
            .push("Printed by loadgen: Requests/sec is of answered requests within the window.".into());
    } else {
        figures.notes.push("Requests/sec is hey's own: failures included, divided by the whole time.".into());
        if failed > 0 && answered == 0 {
            figures.notes.push(format!("Not one request was answered: {failed} failed."));
        } else if failed > 0 {
            figures.notes.push(
                "hey's percentiles, slowest, fastest and average leave out requests that failed.".into(),
            );
        }
        if answered >= HEY_RESULTS {
            figures.notes.push(format!(
                "hey keeps {HEY_RESULTS} results: other answers are in Requests/sec alone, and nobody knows how many failed."
            ));
        }
    }
    Ok(figures)
}

/// What loadgen says after hey's block, or how it begins what failed.
fn is_ours(text: &str) -> bool {
    let is_kind = |row: &str| {
        let kind = row.split_once("]\t").and_then(|(_, message)| message.split_once(": "));
        let kind = kind.map_or("", |(kind, _)| kind);
        matches!(kind, "timeout" | "aborted") || FailureKind::ALL.iter().any(|known| known.name() == kind)
    };
    text.lines().any(|line| line.starts_with("verdict: ") || line.starts_with("  [") && is_kind(line))
}

/// `  10% in 0.0134 secs`.
fn row(line: &str) -> Option<(String, f64)> {
    let (percent, seconds) = line.trim().split_once("% in ")?;
    let seconds = duration(number(seconds.strip_suffix("secs")?))?;
    Some((percentile(percent.trim_end_matches('%'))?, seconds))
}

/// `  [200] 500 responses`, to the first line of another form.
fn bracketed(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = text.lines().skip(1).map(str::trim);
    lines
        .skip_while(|line| line.is_empty())
        .map_while(|line| line.strip_prefix('[')?.split_once(']'))
        .map(|(key, rest)| (key.trim(), rest.trim()))
}
