//! Threads that write, each with its own connection: one transaction for whatever a thread takes up at a time.

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::figures::{Counters, Figures};
use super::queue::{Job, Queue, lock};
use super::sqlite::{self, Failure, SetUp};
use super::{Database, KeepError, Kept, Row, StoreError};
use crate::clock;
use crate::stats::Stats;

/// The threads and what they have before them.
#[derive(Debug)]
pub struct Writers {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
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
    database: Database,
    crew: Crew,
    queue: Queue,
    counters: Counters,
    stats: Arc<Stats>,
}

/// What became of the rows of one transaction.
type Answers = Vec<(oneshot::Sender<Result<Kept, KeepError>>, Result<Kept, KeepError>)>;

impl Writers {
    /// Opens connections to a prepared database and starts their threads. Call it within the runtime that asks for rows.
    pub(super) fn start(database: &Database, crew: Crew, stats: &Arc<Stats>) -> Result<Self, StoreError> {
        let shared = Arc::new(Shared {
            database: database.clone(),
            crew,
            queue: Queue::new(crew.queue_max),
            counters: Counters::default(),
            stats: Arc::clone(stats),
        });
        let set_up = sqlite::read_back(&sqlite::connect(database)?, database)?;
        let writers = Self { shared: Arc::clone(&shared), threads: Mutex::default(), set_up };
        let (answers, given) = mpsc::unbounded_channel();
        tokio::spawn(answer(given));
        for number in 1..=crew.threads {
            let connection = sqlite::connect(database)?;
            let (shared, answers) = (Arc::clone(&shared), answers.clone());
            let thread = std::thread::Builder::new()
                .name(format!("store-{number}"))
                .spawn(move || shared.work(&connection, &answers))
                .map_err(StoreError::Thread)?;
            lock(&writers.threads).push(thread);
        }
        Ok(writers)
    }

    pub(super) async fn keep(&self, row: Row) -> Result<Kept, KeepError> {
        let (reply, answer) = oneshot::channel();
        let pushed = self.shared.queue.push(Job { row, since: clock::now(), reply });
        if let Err(KeepError::Full(_)) = pushed {
            self.shared.counters.refused();
        }
        pushed?;
        answer.await.unwrap_or(Err(KeepError::Closed))
    }

    pub(super) fn finish(&self) {
        self.shared.queue.close();
        for thread in lock(&self.threads).drain(..) {
            // A thread that panicked has nothing left to say here.
            let _ = thread.join();
        }
    }

    pub(super) fn figures(&self) -> Figures {
        let Shared { database, crew, queue, counters, .. } = &*self.shared;
        let wal_bytes = sqlite::wal_bytes(&database.path);
        counters.wal_seen(wal_bytes.unwrap_or(0));
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
            ..counters.figures()
        }
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        self.shared.queue.close();
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

impl Shared {
    /// What one thread does all its life. It works off the queue even after that is closed.
    fn work(&self, connection: &Connection, answers: &mpsc::UnboundedSender<Answers>) {
        let mut batch = Vec::new();
        while self.queue.take(self.crew.batch_max, &mut batch) {
            let outcomes = self.keep(connection, &batch);
            let replies = batch.drain(..).map(|job| job.reply);
            // Nobody is there to be answered when the server did not wait for its end.
            let _ = answers.send(replies.zip(outcomes).collect());
        }
    }

    /// One outcome for each job. When one row of several spoils the transaction, each is tried again in its own, so that
    /// only the guilty fail.
    fn keep(&self, connection: &Connection, batch: &[Job]) -> Vec<Result<Kept, KeepError>> {
        match self.transact(connection, batch) {
            Err(Failure::OfARow(_)) if batch.len() > 1 => {
                let alone = |job| self.transact(connection, std::slice::from_ref(job));
                batch.iter().flat_map(|job| self.outcomes(std::slice::from_ref(job), alone(job))).collect()
            }
            outcome => self.outcomes(batch, outcome),
        }
    }

    /// One transaction with all of them.
    fn transact(&self, connection: &Connection, batch: &[Job]) -> Result<Vec<Kept>, Failure> {
        let taken = clock::now();
        let spans = sqlite::insert(connection, batch.iter().map(|job| &job.row), taken)?;
        let kept = |job: &Job| Kept {
            queue: taken.saturating_duration_since(job.since),
            lock: spans.lock,
            commit: spans.commit,
        };
        Ok(batch.iter().map(kept).collect())
    }

    /// The same as one outcome for each job, counted.
    fn outcomes(&self, batch: &[Job], outcome: Result<Vec<Kept>, Failure>) -> Vec<Result<Kept, KeepError>> {
        match outcome {
            Ok(kept) => {
                self.counters.committed(batch.len());
                batch.iter().for_each(|_| self.stats.row());
                kept.into_iter().map(Ok).collect()
            }
            Err(failure) => {
                self.counters.failed(batch.len());
                let error = KeepError::from(failure);
                batch.iter().map(|_| Err(error.clone())).collect()
            }
        }
    }
}
