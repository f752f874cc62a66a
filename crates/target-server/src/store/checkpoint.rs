//! Who moves the write-ahead log into the database, when the requests do not?
//!
//! A thread of each instance does, often, and without keeping anybody from writing. Under unbroken writing that alone
//! never lets the log begin anew, so it would grow without end: from half of its bound on the thread also asks for the
//! write lock to begin it anew. Writers learn from their own commits how long the log is, whoever made it so. At three
//! quarters of the bound they wait at a gate until that has happened. Several instances do the same at the same time: all
//! but one find nothing left to do.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, ErrorCode, MAIN_DB};

use super::busy::Retries;
use super::figures::Counters;
use super::queue::lock;
use crate::clock;
use crate::stats::{Cause, Trouble, Troubles};

/// How often the log is moved.
const EVERY: Duration = Duration::from_millis(50);

/// How long the thread tries to begin the log anew at a time. Nobody can write for the last part of it: a reader that does
/// not let go of the log is waited for with the write lock in hand.
pub(super) const PATIENCE: Duration = Duration::from_millis(250);

/// How long before it tries again when another instance is at it.
pub(super) const PAUSE: Duration = Duration::from_millis(1);

/// After it could not begin the log anew, how long it leaves the writers alone.
const EXCUSE: Duration = Duration::from_secs(1);

/// How long a writer waits at the gate, should nobody open it.
const AT_THE_GATE: Duration = Duration::from_secs(2);

/// How often it looks how long the log is, should a writer be in the middle of changing that.
const LOOKS: u32 = 100;

/// Bytes of the write-ahead log before its first frame,
const HEADER: u64 = 32;

/// and of a frame beside its page.
const FRAME_HEADER: u64 = 24;

/// What the writers and the thread that checkpoints tell each other.
#[derive(Debug)]
pub(super) struct Log {
    /// Frames from which on the log is to begin anew,
    soon: u32,
    /// and from which on writers wait for that.
    full: u32,
    state: Mutex<State>,
    /// The thread has something to do.
    called: Condvar,
    /// Writers may go on.
    opened: Condvar,
    /// Writers may not go on. Changes only with the state in hand.
    closed: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    wanted: bool,
    /// Nobody is to be kept waiting.
    excused: bool,
    stop: bool,
}

/// Why the log is let grow for a while: somebody reads from it.
#[derive(Clone, Copy, Debug)]
struct Excuse {
    until: Instant,
    /// How long the log was. When more than this is moved, the reader has gone.
    frames: u32,
}

impl Log {
    /// For a log that is to stay below `wal_max` bytes. The last quarter is room for transactions that have passed the gate.
    pub(super) fn new(wal_max: u64, page_size: u64) -> Self {
        let frames = wal_max.saturating_sub(HEADER) / (page_size + FRAME_HEADER);
        let frames = u32::try_from(frames).unwrap_or(u32::MAX);
        Self {
            soon: frames / 2,
            full: frames / 4 * 3,
            state: Mutex::default(),
            called: Condvar::new(),
            opened: Condvar::new(),
            closed: AtomicBool::new(false),
        }
    }

    /// A writer's commit has found the log to be that long.
    pub(super) fn grown(&self, frames: u32) {
        if frames < self.soon {
            return;
        }
        let mut state = lock(&self.state);
        if state.excused {
            return;
        }
        state.wanted = true;
        if frames >= self.full {
            self.closed.store(true, Ordering::Release);
        }
        drop(state);
        self.called.notify_one();
    }

