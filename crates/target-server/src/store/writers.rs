//! Threads that write, each with its own connection: one transaction for whatever a thread takes up at a time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread::JoinHandle;
use std::time::Instant;

use rusqlite::Connection;
use tokio::sync::{Notify, mpsc, oneshot};

use super::busy::Retries;
use super::checkpoint::Log;
use super::figures::{Counters, Figures};
use super::place::Place;
use super::queue::{Job, Queue, lock};
use super::sqlite::{self, Failure, SetUp, Spans};
use super::{Busy, Checkpoints, Database, KeepError, Kept, Row, StoreError};
use crate::clock;
use crate::stats::{Cause, Stats, Trouble};
use crate::words::counted;

/// The threads and what they have before them.
#[derive(Debug)]
pub struct Writers {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    checkpoints: Mutex<Option<JoinHandle<()>>>,
    /// For attempts to commit, while the threads fail to. Absent when the store is closed.
    prover: Mutex<Option<Connection>>,
    busy: Busy,
    set_up: SetUp,
}

/// How many threads there are, and what they may take up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crew {
    /// As it is typed.
    pub(super) name: &'static str,
    /// How many.
    pub(super) threads: u16,
    /// Rows that one transaction may have.
    pub(super) batch_max: usize,
    /// Rows that may wait; 0 is no bound.
    pub(super) queue_max: usize,
}

#[derive(Debug)]
struct Shared {
    place: Place,
    crew: Crew,
    queue: Queue,
    /// Something is queued.
    queued: Arc<Notify>,
    /// A thread has ended before its time.
    is_broken: AtomicBool,
    counters: Counters,
    retries: Retries,
    /// Absent where SQLite makes the checkpoints.
    log: Option<Arc<Log>>,
    stats: Arc<Stats>,
}

/// What became of the rows of one transaction.
type Answers = Vec<(oneshot::Sender<Result<Kept, KeepError>>, Result<Kept, KeepError>)>;

/// One transaction, tried.
#[derive(Debug)]
struct Tried {
    /// When its rows were taken up.
    taken: Instant,
    outcome: Result<Spans, Failure>,
}

impl Writers {
    /// Opens connections to a prepared database and starts their threads. Call it within the runtime that asks for rows.
    pub(super) fn start(database: &Database, crew: Crew, stats: &Arc<Stats>) -> Result<Self, StoreError> {
        let retries = Retries::default();
        let connect = |_| sqlite::connect(database, &retries);
        let mut connections = (0..crew.threads).map(connect).collect::<Result<Vec<_>, _>>()?;
        let set_up = sqlite::read_back(&connections[0], database)?;
        let prover = sqlite::connect_prover(database)?;
        let log = match database.checkpoints {
            Checkpoints::Auto => None,
            Checkpoints::Background { wal_max } => Some(Arc::new(Log::new(wal_max, set_up.page_size()))),
        };
        if let Some(log) = &log {
            connections.iter_mut().try_for_each(|connection| sqlite::watch(connection, database, log))?;
        }
        let (queue, counters) = (Queue::new(crew.queue_max), Counters::default());
        let (place, stats) = (Place::of(&database.path), Arc::clone(stats));
        let writers = Self {
            shared: Arc::new(Shared {
                place,
                crew,
                queue,
                queued: Arc::default(),
                is_broken: AtomicBool::new(false),
                counters,
                retries,
                log,
                stats,
            }),
            threads: Mutex::default(),
            checkpoints: Mutex::default(),
            prover: Mutex::new(Some(prover)),
            busy: database.busy,
            set_up,
        };
        writers.spawn(connections, database)?;
        Ok(writers)
    }

    fn spawn(&self, connections: Vec<Connection>, database: &Database) -> Result<(), StoreError> {
        let (answers, given) = mpsc::unbounded_channel();
        tokio::spawn(answer(given));
        tokio::spawn(wake(Arc::downgrade(&self.shared), Arc::clone(&self.shared.queued)));
        for (number, connection) in (1..).zip(connections) {
            let (shared, answers) = (Arc::clone(&self.shared), answers.clone());
            let name = format!("store-{number}");
            lock(&self.threads).push(thread(name, move || shared.work(&connection, &answers))?);
        }
        if self.shared.log.is_some() {
            let (connection, shared) = (sqlite::connect_checkpointer(database)?, Arc::clone(&self.shared));
            let work = move || {
                if let Some(log) = &shared.log {
                    log.work(&connection, &shared.counters, &shared.stats.troubles);
                }
            };
            *lock(&self.checkpoints) = Some(thread("checkpoints".to_owned(), work)?);
        }
        Ok(())
    }

