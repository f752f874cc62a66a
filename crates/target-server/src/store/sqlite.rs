//! One connection to the database, set up as every one is.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::hooks::Wal;
use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior, params};

use super::busy::{self, Retries};
use super::checkpoint::{self, Log};
use super::{Busy, Checkpoints, Database, KeepError, Row, StoreError};
use crate::clock;
use crate::stats::Trouble;

/// The first version without the WAL-reset bug,
const MIN_SQLITE: i32 = 3_051_003;

/// and one that was withdrawn.
const WITHDRAWN_SQLITE: i32 = 3_052_000;

/// Switching a fresh file to WAL fails as busy whatever the busy timeout, when several instances do it at once. So often
/// we try again,
const WAL_ATTEMPTS: u32 = 100;

/// after this pause,
const WAL_PAUSE: Duration = Duration::from_millis(20);

/// having waited at most this long for a lock where SQLite does wait.
const WAL_BUSY_TIMEOUT: Duration = Duration::from_millis(100);

/// How long an attempt to commit anything at all waits for the write lock.
const PROOF: Duration = Duration::from_secs(1);

const INSERT: &str =
    "INSERT INTO requests (timestamp, method, path, content_length, remote_addr) VALUES (?1, ?2, ?3, ?4, ?5)";

/// Creates the database and its schema where they are missing, and proves that it can be written. Any number of
/// processes may do so at once.
///
/// # Errors
/// When the database cannot be opened, written or used with write-ahead logging, or its table is not ours.
pub fn prepare(database: &Database) -> Result<(), StoreError> {
    if can_corrupt(rusqlite::version_number()) {
        return Err(StoreError::OldSqlite(rusqlite::version()));
    }
    let mut connection = connect(database, &Retries::default())?;
    let create = |connection: &mut Connection| {
        // At once with the write lock: a read lock that wants to become a write lock fails as busy without waiting.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute(&schema(database.autoincrement.wanted), [])?;
        transaction.prepare(INSERT)?;
        let is = autoincrements(&transaction)?;
        transaction.commit()?;
        Ok(is)
    };
    let is = create(&mut connection).map_err(refused(database))?;
    if database.autoincrement.demanded && is != database.autoincrement.wanted {
        return Err(StoreError::Autoincrement { path: database.path.clone(), is });
    }
    Ok(())
}

/// Whether this version can corrupt a database when one connection checkpoints while another begins the log anew.
fn can_corrupt(version: i32) -> bool {
    version < MIN_SQLITE || version == WITHDRAWN_SQLITE
}

fn schema(autoincrement: bool) -> String {
    let autoincrement = if autoincrement { " AUTOINCREMENT" } else { "" };
    format!(
        "CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY{autoincrement},
    timestamp REAL NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    content_length INTEGER NOT NULL,
    remote_addr TEXT
)"
    )
}

/// Opens the database as every writer does.
pub(super) fn connect(database: &Database, retries: &Retries) -> Result<Connection, StoreError> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = open(&database.path, flags)?;
    let mode = write_ahead(&connection).map_err(refused(database))?;
    if mode != "wal" {
        return Err(StoreError::NoWal { path: database.path.clone(), mode });
    }
    let mut set_up = || {
        connection.pragma_update(None, "synchronous", database.synchronous.name())?;
        connection.pragma_update(None, "temp_store", "memory")?;
        if let Checkpoints::Background { .. } = database.checkpoints {
            connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        }
        busy::set(&mut connection, database.busy, database.busy_timeout, retries)
    };
    set_up().map_err(refused(database))?;
    Ok(connection)
}

/// Opens the database as those do who try whether it can be written.
pub(super) fn connect_prover(database: &Database) -> Result<Connection, StoreError> {
    connect(&Database { busy_timeout: PROOF, ..database.clone() }, &Retries::default())
}

/// Opens the database as the thread does that makes checkpoints and nothing else. It counts its own retries.
pub(super) fn connect_checkpointer(database: &Database) -> Result<(Connection, Retries), StoreError> {
    let (busy, busy_timeout) = (Busy::Fixed(checkpoint::PAUSE), checkpoint::PATIENCE);
    let retries = Retries::default();
    let connection = connect(&Database { busy, busy_timeout, ..database.clone() }, &retries)?;
    Ok((connection, retries))
}

/// Has a writer tell how long the write-ahead log is whenever it has committed. Whatever sets `wal_autocheckpoint`
/// afterwards would undo it.
pub(super) fn watch(
    connection: &mut Connection,
    database: &Database,
    log: &Arc<Log>,
) -> Result<(), StoreError> {
    let log = Arc::clone(log);
    let hook = move |_: &mut Wal, frames: i32| {
        log.grown(frames.try_into().unwrap_or(0));
        Ok(())
    };
    connection.wal_hook(Some(hook)).map_err(refused(database))
}

