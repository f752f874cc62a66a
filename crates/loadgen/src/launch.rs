//! How does a target come up and go down?

mod command;
mod front;
mod probe;
mod process;
mod told;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use report::document::{self, Instance, Told};
use report::units::one_line;
use serde::Deserialize;
use supervise::{Address, Event, Exit, Group, Reason, SocketSpec, Spec, StartError, State, Status};
use tempfile::TempDir;

use crate::machine;
use crate::plan::{Embedded, Target};
use crate::usage::{FRONT, Usages};

/// How the program that a scenario's target is part of can be started.
#[derive(Debug, Clone)]
pub struct Program {
    /// The executable.
    pub path: PathBuf,
    /// What it is told before the server's own arguments: `serve`.
    pub leading: Vec<OsString>,
    /// Environment variables that would change the server's settings: a plan says all of them.
    pub variables: Vec<OsString>,
    /// Folders in which programs are looked up by their name: those of `PATH`.
    pub search: Vec<PathBuf>,
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
    /// A program that is looked up by its name is not there.
    #[error("the {what} could not be started: there is no program `{name}` in PATH; {}", install(.package.as_deref()))]
    NoProgram {
        /// What it is to a person: the target, or the front.
        what: &'static str,
        /// Its name.
        name: String,
        /// The package that has it.
        package: Option<String>,
    },
    /// A program that is named by its path is not there.
    #[error(
        "the {what} could not be started: there is no program {name}; its path begins at the current folder, and a scenario that starts a \
         file of its repository is run from there"
    )]
    NoFile {
        /// What it is to a person.
        what: &'static str,
        /// Its path.
        name: String,
    },
    /// Nothing would end the processes with this one.
    #[error(
        "the target could not be started: `setpriv` is not in PATH, which ends it together with loadgen; install the package util-linux"
    )]
    NoSetpriv,
    /// The command that tells its version does not.
    #[error("the command that tells the {what}'s version {}", version(.exit, .package.as_deref()))]
    Version {
        /// Whose version.
        what: &'static str,
        /// How it ended instead.
        exit: Box<Exit>,
        /// The package that has what is missing, where something is.
        package: Option<String>,
    },
    /// It is up, and does not answer.
    #[error(
        "the {what} was not ready within {after:?}: GET {path} was not answered with a status below 500 ({last}){said}"
    )]
    Unanswered {
        /// What it is to a person.
        what: &'static str,
        /// What was asked.
        path: String,
        /// How long it had.
        after: Duration,
        /// What came of the last request.
        last: String,
        /// The last lines that an instance printed to stderr, as an addition to the sentence.
        said: String,
    },
    /// Its processes could not be started, or did not get ready.
    #[error("{}", not_started(what, error))]
    Start {
        /// What it is to a person.
        what: &'static str,
        /// Why.
        error: StartError,
    },
    /// The path of the scratch folder cannot be put into a configuration.
    #[error(
        "the path {0} is not UTF-8, and cannot be written into the front's configuration; set TMPDIR to another folder"
    )]
    Path(String),
}

impl From<StartError> for LaunchError {
    fn from(error: StartError) -> Self {
        Self::Start { what: "target", error }
    }
}

/// A target has instances, of which one may be at fault; a front is one process.
fn not_started(what: &str, error: &StartError) -> String {
    let text = error.to_string();
    let own = text.strip_prefix("instance 1 ").filter(|_| what == front::WHAT);
    own.map_or_else(|| format!("the {what} could not be started: {text}"), |own| format!("the {what} {own}"))
}

fn install(package: Option<&str>) -> String {
    package.map_or_else(
        || "install it, or write its path into the scenario".to_owned(),
        |package| format!("install the package {package} (apt install {package})"),
    )
}

