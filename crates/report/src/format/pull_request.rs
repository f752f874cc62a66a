//! A series of runs for whoever reviews a change: what failed first, then one table.

use crate::document::{Document, Run};
use crate::format::bounded;
use crate::histogram::Percentile;
use crate::runs::{Entry, Finding, Outcome, Runs};
use crate::summary::Summary;
use crate::table::{Align, Table, markdown_cell};
use crate::units::{count, counted, one_line, rate};
use crate::warning;

/// The percentiles of the table.
const SHOWN: [f64; 2] = [50.0, 99.0];

/// The whole Markdown text, newline at its end.
pub fn pull_request(runs: &Runs) -> String {
    let mut text = format!("### loadgen: {}\n", headline(runs));
    let told = runs.entries.iter().flat_map(failures).collect::<Vec<_>>();
    paragraph(&mut text, &told);
    text.push('\n');
    text.push_str(&table(runs).markdown());
    let skipped = runs.entries.iter().flat_map(skipped).collect::<Vec<_>>();
    paragraph(&mut text, &skipped);
    if let Some(run) = runs.entries.iter().find_map(Entry::run) {
        let version = run.versions.get("loadgen").map(|version| format!("loadgen {version}, "));
        let machine = format!("{}{} on {}", version.unwrap_or_default(), run.started_at, run.machine.label);
        paragraph(&mut text, &[machine]);
    }
    text
}

fn headline(runs: &Runs) -> String {
    let number = |of: fn(&Entry) -> bool| {
        let entries = runs.entries.iter().filter(|entry| of(entry)).count();
        u64::try_from(entries).unwrap_or(u64::MAX)
    };
    let all = counted(number(|_| true), "run");
    let failed = number(Entry::has_failed);
    let left = number(|entry| matches!(entry.outcome, Outcome::NotBegun(_)));
    match (failed, left) {
        (0, 0) => format!("{all}, all well"),
        (0, left) => format!("{all}, {} of them not made", count(left)),
        (failed, 0) => format!("{all}, {} of them failed", count(failed)),
        (failed, left) => {
            format!("{all}, {} of them failed, {} not made", count(failed), count(left))
        }
    }
}

fn paragraph(text: &mut String, lines: &[String]) {
    if !lines.is_empty() {
        text.push('\n');
    }
    for line in lines {
        text.extend(["- ", &markdown_cell(&one_line(line)), "\n"]);
    }
}

fn failures(entry: &Entry) -> Vec<String> {
    let failed = |case: crate::runs::Case| match case.finding {
        Finding::Fails(measured) => Some(format!("**{}**: {}: {measured}", name(entry), case.name)),
        Finding::Holds(_) | Finding::Skipped(_) => None,
    };
    entry.cases().into_iter().filter_map(failed).collect()
}

fn skipped(entry: &Entry) -> Vec<String> {
    let skipped = |case: crate::runs::Case| match case.finding {
        Finding::Skipped(why) => Some(format!("{}: {}: not judged: {why}", name(entry), case.name)),
        Finding::Holds(_) | Finding::Fails(_) => None,
    };
    entry.cases().into_iter().filter_map(skipped).collect()
}

fn name(entry: &Entry) -> String {
    match entry.variant.as_str() {
        "" => entry.scenario.clone(),
        variant => format!("{} ({variant})", entry.scenario),
    }
}

fn table(runs: &Runs) -> Table {
    let mut columns = vec![("run".to_owned(), Align::Left), ("req/s".to_owned(), Align::Right)];
    columns.extend(SHOWN.map(|percent| (format!("p{percent}"), Align::Right)));
    columns.extend(["errors", "timeouts"].map(|title| (title.to_owned(), Align::Right)));
    columns.extend(["verdict", "result"].map(|title| (title.to_owned(), Align::Left)));
    let mut table = Table::new(columns.iter().map(|(title, align)| (title.as_str(), *align)));
    for entry in &runs.entries {
        let mut row = vec![one_line(&name(entry))];
        match &entry.outcome {
            Outcome::Made { run, .. } => row.extend(figures(run)),
            Outcome::Failed(_) | Outcome::NotBegun(_) => row.extend(vec![String::new(); columns.len() - 2]),
        }
        row.push(result(entry));
        table.push(row);
    }
    table
}

/// The figures of a run, its verdict last. What the sample does not support is left out.
fn figures(run: &Run) -> Vec<String> {
    let document = Document::Run(Box::new(run.clone()));
    let summary = Summary::of(&document);
    let mut row = vec![summary.rate().map(rate).unwrap_or_default()];
    for percentile in SHOWN.map(Percentile::from_percent) {
        let quantile = percentile.and_then(|percentile| summary.latency.at(percentile));
        row.push(quantile.filter(|quantile| quantile.is_supported).map(bounded).unwrap_or_default());
    }
    row.push(summary.errors.map(count).unwrap_or_default());
    row.push(summary.timeouts.map(count).unwrap_or_default());
    row.push(warning::verdict(&warning::of(&document, &summary)).name().to_owned());
    row
}

fn result(entry: &Entry) -> String {
    let failed = entry.cases().iter().filter(|case| matches!(case.finding, Finding::Fails(_))).count();
    match (&entry.outcome, failed) {
        (Outcome::NotBegun(_), _) => "not made".to_owned(),
        (_, 0) => "ok".to_owned(),
        (_, failed) => format!("**{failed} failed**"),
    }
}
