//! `loadgen import`: what another tool measured, as a document.

use std::io;
use std::path::Path;

use anyhow::{Context as _, anyhow, ensure};
use report::document::Document;
use report::os::{Unreadable, read_text, text_of};
use report::units::one_line;
use report::{import, store};

use super::args::ImportCommand;
use super::exit::Exit;
use super::output;

/// A longer text is no report.
const LONGEST: u64 = 16 << 20;

pub(super) fn run(command: ImportCommand) -> anyhow::Result<Exit> {
    let name =
        if command.file == Path::new("-") { "stdin".into() } else { command.file.display().to_string() };
    let text = read(&command.file).with_context(|| format!("{name}: cannot be read"))?;
    ensure!(!text.trim().is_empty(), "{name}: is empty; what was to write it did not come to its end");
    let mut figures = import::read(&text).map_err(|error| anyhow!("{name}: {error}"))?;
    figures.name = one_line(&command.name);
    figures.source = command.source.unwrap_or_else(|| format!("the output of {}", figures.tool));
    figures.machine.label = one_line(&command.machine);
    figures.machine.cpus = command.cpus;
    figures.config.extend(command.config.into_iter().map(|pair| (pair.key, pair.value)));
    output::show(&store::to_json(&Document::Figures(Box::new(figures))))?;
    Ok(Exit::Done)
}

fn read(path: &Path) -> Result<String, Unreadable> {
    if path == Path::new("-") { text_of(io::stdin(), LONGEST) } else { read_text(path, LONGEST) }
}
