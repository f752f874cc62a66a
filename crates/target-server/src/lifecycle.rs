//! How does it live and die?

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::accept::{Service, serve};
use crate::clock;
use crate::config::life::Life;
use crate::listener::Listener;
use crate::log::{Event, Level};
use crate::phase::Phase;
use crate::store::Store;
use crate::words::counted;

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

/// For how long after a signal further ones are the same one: `timeout` sends one to the process and one to its
/// group, and a service manager may do likewise.
const ECHO: Duration = Duration::from_millis(100);

/// Tells signals that end a server from their echoes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Echoes {
    heard: Option<Instant>,
}

impl Echoes {
    /// Whether the signal that came just now repeats the last that was none.
    pub fn is_echo(&mut self) -> bool {
        let now = clock::now();
        let is_echo = self.heard.is_some_and(|heard| now.saturating_duration_since(heard) < ECHO);
        if !is_echo {
            self.heard = Some(now);
        }
        is_echo
    }
}

/// The signals that end a server.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// Absent where a hangup means something else.
    hangup: Option<Signal>,
    echoes: Echoes,
}

impl Signals {
    /// Catches SIGTERM and SIGINT from now on, and SIGHUP where a `hangup` ends the server too.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn catch(hangup: bool) -> io::Result<Self> {
        let [terminate, interrupt] = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
        let hangup = hangup.then(|| signal(SignalKind::hangup())).transpose()?;
        Ok(Self { terminate: terminate?, interrupt: interrupt?, hangup, echoes: Echoes::default() })
    }

    /// Waits for the next of them that does not merely repeat the first.
    pub async fn next(&mut self) {
        loop {
            let hangup = async {
                match &mut self.hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
                _ = hangup => {}
            }
            if !self.echoes.is_echo() {
                return;
            }
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
    let sentence = format!("draining: {} in flight", counted(in_flight, "request", "requests"));
    status(&sentence);
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
    let (level, how) = if end == End::Drained {
        (Level::Info, "drained")
    } else {
        stats.cut_off();
        (Level::Warn, "cut off")
    };
    let sentence = format!("{how} with {} in flight", counted(in_flight, "request", "requests"));
    log.tell(level, Event::new("drain-ended", sentence).with("in_flight", in_flight));
    end
}

/// Tells the service manager, if there is one. It will notice by itself if it cannot be told.
pub(crate) fn tell(state: &NotifyState<'_>) {
    let _ = sd_notify::notify(std::slice::from_ref(state));
}

/// Tells the service manager in words what this is busy with.
pub(crate) fn status(words: &str) {
    // A line of its own would be another message.
    tell(&NotifyState::Status(&words.replace('\n', " ")));
}

/// How often the service manager wants to hear that this is alive, at least, if it does.
pub(crate) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|period| !period.is_zero())
}

/// Raises the limit of open files as far as we may: every connection needs one. Where we may not, the server runs with
/// what it has and slows down its accepting when that is used up.
pub fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
