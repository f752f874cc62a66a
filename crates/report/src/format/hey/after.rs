//! What hey does not say: a few calm lines after its block. First what makes a reader distrust the figures, then what the target
//! did, then the rest. What is as usual is said in a word, or not at all: the document has it.

use super::{target, terminal};
use crate::document::{Document, Figures, Latencies, Run};
use crate::format::{View, answers, bounded, tags};
use crate::histogram::Percentile;
use crate::summary::{FAULTS_KEY, RATE_KEY, STAGES_KEY};
use crate::units::{count, counted, nanos, one_line, whole};
use crate::verdict::Verdict;
use crate::warning::{self, Warning};

/// Warnings and notes, at most.
const DOUBTS: usize = 6;
/// Reasons of a verdict that are named.
const REASONS: usize = 2;
/// Characters of a line, at most. What is longer goes on in the next.
const LONGEST: usize = 112;
/// A terminal may be narrower, but what is narrower than this breaks the lines by itself.
const NARROWEST: usize = 60;
/// Further lines of the same begin so.
const INDENT: &str = "    ";
/// A larger share of the time spent waiting for the answer is as it should be.
const USUAL_WAIT: f64 = 0.9;
/// A part of the time that is worth its words.
const WORTH_NAMING: f64 = 0.01;

/// What hey does not say, and two more lines for a person at a terminal. None begins with a bracket.
pub(in crate::format) fn lines(view: &View<'_>) -> Vec<String> {
    let style = view.style;
    let width = if style.terminal { style.width.clamp(NARROWEST, LONGEST) } else { LONGEST };
    let (told, for_a_person) = match view.document {
        Document::Run(run) if style.terminal => {
            (of_run(view, run), [terminal::course(run, style.width), terminal::next(view, run)])
        }
        Document::Run(run) => (of_run(view, run), [None, None]),
        Document::Figures(figures) => (of_figures(view, figures), [None, None]),
    };
    // A command to be typed again stays in one piece.
    told.iter().flat_map(|line| broken(line, width)).chain(for_a_person.into_iter().flatten()).collect()
}

fn of_run(view: &View<'_>, run: &Run) -> Vec<String> {
    let (grave, others): (Vec<&Warning>, Vec<&Warning>) =
        view.warnings.iter().partition(|warning| warning.is_grave());
    // What speaks against the generator is in the verdict.
    let others = others.into_iter().filter(|warning| warning.verdict() == Verdict::Ok);
    let others = others.filter(|warning| !is_said_better(warning, view.warnings));
    let mut doubts: Vec<String> = others.map(Warning::line).chain(target::odd(run)).collect();
    doubts.extend(run.notes.iter().map(|note| format!("note: {}", one_line(note))));
    shorten(&mut doubts);
    let facts = [
        further_percentiles(view),
        merged(run),
        engine(run),
        open_model(view),
        misbehaves(view, run),
        target::served(run),
        target::used(view),
        target::times(view),
        time_went(view, run),
        connections(run),
    ];
    let grave = grave.into_iter().map(Warning::line);
    grave
        .chain(verdict(view, run))
        .chain(doubts)
        .chain(answers::assertions(run, true))
        .chain(facts.into_iter().flatten())
        .chain(answers::facts(run))
        .chain(answers::assertions(run, false))
        .chain(tags(run).map(|tags| format!("tags: {tags}")))
        .collect()
}

fn of_figures(view: &View<'_>, figures: &Figures) -> Vec<String> {
    let mut notes: Vec<String> =
        figures.notes.iter().map(|note| format!("note: {}", one_line(note))).collect();
    shorten(&mut notes);
    let source = format!("published, not measured here: {}", one_line(&figures.source));
    std::iter::once(source).chain(further_percentiles(view)).chain(notes).collect()
}

/// Where all requests failed in the same way, that and its advice say that none was answered.
fn is_said_better(warning: &Warning, all: &[Warning]) -> bool {
    let says_why = |other: &Warning| {
        matches!(other, Warning::Failures { failed, sent, .. } if failed == sent) && other.advice().is_some()
    };
    matches!(warning, Warning::NothingAnswered { .. }) && all.iter().any(says_why)
}

