//! Several servers on one port: processes that run this program again, looked after by this one.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use sd_notify::NotifyState;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR2};
use signal_hook::iterator::Signals;
use supervise::{Backoff, Event, Group, Next, Restart, Signal, SocketSpec, Spec};

use super::forward::Forward;
use super::tally::{Tally, clean};
use super::{
    Program, SETTINGS, ServeError, UNREAD, alone, guard, hangup_ends, listener, logger, serving, serving_on,
    stopped,
};
use crate::config::endpoint::Endpoint;
use crate::config::{self, Config};
use crate::lifecycle::{Echoes, raise_open_files, status, tell, watchdog};
use crate::log::{self, Format, Level, Log};
use crate::{store, watch};

/// Name of the sockets that take requests.
const HTTP: &str = "http";

/// Name of the socket of each instance that takes an operator's.
const ADMIN: &str = "admin";

/// How long all instances may take to be ready: opening a database that others are recovering takes a while.
const READY_TIMEOUT: Duration = Duration::from_secs(30);

/// How much longer than its drain an instance may take to end before it is killed.
const STOP_MARGIN: Duration = Duration::from_secs(5);

/// How long a signal, or a line that an instance has printed, may go unnoticed at worst. Mostly it cuts the wait short.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Serves until told to stop; true when every process lived until it was asked to end, and ended cleanly.
pub(super) fn serve(config: &Config, program: &Program) -> Result<bool, ServeError> {
    guard()?;
    raise_open_files();
    // Before there is a database: a server that cannot listen leaves none behind.
    listener::check(&config.listen.endpoints, config.listen.sockets)?;
    if let Some(place) = operator(config) {
        let places =
            (1..=config.listen.instances.get()).map(|number| place.address_of(number).map(Endpoint::from));
        listener::check(&places.collect::<Result<Vec<_>, _>>()?, alone(config))?;
    }
    if let Some(database) = config.store.database() {
        // The instances would find out too, but one clear sentence is better than several.
        store::prepare(database)?;
    }
    let log = logger(config, None)?;
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR2])?;
    let cancel = Arc::new(AtomicBool::new(false));
    let handlers = [SIGTERM, SIGINT].map(|signal| signal_hook::flag::register(signal, Arc::clone(&cancel)));
    for handler in handlers {
        handler?;
    }
    let group = supervise::start(&spec(config, program, cancel))?;
    let operator = (1..=config.listen.instances.get()).filter_map(|number| group.address_of(ADMIN, number));
    let operator: Vec<Endpoint> = operator.map(Endpoint::from).collect();
    log.say(Level::Info, serving(config, &endpoints(&group), &operator));
    status(&serving_on(&endpoints(&group)));
    tell(&NotifyState::Ready);
    let tally = Tally::new(config.listen.instances);
    let forward = Forward::start(program)?;
    let for_machines = (config.admin.log_format == Format::Json).then_some(&log);
    let reload_from = config.admin.reload_from.as_deref();
    let hangup_ends = hangup_ends(config);
    let echoes = Echoes::default();
    let mut parent = Parent { group, log: for_machines, reload_from, hangup_ends, echoes, tally, forward };
    while !parent.hear(&mut signals) {
        parent.wait();
    }
    tell(&NotifyState::Stopping);
    status("draining");
    parent.stop(&mut signals);
    let tally = parent.tally;
    // What the instances printed comes before what they did.
    let read = parent.forward.finish();
    if !log.finish(stopped(&tally.totals())) || !read {
        program.complain(UNREAD);
    }
    Ok(tally.is_clean())
}

fn spec(config: &Config, program: &Program, cancel: Arc<AtomicBool>) -> Spec {
    let mode = config.listen.sockets.unix_mode.0;
    let requests = config.listen.endpoints.iter();
    let requests = requests.map(|at| SocketSpec { mode, ..SocketSpec::together(HTTP, at.into()) });
    let mut spec = Spec::new(&program.path, requests.chain(operator(config)).collect());
    spec.instances = config.listen.instances;
    spec.args = program.leading.iter().cloned().chain(config.for_one_instance()).collect();
    // Everything is in the arguments; what was meant for this process would be meant twice.
    spec.env_remove = config::variables();
    spec.env = vec![(SETTINGS.into(), config.settings().to_json().to_string().into())];
    spec.backlog = config.listen.sockets.backlog;
    spec.ready_timeout = READY_TIMEOUT;
    spec.stop_timeout = config.life.drain_timeout + STOP_MARGIN;
    spec.restart = Restart::Always(Backoff::default());
    // Who watches us wants all of us alive.
    spec.watchdog = watchdog();
    spec.lines = true;
    spec.cancel = cancel;
    spec
}

