//! What do many runs say side by side? One row for each scenario, machine and plan; repeats are one row.
//!
//! Rows are medians. Whether two of them differ is a question for statistics over their runs, which each row keeps;
//! nothing here answers it from single numbers.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::document::{Document, Ended, Figures, Run};
use crate::histogram::Percentile;
use crate::summary::{Quantile, Summary};
use crate::table::{Align, Table, markdown_cell};
use crate::units::{count, counted, memory, nanos, one_line, rate};
use crate::verdict::Verdict;
use crate::warning::{self, Warning};

/// A row names so many differences from its neighbours, and counts the rest.
const DIFFERENCES: usize = 3;
/// Last parts of configuration keys that are no part of the plan's key: they never make two plans different.
const NO_DIFFERENCE: [&str; 5] = ["seed", "port", "path", "label", "workers"];

/// Runs side by side.
#[derive(Debug, Clone, Default)]
pub struct Comparison {
    /// Sorted by scenario (numbers in names by value), then published before measured, then by size of the machine.
    pub rows: Vec<Row>,
    /// Where published rows come from. Rows refer to them by place, counted from 1.
    pub sources: Vec<Source>,
    /// What is known of each machine, by its label.
    pub machines: BTreeMap<String, MachineFacts>,
    /// What the reader must know beside the numbers.
    pub notes: Vec<String>,
}

/// Repeats of one plan on one machine, or one set of published figures.
#[derive(Debug, Clone)]
pub struct Row {
    /// The scenario.
    pub scenario: String,
    /// In what its plan, program or state differs from other rows of the scenario: `load.duration=20s`.
    pub differences: Vec<String>,
    /// The machine's label.
    pub machine: String,
    /// CPUs of the machine, where known.
    pub cpus: Option<u64>,
    /// Its place among [`Comparison::sources`], counted from 1. `None` for what was measured.
    pub source: Option<usize>,
    /// The runs in order of their start: a single one for published figures.
    pub runs: Vec<Summary>,
    /// The gravest verdict of its runs on their generator. Of published figures nothing is known.
    pub verdict: Verdict,
}

/// Where published figures come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Title, site, date.
    pub title: String,
    /// The tool that measured.
    pub tool: String,
    /// What a reader must know about the figures, each once.
    pub notes: Vec<String>,
}

/// What the documents say of one machine. Prints as `2 CPUs, 4 GiB, about $4 a month`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MachineFacts {
    /// CPUs: of a measured machine, those that the generator was allowed to use.
    pub cpus: Option<u64>,
    /// Memory.
    pub memory_bytes: Option<u64>,
    /// Price per month, as a source says it.
    pub price_per_month: Option<String>,
    /// Model name of the processor.
    pub cpu_model: Option<String>,
    /// Kernel name and release.
    pub kernel: Option<String>,
}

impl fmt::Display for MachineFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let facts = [
            self.cpus.map(|cpus| counted(cpus, "CPU")),
            self.memory_bytes.map(memory),
            self.price_per_month.as_ref().map(|price| format!("{price} a month")),
            self.cpu_model.clone(),
            self.kernel.clone(),
        ];
        let facts: Vec<String> = facts.into_iter().flatten().filter(|fact| !fact.is_empty()).collect();
        f.write_str(&facts.join(", "))
    }
}

impl MachineFacts {
    fn of(document: &Document) -> Self {
        match document {
            Document::Run(run) => Self {
                cpus: Some(run.machine.cpus_allowed),
                memory_bytes: Some(run.machine.memory_bytes),
                price_per_month: None,
                cpu_model: Some(run.machine.cpu_model.clone()),
                kernel: Some(run.machine.kernel.clone()),
            },
            Document::Figures(figures) => Self {
                cpus: figures.machine.cpus,
                memory_bytes: figures.machine.memory_bytes,
                price_per_month: figures.machine.price_per_month.clone(),
                cpu_model: None,
                kernel: None,
            },
        }
    }