/// A line, and where it is too long, further ones: broken between words alone, so that a path can be copied.
fn broken(line: &str, width: usize) -> Vec<String> {
    let length = |text: &str| text.chars().count();
    let (mut lines, mut last) = (Vec::new(), String::new());
    for word in line.split(' ') {
        let is_begun = !last.trim_start().is_empty();
        if is_begun && length(&last) + 1 + length(word) > width {
            lines.push(std::mem::replace(&mut last, INDENT.to_owned()));
        } else if is_begun {
            last.push(' ');
        }
        last.push_str(word);
    }
    lines.push(last);
    lines
}

/// Those that were asked for and that the block does not have.
fn further_percentiles(view: &View<'_>) -> Option<String> {
    let known = view.quantiles().filter(|quantile| quantile.is_supported);
    let known = known.filter(|quantile| !Percentile::HEY.contains(&quantile.percentile));
    let known = known.map(|quantile| format!("{} {}", quantile.percentile, bounded(quantile)));
    let parts: Vec<_> =
        if view.percentiles.is_empty() { Vec::new() } else { known.chain(view.unknown()).collect() };
    (!parts.is_empty()).then(|| format!("asked for: {}", parts.join(", ")))
}

fn merged(run: &Run) -> Option<String> {
    let merged = run.merged.as_ref()?;
    let mut machines: Vec<String> = merged.parts.iter().map(|part| one_line(&part.machine)).collect();
    machines.dedup();
    Some(format!(
        "merged of {} ({}); Requests/sec is of the {} in which all were at work",
        counted(merged.parts.len() as u64, "generator"),
        machines.join(", "),
        nanos(merged.common_ns)
    ))
}

fn shorten(notes: &mut Vec<String>) {
    if notes.len() > DOUBTS {
        let left_out = notes.len() - (DOUBTS - 1);
        notes.truncate(DOUBTS - 1);
        notes.push(format!("and {left_out} more: the markdown format lists them all"));
    }
}

/// The own engine goes without saying; of another one a reader must know what it cannot tell.
fn engine(run: &Run) -> Option<String> {
    match run.config.get("load.engine").map(String::as_str) {
        Some("reqwest") => Some(
            "engine reqwest: it may send a request again when an idle connection closes, and sees neither bytes \
             written nor heads"
                .to_owned(),
        ),
        Some("fake") => Some("engine fake: nothing was sent anywhere".to_owned()),
        _ => None,
    }
}

/// In the open model the latencies above mean something else than in hey, and that must be said.
fn open_model(view: &View<'_>) -> Option<String> {
    let (open, config) = (view.summary.open?, view.document.config());
    let rate = config.get(RATE_KEY).map(|rate| format!("{rate} req/s"));
    let rate = rate.or_else(|| config.get(STAGES_KEY).cloned()).unwrap_or_default();
    let arrival = config.get("load.arrival").map(|arrival| format!(" {arrival}")).unwrap_or_default();
    let parts = [
        ("service p50", open.service_p50_ns),
        ("p99", open.service_p99_ns),
        ("waiting for a connection p99", open.queue_p99_ns),
        ("lag p99", open.lag_p99_ns),
    ];
    let parts: Vec<_> =
        parts.iter().filter_map(|(name, ns)| Some(format!("{name} {}", nanos((*ns)?)))).collect();
    let what = format!("open model, {rate}{arrival}: latencies count from the due time");
    Some(if parts.is_empty() { what } else { format!("{what}; {}", parts.join(", ")) })
}

