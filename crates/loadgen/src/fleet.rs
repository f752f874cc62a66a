//! How do workers run together? One thread with a runtime of its own per worker, one collecting thread: the caller's.

use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Barrier, OnceLock};
use std::thread;
use std::time::{Duration, SystemTime};

use report::document::Generator;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::LocalSet;

use crate::clock::{self, Nanos, RealTimer, Timer, Timerfd};
use crate::collector::Collector;
use crate::engine::Engine;
use crate::health::Watch;
use crate::recorder::Interval;
use crate::usage::{self, Roster, Usages};
use crate::worker::{self, Link, Message, Model, Opened, Orders, Phase};

/// How often the caller is asked whether to go on.
const ATTENTION: Duration = Duration::from_millis(100);

/// What the caller of [`run`] wants done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attention {
    /// Go on.
    Continue,
    /// End the run early, with everything measured so far.
    Stop,
}

/// Why the workers could not start.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// The system refused.
    #[error("cannot start a worker thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// Everything measured.
    pub collector: Collector,
    /// When the run was told to stop early, in nanoseconds since time zero; 0 in the warm-up.
    pub stopped_at: Option<u64>,
    /// How long the warm-up lasted, where it was told to stop before its end.
    pub short_warmup: Option<Nanos>,
    /// What the machine did from time zero on.
    pub generator: Generator,
    /// What each instance of the target used from time zero on, by its number, where it was started here.
    pub usage: Usages,
}

/// How many there are of everything.
#[derive(Debug, Clone, Copy)]
pub struct Crew {
    /// Threads.
    pub workers: NonZeroUsize,
    /// Connections of all threads together.
    pub connections: usize,
    /// Slots on each connection. Those of one connection are never on different threads.
    pub streams: usize,
}

/// Runs all slots to the end.
///
/// `engine` makes one engine per worker, inside its runtime. `roster`: processes to be watched meanwhile. `attend` is called several times a second with the
/// seconds completed since, and decides whether to go on.
///
/// # Errors
/// When threads or runtimes cannot be made. Nothing was sent then.
pub fn run<E, M>(
    orders: &Orders,
    crew: Crew,
    engine: M,
    roster: &Roster,
    attend: impl FnMut(&[Interval], &Collector) -> Attention,
) -> Result<Outcome, FleetError>
where
    E: Engine<RealTimer>,
    M: Fn() -> E + Send + Sync + 'static,
{
    let Crew { workers, connections, streams } = crew;
    let runtimes = (0..workers.get()).map(|_| runtime()).collect::<Result<Vec<_>, _>>()?;
    let (messages, inbox) = mpsc::channel();
    let (phase, phases) = watch::channel(Phase::Running);
    let (start, engine) = (Arc::new(Start::of(workers)), Arc::new(engine));
    let (mut emptied, mut threads) = (Vec::new(), Vec::new());
    for (worker, (runtime, alarm)) in runtimes.into_iter().enumerate() {
        let (emptied_sender, emptied_receiver) = mpsc::channel();
        emptied.push(emptied_sender);
        let link =
            Link { worker, intervals: messages.clone(), emptied: emptied_receiver, phase: phases.clone() };
        let share = share(connections, workers, worker) * streams;
        let (orders, start, engine) = (orders.clone(), Arc::clone(&start), Arc::clone(&engine));
        let body = move || {
            let local = LocalSet::new();
            let (alarm, engine, opened) = local.block_on(&runtime, prepare(alarm, &*engine, &orders, share));
            let timer = start.await_zero();
            local.spawn_local(alarm.clone().ring());
            local.block_on(&runtime, worker::run((timer, alarm), engine, orders, link, opened));
            drop(local);
            // A name that is still being looked up is nothing to wait for.
            runtime.shutdown_background();
        };
        threads.push(thread::Builder::new().name(format!("worker-{worker}")).spawn(body));
    }
    drop(messages);
    let threads = threads.into_iter().collect::<Result<Vec<_>, _>>()?;
    let mut collector = Collector::new(emptied);
    let (wall, timer) = start.give();
    collector.started = wall + Duration::from_nanos(orders.zero);
    let watch = Watch::start(timer, orders.zero);
    let target = usage::Watch::start(timer, orders.zero, roster);
    let stopped = collect(&mut collector, &inbox, &phase, timer, attend);
    let slots = collector.workers.iter().flat_map(|worker| &worker.slots);
    let generator = watch.finish(slots.map(|slot| slot.late).sum());
    let usage = target.finish();
    let _ = phase.send(Phase::Closing);
    for thread in threads {
        // A worker's panic was printed when it happened; the run ends with an account that does not balance.
        let _ = thread.join();
    }
    let stopped_at = stopped.map(|now| now.saturating_sub(orders.zero));
    let short_warmup = stopped.filter(|now| *now < orders.zero);
    Ok(Outcome { collector, stopped_at, short_warmup, generator, usage })
}

