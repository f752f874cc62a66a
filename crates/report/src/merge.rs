//! What do several generators say together that loaded one target at the same time?

mod align;
mod sums;

use std::collections::{BTreeMap, BTreeSet};

use self::align::Common;
use crate::compare::differing_keys;
use crate::document::{Document, Ended, Machine, Merged, Part, Run, Window};
use crate::histogram::DistributionError;
use crate::summary::Summary;
use crate::units::nanos;
use crate::warning;

/// The key that says how many generators there were.
const GENERATORS_KEY: &str = "load.generators";
/// An error names at most so many keys.
const KEYS_NAMED: usize = 3;
/// Between values that differ.
const AND: &str = " + ";

/// Why runs are no parts of one. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// One run, or none.
    #[error("there is nothing to merge: name the documents of two generators or more")]
    Few,
    /// The same run again.
    #[error("run {0} is named twice: name each document once")]
    Twice(String),
    /// A part that has parts.
    #[error("run {0} is merged already: name the documents it was made of")]
    Merged(String),
    /// A part with a target of its own.
    #[error("run {0} started a target of its own: merge runs that loaded one target by its URL")]
    OwnTarget(String),
    /// Plans that differ.
    #[error("runs {0} and {1} followed different plans ({2}): give all generators the same options")]
    Plans(String, String, String),
    /// A time that cannot be read.
    #[error("run {0} says it began at `{1}`, which is no time: its document was edited or damaged")]
    Time(String, String),
    /// No time in common.
    #[error(
        "they were at work at the same time for {0}, and a rate needs a whole second of each: start the generators together, and \
         set the clocks of their machines"
    )]
    Apart(String),
    /// A damaged histogram.
    #[error("a histogram of run {0} is damaged: {1}; measure again")]
    Histogram(String, DistributionError),
}

/// One run of several: counts and histograms added up, seconds aligned by the time at which each began, the rate that of the time
/// common to all, the verdict the worst.
///
/// # Errors
/// When they are no parts of one run.
pub fn merge(runs: Vec<Run>) -> Result<Run, MergeError> {
    check(&runs)?;
    let mut begun: Vec<(u64, Run)> = align::offsets(&runs)?.into_iter().zip(runs).collect();
    begun.sort_by(|left, right| (left.0, &left.1.id).cmp(&(right.0, &right.1.id)));
    let (offsets, runs): (Vec<u64>, Vec<Run>) = begun.into_iter().unzip();
    let common = Common::of(&runs, &offsets);
    let parts: Vec<Part> =
        runs.iter().zip(&offsets).map(|(run, &offset)| part(run, common.inside(run, offset))).collect();
    if parts.iter().any(|part| part.over_ns == 0) {
        return Err(MergeError::Apart(nanos(common.length_ns())));
    }
    let merged = Merged { common_ns: common.length_ns(), parts };
    let mut total = sums::total(&runs, &offsets)?;
    total.window = window(&runs, &offsets, &common);
    total.series = align::series(&runs, &offsets);
    total.id = runs.iter().map(|run| run.id.as_str()).collect::<Vec<_>>().join("+");
    total.plan_key = format!("{}x{}", total.plan_key, runs.len());
    total.config.insert(GENERATORS_KEY.into(), runs.len().to_string());
    total.ended =
        runs.iter().map(|run| run.ended).find(|ended| *ended != Ended::Completed).unwrap_or(Ended::Completed);
    total.machine = machine(&runs);
    total.versions = versions(&runs);
    total.tags.retain(|key, value| runs.iter().all(|run| run.tags.get(key) == Some(&*value)));
    let is_same = |run: &Run| run.negotiated == total.negotiated;
    if !runs.iter().all(is_same) {
        total.negotiated = None;
    }
    total.same_machine = same_machine(&runs);
    let notes = runs
        .iter()
        .zip(1..)
        .flat_map(|(run, number)| run.notes.iter().map(move |note| format!("generator {number}: {note}")));
    total.notes = notes.collect();
    total.merged = Some(Box::new(merged));
    Ok(total)
}

