//! A short table for a pull request.

use crate::document::Document;
use crate::format::{View, answers, bounded, tags};
use crate::summary::{FAULTS_KEY, Model};
use crate::table::{Align, Table, markdown_cell};
use crate::units::{count, memory, nanos, one_line, rate, share, whole};
use crate::warning::{Warning, verdict};

pub(super) fn render(view: &View<'_>) -> String {
    let document = view.document;
    let (name, machine) = (one_line(document.name()), one_line(document.machine_label()));
    let title = format!("### {} on {}\n", markdown_cell(&name), markdown_cell(&machine));
    let mut notes: Vec<String> = view.warnings.iter().map(Warning::line).collect();
    match document {
        Document::Run(run) => {
            notes.extend(run.notes.iter().map(|note| one_line(note)));
            notes.extend([true, false].into_iter().flat_map(|failed| answers::assertions(run, failed)));
            notes.extend(answers::facts(run));
        }
        Document::Figures(figures) => {
            notes.push(format!("published, not measured here: {}", one_line(&figures.source)));
            notes.extend(figures.notes.iter().map(|note| one_line(note)));
        }
    }
    notes.extend(view.unknown());
    if let Document::Run(run) = document {
        notes.extend(tags(run).map(|tags| format!("tags: {tags}")));
    }
    let notes: Vec<String> = notes.iter().map(|note| format!("- {}\n", markdown_cell(note))).collect();
    let gap = if notes.is_empty() { "" } else { "\n" };
    let by_name =
        answers::table(view.summary).map(|table| format!("\n{}", table.markdown())).unwrap_or_default();
    [&title, "\n", &table(view).markdown(), &by_name, gap, &notes.concat()].concat()
}

/// What is unknown, or not supported by the sample, has no row.
fn table(view: &View<'_>) -> Table {
    let summary = view.summary;
    let latency = match summary.model {
        Some(Model::Open) => "response time",
        Some(Model::Closed) | None => "latency",
    };
    let mut table = Table::new([("", Align::Left), ("value", Align::Right)]);
    let mut row = |name: String, value: Option<String>| {
        if let Some(value) = value {
            table.push(vec![name, value]);
        }
    };
    let rps = summary.rate().map(|rps| match &summary.rps_qualifier {
        Some(qualifier) => format!("{} {}", one_line(qualifier), rate(rps)),
        None => rate(rps),
    });
    row("requests/sec".into(), rps);
    row("answered".into(), summary.answered.map(count));
    let errors = summary.errors.map(|errors| match summary.error_rate {
        Some(part) if errors > 0 => format!("{} ({})", count(errors), share(part)),
        _ => count(errors),
    });
    row("errors".into(), errors);
    row("timeouts".into(), summary.timeouts.map(count));
    for quantile in view.quantiles().filter(|quantile| quantile.is_supported) {
        row(format!("{latency} {}", quantile.percentile), Some(bounded(quantile)));
    }
    let bound = if summary.latency.censored > 0 { ">= " } else { "" };
    let slowest = summary.latency.slowest_ns.map(|ns| format!("{bound}{}", nanos(ns)));
    row(format!("{latency} slowest"), slowest);
    // Published figures say nothing of the generator that measured them.
    if let Some(times) = summary.target {
        for (name, spent) in [
            ("in the target, service", times.service),
            ("in the target, waiting for a thread", times.queue),
            ("in the target, waiting for the write lock", times.lock),
            ("in the target, committing", times.commit),
        ] {
            row(format!("{name} (mean)"), spent.mean_ns.map(|ns| nanos(whole(ns))));
        }
    }
    if let Document::Run(run) = view.document {
        let faults = run.config.get(FAULTS_KEY).filter(|faults| !faults.is_empty());
        row("the target misbehaves on purpose".into(), faults.cloned());
    }
    if let Some(used) = &summary.usage {
        let of_all = format!("{:.2} CPUs of {}", used.cpus, used.machine_cpus);
        row("the target used".into(), Some(of_all));
        row("what is in front of it used".into(), used.front_cpus.map(|cpus| format!("{cpus:.2} CPUs")));
        let per_request = used.cpu_us_per_request.map(|us| nanos(whole(us * 1e3)));
        row("the target used, CPU per request".into(), per_request);
        row("the target used, memory (most)".into(), Some(memory(used.rss_bytes)));
        let written = used.written_per_second.filter(|&written| written >= 1.0);
        row("the target wrote, per second".into(), written.map(|written| memory(whole(written))));
    }
    let is_run = matches!(view.document, Document::Run(_));
    row("verdict".into(), is_run.then(|| verdict(view.warnings).name().to_owned()));
    table
}
