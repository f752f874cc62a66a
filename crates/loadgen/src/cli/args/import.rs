//! `loadgen import`: what can be typed.

use std::path::PathBuf;

use clap::Args;
use report::import::SCHEDULE_KEYS;

use crate::cli::words::{Tag, TagError};

const IMPORT_WORDS: &str = "\
Read are the reports of hey, ab, wrk, h2load, vegeta and bombardier, and the JSON of vegeta (report -type=json), k6 \
(--summary-export, or what handleSummary gets), fortio (-json), bombardier (-o json) and oha (--output-format json). Whose \
it is, the text says. The document holds what they say and nothing else, with notes of what their figures mean; what they \
do not say, such as hey's number of connections, may be told with --config, in the keys of `loadgen plan`. The keys of a \
schedule (load.rate, load.stages) are refused: with one, latencies would be response times, counted from when requests \
were due, and these tools count from when one was sent.

Examples:
  hey -z 10s -c 50 http://10.0.0.2/ > hey.txt
  loadgen import hey.txt --name front --config load.connections=50 > hey.json
  ab -n 1000 http://10.0.0.2/ | loadgen import --machine web-1 > ab.json
  vegeta report -type=json results.bin | loadgen import --name front > vegeta.json
  loadgen compare results/ hey.json ab.json vegeta.json";

/// `loadgen import`.
#[derive(Debug, Args)]
#[command(after_help = IMPORT_WORDS)]
pub(in crate::cli) struct ImportCommand {
    /// The output of a tool; `-` is stdin
    #[arg(value_name = "FILE", default_value = "-")]
    pub(in crate::cli) file: PathBuf,

    /// The scenario whose rows it shall stand beside [default: imported]
    #[arg(long, value_name = "NAME", default_value = "imported", hide_default_value = true)]
    pub(in crate::cli) name: String,

    /// The machine it was measured on [default: imported]
    #[arg(long, value_name = "NAME", default_value = "imported", hide_default_value = true)]
    pub(in crate::cli) machine: String,

    /// CPUs of that machine
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(in crate::cli) cpus: Option<u64>,

    /// Where it comes from: title, site, date [default: the output of the tool]
    #[arg(long, value_name = "TEXT")]
    pub(in crate::cli) source: Option<String>,

    /// What else is known of how it was measured; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = known)]
    pub(in crate::cli) config: Vec<Tag>,
}

/// What may be told beside what a tool says: all but what would make its latencies response times.
fn known(text: &str) -> Result<Tag, String> {
    let tag: Tag = text.parse().map_err(|error: TagError| error.to_string())?;
    if SCHEDULE_KEYS.contains(&tag.key.as_str()) {
        return Err(format!(
            "{} makes latencies response times, counted from when requests were due; these tools count from when one was sent, so tell \
             the rate in another key, such as tool.rate",
            tag.key
        ));
    }
    Ok(tag)
}
