//! `loadgen run`: scenarios, one after the other, each with a fresh target and a document of its own.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use report::compare::Comparison;
use report::document::{Document, Run};
use report::store;

use super::args::{OutputOptions, RecordOptions, RunCommand, Shown, Strictness};
use super::exit::Exit;
use super::load::{interrupt_on_signals, surroundings, versions};
use super::output;
use super::record::{self, Recording, takes_stdout};
use crate::machine;
use crate::options::{LoadOptions, TargetOptions};
use crate::plan::{Asserted, Plan, Stop, Target, masked};
use crate::quantity::Span;
use crate::run::{self, Context};
use crate::scenario::{AssertOptions, Scenario, is_folder_name};

pub(super) fn run(command: RunCommand) -> anyhow::Result<Exit> {
    let RunCommand { scenarios, repeats, output: shown, strictness, record, results, machine, load, target } =
        command;
    if machine.as_deref().is_some_and(|name| !is_folder_name(name)) {
        bail!("--machine is a folder's name: use letters, digits, dots, dashes and underscores");
    }
    // Everything is resolved and every folder is made before anything starts.
    let mut plans = Vec::new();
    for path in &scenarios {
        let (plan, times) = resolve(path, target.clone(), load.clone())?;
        let plan = plan.asserting(strictness.assertions.iter().cloned());
        plans.extend(std::iter::repeat_n(plan, repeats.unwrap_or(times) as usize));
    }
    record::check(&shown, &record, plans.len())?;
    let label = machine::observe(machine.as_deref()).label;
    for plan in &plans {
        prepare(&results.join(&label).join(&plan.name))?;
    }
    let interrupt = interrupt_on_signals()?;
    let program = super::this_program()?;
    let mut series = Series {
        output: &shown,
        record: &record,
        strictness,
        root: results.join(&label),
        documents: Vec::new(),
        exit: Exit::Done,
    };
    let count = plans.len();
    for (index, plan) in plans.iter().enumerate() {
        let mut recording = Recording::open(&shown, &record, plan)?;
        output::tell(&format!("{}/{count} {}", index + 1, headline(plan)));
        let context = Context {
            program: &program,
            machine: machine.as_deref(),
            interrupt: &interrupt,
            versions: versions(),
            tags: record.tags(),
            rows: recording.rows(),
        };
        let mut run = run::run(plan, &context, &mut recording)?;
        let exit = recording.finish(&mut run);
        series.keep(run, exit)?;
        if let Some(signal) = interrupt.signal() {
            // The signal may have come when the load was over; what was left out was left out all the same.
            if index + 1 < count {
                series.exit = series.exit.max(Exit::from(signal));
            }
            break;
        }
    }
    series.finish()
}

/// Reads a scenario and resolves it under what was typed. Also gives how often it wants to be run.
pub(super) fn resolve(path: &Path, target: TargetOptions, load: LoadOptions) -> anyhow::Result<(Plan, u32)> {
    let scenario = Scenario::read(path)?;
    let repeats = scenario.run.repeats.map_or(1, std::num::NonZeroU32::get);
    let load = load.over(scenario.load.clone());
    let is_as_written = load == scenario.load && target == TargetOptions::default();
    let target = target.over(scenario.target);
    let plan = Plan::of_scenario(&scenario.name, target, load, surroundings())
        .with_context(|| format!("{}", path.display()))?;
    let AssertOptions { always, as_written } = scenario.assert;
    let mut plan = plan.asserting(always);
    plan.assertions.extend(as_written.into_iter().map(|assertion| Asserted {
        assertion,
        skipped: (!is_as_written).then_some("it is for the load and the target as the file has them"),
    }));
    Ok((plan, repeats))
}

/// Makes sure that a document can be written there, before a minute is spent on measuring it.
fn prepare(folder: &Path) -> anyhow::Result<()> {
    let message =
        || format!("cannot write results to {}; choose another folder with --results", folder.display());
    fs::create_dir_all(folder).with_context(message)?;
    tempfile::NamedTempFile::new_in(folder).with_context(message)?;
    Ok(())
}

/// One plan in one line.
fn headline(plan: &Plan) -> String {
    let load = &plan.load;
    let stop = match load.stop {
        Stop::Requests(requests) => format!("{requests} requests"),
        Stop::Duration(duration) => Span(duration).to_string(),
    };
    let target = match &plan.target {
        Target::External => masked(&load.url),
        Target::Embedded(target) if target.instances.get() == 1 => "1 instance".to_owned(),
        Target::Embedded(target) => format!("{} instances", target.instances),
    };
    format!("{}: {stop}, {} connections, {target}", plan.name, load.connections)
}

/// The runs of one command.
struct Series<'a> {
    output: &'a OutputOptions,
    record: &'a RecordOptions,
    strictness: Strictness,
    root: PathBuf,
    documents: Vec<Document>,
    exit: Exit,
}

impl Series<'_> {
    /// Shows a run and writes its document; first writes, so that a closed stdout loses nothing.
    fn keep(&mut self, run: Run, exit: Exit) -> anyhow::Result<()> {
        let path = free_path(&self.root.join(&run.name), &run.id);
        let document = Document::Run(Box::new(run));
        let (exit, objection) = self.strictness.judge(&document, exit);
        self.exit = self.exit.max(exit);
        let written = store::write(&path, &document);
        match self.output.shown() {
            Shown::Report(format) if !takes_stdout(self.output, self.record) => {
                output::show(&output::render(&document, format, self.output.percentiles()))?;
            }
            Shown::Report(_) | Shown::Rows => output::tell_summary(&document, self.output.percentiles()),
        }
        written.context(Exit::Invalid)?;
        output::tell(&format!("wrote {}", path.display()));
        if let Some(objection) = objection {
            output::object(&objection);
        }
        self.documents.push(document);
        Ok(())
    }

    fn finish(self) -> anyhow::Result<Exit> {
        let Self { output: shown, documents, exit, .. } = self;
        if documents.len() > 1 && matches!(shown.shown(), Shown::Report(format) if format.name == "hey") {
            output::show(&format!("\n{}", Comparison::of(documents).text()))?;
        }
        Ok(exit)
    }
}

/// A file that is not there yet: several runs may begin in the same second.
fn free_path(folder: &Path, id: &str) -> PathBuf {
    let time = id.split('-').next().unwrap_or(id);
    let names = std::iter::once(format!("{time}.json")).chain((2_u64..).map(|n| format!("{time}-{n}.json")));
    let mut paths = names.map(|name| folder.join(name));
    paths.find(|path| !path.exists()).unwrap_or_else(|| folder.join(format!("{id}.json")))
}
