//! How is another server than the embedded one started?

use std::ffi::{OsStr, OsString};
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use supervise::{Address, Blank, Event, Exit, Group, Ready, SocketSpec, Spec, StartError, Status};

use super::probe::{Place, Prober};
use super::{HTTP, LaunchError, Program, Started, Terms, scratch};
use crate::clock::{RealTimer, Timer, nanos};
use crate::options::{ReadyWhen, Sockets};
use crate::plan::Command;
use crate::plan::command::{ADDRESS, INSTANCE, PORT, SCRATCH, SOCKET};

/// Name of the program that has the kernel kill the instance when this process ends, however it ends. From util-linux.
const SETPRIV: &str = "setpriv";

/// Becomes the instance, unless our process ended before the kernel was asked: the parent is another one then. What tells an
/// instance of ours about its supervisor is not for other programs.
const BECOME: &str =
    r#"test "$PPID" = "$SUPERVISE_PARENT_PID" || exit 1; unset SUPERVISE_PARENT_PID SUPERVISE_INSTANCE; "#;

/// How long the end of a command is waited for at a time.
const STEP: Duration = Duration::from_millis(100);

pub(super) fn start(
    command: &Command,
    program: &Program,
    cancel: &Arc<AtomicBool>,
) -> Result<Started, LaunchError> {
    let scratch = scratch()?;
    let folder = scratch.path();
    let version = command.version.as_deref().map(|words| version(words, command, program, cancel));
    let version = version.transpose()?;
    let mut spec = tied(&command.words, command, folder, program)?;
    spec.instances = command.instances;
    spec.sockets = vec![socket(command.sockets, folder)];
    spec.blanks = [
        (PORT, Blank::Port(HTTP.to_owned())),
        (ADDRESS, Blank::Address(HTTP.to_owned())),
        (SOCKET, Blank::Path(HTTP.to_owned())),
        (INSTANCE, Blank::Number),
    ]
    .map(|(text, blank)| (text.to_owned(), blank))
    .into();
    spec.cancel = Arc::clone(cancel);
    let mut group = supervise::start(&spec)?;
    let unanswered = match &command.ready {
        ReadyWhen::Notify => 0,
        ReadyWhen::Answers(path) => await_answers(&mut group, path, command, cancel)?,
    };
    let database = command.database.as_ref().map(|path| PathBuf::from(filled(path, folder)));
    let terms = Terms { database, version, unanswered, is_foreign: true };
    Ok(Started { group, terms, scratch })
}

fn socket(sockets: Sockets, scratch: &Path) -> SocketSpec {
    let anywhere = || SocketSpec::together(HTTP, Address::Tcp((Ipv4Addr::LOCALHOST, 0).into()));
    match sockets {
        Sockets::Passed => anywhere(),
        Sockets::Port => anywhere().not_passed(),
        Sockets::Unix => SocketSpec::apart(HTTP, Address::Unix(scratch.join("socket-%i"))).not_passed(),
    }
}

