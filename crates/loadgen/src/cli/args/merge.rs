//! `loadgen merge`: what can be typed.

use std::path::PathBuf;

use clap::Args;

const MERGE_WORDS: &str = "\
Start loadgen on several machines at the same time, with the same options and one URL, and collect their documents \
(-o json > FILE). Counts and histograms are added up, so percentiles are those of all requests; the rate is that of the \
time in which all were at work; the verdict is the worst. What cannot be merged, such as the p99 of a second, is absent. \
The clocks of the machines should agree to a tenth of a second.

Example:
  loadgen merge a.json b.json > both.json && loadgen report both.json";

/// `loadgen merge`.
#[derive(Debug, Args)]
#[command(after_help = MERGE_WORDS)]
pub(in crate::cli) struct MergeCommand {
    /// Run documents, one of each generator; `last` is the newest plain run
    #[arg(required = true, value_name = "FILE")]
    pub(in crate::cli) files: Vec<PathBuf>,
}