    /// Keeps a writer while the gate is closed.
    pub(super) fn pass(&self) {
        let is_closed = || self.closed.load(Ordering::Acquire);
        if is_closed() {
            let wait = self.opened.wait_timeout_while(lock(&self.state), AT_THE_GATE, |_| is_closed());
            drop(wait.unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Ends the thread, after one more checkpoint.
    pub(super) fn stop(&self) {
        lock(&self.state).stop = true;
        self.called.notify_one();
    }

    /// What the thread does all its life. Its connection counts how often it asks for a lock in vain, and gives up after
    /// [`PATIENCE`].
    pub(super) fn work(
        &self,
        (connection, retries): &(Connection, Retries),
        counters: &Counters,
        troubles: &Troubles,
    ) {
        let mut excuse = None;
        loop {
            let idle = |state: &mut State| !state.wanted && !state.stop;
            let wait = self.called.wait_timeout_while(lock(&self.state), EVERY, idle);
            let (mut state, _) = wait.unwrap_or_else(PoisonError::into_inner);
            state.wanted = false;
            let stop = state.stop;
            drop(state);
            excuse = self.round((connection, retries), counters, excuse).unwrap_or_else(|error| {
                counters.checkpoint_failed(&error);
                let cause =
                    || Cause::new(format!("the write-ahead log cannot be moved into the database: {error}"));
                troubles.hit(Trouble::CheckpointFailing, 1, cause);
                let frames = lengths(connection).map_or(0, |(frames, _)| frames);
                Some(Excuse { until: clock::now() + EXCUSE, frames })
            });
            let mut state = lock(&self.state);
            state.excused = excuse.is_some();
            self.closed.store(false, Ordering::Release);
            drop(state);
            self.opened.notify_all();
            if stop {
                return;
            }
        }
    }

    /// Moves what is in the log, and has it begun anew when it is long. Gives the excuse that still holds.
    fn round(
        &self,
        (connection, retries): (&Connection, &Retries),
        counters: &Counters,
        excuse: Option<Excuse>,
    ) -> rusqlite::Result<Option<Excuse>> {
        if is_moved(connection)? {
            return Ok(None);
        }
        match connection.wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::PASSIVE) {
            Ok(_) => counters.checkpoint(),
            // Another instance is at it.
            Err(error) if is_busy(&error) => {}
            Err(error) => return Err(error),
        }
        let (frames, moved) = lengths(connection)?;
        let excuse = excuse.filter(|excuse| moved <= excuse.frames && clock::now() < excuse.until);
        if excuse.is_none() && frames >= self.soon && moved < frames {
            let state = lock(&self.state);
            self.closed.store(true, Ordering::Release);
            drop(state);
            restart(connection, retries)?;
            counters.checkpoint();
        }
        Ok(excuse)
    }
}

/// Makes the next writer begin the log anew. Fails as busy when somebody reads from it all the time; when another instance
/// is at it all the time, there is nothing to fail at.
fn restart(connection: &Connection, retries: &Retries) -> rusqlite::Result<()> {
    let until = clock::now() + PATIENCE;
    loop {
        let before = retries.load(Ordering::Relaxed);
        let outcome = connection.wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::RESTART);
        // SQLite waits for writers and readers, but not for another checkpoint.
        let has_waited = retries.load(Ordering::Relaxed) > before;
        match outcome {
            Err(error) if is_busy(&error) && !has_waited => std::thread::sleep(PAUSE),
            outcome => return outcome.map(drop),
        }
        if is_moved(connection)? || clock::now() >= until {
            return Ok(());
        }
    }
}

/// Whether all of the log is in the database too. The next writer begins it anew by itself then.
fn is_moved(connection: &Connection) -> rusqlite::Result<bool> {
    lengths(connection).map(|(frames, moved)| frames == moved)
}

/// Frames in the log, and how many of them are in the database too.
fn lengths(connection: &Connection) -> rusqlite::Result<(u32, u32)> {
    let mut looks = 1;
    loop {
        match connection.wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::NOOP) {
            // A writer was changing the numbers at that very moment.
            Err(error) if is_busy(&error) && looks < LOOKS => looks += 1,
            outcome => {
                let (frames, moved) = outcome?;
                return Ok((frames.try_into().unwrap_or(0), moved.try_into().unwrap_or(0)));
            }
        }
        std::thread::sleep(PAUSE);
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
}
