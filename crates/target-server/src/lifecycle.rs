//! How does it live and die?

use std::io;
use std::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::accept::{Service, serve};
use crate::config::life::Life;
use crate::listener::Listener;
use crate::log::{Event, Level};
use crate::phase::Phase;
use crate::store::Store;

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Every request that had arrived was answered, every row committed.
    Drained,
    /// The drain took longer than allowed; what was left is cut off.
    TooSlow,
    /// A second signal came during the drain; what was left is cut off.
    Impatient,
}

/// The signals that end a server.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Catches SIGTERM and SIGINT from now on.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn catch() -> io::Result<Self> {
        let [terminate, interrupt] = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
        Ok(Self { terminate: terminate?, interrupt: interrupt? })
    }

    /// Waits for the next of them.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Serves until the first signal, then drains: stops accepting, finishes what is in flight, lets the store commit what
/// it has. A second signal or the end of [`Life::drain_timeout`] cuts the drain short.
pub async fn live(
    listeners: Vec<Listener>,
    service: Service,
    store: &Store,
    signals: &mut Signals,
    life: &Life,
) -> End {
    let (log, phases, stats) =
        (Arc::clone(&service.log), Arc::clone(&service.phases), Arc::clone(&service.stats));
    let (stop, stopped) = oneshot::channel::<()>();
    let told = async {
        // A dropped sender means the same.
        let _ = stopped.await;
    };
    let serving = serve(listeners, service, told, life.drain_idle);
    tokio::pin!(serving);
    tell(&NotifyState::Ready);
    tokio::select! {
        () = signals.next() => {}
        // Serving ends by itself only when it is told to stop.
        () = &mut serving => {}
    }
    tell(&NotifyState::Stopping);
    phases.enter(Phase::Draining);
    let in_flight = stats.in_flight();
    let sentence = format!("draining: {in_flight} requests in flight");
    log.tell(Level::Info, Event::new("drain-begun", sentence).with("in_flight", in_flight));
    drop(stop);
    let store = store.clone();
    let drained = async {
        serving.await;
        // A panic in there would only mean that there is nothing left to wait for.
        let _ = tokio::task::spawn_blocking(move || store.finish()).await;
    };
    let end = tokio::select! {
        biased;
        () = drained => End::Drained,
        () = signals.next() => End::Impatient,
        () = tokio::time::sleep(life.drain_timeout) => End::TooSlow,
    };
    let in_flight = stats.in_flight();
    let (level, how) = if end == End::Drained { (Level::Info, "drained") } else { (Level::Warn, "cut off") };
    let sentence = format!("{how} with {in_flight} requests in flight");
    log.tell(level, Event::new("drain-ended", sentence).with("in_flight", in_flight));
    end
}

/// Tells the service manager, if there is one. It will notice by itself if it cannot be told.
pub(crate) fn tell(state: &NotifyState<'_>) {
    let _ = sd_notify::notify(std::slice::from_ref(state));
}

/// Raises the limit of open files as far as we may: every connection needs one. Where we may not, the server runs with
/// what it has and slows down its accepting when that is used up.
pub fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
