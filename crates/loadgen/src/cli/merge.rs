//! `loadgen merge`: several generators, one document.

use anyhow::bail;
use report::document::Document;
use report::{merge, store};

use super::args::MergeCommand;
use super::exit::Exit;
use super::{history, output};

pub(super) fn run(command: &MergeCommand) -> anyhow::Result<Exit> {
    let mut runs = Vec::new();
    for file in history::resolve(&command.files)? {
        match store::open(&file)? {
            Document::Run(run) => runs.push(*run),
            Document::Figures(_) => {
                bail!("{}: holds published figures: only runs can be merged", file.display())
            }
        }
    }
    let merged = merge::merge(runs)?;
    output::show(&store::to_json(&Document::Run(Box::new(merged))))?;
    Ok(Exit::Done)
}