/// The operator's sockets. Each instance has its own: it knows only what it did.
fn operator(config: &Config) -> Option<SocketSpec> {
    let at = config.admin.endpoint.as_ref()?;
    Some(SocketSpec { mode: config.admin.mode.0, ..SocketSpec::apart(ADMIN, at.into()) })
}

fn endpoints(group: &Group) -> Vec<Endpoint> {
    group.addresses(HTTP, 1).into_iter().map(Endpoint::from).collect()
}

/// Who looks after the instances.
struct Parent<'a> {
    group: Group,
    /// For machines. A person is told on stderr.
    log: Option<&'a Log>,
    /// What SIGHUP puts in force.
    reload_from: Option<&'a Path>,
    /// Whether SIGHUP means the end instead.
    hangup_ends: bool,
    echoes: Echoes,
    tally: Tally,
    forward: Forward,
}

impl Parent<'_> {
    /// Does what signals ask for; true when they ask to stop.
    fn hear(&mut self, signals: &mut Signals) -> bool {
        let mut stop = false;
        for signal in signals.pending() {
            match signal {
                SIGHUP if !self.hangup_ends => self.reload(),
                SIGUSR2 => {
                    if let Err(refusal) = self.group.roll() {
                        self.forward.say(&refusal.to_string());
                    }
                }
                _ => stop |= !self.echoes.is_echo(),
            }
        }
        stop
    }

    /// Has the instances read their file again, those to come included: they are started with what was typed. They also say
    /// what is wrong with it.
    fn reload(&mut self) {
        let Some(file) = self.reload_from else { return self.group.signal(Signal::HUP) };
        if let (Some(log), Ok(Some(level))) = (self.log, watch::read(file).map(|changes| changes.log_level)) {
            log.set_level(level);
        }
        self.group.signal_lastingly(Signal::HUP);
    }

    /// Looks after the instances until something has happened or it is time to look for signals.
    fn wait(&mut self) {
        let alive = watchdog();
        if alive.is_some() {
            tell(&NotifyState::Watchdog);
        }
        for event in self.group.wait(alive.map_or(LOOK_EVERY, |period| LOOK_EVERY.min(period / 2))) {
            self.note(&event);
        }
        self.forward.take(self.group.lines());
    }

    fn note(&mut self, event: &Event) {
        let mut sentence = event.to_string();
        if let Event::Ended { exit, next } = event {
            let told = self.tally.add(exit);
            // An end that was wanted, and went well, is not worth a word.
            if matches!(next, Next::Nothing | Next::Replaced) && (clean(exit) || !exit.was_ready) {
                return;
            }
            if exit.was_ready && !told {
                sentence.push_str("; what it did is missing from the totals");
            }
        }
        self.forward.say(&sentence);
        if let Some(log) = self.log {
            log.tell(level(event), entry(event, &sentence));
        }
    }

    /// Stops all instances. With a second signal they cut off what is under way, and tell it; a third kills them.
    fn stop(&mut self, signals: &mut Signals) {
        self.group.terminate();
        let mut impatient = false;
        while self.group.running() > 0 {
            self.wait();
            if self.hear(signals) {
                if impatient {
                    self.group.kill();
                }
                impatient = true;
            }
            if impatient {
                // Again and again: one that has just heard the first takes this for its echo.
                self.group.signal(Signal::TERM);
            }
        }
        // Those that were killed just now.
        self.wait();
    }
}

/// How much an event matters to an operator.
fn level(event: &Event) -> Level {
    match event {
        Event::Ended { .. } | Event::NotStarted { .. } | Event::RollStopped { .. } => Level::Warn,
        Event::Ready { .. } | Event::Succeeded { .. } | Event::Rolled => Level::Info,
    }
}

/// An event as a line of the log, with the instance named as in its own lines.
fn entry(event: &Event, sentence: &str) -> log::Event {
    let of = |name: &'static str, instance: u16| {
        log::Event::new(name, sentence).with("instance", instance.to_string())
    };
    match event {
        Event::Ended { exit, .. } => {
            of("instance-ended", exit.instance).with("pid", exit.pid).with("status", exit.status.to_string())
        }
        Event::Ready { instance, pid } => of("instance-ready", *instance).with("pid", *pid),
        Event::NotStarted { instance, .. } => of("instance-not-started", *instance),
        Event::Succeeded { instance, pid } => of("instance-replaced", *instance).with("pid", *pid),
        Event::RollStopped { instance, .. } => of("roll-stopped", *instance),
        Event::Rolled => log::Event::new("rolled", sentence),
    }
}
