//! Requests by name, failed checks, answers by a header's value, the warm-up: what several formats say in the same words.

use crate::document::{AssertionRecord, CheckExample, CheckRecord, Document, HeaderValues, Run};
use crate::format::{View, cell};
use crate::histogram::Percentile;
use crate::summary::{Request, Summary};
use crate::table::{Align, Table};
use crate::units::{count, counted, nanos, one_line, printable, share};

/// Rows of the table of requests by name, at most.
const ROWS: usize = 20;
/// Values of a header that are listed, at most.
const VALUES: usize = 8;
/// Characters of a name or a value, at most.
const LENGTH: usize = 60;
/// Lines of an example's head and body together, at most.
const LINES: usize = 30;
/// Characters of each of these lines, at most.
const LINE: usize = 160;

/// What goes under the notes of a report in text: the table of names, and one answer that failed a check.
pub(super) fn text(view: &View<'_>) -> String {
    let table = table(view.summary).map(|table| {
        // Indented, as hey's tables are: no line after the block begins with a bracket, whatever a name begins with.
        format!("\n  {}\n", table.text().trim_end().replace('\n', "\n  "))
    });
    let example = match view.document {
        Document::Run(run) => example(run),
        Document::Figures(_) => None,
    };
    [table, example].into_iter().flatten().collect()
}

/// Requests by name, those sent most often first.
pub(super) fn table(summary: &Summary) -> Option<Table> {
    let mut requests: Vec<&Request> = summary.requests.iter().collect();
    requests.sort_by_key(|request| std::cmp::Reverse(request.sent));
    let columns = ["sent", "errors", "p50", "p99", "max", "bytes"].map(|title| (title, Align::Right));
    let mut table = Table::new([("request", Align::Left)].into_iter().chain(columns));
    for request in requests.iter().take(ROWS) {
        table.push(row(request));
    }
    if requests.len() > ROWS {
        table.push(vec![format!("and {} more, in the json format", requests.len() - ROWS)]);
    }
    (!requests.is_empty()).then_some(table)
}

fn row(request: &Request) -> Vec<String> {
    let Request { name, sent, errors, body_bytes, latency } = request;
    let bound = if latency.censored > 0 { ">= " } else { "" };
    let slowest = latency.slowest_ns.map_or_else(|| "-".to_owned(), |ns| format!("{bound}{}", nanos(ns)));
    let (p50, p99) = (cell(latency, Percentile::P50), cell(latency, Percentile::P99));
    vec![short(name, LENGTH), count(*sent), count(*errors), p50, p99, slowest, count(*body_bytes)]
}

/// Facts of a line each, beside the assertions.
pub(super) fn facts(run: &Run) -> impl Iterator<Item = String> {
    let warmup = run.warmup.map(|warmup| {
        let (length, sent) =
            (nanos(warmup.lasted_ns.unwrap_or(warmup.planned_ns)), counted(warmup.sent, "request"));
        format!(
            "warm-up: {sent} in {length} before, {} of them ok, in none of these figures",
            count(warmup.ok)
        )
    });
    let values = run.header_values.as_ref().map(header_line);
    overridden(run).into_iter().chain(warmup).chain(values)
}

/// Assertions with what was measured, a line each: those that failed, or all others.
pub(super) fn assertions(run: &Run, failed: bool) -> impl Iterator<Item = String> {
    let has_failed = |record: &&AssertionRecord| !record.holds && !record.skipped;
    run.assertions.iter().filter(move |record| has_failed(record) == failed).map(assertion_line)
}

/// What was typed over the scenario, by the keys of its file; what only follows from that is in the document.
fn overridden(run: &Run) -> Option<String> {
    /// A longer value, such as the configuration of a proxy, says nothing in a line.
    const LONGEST: usize = 80;
    let is_long = |value: &Option<String>| value.as_ref().is_some_and(|value| value.len() > LONGEST);
    let keys = run.overridden.iter().filter(|(_, of)| !of.follows);
    let keys = keys.map(|(key, of)| {
        let name = key.split_once('.').map_or(key.as_str(), |(_, name)| name);
        if is_long(&of.used) || is_long(&of.file) {
            format!("{name} (the document has both)")
        } else {
            let file = of.file.as_deref().map_or_else(|| "none".to_owned(), one_line);
            match &of.used {
                Some(used) => format!("{name} {} ({file})", one_line(used)),
                None => format!("no {name} ({file})"),
            }
        }
    });
    let keys: Vec<_> = keys.collect();
    (!keys.is_empty()).then(|| format!("instead of what the scenario says: {}", keys.join(", ")))
}

fn assertion_line(record: &AssertionRecord) -> String {
    let AssertionRecord { assertion, measured, holds, skipped } = record;
    let outcome = match (skipped, holds) {
        (true, _) => "not judged",
        (false, true) => "holds",
        (false, false) => "FAILED",
    };
    format!("assert {}: {outcome}: {}", one_line(assertion), one_line(measured))
}

fn header_line(values: &HeaderValues) -> String {
    let (rows, total) = (values.rows(), values.total());
    let part = |count_of: u64| share(count_of as f64 / total as f64);
    let shown = rows.iter().take(VALUES).map(|(value, n)| {
        let value = short(value, LENGTH);
        format!("{} {} ({})", if value.is_empty() { "(empty)" } else { &value }, count(*n), part(*n))
    });
    let mut shown: Vec<_> = shown.collect();
    if rows.len() > VALUES {
        let rest: u64 = rows[VALUES..].iter().map(|row| row.1).sum();
        shown.push(format!("{} more values {} ({})", rows.len() - VALUES, count(rest), part(rest)));
    }
    let list = if shown.is_empty() { "no answers".to_owned() } else { shown.join(", ") };
    format!("answers by {}: {list}", one_line(&values.header))
}

/// One answer that failed a check, safe to print.
fn example(run: &Run) -> Option<String> {
    let has_example = |record: &&CheckRecord| !record.examples.is_empty();
    let record = run.checks.iter().find(has_example)?;
    let CheckExample { at_ns, request, reason, head, body, body_bytes } = record.examples.first()?;
    let (check, at) = (one_line(&record.check), nanos(*at_ns));
    let (request, reason) = (short(request, LINE), one_line(reason));
    let title =
        format!("\nThe first answer that failed `{check}` ({reason}): {request}, {at} into the run\n");
    let cut = (body.len() as u64) < *body_bytes;
    let (head, body) = (printable(head), printable(body));
    let mut lines: Vec<String> = head.trim_end().lines().map(|line| short(line, LINE)).collect();
    lines.push(String::new());
    lines.extend(body.lines().map(|line| short(line, LINE)));
    let left_out = lines.len().saturating_sub(LINES);
    lines.truncate(LINES);
    if left_out > 0 || cut {
        lines.push(format!("... ({} of body in all)", counted(*body_bytes, "byte")));
    }
    let lines: String = lines.iter().map(|line| format!("  | {line}").trim_end().to_owned() + "\n").collect();
    Some(title + &lines)
}

/// On one line, and no longer than so many characters.
fn short(text: &str, length: usize) -> String {
    let text = one_line(text);
    if text.chars().count() <= length {
        return text;
    }
    text.chars().take(length.saturating_sub(3)).chain("...".chars()).collect()
}