fn version(exit: &Exit, package: Option<&str>) -> String {
    let said = if exit.stderr.is_empty() {
        "it printed nothing to stderr".to_owned()
    } else {
        format!("it said:\n{}", exit.stderr)
    };
    match exit.status {
        Status::Code(0) => "printed nothing".to_owned(),
        status => match package {
            Some(_) => format!("ended with {status}: {}; {said}", install(package)),
            None => format!("ended with {status}; {said}"),
        },
    }
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
    // The first to go: what is behind it is never missed by it.
    front: Option<front::Standing>,
    group: Group,
    terms: Terms,
    scratch: TempDir,
}

/// What is particular to how a target was started.
#[derive(Debug, Default)]
struct Terms {
    database: Option<PathBuf>,
    version: Option<String>,
    /// Requests that asked whether it is ready and were not answered.
    unanswered: u64,
    /// Whether it is another server than the embedded one.
    is_foreign: bool,
}

/// What instances are asked with to end.
const SIGTERM: i32 = supervise::Signal::TERM.as_raw();

/// Name of the socket that the target serves.
const HTTP: &str = "http";
/// Name of the socket at which an instance tells of itself.
const ADMIN: &str = "admin";

/// How the names of this process's scratch folders begin.
pub fn scratch_prefix() -> String {
    format!("loadgen-{}-", std::process::id())
}

fn scratch() -> Result<TempDir, LaunchError> {
    tempfile::Builder::new().prefix(&scratch_prefix()).tempdir().map_err(LaunchError::Scratch)
}

/// The database of a started target. A file in the scratch folder goes when this value does.
#[derive(Debug)]
pub struct Database {
    path: PathBuf,
    _folder: TempDir,
}

