//! One process of another program than this one: tied to us, its version, and whether it is there at all.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use supervise::{Event, Exit, Group, Ready, Spec, StartError, Status};

use super::{LaunchError, Program, scratch};
use crate::clock::{RealTimer, Timer, nanos};
use crate::options::ReadyWhen;
use crate::plan::command::SCRATCH;

/// Name of the program that has the kernel kill the instance when this process ends, however it ends. From util-linux.
const SETPRIV: &str = "setpriv";

/// Becomes the instance, unless our process ended before the kernel was asked: the parent is another one then. What tells an
/// instance of ours about its supervisor is not for other programs.
const BECOME: &str =
    r#"test "$PPID" = "$SUPERVISE_PARENT_PID" || exit 1; unset SUPERVISE_PARENT_PID SUPERVISE_INSTANCE; "#;

/// What a shell, and `env`, end with when there is no such program.
const NOT_FOUND: i32 = 127;

/// How long the end of a command is waited for at a time.
const STEP: Duration = Duration::from_millis(100);

/// What is started.
#[derive(Debug, Clone, Copy)]
pub(super) struct Process<'a> {
    /// What it is to a person: the target, or the front.
    pub(super) what: &'static str,
    /// Program and arguments.
    pub(super) words: &'a [String],
    /// Its variables.
    pub(super) env: &'a BTreeMap<String, String>,
    /// Whether it is passed sockets.
    pub(super) is_passed: bool,
    /// When it is ready.
    pub(super) ready: &'a ReadyWhen,
    /// How long it may take until then.
    pub(super) ready_timeout: Duration,
    /// How long it may take to end.
    pub(super) stop_timeout: Duration,
    /// The package that has it.
    pub(super) package: Option<&'a str>,
}

impl Process<'_> {
    fn missing(&self, program: &OsStr) -> LaunchError {
        let (what, name) = (self.what, program.to_string_lossy().into_owned());
        match self.package {
            _ if name.contains('/') => LaunchError::NoFile { what, name },
            package => LaunchError::NoProgram { what, name, package: package.map(str::to_owned) },
        }
    }

    /// Why it is not up.
    pub(super) fn not_started(&self, error: StartError) -> LaunchError {
        LaunchError::Start { what: self.what, error }
    }

    /// Makes sure that its program is there, where that can be known before it is started.
    pub(super) fn find(&self, program: &Program) -> Result<(), LaunchError> {
        // The folder does not matter: no program is in one that is yet to be made.
        tied(self.words, self, Path::new("/"), program).map(|_| ())
    }
}

/// One process of these words that does not outlive this one. It is passed nothing, and counts as ready when it is asked to.
pub(super) fn tied(
    words: &[String],
    process: &Process<'_>,
    scratch: &Path,
    program: &Program,
) -> Result<Spec, LaunchError> {
    let words: Vec<OsString> = words.iter().map(|word| filled(word, scratch)).collect();
    let (first, arguments) = words.split_first().ok_or_else(|| process.missing(OsStr::new("")))?;
    let search = &program.search;
    let setpriv = find(OsStr::new(SETPRIV), search).ok_or(LaunchError::NoSetpriv)?;
    // What depends on the instance is known to be there when it is started.
    let is_filled = !first.as_encoded_bytes().contains(&b'{');
    let path =
        if is_filled { find(first, search).ok_or_else(|| process.missing(first))? } else { first.into() };
    let mut spec = Spec::new(setpriv, Vec::new());
    let mut become_it = BECOME.to_owned();
    if !process.is_passed {
        become_it.push_str("unset LISTEN_FDS LISTEN_FDNAMES LISTEN_PID; ");
    }
    spec.ready = Ready::Notify;
    if *process.ready != ReadyWhen::Notify {
        spec.ready = Ready::Started;
        become_it.push_str("unset NOTIFY_SOCKET; ");
    }
    become_it.push_str(r#"exec "$0" "$@""#);
    spec.args = ["--pdeathsig", "KILL", "/bin/sh", "-c", &become_it].map(OsString::from).into();
    spec.args.push(path.into());
    spec.args.extend(arguments.iter().cloned());
    spec.env = process.env.iter().map(|(name, value)| (name.into(), filled(value, scratch))).collect();
    spec.ready_timeout = process.ready_timeout;
    spec.stop_timeout = process.stop_timeout;
    spec.scratch = scratch.to_path_buf();
    Ok(spec)
}

pub(super) fn filled(word: &str, scratch: &Path) -> OsString {
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

/// The first line that the command prints which tells the version.
pub(super) fn version(
    words: &[String],
    process: &Process<'_>,
    program: &Program,
    cancel: &Arc<AtomicBool>,
) -> Result<String, LaunchError> {
    let scratch = scratch()?;
    let mut spec = tied(words, process, scratch.path(), program)?;
    // Its variables may name what is known only when the server is started.
    spec.env.clear();
    spec.ready = Ready::Started;
    spec.cancel = Arc::clone(cancel);
    let exit = match supervise::start(&spec) {
        Ok(group) => end(group, process.ready_timeout, cancel),
        Err(StartError::Ended(exit)) => Ok(*exit),
        Err(error) => Err(error),
    };
    let exit = exit.map_err(|error| process.not_started(error))?;
    let mut lines = exit.stdout.lines().chain(exit.stderr.lines()).map(str::trim);
    if let (Status::Code(0), Some(line)) = (exit.status, lines.find(|line| !line.is_empty())) {
        return Ok(line.to_owned());
    }
    let is_missing = exit.status == Status::Code(NOT_FOUND);
    let package = process.package.filter(|_| is_missing).map(str::to_owned);
    Err(LaunchError::Version { what: process.what, exit: Box::new(exit), package })
}

fn end(mut group: Group, patience: Duration, cancel: &AtomicBool) -> Result<Exit, StartError> {
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
    killed.ok_or(StartError::Cancelled)
}