    /// One page says the memory, another the price.
    fn fill(&mut self, other: Self) {
        self.cpus = self.cpus.or(other.cpus);
        self.memory_bytes = self.memory_bytes.or(other.memory_bytes);
        self.price_per_month = self.price_per_month.take().or(other.price_per_month);
        self.cpu_model = self.cpu_model.take().or(other.cpu_model);
        self.kernel = self.kernel.take().or(other.kernel);
    }
}

/// The middle of several runs' values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Median {
    /// The median: of an even number, the mean of the middle two.
    pub value: f64,
    /// The largest.
    pub largest: f64,
    /// Whether the true value is this or larger.
    pub is_lower_bound: bool,
}

impl Comparison {
    /// Groups documents into rows. The same run twice counts once.
    pub fn of(documents: Vec<Document>) -> Self {
        let mut comparison = Self::default();
        let mut groups: BTreeMap<GroupKey, Vec<Run>> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let mut copies = 0;
        for document in documents {
            let machine = comparison.machines.entry(document.machine_label().to_owned()).or_default();
            machine.fill(MachineFacts::of(&document));
            match document {
                Document::Figures(figures) => comparison.push_figures(&figures),
                Document::Run(run) => {
                    if seen.insert((run.machine.label.clone(), run.started_at.clone(), run.id.clone())) {
                        groups.entry(GroupKey::of(&run)).or_default().push(*run);
                    } else {
                        copies += 1;
                    }
                }
            }
        }
        if copies > 0 {
            comparison
                .notes
                .push(format!("{} left out: the run is there already", counted(copies, "repeated document")));
        }
        let groups: Vec<Group> = groups.into_iter().map(|(key, runs)| Group::of(key, runs)).collect();
        for group in &groups {
            comparison.notes.extend(group.notes());
            comparison.rows.push(group.row(&groups));
        }
        if comparison.rows.iter().any(|row| row.source.is_none() && row.runs.len() == 1) {
            comparison
                .notes
                .push("n=1: one run cannot tell a difference from noise; repeat it to compare".into());
        }
        comparison.rows.sort_by(Row::order);
        comparison
    }

    /// The table alone.
    pub fn table(&self) -> Table {
        use Align::{Left, Right};
        let mut table = Table::new([
            ("scenario", Left),
            ("machine", Left),
            ("instances", Right),
            ("conns", Right),
            ("req/s", Right),
            ("p50", Right),
            ("p99", Right),
            ("errors", Right),
            ("timeouts", Right),
            ("runs", Left),
        ]);
        for row in &self.rows {
            table.push(row.cells());
        }
        table
    }

    /// The table and its notes, for a terminal.
    pub fn text(&self) -> String {
        let notes: Vec<String> = self.footnotes().into_iter().map(|note| note + "\n").collect();
        let gap = if notes.is_empty() { "" } else { "\n" };
        [&self.table().text(), gap, &notes.concat()].concat()
    }

    /// The table and its notes, for a page or a pull request.
    pub fn markdown(&self) -> String {
        let notes: Vec<String> =
            self.footnotes().iter().map(|note| format!("- {}\n", markdown_cell(note))).collect();
        let gap = if notes.is_empty() { "" } else { "\n" };
        [&self.table().markdown(), gap, &notes.concat()].concat()
    }

