//! Which runs are repeats of each other, and in what does a group of them differ from others?

use std::collections::{BTreeMap, BTreeSet};

use super::config::{differing, makes_a_difference, without_ports};
use super::row::{Repeat, Row};
use crate::document::{Document, Ended, Run};
use crate::histogram::Percentile;
use crate::summary::Summary;
use crate::verdict::{self, Verdict};
use crate::warning::{self, Warning};

/// The configuration key of the number of the generator's threads.
const WORKERS_KEY: &str = "load.workers";

/// What must be equal for runs to be repeats of each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GroupKey {
    name: String,
    machine: String,
    fingerprint: String,
    plan_key: String,
    /// The plan's key leaves the number of workers out, because it is that of CPUs unless somebody chose it.
    workers: Option<String>,
    versions: BTreeMap<String, String>,
    state: State,
    is_baseline: bool,
}

/// A run that broke off, or does not balance, is no repeat of one that is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Whole,
    Interrupted,
    NotValid,
}

/// Repeats of one plan on one machine.
pub(super) struct Group {
    key: GroupKey,
    cpus: u64,
    /// The configuration of its first run. Ports are left out of URLs: each start of a target may take another.
    config: BTreeMap<String, String>,
    /// Keys whose value is not the same in all its runs: the plan's key does not depend on them.
    varying: BTreeSet<String>,
    repeats: Vec<Repeat>,
    warnings: Vec<Vec<Warning>>,
    shares_cpus: bool,
    /// Of a baseline, how many documents of its own runs were to be held against it.
    shared: u64,
}

impl GroupKey {
    pub(super) fn of(run: &Run, is_baseline: bool) -> Self {
        let state = if !warning::imbalances(run).is_empty() {
            State::NotValid
        } else if run.ended == Ended::Completed {
            State::Whole
        } else {
            State::Interrupted
        };
        Self {
            name: run.name.clone(),
            machine: run.machine.label.clone(),
            fingerprint: run.machine.fingerprint.clone(),
            plan_key: run.plan_key.clone(),
            workers: run.config.get(WORKERS_KEY).cloned(),
            versions: run.versions.clone(),
            state,
            is_baseline,
        }
    }
}

impl Group {
    /// With further percentiles for whoever asks for them.
    pub(super) fn of(key: GroupKey, mut runs: Vec<Run>, further: &[Percentile]) -> Self {
        runs.sort_by(|left, right| (&left.started_at, &left.id).cmp(&(&right.started_at, &right.id)));
        let configs: Vec<_> = runs.iter().map(|run| without_ports(&run.config)).collect();
        let config = configs.first().cloned().unwrap_or_default();
        let varying = configs.iter().flat_map(|other| differing(&config, other)).collect();
        let cpus = runs.first().map_or(0, |run| run.machine.cpus_allowed);
        let shares_cpus = runs.iter().any(verdict::shares_cpus);
        let (mut repeats, mut warnings) = (Vec::new(), Vec::new());
        for run in runs {
            let document = Document::Run(Box::new(run));
            let summary = Summary::with(&document, further);
            warnings.push(warning::of(&document, &summary));
            if let Document::Run(run) = document {
                repeats.push(Repeat::of_run(&run, summary));
            }
        }
        Self { key, cpus, config, varying, repeats, warnings, shares_cpus, shared: 0 }
    }

    /// The same of a baseline, so many of whose runs were to be held against it.
    pub(super) fn sharing(self, shared: u64) -> Self {
        Self { shared, ..self }
    }

    pub(super) fn row(&self, all: &[Self]) -> Row {
        let verdicts = self.warnings.iter().map(|warnings| warning::verdict(warnings));
        let fixed = self.config.iter().filter(|(key, _)| !self.varying.contains(*key));
        let mut config: BTreeMap<String, String> =
            fixed.map(|(key, value)| (key.clone(), value.clone())).collect();
        let versions = self.key.versions.iter();
        config.extend(versions.map(|(name, version)| (format!("version.{name}"), version.clone())));
        Row {
            scenario: self.key.name.clone(),
            differences: self.differences(all),
            machine: self.key.machine.clone(),
            fingerprint: Some(self.key.fingerprint.clone()),
            cpus: Some(self.cpus),
            config,
            source: None,
            runs: self.repeats.clone(),
            verdict: verdicts.max().unwrap_or(Verdict::Ok),
            is_whole: self.key.state == State::Whole,
            shares_cpus: self.shares_cpus,
            is_baseline: self.key.is_baseline,
            shared: self.shared,
        }
    }

