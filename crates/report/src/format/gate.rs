//! What does a gate say to the reviewers of a change? The answer first, then its reasons, then all figures.

use crate::compare::{Comparison, Gate, Passage};
use crate::table::markdown_cell;
use crate::units::{count, counted, one_line};

/// Markdown for a pull request, newline at its end.
pub fn pull_request_of_gate(gate: &Gate, comparison: &Comparison) -> String {
    let (failures, unsettled) = (gate.failures(), gate.unsettled());
    let held = counted(gate.len() as u64, "comparison");
    let failed = count(failures.len() as u64);
    let answer = match gate.passage() {
        Passage::Open => format!("the gate is open: none of {held} closes it"),
        Passage::Closed => format!("the gate is closed by {failed} of {held}"),
        Passage::Unknown => format!("the gate cannot tell: {failed} of {held} cannot be made, or fail"),
    };
    let heading = format!("### loadgen compare: {answer}\n");
    let unsettled = list("Not settled, and not counted:\n\n", &unsettled);
    let mut parts = vec![heading, list("", &failures), unsettled, comparison.markdown()];
    parts.retain(|part| !part.is_empty());
    parts.join("\n")
}

fn list(title: &str, lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let lines = lines.iter().map(|line| format!("- {}\n", markdown_cell(&one_line(line))));
    title.to_owned() + &lines.collect::<String>()
}