    fn footnotes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for (source, number) in self.sources.iter().zip(1..) {
            notes.push(format!(
                "({number}) published, not measured here: {}, with {}",
                one_line(&source.title),
                one_line(&source.tool)
            ));
            notes.extend(source.notes.iter().map(|note| format!("({number}) {}", one_line(note))));
        }
        let machines = self.machines.iter().map(|(label, facts)| format!("{label}: {facts}"));
        notes.extend(machines.chain(self.notes.iter().cloned()).map(|note| one_line(&note)));
        notes
    }

    fn push_figures(&mut self, figures: &Figures) {
        let known = |source: &Source| source.title == figures.source && source.tool == figures.tool;
        let place = self.sources.iter().position(known).unwrap_or_else(|| {
            let (title, tool) = (figures.source.clone(), figures.tool.clone());
            self.sources.push(Source { title, tool, notes: Vec::new() });
            self.sources.len() - 1
        });
        for note in &figures.notes {
            if !self.sources[place].notes.contains(note) {
                self.sources[place].notes.push(note.clone());
            }
        }
        self.rows.push(Row {
            scenario: figures.name.clone(),
            differences: Vec::new(),
            machine: figures.machine.label.clone(),
            cpus: figures.machine.cpus,
            source: Some(place + 1),
            runs: vec![Summary::of(&Document::Figures(Box::new(figures.clone())))],
            verdict: Verdict::Ok,
        });
    }
}

impl Row {
    /// Requests per second.
    pub fn rps(&self) -> Option<Median> {
        self.median(|run| Some((run.rate()?, false)))
    }

    /// A percentile of the latency, in nanoseconds. `None` when one of the runs cannot support it.
    pub fn latency(&self, percentile: Percentile) -> Option<Median> {
        self.median(|run| {
            let quantile: &Quantile = run.latency.at(percentile)?;
            quantile.is_supported.then_some((quantile.value_ns as f64, quantile.is_lower_bound))
        })
    }

    /// HTTP errors, failures, timeouts and aborted requests.
    pub fn errors(&self) -> Option<Median> {
        self.median(|run| Some((run.errors? as f64, false)))
    }

    /// Timeouts alone.
    pub fn timeouts(&self) -> Option<Median> {
        self.median(|run| Some((run.timeouts? as f64, false)))
    }

    /// A value that one of the runs does not have is no value of the row.
    fn median(&self, value: impl Fn(&Summary) -> Option<(f64, bool)>) -> Option<Median> {
        let values: Vec<(f64, bool)> = self.runs.iter().map(value).collect::<Option<_>>()?;
        let is_lower_bound = values.iter().any(|&(_, is_lower_bound)| is_lower_bound);
        let mut values: Vec<f64> = values.into_iter().map(|(value, _)| value).collect();
        values.sort_by(f64::total_cmp);
        let largest = *values.last()?;
        let (lower, upper) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Some(Median { value: f64::midpoint(lower, upper), largest, is_lower_bound })
    }

    fn cells(&self) -> Vec<String> {
        let first = self.runs.first();
        let plain = |number: Option<u64>| number.map_or_else(|| "-".into(), count);
        let latency = |percentile| {
            self.latency(percentile).map_or_else(
                || "-".into(),
                |median| {
                    let bound = if median.is_lower_bound { ">= " } else { "" };
                    format!("{bound}{}", nanos(whole(median.value)))
                },
            )
        };
        let rps = self.rps().map_or_else(|| "-".into(), |median| rate(median.value));
        // Signs are as clear as words in a column of numbers, and a third as wide.
        let rps = match first.and_then(|run| run.rps_qualifier.as_deref()) {
            Some("about") => format!("~ {rps}"),
            Some("more than") => format!("> {rps}"),
            Some(qualifier) => format!("{} {rps}", one_line(qualifier)),
            None => rps,
        };
        vec![
            with_brackets(&self.scenario, &self.differences),
            match self.source {
                Some(source) => format!("{} ({source})", one_line(&self.machine)),
                None => one_line(&self.machine),
            },
            plain(first.and_then(|run| run.instances)),
            plain(first.and_then(|run| run.connections)),
            rps,
            latency(Percentile::P50),
            latency(Percentile::P99),
            counts(self.errors()),
            counts(self.timeouts()),
            match self.source {
                Some(_) => "published".into(),
                None if self.verdict == Verdict::Ok => format!("n={}", self.runs.len()),
                None => format!("n={} {}", self.runs.len(), self.verdict.name()),
            },
        ]
    }

