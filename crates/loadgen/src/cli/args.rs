//! What can be typed. No input or output, no defaults, nothing resolved.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};
use report::format::{self, Format};

use crate::options::{LoadOptions, TargetOptions};

const EXAMPLES: &str = "\
Examples:
  loadgen -z 10s -c 100 http://127.0.0.1:8080/       load a server for ten seconds
  loadgen run scenarios/quick.toml                   start a target, load it, check it, record it
  loadgen compare results/                           recorded runs side by side

Exit codes:
  0  done                                          3  no target, or not one answer
  1  the target lost what it had acknowledged      4  the run is not valid (see --strict)
  2  wrong use, nothing was started                130, 143  interrupted; the report is complete";

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
    Run(RunCommand),
    /// Start the target: a server that writes one database row per request
    #[cfg(feature = "serve")]
    Serve(Box<target_server::ServeArgs>),
    /// Show recorded runs side by side
    Compare(CompareCommand),
    /// Show a recorded run again, in any format
    Report(ReportCommand),
    /// Show what a load test or a scenario would do, without doing it
    Plan(PlanCommand),
}

/// A plain load test.
#[derive(Debug, Args)]
pub(super) struct LoadCommand {
    /// URL to be loaded
    // Several are taken in, to be refused with a better sentence than the parser's.
    #[arg(value_name = "URL")]
    pub(super) urls: Vec<String>,

    #[command(flatten)]
    pub(super) options: LoadOptions,

    #[command(flatten)]
    pub(super) output: OutputOptions,

    #[command(flatten)]
    pub(super) strictness: Strictness,
}

/// What a run must be, to end with 0.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Strictness {
    /// End with 4 when the generator was the limit (verdict client-limited) or the rate was not reached: less than 99%
    /// of the requests due were sent before the end
    #[arg(long)]
    pub(super) strict: bool,
}

/// How the result is shown.
#[derive(Debug, Args)]
pub(super) struct OutputOptions {
    /// Format of the report
    #[arg(short = 'o', long = "output", alias = "o", value_name = "FORMAT", default_value = "hey", value_parser = formats())]
    output: String,
}

fn formats() -> PossibleValuesParser {
    let values =
        format::ALL.iter().map(|format| clap::builder::PossibleValue::new(format.name).help(format.help));
    PossibleValuesParser::new(values)
}

impl OutputOptions {
    /// The format.
    pub(super) fn format(&self) -> &'static Format {
        // The parser lets only names of the list through.
        format::find(&self.output).unwrap_or(&format::ALL[0])
    }
}

/// `loadgen run`.
#[derive(Debug, Args)]
pub(super) struct RunCommand {
    /// Scenario files, run one after the other
    #[arg(required = true, value_name = "SCENARIO")]
    pub(super) scenarios: Vec<PathBuf>,

    /// How often each scenario is run, each time with a fresh target [default: as the scenario says, or 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) repeats: Option<u32>,

    #[command(flatten)]
    pub(super) output: OutputOptions,

    #[command(flatten)]
    pub(super) strictness: Strictness,

    /// Folder under which results are filed, as MACHINE/SCENARIO/TIME.json
    #[arg(long, value_name = "FOLDER", default_value = "results")]
    pub(super) results: PathBuf,

    /// Name of this machine in the results [default: like local-2cpu-4gb, which git ignores]
    #[arg(long, value_name = "NAME")]
    pub(super) machine: Option<String>,

    #[command(flatten, next_help_heading = "Load, instead of what the scenario says")]
    pub(super) load: LoadOptions,

    #[command(flatten)]
    pub(super) target: TargetOptions,
}

/// `loadgen compare`.
#[derive(Debug, Args)]
pub(super) struct CompareCommand {
    /// Run documents, or folders of them
    #[arg(required = true, value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,

    /// Print a Markdown table
    #[arg(long)]
    pub(super) markdown: bool,
}

/// `loadgen report`.
#[derive(Debug, Args)]
pub(super) struct ReportCommand {
    /// Run documents
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,

    #[command(flatten)]
    pub(super) output: OutputOptions,
}

/// `loadgen plan`.
#[derive(Debug, Args)]
pub(super) struct PlanCommand {
    /// Scenario files, or one URL
    #[arg(required = true, value_name = "SCENARIO|URL")]
    pub(super) what: Vec<String>,

    #[command(flatten)]
    pub(super) load: LoadOptions,

    #[command(flatten)]
    pub(super) target: TargetOptions,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