impl Database {
    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// What a target left behind.
#[derive(Debug, Default)]
pub struct Remains {
    /// What each instance did.
    pub instances: Vec<Instance>,
    /// Its database, where it had one.
    pub database: Option<Database>,
    /// What stood in front of it.
    pub front: Option<document::Front>,
    /// What its instances said that went wrong with them, in sentences.
    pub complaints: Vec<String>,
}

impl Remains {
    /// The same with what each instance used, by its number, and the front.
    #[must_use]
    pub fn having_used(mut self, mut usage: Usages) -> Self {
        for instance in &mut self.instances {
            let number = u16::try_from(instance.number).unwrap_or(u16::MAX);
            instance.usage = usage.remove(&number).map(Box::new);
        }
        if let Some(front) = &mut self.front {
            front.usage = usage.remove(&FRONT).map(Box::new);
        }
        self
    }
}

/// Brings the target up. Call it from a thread that lives as long as the target: the main thread.
///
/// # Errors
/// When it does not come up; nothing is left running then.
pub fn start(target: &Target, program: &Program, cancel: &Arc<AtomicBool>) -> Result<Running, LaunchError> {
    // What is missing is known before anything is started.
    let found = target.front().map(|front| front::find(front, program, cancel)).transpose()?;
    let mut started = match target {
        Target::External => return Ok(Running::External),
        Target::Embedded(embedded) => start_embedded(embedded, program, cancel)?,
        Target::Command(command) => command::start(command, program, cancel)?,
    };
    if let Some(found) = found {
        let standing = found.start(&started.group, started.scratch.path(), program, cancel)?;
        started.front = Some(standing);
    }
    Ok(Running::Started(Box::new(started)))
}

fn start_embedded(
    embedded: &Embedded,
    program: &Program,
    cancel: &Arc<AtomicBool>,
) -> Result<Started, LaunchError> {
    if cfg!(not(feature = "serve")) {
        return Err(LaunchError::NotBuiltIn);
    }
    let scratch = scratch()?;
    let database = embedded.has_database().then(|| scratch.path().join("requests.db"));
    let anywhere = Address::Tcp((Ipv4Addr::LOCALHOST, 0).into());
    let admin = Address::Unix(scratch.path().join("admin-%i"));
    let http = match embedded.front {
        Some(_) => SocketSpec::apart(HTTP, Address::Unix(scratch.path().join("socket-%i"))),
        None => SocketSpec::together(HTTP, anywhere),
    };
    let sockets = vec![http, SocketSpec::apart(ADMIN, admin)];
    let mut spec = Spec::new(&program.path, sockets);
    spec.instances = embedded.instances;
    spec.env_remove.clone_from(&program.variables);
    spec.args.clone_from(&program.leading);
    spec.args.extend(arguments(embedded, database.as_deref()));
    spec.backlog = embedded.backlog().unwrap_or(spec.backlog);
    spec.scratch = scratch.path().to_path_buf();
    spec.cancel = Arc::clone(cancel);
    let group = supervise::start(&spec)?;
    Ok(Started { front: None, group, terms: Terms { database, ..Terms::default() }, scratch })
}

fn arguments(embedded: &Embedded, database: Option<&Path>) -> Vec<OsString> {
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
            Self::Started(started) => match &started.front {
                Some(front) => front.address(),
                None => started.group.address(HTTP)?.tcp(),
            },
        }
    }

    /// The unix sockets at which its instances listen and are loaded, if it was started here and they do.
    pub fn sockets(&self) -> Vec<PathBuf> {
        let Self::Started(started) = self else { return Vec::new() };
        if started.front.is_some() {
            return Vec::new();
        }
        let numbers = started.group.instances().into_iter().map(supervise::Instance::number);
        let at = numbers.filter_map(|number| started.group.address_of(HTTP, number));
        let path = |address| match address {
            Address::Unix(path) => Some(path),
            Address::Tcp(_) => None,
        };
        at.filter_map(path).collect()
    }

    /// Its database, where it has one that is held against the account.
    pub fn database(&self) -> Option<&Path> {
        let Self::Started(started) = self else { return None };
        started.terms.database.as_deref()
    }

    /// Whether there may be rows in its database before the load: of probes, or because the file is an old one.
    pub fn may_hold_rows(&self) -> bool {
        matches!(self, Self::Started(started) if started.terms.is_foreign || started.front.is_some())
    }

    /// What was started, and what it is in its own words: `target`, `front`.
    pub fn versions(&self) -> Vec<(String, String)> {
        let Self::Started(started) = self else { return Vec::new() };
        let front = started.front.as_ref().and_then(|front| front.version.clone());
        let both = [("target", started.terms.version.clone()), ("front", front)];
        both.into_iter().filter_map(|(what, version)| Some((what.to_owned(), version?))).collect()
    }

    /// Requests of ours that asked whether it was ready and were not answered. They may have been carried out later.
    pub fn unanswered(&self) -> u64 {
        let Self::Started(started) = self else { return 0 };
        started.terms.unanswered + started.front.as_ref().map_or(0, |front| front.unanswered)
    }

    /// Looks after it. Gives a sentence for each instance that died since the last look.
    pub fn check(&mut self) -> Vec<String> {
        let Self::Started(started) = self else { return Vec::new() };
        let told = |event| match event {
            Event::Ended { exit, .. } => Some(died(&format!("instance {}", exit.instance), &exit)),
            // Nothing is restarted in a run: what died is part of its result.
            _ => None,
        };
        let front = started.front.as_mut().and_then(front::Standing::died);
        let front = front.map(|exit| died("the front", &exit));
        started.group.check().into_iter().filter_map(told).chain(front).collect()
    }

    /// Its processes that have not ended, by the numbers of its instances, and its front as [`FRONT`], if it was started here.
    pub fn processes(&self) -> BTreeMap<u16, u32> {
        let Self::Started(started) = self else { return BTreeMap::new() };
        let instances = started.group.instances().into_iter();
        let alive = instances.filter(|instance| !matches!(instance.state(), State::Ended(_)));
        let front = started.front.as_ref().and_then(front::Standing::process);
        let front = front.map(|pid| (FRONT, pid));
        alive.map(|instance| (instance.number(), instance.pid())).chain(front).collect()
    }

    /// Whether nothing of it is left, or nobody leads there.
    pub fn is_lost(&self) -> bool {
        let Self::Started(started) = self else { return false };
        started.group.running() == 0 || started.front.as_ref().is_some_and(front::Standing::is_lost)
    }

    /// Takes down what was started.
    pub fn stop(self) -> Remains {
        let Self::Started(started) = self else { return Remains::default() };
        let Started { front, group, terms, scratch } = *started;
        let front = front.and_then(front::Standing::stop);
        let numbers: Vec<(u16, u32)> =
            group.instances().iter().map(|instance| (instance.number(), instance.pid())).collect();
        let mut last: BTreeMap<u16, Last> = numbers
            .into_iter()
            .map(|(number, pid)| {
                (number, Last { cpu_ns: machine::process_cpu(pid), told: told(&group, number) })
            })
            .collect();
        // When they end, they may make room.
        let full = no_room(scratch.path());
        let exits = group.stop();
        let instances = exits
            .iter()
            .map(|exit| instance(exit, last.remove(&exit.instance).unwrap_or_default(), terms.is_foreign))
            .collect();
        let database = terms.database.map(|path| Database { path, _folder: scratch });
        let said: Vec<String> =
            if terms.is_foreign { Vec::new() } else { exits.iter().flat_map(complaints).collect() };
        let complaints = full.into_iter().chain(said).collect();
        Remains { instances, database, front, complaints }
    }
}

