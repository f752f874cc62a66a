//! What can be typed. No input or output, no defaults, nothing resolved.

mod common;
mod compare;
mod import;
mod merge;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Args, Parser, Subcommand};
use report::assertion::Assertion;
use report::format::{self, Format};
use report::histogram::Percentile;

pub(super) use self::common::{FilingOptions, FormatOption, TagOptions};
pub(super) use self::compare::{CompareCommand, CompareFormat, GateOptions};
pub(super) use self::import::ImportCommand;
pub(super) use self::merge::MergeCommand;
use super::capacity::CapacityCommand;
use super::versus::VersusCommand;
use super::words::Percentiles;
use crate::options::{LoadOptions, TargetOptions};
use crate::quantity::Span;
use crate::scenario::Order;

const EXAMPLES: &str = "\
Examples:
  loadgen -z 10s -c 100 http://127.0.0.1:8080/   load a server for ten seconds
  loadgen run quick                              start a target, load and check it
  loadgen compare results/                       recorded runs side by side

Columns of --raw, times in nanoseconds, empty where unknown:
  begin_ns           where the latency begins, since the run began: the
                     connection's turn, or with --rate the due time
  start_ns           when a connection took the request
  end_ns, total_ns   when it ended, and its latency
  dns_ns, connect_ns, write_ns, wait_ns, read_ns
                     where the time went
  status, failure    of the answer, or why there is none
  written_bytes, head_bytes, body_bytes, redirects, reused, worker, slot

Exit codes:
  0         done, and everything that was asserted holds
  1         a check or an assertion failed, or acknowledged rows are lost
  2         wrong use, nothing was started
  3         no target, or not one answer
  4         the run is not valid (see --strict), or could not be written
  130, 143  interrupted by SIGINT or SIGTERM; the report is complete";

/// Load-tests HTTP servers, with numbers that can be trusted
///
/// Give a URL for a load test; the options are those of hey. Or one of the commands below.
#[derive(Debug, Parser)]
#[command(
    name = "loadgen",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = EXAMPLES
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Option<Command>,

    #[command(flatten)]
    pub(super) load: LoadCommand,
}

/// The commands beside a plain load test.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Replay scenario files: start the target, load it, check it, record it
    Run(Box<RunCommand>),
    /// Start the target: a server that writes one database row per request
    #[cfg(feature = "serve")]
    Serve(Box<target_server::ServeArgs>),
    /// List the scenarios that need no file, or show one
    Scenarios(ScenariosCommand),
    /// Show recorded runs side by side
    Compare(CompareCommand),
    /// Hold two against each other: URLs, scenarios, settings or programs, in interleaved blocks
    Versus(Box<VersusCommand>),
    /// Search the highest rate that meets an objective
    Capacity(Box<CapacityCommand>),
    /// Show a recorded run again, in any format
    Report(ReportCommand),
    /// Make a document of what another tool printed (hey, ab, wrk, h2load, vegeta, k6, fortio, bombardier, oha), to be compared
    Import(ImportCommand),
    /// Make one document of those of several generators that loaded one target at the same time
    Merge(MergeCommand),
    /// Show what a load test or a scenario would do, without doing it
    Plan(Box<PlanCommand>),
    /// Prove on this machine that the numbers are right, and say how exact they are here
    Selftest,
    /// Start a server that behaves as its URLs say, and counts for itself: for checking load generators
    TruthServer(TruthCommand),
}

/// A plain load test.
#[derive(Debug, Args)]
pub(super) struct LoadCommand {
    /// URL to be loaded
    // Several are taken in, to be refused with a better sentence than the parser's.
    #[arg(value_name = "URL")]
    pub(super) urls: Vec<String>,

    /// Send one request, show the whole exchange, and load nothing
    #[arg(long)]
    pub(super) debug: bool,

    #[command(flatten)]
    pub(super) options: LoadOptions,

    #[command(flatten)]
    pub(super) output: OutputOptions,

    #[command(flatten)]
    pub(super) strictness: Strictness,

    #[command(flatten)]
    pub(super) record: RecordOptions,

    /// Name of the run in its document [default: load]
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,

    /// Do not keep the run's document; the newest 50 are in ~/.local/state/loadgen (or where XDG_STATE_HOME says), for
    /// `loadgen report last` and `loadgen compare`
    #[arg(long)]
    pub(super) no_save: bool,
}

