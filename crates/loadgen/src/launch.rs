//! How does a target come up and go down?

mod told;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use report::document::{Instance, Told};
use serde::Deserialize;
use supervise::{Address, Event, Exit, Group, Reason, SocketSpec, Spec, Status};
use tempfile::TempDir;

use crate::machine;
use crate::plan::{Embedded, Target};

/// How the program that a scenario's target is part of can be started.
#[derive(Debug, Clone)]
pub struct Program {
    /// The executable.
    pub path: PathBuf,
    /// What it is told before the server's own arguments: `serve`.
    pub leading: Vec<OsString>,
    /// Environment variables that would change the server's settings: a plan says all of them.
    pub variables: Vec<OsString>,
}

/// Why there is no target.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// This program was built without its target.
    #[error(
        "this loadgen was built without the embedded target (feature `serve`): load a server that runs already, with `url`"
    )]
    NotBuiltIn,
    /// No room for its database.
    #[error("cannot make a scratch folder for the target's database: {0}; set TMPDIR to a folder with room")]
    Scratch(io::Error),
    /// Its processes could not be started, or did not get ready.
    #[error("the target could not be started: {0}")]
    Start(#[from] supervise::StartError),
}

/// A target that is up. Dropping it takes down what was started.
#[derive(Debug)]
pub enum Running {
    /// It was there before.
    External,
    /// It was started for this run.
    Started(Box<Started>),
}

/// Server processes of ours.
#[derive(Debug)]
pub struct Started {
    group: Group,
    has_database: bool,
    scratch: TempDir,
}

/// Name of the socket that the target serves.
const HTTP: &str = "http";
/// Name of the socket at which an instance tells of itself.
const ADMIN: &str = "admin";

/// How the names of this process's scratch folders begin.
pub fn scratch_prefix() -> String {
    format!("loadgen-{}-", std::process::id())
}

/// The database of a started target. The file goes when this value does.
#[derive(Debug)]
pub struct Database {
    folder: TempDir,
}

impl Database {
    /// Its file.
    pub fn path(&self) -> PathBuf {
        database_in(self.folder.path())
    }
}

fn database_in(scratch: &Path) -> PathBuf {
    scratch.join("requests.db")
}

/// What a target left behind.
#[derive(Debug, Default)]
pub struct Remains {
    /// What each instance did.
    pub instances: Vec<Instance>,
    /// Its database, where it had one.
    pub database: Option<Database>,
}

/// Brings the target up. Call it from a thread that lives as long as the target: the main thread.
///
/// # Errors
/// When it does not come up; nothing is left running then.
pub fn start(target: &Target, program: &Program, cancel: &Arc<AtomicBool>) -> Result<Running, LaunchError> {
    let Target::Embedded(embedded) = target else { return Ok(Running::External) };
    if cfg!(not(feature = "serve")) {
        return Err(LaunchError::NotBuiltIn);
    }
    let scratch =
        tempfile::Builder::new().prefix(&scratch_prefix()).tempdir().map_err(LaunchError::Scratch)?;
    let has_database = embedded.has_database();
    let anywhere = Address::Tcp((Ipv4Addr::LOCALHOST, 0).into());
    let admin = Address::Unix(scratch.path().join("admin-%i"));
    let sockets = vec![SocketSpec::together(HTTP, anywhere), SocketSpec::apart(ADMIN, admin)];
    let mut spec = Spec::new(&program.path, sockets);
    spec.instances = embedded.instances;
    spec.env_remove.clone_from(&program.variables);
    spec.args.clone_from(&program.leading);
    spec.args.extend(arguments(embedded, has_database.then(|| database_in(scratch.path()))));
    spec.backlog = embedded.backlog().unwrap_or(spec.backlog);
    spec.scratch = scratch.path().to_path_buf();
    spec.cancel = Arc::clone(cancel);
    let group = supervise::start(&spec)?;
    Ok(Running::Started(Box::new(Started { group, has_database, scratch })))
}

fn arguments(embedded: &Embedded, database: Option<PathBuf>) -> Vec<OsString> {
    let mut words: Vec<OsString> = Vec::new();
    if let Some(database) = database {
        words.extend(["--database".into(), database.into()]);
    }
    words.extend(embedded.settings.iter().map(|(name, value)| format!("--{name}={value}").into()));
    words
}

impl Running {
    /// Where it listens, if it was started here.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::External => None,
            Self::Started(started) => started.group.address(HTTP)?.tcp(),
        }
    }

    /// Looks after it. Gives a sentence for each instance that died since the last look.
    pub fn check(&mut self) -> Vec<String> {
        let Self::Started(started) = self else { return Vec::new() };
        let told = |event| match event {
            Event::Ended { exit, .. } => {
                Some(format!("instance {} died during the run: {}", exit.instance, exit.status))
            }
            // Nothing is restarted in a run: what died is part of its result.
            _ => None,
        };
        started.group.check().into_iter().filter_map(told).collect()
    }

    /// Whether nothing of it is left.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Started(started) if started.group.running() == 0)
    }

    /// Takes down what was started.
    pub fn stop(self) -> Remains {
        let Self::Started(started) = self else { return Remains::default() };
        let Started { group, has_database, scratch } = *started;
        let numbers: Vec<(u16, u32)> =
            group.instances().iter().map(|instance| (instance.number(), instance.pid())).collect();
        let mut last: BTreeMap<u16, Last> = numbers
            .into_iter()
            .map(|(number, pid)| {
                (number, Last { cpu_ns: machine::process_cpu(pid), told: told(&group, number) })
            })
            .collect();
        let exits = group.stop();
        let instances = exits
            .iter()
            .map(|exit| instance(exit, last.remove(&exit.instance).unwrap_or_default()))
            .collect();
        Remains { instances, database: has_database.then_some(Database { folder: scratch }) }
    }
}

/// What is known of an instance before it is stopped.
#[derive(Debug, Default)]
struct Last {
    cpu_ns: Option<u64>,
    told: Option<Box<Told>>,
}

fn told(group: &Group, number: u16) -> Option<Box<Told>> {
    let socket = group.address_of(ADMIN, number)?;
    let Address::Unix(path) = socket else { return None };
    told::ask(&path).map(Box::new)
}

/// The line of figures that an instance of ours prints when it ends.
#[derive(Debug, Deserialize)]
struct Figures {
    accepted: u64,
    answered: u64,
    rows: u64,
}

fn instance(exit: &Exit, last: Last) -> Instance {
    let figures: Option<Figures> = exit.stdout.lines().rev().find_map(|line| serde_json::from_str(line).ok());
    let ended = match (exit.reason, exit.status) {
        (Reason::Asked, Status::Code(0)) => "stopped".to_owned(),
        (Reason::Asked, status) => format!("ended with {status} when it was stopped"),
        (Reason::Killed | Reason::Late | Reason::Silent, _) => {
            "had to be killed when it was stopped".to_owned()
        }
        (Reason::Itself, status) => format!("died during the run: {status}"),
    };
    Instance {
        number: exit.instance.into(),
        ended,
        accepted: figures.as_ref().map(|figures| figures.accepted),
        answered: figures.as_ref().map(|figures| figures.answered),
        rows: figures.as_ref().map(|figures| figures.rows),
        cpu_ns: last.cpu_ns,
        told: last.told,
    }
}
