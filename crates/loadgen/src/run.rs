//! The story of one run: bring the target up, load it, take it down, say what happened.

mod ask;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use report::document::{
    Account, AssertionRecord, Connections, Ended, Instance, Latencies, RUN_SCHEMA, Run, Verification, Warmup,
    Window, Worker,
};
use report::histogram::Histogram;

pub use self::ask::ask;
use crate::arrival::Stage;
use crate::clock::{self, Nanos, SECOND, nanos};
use crate::collector::Collector;
use crate::engine::dial::{Dialer, TlsError};
use crate::engine::fake::{Behaviour, Fake};
use crate::engine::http1::Http1;
use crate::engine::http2::Http2;
use crate::engine::reqwest::{Reqwest, ReqwestError};
use crate::fleet::{self, Attention, Crew, FleetError, Outcome};
use crate::launch::{self, LaunchError, Program, Remains, Running};
use crate::plan::{Asserted, EngineKind, Load, Model, Open, Plan, Stop, Target, TlsOptions};
use crate::preflight::{self, PreflightError};
use crate::recorder::Interval;
use crate::rows::Feed;
use crate::schedule::{Release, Schedule, closed};
use crate::source::Source;
use crate::usage::Roster;
use crate::verify::{Contents, VerifyError};
use crate::worker::{self, Orders};
use crate::{arrival, conditions, machine, verify};

/// How a person or a service manager ends a run early. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    signal: Arc<AtomicU8>,
    /// For those who only want to know whether.
    pub cancel: Arc<AtomicBool>,
}

/// The signals that end a run early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C.
    Int,
    /// What service managers, containers and `timeout` send.
    Term,
}