/// Opens the file, and says why in our own words where SQLite only says that it cannot.
pub(super) fn open(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    has_folder(path)?;
    if !flags.contains(OpenFlags::SQLITE_OPEN_CREATE) && !path.exists() {
        return Err(StoreError::Missing(path.into()));
    }
    Connection::open_with_flags(path, flags)
        .map_err(|source| StoreError::Refused { path: path.into(), source })
}

/// Refuses a file whose folder is missing.
pub(super) fn has_folder(path: &Path) -> Result<(), StoreError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    match folder.filter(|folder| !folder.is_dir()) {
        Some(folder) => Err(StoreError::NoFolder { path: path.into(), folder: folder.into() }),
        None => Ok(()),
    }
}

/// How long the parts of a transaction took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spans {
    /// Until it had the write lock.
    pub(super) lock: Duration,
    /// From there until it was committed.
    pub(super) commit: Duration,
}

/// Why nothing of a transaction is left.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    /// What those who wait are told.
    pub(super) error: KeepError,
    /// Whether one of its rows was at fault, without which the others might be taken.
    pub(super) is_of_a_row: bool,
    /// What goes wrong.
    pub(super) trouble: Trouble,
    /// Until it had the write lock, or gave up waiting for it.
    pub(super) lock: Duration,
}

impl Failure {
    /// What was committed is nowhere.
    pub(super) fn gone(place: &Path, lock: Duration) -> Self {
        let error = KeepError::Gone(place.into());
        Self { error, is_of_a_row: false, trouble: Trouble::DatabaseGone, lock }
    }

    /// What SQLite said, which it would have said whatever was in the transaction.
    fn said(error: &rusqlite::Error, lock: Duration) -> Self {
        let trouble = match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Trouble::BusyTimeout,
            Some(ErrorCode::DiskFull) => Trouble::DiskFull,
            _ => Trouble::DatabaseFailing,
        };
        Self { error: KeepError::Failed(error.to_string()), is_of_a_row: false, trouble, lock }
    }
}

/// Commits the rows in one transaction. After an error nothing of it is left.
///
/// They are stamped with the time at which a thread took them up, `taken` by the other clock: the wait in the queue is
/// before, the wait for the write lock after.
pub(super) fn insert<'a>(
    connection: &Connection,
    rows: impl Iterator<Item = &'a Row>,
    taken: Instant,
) -> Result<Spans, Failure> {
    let timestamp = clock::unix_seconds();
    let step = |sql| connection.prepare_cached(sql)?.execute([]);
    let begun = step("BEGIN IMMEDIATE");
    let locked = clock::now();
    let lock = locked.saturating_duration_since(taken);
    begun.map_err(|error| Failure::said(&error, lock))?;
    let written = write(connection, rows, timestamp).map_err(|error| of_a_row(&error, lock));
    let written = written.and_then(|()| step("COMMIT").map_err(|error| Failure::said(&error, lock)));
    if let Err(failure) = written {
        // Some errors have rolled back by themselves; then there is nothing to do and this says so.
        let _ = connection.execute_batch("ROLLBACK");
        return Err(failure);
    }
    Ok(Spans { lock, commit: clock::now().saturating_duration_since(locked) })
}

fn write<'a>(
    connection: &Connection,
    rows: impl Iterator<Item = &'a Row>,
    timestamp: f64,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(INSERT)?;
    for row in rows {
        let path = row.uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str);
        let length = i64::try_from(row.content_length).unwrap_or(i64::MAX);
        let client = row.remote_addr.map(|address| address.to_string());
        statement.execute(params![timestamp, row.method.as_str(), path, length, client])?;
    }
    Ok(())
}

/// Whether the row was at fault, or the disk or the file, with which no other row would fare better.
fn of_a_row(error: &rusqlite::Error, lock: Duration) -> Failure {
    use ErrorCode::{
        CannotOpen, DatabaseBusy, DatabaseCorrupt, DatabaseLocked, DiskFull, FileLockingProtocolFailed,
        NotADatabase, OutOfMemory, PermissionDenied, ReadOnly, SystemIoFailure,
    };
    let is_of_all = matches!(
        error.sqlite_error_code(),
        Some(
            CannotOpen
                | DatabaseBusy
                | DatabaseCorrupt
                | DatabaseLocked
                | DiskFull
                | FileLockingProtocolFailed
                | NotADatabase
                | OutOfMemory
                | PermissionDenied
                | ReadOnly
                | SystemIoFailure
        )
    );
    let failure = Failure::said(error, lock);
    if is_of_all { failure } else { Failure { is_of_a_row: true, trouble: Trouble::RowRefused, ..failure } }
}

