//! What came of several runs? What was held against each, and how it ended: for reports that a machine reads, or a reviewer.

use crate::document::{Document, Ended, Run};
use crate::summary::Summary;
use crate::units::{count, counted, nanos};
use crate::warning;

/// The runs of one command, in their order, those included that were not made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Runs {
    /// What was to be run.
    pub entries: Vec<Entry>,
}

/// One run of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The scenario.
    pub scenario: String,
    /// What tells it from the scenario's other runs: a combination of its matrix. Empty where nothing does.
    pub variant: String,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It was made.
    Made {
        /// Its record.
        run: Box<Run>,
        /// Why it does not do under `--strict`, where that was asked for.
        objection: Option<String>,
    },
    /// It could not be made: why.
    Failed(String),
    /// It was not begun: why.
    NotBegun(String),
}

/// One thing that was held against a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// What must hold.
    pub name: String,
    /// Whether it does.
    pub finding: Finding,
}

/// Whether something holds, with what was measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It does.
    Holds(String),
    /// It does not.
    Fails(String),
    /// It was not judged: why.
    Skipped(String),
}

impl Entry {
    /// The run, where it was made.
    pub fn run(&self) -> Option<&Run> {
        match &self.outcome {
            Outcome::Made { run, .. } => Some(run),
            Outcome::Failed(_) | Outcome::NotBegun(_) => None,
        }
    }

    /// Everything that was held against it, the run itself first: never empty.
    pub fn cases(&self) -> Vec<Case> {
        let case = |name: &str, finding| Case { name: name.to_owned(), finding };
        match &self.outcome {
            Outcome::Failed(why) => vec![case(MADE, Finding::Fails(why.clone()))],
            Outcome::NotBegun(why) => vec![case(MADE, Finding::Skipped(why.clone()))],
            Outcome::Made { run, objection } => {
                let mut cases = vec![case(MADE, made(run)), case(BALANCES, balances(run))];
                cases.extend(kept(run).into_iter().map(|(name, finding)| case(name, finding)));
                for check in &run.checks {
                    let finding = match check.failed {
                        0 => Finding::Holds("every answer passed".to_owned()),
                        failed => Finding::Fails(format!("{} failed it", counted(failed, "answer"))),
                    };
                    cases.push(Case { name: format!("check {}", check.check), finding });
                }
                for asserted in &run.assertions {
                    let measured = asserted.measured.clone();
                    let finding = match (asserted.skipped, asserted.holds) {
                        (true, _) => Finding::Skipped(measured),
                        (false, true) => Finding::Holds(measured),
                        (false, false) => Finding::Fails(measured),
                    };
                    cases.push(Case { name: format!("assert {}", asserted.assertion), finding });
                }
                let objection = objection.iter().map(|objection| Finding::Fails(objection.clone()));
                cases.extend(objection.map(|finding| case(STRICT, finding)));
                cases
            }
        }
    }

    /// Whether one of its cases failed.
    pub fn has_failed(&self) -> bool {
        self.cases().iter().any(|case| matches!(case.finding, Finding::Fails(_)))
    }
}

const MADE: &str = "the run was made to its end";
const BALANCES: &str = "every request is accounted for";
const ROWS: &str = "every good answer has its row";
const INTEGRITY: &str = "the database is whole";
const STRICT: &str = "--strict";

fn made(run: &Run) -> Finding {
    let answered = run.account.answered();
    match run.ended {
        Ended::Completed if run.account.sent > 0 && answered == 0 => {
            Finding::Fails(format!("not one of {} was answered", counted(run.account.sent, "request")))
        }
        Ended::Completed => Finding::Holds(format!("{} answered", counted(answered, "request"))),
        Ended::Sigint => Finding::Fails(cut_short(run, "Ctrl-C")),
        Ended::Sigterm => Finding::Fails(cut_short(run, "SIGTERM")),
        Ended::TargetLost => Finding::Fails(cut_short(run, "the end of the target")),
        Ended::OutputLost => Finding::Fails(cut_short(run, "the loss of its output")),
    }
}

fn cut_short(run: &Run, by: &str) -> String {
    format!("cut short by {by} after {}", nanos(run.window.measured_ns))
}

fn balances(run: &Run) -> Finding {
    let document = Document::Run(Box::new(run.clone()));
    let summary = Summary::of(&document);
    let broken = warning::of(&document, &summary).into_iter().find(warning::Warning::is_grave);
    match broken {
        Some(broken) if !warning::is_valid(run) => Finding::Fails(broken.line()),
        _ if !warning::is_valid(run) => Finding::Fails("the counts do not agree".to_owned()),
        _ => Finding::Holds(format!(
            "{} sent, {} answered, {} failed, {} timed out, {} given up",
            count(run.account.sent),
            count(run.account.answered()),
            count(run.account.failed),
            count(run.account.timeout),
            count(run.account.aborted)
        )),
    }
}

/// What is known of the target's database. Nothing where there was none to look into.
fn kept(run: &Run) -> Vec<(&'static str, Finding)> {
    let Some(found) = &run.verification else { return Vec::new() };
    let (rows, good) = (counted(found.rows, "row"), counted(found.acknowledged, "good answer"));
    let words = format!("{rows} for {good}, {} sent", counted(found.sent, "request"));
    let is_kept = found.acknowledged <= found.rows && found.rows <= found.sent;
    let rows = if is_kept { Finding::Holds(words) } else { Finding::Fails(words) };
    let integrity = if found.integrity == "ok" {
        Finding::Holds("integrity ok".to_owned())
    } else {
        Finding::Fails(found.integrity.clone())
    };
    vec![(ROWS, rows), (INTEGRITY, integrity)]
}