    pub(super) async fn keep(&self, row: Row) -> Result<Kept, KeepError> {
        let (reply, answer) = oneshot::channel();
        let pushed = self.shared.queue.push(Job { row, since: clock::now(), reply });
        pushed.inspect_err(|error| match error {
            KeepError::Full(_) => self.shared.full(),
            _ => self.shared.closed(1),
        })?;
        self.shared.queued.notify_one();
        answer.await.unwrap_or(Err(KeepError::Closed))
    }

    pub(super) fn finish(&self) {
        self.shared.queue.close();
        let writing: Vec<_> = lock(&self.threads).drain(..).collect();
        for thread in writing {
            // A thread that panicked has nothing left to say here.
            let _ = thread.join();
        }
        self.shared.log.iter().for_each(|log| log.stop());
        if let Some(thread) = lock(&self.checkpoints).take() {
            let _ = thread.join();
        }
        *lock(&self.prover) = None;
    }

    /// Whether the files are where they were. No longer asked once all is finished: the prover is the last connection to be
    /// closed, and with the last one SQLite itself deletes the log.
    pub(super) fn check(&self) -> bool {
        let is_kept = self.shared.place.is_kept() || lock(&self.prover).is_none();
        if !is_kept {
            let gone = KeepError::Gone(self.shared.place.path().into());
            self.shared.troubled(Trouble::DatabaseGone, 0, &gone);
        }
        is_kept
    }

    pub(super) fn prove(&self) {
        let troubles = &self.shared.stats.troubles;
        if !self.check() || !troubles.wants_proof() {
            return;
        }
        let proven = lock(&self.prover).as_ref().map(sqlite::prove);
        match proven {
            Some(Ok(())) if self.shared.place.is_kept() => troubles.committed(),
            Some(_) => troubles.confirmed(),
            None => {}
        }
    }

    /// The database's file.
    #[cfg(test)]
    pub(super) fn path(&self) -> &std::path::Path {
        self.shared.place.path()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.shared.queue.is_closed()
    }

    pub(super) fn waiting(&self) -> usize {
        self.shared.queue.lengths().0
    }

    pub(super) fn reset(&self) {
        self.shared.counters.reset();
        self.shared.queue.forget_longest();
        self.shared.retries.store(0, Ordering::Relaxed);
    }

    pub(super) fn figures(&self) -> Figures {
        let Shared { place, crew, queue, counters, retries, log, .. } = &*self.shared;
        let wal_bytes = place.log_bytes();
        counters.wal_seen(wal_bytes.unwrap_or(0));
        let figures = counters.figures();
        let is_counted = self.busy != Busy::Sqlite;
        let (queue, queue_longest) = queue.lengths();
        Figures {
            store: crew.name.to_owned(),
            queue,
            queue_longest,
            queue_max: Some(crew.queue_max).filter(|max| *max > 0),
            wal_bytes,
            sqlite: Some(rusqlite::version().to_owned()),
            autoincrement: Some(self.set_up.autoincrement),
            pragmas: self.set_up.pragmas.clone(),
            busy_retries: is_counted.then(|| retries.load(Ordering::Relaxed)),
            checkpoints: figures.checkpoints.filter(|_| log.is_some()),
            checkpoints_failed: figures.checkpoints_failed.filter(|_| log.is_some()),
            ..figures
        }
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        self.shared.queue.close();
        self.shared.queued.notify_one();
        self.shared.log.iter().for_each(|log| log.stop());
    }
}

fn thread(name: String, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    std::thread::Builder::new().name(name).spawn(work).map_err(StoreError::Thread)
}

/// Wakes threads for what is queued. This comes to its turn after all that was ready when the first row was queued, so
/// that a group takes up the rows of one round of the runtime together, without anybody waiting by the clock; and so that
/// the threads of a pool do not interrupt the round for each of its rows where all share a CPU.
async fn wake(shared: Weak<Shared>, queued: Arc<Notify>) {
    loop {
        queued.notified().await;
        let Some(shared) = shared.upgrade() else { return };
        shared.queue.wake(shared.crew.batch_max);
    }
}

/// Gives answers to those who wait, on the thread on which they wait. Threads that write wake up that one thread once for
/// all that they have done meanwhile, not once for each who waits.
async fn answer(mut given: mpsc::UnboundedReceiver<Answers>) {
    while let Some(answers) = given.recv().await {
        for (reply, outcome) in answers {
            // Whoever asked may have hung up meanwhile; the row is kept all the same.
            let _ = reply.send(outcome);
        }
    }
}

