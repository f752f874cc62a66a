//! hey's report, that of loadgen in its format, and the form in which some versions print it: `10%% in 0.0134 secs`.

use super::{ImportError, after, blank, duration, is_timeout, number, percentile, sum};
use crate::document::{FailureKind, Figures};
use crate::summary::{HEY_RESULTS, RATE_KEY};

pub(super) fn read(text: &str) -> Result<Figures, ImportError> {
    let missing = |label| ImportError::Missing { tool: "hey", label };
    let seconds = |label: &str| number(after(text, label)?.strip_suffix("secs")?);
    let is_ours = is_ours(text);
    let mut figures = blank(if is_ours { "loadgen" } else { "hey" });
    let rate = after(text, "Requests/sec:").and_then(number).ok_or_else(|| missing("Requests/sec:"))?;
    let total = duration(seconds("Total:")).ok_or_else(|| missing("Total:"))?;
    (figures.rps, figures.total_s) = (Some(rate), Some(total));
    let (_, rest) =
        text.split_once("Status code distribution:").ok_or_else(|| missing("Status code distribution:"))?;
    let (statuses, errors) = rest.split_once("Error distribution:").unwrap_or((rest, ""));
    for (code, count) in bracketed(statuses) {
        let count = count.strip_suffix("responses").and_then(|count| count.trim().parse().ok());
        let (code, count) = code.parse().ok().zip(count).ok_or_else(|| missing("[200] N responses"))?;
        figures.status.insert(code, count);
    }
    let answered = sum(figures.status.values());
    if answered > 0 {
        figures.slowest_s = duration(seconds("Slowest:"));
        figures.fastest_s = duration(seconds("Fastest:"));
        figures.average_s = duration(seconds("Average:"));
        figures.percentiles_s = text.lines().filter_map(row).collect();
    }
    let rows: Vec<(u64, &str)> =
        bracketed(errors).filter_map(|(count, message)| Some((count.parse().ok()?, message))).collect();
    let failed = sum(rows.iter().map(|(count, _)| count));
    let is_whole = if is_ours {
        has_more(if errors.is_empty() { statuses } else { errors })
    } else if answered >= u128::from(HEY_RESULTS) || falls_short(answered + failed, rate, total) {
        false
    } else {
        // Of an error in the last line, further words may be cut off.
        errors.is_empty() || text.ends_with('\n')
    };
    if is_whole {
        let timeouts = rows.iter().filter(|(_, message)| is_timeout(message)).map(|(count, _)| count);
        figures.timeouts = u64::try_from(sum(timeouts)).ok();
    }
    if is_ours {
        // Its latencies count from the due time then.
        let open = after(text, "open model, ").and_then(|rest| number(rest.split_once(" req/s")?.0));
        figures.config.extend(open.map(|rate| (RATE_KEY.to_owned(), rate.to_string())));
        figures.notes =
            vec!["Printed by loadgen: Requests/sec is of answered requests within the window.".into()];
    } else {
        figures.notes = notes(answered, failed);
        if answered < u128::from(HEY_RESULTS) && falls_short(answered + failed, rate, total) {
            figures.notes.push(
                "The rate is of more requests than the lists of status codes and errors tell: a part of them is missing here, and nobody \
                 knows how many failed."
                    .into(),
            );
        }
    }
    Ok(figures)
}

fn notes(answered: u128, failed: u128) -> Vec<String> {
    let mut notes =
        vec!["Requests/sec is hey's own: failures included, divided by the whole time.".to_owned()];
    if failed > 0 && answered == 0 {
        notes.push(format!("Not one request was answered: {failed} failed."));
    } else if failed > 0 {
        notes.push("hey's percentiles, slowest, fastest and average leave out requests that failed.".into());
    }
    if answered >= u128::from(HEY_RESULTS) {
        notes.push(format!(
            "hey keeps {HEY_RESULTS} results: other answers are in Requests/sec alone, and nobody knows how many failed."
        ));
    }
    notes
}

/// Whether something follows a list. In loadgen's own report it always does: its verdict, or a sentence of what failed.
fn has_more(list: &str) -> bool {
    list.lines().skip(1).map(str::trim).any(|line| !line.is_empty() && !line.starts_with('['))
}

/// Whether the rate is of more requests than are told one by one: by more than the four decimals of it and of the time can hide.
fn falls_short(told: u128, rate: f64, total_s: f64) -> bool {
    rate * total_s - told as f64 > 0.000_05 * (rate + total_s)
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
