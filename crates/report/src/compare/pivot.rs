//! Which keys make the lines of a table, and which its columns?

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::against::span;
use super::config::makes_a_difference;
use super::judge::Difference;
use super::natural::natural;
use super::{Comparison, Metric, Row};
use crate::table::{Align, Table};
use crate::units::one_line;
use crate::verdict::Verdict;

/// Keys that every row has, beside those of its configuration.
const OWN_KEYS: [&str; 3] = ["scenario", "machine", "cpus"];
/// An error names at most so many keys.
const KEYS_NAMED: usize = 12;

/// What makes lines and columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pivot {
    /// The keys of the lines, at least one.
    rows: Vec<String>,
    /// The keys of the columns, at least one.
    columns: Vec<String>,
    /// Lines that tell their scenario, because else one cell would hold two, or nothing be told: by what they are without it.
    telling: BTreeSet<String>,
    /// The same for machines.
    tells_machine: bool,
}

/// A key that no row knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no run has the key `{key}`; in some they differ: {}", known.join(", "))]
pub struct UnknownKey {
    key: String,
    known: Vec<String>,
}

/// A column of a table: published figures have one of their own, where they have no lines of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    source: Option<usize>,
    title: String,
}

impl Pivot {
    /// Below what its line is the same.
    pub(super) fn line_of(&self, row: &Row) -> String {
        let line = self.line(row, None);
        if self.telling.contains(&line) { self.line(row, Some(&row.scenario)) } else { line }
    }

    fn line(&self, row: &Row, scenario: Option<&str>) -> String {
        let values: Vec<String> = match self.rows.as_slice() {
            [key] => value(row, key).into_iter().collect(),
            keys => keys.iter().filter_map(|key| Some(told(key, value(row, key)?))).collect(),
        };
        let value = if values.is_empty() { "-".to_owned() } else { values.join(", ") };
        let is_key = |difference: &&String| {
            let key = difference.split_once('=').map_or(difference.as_str(), |(key, _)| key);
            let key = key.strip_prefix("no ").unwrap_or(key);
            self.keys().any(|own| own == key || own.strip_prefix("version.") == Some(key))
        };
        let mut rest: Vec<&str> =
            row.differences.iter().filter(|it| !is_key(it)).map(String::as_str).collect();
        if let Some(scenario) = scenario {
            rest.insert(0, scenario);
        }
        if self.tells_machine && row.source.is_none() {
            rest.push(&row.machine);
        }
        let rest = if rest.is_empty() { String::new() } else { format!(" ({})", rest.join(", ")) };
        let source = row.source.filter(|_| self.marks_lines());
        let mark = source.map_or_else(String::new, |source| format!(" ({source})"));
        one_line(&format!("{value}{rest}{mark}"))
    }

    /// Whether published figures have lines of their own: those of their machines. Else they have columns of their own.
    fn marks_lines(&self) -> bool {
        self.rows.iter().any(|key| key == "machine")
    }

    pub(super) fn column_of(&self, row: &Row) -> Column {
        let values: Vec<String> =
            self.columns.iter().filter_map(|key| Some(told(key, value(row, key)?))).collect();
        let source = row.source.filter(|_| !self.marks_lines());
        let title = match source {
            Some(source) if values.is_empty() => format!("{} ({source})", row.machine),
            Some(source) => format!("{} ({source})", values.join(", ")),
            None if values.is_empty() => row.scenario.clone(),
            None => values.join(", "),
        };
        Column { source, title: one_line(&title) }
    }

    pub(super) fn order(left: &Column, right: &Column) -> Ordering {
        let is_measured = |column: &Column| column.source.is_none();
        is_measured(left).cmp(&is_measured(right)).then_with(|| natural(&left.title, &right.title))
    }

    fn keys(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().chain(&self.rows).map(String::as_str)
    }
}

impl Comparison {
    /// Makes tables of lines and columns instead of a list, by one key or more for the lines, and for the columns.
    ///
    /// # Errors
    /// When no row knows a key.
    pub fn turn(&mut self, rows: &[String], columns: &[String]) -> Result<(), UnknownKey> {
        let keys: Vec<&str> = columns.iter().chain(rows).map(String::as_str).collect();
        for key in &keys {
            if !self.rows.iter().any(|row| value(row, key).is_some()) {
                return Err(UnknownKey { key: (*key).to_owned(), known: self.differing_keys() });
            }
        }
        let several = |names: Vec<&String>| names.windows(2).any(|two| two[0] != two[1]);
        let measured = self.rows.iter().filter(|row| row.source.is_none());
        let mut pivot = Pivot {
            rows: rows.to_vec(),
            columns: columns.to_vec(),
            telling: BTreeSet::new(),
            tells_machine: !keys.contains(&"machine") && several(measured.map(|row| &row.machine).collect()),
        };
        let mut cells: BTreeMap<(String, String), &str> = BTreeMap::new();
        for row in &self.rows {
            let line = pivot.line(row, None);
            let first = cells.entry((line.clone(), pivot.column_of(row).title)).or_insert(&row.scenario);
            if *first != row.scenario || rows.iter().all(|key| value(row, key).is_none()) {
                pivot.telling.insert(line);
            }
        }
        self.pivot = Some(pivot);
        Ok(())
    }