/// What a thread has taken up. However the thread ends, by a panic too, nobody waits for it afterwards.
struct Taken<'a> {
    shared: &'a Shared,
    batch: Vec<Job>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if !self.batch.is_empty() || !self.shared.queue.is_closed() {
            self.shared.is_broken.store(true, Ordering::Release);
        }
        // There is something only when the thread ends too early. Whoever waits for a dropped job is told that the store is
        // closed.
        let left = self.shared.queue.abandon();
        self.shared.closed(left.len() + self.batch.len());
    }
}

impl Shared {
    /// What one thread does all its life. It works off the queue even after that is closed.
    fn work(&self, connection: &Connection, answers: &mpsc::UnboundedSender<Answers>) {
        let mut taken = Taken { shared: self, batch: Vec::new() };
        while self.queue.take(self.crew.batch_max, &mut taken.batch) {
            let outcomes = self.keep(connection, &taken.batch);
            let replies = taken.batch.drain(..).map(|job| job.reply);
            // Nobody is there to be answered when the server did not wait for its end.
            let _ = answers.send(replies.zip(outcomes).collect());
        }
    }

    /// One outcome for each job. When one row of several spoils the transaction, each is tried again in its own, so that
    /// only the guilty fail.
    fn keep(&self, connection: &Connection, batch: &[Job]) -> Vec<Result<Kept, KeepError>> {
        match self.transact(connection, batch) {
            Tried { outcome: Err(failure), .. } if failure.is_of_a_row && batch.len() > 1 => {
                let alone = |job| self.transact(connection, std::slice::from_ref(job));
                batch.iter().flat_map(|job| self.outcomes(std::slice::from_ref(job), alone(job))).collect()
            }
            tried => self.outcomes(batch, tried),
        }
    }

    /// So many rows were not kept.
    fn troubled(&self, trouble: Trouble, rows: usize, error: &KeepError) {
        let cause = || Cause::new(error.to_string().replacen("the request", "requests", 1));
        self.stats.troubles.hit(trouble, rows as u64, cause);
    }

    /// So many rows found the store closed.
    fn closed(&self, rows: usize) {
        self.counters.failed(rows);
        if self.is_broken.load(Ordering::Acquire) {
            let cause = || {
                Cause::new(
                    "requests are not recorded any more: a thread of the store has ended before its time; start the \
                     server anew",
                )
            };
            self.stats.troubles.hit(Trouble::StoreClosed, rows as u64, cause);
        }
    }

    /// A row found the queue full.
    fn full(&self) {
        self.counters.refused();
        let max = self.crew.queue_max;
        let cause = || {
            let wait = counted(max, "row waits", "rows wait");
            Cause::new(format!("requests are answered 503: {wait} for the database already"))
                .with("queue_max", max)
        };
        self.stats.troubles.hit(Trouble::QueueFull, 1, cause);
    }

    /// One transaction with all of them.
    fn transact(&self, connection: &Connection, batch: &[Job]) -> Tried {
        let taken = clock::now();
        self.log.iter().for_each(|log| log.pass());
        let mut outcome = sqlite::insert(connection, batch.iter().map(|job| &job.row), taken);
        if let Ok(Spans { lock, commit }) = outcome {
            let last = batch.iter().map(|job| job.since).max().unwrap_or(taken);
            if !self.place.has_kept(last, taken + lock + commit) {
                outcome = Err(Failure::gone(self.place.path(), lock));
            }
        }
        Tried { taken, outcome }
    }

    /// The same as one outcome for each job, counted here and nowhere else: whether anybody still waits for it does not
    /// matter, and those for whom it takes longest are the first to leave.
    fn outcomes(&self, batch: &[Job], Tried { taken, outcome }: Tried) -> Vec<Result<Kept, KeepError>> {
        let queue = |job: &Job| taken.saturating_duration_since(job.since);
        match outcome {
            Ok(Spans { lock, commit }) => {
                let kept = batch.iter().map(|job| Kept { queue: queue(job), lock, commit });
                self.counters.committed(batch.len());
                self.stats.troubles.committed();
                self.stats.kept(kept.clone());
                kept.map(Ok).collect()
            }
            Err(failure) => {
                self.counters.failed(batch.len());
                self.troubled(failure.trouble, batch.len(), &failure.error);
                self.stats.not_kept(batch.iter().map(queue), failure.lock);
                batch.iter().map(|_| Err(failure.error.clone())).collect()
            }
        }
    }
}
