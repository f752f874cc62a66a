//! How does what stands in front of the target come up and go down?

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use report::document;
use supervise::{Address, Blank, Event, Exit, Group, SocketSpec, State};

use super::command::await_answers;
use super::process::{Process, tied, version};
use super::{HTTP, LaunchError, Program, ended};
use crate::machine;
use crate::plan::command::{ADDRESS, PORT, SCRATCH};
use crate::plan::front::{CONFIG, Front, socket_of};

/// Its configuration, in the scratch folder.
const FILE: &str = "front.conf";

/// What it is to a person.
pub(super) const WHAT: &str = "front";

/// A front whose program is there.
#[derive(Debug)]
pub(super) struct Found<'a> {
    front: &'a Front,
    version: Option<String>,
}

/// A front that is up. Dropping it takes it down.
#[derive(Debug)]
pub(super) struct Standing {
    group: Group,
    /// What it is, in its own words.
    pub(super) version: Option<String>,
    /// Requests that asked whether it is ready and were not answered.
    pub(super) unanswered: u64,
}

/// Looks for its program, and asks it what it is: before anything is started.
pub(super) fn find<'a>(
    front: &'a Front,
    program: &Program,
    cancel: &Arc<AtomicBool>,
) -> Result<Found<'a>, LaunchError> {
    let process = process(front, &front.words, &front.env);
    process.find(program)?;
    let version = front.version.as_deref().map(|words| version(words, &process, program, cancel));
    Ok(Found { front, version: version.transpose()? })
}

fn process<'a>(front: &'a Front, words: &'a [String], env: &'a BTreeMap<String, String>) -> Process<'a> {
    Process {
        what: WHAT,
        words,
        env,
        is_passed: false,
        ready: &front.ready,
        ready_timeout: front.ready_timeout,
        stop_timeout: front.stop_timeout,
        package: front.package.as_deref(),
    }
}

impl Found<'_> {
    /// Starts it, before these instances.
    pub(super) fn start(
        self,
        instances: &Group,
        scratch: &Path,
        program: &Program,
        cancel: &Arc<AtomicBool>,
    ) -> Result<Standing, LaunchError> {
        let Self { front, version } = self;
        let known = known(instances, scratch)?;
        let fill = |text: &String| {
            known.iter().fold(text.clone(), |text, (placeholder, value)| text.replace(placeholder, value))
        };
        let words: Vec<String> = front.words.iter().map(fill).collect();
        let env = front.env.iter().map(|(name, value)| (name.clone(), fill(value))).collect();
        let process = process(front, &words, &env);
        let mut spec = tied(&words, &process, scratch, program)?;
        let anywhere = Address::Tcp((Ipv4Addr::LOCALHOST, 0).into());
        spec.sockets = vec![SocketSpec::together(HTTP, anywhere).not_passed()];
        spec.blanks = vec![
            (PORT.to_owned(), Blank::Port(HTTP.to_owned())),
            (ADDRESS.to_owned(), Blank::Address(HTTP.to_owned())),
        ];
        spec.files = front.config.iter().map(|config| (scratch.join(FILE), fill(config))).collect();
        spec.cancel = Arc::clone(cancel);
        let mut group = supervise::start(&spec).map_err(|error| process.not_started(error))?;
        let unanswered = await_answers(&mut group, &process, cancel)?;
        Ok(Standing { group, version, unanswered })
    }
}

/// What its placeholders stand for, but for where it listens.
fn known(instances: &Group, scratch: &Path) -> Result<Vec<(String, String)>, LaunchError> {
    // It is put into a text, which no other path can be.
    let text = |path: PathBuf| {
        String::from_utf8(path.as_os_str().as_bytes().to_vec())
            .map_err(|_| LaunchError::Path(path.display().to_string()))
    };
    let mut known = vec![
        (SCRATCH.to_owned(), text(scratch.to_path_buf())?),
        (CONFIG.to_owned(), text(scratch.join(FILE))?),
    ];
    for instance in instances.instances() {
        if let Some(Address::Unix(path)) = instances.address_of(HTTP, instance.number()) {
            known.push((socket_of(instance.number()), text(path)?));
        }
    }
    Ok(known)
}

impl Standing {
    /// Where it listens.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.group.address(HTTP)?.tcp()
    }

    /// How it died since the last look, if it did.
    pub(super) fn died(&mut self) -> Option<Exit> {
        self.group.check().into_iter().find_map(|event| match event {
            Event::Ended { exit, .. } => Some(exit),
            _ => None,
        })
    }

    /// Whether it is gone.
    pub(super) fn is_lost(&self) -> bool {
        self.group.running() == 0
    }

    /// Its process, if it has not ended.
    pub(super) fn process(&self) -> Option<u32> {
        let alive = |one: &supervise::Instance| !matches!(one.state(), State::Ended(_));
        self.group.instances().into_iter().find(|one| alive(one)).map(supervise::Instance::pid)
    }

    /// Takes it down.
    pub(super) fn stop(self) -> Option<document::Front> {
        let cpu_ns = self.group.instances().first().and_then(|one| machine::process_cpu(one.pid()));
        let exits = self.group.stop();
        exits.first().map(|exit| document::Front { ended: ended(exit, true), cpu_ns, usage: None })
    }
}
