//! One run after the other, for commands that look at each before the next: made, told, written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use report::document::{Document, Run};
use report::store;
use url::Url;

use super::args::FilingOptions;
use super::exit::Exit;
use super::live::Overall;
use super::load::interrupt_on_signals;
use super::output;
use super::record::Recording;
use super::replay::{free_path, prepare};
use crate::launch::Program;
use crate::machine;
use crate::plan::{Plan, masked};
use crate::run::{self, Context, Interrupt, RunError};
use crate::scenario::{Change, Read, Scenario, ScenarioError, is_folder_name};

/// What was typed to be loaded, as it may be shown: a URL without its password.
pub(super) fn shown(what: &str) -> String {
    match what.parse::<Url>() {
        Ok(url) if url.has_host() => masked(&url),
        Ok(_) | Err(_) => what.to_owned(),
    }
}

/// The folder of this machine, under which documents are filed, and its label.
///
/// # Errors
/// When the name that was typed for it is none of a folder.
pub(super) fn root(filing: &FilingOptions) -> anyhow::Result<(PathBuf, String)> {
    let machine = filing.machine.as_deref();
    ensure!(
        machine.is_none_or(is_folder_name),
        "--machine is a folder's name: use letters, digits, dots, dashes and underscores"
    );
    let label = machine::observe(machine).label;
    Ok((filing.results.join(&label), label))
}

/// Reads what was typed to be loaded, a URL or a scenario, with other values of some keys.
///
/// # Errors
/// When there is no such scenario, or it does not say what one may say.
pub(super) fn read(what: &str, changes: &[Change]) -> Result<Read, ScenarioError> {
    let schema = super::schema();
    if is_url(what) {
        Scenario::of_url(what, &schema, changes)
    } else {
        Scenario::read_changed(Path::new(what), &schema, changes)
    }
}

/// Whether what was typed to be loaded is a URL, and no scenario.
pub(super) fn is_url(what: &str) -> bool {
    what.contains("://")
}

/// Where runs are made and filed.
#[derive(Debug)]
pub(super) struct Bench {
    root: PathBuf,
    machine: Option<String>,
    interrupt: Interrupt,
}

/// What loads and is loaded.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    /// The program that embedded targets are part of.
    pub(super) program: Program,
    /// What everything is made of, by name.
    pub(super) versions: BTreeMap<String, String>,
    /// What the person calls it, by name.
    pub(super) tags: BTreeMap<String, String>,
}

impl Bench {
    /// A bench whose documents go to the folder of this machine, and there to folders of these names: made now, so that nothing is
    /// measured that could not be written.
    pub(super) fn new(filing: &FilingOptions, names: &[&str]) -> anyhow::Result<Self> {
        let (root, _) = root(filing)?;
        for name in names {
            prepare(&root.join(name))?;
        }
        Ok(Self { root, machine: filing.machine.clone(), interrupt: interrupt_on_signals()? })
    }

    /// How the runs are ended early.
    pub(super) fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// Makes sure that a server that runs already answers, before minutes are spent on it.
    ///
    /// # Errors
    /// When it does not, or no load could begin.
    pub(super) fn ask(&self, plan: &Plan) -> Result<(), RunError> {
        run::ask(plan, &self.interrupt)
    }

    /// Makes a run.
    ///
    /// # Errors
    /// When its load could not begin.
    pub(super) fn make(
        &self,
        plan: &Plan,
        parts: &Parts,
        overall: Option<(String, Option<Duration>)>,
    ) -> anyhow::Result<(Run, Exit)> {
        let overall = overall.map(|(text, left)| Overall { text, left });
        let mut recording = Recording::default().within(overall);
        let context = Context {
            program: &parts.program,
            machine: self.machine.as_deref(),
            interrupt: &self.interrupt,
            versions: parts.versions.clone(),
            tags: parts.tags.clone(),
            rows: None,
        };
        let mut run = run::run(plan, &context, &mut recording)?;
        let exit = recording.finish(&mut run);
        Ok((run, exit))
    }

    /// Writes a run's document and says where.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn write(&self, run: Run) -> anyhow::Result<(PathBuf, Document)> {
        let path = free_path(&self.root.join(&run.name), &run.id);
        let document = Document::Run(Box::new(run));
        store::write(&path, &document).context(Exit::Invalid)?;
        output::tell(&format!("wrote {}", path.display()));
        Ok((path, document))
    }
}
