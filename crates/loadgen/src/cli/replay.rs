//! `loadgen run`: scenarios, one after the other, each with a fresh target and a document of its own.

use std::fs;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use report::compare::Comparison;
use report::document::{Document, Run};
use report::store;
use report::units::counted;

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
use crate::scenario::schema::Schema;
use crate::scenario::{AssertOptions, Page, Read, RunOptions, Scenario, Variant, is_folder_name};

pub(super) fn run(command: RunCommand) -> anyhow::Result<Exit> {
    let RunCommand { scenarios, repeats, order, cooldown, output: shown, strictness, .. } = command;
    let RunCommand { record, results, machine, load, target, .. } = command;
    let seed = load.seed.unwrap_or(surroundings().seed);
    if machine.as_deref().is_some_and(|name| !is_folder_name(name)) {
        bail!("--machine is a folder's name: use letters, digits, dots, dashes and underscores");
    }
    // Everything is resolved and every folder is made before anything starts.
    let mut plans: Vec<Turn> = Vec::new();
    let schema = super::schema();
    for path in &scenarios {
        let resolved = resolve(path, &schema, &target, &load)?;
        let rounds = repeats.or(resolved.run.repeats.map(NonZeroU32::get)).unwrap_or(1);
        let order = order.or(resolved.run.order).unwrap_or_default();
        let pause = cooldown.or(resolved.run.cooldown).map_or(Duration::ZERO, |span| span.0);
        for variant in order.of(resolved.plans.len(), rounds as usize, seed) {
            let (plan, variant) = &resolved.plans[variant];
            let plan = plan.clone().asserting(strictness.assertions.iter().cloned());
            plans.push(Turn { plan, variant: variant.to_string(), pause });
        }
    }
    record::check(&shown, &record, plans.len())?;
    let label = machine::observe(machine.as_deref()).label;
    for Turn { plan, .. } in &plans {
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
    for (index, Turn { plan, variant, pause }) in plans.iter().enumerate() {
        if index > 0 && !interrupt.sleep(*pause) {
            series.exit = series.exit.max(interrupt.signal().map_or(Exit::Done, Exit::from));
            break;
        }
        let mut recording = Recording::open(&shown, &record, plan)?;
        output::tell(&format!("{}/{count} {}", index + 1, headline(plan, variant)));
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

/// One run of a series.
struct Turn {
    plan: Plan,
    /// What is special about it; empty where there is no matrix.
    variant: String,
    /// How long nothing is done before.
    pause: Duration,
}

/// A scenario file under what was typed.
pub(super) struct Resolved {
    /// A plan for each combination of its matrix, or the one there is.
    pub(super) plans: Vec<(Plan, Variant)>,
    run: RunOptions,
}

/// Reads a scenario and resolves it under what was typed.
pub(super) fn resolve(
    path: &Path,
    schema: &Schema,
    target: &TargetOptions,
    load: &LoadOptions,
) -> anyhow::Result<Resolved> {
    let Read { page, scenarios } = Scenario::read(path, schema)?;
    let run = scenarios.first().map(|(scenario, _)| scenario.run.clone()).unwrap_or_default();
    let plans = scenarios.into_iter().map(|(scenario, variant)| {
        let plan = plan(scenario.clone(), target.clone(), load.clone());
        Ok((plan.map_err(|error| misfit(&error, &page, scenario, &variant))?, variant))
    });
    Ok(Resolved { plans: plans.collect::<anyhow::Result<_>>()?, run })
}

/// Why there is no plan: with its place in the file, where the file alone makes none either.
fn misfit(error: &anyhow::Error, page: &Page, scenario: Scenario, variant: &Variant) -> anyhow::Error {
    let special = if variant.is_empty() { String::new() } else { format!(" ([matrix] {variant})") };
    let sentence = format!("{}{special}", output::sentence(error));
    match plan(scenario, TargetOptions::default(), LoadOptions::default()) {
        Err(own) if own.to_string() == error.to_string() => page.together(&sentence).into(),
        _ => anyhow::anyhow!("{}: {sentence}", page.path.display()),
    }
}

fn plan(scenario: Scenario, target: TargetOptions, load: LoadOptions) -> anyhow::Result<Plan> {
    let load = load.over(scenario.load.clone());
    let is_as_written = load == scenario.load && target == TargetOptions::default();
    let target = target.over(scenario.target);
    let plan = Plan::of_scenario(&scenario.name, target, load, surroundings())?;
    let AssertOptions { always, as_written } = scenario.assert;
    let mut plan = plan.asserting(always);
    plan.assertions.extend(as_written.into_iter().map(|assertion| Asserted {
        assertion,
        skipped: (!is_as_written).then_some("it is for the load and the target as the file has them"),
    }));
    Ok(plan)
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
fn headline(plan: &Plan, variant: &str) -> String {
    let load = &plan.load;
    let stop = match load.stop {
        Stop::Requests(requests) => format!("{requests} requests"),
        Stop::Duration(duration) => Span(duration).to_string(),
    };
    let instances = |number: NonZeroU16| counted(number.get().into(), "instance");
    let target = match &plan.target {
        Target::External => masked(&load.url),
        Target::Embedded(target) => instances(target.instances),
        Target::Command(command) => {
            let program = command.words.first().map(|word| word.rsplit('/').next().unwrap_or(word));
            format!("{} of {}", instances(command.instances), program.unwrap_or_default())
        }
    };
    let special = if variant.is_empty() { String::new() } else { format!("; {variant}") };
    format!(
        "{}: {stop}, {}, {target}{special}",
        plan.name,
        counted(load.connections.get() as u64, "connection")
    )
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