/// Takes in what the workers measure until all of them are done. Gives when they were told to stop early, by their clock.
fn collect(
    collector: &mut Collector,
    inbox: &Receiver<Message>,
    phase: &watch::Sender<Phase>,
    timer: RealTimer,
    mut attend: impl FnMut(&[Interval], &Collector) -> Attention,
) -> Option<Nanos> {
    let mut stopped = None;
    let mut seconds = Vec::new();
    while !collector.is_done() {
        match inbox.recv_timeout(ATTENTION) {
            Ok(message) => seconds.extend(collector.take(message)),
            Err(RecvTimeoutError::Timeout) => {}
            // Every worker ended without saying so: a panic, which the account will show.
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if attend(&seconds, collector) == Attention::Stop && stopped.is_none() {
            stopped = Some(timer.now());
            let _ = phase.send(Phase::Stopping);
        }
        seconds.clear();
    }
    stopped
}

/// The start of all workers: everybody is ready, then time zero is taken, then everybody starts.
struct Start {
    line: Barrier,
    zero: OnceLock<RealTimer>,
}

impl Start {
    fn of(workers: NonZeroUsize) -> Self {
        Self { line: Barrier::new(workers.get() + 1), zero: OnceLock::new() }
    }

    /// Says that a worker is ready, and waits for time zero.
    fn await_zero(&self) -> RealTimer {
        self.line.wait();
        self.line.wait();
        self.zero.get().copied().unwrap_or_else(RealTimer::start)
    }

    /// Waits until every worker is ready, takes time zero, and lets them start. Also gives what the wall clock said.
    fn give(&self) -> (SystemTime, RealTimer) {
        self.line.wait();
        let wall = clock::wall();
        let timer = *self.zero.get_or_init(RealTimer::start);
        self.line.wait();
        (wall, timer)
    }
}

/// A runtime for one worker, and the file of its alarm.
fn runtime() -> std::io::Result<(Runtime, OwnedFd)> {
    Ok((Builder::new_current_thread().enable_all().build()?, Timerfd::file()?))
}

/// What one worker needs before time zero: its alarm, its engine and, in the open model, its connections.
async fn prepare<E: Engine<RealTimer>>(
    alarm: OwnedFd,
    engine: &impl Fn() -> E,
    orders: &Orders,
    slots: usize,
) -> (Timerfd, Rc<E>, Vec<Opened<E::Connection>>) {
    #[expect(clippy::expect_used, reason = "a new runtime can watch a file, or the system is out of memory")]
    let alarm = Timerfd::new(alarm).expect("the runtime watches a timer");
    let engine = Rc::new(engine());
    let opened = match orders.model {
        Model::Closed { .. } => worker::unopened(slots),
        Model::Open => worker::open(RealTimer::start(), Rc::clone(&engine), &orders.source, slots).await,
    };
    (alarm, engine, opened)
}

/// The connections of one worker: as even as can be, the first ones take the remainder.
fn share(connections: usize, workers: NonZeroUsize, worker: usize) -> usize {
    connections / workers + usize::from(worker < connections % workers)
}

#[cfg(test)]
#[path = "fleet_tests.rs"]
mod tests;
