//! THE loop. There is one: it drives every connection, over every engine, in either model.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::check::Watch;
use crate::clock::{Alarm, GiveUp, Nanos, SECOND, TimeLimit, Timer, Waited};
use crate::engine::{Answer, Connection, Engine, Failure, Trace};
use crate::recorder::{Interval, Outcome, Recorder, Sample};
use crate::redirect;
use crate::rows::{Batch, Feed};
use crate::schedule::Schedule;
use crate::source::{Origin, POOLED_ORIGINS, Request, Source};
use crate::tally::Tally;

/// How long requests under way may still take after the run was interrupted.
const INTERRUPT_GRACE: Nanos = SECOND;

/// How long opening the connections of the open model may take.
const OPENING: Duration = Duration::from_secs(5);

/// What falls due just before the window's end is sent just after it, and in time nevertheless.
const AFTER_END: Nanos = SECOND / 100;

/// What every worker is told before time zero.
#[derive(Debug, Clone)]
pub struct Orders {
    /// Which request is due when.
    pub schedule: Arc<Schedule>,
    /// What is sent.
    pub source: Arc<Source>,
    /// What is looked at in answers.
    pub watch: Arc<Watch>,
    /// When what is measured begins, by this clock: what is due before is warm-up. Time zero of the document.
    pub zero: Nanos,
    /// How long one request may take, connecting included. `None`: as long as it likes.
    pub timeout: Option<Nanos>,
    /// The planned end of the window. `None`: the number of requests ends the run.
    pub end: Option<Nanos>,
    /// How long after the window unfinished requests are waited for.
    pub drain: Nanos,
    /// How many redirects one request may follow; 0 takes them as answers.
    pub redirects: u64,
    /// What a connection waits for before it takes the next release.
    pub model: Model,
    /// Where every single request is told, if anybody wants to know.
    pub rows: Option<Feed>,
}

impl Orders {
    /// Whether what is begun now comes too late for the window.
    fn is_late(&self, now: Nanos) -> bool {
        self.end.is_some_and(|end| now > end.saturating_add(AFTER_END))
    }

    /// Whether a request that took from `start` to `end` took longer than it may.
    fn is_over_time(&self, start: Nanos, end: Nanos) -> bool {
        self.timeout.is_some_and(|timeout| end.saturating_sub(start) > timeout)
    }
}

/// Who decides when a request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// The answers: a connection sends its next request when the last is answered, and with a tick no more often
    /// than once per tick, the first time after one tick; ticks that pass meanwhile are lost, but for the last.
    Closed {
        /// Shortest time between the requests of one connection.
        tick: Option<Nanos>,
    },
    /// The schedule. Connections are opened before time zero.
    Open,
}

/// What the workers of a run are told while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Go on.
    Running,
    /// End early: nothing new is sent, and what is under way gets a second of grace.
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
        /// When its last request ended, counted from where what is measured begins.
        last_end: Nanos,
        /// What it saw by name, by check and by header value.
        tally: Box<Tally>,
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
    /// Requests it began after the window's end, having been due inside it.
    pub late: u64,
}

/// One of the `-c N` places, as the worker sees it from outside.
#[derive(Debug, Default)]
struct Slot {
    /// Its number in its worker, from 0.
    number: usize,
    sent: Cell<u64>,
    answered: Cell<u64>,
    late: Cell<u64>,
    /// Whether it waits for a release to fall due, with nothing under way.
    waiting: Cell<bool>,
    /// Ends the request under way when the drain is over.
    give_up: GiveUp,
}

impl Slot {
    /// Waits for its next turn, with nothing under way.
    async fn wait(&self, limit: &mut TimeLimit, turn: impl Future<Output = ()>) -> Waited<()> {
        self.waiting.set(true);
        let waited = limit.run(None, &self.give_up, turn).await;
        self.waiting.set(false);
        waited
    }
}

/// What the slots of one worker share.
struct Shared<T, A, E> {
    timer: T,
    alarm: A,
    engine: Rc<E>,
    orders: Orders,
    recorder: RefCell<Recorder>,
    tally: RefCell<Tally>,
    rows: Option<Batch>,
    link: Link,
    last_end: Cell<Nanos>,
    overslept: Cell<Overslept>,
    /// What [`crate::machine::thread_cpu`] said at the end of the warm-up; nothing until then.
    cpu_before: Cell<Option<(u64, u64)>>,
}