    /// Why this row is not one with its neighbours.
    fn differences(&self, all: &[Self]) -> Vec<String> {
        let mut names = if self.key.is_baseline { vec!["baseline".to_owned()] } else { vec![] };
        names.extend(match self.key.state {
            State::Whole => vec![],
            State::Interrupted => vec!["interrupted".to_owned()],
            State::NotValid => vec!["not valid".to_owned()],
        });
        let mut keys = BTreeSet::new();
        let (mut other_plan, mut other_machine) = (false, false);
        for other in all.iter().filter(|other| other.key.name == self.key.name) {
            if other.key.plan_key != self.key.plan_key {
                other_plan = true;
                let differing = differing(&self.config, &other.config);
                let fixed = |key: &String| !self.varying.contains(key) && !other.varying.contains(key);
                let differing: Vec<String> =
                    differing.into_iter().filter(|key| makes_a_difference(key) && fixed(key)).collect();
                let is_in_both =
                    |key: &String| self.config.contains_key(key) && other.config.contains_key(key);
                // Settings that only one kind of target has go without saying where the kind is named.
                let is_named = differing.iter().any(is_in_both);
                keys.extend(
                    differing
                        .into_iter()
                        .filter(|key| !is_named || is_in_both(key) || !key.starts_with("target.")),
                );
            }
            let is_same =
                other.key.plan_key == self.key.plan_key && other.key.fingerprint == self.key.fingerprint;
            if is_same && other.key.workers != self.key.workers {
                keys.insert(WORKERS_KEY.to_owned());
            }
            if other.key.machine == self.key.machine {
                keys.extend(differing(&self.key.versions, &other.key.versions));
                other_machine |= other.key.fingerprint != self.key.fingerprint;
            }
        }
        let value = |key: &str| self.config.get(key).or_else(|| self.key.versions.get(key));
        let named = keys.iter().map(|key| match value(key) {
            Some(value) => format!("{key}={value}"),
            None => format!("no {key}"),
        });
        names.extend(named);
        if other_plan && keys.is_empty() {
            names.push(format!("plan {}", short(&self.key.plan_key)));
        }
        if other_machine {
            names.push(format!("fingerprint {}", short(&self.key.fingerprint)));
        }
        names
    }

    /// Warnings that the cells do not show: what casts doubt on the row, or on the target.
    pub(super) fn notes(&self, label: &str) -> Vec<String> {
        let worth = |warning: &&Warning| {
            warning.is_grave()
                || warning.verdict() != Verdict::Ok && !is_marked(warning)
                || matches!(
                    warning,
                    Warning::VerificationFailed { .. }
                        | Warning::NeverAnswered { .. }
                        | Warning::Unsent { .. }
                )
        };
        // By kind, with the first of its kind as the example.
        let mut kinds: Vec<(&Warning, usize)> = Vec::new();
        for warnings in &self.warnings {
            let mut in_this_run: Vec<&Warning> = Vec::new();
            for warning in warnings.iter().filter(worth) {
                if in_this_run.iter().any(|known| same_kind(known, warning)) {
                    continue;
                }
                in_this_run.push(warning);
                match kinds.iter_mut().find(|(known, _)| same_kind(known, warning)) {
                    Some((_, runs)) => *runs += 1,
                    None => kinds.push((warning, 1)),
                }
            }
        }
        let (machine, all) = (&self.key.machine, self.repeats.len());
        let note = |(warning, runs): (&Warning, usize)| {
            format!("{label} on {machine}, {runs} of {all} runs: {}", warning.line())
        };
        kinds.into_iter().map(note).collect()
    }
}

/// What is grave in one run is not so in another.
fn same_kind(left: &Warning, right: &Warning) -> bool {
    std::mem::discriminant(left) == std::mem::discriminant(right) && left.verdict() == right.verdict()
}

/// Whether the mark of rows whose generator and target shared CPUs says it already.
fn is_marked(warning: &Warning) -> bool {
    matches!(warning, Warning::Generator(reason) if reason.is_shared && reason.verdict == Verdict::Suspect)
}

/// What is left of a hash in a label.
fn short(hash: &str) -> &str {
    hash.get(..8).unwrap_or(hash)
}