    fn order(&self, other: &Self) -> Ordering {
        let rest = |row: &Self| (row.source.is_none(), row.cpus);
        natural(&self.scenario, &other.scenario)
            .then_with(|| rest(self).cmp(&rest(other)))
            .then_with(|| natural(&self.machine, &other.machine))
            .then_with(|| self.differences.cmp(&other.differences))
    }
}

/// What must be equal for runs to be repeats of each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct GroupKey {
    name: String,
    machine: String,
    fingerprint: String,
    plan_key: String,
    versions: BTreeMap<String, String>,
    state: State,
}

/// A run that broke off, or does not balance, is no repeat of one that is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Whole,
    Interrupted,
    NotValid,
}

struct Group {
    key: GroupKey,
    cpus: u64,
    /// The configuration of its first run. Ports are left out of URLs: each start of a target may take another.
    config: BTreeMap<String, String>,
    /// Keys whose value is not the same in all its runs: the plan's key does not depend on them.
    varying: BTreeSet<String>,
    summaries: Vec<Summary>,
    warnings: Vec<Vec<Warning>>,
}

impl GroupKey {
    fn of(run: &Run) -> Self {
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
            versions: run.versions.clone(),
            state,
        }
    }
}

impl Group {
    fn of(key: GroupKey, mut runs: Vec<Run>) -> Self {
        runs.sort_by(|left, right| (&left.started_at, &left.id).cmp(&(&right.started_at, &right.id)));
        let configs: Vec<_> = runs.iter().map(|run| without_ports(&run.config)).collect();
        let config = configs.first().cloned().unwrap_or_default();
        let varying = configs.iter().flat_map(|other| differing(&config, other)).collect();
        let cpus = runs.first().map_or(0, |run| run.machine.cpus_allowed);
        let (mut summaries, mut warnings) = (Vec::new(), Vec::new());
        for run in runs {
            let document = Document::Run(Box::new(run));
            let summary = Summary::of(&document);
            warnings.push(warning::of(&document, &summary));
            summaries.push(summary);
        }
        Self { key, cpus, config, varying, summaries, warnings }
    }

    fn row(&self, all: &[Self]) -> Row {
        Row {
            scenario: self.key.name.clone(),
            differences: self.differences(all),
            machine: self.key.machine.clone(),
            cpus: Some(self.cpus),
            source: None,
            runs: self.summaries.clone(),
            verdict: self
                .warnings
                .iter()
                .map(|warnings| warning::verdict(warnings))
                .max()
                .unwrap_or(Verdict::Ok),
        }
    }