/// The latest stretch in which releases were due and the worker, connections free, was not there to take them: stopped,
/// or without a CPU. What it sends afterwards of what fell due meanwhile is late by its own fault.
#[derive(Debug, Clone, Copy, Default)]
struct Overslept {
    from: Nanos,
    to: Nanos,
}

impl Overslept {
    /// A slot that waited for `due` woke at `now`. Stretches that overlap are one.
    fn wake(self, due: Nanos, now: Nanos) -> Self {
        Self { from: if due <= self.to { self.from.min(due) } else { due }, to: now.max(self.to) }
    }

    /// For how long something that was due then was overslept.
    fn lag(self, due: Nanos) -> Nanos {
        if due >= self.from { self.to.saturating_sub(due) } else { 0 }
    }

    /// Divides the wait of a request that was due then and is sent now: what the generator lost by waking late is no queue of the
    /// target's.
    fn charge(self, trace: &mut Trace, due: Nanos, now: Nanos) {
        let lag = trace.lag_ns.unwrap_or_else(|| self.lag(due));
        trace.lag_ns = trace.lag_ns.or((lag > 0).then_some(lag));
        trace.queue_ns = Some((now - due).saturating_sub(lag));
    }
}

/// A connection made before time zero, where it leads, and what is known of its making.
#[derive(Debug)]
pub struct Opened<C> {
    connection: Option<(Arc<Origin>, C)>,
    trace: Trace,
}

/// Opens so many connections at once, to the servers that the first requests go to. Those that cannot be had in time are left to the requests that will need them.
pub async fn open<T: Timer, E: Engine<T>>(
    timer: T,
    engine: Rc<E>,
    source: &Source,
    slots: usize,
) -> Vec<Opened<E::Connection>> {
    let mut tasks = JoinSet::new();
    for slot in 0..slots {
        let (timer, engine, origin) = (timer.clone(), Rc::clone(&engine), Arc::clone(source.origin(slot)));
        tasks.spawn_local(async move {
            let mut trace = Trace::default();
            let connecting = tokio::time::timeout(OPENING, engine.connect(&origin, &timer, &mut trace)).await;
            let connection = connecting.ok().and_then(Result::ok).map(|connection| (origin, connection));
            if connection.is_none() {
                trace = Trace::default();
            }
            Opened { connection, trace }
        });
    }
    tasks.join_all().await
}

/// Drives one connection per slot to the end of the run and reports. Returns when the connections may be closed.
pub async fn run<T: Timer, A: Alarm, E: Engine<T>>(
    time: (T, A),
    engine: Rc<E>,
    orders: Orders,
    link: Link,
    opened: Vec<Opened<E::Connection>>,
) {
    let (timer, alarm) = time;
    let recorder = RefCell::new(Recorder::new(orders.zero, orders.end));
    let tally = RefCell::new(Tally::new(orders.source.names().len(), orders.watch.checks.len()));
    let mut phase = link.phase.clone();
    let rows = orders.rows.clone().map(|feed| Batch::new(feed, link.worker, orders.zero));
    // Where there is no warm-up, everything since the thread began counts.
    let cpu_before = Cell::new((orders.zero == 0).then_some((0, 0)));
    let shared = Rc::new(Shared {
        timer,
        alarm,
        engine,
        orders,
        recorder,
        tally,
        rows,
        link,
        last_end: Cell::default(),
        overslept: Cell::default(),
        cpu_before,
    });
    let slot = |number| Rc::new(Slot { number, ..Slot::default() });
    let slots: Vec<Rc<Slot>> = (0..opened.len()).map(slot).collect();
    let mut tasks = JoinSet::new();
    for (slot, Opened { connection, trace }) in slots.iter().zip(opened) {
        shared.recorder.borrow_mut().record_connection(&trace);
        let pool = Pool::of(connection);
        tasks.spawn_local(drive(Rc::clone(&shared), Rc::clone(slot), pool));
    }
    // Kept open until every worker is done: closing them earlier would free places in a server with a connection
    // limit, and let requests be answered that during the run were starved.
    let mut connections = Vec::with_capacity(slots.len());
    finish(&shared, &slots, &mut tasks, &mut connections).await;
    shared.report(&slots);
    let _ = phase.wait_for(|phase| *phase == Phase::Closing).await;
    drop(connections);
}

