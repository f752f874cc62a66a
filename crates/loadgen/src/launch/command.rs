//! How is another server than the embedded one started?

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use supervise::{Address, Blank, Event, Group, SocketSpec, StartError};

use super::probe::{Place, Prober};
use super::process::{Process, filled, tied, version};
use super::{HTTP, LaunchError, Program, Started, Terms, scratch};
use crate::clock::{RealTimer, Timer, nanos};
use crate::options::{ReadyWhen, Sockets};
use crate::plan::Command;
use crate::plan::command::{ADDRESS, INSTANCE, PORT, SOCKET};

pub(super) fn start(
    command: &Command,
    program: &Program,
    cancel: &Arc<AtomicBool>,
) -> Result<Started, LaunchError> {
    let scratch = scratch()?;
    let folder = scratch.path();
    let process = process(command);
    let version = command.version.as_deref().map(|words| version(words, &process, program, cancel));
    let version = version.transpose()?;
    let mut spec = tied(&command.words, &process, folder, program)?;
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
    let unanswered = await_answers(&mut group, &process, cancel)?;
    let database = command.database.as_ref().map(|path| PathBuf::from(filled(path, folder)));
    let terms = Terms { database, version, unanswered, is_foreign: true };
    Ok(Started { group, front: None, terms, scratch })
}

fn process(command: &Command) -> Process<'_> {
    Process {
        what: "target",
        words: &command.words,
        env: &command.env,
        is_passed: command.sockets == Sockets::Passed,
        ready: &command.ready,
        ready_timeout: command.ready_timeout,
        stop_timeout: command.stop_timeout,
        package: command.package.as_deref(),
    }
}

fn socket(sockets: Sockets, scratch: &Path) -> SocketSpec {
    let anywhere = || SocketSpec::together(HTTP, Address::Tcp((Ipv4Addr::LOCALHOST, 0).into()));
    match sockets {
        Sockets::Passed => anywhere(),
        Sockets::Port => anywhere().not_passed(),
        Sockets::Unix => SocketSpec::apart(HTTP, Address::Unix(scratch.join("socket-%i"))).not_passed(),
    }
}

/// Asks until all processes of the group answer. Gives how many requests were sent and not answered, which may have an effect
/// all the same.
pub(super) fn await_answers(
    group: &mut Group,
    process: &Process<'_>,
    cancel: &AtomicBool,
) -> Result<u64, LaunchError> {
    let ReadyWhen::Answers(path) = process.ready else { return Ok(0) };
    let timer = RealTimer::start();
    let numbers: Vec<u16> = group.instances().into_iter().map(supervise::Instance::number).collect();
    let mut places: Vec<Place> =
        numbers.iter().filter_map(|number| group.address_of(HTTP, *number)).map(Place::new).collect();
    // At a shared port the kernel chooses who answers.
    let is_apart = places.iter().any(|place| matches!(place, Place::Unix(_)));
    let in_a_row = if is_apart || places.len() == 1 { 1 } else { places.len() * IN_A_ROW };
    if !is_apart {
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
                    return Err(process.not_started(StartError::Ended(Box::new(exit))));
                }
            }
            if cancel.load(Ordering::Relaxed) {
                return Err(process.not_started(StartError::Cancelled));
            }
            if good < in_a_row && timer.now() >= nanos(process.ready_timeout) {
                let last = prober.last();
                return Err(LaunchError::Unanswered {
                    what: process.what,
                    path: path.to_owned(),
                    after: process.ready_timeout,
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
