//! What can be typed, what does the shell see? The only room that prints, reads the environment and knows exit codes.

mod check;
mod forward;
mod one;
mod several;
mod tally;
mod words;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

pub use self::check::CheckError;
use self::words::Heard;
use crate::config::endpoint::Endpoint;
use crate::config::listen::Sockets;
use crate::config::{self, Config, ConfigError, ServeArgs};
use crate::listener::{self, ListenError};
use crate::log::{Event, Format, Log};
use crate::printer::Printer;
use crate::store::{StoreError, inspect};
use crate::words::counted;

/// Tells an instance the settings of the whole server, as JSON: to be told again, never to be meant. It is no setting itself, and
/// so does not begin like one.
const SETTINGS: &str = "SERVE_PARENT_SETTINGS";

/// Said on stderr in the end.
const UNREAD: &str = "the last lines are missing on stdout: nobody reads it";

/// How this program is started again, as one of several instances.
#[derive(Clone, Debug)]
pub struct Program {
    /// The program.
    pub path: PathBuf,
    /// What is typed between the program and the arguments of [`crate::ServeArgs`], such as `serve`.
    pub leading: Vec<OsString>,
}

impl Program {
    /// The program that is running.
    pub fn current(leading: Vec<OsString>) -> Self {
        // Not /proc/self/exe: a shell stands between us and the instance, and would find itself there.
        let path =
            std::env::current_exe().or_else(|_| std::env::args_os().next().map(PathBuf::from).ok_or(()));
        Self { path: path.unwrap_or_default(), leading }
    }

    /// As it was typed, such as `loadgen serve`.
    fn name(&self) -> String {
        let mut words = vec![self.path.file_name().unwrap_or_default().to_string_lossy()];
        words.extend(self.leading.iter().map(|word| word.to_string_lossy()));
        words.join(" ")
    }

    /// One sentence to stderr, said in the program's name. Who does not read it is not waited for.
    fn complain(&self, sentence: &str) {
        let line = format!("{}: {sentence}", self.name());
        // What is not read, or cannot be printed, can be told nobody.
        let _ = Printer::start("complaint", 1, io::stderr()).map(|printer| printer.finish(vec![line]));
    }
}

/// Why there is no server. Nothing has listened for anybody yet.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// What was typed cannot be meant.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A variable of the environment that would be ignored.
    #[error(
        "there is no setting {name}: {advice} (a variable that begins with TARGET_ is taken for a setting)"
    )]
    Variable {
        /// Its name.
        name: String,
        /// What to do.
        advice: String,
    },
    /// What was typed is clear, but cannot be.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// No socket.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// No database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No instances.
    #[error(transparent)]
    Start(#[from] supervise::StartError),
    /// A passed socket cannot be shared among several.
    #[error("a socket passed by a service manager serves one instance; leave out --instances or the socket")]
    PassedToSeveral,
    /// Not safe from becoming an orphan.
    #[error(transparent)]
    Guard(#[from] supervise::child::GuardError),
    /// The machine refused something every program needs.
    #[error("cannot start the server: {0}")]
    Machine(#[from] io::Error),
}

/// Serves as typed until told to stop, and returns what the shell shall see: 0 after a clean end, 1 after an unclean one,
/// 2 when nothing could be started. Call it from the main thread (see [`supervise::start`]).
///
/// `program` is how several instances are started: this program again, with one instance.
pub fn main(args: &ServeArgs, program: &Program) -> ExitCode {
    match run(args, program) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            program.complain(&error.to_string());
            ExitCode::from(2)
        }
    }
}

/// What the shell shall see of a command line that could not be read: one sentence and 2. Help and version come this way
/// too, and are no error.
pub fn misspelt(message: &clap::Error, program: &Program) -> ExitCode {
    if !message.use_stderr() {
        let _ = message.print();
        return ExitCode::SUCCESS;
    }
    program.complain(&format!("{}; --help shows what there is", Heard::current().sentence(message)));
    ExitCode::from(2)
}

fn run(args: &ServeArgs, program: &Program) -> Result<bool, ServeError> {
    Heard::current().refuse_unknown()?;
    if args.inspect {
        say(&json(&inspect::inspect(&args.inspected())?));
        return Ok(true);
    }
    let mut config = Config::resolve(args)?;
    check::check(&config)?;
    if args.print_config {
        say(&format!("{:#}", config.settings().to_json()));
        return Ok(true);
    }
    if config.admin.log_format == Format::Auto {
        // Once for all: instances print to their parent, and it prints for a person or it does not.
        let person = io::stdout().is_terminal();
        config.admin.log_format = if person { Format::Plain } else { Format::Json };
    }
    match config.listen.instances.get() {
        1 => one::serve(&config, program),
        _ => several::serve(&config, program),
    }
}

/// One line to stdout. A reader that has gone is no reason to stop serving.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

fn json(value: &impl serde::Serialize) -> String {
    // Plain structs of numbers and text cannot fail to serialise.
    serde_json::to_string(value).unwrap_or_default()
}

