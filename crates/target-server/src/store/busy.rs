//! How is the write lock waited for?

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::Connection;

use crate::clock;
use crate::config::value::Time;

/// What happens between two attempts to get the write lock. SQLite has no queue for it: who asks at the right moment wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    /// SQLite's own: pauses of 1, 2, 5, 10, 15, 20, 25, 25, 25, 50, 50 and then always 100 ms. The longer somebody has
    /// waited, the more rarely he asks.
    Sqlite,
    /// The same pause each time, more than zero.
    Fixed(Duration),
}

impl FromStr for Busy {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "sqlite" {
            return Ok(Self::Sqlite);
        }
        let pause = text.strip_prefix("fixed:").and_then(|time| time.parse::<Time>().ok());
        let pause = pause.map(|time| time.0).filter(|pause| !pause.is_zero());
        pause.map(Self::Fixed).ok_or("neither sqlite nor fixed:TIME like fixed:1ms")
    }
}

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite => f.write_str("sqlite"),
            Self::Fixed(pause) => write!(f, "fixed:{}", Time(*pause)),
        }
    }
}

/// How often the lock was asked for in vain; only a fixed pause is counted.
pub(super) type Retries = Arc<AtomicU64>;

/// Makes a connection wait like that for `timeout` at most. Whatever sets a busy timeout afterwards, a pragma too, would
/// undo it.
pub(super) fn set(
    connection: &mut Connection,
    busy: Busy,
    timeout: Duration,
    retries: &Retries,
) -> rusqlite::Result<()> {
    let Busy::Fixed(pause) = busy else { return connection.busy_timeout(timeout) };
    let retries = Arc::clone(retries);
    let mut since = clock::now();
    connection.busy_handler(Some(move |attempts| {
        let now = clock::now();
        if attempts == 0 {
            since = now;
        }
        let left = timeout.saturating_sub(now.saturating_duration_since(since));
        if left.is_zero() {
            return false;
        }
        retries.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(pause.min(left));
        true
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_typed_as_it_is_told() {
        for text in ["sqlite", "fixed:1ms", "fixed:250us", "fixed:2s"] {
            assert_eq!(text.parse::<Busy>().unwrap().to_string(), text);
        }
        for wrong in ["", "fixed", "fixed:", "fixed:0", "fixed:1", "1ms", "Sqlite", "fixed:2h"] {
            assert!(wrong.parse::<Busy>().is_err(), "{wrong}");
        }
    }

    /// A database that somebody else has locked, and a connection that waits for it.
    fn locked(folder: &tempfile::TempDir, pause: u64, timeout: u64) -> (Connection, Connection, Retries) {
        let path = folder.path().join("x.db");
        let holder = Connection::open(&path).unwrap();
        holder.execute_batch("BEGIN IMMEDIATE").unwrap();
        let mut waiter = Connection::open(path).unwrap();
        let retries = Retries::default();
        let busy = Busy::Fixed(Duration::from_millis(pause));
        set(&mut waiter, busy, Duration::from_millis(timeout), &retries).unwrap();
        (holder, waiter, retries)
    }

    #[test]
    fn a_fixed_pause_is_kept_until_the_timeout_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let (_holder, waiter, retries) = locked(&folder, 20, 210);
        // Each wait has its own beginning.
        for round in 1..=2 {
            let before = clock::now();
            let error = waiter.execute_batch("BEGIN IMMEDIATE").unwrap_err();
            let waited = clock::now() - before;
            assert_eq!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::DatabaseBusy));
            assert!(waited >= Duration::from_millis(210), "{waited:?}");
            // Ten whole pauses and the rest, or fewer on a busy machine, on which pauses last longer.
            let attempts = retries.load(Ordering::Relaxed);
            assert!((2..=11 * round).contains(&attempts), "{attempts}");
        }
    }

    #[test]
    fn a_lock_that_is_released_is_found_at_the_next_attempt() {
        let folder = tempfile::tempdir().unwrap();
        let (holder, waiter, retries) = locked(&folder, 1, 60_000);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(move || waiter.execute_batch("BEGIN IMMEDIATE"));
            while retries.load(Ordering::Relaxed) < 20 {
                std::thread::yield_now();
            }
            holder.execute_batch("ROLLBACK").unwrap();
            waiting.join().unwrap().unwrap();
        });
    }
}
