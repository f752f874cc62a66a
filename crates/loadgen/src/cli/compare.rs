//! `loadgen compare`: stored documents side by side, and what they say of each other.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use report::compare::{Comparison, Gate, Metric, Passage};
use report::document::Document;
use report::units::counted;
use report::{format, store};

use super::args::{CompareCommand, CompareFormat, GateOptions};
use super::exit::Exit;
use super::{history, output};

/// Sets stored documents side by side.
pub(super) fn run(command: &CompareCommand) -> anyhow::Result<Exit> {
    let GateOptions { junit, markdown, .. } = &command.gate;
    ensure!(junit.is_none() || junit != markdown, "--junit and --markdown need a file each");
    let candidates: Vec<PathBuf> = command.paths.iter().chain(&command.gate.candidate).cloned().collect();
    let (documents, skipped) = read_all(&candidates)?;
    let (labels, paths): (Vec<&PathBuf>, Vec<&PathBuf>) =
        command.baseline.iter().partition(|word| is_label(word));
    let (mut baseline, foreign) = read_all(&paths.into_iter().cloned().collect::<Vec<_>>())?;
    let documents = set_apart(documents, &labels, &mut baseline)?;
    let metrics = if command.metrics.is_empty() { &Metric::DEFAULT } else { command.metrics.as_slice() };
    let mut comparison = Comparison::with(baseline, documents, metrics);
    comparison.tolerances = command.tolerance.iter().map(|it| (it.metric, it.change)).collect();
    let prices: Vec<(String, f64)> =
        command.price.iter().map(|price| (price.machine.clone(), price.per_month)).collect();
    if let Err(label) = comparison.set_prices(&prices) {
        bail!("--price {label}=...: no run is of that machine; there are {}", known(&comparison));
    }
    if !command.rows.is_empty() {
        comparison.turn(&command.rows, &command.columns)?;
    }
    output::show(&match command.format.output {
        CompareFormat::Text => comparison.text(output::page()),
        CompareFormat::Markdown => comparison.markdown(),
        CompareFormat::Csv => comparison.csv(),
        CompareFormat::Json => comparison.json(),
    })?;
    let skipped = skipped + foreign;
    if skipped > 0 {
        output::tell(&format!("skipped {}", counted(skipped, "other JSON file")));
    }
    hold(&comparison, &command.gate)
}

/// Whether a word of `--baseline` names no file but what documents say of themselves.
fn is_label(word: &Path) -> bool {
    let text = word.to_string_lossy();
    !text.contains(['/', '*', '?', '[']) && !word.exists() && !history::is_word(word)
}

/// Puts the runs of these labels, which are machines or tags (`version=1.3`), into the baseline, and gives the others.
fn set_apart(
    documents: Vec<Document>,
    labels: &[&PathBuf],
    baseline: &mut Vec<Document>,
) -> anyhow::Result<Vec<Document>> {
    let mut rest = documents;
    for label in labels {
        let label = label.to_string_lossy();
        let (fitting, others): (Vec<Document>, Vec<Document>) =
            rest.into_iter().partition(|document| is_called(document, &label));
        if fitting.is_empty() {
            bail!("--baseline {label}: there is no such file, and no run of that machine or with that tag");
        }
        baseline.extend(fitting);
        rest = others;
    }
    Ok(rest)
}

fn is_called(document: &Document, label: &str) -> bool {
    let Document::Run(run) = document else { return false };
    let tag = label.split_once('=').and_then(|(key, value)| Some(run.tags.get(key)? == value));
    run.machine.label == label || tag == Some(true)
}

/// The labels of the machines.
fn known(comparison: &Comparison) -> String {
    comparison.machines.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// What the gate says, where there is one.
fn hold(comparison: &Comparison, options: &GateOptions) -> anyhow::Result<Exit> {
    let Some(fail_on) = options.fail_on else { return Ok(Exit::Done) };
    let gate = Gate::of(comparison, fail_on.into());
    for failure in gate.failures() {
        output::tell(&format!("loadgen: gate: {failure}"));
    }
    if let Some(path) = &options.junit {
        store::write_text(path, &format::junit_of_gate(&gate)).context(Exit::Invalid)?;
    }
    if let Some(path) = &options.markdown {
        let text = format::pull_request_of_gate(&gate, comparison);
        store::write_text(path, &text).context(Exit::Invalid)?;
    }
    Ok(match gate.passage() {
        Passage::Open => Exit::Done,
        Passage::Closed => Exit::Broken,
        Passage::Unknown => Exit::Invalid,
    })
}

/// The documents of paths, and how many files were skipped. Paths without a single document are an error.
fn read_all(paths: &[PathBuf]) -> anyhow::Result<(Vec<Document>, u64)> {
    let found = store::find(&history::resolve(paths)?)?;
    if found.documents.is_empty() && !paths.is_empty() {
        let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        bail!("no run documents in {}: `loadgen run` writes them", paths.join(", "));
    }
    let documents = found.documents.iter().map(|path| store::open(path)).collect::<Result<Vec<_>, _>>()?;
    Ok((documents, found.skipped.len() as u64))
}
