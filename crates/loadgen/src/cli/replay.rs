//! `loadgen run`: scenarios, one after the other, each with a fresh target and a document of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use report::compare::Comparison;
use report::document::{Document, Ended, Overridden, Run};
use report::os::why_not_written;
use report::store;
use report::units::counted;

use super::args::{OutputOptions, RecordOptions, RunCommand, Shown, Strictness};
use super::bench;
use super::exit::Exit;
use super::list::{self, Kept};
use super::live::Overall;
use super::load::{interrupt_on_signals, surroundings, versions};
use super::output;
use super::record::{self, Recording, takes_stdout};
use super::reports::Reports;
use super::resume::Existing;
use crate::clock::{RealTimer, Timer as _};
use crate::options::{LoadOptions, TargetOptions};
use crate::plan::{Asserted, Plan, Stop, Surroundings, Target, masked};
use crate::quantity::Span;
use crate::run::{self, Context, RunError};
use crate::scenario::schema::Schema;
use crate::scenario::{AssertOptions, Order, Page, Read, RunOptions, Scenario, Variant};
use crate::series::{self, Forecast, Turn, about};

/// `typed`: the names of the options that were typed.
pub(super) fn run(command: RunCommand, typed: BTreeSet<String>) -> anyhow::Result<Exit> {
    let (root, label) = bench::root(&command.filing)?;
    // Everything is resolved and every folder is made before anything starts.
    let turns = turns(&command, typed)?;
    let RunCommand { output: shown, strictness, record, reports, .. } = command;
    let RunCommand { filing, resume, dry_run, .. } = command;
    record::check(&shown, &record, turns.len())?;
    let kept = if resume { Existing::find(&root, &label, &turns)? } else { Existing::default() }.of(&turns);
    if dry_run {
        output::show(&list::plans(&turns, &kept))?;
        return Ok(Exit::Done);
    }
    for turn in &turns {
        prepare(&root.join(&turn.plan.name))?;
    }
    let named = turns.iter().map(|turn| (turn.plan.name.clone(), turn.variant.to_string()));
    let reports = Reports::new(&reports, named)?;
    let interrupt = interrupt_on_signals()?;
    let program = super::this_program()?;
    let context = Context {
        program: &program,
        machine: filing.machine.as_deref(),
        interrupt: &interrupt,
        versions: versions(),
        tags: record.tags.by_key(),
        rows: None,
    };
    let ways = Ways { output: &shown, record: &record, strictness };
    let forecast = Forecast::default();
    let mut series =
        Series { ways, root, turns: &turns, kept, failed: None, forecast, reports, exit: Exit::Done };
    let outcome = series.run(&context);
    let finished = series.finish();
    outcome?;
    finished.map(|()| series.exit)
}

/// Why runs are not made after a signal.
const INTERRUPTED: &str = "the series was interrupted before it";

/// Why runs are not made after one that could not be.
const FAILED: &str = "an earlier run could not be made";

/// Every run of the series, in its order. Several scenarios are taken in turn, like the combinations of a matrix: a round of
/// each, then the next, but for those that are sequential.
fn turns(command: &RunCommand, mut typed: BTreeSet<String>) -> anyhow::Result<Vec<Turn>> {
    let RunCommand { scenarios, repeats, order, cooldown, strictness, load, target, .. } = command;
    typed.extend(target.settings().keys().map(|flag| format!("target.{}", flag.replace('-', "_"))));
    let seed = load.seed.unwrap_or(surroundings().seed);
    let schema = super::schema();
    let mut rounds: Vec<Vec<Turn>> = Vec::new();
    for path in scenarios {
        let resolved = resolve(path, &schema, target, load)?;
        let repeats = repeats.or(resolved.run.repeats.map(NonZeroU32::get)).unwrap_or(1);
        let order = order.or(resolved.run.order).unwrap_or_default();
        let pause = cooldown.or(resolved.run.cooldown).map_or(Duration::ZERO, |span| span.0);
        let mut made = vec![0; resolved.plans.len()];
        for number in order.of(resolved.plans.len(), repeats as usize, seed) {
            let round = if order == Order::Sequential { 0 } else { made[number] as usize };
            rounds.resize_with(rounds.len().max(round + 1), Vec::new);
            made[number] += 1;
            let (plan, variant, mut overridden) = resolved.plans[number].clone();
            series::tell_apart(&mut overridden, &typed);
            // What it reads from files is read before the first run.
            run::dialer(&plan.load).with_context(|| path.display().to_string())?;
            rounds[round].push(Turn {
                plan: plan.asserting(strictness.assertions.iter().cloned()),
                variant,
                repeat: (made[number], repeats),
                pause,
                overridden,
            });
        }
    }
    Ok(rounds.into_iter().flatten().collect())
}

/// The key of a plan for the seed of its random arrivals.
const SEED_KEY: &str = "load.seed";