    fn differing_keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = OWN_KEYS.map(ToOwned::to_owned).into();
        let common = self.common();
        let configured = self.rows.iter().flat_map(|row| row.config.keys());
        for key in configured.filter(|key| !common.contains_key(key.as_str())) {
            if !keys.contains(key) {
                keys.push(key.clone());
            }
        }
        keys.truncate(KEYS_NAMED);
        keys
    }

    /// What the cells of a table of rows and columns do not tell: of each measured scenario, the keys that are the same in all its
    /// rows and not in all others.
    pub(super) fn plans(&self) -> Vec<String> {
        let Some(pivot) = &self.pivot else { return Vec::new() };
        let mut scenarios: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
        for row in self.rows.iter().filter(|row| row.source.is_none()) {
            scenarios.entry(&row.scenario).or_default().push(row);
        }
        if scenarios.len() < 2 {
            return Vec::new();
        }
        let common = self.common();
        let own = |rows: &[&Row]| {
            let first = rows.first().map(|row| row.config.iter()).into_iter().flatten();
            let is_own = |(key, value): &(&String, &String)| {
                // Settings that only one kind of target has go without saying, unless they differ.
                let is_alike = key.starts_with("target.")
                    && self.rows.iter().all(|row| row.config.get(*key).is_none_or(|other| other == *value));
                let is_told =
                    is_alike || common.contains_key(key.as_str()) || pivot.keys().any(|own| own == *key);
                let is_same = |row: &&Row| row.config.get(*key) == Some(*value);
                !is_told && makes_a_difference(key) && !value.is_empty() && rows.iter().all(is_same)
            };
            first.filter(is_own).map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>()
        };
        let mut plans: Vec<(&str, Vec<String>)> =
            scenarios.iter().map(|(name, rows)| (*name, own(rows))).collect();
        plans.sort_by(|left, right| natural(left.0, right.0));
        plans.retain(|(_, keys)| !keys.is_empty());
        plans.into_iter().map(|(name, keys)| one_line(&format!("{name}: {}", keys.join(", ")))).collect()
    }

    /// A table for each metric, with its name. Each cell is a row of the comparison: its median, and its ratio to its base.
    pub(super) fn turned(&self, pivot: &Pivot) -> Vec<(String, Table)> {
        // Lines of published figures come first, where they have some of their own.
        let is_measured = |row: &Row| row.source.is_none() || !pivot.marks_lines();
        let mut lines: Vec<(bool, String)> =
            self.rows.iter().map(|row| (is_measured(row), pivot.line_of(row))).collect();
        lines.sort_by(|left, right| left.0.cmp(&right.0).then_with(|| natural(&left.1, &right.1)));
        lines.dedup();
        let mut columns: Vec<Column> = self.rows.iter().map(|row| pivot.column_of(row)).collect();
        columns.sort_by(Pivot::order);
        columns.dedup();
        let differences = self.differences();
        self.metrics
            .iter()
            .map(|&metric| {
                let titles = columns.iter().map(|column| (column.title.clone(), Align::Right));
                let mut table = Table::new([(pivot.rows.join(", "), Align::Left)].into_iter().chain(titles));
                for (_, line) in &lines {
                    let cell = |column: &Column| self.at(pivot, (line, column), metric, &differences);
                    table.push([line.clone()].into_iter().chain(columns.iter().map(cell)).collect());
                }
                (format!("{}:", metric.title()), table)
            })
            .collect()
    }

    fn at(
        &self,
        pivot: &Pivot,
        (line, column): (&str, &Column),
        metric: Metric,
        differences: &[Difference],
    ) -> String {
        let here = |row: &Row| pivot.line_of(row) == line && pivot.column_of(row) == *column;
        let rows = self.rows.iter().enumerate().filter(|(_, row)| here(row));
        let cells = rows.map(|(place, row)| {
            let mark = if row.shares_cpus { " *" } else { "" };
            // Such a figure is the generator's.
            let is_limited = row.source.is_none() && row.verdict == Verdict::ClientLimited;
            let limited = if is_limited { format!(" {}", row.verdict.name()) } else { String::new() };
            let found = differences.iter().find(|it| it.row == place && it.metric == metric);
            let found = found.filter(|it| it.means_something());
            let ratio = found.and_then(|difference| {
                let ratio = format!(" x{:.2}", difference.ratio?);
                Some(match difference.effect {
                    Some(effect) => format!("{ratio} [{}]", span(effect.interval(0.95))),
                    None => ratio,
                })
            });
            format!("{}{mark}{limited}{}", row.cell(metric), ratio.unwrap_or_default())
        });
        cells.collect::<Vec<_>>().join("; ")
    }
}

/// A value that says what it is: a number has the last part of its key beside it.
fn told(key: &str, value: String) -> String {
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { format!("{}={value}", key.rsplit('.').next().unwrap_or(key)) } else { value }
}

/// What a row says of a key.
fn value(row: &Row, key: &str) -> Option<String> {
    match key {
        "scenario" => Some(row.scenario.clone()),
        "machine" => Some(row.machine.clone()),
        "cpus" => row.cpus.map(|cpus| cpus.to_string()),
        _ => row.config.get(key).cloned(),
    }
}
