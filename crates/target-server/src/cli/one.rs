//! One server: this process.

use std::sync::Arc;

use supervise::child::INSTANCE;

use super::{Program, ServeError, guard, json, listener, say, serving, variable};
use crate::accept::{Notices, Service};
use crate::app::{App, app};
use crate::config::Config;
use crate::lifecycle::{self, End, Signals};
use crate::listener::Listener;
use crate::stats::Stats;
use crate::store::Store;

/// Serves until told to stop; true when the end was clean.
pub(super) fn serve(config: &Config, program: &Program) -> Result<bool, ServeError> {
    guard()?;
    lifecycle::raise_open_files();
    let stats = Arc::new(Stats::default());
    // One thread takes, reads and answers; the database has its own. More cores are used by more instances.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let end = runtime.block_on(live(config, program, &stats))?;
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
    say(&json(&stats.counts()));
    // Threads that are still busy with the database end with the process.
    runtime.shutdown_background();
    Ok(end == End::Drained)
}

async fn live(config: &Config, program: &Program, stats: &Arc<Stats>) -> Result<End, ServeError> {
    // Before anything listens, so that no signal finds us unprepared.
    let mut signals = Signals::catch()?;
    let names = variable("LISTEN_FDNAMES");
    let listeners = listener::obtain(&config.listen.endpoints, config.listen.sockets, names.as_deref())?;
    let endpoints = listeners.http.iter().map(Listener::endpoint).collect::<Result<Vec<_>, _>>()?;
    // Only then, so that a server that cannot listen leaves no database behind.
    let store = Store::open(&config.store, stats)?;
    if variable(INSTANCE).is_none() {
        // Of several, the parent says it.
        say(&serving(config, &endpoints));
    }
    let router = app(App { store: store.clone(), stats: Arc::clone(stats), max_body: config.http.max_body });
    let mut service = Service::new(router, &config.connections, &config.http, Arc::clone(stats));
    let program = program.clone();
    service.notices = Notices::new(move |notice| program.complain(&notice.to_string()));
    Ok(lifecycle::live(listeners.http, service, &store, &mut signals, &config.life).await)
}