/// A scenario file under what was typed.
pub(super) struct Resolved {
    /// A plan for each combination of its matrix, or the one there is.
    pub(super) plans: Vec<(Plan, Variant, BTreeMap<String, Overridden>)>,
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
    let is_typed = *target != TargetOptions::default() || *load != LoadOptions::default();
    let plans = scenarios.into_iter().map(|(scenario, variant)| {
        let used = plan(scenario.clone(), target.clone(), load.clone(), surroundings());
        let used = used.map_err(|error| misfit(&error, &page, scenario.clone(), &variant))?;
        let has_seed = scenario.load.seed.is_some();
        let file = is_typed
            .then(|| plan(scenario, TargetOptions::default(), LoadOptions::default(), surroundings()));
        // A file that makes no plan alone has nothing to be overridden.
        let overridden = file.and_then(Result::ok).map(|file| series::overridden(&file, &used));
        let mut overridden = overridden.unwrap_or_default();
        if !has_seed {
            // What nobody chose is another one each time.
            overridden.remove(SEED_KEY);
        }
        Ok((used, variant, overridden))
    });
    Ok(Resolved { plans: plans.collect::<anyhow::Result<_>>()?, run })
}

/// Why there is no plan: with its place in the file, where the file alone makes none either.
pub(super) fn misfit(
    error: &anyhow::Error,
    page: &Page,
    scenario: Scenario,
    variant: &Variant,
) -> anyhow::Error {
    let special = if variant.is_empty() { String::new() } else { format!(" ([matrix] {variant})") };
    let sentence = format!("{}{special}", output::sentence(error));
    match plan(scenario, TargetOptions::default(), LoadOptions::default(), surroundings()) {
        Err(own) if own.to_string() == error.to_string() => page.together(&sentence).into(),
        _ => anyhow::anyhow!("{}: {sentence}", page.path.display()),
    }
}

/// The plan of a scenario under what was typed.
pub(super) fn plan(
    scenario: Scenario,
    target: TargetOptions,
    load: LoadOptions,
    around: Surroundings,
) -> anyhow::Result<Plan> {
    let load = load.over(scenario.load.clone());
    let is_as_written = load == scenario.load && target == TargetOptions::default();
    let target = target.over(scenario.target);
    let plan = Plan::of_scenario(&scenario.name, target, load, around)?;
    let AssertOptions { always, as_written } = scenario.assert;
    let mut plan = plan.asserting(always);
    plan.assertions.extend(as_written.into_iter().map(|assertion| Asserted {
        assertion,
        skipped: (!is_as_written).then_some("it is for the load and the target as the file has them"),
    }));
    Ok(plan)
}

/// Makes sure that a document can be written there, before a minute is spent on measuring it.
pub(super) fn prepare(folder: &Path) -> anyhow::Result<()> {
    let made = fs::create_dir_all(folder).and_then(|()| tempfile::NamedTempFile::new_in(folder));
    made.map_err(|error| {
        let why = why_not_written(&error);
        anyhow!("cannot write results to {}: {why}; choose another folder with --results", folder.display())
    })?;
    Ok(())
}

/// One run in one line.
pub(super) fn headline(turn: &Turn) -> String {
    let (plan, load) = (&turn.plan, &turn.plan.load);
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
    let special = if turn.variant.is_empty() { String::new() } else { format!("; {}", turn.variant) };
    let repeat = match turn.repeat {
        (_, 1) => String::new(),
        (repeat, repeats) => format!("; repeat {repeat} of {repeats}"),
    };
    format!(
        "{}: {stop}, {}, {target}{special}{repeat}",
        plan.name,
        counted(load.connections.get() as u64, "connection")
    )
}

/// How the runs of one command are shown, recorded and judged.
struct Ways<'a> {
    output: &'a OutputOptions,
    record: &'a RecordOptions,
    strictness: Strictness,
}

/// The runs of one command.
struct Series<'a> {
    ways: Ways<'a>,
    root: PathBuf,
    turns: &'a [Turn],
    /// For each run its document, when it has one.
    kept: Vec<Option<Kept>>,
    /// The run that could not be made.
    failed: Option<usize>,
    forecast: Forecast,
    reports: Reports<'a>,
    exit: Exit,
}