impl Interrupt {
    /// A signal came. `false`: it was not the first one.
    pub fn raise(&self, signal: Signal) -> bool {
        let code = match signal {
            Signal::Int => 1,
            Signal::Term => 2,
        };
        self.cancel.store(true, Ordering::Relaxed);
        self.signal.compare_exchange(0, code, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Does nothing for this long, or until a signal comes: then it returns `false`.
    pub fn sleep(&self, pause: Duration) -> bool {
        /// A signal goes unnoticed at most this long.
        const STEP: Duration = Duration::from_millis(50);
        let mut left = pause;
        while self.signal().is_none() && !left.is_zero() {
            std::thread::sleep(left.min(STEP));
            left = left.saturating_sub(STEP);
        }
        self.signal().is_none()
    }

    /// The first signal that came.
    pub fn signal(&self) -> Option<Signal> {
        match self.signal.load(Ordering::Relaxed) {
            1 => Some(Signal::Int),
            2 => Some(Signal::Term),
            _ => None,
        }
    }
}

/// Who looks on while a run goes on.
pub trait Observer {
    /// The load begins now.
    fn begin(&mut self, plan: &Plan);
    /// Called several times a second, with the seconds completed since. Says whether the run goes on.
    fn seconds(&mut self, seconds: &[Interval], collector: &Collector) -> Attention;
    /// How long the requests had waited that fell due and were never sent. They belong to no second.
    fn unsent(&mut self, _unsent: &Histogram) {}
    /// Something happened that a person should know at once.
    fn note(&mut self, note: &str);
    /// The load is over.
    fn end(&mut self);
}

/// Nobody looks on: a run goes on to its end.
#[derive(Debug)]
pub struct Nobody;

impl Observer for Nobody {
    fn begin(&mut self, _plan: &Plan) {}
    fn seconds(&mut self, _seconds: &[Interval], _collector: &Collector) -> Attention {
        Attention::Continue
    }
    fn note(&mut self, _note: &str) {}
    fn end(&mut self) {}
}

/// What a run needs beside its plan.
#[derive(Debug)]
pub struct Context<'a> {
    /// The program that embedded targets are part of.
    pub program: &'a Program,
    /// The name of the machine, where one was given.
    pub machine: Option<&'a str>,
    /// How it is ended early.
    pub interrupt: &'a Interrupt,
    /// What this program is made of, by name.
    pub versions: std::collections::BTreeMap<String, String>,
    /// What the person calls it, by name.
    pub tags: std::collections::BTreeMap<String, String>,
    /// Where every single request is told, if anybody wants to know.
    pub rows: Option<Feed>,
}

/// Why there is no run. Once the load has begun there is always one.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// More connections than files.
    #[error(
        "{connections} connections need {needed} open files, and {allowed} are allowed: raise the limit (`ulimit -n {needed}`) or lower -c"
    )]
    Files {
        /// Connections of the plan.
        connections: usize,
        /// Files needed.
        needed: u64,
        /// Files allowed.
        allowed: u64,
    },
    /// No target.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// What was found out before the load says that it cannot go well.
    #[error(transparent)]
    Preflight(#[from] PreflightError),
    /// The engine cannot carry the request.
    #[error(transparent)]
    Engine(#[from] ReqwestError),
    /// No threads.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// No CPUs of its own.
    #[error("the system does not let loadgen choose its CPUs: {0}; leave cpu_set and the target's cpus out")]
    Cpus(std::io::Error),
    /// A signal came before the load began.
    #[error("interrupted before the load began; nothing was measured")]
    Interrupted(Signal),
}

/// Carries a plan out.
///
/// # Errors
/// When the load could not begin. Nothing is left running then.
pub fn run(plan: &Plan, context: &Context<'_>, observer: &mut dyn Observer) -> Result<Run, RunError> {
    let mut notes: Vec<String> = allow_files(&plan.load)?.into_iter().collect();
    notes.extend(plan.load.mix.as_ref().and_then(|mix| mix.note()));
    let mut dialer = dialer(&plan.load).map_err(PreflightError::Setup)?;
    let started = {
        let _pinned = machine::pin(plan.target.cpus()).map_err(RunError::Cpus)?;
        launch::start(&plan.target, context.program, &context.interrupt.cancel)
    };
    // Looked at first: a start that a signal cut short is no failure of the target.
    if let Some(signal) = context.interrupt.signal() {
        return Err(RunError::Interrupted(signal));
    }
    let mut target = started?;
    dialer.lead_to(target.sockets());
    // From here on everything is the generator, until the load is over.
    let pinned = machine::pin(plan.load.cpu_set.as_ref()).map_err(RunError::Cpus)?;
    let source = Arc::new(plan.source(target.address()));
    let found = preflight::look(&plan.load, &source.origins(), &mut dialer, &context.interrupt.cancel)?;
    if let Some(signal) = context.interrupt.signal() {
        return Err(RunError::Interrupted(signal));
    }
    notes.extend(found.notes);
    let before = verify::rows_before(context.program, &target);
    let (versions, unanswered) = (target.versions(), target.unanswered());
    let conditions = conditions::before();
    observer.begin(plan);
    let aside = Aside { rows: context.rows.clone(), roster: Roster::default() };
    aside.roster.set(target.processes());
    let loaded = load(plan, &source, Arc::new(dialer), &aside, |seconds, collector| {
        let attention = observer.seconds(seconds, collector);
        for died in target.check() {
            observer.note(&died);
            notes.push(died);
        }
        aside.roster.set(target.processes());
        let go_on = context.interrupt.signal().is_none() && !target.is_lost();
        if go_on { attention } else { Attention::Stop }
    });
    drop(pinned);
    let conditions = conditions.after();
    observer.end();
    let (mut outcome, due) = loaded?;
    observer.unsent(&due.unsent);
    let ended = ended(&outcome, context.interrupt, &target);
    let remains = target.stop().having_used(std::mem::take(&mut outcome.usage));
    notes.extend(remains.complaints.iter().cloned());
    let totals = Totals { plan, source: &source, outcome: &outcome, due };
    let (account, warmup) = (totals.account(), outcome.collector.tally.warmup);
    let verification = match before.and_then(|before| verified(plan, context.program, &remains, before)) {
        Ok(found) => found.map(|(contents, committed)| Verification {
            committed,
            ..verify::verification(contents, &account, warmup, unanswered)
        }),
        Err(error) => {
            notes.push(error.to_string());
            verify::lost(&error, &account, warmup)
        }
    };
    let mut run = totals.document(context, account);
    (run.ended, run.instances, run.verification, run.notes) = (ended, remains.instances, verification, notes);
    run.conditions = Some(conditions);
    (run.negotiated, run.same_machine, run.front) = (found.negotiated, found.same_machine, remains.front);
    run.versions.extend(versions);
    run.assertions = plan.assertions.iter().map(|asserted| judge(asserted, &run)).collect();
    Ok(run)
}

/// Makes sure that there may be files enough for the connections. Gives what was done for it, if anything was.
fn allow_files(load: &Load) -> Result<Option<String>, RunError> {
    let connections = load.connections.get() * load.mix.as_ref().map_or(1, |mix| mix.origins.max(1));
    machine::allow_connections(connections).map_err(|(needed, allowed)| RunError::Files {
        connections,
        needed,
        allowed,
    })
}

/// Holds a run that was made earlier against what is asserted of it now.
pub fn judge_again(plan: &Plan, run: &mut Run) {
    run.assertions = plan.assertions.iter().map(|asserted| judge(asserted, run)).collect();
}

/// What the run added to the database of the target, and what its instances say they committed. `None`: there is none.
fn verified(
    plan: &Plan,
    program: &Program,
    remains: &Remains,
    before: u64,
) -> Result<Option<(Contents, Option<u64>)>, VerifyError> {
    let Some(database) = &remains.database else { return Ok(None) };
    let contents = verify::look_into(program, database.path())?.since(before);
    // Of a database that others write too, the instances know their own rows only. In a new one the rows before are theirs.
    let is_own = matches!(plan.target, Target::Embedded(_));
    let committed = verify::committed(&remains.instances).filter(|_| is_own);
    Ok(Some((contents, committed.map(|rows| rows.saturating_sub(before)))))
}

/// Holds the run against what was asserted of it. Of one that was cut short nothing was.
fn judge(asserted: &Asserted, run: &Run) -> AssertionRecord {
    match asserted.skipped.or((run.ended != Ended::Completed).then_some("the run was cut short")) {
        Some(why) => asserted.assertion.skip(why),
        None => asserted.assertion.judge(run),
    }
}

/// What makes the connections. Files that it needs are read before anything is started.
pub(crate) fn dialer(load: &Load) -> Result<Dialer, TlsError> {
    let dialer = Dialer::new(&load.route)?;
    let is_tls = load.url.scheme() == "https" || load.mix.as_ref().is_some_and(|mix| mix.tls);
    if is_tls || load.route.tls != TlsOptions::default() {
        dialer.tls()?;
    }
    Ok(dialer)
}

/// What goes on beside the load.
struct Aside {
    /// Where every single request is told, if anybody wants to know.
    rows: Option<Feed>,
    /// The processes of the target.
    roster: Roster,
}

/// Runs the fleet with the plan's engine. Also gives what fell due.
fn load(
    plan: &Plan,
    source: &Arc<Source>,
    dialer: Arc<Dialer>,
    aside: &Aside,
    attend: impl FnMut(&[Interval], &Collector) -> Attention,
) -> Result<(Outcome, Due), RunError> {
    let load = &plan.load;
    // The workers' clock begins with the warm-up.
    let zero = nanos(load.warmup);
    let end = match load.stop {
        Stop::Requests(_) => None,
        Stop::Duration(duration) => Some(zero.saturating_add(nanos(duration))),
    };
    let (schedule, model) = schedule(load, zero, end);
    let orders = Orders {
        schedule: Arc::new(schedule),
        source: Arc::clone(source),
        watch: Arc::new(load.watch.clone()),
        zero,
        timeout: load.timeout.map(nanos),
        end,
        drain: nanos(load.drain),
        redirects: load.redirects,
        model,
        rows: aside.rows.clone(),
    };
    let (connections, streams) = (load.connections.get(), load.route.streams.get());
    let crew = Crew { workers: load.workers, connections, streams };
    let roster = &aside.roster;
    let mut outcome = match load.engine {
        EngineKind::Http1 => {
            fleet::run(&orders, crew, move || Http1::new(Arc::clone(&dialer)), roster, attend)?
        }
        EngineKind::Http2 => {
            fleet::run(&orders, crew, move || Http2::new(Arc::clone(&dialer), streams), roster, attend)?
        }
        EngineKind::Reqwest => {
            // Made once here, so that a request it cannot carry is refused before anything starts.
            let engine = Reqwest::new(Arc::clone(source), &load.route, &dialer)?;
            fleet::run(&orders, crew, move || engine.clone(), roster, attend)?
        }
        EngineKind::Fake => {
            let script = |_, _| Behaviour::Answer(200, SECOND / 1000);
            fleet::run(&orders, crew, move || Fake::new(script), roster, attend)?
        }
    };
    let unsent = unsent(&mut outcome, &orders);
    Ok((outcome, Due { taken: orders.schedule.taken(), unsent }))
}

/// When requests are due, and for what a connection waits. The warm-up is the same load before `zero`: as many requests as
/// go (closed model), or the first rate of the schedule, with a seed of its own.
fn schedule(load: &Load, zero: Nanos, end: Option<Nanos>) -> (Schedule, worker::Model) {
    match (&load.model, load.stop) {
        // Everything due before the end is sent, late if need be: the schedule ends by itself.
        (Model::Open(Open { stages, arrival, seed }), _) => {
            let later = move |release| match release {
                Release::At(due) => Release::At(due.saturating_add(zero)),
                Release::Now => Release::Now,
            };
            let schedule = Schedule::new(arrival::releases(stages, *arrival, *seed).map(later), None);
            let rate = stages.first().map_or(0.0, |stage| stage.rate);
            let warmup = [Stage { length: zero, rate }];
            let warmup = arrival::releases(&warmup, *arrival, seed.wrapping_add(1));
            (schedule.after(warmup, zero), worker::Model::Open)
        }
        (Model::Closed { rate_per_connection }, stop) => {
            let tick = rate_per_connection
                .map(|rate| nanos(Duration::try_from_secs_f64(1.0 / rate).unwrap_or(Duration::MAX)).max(1));
            let schedule = match stop {
                Stop::Requests(requests) => {
                    let requests = usize::try_from(requests).unwrap_or(usize::MAX);
                    Schedule::new(closed().take(requests), end)
                }
                Stop::Duration(_) => Schedule::new(closed(), end),
            };
            (schedule.after(closed(), zero), worker::Model::Closed { tick })
        }
    }
}

/// Finds what fell due and was never sent, and puts it into the distribution at the time it had waited.
fn unsent(outcome: &mut Outcome, orders: &Orders) -> Histogram {
    let gave_up = match outcome.stopped_at {
        Some(stopped) => stopped.saturating_add(orders.zero),
        None => orders.end.unwrap_or(0).saturating_add(orders.drain),
    };
    let mut unsent = Histogram::new();
    for due in orders.schedule.rest(gave_up) {
        unsent.record(gave_up - due);
    }
    outcome.collector.total.latencies.censored.merge(&unsent);
    unsent
}

fn ended(outcome: &Outcome, interrupt: &Interrupt, target: &Running) -> Ended {
    match (outcome.stopped_at, interrupt.signal()) {
        (Some(_), Some(Signal::Int)) => Ended::Sigint,
        (Some(_), Some(Signal::Term)) => Ended::Sigterm,
        (Some(_), None) if target.is_lost() => Ended::TargetLost,
        (Some(_), None) => Ended::OutputLost,
        (None, _) => Ended::Completed,
    }
}

/// What the schedule says of the run. The slots count what was sent for themselves, and the two must agree.
#[derive(Debug)]
struct Due {
    /// Releases that a slot took.
    taken: u64,
    /// Releases that fell due and that nobody took: how long they had waited.
    unsent: Histogram,
}

/// From what the workers measured to what the document holds.
struct Totals<'a> {
    plan: &'a Plan,
    source: &'a Source,
    outcome: &'a Outcome,
    due: Due,
}