/// One process of these words that does not outlive this one. It is passed nothing, and counts as ready when it is asked to.
fn tied(words: &[String], command: &Command, scratch: &Path, program: &Program) -> Result<Spec, LaunchError> {
    let words: Vec<OsString> = words.iter().map(|word| filled(word, scratch)).collect();
    let (first, arguments) = words.split_first().ok_or_else(|| LaunchError::NoProgram(String::new()))?;
    let search = &program.search;
    let setpriv = find(OsStr::new(SETPRIV), search).ok_or(LaunchError::NoSetpriv)?;
    // What depends on the instance is known to be there when it is started.
    let is_filled = !first.as_encoded_bytes().contains(&b'{');
    let path = if is_filled { find(first, search).ok_or_else(|| missing(first))? } else { first.into() };
    let mut spec = Spec::new(setpriv, Vec::new());
    let mut become_it = BECOME.to_owned();
    if command.sockets != Sockets::Passed {
        become_it.push_str("unset LISTEN_FDS LISTEN_FDNAMES LISTEN_PID; ");
    }
    spec.ready = Ready::Notify;
    if command.ready != ReadyWhen::Notify {
        spec.ready = Ready::Started;
        become_it.push_str("unset NOTIFY_SOCKET; ");
    }
    become_it.push_str(r#"exec "$0" "$@""#);
    spec.args = ["--pdeathsig", "KILL", "/bin/sh", "-c", &become_it].map(OsString::from).into();
    spec.args.push(path.into());
    spec.args.extend(arguments.iter().cloned());
    spec.env = command.env.iter().map(|(name, value)| (name.into(), filled(value, scratch))).collect();
    spec.ready_timeout = command.ready_timeout;
    spec.stop_timeout = command.stop_timeout;
    spec.scratch = scratch.to_path_buf();
    Ok(spec)
}

fn filled(word: &str, scratch: &Path) -> OsString {
    let mut filled = OsString::new();
    for (place, part) in word.split(SCRATCH).enumerate() {
        if place > 0 {
            filled.push(scratch);
        }
        filled.push(part);
    }
    filled
}

/// As a shell finds a program: by its path, or by its name in one of the folders.
fn find(program: &OsStr, search: &[PathBuf]) -> Option<PathBuf> {
    let is_program = |path: &PathBuf| {
        path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
    };
    if program.as_encoded_bytes().contains(&b'/') {
        return Some(PathBuf::from(program)).filter(is_program);
    }
    search.iter().map(|folder| folder.join(program)).find(is_program)
}

fn missing(program: &OsStr) -> LaunchError {
    let name = program.to_string_lossy().into_owned();
    if name.contains('/') { LaunchError::NoFile(name) } else { LaunchError::NoProgram(name) }
}

/// The first line that the command prints.
fn version(
    words: &[String],
    command: &Command,
    program: &Program,
    cancel: &Arc<AtomicBool>,
) -> Result<String, LaunchError> {
    let scratch = scratch()?;
    let mut spec = tied(words, command, scratch.path(), program)?;
    // Its variables may name what is known only when the server is started.
    spec.env.clear();
    spec.ready = Ready::Started;
    spec.cancel = Arc::clone(cancel);
    let exit = match supervise::start(&spec) {
        Ok(group) => end(group, command.ready_timeout, cancel)?,
        Err(StartError::Ended(exit)) => *exit,
        Err(error) => return Err(error.into()),
    };
    let mut lines = exit.stdout.lines().chain(exit.stderr.lines()).map(str::trim);
    match (exit.status, lines.find(|line| !line.is_empty())) {
        (Status::Code(0), Some(line)) => Ok(line.to_owned()),
        _ => Err(LaunchError::Version(Box::new(exit))),
    }
}

fn end(mut group: Group, patience: Duration, cancel: &AtomicBool) -> Result<Exit, LaunchError> {
    let timer = RealTimer::start();
    while !cancel.load(Ordering::Relaxed) && timer.now() < nanos(patience) {
        for event in group.wait(STEP) {
            if let Event::Ended { exit, .. } = event {
                return Ok(exit);
            }
        }
    }
    group.kill();
    let killed = group.check().into_iter().find_map(|event| match event {
        Event::Ended { exit, .. } => Some(exit),
        _ => None,
    });
    killed.ok_or(LaunchError::Start(StartError::Cancelled))
}

/// Asks until all instances answer. Gives how many requests were sent and not answered, which may have an effect all the
/// same.
fn await_answers(
    group: &mut Group,
    path: &str,
    command: &Command,
    cancel: &AtomicBool,
) -> Result<u64, LaunchError> {
    let timer = RealTimer::start();
    let numbers = 1..=command.instances.get();
    let mut places: Vec<Place> =
        numbers.clone().filter_map(|number| group.address_of(HTTP, number)).map(Place::new).collect();
    // At a shared port the kernel chooses who answers.
    let in_a_row =
        if command.sockets == Sockets::Unix || places.len() == 1 { 1 } else { places.len() * IN_A_ROW };
    if command.sockets != Sockets::Unix {
        places.truncate(1);
    }
    let mut prober = Prober::new(path);
    for place in &places {
        let mut good = 0;
        while good < in_a_row {
            good = if prober.is_answered(place) { good + 1 } else { 0 };
            // Ends are looked for each time: whoever shares a port with the living answers by their mouths.
            let news = group.wait(if good == 0 { PAUSE } else { Duration::ZERO });
            for event in news {
                if let Event::Ended { exit, .. } = event {
                    return Err(StartError::Ended(Box::new(exit)).into());
                }
            }
            if cancel.load(Ordering::Relaxed) {
                return Err(StartError::Cancelled.into());
            }
            if good < in_a_row && timer.now() >= nanos(command.ready_timeout) {
                let last = prober.last();
                return Err(LaunchError::Unanswered {
                    path: path.to_owned(),
                    after: command.ready_timeout,
                    last,
                    said: said(group),
                });
            }
        }
    }
    Ok(prober.unanswered())
}

/// So many answers in a row for each instance make it all but certain that every one of a shared port has given one: of eight,
/// one is missed in 400 starts.
const IN_A_ROW: usize = 8;

/// Between two requests of which the first was not answered well.
const PAUSE: Duration = Duration::from_millis(50);

/// What the instances have printed to stderr.
fn said(group: &Group) -> String {
    let said =
        group.instances().into_iter().map(supervise::Instance::complaint).find(|said| !said.is_empty());
    said.map_or_else(|| "; it printed nothing to stderr".to_owned(), |said| format!("; it said:\n{said}"))
}
