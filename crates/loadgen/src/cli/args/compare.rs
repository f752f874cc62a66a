//! `loadgen compare`: what can be typed.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use report::compare::{FailOn, Metric};

use super::FormatOption;
use crate::cli::words::{Price, Tolerance};

const COMPARE_WORDS: &str = "\
Repeats (runs of one name, plan, program and machine) are one row: the median of each metric, with its spread. Rows of \
one scenario are held against the first of them on the same machine with the same load, or against the baseline: the \
ratio with its 95% interval, and
  regressed     worse, by as much as the tolerance
  worse         worse, by less
  improved      better
  equivalent    shown to differ by less than the tolerance
  inconclusive  nothing can be claimed: repeat the runs (--repeats 5) in turn
Different machines and different loads stand side by side, and are not judged; published figures have no ratio at all.

Exit codes: 0; with --fail-on 1 when something is as named there, 4 when something cannot be compared (another machine, \
another load, a run that is not whole, no scenario in common); 2 wrong use

Metrics: rps, p50 (any percentile), mean, max, p99/p50, max/p50, errors, error_rate, timeouts, rps_per_cpu, \
cpu_us_per_request (of the target, where loadgen started it), cost (of a million answers, by --price); what limits it: \
target_cpus and generator_cpus (kept busy), cpu_pressure (share of the time in which something waited for a CPU), and of \
a row on average, as the target tells, thread_wait, lock_wait, commit, rows_per_commit

Keys: scenario, machine, cpus, and those that `loadgen plan` prints, such as target.instances

Examples:
  loadgen compare results/
  loadgen compare --baseline before/ after/ --metrics rps,p99,errors
  loadgen compare --baseline last~1 last
  loadgen compare --baseline results/ci/ --candidate out/ --fail-on regressed --markdown gate.md
  loadgen compare results/ --rows target.instances --columns target.store,machine -o markdown";

/// `loadgen compare`.
#[derive(Debug, Args)]
#[command(after_help = COMPARE_WORDS)]
pub(in crate::cli) struct CompareCommand {
    /// Run documents, folders of them, or patterns; `last` and `last~1` are the newest plain runs
    #[arg(required_unless_present = "candidate", value_name = "PATH")]
    pub(in crate::cli) paths: Vec<PathBuf>,

    /// Documents that the others are held against, scenario by scenario: a path, or the label of a machine or a tag
    /// (version=1.3) of those that are compared; may be repeated
    #[arg(long, value_name = "PATH|LABEL")]
    pub(in crate::cli) baseline: Vec<PathBuf>,

    /// Figures to be compared [default: rps,p50,p99,errors,timeouts]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(in crate::cli) metrics: Vec<Metric>,

    /// The change of a metric that counts, such as p99=15%; may be repeated [default: 5%, of tails 10%]
    #[arg(long, value_name = "METRIC=SHARE")]
    pub(in crate::cli) tolerance: Vec<Tolerance>,

    /// What a machine costs a month, for the metric `cost` (per million answers); may be repeated [default: as documents say]
    #[arg(long, value_name = "MACHINE=PRICE")]
    pub(in crate::cli) price: Vec<Price>,

    /// Make a table of each metric, with a line for each value of these keys
    #[arg(long, value_name = "KEY,KEY", value_delimiter = ',', requires = "columns")]
    pub(in crate::cli) rows: Vec<String>,

    /// With a column for each value of these keys
    #[arg(long, value_name = "KEY,KEY", value_delimiter = ',', requires = "rows")]
    pub(in crate::cli) columns: Vec<String>,

    #[command(flatten)]
    pub(in crate::cli) format: FormatOption<CompareFormat>,

    #[command(flatten, next_help_heading = "As a gate")]
    pub(in crate::cli) gate: GateOptions,
}

/// Whether what is compared may pass.
#[derive(Debug, Args)]
pub(in crate::cli) struct GateOptions {
    /// Documents that are held against the baseline, as PATH; may be repeated
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli) candidate: Vec<PathBuf>,

    /// End with 1 when anything is so, or less good: regressed; worse at all; not shown to be as good. What cannot be
    /// compared, such as runs of another machine, ends with 4
    #[arg(long, value_enum, value_name = "VERDICT", requires = "baseline")]
    pub(in crate::cli) fail_on: Option<FailWord>,

    /// Write what was held against the baseline as a JUnit report: a suite for each row, a test for each metric
    #[arg(long, value_name = "FILE", requires = "fail_on")]
    pub(in crate::cli) junit: Option<PathBuf>,

    /// Write what it says as Markdown for a pull request: the answer, its reasons, then all tables
    #[arg(long, value_name = "FILE", requires = "fail_on")]
    pub(in crate::cli) markdown: Option<PathBuf>,
}

/// What closes the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum FailWord {
    /// Worse, by as much as the tolerance
    Regressed,
    /// Worse at all
    Worse,
    /// Also what is inconclusive
    Inconclusive,
}

impl From<FailWord> for FailOn {
    fn from(word: FailWord) -> Self {
        match word {
            FailWord::Regressed => Self::Regressed,
            FailWord::Worse => Self::Worse,
            FailWord::Inconclusive => Self::Inconclusive,
        }
    }
}

/// How a comparison is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum CompareFormat {
    /// Tables for a terminal: as wide as it is, or as COLUMNS says
    Text,
    /// Tables for a page or a pull request
    Markdown,
    /// A line for each row and metric, numbers bare; the column qualifier tells which are rough (about, more than, less than)
    Csv,
    /// Everything, with the values of every run
    Json,
}
