//! `loadgen capacity`, as it is typed.

use std::str::FromStr;

use clap::{Args, ValueEnum};
use report::assertion::{Assertion, AssertionError};

use super::super::args::{FilingOptions, FormatOption, TagOptions};
use crate::options::{LoadOptions, TargetOptions};
use crate::quantity::{Rate, Span};

const WORDS: &str = "\
Each trial is a run at one rate (Poisson arrivals), with a fresh target where a scenario starts it, and a document of \
its own. It passes when the objective is met, 99% of the requests due were sent in time, and those in flight did not go \
on to grow in its second half (of trials of 8s and more). It is warmed up before, where nobody says otherwise \
(--warmup 0s: not at all), for a tenth of its length and 5s at least, but no longer than it is itself. Rates are doubled \
until one fails; then short trials halve the interval between the two, and trials of the whole length narrow it, most of \
three; the lower rate is confirmed by most of three at last. A trial whose generator was the limit says nothing of the \
server: it is made once more, and a second time ends the search with the last rate that passed, and no rate that fails. \
More connections (-c) let more requests wait for the server; without one free, a request is late, and that counts. \
A server that runs already is asked for an answer before: when a hundred requests fail, nothing is measured.

Exit codes: 0 the pair was found and confirmed; 1 the objective was met at no rate; 3 no target; 4 the search ended \
before (the generator was the limit, trials or time were up, or longer trials went on to contradict shorter ones).

Examples:
  loadgen capacity http://127.0.0.1:8080/ --slo 'p99<20ms,errors<0.1%' --from 500 -c 200
  loadgen capacity 4-instances --slo 'p95 < 50ms' --trial 20s -o json";

/// `loadgen capacity`.
#[derive(Debug, Args)]
#[command(after_help = WORDS)]
pub(in super::super) struct CapacityCommand {
    /// A URL, or a scenario (a file, or a name that `loadgen scenarios` lists)
    #[arg(value_name = "URL|SCENARIO")]
    pub(super) what: String,

    /// What must hold of every trial, such as 'p99<20ms,errors<0.1%': assertions as those of --assert, with commas between
    #[arg(long, value_name = "OBJECTIVE")]
    pub(super) slo: Objective,

    /// The first rate, in requests per second
    #[arg(long, value_name = "R", default_value = "100")]
    pub(super) from: Rate,

    /// How long a trial near the answer is; longer where its percentile needs more requests. The first ones are a sixth of it
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub(super) trial: Span,

    /// How close the two rates shall come, as a share: 2% or 0.02
    #[arg(long, value_name = "SHARE", default_value = "2%")]
    pub(super) precision: Precision,

    /// Trials, at most
    #[arg(long, value_name = "N", default_value = "60", value_parser = clap::value_parser!(u32).range(2..=1000))]
    pub(super) most_trials: u32,

    /// Time of all trials together, at most, warm-ups included
    #[arg(long, value_name = "TIME", default_value = "1h")]
    pub(super) most_time: Span,

    /// Pause before each trial but the first
    #[arg(long, value_name = "TIME")]
    pub(super) cooldown: Option<Span>,

    #[command(flatten)]
    pub(super) format: FormatOption<CapacityFormat>,

    #[command(flatten)]
    pub(super) tags: TagOptions,

    #[command(flatten)]
    pub(super) filing: FilingOptions,

    #[command(flatten, next_help_heading = "Load, instead of what the scenario says")]
    pub(super) load: LoadOptions,

    #[command(flatten)]
    pub(super) target: TargetOptions,
}

/// How a capacity is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in super::super) enum CapacityFormat {
    /// The pair, and a table of all trials
    Text,
    /// The same for a page or a pull request
    Markdown,
    /// Everything, with the document of every trial
    Json,
}

/// Assertions, all of which must hold.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Objective(pub(super) Vec<Assertion>);

impl FromStr for Objective {
    type Err = AssertionError;

    fn from_str(text: &str) -> Result<Self, AssertionError> {
        text.split(',').map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

/// How close two rates shall come, as a share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in super::super) struct Precision(pub(super) f64);

impl FromStr for Precision {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let share = match text.strip_suffix('%') {
            Some(percent) => percent.trim().parse::<f64>().map(|percent| percent / 100.0),
            None => text.parse(),
        };
        // Closer than a thousandth, no number of trials would decide; a half is no search any more.
        let share = share.ok().filter(|share| (0.001..=0.5).contains(share));
        share.map(Self).ok_or("it must be a share from 0.1% to 50%, such as 2% or 0.02")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_objective_is_a_list_of_assertions() {
        let objective = |text: &str| {
            let objective = text.parse::<Objective>().map_err(|error| error.to_string())?;
            Ok::<_, String>(objective.0.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let both = vec!["p99 < 20ms".to_owned(), "errors < 0.1%".to_owned()];
        assert_eq!(objective("p99<20ms,errors<0.1%"), Ok(both.clone()));
        assert_eq!(objective(" p99 < 20ms , errors < 0.1% "), Ok(both));
        for bad in ["", "p99<20ms,", "p99", "p99<20"] {
            assert!(objective(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_precision_is_a_share() {
        assert_eq!("2%".parse(), Ok(Precision(0.02)));
        assert_eq!("0.05".parse(), Ok(Precision(0.05)));
        for bad in ["", "2", "0", "-1%", "nan", "0.05%"] {
            assert!(bad.parse::<Precision>().is_err(), "{bad}");
        }
    }
}