    /// Why this row is not one with its neighbours.
    fn differences(&self, all: &[Self]) -> Vec<String> {
        let mut names = match self.key.state {
            State::Whole => vec![],
            State::Interrupted => vec!["interrupted".to_owned()],
            State::NotValid => vec!["not valid".to_owned()],
        };
        let mut keys = BTreeSet::new();
        let (mut other_plan, mut other_machine) = (false, false);
        for other in all.iter().filter(|other| other.key.name == self.key.name) {
            if other.key.plan_key != self.key.plan_key {
                other_plan = true;
                let differing = differing(&self.config, &other.config);
                let fixed = |key: &String| !self.varying.contains(key) && !other.varying.contains(key);
                keys.extend(differing.into_iter().filter(|key| makes_a_difference(key) && fixed(key)));
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
        if names.len() > DIFFERENCES {
            let more = names.len() - DIFFERENCES;
            names.truncate(DIFFERENCES);
            names.push(format!("{more} more"));
        }
        names
    }

    /// Warnings that the cells do not show: what casts doubt on the row, or on the target.
    fn notes(&self) -> Vec<String> {
        let worth = |warning: &&Warning| {
            warning.is_grave()
                || warning.verdict() != Verdict::Ok
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
        let (name, machine, all) = (&self.key.name, &self.key.machine, self.summaries.len());
        let note = |(warning, runs): (&Warning, usize)| {
            format!("{name} on {machine}, {runs} of {all} runs: {}", warning.line())
        };
        kinds.into_iter().map(note).collect()
    }
}

fn same_kind(left: &Warning, right: &Warning) -> bool {
    std::mem::discriminant(left) == std::mem::discriminant(right)
}

fn without_ports(config: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    config.iter().map(|(key, value)| (key.clone(), without_port(value))).collect()
}

/// `http://host:8080/path` as `http://host/path`; anything else as it is.
fn without_port(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else { return value.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let is_port = |port: &str| !port.is_empty() && port.chars().all(|c| c.is_ascii_digit());
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if is_port(port) => host,
        _ => authority,
    };
    format!("{scheme}://{host}{path}")
}

fn makes_a_difference(key: &str) -> bool {
    !NO_DIFFERENCE.contains(&key.rsplit('.').next().unwrap_or(key))
}

/// Keys that one has and the other has not, or has otherwise.
fn differing(left: &BTreeMap<String, String>, right: &BTreeMap<String, String>) -> Vec<String> {
    let keys: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    keys.into_iter().filter(|key| left.get(*key) != right.get(*key)).cloned().collect()
}

fn counts(median: Option<Median>) -> String {
    let Some(median) = median else { return "-".into() };
    let (value, largest) = (whole(median.value), whole(median.largest));
    if value == largest { count(value) } else { format!("{} (max {})", count(value), count(largest)) }
}

fn with_brackets(name: &str, differences: &[String]) -> String {
    let name = one_line(name);
    if differences.is_empty() { name } else { format!("{name} ({})", one_line(&differences.join(", "))) }
}

fn short(hash: &str) -> &str {
    hash.get(..8).unwrap_or(hash)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts and durations, never negative"
)]
fn whole(value: f64) -> u64 {
    value.round() as u64
}

/// By name, with numbers in it by value: `4-instances` before `16-instances`.
fn natural(left: &str, right: &str) -> Ordering {
    let parts = |text: &str| {
        let mut parts: Vec<(bool, String)> = Vec::new();
        for c in text.chars() {
            match parts.last_mut() {
                Some((digits, part)) if *digits == c.is_ascii_digit() => part.push(c),
                _ => parts.push((c.is_ascii_digit(), c.to_string())),
            }
        }
        parts
    };
    let number = |part: &str| part.trim_start_matches('0').to_owned();
    for ((left_is_number, left), (right_is_number, right)) in parts(left).iter().zip(&parts(right)) {
        let order = if *left_is_number && *right_is_number {
            let (left, right) = (number(left), number(right));
            left.len().cmp(&right.len()).then_with(|| left.cmp(&right))
        } else {
            left.cmp(right)
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_no_part_of_a_url() {
        let cases = [
            ("http://127.0.0.1:8080/echo", "http://127.0.0.1/echo"),
            ("http://[::1]:80", "http://[::1]"),
            ("http://[::1]/a:1", "http://[::1]/a:1"),
            ("https://host/a:80", "https://host/a:80"),
            ("10s", "10s"),
        ];
        for (value, expected) in cases {
            assert_eq!(without_port(value), expected);
        }
    }

    #[test]
    fn names_sort_by_the_numbers_in_them() {
        let mut names = [
            "quick",
            "16-instances",
            "no-database",
            "4-instances",
            "v2-b",
            "v10-a",
            "1-instance",
            "quick2",
            "",
        ];
        names.sort_by(|left, right| natural(left, right));
        assert_eq!(
            names,
            [
                "",
                "1-instance",
                "4-instances",
                "16-instances",
                "no-database",
                "quick",
                "quick2",
                "v2-b",
                "v10-a"
            ]
        );
    }
}
