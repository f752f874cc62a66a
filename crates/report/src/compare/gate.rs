//! May a candidate pass? Every row that is not of the baseline is held against it, metric by metric.

use super::against::full_label;
use super::judge::{Difference, Judgement, Pair};
use super::{Comparison, Row};
use crate::runs::{Case, Finding};
use crate::units::counted;

/// What a candidate may not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailOn {
    /// Worse, by as much as is not tolerated.
    Regressed,
    /// Worse at all.
    Worse,
    /// Not shown to be as good: what is inconclusive fails too.
    Inconclusive,
}

/// What a gate says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Passage {
    /// Nothing that counts was found.
    Open,
    /// Something that counts was found.
    Closed,
    /// Something cannot be compared at all, such as runs of different machines: the gate cannot tell.
    Unknown,
}

/// A row of the candidate at the gate, or of the baseline that none came for.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// The row, with its machine.
    pub row: String,
    /// What it was held against, where there is something.
    pub base: Option<String>,
    /// What was held against it: never empty.
    pub cases: Vec<Case>,
    /// What this row means for the gate.
    pub passage: Passage,
}

/// A candidate held against a baseline.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    /// One entry for each row, in the order of the comparison.
    pub rows: Vec<Held>,
}

/// The name of the case of a row that cannot be judged.
const COMPARABLE: &str = "it can be compared";

impl FailOn {
    fn catches(self, judgement: Judgement) -> bool {
        match judgement {
            Judgement::Regressed => true,
            Judgement::Worse => self >= Self::Worse,
            Judgement::Inconclusive => self == Self::Inconclusive,
            Judgement::Improved | Judgement::Equivalent => false,
        }
    }
}

impl Gate {
    /// Holds every measured row that is not of the baseline against it.
    pub fn of(comparison: &Comparison, fail_on: FailOn) -> Self {
        let differences = comparison.differences();
        let mut rows: Vec<Held> = Vec::new();
        for (place, row) in comparison.rows.iter().enumerate().filter(|(_, row)| row.source.is_none()) {
            let own: Vec<&Difference> = differences.iter().filter(|it| it.row == place).collect();
            let is_asked = differences.iter().any(|it| it.base == place);
            match (row.is_baseline, own.first()) {
                (true, _) if is_asked => {}
                (true, _) => rows.push(Held::skipped(row, unmatched(row))),
                (false, None) => {
                    rows.push(Held::skipped(row, "the baseline has no whole run of it".to_owned()));
                }
                (false, Some(first)) => {
                    rows.push(Held::of(comparison, (first.base, place), &own, fail_on));
                }
            }
        }
        let gate = Self { rows };
        if gate.rows.iter().all(|held| held.base.is_none()) {
            let case = Case { name: COMPARABLE.into(), finding: Finding::Fails(nothing(comparison)) };
            let none =
                Held { row: "candidate".into(), base: None, cases: vec![case], passage: Passage::Unknown };
            return Self { rows: gate.rows.into_iter().chain([none]).collect() };
        }
        gate
    }

    /// The gravest of its rows.
    pub fn passage(&self) -> Passage {
        self.rows.iter().map(|held| held.passage).max().unwrap_or(Passage::Unknown)
    }

    /// What does not hold, a line each: with its row, and what it was held against.
    pub fn failures(&self) -> Vec<String> {
        self.lines(|finding| match finding {
            Finding::Fails(why) => Some(why),
            Finding::Holds(_) | Finding::Skipped(_) => None,
        })
    }

    /// What nobody can tell, and does not count, in the same form.
    pub fn unsettled(&self) -> Vec<String> {
        self.lines(|finding| match finding {
            Finding::Skipped(why) => Some(why),
            Finding::Holds(_) | Finding::Fails(_) => None,
        })
    }

    /// How many comparisons were made: a metric of a row each.
    pub fn len(&self) -> usize {
        self.rows.iter().map(|held| held.cases.len()).sum()
    }

    /// Whether nothing was held against anything.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lines(&self, why: fn(&Finding) -> Option<&String>) -> Vec<String> {
        let of_row = |held: &Held| {
            let against = held.base.as_ref().map(|base| format!(" against {base}")).unwrap_or_default();
            let told = held.cases.iter().filter_map(|case| Some((&case.name, why(&case.finding)?)));
            told.map(|(name, why)| format!("{}{against}: {name}: {why}", held.row)).collect::<Vec<String>>()
        };
        self.rows.iter().flat_map(of_row).collect()
    }
}

/// Why nothing was held against a row of the baseline.
fn unmatched(row: &Row) -> String {
    match row.shared {
        0 => "the candidate has no run of it".to_owned(),
        1 => "the candidate's one run of it is the baseline's own".to_owned(),
        shared => format!("the candidate's {shared} runs of it are the baseline's own"),
    }
}

/// Why nothing at all was held against the baseline, and what to do.
fn nothing(comparison: &Comparison) -> String {
    let shared: u64 = comparison.rows.iter().map(|row| row.shared).sum();
    let has_own = comparison.rows.iter().any(|row| row.source.is_none() && !row.is_baseline);
    let no_scenario = "the baseline and the candidate have no scenario in common";
    let documents = counted(shared, "document");
    let cure = "name the folder of the new runs alone as the candidate";
    match (shared, has_own) {
        (0, _) => no_scenario.to_owned(),
        (_, false) => {
            format!("the candidate is the baseline: {documents} on both sides, no other run; {cure}")
        }
        (_, true) => format!("{no_scenario} but for {documents} of the baseline's own runs; {cure}"),
    }
}

impl Held {
    fn skipped(row: &Row, why: String) -> Self {
        let case = Case { name: COMPARABLE.into(), finding: Finding::Skipped(why) };
        Self { row: full_label(row), base: None, cases: vec![case], passage: Passage::Open }
    }

    fn of(
        comparison: &Comparison,
        (base, row): (usize, usize),
        differences: &[&Difference],
        fail_on: FailOn,
    ) -> Self {
        let pair = Pair {
            base: (base, &comparison.rows[base]),
            row: (row, &comparison.rows[row]),
            tolerance: &|metric| comparison.tolerance(metric),
        };
        let held = |cases, passage| Self {
            row: full_label(pair.row.1),
            base: Some(full_label(pair.base.1)),
            cases,
            passage,
        };
        if let Some(why) = pair.incomparable() {
            return held(
                vec![Case { name: COMPARABLE.into(), finding: Finding::Fails(why) }],
                Passage::Unknown,
            );
        }
        let case = |difference: &&Difference| {
            let said = comparison.said(difference);
            let finding = match difference.judgement {
                Some(judgement) if fail_on.catches(judgement) => Finding::Fails(said),
                Some(Judgement::Inconclusive) | None => Finding::Skipped(said),
                Some(_) => Finding::Holds(said),
            };
            Case { name: difference.metric.title(), finding }
        };
        let cases: Vec<Case> = differences.iter().map(case).collect();
        let is_closed = cases.iter().any(|case| matches!(case.finding, Finding::Fails(_)));
        held(cases, if is_closed { Passage::Closed } else { Passage::Open })
    }
}
