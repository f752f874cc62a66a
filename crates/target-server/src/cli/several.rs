//! Several servers on one port: processes that run this program again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use sd_notify::NotifyState;
use serde::Serialize;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use supervise::{Exit, Group, Reason, Spec, Status};

use super::{Program, ServeError, guard, listener, logger, serving, stopped};
use crate::config::endpoint::Endpoint;
use crate::config::{self, Config};
use crate::lifecycle::{raise_open_files, tell};
use crate::log::Level;
use crate::stats::Counts;
use crate::store;

/// How long all instances may take to be ready: opening a database that others are recovering takes a while.
const READY_TIMEOUT: Duration = Duration::from_secs(30);

/// How much longer than its drain an instance may take to end before it is killed.
const STOP_MARGIN: Duration = Duration::from_secs(5);

/// How long a signal may go unnoticed at worst. Mostly it cuts the wait short.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What all instances did together, and each of them in the order of their numbers.
#[derive(Debug, Serialize)]
struct Totals {
    #[serde(flatten)]
    together: Counts,
    /// Absent (null) for an instance that ended without telling.
    instances: Vec<Option<Counts>>,
}

/// Serves until told to stop; true when every instance lived until then and ended cleanly.
pub(super) fn serve(config: &Config, program: &Program) -> Result<bool, ServeError> {
    guard()?;
    raise_open_files();
    if listener::passed() {
        return Err(ServeError::PassedToSeveral);
    }
    // Before there is a database: a server that cannot listen leaves none behind.
    listener::check(&config.listen.endpoints, config.listen.sockets)?;
    if let Some(database) = config.store.database() {
        // The instances would find out too, but one clear sentence is better than several.
        store::prepare(database)?;
    }
    let log = logger(config, None)?;
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let cancel = Arc::new(AtomicBool::new(false));
    let handlers = [SIGTERM, SIGINT].map(|signal| signal_hook::flag::register(signal, Arc::clone(&cancel)));
    for handler in handlers {
        handler?;
    }
    let mut group = supervise::start(&spec(config, config.listen.shared()?, program, cancel))?;
    log.say(Level::Info, serving(config, &[Endpoint::Tcp(group.address())], None));
    tell(&NotifyState::Ready);
    let known = watch(&mut group, &mut signals, program);
    tell(&NotifyState::Stopping);
    let ends = group.stop_unless(|| signals.pending().next().is_some());
    let asked = |exit: &&Exit| exit.reason != Reason::Itself;
    ends.iter()
        .filter(|exit| !known.contains(&exit.instance) && !clean(exit))
        .for_each(|exit| report(exit, program));
    if ends.iter().filter(asked).count() == 0 {
        program.complain("all instances have ended by themselves");
    }
    log.finish(stopped(&totals(&ends)));
    Ok(ends.iter().all(clean))
}

fn spec(config: &Config, address: SocketAddr, program: &Program, cancel: Arc<AtomicBool>) -> Spec {
    let mut spec = Spec::new(&program.path, address);
    spec.instances = config.listen.instances;
    spec.args = program.leading.iter().cloned().chain(config.for_one_instance()).collect();
    // Everything is in the arguments; what was meant for this process would be meant twice.
    spec.env_remove = config::variables();
    spec.backlog = config.listen.sockets.backlog;
    spec.ready_timeout = READY_TIMEOUT;
    spec.stop_timeout = config.life.drain_timeout + STOP_MARGIN;
    spec.cancel = cancel;
    spec
}

/// Returns when a signal has come or no instance is left, with the numbers of those whose end was reported.
fn watch(group: &mut Group, signals: &mut Signals, program: &Program) -> Vec<u16> {
    let mut reported = Vec::new();
    while group.running() > 0 && signals.pending().next().is_none() {
        for exit in group.wait(LOOK_EVERY) {
            report(&exit, program);
            reported.push(exit.instance);
        }
    }
    reported
}

/// Whether an instance lived until it was asked to end, and obeyed with everything answered.
fn clean(exit: &Exit) -> bool {
    exit.status == Status::Code(0) && exit.reason == Reason::Asked
}

fn report(exit: &Exit, program: &Program) {
    let words = match exit.stderr.as_str() {
        "" => String::new(),
        words => format!("; it said:\n{words}"),
    };
    program.complain(&format!(
        "instance {} (process {}) ended with {}{words}",
        exit.instance, exit.pid, exit.status
    ));
}

fn totals(ends: &[Exit]) -> Totals {
    let instances: Vec<Option<Counts>> = ends
        .iter()
        .map(|exit| exit.stdout.lines().last().and_then(|line| serde_json::from_str(line).ok()))
        .collect();
    let together = instances.iter().flatten().fold(Counts::default(), |sum, counts| sum + *counts);
    Totals { together, instances }
}