impl Series<'_> {
    /// Makes the runs that have no document yet, until the last or a signal.
    fn run(&mut self, context: &Context<'_>) -> anyhow::Result<()> {
        let (turns, interrupt) = (self.turns, context.interrupt);
        let count = turns.len();
        let mut has_begun = false;
        for (index, turn) in turns.iter().enumerate() {
            if let Some(kept) = &mut self.kept[index] {
                output::tell(&format!(
                    "{}/{count} {}: is there: {}",
                    index + 1,
                    headline(turn),
                    kept.path.display()
                ));
                let (exit, objection) = judged_again(&turn.plan, &mut kept.document, &self.ways.strictness);
                self.exit = self.exit.max(exit);
                self.reports.next(&kept.document, objection.as_deref());
                continue;
            }
            // The signal may have come when the load was over; what was left out was left out all the same.
            if has_begun && !interrupt.sleep(turn.pause) {
                self.exit = self.exit.max(interrupt.into());
                self.reports.leave(INTERRUPTED);
                return Ok(());
            }
            has_begun = true;
            self.make(index, context)?;
        }
        Ok(())
    }

    fn make(&mut self, index: usize, context: &Context<'_>) -> anyhow::Result<()> {
        let turns = self.turns;
        let (turn, count) = (&turns[index], turns.len());
        let place = format!("{}/{count}", index + 1);
        let left = self.left(index).filter(|_| count > 1);
        let told = left.map(|left| format!("; about {} left", about(left))).unwrap_or_default();
        output::tell(&format!("{place} {}{told}", headline(turn)));
        let text = format!(
            "run {} of {count}: {}, repeat {} of {}",
            index + 1,
            turn.brief(),
            turn.repeat.0,
            turn.repeat.1
        );
        let overall = (count > 1).then_some(Overall { text, left });
        let start = RealTimer::start();
        let recording = Recording::open(self.ways.output, self.ways.record, &turn.plan)?;
        let mut recording = recording.within(overall);
        let context = Context {
            rows: recording.rows(),
            versions: context.versions.clone(),
            tags: context.tags.clone(),
            ..*context
        };
        let made = run::run(&turn.plan, &context, &mut recording);
        let mut run = made.inspect_err(|error| self.fail(index, error))?;
        run.overridden = turn.overridden.clone();
        let exit = recording.finish(&mut run);
        self.keep(index, run, exit)?;
        self.forecast.ran(turn, Duration::from_nanos(start.now()));
        Ok(())
    }

    /// How long it takes from the beginning of this run on.
    fn left(&self, index: usize) -> Option<Duration> {
        let left = self.turns.iter().zip(&self.kept).skip(index).filter(|(_, kept)| kept.is_none());
        let mut left: Vec<Turn> = left.map(|(turn, _)| turn.clone()).collect();
        left.first_mut()?.pause = Duration::ZERO;
        self.forecast.of(&left)
    }

    /// Shows a run and writes its document; first writes, so that a closed stdout loses nothing.
    fn keep(&mut self, index: usize, run: Run, exit: Exit) -> anyhow::Result<()> {
        let Ways { output: shown, record, strictness } = &self.ways;
        let path = free_path(&self.root.join(&run.name), &run.id);
        let is_whole = run.ended == Ended::Completed;
        let document = Document::Run(Box::new(run));
        let (exit, objection) = strictness.judge(&document, exit);
        self.exit = self.exit.max(exit);
        self.reports.next(&document, objection.as_deref());
        let written = store::write(&path, &document);
        let reported = self.reports.write();
        match shown.shown() {
            Shown::Report(format) if !takes_stdout(shown, record) => {
                output::show(&output::render(&document, format, shown.percentiles()))?;
            }
            Shown::Report(_) | Shown::Rows => output::tell_summary(&document, shown.percentiles()),
        }
        written.and(reported).context(Exit::Invalid)?;
        output::tell(&format!("wrote {}", path.display()));
        if let Some(objection) = objection {
            output::object(&objection);
        }
        self.kept[index] = Some(Kept { path, document, is_whole });
        Ok(())
    }

    /// A run could not be made, and ends the series: that is in its reports too.
    fn fail(&mut self, index: usize, error: &RunError) {
        if let RunError::Interrupted(_) = error {
            self.reports.leave(INTERRUPTED);
        } else {
            self.reports.failed(&error.to_string());
            self.failed = Some(index);
            self.reports.leave(FAILED);
        }
        if let Err(error) = self.reports.write() {
            output::complain(&error.into());
        }
    }

    /// What became of all runs, in a line each, and what is missing.
    fn finish(&mut self) -> anyhow::Result<()> {
        self.reports.write().context(Exit::Invalid)?;
        let documents = self.kept.iter().flatten().map(|kept| kept.document.clone());
        let documents: Vec<_> = documents.collect();
        let shown = self.ways.output.shown();
        if documents.len() > 1 && matches!(shown, Shown::Report(format) if format.name == "hey") {
            output::show(&format!("\n{}", Comparison::of(documents).text(output::page())))?;
        }
        if self.turns.len() > 1 {
            let width = output::stderr_width().unwrap_or(usize::MAX);
            let results = list::results(self.turns, &self.kept, width);
            let missing = list::missing(self.turns, &self.kept, self.failed);
            output::tell(format!("\n{results}{missing}").trim_end());
        }
        Ok(())
    }
}

/// What a run that is there already means for the shell, held against what is asserted now. Also gives why.
fn judged_again(plan: &Plan, document: &mut Document, strictness: &Strictness) -> (Exit, Option<String>) {
    let Document::Run(run) = document else { return (Exit::Done, None) };
    run::judge_again(plan, run);
    let exit = Exit::of(run);
    let (exit, objection) = strictness.judge(document, exit);
    if let Some(objection) = &objection {
        output::object(objection);
    }
    (exit, objection)
}

/// A file that is not there yet: several runs may begin in the same second.
pub(super) fn free_path(folder: &Path, id: &str) -> PathBuf {
    let time = id.split('-').next().unwrap_or(id);
    let names = std::iter::once(format!("{time}.json")).chain((2_u64..).map(|n| format!("{time}-{n}.json")));
    let mut paths = names.map(|name| folder.join(name));
    paths.find(|path| !path.exists()).unwrap_or_else(|| folder.join(format!("{id}.json")))
}