impl Totals<'_> {
    fn account(&self) -> Account {
        let collector = &self.outcome.collector;
        let counts = &collector.total.counts;
        let sent = collector.workers.iter().flat_map(|worker| &worker.slots).map(|slot| slot.sent).sum();
        Account {
            scheduled: self.due.taken + self.due.unsent.count(),
            sent,
            unsent: self.due.unsent.count(),
            ok: counts.ok,
            http_error: counts.http_error,
            failed: counts.failed,
            timeout: counts.timeout,
            aborted: counts.aborted,
            answered_in_window: counts.answered_in_window,
            check_failed: counts.check_failed,
        }
    }

    fn window(&self) -> Window {
        let wall_ns = self.outcome.collector.workers.iter().map(|worker| worker.last_end).max().unwrap_or(0);
        let planned_ns = match self.plan.load.stop {
            Stop::Requests(_) => None,
            Stop::Duration(duration) => Some(nanos(duration)),
        };
        // Waiting for what falls due later, or for nothing, is part of the run too.
        let ran = match (self.outcome.stopped_at, planned_ns) {
            (Some(stopped), _) => stopped,
            (None, planned) => planned.unwrap_or(0),
        };
        let wall_ns = wall_ns.max(ran);
        let measured_ns: Nanos = match (self.outcome.stopped_at, planned_ns) {
            (Some(stopped), planned) => stopped.min(planned.unwrap_or(stopped)),
            (None, Some(planned)) => planned,
            (None, None) => wall_ns,
        };
        Window { planned_ns, measured_ns, wall_ns, drain_limit_ns: nanos(self.plan.load.drain) }
    }

    fn connections(&self) -> Connections {
        let collector = &self.outcome.collector;
        let slots: Vec<_> = collector.workers.iter().flat_map(|worker| &worker.slots).collect();
        let counts = &collector.total.counts;
        Connections {
            slots: slots.len() as u64,
            opened: counts.opened,
            reused: counts.reused,
            reopened: counts.reopened,
            never_answered: slots.iter().filter(|slot| slot.sent > 0 && slot.answered == 0).count() as u64,
            fewest_answers: slots.iter().map(|slot| slot.answered).min().unwrap_or(0),
            most_answers: slots.iter().map(|slot| slot.answered).max().unwrap_or(0),
        }
    }

    fn latencies(&self) -> Latencies {
        let live = &self.outcome.collector.total.latencies;
        Latencies {
            answered: live.answered.to_distribution(),
            censored: live.censored.to_distribution(),
            failed: live.failed.to_distribution(),
            service: live.service.to_distribution(),
            connect: live.connect.to_distribution(),
            dns: live.dns.to_distribution(),
            write: live.write.to_distribution(),
            wait: live.wait.to_distribution(),
            read: live.read.to_distribution(),
            queue: live.queue.to_distribution(),
            lag: live.lag.to_distribution(),
        }
    }

    fn workers(&self) -> Vec<Worker> {
        let workers = self.outcome.collector.workers.iter();
        workers
            .map(|worker| Worker {
                slots: worker.slots.len() as u64,
                sent: worker.slots.iter().map(|slot| slot.sent).sum(),
                answered: worker.slots.iter().map(|slot| slot.answered).sum(),
                cpu_ns: worker.cpu.map(|(cpu, _)| cpu),
                run_queue_ns: worker.cpu.map(|(_, waiting)| waiting),
            })
            .collect()
    }

    fn warmup(&self) -> Option<Warmup> {
        let planned_ns = nanos(self.plan.load.warmup);
        let (sent, ok) = self.outcome.collector.tally.warmup;
        let lasted_ns = self.outcome.short_warmup;
        (planned_ns > 0).then_some(Warmup { planned_ns, lasted_ns, sent, ok })
    }

    fn document(&self, context: &Context<'_>, account: Account) -> Run {
        let Collector { total, tally, .. } = &self.outcome.collector;
        let started = clock::timestamp(self.outcome.collector.started);
        Run {
            schema: RUN_SCHEMA.to_owned(),
            id: format!("{}-{}", started.compact, std::process::id()),
            name: self.plan.name.clone(),
            block: None,
            tags: context.tags.clone(),
            started_at: started.rfc3339,
            ended: Ended::Completed,
            config: self.plan.pairs(),
            overridden: std::collections::BTreeMap::new(),
            plan_key: self.plan.key(),
            machine: machine::observe(context.machine),
            versions: context.versions.clone(),
            window: self.window(),
            account,
            status: total.status.clone(),
            failures: total.failures.clone(),
            latencies: self.latencies(),
            bytes: total.bytes.clone(),
            connections: self.connections(),
            series: self.outcome.collector.series(),
            workers: self.workers(),
            generator: Some(self.outcome.generator.clone()),
            conditions: None,
            instances: Vec::<Instance>::new(),
            front: None,
            verification: None::<Verification>,
            redirects: total.counts.redirects,
            negotiated: None,
            same_machine: None,
            warmup: self.warmup(),
            requests: tally.requests(self.source.names()),
            checks: tally.checks(&self.plan.load.watch),
            assertions: Vec::new(),
            header_values: tally.header_values(&self.plan.load.watch),
            merged: None,
            notes: Vec::new(),
        }
    }
}
