//! What is in a database, for those who check afterwards.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};

use super::{StoreError, sqlite};

/// How long to wait for instances that are still writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// What `--inspect` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspection {
    /// Number of rows, one per recorded request.
    pub rows: u64,
    /// `ok`, or what SQLite's integrity check found, findings separated by `; `.
    pub integrity: String,
}

/// Counts the rows and checks the file. Creates nothing.
///
/// # Errors
/// When there is no such file, or it is no database of ours.
pub fn inspect(path: &Path) -> Result<Inspection, StoreError> {
    // Not read-only: after a crash the first reader has to recover the write-ahead log.
    let connection = sqlite::open(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    read(&connection).map_err(|source| StoreError::Refused { path: path.into(), source })
}

fn read(connection: &Connection) -> rusqlite::Result<Inspection> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let rows: i64 = connection.query_row("SELECT count(*) FROM requests", [], |row| row.get(0))?;
    let mut check = connection.prepare("PRAGMA integrity_check")?;
    let findings = check.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    Ok(Inspection { rows: rows.unsigned_abs(), integrity: findings.join("; ") })
}
