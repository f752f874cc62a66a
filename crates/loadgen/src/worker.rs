//! THE loop. There is one: it drives every connection, over every engine, in either model.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::{GiveUp, Nanos, SECOND, TimeLimit, Timer, Waited};
use crate::engine::{Connection, Engine, Failure, Trace};
use crate::recorder::{Interval, Outcome, Recorder, Sample};
use crate::schedule::Schedule;
use crate::source::Request;

/// How long requests under way may still take after the run was interrupted.
const INTERRUPT_GRACE: Nanos = SECOND;

/// What every worker is told before time zero.
#[derive(Debug, Clone)]
pub struct Orders {
    /// Which request is due when.
    pub schedule: Arc<Schedule>,
    /// What is sent.
    pub request: Arc<Request>,
    /// How long one request may take, connecting included. `None`: as long as it likes.
    pub timeout: Option<Nanos>,
    /// The planned end of the window. `None`: the number of requests ends the run.
    pub end: Option<Nanos>,
    /// How long after the window unfinished requests are waited for.
    pub drain: Nanos,
}

/// What the workers of a run are told while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Go on.
    Running,
    /// End early: nothing new is sent, and what is under way gets [`INTERRUPT_GRACE`].
    Stopping,
    /// Every worker is done: connections may be closed.
    Closing,
}

/// How a worker talks to the thread that collects.
#[derive(Debug)]
pub struct Link {
    /// Its number, from 0.
    pub worker: usize,
    /// Where finished intervals go.
    pub intervals: mpsc::Sender<Message>,
    /// Where emptied intervals come back, to be filled again.
    pub emptied: mpsc::Receiver<Box<Interval>>,
    /// What it is told meanwhile.
    pub phase: watch::Receiver<Phase>,
}

/// What a worker tells.
#[derive(Debug)]
pub enum Message {
    /// One second of its work.
    Interval {
        /// Which worker.
        worker: usize,
        /// What it measured.
        interval: Box<Interval>,
    },
    /// It is done; nothing follows.
    Done {
        /// Which worker.
        worker: usize,
        /// What its slots did.
        slots: Vec<SlotReport>,
        /// When its last request ended.
        last_end: Nanos,
        /// CPU time and time spent waiting for a CPU, in nanoseconds, where the system tells.
        cpu: Option<(u64, u64)>,
    },
}

/// What one slot did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SlotReport {
    /// Requests it began.
    pub sent: u64,
    /// Complete answers it got.
    pub answered: u64,
}

/// One of the `-c N` places, as the worker sees it from outside.
#[derive(Debug, Default)]
struct Slot {
    sent: Cell<u64>,
    answered: Cell<u64>,
    /// Ends the request under way when the drain is over.
    give_up: GiveUp,
}

/// What the slots of one worker share.
struct Shared<T, E> {
    timer: T,
    engine: E,
    orders: Orders,
    recorder: RefCell<Recorder>,
    link: Link,
    last_end: Cell<Nanos>,
}

/// Drives `slots` connections to the end of the run and reports. Returns when the connections may be closed.
pub async fn run<T: Timer, E: Engine<T>>(timer: T, engine: E, orders: Orders, link: Link, slots: usize) {
    let recorder = RefCell::new(Recorder::new(orders.end));
    let mut phase = link.phase.clone();
    let shared = Rc::new(Shared { timer, engine, orders, recorder, link, last_end: Cell::new(0) });
    let slots: Vec<Rc<Slot>> = (0..slots).map(|_| Rc::default()).collect();
    let mut tasks = JoinSet::new();
    for slot in &slots {
        tasks.spawn_local(drive(Rc::clone(&shared), Rc::clone(slot)));
    }
    // Kept open until every worker is done: closing them earlier would free places in a server with a connection
    // limit, and let requests be answered that during the run were starved.
    let mut connections = Vec::with_capacity(slots.len());
    finish(&shared, &slots, &mut tasks, &mut connections).await;
    shared.report(&slots);
    let _ = phase.wait_for(|phase| *phase == Phase::Closing).await;
    drop(connections);
}

