//! Can there be a database at a place? Nothing is created, and nothing of SQLite's is opened.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::{StoreError, sqlite};

/// How every database of SQLite begins.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Refuses a place where there can be none: without a folder, or where something else lies.
///
/// # Errors
/// What is in the way.
pub fn check(path: &Path) -> Result<(), StoreError> {
    sqlite::has_folder(path)?;
    let unfit = |reason| StoreError::Unfit { path: path.into(), reason };
    if path.as_os_str() == ":memory:" {
        // SQLite takes the name for a database in memory, which has no log.
        return Err(StoreError::NoWal { path: path.into(), mode: "memory".into() });
    }
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(unfit("it is a folder")),
        Ok(found) if found.is_file() && found.len() > 0 => {
            let mut start = Vec::new();
            let read =
                File::open(path).and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut start));
            // What cannot be read, SQLite will say.
            if read.is_ok() && start != MAGIC { Err(unfit("it is no SQLite database")) } else { Ok(()) }
        }
        _ => Ok(()),
    }
}
