//! Are the database and its write-ahead log still where they were?

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The files that were opened, by their names. Linux lets an open file be deleted or replaced, and SQLite writes on to what
/// nobody will ever find again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// As it was given. Where that is a link, it is followed each time: one that leads elsewhere now is noticed too.
    path: PathBuf,
    file: Option<(u64, u64)>,
    /// Beside the real file, where SQLite writes it.
    log: PathBuf,
    log_file: Option<(u64, u64)>,
}

impl Place {
    /// What has these names now. A connection that has read keeps the log from being deleted by SQLite itself.
    pub(super) fn of(path: &Path) -> Self {
        let log = log_of(&path.canonicalize().unwrap_or_else(|_| path.into()));
        Self { path: path.into(), file: identity(path), log_file: identity(&log), log }
    }

    /// Whether the same files still have these names.
    pub(super) fn is_kept(&self) -> bool {
        identity(&self.path) == self.file && identity(&self.log) == self.log_file
    }

    /// Length of the write-ahead log's file, if there is one.
    pub(super) fn log_bytes(&self) -> Option<u64> {
        std::fs::metadata(&self.log).ok().map(|file| file.len())
    }

    /// Its name.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

fn log_of(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

/// Device and number of the file; what cannot be looked at has none.
fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}
