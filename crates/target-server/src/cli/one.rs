//! One server: this process.

use std::sync::{Arc, OnceLock};

use http::HeaderValue;
use supervise::child::INSTANCE;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{
    Program, SETTINGS, ServeError, UNREAD, alone, guard, hangup_ends, is_instance, listener, logger, serving,
    serving_on, stopped, variable,
};
use crate::accept::Service;
use crate::admin::{self, Admin, Socket};
use crate::app::{App, Told, app};
use crate::config::Config;
use crate::faults::Mischief;
use crate::lifecycle::{self, End, Signals};
use crate::listener::{Bound, Places};
use crate::log::{Event, Level, Log};
use crate::phase::{Phase, Phases};
use crate::stats::Stats;
use crate::store::Store;
use crate::watch;

/// What this process is from its first moment on.
#[derive(Debug)]
struct Instance {
    name: String,
    log: Arc<Log>,
    stats: Arc<Stats>,
    phases: Arc<Phases>,
    mischief: Arc<Mischief>,
}

/// Serves until told to stop; true when the end was clean.
pub(super) fn serve(config: &Config, program: &Program) -> Result<bool, ServeError> {
    guard()?;
    lifecycle::raise_open_files();
    let number = variable(INSTANCE);
    let given = config.admin.instance.clone().or(number);
    let faults = &config.faults;
    let log = Arc::new(logger(config, given.clone())?);
    let instance = Instance {
        name: given.unwrap_or_else(|| std::process::id().to_string()),
        stats: Arc::new(Stats::new(Arc::clone(&log))),
        log,
        phases: Arc::default(),
        mischief: Arc::new(Mischief::new(faults.faults.clone(), faults.allowed, faults.seed)),
    };
    // One thread takes, reads and answers; the database has its own. More cores are used by more instances.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(live(config, &instance));
    // Threads that are still busy with the database end with the process.
    runtime.shutdown_background();
    let end = outcome?;
    match end {
        End::Drained => {}
        End::TooSlow => {
            program.complain(&format!(
                "requests were cut off: not finished within {:?}",
                config.life.drain_timeout
            ));
        }
        End::Impatient => program.complain("requests were cut off by a second signal"),
    }
    instance.stats.troubles.finish();
    let last = stopped(&instance.stats.counts());
    let read = if is_instance() { instance.log.finish_with_figures(last) } else { instance.log.finish(last) };
    if !read {
        program.complain(UNREAD);
    }
    Ok(end == End::Drained)
}