/// That the server serves, and where.
fn serving_on(endpoints: &[Endpoint]) -> String {
    let places: Vec<String> = endpoints.iter().map(Endpoint::url).collect();
    format!("serving on {}", places.join(" and "))
}

/// The same, and how.
fn serving(config: &Config, endpoints: &[Endpoint], admin: &[Endpoint]) -> Event {
    let places: Vec<String> = endpoints.iter().map(Endpoint::url).collect();
    let count = config.listen.instances.get();
    let instances = counted(count, "instance", "instances");
    let (name, database) = (config.store.name(), config.store.database());
    let path = database.map(|database| database.path.display().to_string());
    let store =
        path.as_ref().map_or_else(|| "store none".into(), |path| format!("store {name}, database {path}"));
    let operator: Vec<String> = admin.iter().map(Endpoint::url).collect();
    let told =
        if admin.is_empty() { String::new() } else { format!(", admin on {}", operator.join(" and ")) };
    let sentence = format!("{} ({instances}, {store}{told})", serving_on(endpoints));
    Event::new("serving", sentence)
        .with("urls", places)
        .with("instances", count)
        .with("store", name)
        .with("database", path)
        .with("admin", operator)
}

/// What else a person is told at the end where there was any of it, in words for one and for many.
const NOTEWORTHY: [(&str, &str, &str); 8] = [
    ("errors", "answer was an error", "answers were errors"),
    ("unanswered", "request was not answered", "requests were not answered"),
    ("cut_off", "request was cut off by the end", "requests were cut off by the end"),
    ("faulted", "request suffered a fault", "requests suffered a fault"),
    ("refused", "connection brought no request", "connections brought no request"),
    ("turned_away", "connection was turned away", "connections were turned away"),
    ("accept_errors", "attempt to accept a connection failed", "attempts to accept a connection failed"),
    ("untold", "process ended without telling what it did", "processes ended without telling what they did"),
];

/// What was done from start to end: the last line of all.
fn stopped(figures: &impl serde::Serialize) -> Event {
    // Plain structs of numbers and text cannot fail to serialise.
    let figures = serde_json::to_value(figures).unwrap_or_default();
    let of = |name: &str| figures[name].as_u64().unwrap_or_default();
    let answers = counted(of("answered"), "answer", "answers");
    let rows = counted(of("rows"), "row", "rows");
    let mut parts = vec![format!("stopped after {answers} and {rows}")];
    if let Some(instances) = figures["instances"].as_array() {
        let answered = |counts: &serde_json::Value| {
            counts["answered"].as_u64().map_or("unknown".into(), |n| n.to_string())
        };
        let shares: Vec<_> = instances.iter().map(answered).collect();
        parts.push(format!("answers by instance: {}", shares.join(", ")));
    }
    let noteworthy = NOTEWORTHY.iter().filter(|(name, ..)| of(name) > 0);
    parts.extend(noteworthy.map(|(name, one, many)| counted(of(name), one, many)));
    Event::new("stopped", parts.join("; ")).with_all(figures)
}

/// Where it is said what happens: on stdout.
fn logger(config: &Config, instance: Option<String>) -> io::Result<Log> {
    let settings = &config.admin;
    Log::new(settings.log_level, settings.log_format == Format::Plain, instance, io::stdout())
}

/// How the operator's socket is made: nobody shares it, every instance is asked by itself.
fn alone(config: &Config) -> Sockets {
    Sockets { reuse_port: false, unix_mode: config.admin.mode, ..config.listen.sockets }
}

/// A variable of the environment, if it is set to text.
#[expect(clippy::disallowed_methods, reason = "this is the room that reads the environment")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Whether SIGHUP ends the server, as the end of its terminal ends other programs. It reloads where there is something to
/// reload, or no terminal that could hang up.
fn hangup_ends(config: &Config) -> bool {
    config.admin.reload_from.is_none() && (io::stdin().is_terminal() || io::stderr().is_terminal())
}

/// Whether this process is one of several, or of a run: who started it has checked what it is told.
fn is_instance() -> bool {
    variable(supervise::child::INSTANCE).is_some()
}

/// The variables of the environment that stand for settings, or are taken for one: what a process is started without whose
/// settings are all typed out.
pub fn variables() -> Vec<OsString> {
    let mut names = config::variables();
    names.extend(Heard::current().names().map(OsString::from));
    names
}

/// Ties this process to the supervisor that started it, if one did.
fn guard() -> Result<(), ServeError> {
    let parent = variable(supervise::child::PARENT_PID);
    match parent.and_then(|text| text.parse().ok()) {
        Some(parent) => Ok(supervise::child::die_with_parent(parent)?),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_called_as_it_was_typed() {
        let program = |path: &str, leading: &[&str]| {
            Program { path: path.into(), leading: leading.iter().map(Into::into).collect() }.name()
        };
        assert_eq!(program("/usr/bin/loadgen", &["serve"]), "loadgen serve");
        assert_eq!(program("target-server", &[]), "target-server");
    }
}