/// Where the mean latency of answered requests went; nothing where nearly all of it was waiting for the answer, and
/// nothing of an open run in which requests went unanswered: what those waited for a connection is in the same sums.
fn time_went(view: &View<'_>, run: &Run) -> Option<String> {
    let phases = view.summary.phases?;
    let mean = view.summary.answered_latency.as_ref()?.mean().filter(|&mean| mean > 0.0)?;
    let Latencies { queue, lag, answered, connect, .. } = &run.latencies;
    if queue.count > answered.count {
        return None;
    }
    let of_all = |sum_ns: u64| sum_ns as f64 / queue.count.max(1) as f64;
    // The connections of an open run are made before any request is due, and only those that replace them within one.
    let connected_before = queue.count > 0 && connect.count <= run.connections.slots;
    let mut parts = [
        ("waiting for the answer", phases.wait.average_ns),
        ("waiting for a free connection", of_all(queue.sum_ns)),
        ("the generator's lag", of_all(lag.sum_ns)),
        ("connecting", if connected_before { 0.0 } else { phases.connect.average_ns }),
        ("writing", phases.write.average_ns),
        ("reading", phases.read.average_ns),
    ];
    if parts[0].1 >= mean * USUAL_WAIT {
        return None;
    }
    parts.sort_by(|left, right| right.1.total_cmp(&left.1));
    let parts = parts.iter().filter(|(_, ns)| *ns >= mean * WORTH_NAMING);
    let parts: Vec<_> = parts.map(|(name, ns)| format!("{:.0}% {name}", ns / mean * 100.0)).collect();
    let mean = nanos(whole(mean));
    Some(format!("where the time went, of {mean} on average: {}", parts.join(", ")))
}

/// That the target was told to misbehave, or requests asked for it: then slow and failed answers are no surprise.
fn misbehaves(view: &View<'_>, run: &Run) -> Option<String> {
    let faults = run.config.get(FAULTS_KEY).filter(|faults| !faults.is_empty());
    let suffered = view.summary.target.map(|times| times.faulted);
    let how = match (faults, suffered) {
        (None, None | Some(0)) => return None,
        (Some(faults), _) => one_line(faults),
        (None, Some(_)) => "as requests asked for".to_owned(),
    };
    let counted = suffered.map(|faulted| format!(", suffered by {}", counted(faulted, "request")));
    Some(format!("the target misbehaves on purpose: {how}{}", counted.unwrap_or_default()))
}

/// Whether the generator was in the way, and what says so.
fn verdict(view: &View<'_>, run: &Run) -> Option<String> {
    let verdict = warning::verdict(view.warnings);
    if verdict == Verdict::Ok {
        // Without an answer there is nothing to be in the way of.
        return (run.account.answered() > 0).then(|| "verdict: ok".to_owned());
    }
    let reasons: Vec<&Warning> =
        view.warnings.iter().filter(|warning| warning.verdict() != Verdict::Ok).collect();
    let advice = reasons.first().and_then(|reason| reason.advice());
    // A verdict is about the generator, which need not be named in each reason.
    let text = |reason: &&Warning| {
        let text = reason.to_string();
        text.strip_prefix("the generator's ").map_or_else(|| text.clone(), str::to_owned)
    };
    let mut texts: Vec<String> = reasons.iter().map(text).collect();
    if texts.len() > REASONS {
        let more = texts.len() - REASONS;
        texts.truncate(REASONS);
        texts.push(format!("and {more} more"));
    }
    let advice = advice.map(|advice| format!(": {advice}")).unwrap_or_default();
    Some(format!("verdict: {}: {}{advice}", verdict.name(), texts.join("; ")))
}

/// How many there were, and how evenly they were served. That requests went over kept ones goes without saying.
fn connections(run: &Run) -> Option<String> {
    let connections = &run.connections;
    let (opened, slots) = (counted(connections.opened, "connection"), connections.slots);
    let is_usual = connections.opened == slots;
    // Where slots are not connections, the number must say what it counts.
    let mut parts = match warning::slot_name(run) {
        "connection" if is_usual => vec![opened],
        "connection" => vec![format!("{opened} opened for {} at a time", count(slots))],
        slot => vec![format!("{} on {opened}", counted(slots, slot))],
    };
    if connections.most_answers > 0 {
        let (fewest, most) = (connections.fewest_answers, connections.most_answers);
        parts.push(if fewest == most {
            format!("{} on each", counted(most, "answer"))
        } else {
            format!("{} to {} on each", count(fewest), counted(most, "answer"))
        });
    }
    if connections.opened > slots {
        parts.push(format!("{} on a kept one", counted(connections.reused, "request")));
    }
    if connections.reopened > 0 {
        parts.push(format!("{} reopened", count(connections.reopened)));
    }
    if run.redirects > 0 {
        parts.push(format!("{} followed", counted(run.redirects, "redirect")));
    }
    // Where no connection came about, the failures have said so.
    (connections.opened > 0).then(|| parts.join(", "))
}