/// What a run must be, to end with 0.
#[derive(Debug, Clone, Args)]
pub(super) struct Strictness {
    /// End with 4 when the generator was the limit (verdict client-limited) or the rate was not reached: less than 99%
    /// of the requests due were sent before the end
    #[arg(long)]
    pub(super) strict: bool,

    /// What must hold of the run, such as 'p99 < 400ms', 'errors == 0' or 'rps >= 3000'; else it ends with 1. May be
    /// repeated
    #[arg(long = "assert", value_name = "ASSERTION")]
    pub(super) assertions: Vec<Assertion>,
}

/// How the result is shown.
#[derive(Debug, Args)]
pub(super) struct OutputOptions {
    /// Format of the report [default: hey]
    #[arg(short = 'o', long = "output", alias = "o", value_name = "FORMAT", value_parser = formats())]
    output: Option<String>,

    /// Percentiles to be shown, such as 50,90,99,99.99. hey's block keeps its own; those it lacks follow it
    #[arg(long, value_name = "LIST")]
    percentiles: Option<Percentiles>,
}

/// What is written beside the report.
#[derive(Debug, Args)]
pub(super) struct RecordOptions {
    /// Write every request as a row of CSV, in nanoseconds, while the run goes on; replaces the file. `-` is stdout, without a
    /// report then
    #[arg(long, value_name = "FILE")]
    pub(super) raw: Option<PathBuf>,

    /// Write the latencies of every second as an interval log of HdrHistogram, while the run goes on; replaces the file
    #[arg(long, value_name = "FILE")]
    pub(super) hlog: Option<PathBuf>,

    #[command(flatten)]
    pub(super) tags: TagOptions,
}

/// What is written of all runs of a command, for a continuous integration.
#[derive(Debug, Args)]
pub(super) struct ReportFiles {
    /// Write what was held against every run as a JUnit report: a suite for each scenario, a test for each assertion and check
    #[arg(long, value_name = "FILE")]
    pub(super) junit: Option<PathBuf>,

    /// Write a table of all runs in Markdown, what failed first: for a pull request, such as $GITHUB_STEP_SUMMARY
    #[arg(long, value_name = "FILE")]
    pub(super) markdown: Option<PathBuf>,
}

/// What goes to stdout.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shown {
    /// A report, when the run is over.
    Report(&'static Format),
    /// A row for each answered request, while it goes on.
    Rows,
}

/// The name of [`Shown::Rows`].
const ROWS: &str = "csv";

fn formats() -> PossibleValuesParser {
    let reports = format::ALL.iter().map(|format| (format.name, format.help));
    let rows = (ROWS, "hey's CSV: a row for each answered request, while the run goes on");
    let values = reports.chain([rows]);
    PossibleValuesParser::new(values.map(|(name, help)| PossibleValue::new(name).help(help)))
}

impl OutputOptions {
    /// What goes to stdout.
    pub(super) fn shown(&self) -> Shown {
        match self.output.as_deref() {
            Some(ROWS) => Shown::Rows,
            // The parser lets only names of the list through.
            name => Shown::Report(name.and_then(format::find).unwrap_or(&format::ALL[0])),
        }
    }

    /// Whether a format was typed.
    pub(super) fn is_given(&self) -> bool {
        self.output.is_some()
    }

    /// The percentiles that were asked for.
    pub(super) fn percentiles(&self) -> &[Percentile] {
        self.percentiles.as_ref().map_or(&[], |percentiles| &percentiles.0)
    }
}

/// `loadgen run`.
#[derive(Debug, Args)]
pub(super) struct RunCommand {
    /// Scenario files, or names that `loadgen scenarios` lists, run one after the other
    #[arg(required = true, value_name = "SCENARIO")]
    pub(super) scenarios: Vec<PathBuf>,

    /// How often each scenario is run, each time with a fresh target [default: as the scenario says, or 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) repeats: Option<u32>,

    /// In which order several are run [default: interleaved]
    #[arg(long, value_enum, value_name = "ORDER")]
    pub(super) order: Option<Order>,

    /// Pause before each run but the first, so that what the last one left behind is over
    #[arg(long, value_name = "TIME")]
    pub(super) cooldown: Option<Span>,

