//! `loadgen versus`, as it is typed.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use report::compare::{self, Metric};

use super::super::args::{CompareFormat, FilingOptions, FormatOption, TagOptions};
use super::super::words::Tolerance;
use crate::options::{LoadOptions, TargetOptions};
use crate::quantity::Span;
use crate::scenario::Change;

const WORDS: &str = "\
Each block is a run of A and a run of B in an order that the seed decides, each against a fresh target, with the same \
arrivals. What the machine does meanwhile meets both, and the comparison is of pairs: `loadgen compare --help` tells \
what its verdicts mean. Each run is warmed up before, where nobody says otherwise (--warmup 0s: not at all), for a \
tenth of its length and 5s at least, but no longer than it is itself. A run whose generator was the limit is void and \
made again, up to three times, and how many were is told. One that was void each time, or as many void runs as there \
are runs in all blocks, end the comparison with 4. A server that runs already is asked for an answer before: when a \
hundred requests fail, nothing is measured.

Exit codes: 1 as --fail-on says, or when a check or an assertion did not hold; 4 when the generator was the limit, or \
the two cannot be judged by each other (other loads: --fail-on never is for reading); else 0, 3, 130 and 143 as of a run.

Examples:
  loadgen versus http://127.0.0.1:8080/ http://127.0.0.1:8081/ -c 20
  loadgen versus quick no-database --blocks 8
  loadgen versus quick --a-set target.store=pool --b-set target.store=group
  loadgen versus quick --a-binary ./loadgen-1.3 --b-binary target/release/loadgen";

/// `loadgen versus`.
#[derive(Debug, Args)]
#[command(after_help = WORDS)]
pub(in super::super) struct VersusCommand {
    /// Two URLs or scenarios (files, or names that `loadgen scenarios` lists); or one, and below what makes two of it
    #[arg(required = true, num_args = 1..=2, value_names = ["A", "B"])]
    pub(super) what: Vec<String>,

    /// A key of A's scenario with another value, such as target.store=pool; may be repeated. Of a key of
    /// its matrix, this value alone
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) a_set: Vec<Change>,

    /// The same for B
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) b_set: Vec<Change>,

    /// The program whose `serve` is the target of A, where the scenario starts that [default: this one]
    #[arg(long, value_name = "FILE")]
    pub(super) a_binary: Option<PathBuf>,

    /// The same for B
    #[arg(long, value_name = "FILE")]
    pub(super) b_binary: Option<PathBuf>,

    /// How many blocks: a run of each
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u32).range(2..=1000))]
    pub(super) blocks: u32,

    /// How long each run loads; as --duration [default: as the scenario says; of a URL 10s]
    #[arg(long, value_name = "TIME", conflicts_with_all = ["duration", "requests", "stages"])]
    pub(super) block_duration: Option<Span>,

    /// Pause before each run but the first
    #[arg(long, value_name = "TIME")]
    pub(super) cooldown: Option<Span>,

    /// Figures to be compared [default: rps,p50,p99,errors]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(super) metrics: Vec<Metric>,

    /// The change of a metric that counts, such as p99=15%; may be repeated [default: 5%, of tails 10%]
    #[arg(long, value_name = "METRIC=SHARE")]
    pub(super) tolerance: Vec<Tolerance>,

    /// End with 1 when anything is so, or less good
    #[arg(long, value_enum, value_name = "VERDICT", default_value = "regressed")]
    pub(super) fail_on: FailOn,

    #[command(flatten)]
    pub(super) format: FormatOption<CompareFormat>,

    #[command(flatten)]
    pub(super) tags: TagOptions,

    #[command(flatten)]
    pub(super) filing: FilingOptions,

    #[command(flatten, next_help_heading = "Load of both, instead of what the scenario says")]
    pub(super) load: LoadOptions,

    #[command(flatten)]
    pub(super) target: TargetOptions,
}

/// What ends with 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in super::super) enum FailOn {
    /// Worse, by as much as the tolerance
    Regressed,
    /// Worse at all
    Worse,
    /// Also what is inconclusive
    Inconclusive,
    /// Nothing: the comparison is for reading
    Never,
}

impl FailOn {
    /// What closes the gate. `None`: there is none.
    pub(super) fn gate(self) -> Option<compare::FailOn> {
        match self {
            Self::Regressed => Some(compare::FailOn::Regressed),
            Self::Worse => Some(compare::FailOn::Worse),
            Self::Inconclusive => Some(compare::FailOn::Inconclusive),
            Self::Never => None,
        }
    }
}
