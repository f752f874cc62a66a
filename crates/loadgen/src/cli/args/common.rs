//! What several commands take alike.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::builder::EnumValueParser;
use clap::{Args, ValueEnum};

use crate::cli::words::Tag;

/// How a result is written, in one of the formats `F`. The first of them is called `text`.
#[derive(Debug, Args)]
pub(in crate::cli) struct FormatOption<F: ValueEnum + Send + Sync + 'static> {
    /// How it is written
    #[arg(
        short = 'o',
        long = "output",
        alias = "o",
        value_name = "FORMAT",
        value_parser = EnumValueParser::<F>::new(),
        default_value = "text"
    )]
    pub(in crate::cli) output: F,
}

/// What the person calls runs.
#[derive(Debug, Args)]
pub(in crate::cli) struct TagOptions {
    /// A word of your own to know runs by, kept in their documents, such as version=1.4; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    tag: Vec<Tag>,
}

impl TagOptions {
    /// The tags by their keys; of one key the last counts.
    pub(in crate::cli) fn by_key(&self) -> BTreeMap<String, String> {
        self.tag.iter().map(|Tag { key, value }| (key.clone(), value.clone())).collect()
    }
}

/// Where documents are filed.
#[derive(Debug, Args)]
pub(in crate::cli) struct FilingOptions {
    /// Folder under which results are filed, as MACHINE/SCENARIO/TIME.json
    #[arg(long, value_name = "FOLDER", default_value = "results")]
    pub(in crate::cli) results: PathBuf,

    /// Name of this machine in the results [default: like local-2cpu-4gb, which git ignores]
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) machine: Option<String>,
}
