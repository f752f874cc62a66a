//! One connection to the database, set up as every one is.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, params};

use super::{Database, Row, StoreError};
use crate::clock;

/// The first version without the WAL-reset bug.
const MIN_SQLITE: i32 = 3_051_003;

/// Switching a fresh file to WAL fails as busy whatever the busy timeout, when several instances do it at once. So often
/// we try again,
const WAL_ATTEMPTS: u32 = 100;

/// after this pause,
const WAL_PAUSE: Duration = Duration::from_millis(20);

/// having waited at most this long for a lock where SQLite does wait.
const WAL_BUSY_TIMEOUT: Duration = Duration::from_millis(100);

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    timestamp REAL NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    content_length INTEGER NOT NULL,
    remote_addr TEXT
)";

const INSERT: &str =
    "INSERT INTO requests (timestamp, method, path, content_length, remote_addr) VALUES (?1, ?2, ?3, ?4, ?5)";

/// Creates the database and its schema where they are missing, and proves that it can be written. Any number of
/// processes may do so at once.
///
/// # Errors
/// When the database cannot be opened, written or used with write-ahead logging.
pub fn prepare(database: &Database) -> Result<(), StoreError> {
    if rusqlite::version_number() < MIN_SQLITE {
        return Err(StoreError::OldSqlite(rusqlite::version()));
    }
    let mut connection = connect(database)?;
    let create = |connection: &mut Connection| {
        // At once with the write lock: a read lock that wants to become a write lock fails as busy without waiting.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute(SCHEMA, [])?;
        transaction.commit()
    };
    create(&mut connection).map_err(refused(database))
}

/// Opens the database as every writer does.
pub(super) fn connect(database: &Database) -> Result<Connection, StoreError> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = open(&database.path, flags)?;
    let mode = write_ahead(&connection).map_err(refused(database))?;
    if mode != "wal" {
        return Err(StoreError::NoWal { path: database.path.clone(), mode });
    }
    let set_up = || {
        connection.busy_timeout(database.busy_timeout)?;
        connection.pragma_update(None, "synchronous", database.synchronous.name())?;
        connection.pragma_update(None, "temp_store", "memory")
    };
    set_up().map_err(refused(database))?;
    Ok(connection)
}

/// Opens the file, and says why in our own words where SQLite only says that it cannot.
pub(super) fn open(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        return Err(StoreError::NoFolder { path: path.into(), folder: folder.into() });
    }
    if !flags.contains(OpenFlags::SQLITE_OPEN_CREATE) && !path.exists() {
        return Err(StoreError::Missing(path.into()));
    }
    Connection::open_with_flags(path, flags)
        .map_err(|source| StoreError::Refused { path: path.into(), source })
}

/// Commits the row in a transaction of its own. After an error nothing of it is left.
///
/// It is stamped with the time at which a thread took it up: the wait in the queue is before, the wait for the write
/// lock after.
pub(super) fn insert(connection: &Connection, row: &Row) -> rusqlite::Result<()> {
    let timestamp = clock::unix_seconds();
    let path = row.uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str);
    let length = i64::try_from(row.content_length).unwrap_or(i64::MAX);
    let client = row.remote_addr.map(|address| address.to_string());
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let written = connection
        .prepare_cached(INSERT)
        .and_then(|mut statement| {
            statement.execute(params![timestamp, row.method.as_str(), path, length, client])
        })
        .and_then(|_| connection.prepare_cached("COMMIT")?.execute([]));
    if let Err(error) = written {
        // Some errors have rolled back by themselves; then there is nothing to do and this says so.
        let _ = connection.execute_batch("ROLLBACK");
        return Err(error);
    }
    Ok(())
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

    #[test]
    fn a_fresh_file_that_another_instance_is_setting_up_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("requests.db");
        let database =
            Database { path, synchronous: Synchronous::Full, busy_timeout: Duration::from_millis(1) };
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
    fn a_connection_is_set_up_as_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("requests.db");
        let database =
            Database { path, synchronous: Synchronous::Full, busy_timeout: Duration::from_secs(7) };
        let connection = connect(&database).unwrap();
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
