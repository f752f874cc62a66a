//! What hey does not say: a few calm lines after its block.

use super::terminal;
use crate::document::{Document, Latencies, Run};
use crate::format::{View, answers, bounded, tags};
use crate::histogram::Percentile;
use crate::share;
use crate::summary::{FAULTS_KEY, RATE_KEY, STAGES_KEY, Spent, TargetUse};
use crate::units::{count, counted, memory, nanos, one_line, whole};
use crate::verdict::Verdict;
use crate::warning::{self, Warning};

/// Our own lines, at most.
const NOTES: usize = 8;
/// So many of them are for what happened, however many facts there are.
const FEWEST: usize = 3;
/// Reasons of a verdict that are named.
const REASONS: usize = 2;
/// A larger share of the time spent waiting for the answer is as it should be.
const USUAL_WAIT: f64 = 0.9;
/// A part of the time that is worth its words.
const WORTH_NAMING: f64 = 0.01;

/// What hey does not say, in at most [`NOTES`] lines, and two more for a person at a terminal. None begins with a bracket.
pub(in crate::format) fn lines(view: &View<'_>) -> Vec<String> {
    // What speaks against the generator is in the verdict.
    let others = view.warnings.iter().filter(|warning| warning.verdict() == Verdict::Ok);
    let mut notes: Vec<String> = others.map(Warning::line).collect();
    // First, so that it is never among those left out.
    notes.splice(0..0, further_percentiles(view));
    match view.document {
        Document::Run(run) => {
            let facts = [
                merged(run),
                engine(run),
                open_model(view),
                misbehaves(view, run),
                time_went(view, run),
                in_target(view),
                target_used(view),
                connections(run),
                verification(run),
                instances(run),
                front(run),
                tagged(run),
                verdict(view, run),
            ];
            let facts: Vec<String> = facts.into_iter().flatten().chain(answers::facts(run)).collect();
            let room = NOTES.saturating_sub(facts.len()).max(FEWEST);
            let said = run.notes.iter().map(|note| format!("note: {}", one_line(note)));
            notes.extend(said);
            shorten(&mut notes, room);
            notes.extend(facts);
            if view.style.terminal {
                notes.extend(
                    [terminal::course(run, view.style.width), terminal::next(view, run)]
                        .into_iter()
                        .flatten(),
                );
            }
        }
        Document::Figures(figures) => {
            notes.push(format!("published, not measured here: {}", one_line(&figures.source)));
            notes.extend(figures.notes.iter().map(|note| format!("note: {}", one_line(note))));
            shorten(&mut notes, NOTES);
        }
    }
    notes
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

fn tagged(run: &Run) -> Option<String> {
    tags(run).map(|tags| format!("tags: {tags}"))
}

fn shorten(notes: &mut Vec<String>, room: usize) {
    if notes.len() > room {
        let kept = room.saturating_sub(1);
        let left_out = notes.len() - kept;
        notes.truncate(kept);
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
        ("service time p50", open.service_p50_ns),
        ("p99", open.service_p99_ns),
        ("waiting for a connection p99", open.queue_p99_ns),
        ("generator's lag p99", open.lag_p99_ns),
    ];
    let parts: Vec<_> =
        parts.iter().filter_map(|(name, ns)| Some(format!("{name} {}", nanos((*ns)?)))).collect();
    let what = format!("open model, {rate}{arrival}: latencies count from when requests were due");
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

/// Where the time went inside the target, as its instances tell.
fn in_target(view: &View<'_>) -> Option<String> {
    let times = view.summary.target?;
    let parts = [
        ("waiting for a thread", times.queue),
        ("waiting for the write lock", times.lock),
        ("committing", times.commit),
    ];
    let part = |(name, spent): &(&str, Spent)| {
        let worst = spent.worst_p99_ns.map(|p99| format!(" (p99 {})", nanos(p99))).unwrap_or_default();
        Some(format!("{}{worst} {name}", nanos(whole(spent.mean_ns?))))
    };
    let parts: Vec<_> = parts.iter().filter_map(part).collect();
    let service = nanos(whole(times.service.mean_ns?));
    let what = format!("in the target: {service} on average from head to answer");
    let shared = times.rows_per_transaction.filter(|&rows| rows > 1.0);
    let shared = shared.map(|rows| format!(", {rows:.1} rows per transaction")).unwrap_or_default();
    Some(if parts.is_empty() { what } else { format!("{what}: {}{shared}", parts.join(", ")) })
}

/// What the target used of the machine, beside the generator.
fn target_used(view: &View<'_>) -> Option<String> {
    let used = view.summary.usage.as_ref()?;
    let beside = [("what is in front of it", used.front_cpus), ("the generator", used.generator_cpus)];
    let beside = beside.iter().filter_map(|(who, cpus)| Some(format!(", {who} {:.2}", (*cpus)?)));
    let beside: String = beside.collect();
    let mut parts =
        vec![format!("the target kept {:.2} CPUs busy{beside}, of {}", used.cpus, used.machine_cpus)];
    parts.extend(sets(used));
    parts.extend(used.cpu_us_per_request.map(|us| format!("{} of CPU per request", nanos(whole(us * 1e3)))));
    parts.push(format!("{} of memory", memory(used.rss_bytes)));
    let written = used.written_per_second.filter(|&written| written >= 1.0);
    parts.extend(written.map(|written| format!("{} written a second", memory(whole(written)))));
    let restarts = used.restarts;
    parts.extend((restarts > 0).then(|| format!("{} of its processes", counted(restarts, "restart"))));
    Some(parts.join("; "))
}

/// On which CPUs both ran, where they were told apart.
fn sets(used: &TargetUse) -> Option<String> {
    let (target, generator) = (used.target_set.as_ref()?, used.generator_set.as_ref()?);
    let apart = format!("the target on CPU {target}, the generator on CPU {generator}");
    match &used.shared_set {
        Some(_) if target == generator => None,
        Some(shared) => Some(format!("{apart}, both on {shared}")),
        None => Some(apart),
    }
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
    let mut texts: Vec<String> = reasons.iter().map(ToString::to_string).collect();
    if texts.len() > REASONS {
        let more = texts.len() - REASONS;
        texts.truncate(REASONS);
        texts.push(format!("and {more} more"));
    }
    let advice = advice.map(|advice| format!(": {advice}")).unwrap_or_default();
    Some(format!("verdict: {}: {}{advice}", verdict.name(), texts.join("; ")))
}

fn connections(run: &Run) -> Option<String> {
    let connections = &run.connections;
    let mut parts = vec![
        format!("{} opened", counted(connections.opened, "connection")),
        format!("{} on a kept one", counted(connections.reused, "request")),
    ];
    if run.redirects > 0 {
        parts.push(format!("{} followed", counted(run.redirects, "redirect")));
    }
    if connections.reopened > 0 {
        parts.push(format!("{} reopened", count(connections.reopened)));
    }
    if connections.most_answers > 0 {
        let (fewest, most) = (connections.fewest_answers, connections.most_answers);
        let each = if fewest == most {
            counted(most, "answer")
        } else {
            format!("{} to {}", count(fewest), counted(most, "answer"))
        };
        // Where slots are not connections, the number must say what it counts.
        let slots = match warning::slot_name(run) {
            "connection" => count(connections.slots),
            slot => counted(connections.slots, slot),
        };
        parts.push(format!("{each} on each of {slots}"));
    }
    // Where no connection came about, the failures have said so.
    (connections.opened > 0).then(|| parts.join(", "))
}

fn verification(run: &Run) -> Option<String> {
    // A failed one is among the warnings.
    let verification = run.verification.as_ref().filter(|verification| verification.holds())?;
    let (rows, good) = (counted(verification.rows, "row"), counted(verification.acknowledged, "good answer"));
    Some(format!("database: {rows} for {good}, integrity ok"))
}

/// What stood in front of the target, what it cost, and how it ended if not as it was told to.
fn front(run: &Run) -> Option<String> {
    let front = run.front.as_ref()?;
    let name = run.versions.get("front").map_or_else(|| "a proxy".to_owned(), |version| one_line(version));
    let cpu = front.cpu_ns.map(|ns| format!(", {} of CPU", nanos(ns))).unwrap_or_default();
    let odd = (front.ended != "stopped").then(|| format!("; it {}", one_line(&front.ended)));
    Some(format!("in front of the target: {name}{cpu}{}", odd.unwrap_or_default()))
}

/// What each server process did, and any that did not end as it was told to.
fn instances(run: &Run) -> Option<String> {
    /// More numbers than this are a range.
    const LISTED: usize = 8;
    let number = u64::try_from(run.instances.len()).unwrap_or(u64::MAX);
    let mut parts = vec![counted(number, "instance")];
    let answered: Vec<u64> = run.instances.iter().filter_map(|instance| instance.answered).collect();
    if let [only] = answered[..] {
        parts.push(format!("{} answered", counted(only, "request")));
    } else if let (Some(&fewest), Some(&most)) = (answered.iter().min(), answered.iter().max()) {
        let each = if answered.len() <= LISTED {
            answered.iter().map(|&answered| count(answered)).collect::<Vec<_>>().join("  ")
        } else {
            format!("{} to {}", count(fewest), count(most))
        };
        parts.push(format!("requests answered by each: {each}"));
    }
    parts.extend(taken(run, number));
    let odd = run.instances.iter().filter(|instance| instance.ended != "stopped");
    parts.extend(odd.map(|instance| format!("number {} {}", instance.number, one_line(&instance.ended))));
    (number > 0).then(|| parts.join("; "))
}

/// How the connections were shared, and how evenly chance would have it.
fn taken(run: &Run, instances: u64) -> Option<String> {
    let taken = run.instances.iter().map(|instance| instance.accepted).collect::<Option<Vec<u64>>>()?;
    let (fewest, most) = (taken.iter().min()?, taken.iter().max()?);
    let all: u64 = taken.iter().sum();
    (instances > 1 && all > 0).then(|| {
        let chance = if share::is_hashed(run) {
            format!(" (by chance {})", share::by_chance(instances, all))
        } else {
            String::new()
        };
        let range = if fewest == most { String::new() } else { format!(" to {}", count(*most)) };
        format!("connections of each: {}{range}{chance}", count(*fewest))
    })
}
