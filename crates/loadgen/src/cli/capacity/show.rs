//! How is a capacity told?

use report::assertion::Assertion;
use report::format::cell;
use report::histogram::Percentile;
use report::table::{Align, Table};
use report::units;
use serde_json::{Value, json};

use super::super::output;
use super::Made;
use super::args::CapacityFormat;
use crate::capacity::{End, Found, Outcome};

/// The schema of the JSON; the number rises when an old reader would misread a new one.
const SCHEMA: &str = "loadgen.capacity/1";

/// What came of a search.
pub(super) struct Answer<'a> {
    pub(super) what: &'a str,
    pub(super) objective: &'a [Assertion],
    /// `None`: it was interrupted.
    pub(super) found: Option<Found>,
    pub(super) trials: &'a [Made],
}

impl Answer<'_> {
    pub(super) fn write(&self, format: CapacityFormat) -> String {
        match format {
            CapacityFormat::Text => {
                let table = trials(self.trials).fitted(output::page());
                format!("{}\n\n{}", self.sentences().join("\n"), table.text)
            }
            CapacityFormat::Markdown => {
                format!("{}\n\n{}", self.sentences().join("\n\n"), trials(self.trials).markdown())
            }
            CapacityFormat::Json => format!("{:#}\n", self.json()),
        }
    }

    fn objective(&self) -> String {
        self.objective.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }

    /// The pair, and what is to be thought of it.
    fn sentences(&self) -> Vec<String> {
        let objective = self.objective();
        let heading = format!("capacity of {} under {objective}", self.what);
        let Some(Found { passes, fails, end }) = &self.found else {
            return vec![heading, "the search was interrupted: nothing is claimed".to_owned()];
        };
        let rate = |rate: f64| format!("{} requests/sec", units::rate(rate));
        let pair = match (passes, fails) {
            (Some(passes), Some(fails)) => {
                format!("passes at {}, fails at {}", rate(*passes), rate(*fails))
            }
            (Some(passes), None) => format!("passes at {}; no rate is known to fail", rate(*passes)),
            (None, Some(fails)) => format!("fails at {}; no rate is known to pass", rate(*fails)),
            (None, None) => "no rate is known to pass or to fail".to_owned(),
        };
        let end = match end {
            End::Found => "both confirmed by most of three trials".to_owned(),
            End::Generator(limit) => format!(
                "generator limit reached at {}: the server may carry more; give the generator CPUs of its own, or a machine",
                rate(*limit)
            ),
            End::NothingPasses => "the objective was not met at any rate: begin lower (--from), or ask for less".to_owned(),
            End::Unsteady => {
                "not confirmed: longer trials went on to contradict shorter ones; the server or the machine is not steady"
                    .to_owned()
            }
            End::Trials => "not confirmed: as many trials were made as --most-trials allows".to_owned(),
            End::Time => "not confirmed: the next trial would have taken longer than --most-time allows".to_owned(),
        };
        vec![heading, pair, end]
    }

    fn json(&self) -> Value {
        let found = self.found.as_ref();
        let end = found.map_or("interrupted", |found| match found.end {
            End::Found => "found",
            End::Generator(_) => "generator-limit",
            End::NothingPasses => "nothing-passes",
            End::Unsteady => "unsteady",
            End::Trials => "trials",
            End::Time => "time",
        });
        let limit = found.and_then(|found| match found.end {
            End::Generator(rate) => Some(rate),
            _ => None,
        });
        json!({
            "schema": SCHEMA,
            "what": self.what,
            "objective": self.objective.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "passes": found.and_then(|found| found.passes),
            "fails": found.and_then(|found| found.fails),
            "confirmed": found.is_some_and(|found| found.end == End::Found),
            "end": end,
            "generator_limit": limit,
            "trials": self.trials.iter().map(json_trial).collect::<Vec<_>>(),
        })
    }
}

fn json_trial(made: &Made) -> Value {
    let Made { trial, outcome, why, path, summary, verdict } = made;
    let quantiles: serde_json::Map<String, Value> = summary
        .latency
        .quantiles
        .iter()
        .filter(|quantile| quantile.is_supported)
        .map(|quantile| (format!("{}_ns", quantile.percentile), quantile.value_ns.into()))
        .collect();
    json!({
        "phase": trial.phase.name(),
        "rate": trial.rate,
        "length_s": trial.length.as_secs_f64(),
        "warmup_s": trial.warmup.as_secs_f64(),
        "outcome": word(*outcome),
        "why": (!why.is_empty()).then_some(why),
        "rps": summary.rate(),
        "errors": summary.errors,
        "latency": quantiles,
        "generator": verdict.name(),
        "document": path.display().to_string(),
    })
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "passes",
        Outcome::Fail => "fails",
        Outcome::Void => "void",
    }
}

/// All trials in their order.
pub(super) fn trials(trials: &[Made]) -> Table {
    use Align::{Left, Right};
    let titles = [
        ("trial", Right),
        ("phase", Left),
        ("rate", Right),
        ("length", Right),
        ("req/s", Right),
        ("p50", Right),
        ("p99", Right),
        ("errors", Right),
        ("outcome", Left),
        ("why", Left),
    ];
    let mut table = Table::new(titles);
    table.spare(&["phase", "p50", "length"]);
    let dash = || "-".to_owned();
    for (place, made) in trials.iter().enumerate() {
        let Made { trial, outcome, why, summary, .. } = made;
        table.push(vec![
            (place + 1).to_string(),
            trial.phase.name().to_owned(),
            units::rate(trial.rate),
            units::duration(trial.length),
            summary.rate().map_or_else(dash, units::rate),
            cell(&summary.latency, Percentile::P50),
            cell(&summary.latency, Percentile::P99),
            summary.errors.map_or_else(dash, units::count),
            word(*outcome).to_owned(),
            why.clone(),
        ]);
    }
    table
}
