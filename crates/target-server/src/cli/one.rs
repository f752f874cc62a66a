//! One server: this process.

use std::sync::Arc;

use tokio::net::TcpListener;

use super::{Program, ServeArgs, ServeError, StoreKind, guard, json, listener, say, serving};
use crate::accept::{HEADER_TIMEOUT, Service};
use crate::app::{App, app};
use crate::lifecycle::{self, End, Signals};
use crate::stats::Stats;
use crate::store::Store;

/// Serves until told to stop; true when the end was clean.
pub(super) fn serve(args: &ServeArgs, program: &Program) -> Result<bool, ServeError> {
    guard()?;
    lifecycle::raise_open_files();
    let stats = Arc::new(Stats::default());
    // One thread takes, reads and answers; the database has its own. More cores are used by more instances.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let end = runtime.block_on(live(args, &stats))?;
    match end {
        End::Drained => {}
        End::TooSlow => {
            program.complain(&format!("requests were cut off: not finished within {:?}", args.drain_timeout));
        }
        End::Impatient => program.complain("requests were cut off by a second signal"),
    }
    say(&json(&stats.counts()));
    // Threads that are still busy with the database end with the process.
    runtime.shutdown_background();
    Ok(end == End::Drained)
}

async fn live(args: &ServeArgs, stats: &Arc<Stats>) -> Result<End, ServeError> {
    // Before anything listens, so that no signal finds us unprepared.
    let mut signals = Signals::catch()?;
    let listener = TcpListener::from_std(listener::obtain(args.listen, args.backlog)?)?;
    // Only then, so that a server that cannot listen leaves no database behind.
    let store = match args.store {
        StoreKind::None => Store::None,
        StoreKind::Pool => Store::pool(&args.database(), args.threads, stats)?,
    };
    say(&serving(args, listener.local_addr()?));
    let router = app(App { store: store.clone(), stats: Arc::clone(stats) });
    let service = Service {
        router,
        max_connections: args.max_connections,
        header_timeout: HEADER_TIMEOUT,
        stats: Arc::clone(stats),
    };
    Ok(lifecycle::live(listener, service, &store, &mut signals, args.drain_timeout).await)
}