async fn live(config: &Config, instance: &Instance) -> Result<End, ServeError> {
    // Before anything listens, so that no signal finds us unprepared.
    let hangup_ends = hangup_ends(config);
    let mut signals = Signals::catch(hangup_ends)?;
    if !hangup_ends {
        let hangup = signal(SignalKind::hangup())?;
        let (reload_from, mischief) = (config.admin.reload_from.clone(), Arc::clone(&instance.mischief));
        tokio::spawn(watch::reload(hangup, reload_from, mischief, Arc::clone(&instance.log)));
    }
    tokio::spawn(explain_rolls(signal(SignalKind::user_defined2())?, Arc::clone(&instance.log)));
    if let Some(period) = lifecycle::watchdog() {
        tokio::spawn(watch::watchdog(period));
    }
    let Places { http, admin: operator } = places(config)?;
    let endpoints: Vec<_> = http.iter().map(Bound::endpoint).cloned().collect();
    let operator_at: Vec<_> = operator.iter().map(Bound::endpoint).cloned().collect();
    // What our parent passes is made as it was typed for us, too.
    let known = |place: &Bound| !place.is_passed() || variable(INSTANCE).is_some();
    let backlog = |place: &Bound| known(place).then_some(config.listen.sockets.backlog);
    let sockets = http.iter().map(|place| Socket::new(place.endpoint().to_string(), place, backlog(place)));
    let admin = Arc::new(Admin {
        instance: instance.name.clone(),
        settings: settings(config),
        sockets: sockets.collect(),
        stats: Arc::clone(&instance.stats),
        mischief: Arc::clone(&instance.mischief),
        phases: Arc::clone(&instance.phases),
        log: Arc::clone(&instance.log),
        store: OnceLock::new(),
    });
    for listener in listener::listen(Vec::from_iter(operator))? {
        tokio::spawn(admin::serve::serve(listener, Arc::clone(&admin)));
    }
    // Only now that all places are ours, so that a server that cannot listen leaves no database behind; before anybody can
    // send a request that would be lost if there were no database; and on another thread, so that the operator can ask
    // meanwhile whether it is ready.
    let (settings, stats) = (config.store.clone(), Arc::clone(&instance.stats));
    if config.store.database().is_some() {
        lifecycle::status("opening the database");
    }
    let opening = tokio::task::spawn_blocking(move || Store::open(&settings, &stats));
    let store = tokio::select! {
        opened = opening => opened.map_err(std::io::Error::other)??,
        // Nobody has been promised anything.
        () = signals.next() => return Ok(End::Drained),
    };
    let http = listener::listen(http)?;
    // Nobody else sets it.
    let _ = admin.store.set(store.clone());
    if variable(INSTANCE).is_none() {
        // Of several, the parent says it.
        instance.log.say(Level::Info, serving(config, &endpoints, &operator_at));
    }
    if !matches!(store, Store::None) {
        tokio::spawn(watch::queue(store.clone(), Arc::clone(&instance.log)));
    }
    let stats = Arc::clone(&instance.stats);
    tokio::spawn(watch::troubles(store.clone(), stats, config.connections.max));
    let router = app(application(config, instance, &store, &admin));
    let mut service = Service::new(router, &config.connections, &config.http, Arc::clone(&instance.stats));
    service.log = Arc::clone(&instance.log);
    service.phases = Arc::clone(&instance.phases);
    instance.phases.enter(Phase::Serving);
    lifecycle::status(&serving_on(&endpoints));
    Ok(lifecycle::live(http, service, &store, &mut signals, &config.life).await)
}

/// Says that there is nobody to be replaced by; unheard, the signal would end the server.
async fn explain_rolls(mut rolls: Signal, log: Arc<Log>) {
    while rolls.recv().await.is_some() {
        let sentence =
            "SIGUSR2 replaces instances one by one, and this server is one alone; start it with --instances";
        log.tell(Level::Warn, Event::new("roll-refused", sentence));
    }
}

/// What the whole server was given. One of several instances is given sockets and a number instead.
fn settings(config: &Config) -> serde_json::Value {
    let of_all = variable(INSTANCE).and_then(|_| variable(SETTINGS));
    let of_all = of_all.and_then(|text| serde_json::from_str(&text).ok());
    of_all.unwrap_or_else(|| config.settings().to_json())
}

/// What is passed in, else what is typed: for the operator and for requests each by itself.
fn places(config: &Config) -> Result<Places, ServeError> {
    let names = variable("LISTEN_FDNAMES");
    let sockets = config.listen.sockets;
    let mut places = listener::obtain(&config.listen.endpoints, sockets, names.as_deref())?;
    if let (None, Some(endpoint)) = (&places.admin, &config.admin.endpoint) {
        let endpoint = endpoint.of_instance(1, 1)?;
        places.admin = listener::reserve(&[endpoint], alone(config))?.pop();
    }
    Ok(places)
}

fn application(config: &Config, instance: &Instance, store: &Store, admin: &Arc<Admin>) -> App {
    let settings = &config.admin;
    App {
        store: store.clone(),
        stats: Arc::clone(&instance.stats),
        max_body: config.http.max_body,
        mischief: Arc::clone(&instance.mischief),
        phases: Arc::clone(&instance.phases),
        admin: settings.on_main.then(|| Arc::clone(admin)),
        told: Told {
            // Names are checked when they are typed, and numbers fit.
            instance: HeaderValue::from_str(&instance.name).unwrap_or(HeaderValue::from_static("?")),
            instance_header: settings.instance_header,
            server_timing: settings.server_timing,
            log: Arc::clone(&instance.log),
            log_sample: settings.log_sample,
        },
    }
}