/// Commits a transaction that changes nothing, in the same way as those that keep rows: what would stop them stops it too.
pub(super) fn prove(connection: &Connection) -> rusqlite::Result<()> {
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    transaction.execute_batch("SAVEPOINT probe")?;
    transaction.prepare_cached(INSERT)?.execute(params![0.0, "PROBE", "", 0, None::<String>])?;
    transaction.execute_batch("ROLLBACK TO probe; RELEASE probe")?;
    // It is what it was, but it is written.
    transaction.pragma_update(None, "user_version", version)?;
    transaction.commit()
}

/// How a connection and the table really are.
#[derive(Clone, Debug)]
pub(super) struct SetUp {
    pub(super) autoincrement: bool,
    pub(super) pragmas: BTreeMap<String, serde_json::Value>,
}

impl SetUp {
    /// Bytes of a page.
    pub(super) fn page_size(&self) -> u64 {
        self.pragmas.get("page_size").and_then(serde_json::Value::as_u64).unwrap_or(4096)
    }
}

/// What is read back: whatever bears upon speed and safety.
const PRAGMAS: [&str; 11] = [
    "journal_mode",
    "synchronous",
    "busy_timeout",
    "wal_autocheckpoint",
    "journal_size_limit",
    "page_size",
    "cache_size",
    "temp_store",
    "mmap_size",
    "locking_mode",
    "foreign_keys",
];

/// Reads back how a connection is set up, and how the table is made.
pub(super) fn read_back(connection: &Connection, database: &Database) -> Result<SetUp, StoreError> {
    let pragma = |name: &str| {
        let value = connection.pragma_query_value(None, name, |row| row.get::<_, Value>(0))?;
        let value = match value {
            Value::Integer(number) => number.into(),
            Value::Real(number) => number.into(),
            Value::Text(text) => text.into(),
            Value::Null | Value::Blob(_) => serde_json::Value::Null,
        };
        Ok((name.to_owned(), value))
    };
    let read = || -> rusqlite::Result<SetUp> {
        Ok(SetUp {
            autoincrement: autoincrements(connection)?,
            pragmas: PRAGMAS.into_iter().map(pragma).collect::<rusqlite::Result<_>>()?,
        })
    };
    read().map_err(refused(database))
}

/// Whether the ids of the table never return, as its own statement says.
fn autoincrements(connection: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = 'requests'";
    let statement: String = connection.query_row(sql, [], |row| row.get(0))?;
    Ok(statement.to_ascii_uppercase().contains("AUTOINCREMENT"))
}

/// Asks for write-ahead logging and returns the mode the file is in now.
fn write_ahead(connection: &Connection) -> rusqlite::Result<String> {
    connection.busy_timeout(WAL_BUSY_TIMEOUT)?;
    let mut attempt = 0;
    loop {
        attempt += 1;
        match connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)) {
            Err(error) if is_busy(&error) && attempt < WAL_ATTEMPTS => std::thread::sleep(WAL_PAUSE),
            outcome => return outcome,
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn refused(database: &Database) -> impl FnOnce(rusqlite::Error) -> StoreError {
    |source| StoreError::Refused { path: database.path.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Synchronous;
    use crate::store::tests::database;

    #[test]
    fn a_fresh_file_that_another_instance_is_setting_up_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database { busy_timeout: Duration::from_millis(1), ..database(&folder) };
        let other = Connection::open(&database.path).unwrap();
        other.execute_batch("BEGIN EXCLUSIVE").unwrap();
        let waiting = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| prepare(&database));
            // Longer than SQLite itself waits. However this is scheduled, a patient server passes.
            std::thread::sleep(WAL_BUSY_TIMEOUT * 2);
            other.execute_batch("ROLLBACK").unwrap();
            waiting.join().unwrap()
        });
        waiting.unwrap();
    }

    #[test]
    fn versions_that_can_corrupt_are_known() {
        let corrupting = [3_007_000, 3_040_001, 3_051_002, 3_052_000];
        assert!(corrupting.into_iter().all(can_corrupt));
        assert!(![3_051_003, 3_051_004, 3_052_001, 3_053_002, 3_054_001].into_iter().any(can_corrupt));
    }

    #[test]
    fn a_connection_is_set_up_as_asked() {
        let folder = tempfile::tempdir().unwrap();
        let busy_timeout = Duration::from_secs(7);
        let database = Database { synchronous: Synchronous::Full, busy_timeout, ..database(&folder) };
        let connection = connect(&database, &Retries::default()).unwrap();
        let read = |name: &str| -> String {
            let value: rusqlite::types::Value =
                connection.pragma_query_value(None, name, |row| row.get(0)).unwrap();
            format!("{name} = {value:?}")
        };
        assert_eq!(
            ["journal_mode", "busy_timeout", "synchronous", "temp_store"].map(read),
            [
                "journal_mode = Text(\"wal\")",
                "busy_timeout = Integer(7000)",
                "synchronous = Integer(2)",
                "temp_store = Integer(2)"
            ]
        );
    }
}