/// Slots without connections: the closed model makes them when they are needed.
pub fn unopened<C>(slots: usize) -> Vec<Opened<C>> {
    (0..slots).map(|_| Opened { connection: None, trace: Trace::default() }).collect()
}

/// Waits until all slots are through, keeping their connections. When the drain or the grace ends, they give up.
async fn finish<T: Timer, A: Alarm, E: Engine<T>>(
    shared: &Rc<Shared<T, A, E>>,
    slots: &[Rc<Slot>],
    tasks: &mut JoinSet<Pool<E::Connection>>,
    connections: &mut Vec<Pool<E::Connection>>,
) {
    let mut phase = shared.link.phase.clone();
    let timer = &shared.timer;
    let mut give_up = shared.orders.end.map(|end| end.saturating_add(shared.orders.drain));
    let mut warmup_end = Some(shared.orders.zero).filter(|zero| *zero > 0);
    let mut stopping = false;
    let mut next_turn = SECOND;
    // Nothing is left to be sent, but the schedule is not over: it may end with a pause.
    let mut idle = false;
    loop {
        if idle && (stopping || shared.is_over()) {
            return;
        }
        let end = shared.orders.end.filter(|_| idle);
        let wake = [give_up, end, warmup_end].into_iter().flatten().fold(next_turn, Nanos::min);
        tokio::select! {
            biased;
            changed = phase.wait_for(|phase| *phase != Phase::Running), if !stopping => {
                // An error means that the collecting thread is gone, and with it any use of going on.
                drop(changed);
                stopping = true;
                shared.orders.schedule.stop();
                for slot in slots.iter().filter(|slot| slot.waiting.get()) {
                    slot.give_up.raise();
                }
                let now = timer.now();
                shared.recorder.borrow_mut().close_window(now);
                give_up = Some(give_up.map_or(now + INTERRUPT_GRACE, |end| end.min(now + INTERRUPT_GRACE)));
            }
            joined = tasks.join_next(), if !idle => match joined {
                // A slot that panicked lost its request: the account will not balance, and the run says so.
                Some(connection) => connections.extend(connection.ok()),
                None => idle = true,
            },
            () = timer.until(wake) => {
                let now = timer.now();
                if warmup_end.is_some_and(|end| now >= end) {
                    warmup_end = None;
                    shared.cpu_before.set(crate::machine::thread_cpu());
                }
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
async fn drive<T: Timer, A: Alarm, E: Engine<T>>(
    shared: Rc<Shared<T, A, E>>,
    slot: Rc<Slot>,
    mut pool: Pool<E::Connection>,
) -> Pool<E::Connection> {
    let Shared { timer, alarm, engine, orders, .. } = &*shared;
    let mut limit = TimeLimit::new(timer);
    let mut now = timer.now();
    let (mut ticks, mut failed) = (Ticks::default(), false);
    loop {
        if failed {
            // It may have failed without waiting for anything, and may again: the others must have their turn.
            tokio::task::consume_budget().await;
            now = timer.now();
        }
        if let Some(moment) = ticks.next(orders, now) {
            if slot.wait(&mut limit, alarm.at(timer.instant(moment))).await == Waited::GivenUp {
                return pool;
            }
            now = timer.now();
        }
        let Some(turn) = orders.schedule.take(now) else { return pool };
        let due = turn.due;
        let mut trace = Trace::default();
        if due > now {
            if slot.wait(&mut limit, alarm.at(timer.instant(due))).await == Waited::GivenUp {
                orders.schedule.give_back(turn);
                return pool;
            }
            now = timer.now();
            trace.lag_ns = Some(now - due);
            shared.overslept.set(shared.overslept.get().wake(due, now));
        }
        if orders.model == Model::Open {
            shared.overslept.get().charge(&mut trace, due, now);
            slot.late.set(slot.late.get() + u64::from(!turn.is_warmup && orders.is_late(now)));
        }
        slot.sent.set(slot.sent.get() + u64::from(!turn.is_warmup));
        let place = orders.source.choose(turn.number);
        let request = orders.source.request(place);
        let start = now;
        let exchange = exchange(&**engine, &mut pool, (orders, request), timer, &mut trace);
        let deadline = orders.timeout.map(|timeout| timer.instant(now.saturating_add(timeout)));
        let result = limit.run(deadline, &slot.give_up, exchange).await;
        now = timer.now();
        let late = orders.is_over_time(start, trace.last_read.unwrap_or(now));
        let (outcome, answer) = outcome(result, late);
        failed = answer.is_none();
        if turn.is_warmup {
            shared.warm(&outcome, &trace);
            continue;
        }
        let end = answer.as_ref().and(trace.last_read).unwrap_or(now);
        slot.answered.set(slot.answered.get() + u64::from(answer.is_some()));
        let mut sample = Sample { begin: due, end, outcome, check_failed: false, trace: &trace };
        if let Some(answer) = answer.filter(|answer| answer.kept.is_some()) {
            sample.check_failed = shared.look(request, &answer, end);
            // Looking takes time that belongs to no request.
            now = timer.now();
        }
        shared.record(place, &sample);
        if let Some(rows) = &shared.rows {
            rows.push(&sample, start, slot.number);
        }
    }
}

/// How a request ended. `late`: when it ended its time was over, which the runtime's timers, a millisecond coarse, may
/// not have said yet.
fn outcome(result: Waited<Result<Answer, Failure>>, late: bool) -> (Outcome, Option<Answer>) {
    match result {
        Waited::Done(Ok(_)) if late => (Outcome::TimedOut, None),
        Waited::Done(Ok(answer)) => (Outcome::Answered(answer.status), Some(answer)),
        Waited::Done(Err(failure)) => (Outcome::Failed(failure), None),
        Waited::Limit => (Outcome::TimedOut, None),
        Waited::GivenUp => (Outcome::Aborted, None),
    }
}

/// The ticks of one connection in the paced closed model.
#[derive(Debug, Default)]
struct Ticks {
    /// Ticks used or lost.
    past: u64,
}

impl Ticks {
    /// When the connection may go on, if it is not now: as from a channel of one tick that a ticker fills.
    fn next(&mut self, orders: &Orders, now: Nanos) -> Option<Nanos> {
        let Model::Closed { tick: Some(tick) } = orders.model else { return None };
        let passed = now / tick;
        if passed > self.past {
            self.past = passed;
            return None;
        }
        self.past += 1;
        let moment = self.past.saturating_mul(tick);
        Some(orders.end.map_or(moment, |end| end.min(moment)))
    }
}

/// Sends one request, and those that redirects make of it.
async fn exchange<T: Timer, E: Engine<T>>(
    engine: &E,
    pool: &mut Pool<E::Connection>,
    (orders, request): (&Orders, &Request),
    timer: &T,
    trace: &mut Trace,
) -> Result<Answer, Failure> {
    let mut redirected: Option<Request> = None;
    loop {
        let request = redirected.as_ref().unwrap_or(request);
        let mut answer = travel(engine, pool, request, timer, trace).await?;
        match redirect::next(request, &mut answer, trace.redirects, orders.redirects)? {
            Some(next) => redirected = Some(next),
            None => return Ok(answer),
        }
        trace.follow();
    }
}

/// Sends one request over the slot's connection to its origin, making one where there is none that can carry it.
async fn travel<T: Timer, E: Engine<T>>(
    engine: &E,
    pool: &mut Pool<E::Connection>,
    request: &Request,
    timer: &T,
    trace: &mut Trace,
) -> Result<Answer, Failure> {
    let mut kept = pool.take(&request.origin);
    let opened = trace.opened;
    let is_stale = kept.as_mut().is_some_and(|kept| kept.connection.is_stale());
    if is_stale {
        kept = None;
    }
    let mut connection = match kept {
        Some(kept) => {
            trace.reused |= kept.used && trace.redirects == 0;
            kept.connection
        }
        // Boxed, because it is large and rare, and this future is made anew for each request.
        None => Box::pin(engine.connect(&request.origin, timer, trace)).await?,
    };
    // Of several slots that shared it, one replaces it.
    trace.reopened |= is_stale && trace.opened > opened;
    // A connection that fails, or is waited for in vain, is not put back.
    let answer = connection.send(request, timer, trace).await?;
    if connection.is_reusable() {
        pool.put(&request.origin, connection);
    }
    Ok(answer)
}

/// The connections of one slot: one per origin, so that no request ever goes to another server than its own.
#[derive(Debug)]
pub struct Pool<C>(Vec<Kept<C>>);

/// A connection that waits for the next request.
#[derive(Debug)]
struct Kept<C> {
    origin: Arc<Origin>,
    connection: C,
    /// Whether it has carried a request before.
    used: bool,
}

impl<C> Pool<C> {
    /// A pool with what was opened before time zero.
    fn of(opened: Option<(Arc<Origin>, C)>) -> Self {
        let kept = |(origin, connection)| Kept { origin, connection, used: false };
        Self(opened.map(kept).into_iter().collect())
    }

    fn take(&mut self, origin: &Arc<Origin>) -> Option<Kept<C>> {
        let is_there = |kept: &Kept<C>| Arc::ptr_eq(&kept.origin, origin) || kept.origin == *origin;
        let place = self.0.iter().position(is_there)?;
        Some(self.0.swap_remove(place))
    }

    /// Keeps a connection that has carried a request.
    fn put(&mut self, origin: &Arc<Origin>, connection: C) {
        if self.0.len() == POOLED_ORIGINS {
            self.0.remove(0);
        }
        self.0.push(Kept { origin: Arc::clone(origin), connection, used: true });
    }
}

impl<T: Timer, A, E> Shared<T, A, E> {
    /// Whether the run may end when nothing is left to be sent: a closed one at once, an open one with its schedule.
    fn is_over(&self) -> bool {
        self.orders.model != Model::Open || self.orders.end.is_none_or(|end| self.timer.now() >= end)
    }

    fn record(&self, place: usize, sample: &Sample<'_>) {
        self.last_end.set(self.last_end.get().max(sample.end));
        self.turn(sample.end);
        self.recorder.borrow_mut().record(sample);
        let source = &self.orders.source;
        if !source.names().is_empty() {
            self.tally.borrow_mut().add_named(source.name(place), sample);
        }
    }

    /// Looks at an answer of which something was kept. Says whether it fails a check.
    fn look(&self, request: &Request, answer: &Answer, end: Nanos) -> bool {
        let at = end.saturating_sub(self.orders.zero);
        self.tally.borrow_mut().look(&self.orders.watch, request, answer, at)
    }

    /// A request of the warm-up is over: it is counted, and recorded nowhere.
    fn warm(&self, outcome: &Outcome, trace: &Trace) {
        let (sent, ok) = &mut self.tally.borrow_mut().warmup;
        *sent += 1;
        *ok += u64::from(matches!(outcome, Outcome::Answered(status) if *status < 400));
        self.recorder.borrow_mut().record_warmup(trace);
    }

    /// Hands the current interval over when its second is past.
    fn turn(&self, now: Nanos) {
        let mut recorder = self.recorder.borrow_mut();
        if recorder.is_over(now) {
            let empty = self.link.emptied.try_recv().unwrap_or_default();
            let interval = recorder.turn(now, empty);
            // A collecting thread that is gone needs no more intervals.
            let _ = self.link.intervals.send(Message::Interval { worker: self.link.worker, interval });
            if let Some(rows) = &self.rows {
                rows.turn(now);
            }
        }
    }

    fn report(&self, slots: &[Rc<Slot>]) {
        if let Some(rows) = &self.rows {
            rows.finish();
        }
        let worker = self.link.worker;
        let last = self.recorder.replace(Recorder::new(0, None)).finish();
        let slots = slots
            .iter()
            .map(|slot| SlotReport {
                sent: slot.sent.get(),
                answered: slot.answered.get(),
                late: slot.late.get(),
            })
            .collect();
        // Of a run that ended in its warm-up, nothing was used after it.
        let now = crate::machine::thread_cpu();
        let cpu = now
            .zip(self.cpu_before.get().or(now))
            .map(|((used, waited), before)| (used.saturating_sub(before.0), waited.saturating_sub(before.1)));
        let done = Message::Done {
            worker,
            slots,
            last_end: self.last_end.get().saturating_sub(self.orders.zero),
            tally: Box::new(self.tally.take()),
            cpu,
        };
        let _ = self.link.intervals.send(Message::Interval { worker, interval: last });
        let _ = self.link.intervals.send(done);
    }
}

#[cfg(test)]
#[path = "worker_tests.rs"]
pub(crate) mod tests;