fn check(runs: &[Run]) -> Result<(), MergeError> {
    let [first, others @ ..] = runs else { return Err(MergeError::Few) };
    if others.is_empty() {
        return Err(MergeError::Few);
    }
    let mut seen = BTreeSet::new();
    for run in runs {
        let id = || run.id.clone();
        if !seen.insert((&run.machine.label, &run.started_at, &run.id)) {
            return Err(MergeError::Twice(id()));
        }
        if run.merged.is_some() {
            return Err(MergeError::Merged(id()));
        }
        if !run.instances.is_empty() || run.front.is_some() {
            return Err(MergeError::OwnTarget(id()));
        }
        if run.plan_key != first.plan_key {
            let mut keys = differing_keys(&first.config, &run.config);
            keys.truncate(KEYS_NAMED);
            let keys = if keys.is_empty() { "another plan key".into() } else { keys.join(", ") };
            return Err(MergeError::Plans(first.id.clone(), id(), keys));
        }
    }
    Ok(())
}

fn part(run: &Run, (answered, over_ns): (u64, u64)) -> Part {
    let document = Document::Run(Box::new(run.clone()));
    let warnings = warning::of(&document, &Summary::of(&document));
    let verdict = warning::verdict(&warnings);
    let against = warnings.iter().filter(|warning| warning.verdict() != crate::verdict::Verdict::Ok);
    Part {
        id: run.id.clone(),
        machine: run.machine.label.clone(),
        started_at: run.started_at.clone(),
        answered,
        over_ns,
        verdict,
        reasons: against.map(ToString::to_string).collect(),
    }
}

/// The rate is of the common time; all is over when the last is.
fn window(runs: &[Run], offsets: &[u64], common: &Common) -> Window {
    let ends = runs.iter().zip(offsets).map(|(run, offset)| offset + run.window.wall_ns);
    Window {
        planned_ns: runs.first().and_then(|run| run.window.planned_ns),
        measured_ns: common.length_ns(),
        wall_ns: ends.max().unwrap_or(0),
        drain_limit_ns: runs.iter().map(|run| run.window.drain_limit_ns).max().unwrap_or(0),
    }
}

/// Of machines that are called alike and are alike, nobody knows whether they are one: their figures are those of one.
fn machine(runs: &[Run]) -> Machine {
    let joined = |of: fn(&Machine) -> &String| {
        let values: BTreeSet<&String> = runs.iter().map(|run| of(&run.machine)).collect();
        values.into_iter().map(String::as_str).collect::<Vec<_>>().join(AND)
    };
    let mut different: BTreeMap<(&str, &str), &Machine> = BTreeMap::new();
    for run in runs {
        let machine = &run.machine;
        different.insert((machine.label.as_str(), machine.fingerprint.as_str()), machine);
    }
    let sum = |of: fn(&Machine) -> u64| different.values().map(|machine| of(machine)).sum::<u64>();
    let mut limits = runs.first().map(|run| run.machine.limits.clone()).unwrap_or_default();
    limits.retain(|name, value| runs.iter().all(|run| run.machine.limits.get(name) == Some(&*value)));
    Machine {
        label: joined(|machine| &machine.label),
        fingerprint: joined(|machine| &machine.fingerprint),
        cpu_model: joined(|machine| &machine.cpu_model),
        cpus_allowed: sum(|machine| machine.cpus_allowed),
        cpus_total: sum(|machine| machine.cpus_total),
        memory_bytes: sum(|machine| machine.memory_bytes),
        kernel: joined(|machine| &machine.kernel),
        architecture: joined(|machine| &machine.architecture),
        limits,
    }
}

fn versions(runs: &[Run]) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for (name, version) in runs.iter().flat_map(|run| &run.versions) {
        all.entry(name.clone()).or_default().insert(version);
    }
    let joined = |versions: BTreeSet<&str>| versions.into_iter().collect::<Vec<_>>().join(AND);
    all.into_iter().map(|(name, versions)| (name, joined(versions))).collect()
}

/// One generator beside the target is enough to be in its way; that none was must be known of all.
fn same_machine(runs: &[Run]) -> Option<bool> {
    if runs.iter().any(|run| run.same_machine == Some(true)) {
        return Some(true);
    }
    runs.iter().all(|run| run.same_machine == Some(false)).then_some(false)
}
