//! hey's report, byte for byte, then a few lines of our own.
//!
//! People read `Requests/sec:\t`, `  99% in ` and `[200]\t` with scripts. So the block keeps hey's layout whatever
//! happens (what does not exist prints as zero, never as NaN), and what hey does not say comes after it.

mod after;
mod target;
mod terminal;

pub(super) use self::after::lines as notes;
use crate::document::{Document, Run};
use crate::format::{View, answers};
use crate::histogram::{Histogram, Percentile};
use crate::summary::{Phase, Summary, unanswered};
use crate::units::one_line;

/// Bars of the histogram: the smallest value, then ten equal steps.
const BARS: u64 = 11;
/// Length of the longest bar.
const BAR_LENGTH: u64 = 40;

pub(super) fn render(view: &View<'_>) -> String {
    let summary = view.summary;
    let errors = error_rows(view.document);
    // With errors hey leaves one empty line after them; without, three.
    let (before, after) = if errors.is_empty() { ("", "\n\n\n") } else { ("\nError distribution:\n", "\n") };
    let parts = [
        head(summary),
        "\nResponse time histogram:\n".into(),
        summary.answered_latency.as_ref().map(bars).unwrap_or_default(),
        "\n\nLatency distribution:\n".into(),
        percentiles(summary),
        "\nDetails (average, fastest, slowest):\n".into(),
        details(summary),
        "\nStatus code distribution:\n".into(),
        status_rows(summary),
        before.into(),
        errors,
        after.into(),
        lines(after::lines(view)),
        answers::text(view),
    ];
    parts.concat()
}

fn lines(lines: Vec<String>) -> String {
    lines.into_iter().flat_map(|line| [line, "\n".into()]).collect()
}

fn head(summary: &Summary) -> String {
    let latency = &summary.latency;
    let row = |name: &str, value: Option<f64>| format!("  {name}:\t{:4.4} secs", value.unwrap_or(0.0));
    let mut rows = vec![
        String::new(),
        "Summary:".into(),
        row("Total", summary.total_s),
        row("Slowest", latency.slowest_ns.map(|ns| seconds(ns as f64))),
        row("Fastest", latency.fastest_ns.map(|ns| seconds(ns as f64))),
        row("Average", latency.average_ns.map(seconds)),
        format!("  Requests/sec:\t{:4.4}", summary.rate().unwrap_or(0.0)),
        "  ".into(),
    ];
    let (bytes, answered) = (summary.body_bytes.unwrap_or(0), summary.answered.unwrap_or(0));
    if bytes > 0 {
        let each = bytes.checked_div(answered).unwrap_or(0);
        rows.push(format!("  Total data:\t{bytes} bytes"));
        rows.push(format!("  Size/request:\t{each} bytes"));
    }
    lines(rows)
}

/// All seven, as bare numbers: what is thin or a lower bound is said after the block.
fn percentiles(summary: &Summary) -> String {
    let row = |percentile: Percentile| {
        let value = summary.latency.at(percentile).map_or(0, |quantile| quantile.value_ns);
        format!("  {}% in {:4.4} secs", percentile.percent(), seconds(value as f64))
    };
    lines(Percentile::HEY.map(row).into())
}

fn status_rows(summary: &Summary) -> String {
    lines(summary.status.iter().map(|(status, count)| format!("  [{status}]\t{count} responses")).collect())
}

/// Row `i` counts what lies above mark `i - 1` and at or below mark `i`, of answered requests.
fn bars(answered: &Histogram) -> String {
    let (Some(fastest), Some(slowest)) = (answered.min(), answered.max()) else { return String::new() };
    let mark = |row: u64| match row {
        // In whole numbers, so that the last mark is the slowest value itself.
        _ if row + 1 == BARS => slowest,
        _ => {
            fastest
                + (slowest - fastest) / (BARS - 1) * row
                + (slowest - fastest) % (BARS - 1) * row / (BARS - 1)
        }
    };
    let up_to: Vec<u64> = (0..BARS).map(|row| answered.count_up_to(mark(row))).collect();
    let counts = (0..).zip(&up_to).map(|(row, &upper)| {
        let lower = if row == 0 { 0 } else { up_to[row - 1] };
        upper - lower
    });
    let counts: Vec<u64> = counts.collect();
    let longest = counts.iter().copied().max().unwrap_or(0).max(1);
    let row = |(row, &count): (u64, &u64)| {
        let length = usize::try_from((count * BAR_LENGTH + longest / 2) / longest).unwrap_or(0);
        format!("  {:4.3} [{count}]\t|{}", seconds(mark(row) as f64), "■".repeat(length))
    };
    lines((0..).zip(&counts).map(row).collect())
}

fn details(summary: &Summary) -> String {
    let phases = summary.phases.unwrap_or_default();
    let rows = [
        ("DNS+dialup", phases.connect),
        ("DNS-lookup", phases.dns),
        ("req write", phases.write),
        ("resp wait", phases.wait),
        ("resp read", phases.read),
    ];
    let row = |(name, phase): (&str, Phase)| {
        let (fastest, slowest) = (seconds(phase.fastest_ns as f64), seconds(phase.slowest_ns as f64));
        format!("  {name}:\t{:4.4} secs, {fastest:4.4} secs, {slowest:4.4} secs", seconds(phase.average_ns))
    };
    lines(rows.map(row).into())
}

/// One row for each kind of failure, `timeout` and `aborted` among them, sorted by name.
fn error_rows(document: &Document) -> String {
    let row = |count: u64, text: &str| format!("  [{count}]\t{text}");
    let rows = match document {
        Document::Run(run) => {
            unanswered(run).into_iter().map(|(kind, count)| row(count, &error_text(run, kind))).collect()
        }
        Document::Figures(figures) => match figures.timeouts.unwrap_or(0) {
            0 => Vec::new(),
            timeouts => vec![row(timeouts, &format!("timeout: {TIMEOUT}"))],
        },
    };
    lines(rows)
}

const TIMEOUT: &str = "no answer within the request timeout";
const ABORTED: &str = "unfinished when the run ended";

fn error_text(run: &Run, kind: &str) -> String {
    match run.failures.iter().find(|(failure, _)| failure.name() == kind) {
        Some((failure, record)) if record.sample.is_empty() => format!("{kind}: {}", failure.meaning()),
        // The example may say the same with more detail; then once is enough.
        Some((failure, record)) if record.sample.starts_with(failure.meaning()) => {
            format!("{kind}: {}", one_line(&record.sample))
        }
        Some((failure, record)) => format!("{kind}: {} ({})", failure.meaning(), one_line(&record.sample)),
        None => format!("{kind}: {}", if kind == "timeout" { TIMEOUT } else { ABORTED }),
    }
}

fn seconds(ns: f64) -> f64 {
    ns / 1e9
}
