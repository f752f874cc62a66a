//! The two that are held against each other: what each of them will do.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use report::document::Arm;
use report::os::why;
use toml::Value;

use super::super::bench::{self, Parts, shown};
use super::super::load::{surroundings, versions};
use super::super::replay;
use super::args::VersusCommand;
use crate::hash::fnv1a;
use crate::launch::Program;
use crate::options::{LoadOptions, TargetOptions};
use crate::plan::{Asserted, Plan, Stop, Surroundings, Target};
use crate::quantity::Span;
use crate::run;
use crate::scenario::{Change, Page, Read, Scenario, Variant};
use crate::series::warmup_of;

/// A URL that says nothing else is loaded so long.
const DURATION: Duration = Duration::from_secs(10);
/// Which program the target was, in a document's versions.
const PROGRAM: &str = "target_program";

/// One of the two.
pub(super) struct Side {
    pub(super) arm: Arm,
    /// What it is, for a person.
    pub(super) label: String,
    pub(super) variant: Variant,
    pub(super) parts: Parts,
    page: Page,
    scenario: Scenario,
    is_changed: bool,
    load: LoadOptions,
    target: TargetOptions,
}

/// Both, and whether there is any difference between them.
pub(super) fn sides(command: &VersusCommand) -> anyhow::Result<[Side; 2]> {
    let a = command.what.first().map(String::as_str).unwrap_or_default();
    let b = command.what.get(1).map_or(a, String::as_str);
    let none = command.a_set.is_empty() && command.b_set.is_empty();
    let has_binary = command.a_binary.is_some() || command.b_binary.is_some();
    ensure!(
        command.what.len() == 2 || !none || has_binary,
        "name two URLs or scenarios, or say what makes two of {a}: --a-set and --b-set, --a-binary and --b-binary"
    );
    let side = |arm, what, changes, binary: Option<&Path>| {
        Side::new(arm, what, changes, command)?.of_program(binary, has_binary)
    };
    Ok([
        side(Arm::A, a, &command.a_set, command.a_binary.as_deref())?,
        side(Arm::B, b, &command.b_set, command.b_binary.as_deref())?,
    ])
}

impl Side {
    fn new(arm: Arm, what: &str, changes: &[Change], command: &VersusCommand) -> anyhow::Result<Self> {
        let Read { page, mut scenarios } = bench::read(what, changes)?;
        let number = scenarios.len();
        let (scenario, variant) = match scenarios.pop() {
            Some(only) if scenarios.is_empty() => only,
            _ => bail!(
                "{what} has {number} combinations in [matrix], and one is held against one: choose with --{}-set KEY=VALUE",
                arm.name().to_lowercase()
            ),
        };
        let mut load = command.load.clone();
        // Each block gets a seed that grows from this one.
        load.seed = None;
        load.duration = command.block_duration.or(load.duration);
        let is_timed = |options: &LoadOptions| {
            options.duration.is_some() || options.requests.is_some() || options.stages.is_some()
        };
        if bench::is_url(what) && !is_timed(&load) && !is_timed(&scenario.load) {
            load.duration = Some(Span(DURATION));
        }
        let named = [("arm".to_owned(), Value::String(arm.name().to_owned()))];
        let changed = changes.iter().map(|change| (change.key.clone(), change.value.clone()));
        let variant = Variant::default().and(named).and(variant).and(changed);
        let words = std::iter::once(shown(what)).chain(changes.iter().map(ToString::to_string));
        let parts =
            Parts { program: super::super::this_program()?, versions: versions(), tags: BTreeMap::new() };
        let label = words.collect::<Vec<_>>().join(", ");
        let (is_changed, target) = (!changes.is_empty(), command.target.clone());
        let mut side = Self { arm, label, variant, parts, page, scenario, is_changed, load, target };
        if side.load.warmup.is_none() && side.scenario.load.warmup.is_none() {
            side.load.warmup = match side.plan(0)?.load.stop {
                Stop::Duration(length) => Some(Span(warmup_of(length))),
                Stop::Requests(_) => None,
            };
        }
        Ok(side)
    }

    /// The same with another program as the target; `is_told`: whether documents tell which one it was.
    fn of_program(mut self, binary: Option<&Path>, is_told: bool) -> anyhow::Result<Self> {
        if !is_told {
            return Ok(self);
        }
        let plan = self.plan(0)?;
        ensure!(
            matches!(plan.target, Target::Embedded(_)),
            "--a-binary and --b-binary are programs whose `serve` is the target, and {} starts none: with --a-set and \
             --b-set target.command says what is started",
            self.label
        );
        if let Some(binary) = binary {
            let message = || format!("--{}-binary {}", self.arm.name().to_lowercase(), binary.display());
            let path = fs::canonicalize(binary).map_err(|error| anyhow!("{}: {}", message(), why(&error)))?;
            // The thin binary around the target takes the same settings, without the word.
            let is_thin =
                path.file_stem().is_some_and(|name| name.to_string_lossy().starts_with("target-server"));
            let leading = if is_thin { Vec::new() } else { vec!["serve".into()] };
            self.parts.program = Program { path, leading, ..self.parts.program };
            self.label = format!("{} of {}", self.label, binary.display());
        }
        let path = &self.parts.program.path;
        let bytes = fs::read(path).map_err(|error| anyhow!("{}: {}", path.display(), why(&error)))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        self.parts.versions.insert(PROGRAM.to_owned(), format!("{name} {:016x}", fnv1a(&bytes)));
        Ok(self)
    }

    /// The plan of one run, whose arrivals grow from this seed where the scenario names none.
    pub(super) fn plan(&self, seed: u64) -> anyhow::Result<Plan> {
        let around = Surroundings { seed, ..surroundings() };
        let mut scenario = self.scenario.clone();
        let as_written =
            if self.is_changed { std::mem::take(&mut scenario.assert.as_written) } else { Vec::new() };
        let plan = replay::plan(scenario.clone(), self.target.clone(), self.load.clone(), around);
        let mut plan =
            plan.map_err(|error| replay::misfit(&error, &self.page, scenario, &Variant::default()))?;
        plan.assertions.extend(as_written.into_iter().map(|assertion| Asserted {
            assertion,
            skipped: Some("it is for the load and the target as the file has them"),
        }));
        // What it reads from files is read before the first run.
        run::dialer(&plan.load).with_context(|| self.label.clone())?;
        Ok(plan)
    }
}