    /// Print the runs in their order and how long they will take, and start nothing; with --resume those that are left.
    /// `loadgen plan` prints all of a plan
    #[arg(long)]
    pub(super) dry_run: bool,

    /// Leave out runs that have documents already: of a plan with k completed runs in its scenario's folder of this machine
    /// (same name, same plan key, however old) the first k repeats. They count for the list and the exit code
    #[arg(long)]
    pub(super) resume: bool,

    #[command(flatten)]
    pub(super) output: OutputOptions,

    #[command(flatten)]
    pub(super) strictness: Strictness,

    #[command(flatten)]
    pub(super) record: RecordOptions,

    #[command(flatten)]
    pub(super) reports: ReportFiles,

    #[command(flatten)]
    pub(super) filing: FilingOptions,

    #[command(flatten, next_help_heading = "Load, instead of what the scenario says")]
    pub(super) load: LoadOptions,

    #[command(flatten)]
    pub(super) target: TargetOptions,
}

/// `loadgen scenarios`.
#[derive(Debug, Args)]
pub(super) struct ScenariosCommand {
    #[command(subcommand)]
    pub(super) what: Option<ScenariosWhat>,
}

/// What is done with the scenarios of the library.
#[derive(Debug, Subcommand)]
pub(super) enum ScenariosWhat {
    /// Print a scenario as a file, to be changed
    Show {
        /// Its name, as `loadgen scenarios` lists it
        name: String,
    },
    /// Print the JSON Schema of scenario files, by which editors complete them
    Schema,
}

/// `loadgen report`.
#[derive(Debug, Args)]
pub(super) struct ReportCommand {
    /// Run documents; `last` is the newest plain run (`loadgen URL`), `last~1` the one before
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,

    #[command(flatten)]
    pub(super) output: OutputOptions,
}

/// `loadgen plan`.
#[derive(Debug, Args)]
pub(super) struct PlanCommand {
    /// Scenario files, or names that `loadgen scenarios` lists, or one URL
    #[arg(required = true, value_name = "SCENARIO|URL")]
    pub(super) what: Vec<String>,

    #[command(flatten)]
    pub(super) load: LoadOptions,

    #[command(flatten)]
    pub(super) target: TargetOptions,
}

const TRUTH_WORDS: &str = "\
What the path of a request says, one word after the other:
  bytes/N  status/CODE  chunked  until-close  echo  close
                         the answer
  delay/TIME  exp/MEAN  drip/PAUSE
                         when it comes; exp: exponentially distributed
  freeze/FROM/TIME       nobody is answered meanwhile; counted from the first
                         request
  queue/MEAN             one server for all, first come, first served
  truncate/BYTES         closes after so many bytes of the body
  reset  hang-up  silence  garbage
                         no answer at all
  share/F                the next word counts for this share of the requests
Examples: /bytes/1000/chunked, /delay/5ms/share/0.01/delay/500ms

GET /truth.json tells the counts and is not counted; SIGINT and SIGTERM end the server, which then prints them.";

/// `loadgen truth-server`.
#[derive(Debug, Args)]
#[command(after_help = TRUTH_WORDS)]
pub(super) struct TruthCommand {
    /// Address and port to listen on; port 0 chooses a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8081")]
    pub(super) listen: SocketAddr,

    /// Do this for every request, whatever its own path says
    #[arg(long, value_name = "PATH")]
    pub(super) always: Option<String>,

    /// Seed of shares and distributions; the same one repeats them
    #[arg(long, value_name = "N", default_value = "0")]
    pub(super) seed: u64,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn words_below_the_options_are_broken_where_they_were_meant_to_be() {
        /// As wide as help is where no terminal says otherwise.
        const WIDTH: usize = 100;
        let command = Arguments::command();
        for command in std::iter::once(&command).chain(command.get_subcommands()) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let lines: Vec<&str> = help.lines().chain([""]).collect();
            for pair in lines.windows(2).filter(|pair| pair[0].chars().count() > WIDTH) {
                // A paragraph in one line is broken by the parser, as wide as the terminal is.
                let is_whole = !pair[0].starts_with(' ') && (pair[1].is_empty() || pair[1].starts_with(' '));
                assert!(is_whole, "{}: {}", command.get_name(), pair[0]);
            }
        }
    }
}
