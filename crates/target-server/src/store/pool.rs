//! One transaction per request, by a fixed number of threads, each with its own connection.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{Database, KeepError, Row, StoreError, sqlite};
use crate::stats::Stats;

/// The threads and what they have before them.
#[derive(Debug)]
pub struct Pool {
    queue: Arc<Queue>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Job {
    row: Row,
    reply: oneshot::Sender<Result<(), KeepError>>,
}

impl Pool {
    /// Opens `threads` connections to a prepared database and starts their threads.
    pub(super) fn start(database: &Database, threads: u16, stats: &Arc<Stats>) -> Result<Self, StoreError> {
        let pool = Self { queue: Arc::default(), threads: Mutex::default() };
        for number in 1..=threads {
            let connection = sqlite::connect(database)?;
            let (queue, stats) = (Arc::clone(&pool.queue), Arc::clone(stats));
            let thread = std::thread::Builder::new()
                .name(format!("store-{number}"))
                .spawn(move || work(&queue, &connection, &stats))
                .map_err(StoreError::Thread)?;
            lock(&pool.threads).push(thread);
        }
        Ok(pool)
    }

    pub(super) async fn keep(&self, row: Row) -> Result<(), KeepError> {
        let (reply, answer) = oneshot::channel();
        self.queue.push(Job { row, reply })?;
        answer.await.unwrap_or(Err(KeepError::Closed))
    }

    pub(super) fn finish(&self) {
        self.queue.close();
        for thread in lock(&self.threads).drain(..) {
            // A thread that panicked has nothing left to say here.
            let _ = thread.join();
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// What one thread does all its life. It works off the queue even after that is closed.
fn work(queue: &Queue, connection: &Connection, stats: &Stats) {
    while let Some(job) = queue.pop() {
        let kept = sqlite::insert(connection, &job.row);
        if kept.is_ok() {
            stats.row();
        }
        // Whoever asked may have hung up meanwhile; the row is kept all the same.
        let _ = job.reply.send(kept.map_err(KeepError::from));
    }
}

/// First in, first out, without a bound: as many requests wait here as clients are connected, as in waitress.
#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Queue {
    fn push(&self, job: Job) -> Result<(), KeepError> {
        let mut state = lock(&self.state);
        if state.closed {
            return Err(KeepError::Closed);
        }
        state.jobs.push_back(job);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// The next job; waits for one. `None` when the queue is closed and empty.
    fn pop(&self) -> Option<Job> {
        let state = lock(&self.state);
        let wait = self.changed.wait_while(state, |state| state.jobs.is_empty() && !state.closed);
        wait.unwrap_or_else(PoisonError::into_inner).jobs.pop_front()
    }

    fn close(&self) {
        lock(&self.state).closed = true;
        self.changed.notify_all();
    }
}

/// Nothing that holds these locks can leave them half changed, so a panic elsewhere does not matter.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Store, Synchronous};
    use std::time::Duration;

    fn database(folder: &tempfile::TempDir) -> Database {
        let path = folder.path().join("requests.db");
        Database { path, synchronous: Synchronous::Normal, busy_timeout: Duration::from_secs(10) }
    }

    fn row(uri: &str) -> Row {
        let uri = uri.parse().unwrap();
        let peer = std::net::IpAddr::from([192, 0, 2, 1]);
        Row { method: http::Method::POST, uri, content_length: 5, remote_addr: Some(peer.into()) }
    }

    #[tokio::test]
    async fn a_row_says_what_was_asked() {
        let folder = tempfile::tempdir().unwrap();
        let stats = Arc::new(Stats::default());
        let store = Store::pool(&database(&folder), 2, &stats).unwrap();
        let before = crate::clock::unix_seconds();
        store.keep(row("/a%20b?c=d")).await.unwrap();
        store.keep(row("http://example.org/x")).await.unwrap();
        let reader = Connection::open(database(&folder).path).unwrap();
        let read = |id: i64| {
            let sql =
                "SELECT method, path, content_length, remote_addr, timestamp FROM requests WHERE id = ?1";
            reader
                .query_row(sql, [id], |row| {
                    let text: (String, String, i64, String) =
                        (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
                    Ok((text, row.get::<_, f64>(4)?))
                })
                .unwrap()
        };
        let ((method, path, length, client), timestamp) = read(1);
        assert_eq!((&*method, &*path, length, &*client), ("POST", "/a%20b?c=d", 5, "192.0.2.1"));
        assert!(timestamp >= before && timestamp < before + 60.0);
        assert_eq!(read(2).0.1, "/x");
        assert_eq!(stats.counts().rows, 2);
    }

    #[tokio::test]
    async fn a_failed_row_is_an_error_and_the_next_one_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let stats = Arc::new(Stats::default());
        let store = Store::pool(&database(&folder), 1, &stats).unwrap();
        let other = Connection::open(database(&folder).path).unwrap();
        other
            .execute_batch(
                "CREATE TRIGGER picky BEFORE INSERT ON requests WHEN NEW.path = '/bad'
                 BEGIN SELECT RAISE(FAIL, 'no thanks'); END",
            )
            .unwrap();
        let error = store.keep(row("/bad")).await.unwrap_err().to_string();
        assert_eq!(error, "the request could not be recorded: no thanks");
        store.keep(row("/good")).await.unwrap();
        assert_eq!(stats.counts().rows, 1);
        assert!(other.is_autocommit());
        assert_eq!(
            other.query_row("SELECT count(*) FROM requests", [], |row| row.get::<_, i64>(0)).unwrap(),
            1
        );
    }

    #[tokio::test]
    async fn a_lock_that_is_not_released_fails_after_the_busy_timeout() {
        let folder = tempfile::tempdir().unwrap();
        let mut database = database(&folder);
        database.busy_timeout = Duration::from_millis(20);
        let store = Store::pool(&database, 1, &Arc::default()).unwrap();
        let other = Connection::open(&database.path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let error = store.keep(row("/")).await.unwrap_err().to_string();
        assert_eq!(error, "the request could not be recorded: database is locked");
        other.execute_batch("ROLLBACK").unwrap();
        store.keep(row("/")).await.unwrap();
    }

    #[tokio::test]
    async fn finishing_commits_what_is_queued_and_refuses_what_comes_later() {
        let folder = tempfile::tempdir().unwrap();
        let stats = Arc::new(Stats::default());
        let store = Store::pool(&database(&folder), 1, &stats).unwrap();
        let Store::Pool(pool) = &store else { unreachable!() };
        for _ in 0..100 {
            let (reply, _) = oneshot::channel();
            pool.queue.push(Job { row: row("/"), reply }).unwrap();
        }
        store.finish();
        assert_eq!(stats.counts().rows, 100);
        assert!(matches!(store.keep(row("/")).await, Err(KeepError::Closed)));
        assert!(!database(&folder).path.with_extension("db-wal").exists(), "the last one out checkpoints");
    }
}