/// Waits until all slots are through, keeping their connections. When the drain or the grace ends, they give up.
async fn finish<T: Timer, E: Engine<T>>(
    shared: &Rc<Shared<T, E>>,
    slots: &[Rc<Slot>],
    tasks: &mut JoinSet<Option<E::Connection>>,
    connections: &mut Vec<Option<E::Connection>>,
) {
    let mut phase = shared.link.phase.clone();
    let timer = &shared.timer;
    let mut give_up = shared.orders.end.map(|end| end.saturating_add(shared.orders.drain));
    let mut stopping = false;
    let mut next_turn = SECOND;
    loop {
        let wake = give_up.map_or(next_turn, |give_up| give_up.min(next_turn));
        tokio::select! {
            biased;
            changed = phase.wait_for(|phase| *phase != Phase::Running), if !stopping => {
                // An error means that the collecting thread is gone, and with it any use of going on.
                drop(changed);
                stopping = true;
                shared.orders.schedule.stop();
                let now = timer.now();
                shared.recorder.borrow_mut().close_window(now);
                give_up = Some(give_up.map_or(now + INTERRUPT_GRACE, |end| end.min(now + INTERRUPT_GRACE)));
            }
            joined = tasks.join_next() => match joined {
                // A slot that panicked lost its request: the account will not balance, and the run says so.
                Some(connection) => connections.extend(connection.ok()),
                None => return,
            },
            () = timer.until(wake) => {
                let now = timer.now();
                if give_up.is_some_and(|give_up| now >= give_up) {
                    give_up = None;
                    shared.orders.schedule.stop();
                    for slot in slots {
                        slot.give_up.raise();
                    }
                }
                shared.turn(now);
                next_turn = (now / SECOND + 1) * SECOND;
            }
        }
    }
}

/// One slot: takes what is due, sends it, records it, until nothing more is due. Gives back its connection.
async fn drive<T: Timer, E: Engine<T>>(shared: Rc<Shared<T, E>>, slot: Rc<Slot>) -> Option<E::Connection> {
    let Shared { timer, engine, orders, .. } = &*shared;
    let mut connection = None;
    let mut limit = TimeLimit::new(timer);
    let mut now = timer.now();
    while let Some(due) = orders.schedule.take(now) {
        if due > now && limit.run(None, &slot.give_up, timer.until(due)).await == Waited::GivenUp {
            return connection;
        }
        slot.sent.set(slot.sent.get() + 1);
        let mut trace = Trace::default();
        let exchange = exchange(engine, &mut connection, &orders.request, timer, &mut trace);
        let deadline = orders.timeout.map(|timeout| timer.instant(due.saturating_add(timeout)));
        let result = limit.run(deadline, &slot.give_up, exchange).await;
        now = timer.now();
        let outcome = match result {
            Waited::Done(Ok(status)) => Outcome::Answered(status),
            Waited::Done(Err(failure)) => Outcome::Failed(failure),
            Waited::Limit => Outcome::TimedOut,
            Waited::GivenUp => Outcome::Aborted,
        };
        let mut end = now;
        if let Outcome::Answered(_) = outcome {
            slot.answered.set(slot.answered.get() + 1);
            end = trace.last_read.unwrap_or(now);
        } else {
            connection = None;
        }
        shared.record(&Sample { begin: due, end, outcome, trace: &trace });
    }
    connection
}

/// Sends one request over the slot's connection, making one where there is none that can carry it.
async fn exchange<T: Timer, E: Engine<T>>(
    engine: &E,
    connection: &mut Option<E::Connection>,
    request: &Request,
    timer: &T,
    trace: &mut Trace,
) -> Result<u16, Failure> {
    if connection.as_mut().is_some_and(Connection::is_stale) {
        *connection = None;
        trace.reopened = true;
    }
    let current = match connection {
        Some(current) => {
            trace.reused = true;
            current
        }
        None => connection.insert(engine.connect(timer, trace).await?),
    };
    let status = current.send(request, timer, trace).await?;
    if !current.is_reusable() {
        *connection = None;
    }
    Ok(status)
}

impl<T: Timer, E> Shared<T, E> {
    fn record(&self, sample: &Sample<'_>) {
        self.last_end.set(self.last_end.get().max(sample.end));
        self.turn(sample.end);
        self.recorder.borrow_mut().record(sample);
    }

    /// Hands the current interval over when its second is past.
    fn turn(&self, now: Nanos) {
        let mut recorder = self.recorder.borrow_mut();
        if recorder.is_over(now) {
            let empty = self.link.emptied.try_recv().unwrap_or_default();
            let interval = recorder.turn(now, empty);
            // A collecting thread that is gone needs no more intervals.
            let _ = self.link.intervals.send(Message::Interval { worker: self.link.worker, interval });
        }
    }

    fn report(&self, slots: &[Rc<Slot>]) {
        let worker = self.link.worker;
        let last = self.recorder.replace(Recorder::new(None)).finish();
        let slots = slots
            .iter()
            .map(|slot| SlotReport { sent: slot.sent.get(), answered: slot.answered.get() })
            .collect();
        let done =
            Message::Done { worker, slots, last_end: self.last_end.get(), cpu: crate::machine::thread_cpu() };
        let _ = self.link.intervals.send(Message::Interval { worker, interval: last });
        let _ = self.link.intervals.send(done);
    }
}

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;