fn died(who: &str, exit: &Exit) -> String {
    let last = exit.stderr.lines().rev().find(|line| !line.trim().is_empty());
    let words = last.map(|line| format!("; it said: {}", one_line(line.trim()))).unwrap_or_default();
    format!("{who} died during the run: {}{words}", exit.status)
}

/// Says so where the scratch folder's file system is full: what instances say of it may be lost for the same reason.
fn no_room(scratch: &Path) -> Option<String> {
    /// With less than that left, transactions fail.
    const LITTLE: u64 = 256 * 1024;
    let data = rustix::fs::statvfs(scratch).ok()?;
    let left = data.f_bavail.saturating_mul(data.f_frsize);
    let folder = scratch.parent().unwrap_or(scratch).display();
    (left < LITTLE).then(|| {
        format!("no room is left in {folder}, where the target's database and output were: set TMPDIR to a folder with room")
    })
}

/// An event that an instance of ours tells.
#[derive(Debug, Deserialize)]
struct Said {
    level: String,
    message: String,
}

/// What went wrong with an instance of ours, as it told.
fn complaints(exit: &Exit) -> Vec<String> {
    /// More than these of one instance say no more.
    const MOST: usize = 3;
    let events = exit.stdout.lines().filter_map(|line| serde_json::from_str::<Said>(line).ok());
    let errors = events.filter(|event| event.level == "error");
    let told = errors.map(|event| format!("instance {} said: {}", exit.instance, one_line(&event.message)));
    told.take(MOST).collect()
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

fn instance(exit: &Exit, last: Last, is_foreign: bool) -> Instance {
    let figures: Option<Figures> = exit.stdout.lines().rev().find_map(|line| serde_json::from_str(line).ok());
    Instance {
        number: exit.instance.into(),
        ended: ended(exit, is_foreign),
        accepted: figures.as_ref().map(|figures| figures.accepted),
        answered: figures.as_ref().map(|figures| figures.answered),
        rows: figures.as_ref().map(|figures| figures.rows),
        cpu_ns: last.cpu_ns,
        usage: None,
        told: last.told,
    }
}

/// How a process ended, in words.
fn ended(exit: &Exit, is_foreign: bool) -> String {
    match (exit.reason, exit.status) {
        (Reason::Asked, Status::Code(0)) => "stopped".to_owned(),
        // Many programs leave it to the kernel; ours end in their own way.
        (Reason::Asked, Status::Signal(signal)) if is_foreign && signal == SIGTERM => "stopped".to_owned(),
        (Reason::Asked, status) => format!("ended with {status} when it was stopped"),
        (Reason::Killed | Reason::Late | Reason::Silent, _) => {
            "had to be killed when it was stopped".to_owned()
        }
        (Reason::Itself, status) => format!("died during the run: {status}"),
    }
}
