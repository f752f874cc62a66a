//! Are the database and its write-ahead log still where they were?

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::queue::lock;

/// How long the files are believed to be where they were last seen.
const BELIEVED: Duration = Duration::from_millis(10);

/// The files that were opened, by their names. Linux lets an open file be deleted or replaced, and SQLite writes on to what
/// nobody will ever find again.
#[derive(Debug)]
pub(super) struct Place {
    /// As it was given. Where that is a link, it is followed each time: one that leads elsewhere now is noticed too.
    path: PathBuf,
    file: Option<(u64, u64)>,
    /// Beside the real file, where SQLite writes it.
    log: PathBuf,
    log_file: Option<(u64, u64)>,
    looks: Mutex<Looks>,
}

/// What looks at the files found.
#[derive(Debug, Default)]
struct Looks {
    /// When they were last found there.
    found: Option<Instant>,
    /// Whether they ever were not.
    were_missed: bool,
}

impl Looks {
    /// Whether one that succeeded after `since` is fresh enough. Once the files were missed, everybody looks.
    fn were_found(&self, since: Instant, committed: Instant) -> bool {
        let is_fresh =
            |found: Instant| found >= since && committed.saturating_duration_since(found) < BELIEVED;
        !self.were_missed && self.found.is_some_and(is_fresh)
    }
}

impl Place {
    /// What has these names now. A connection that has read keeps the log from being deleted by SQLite itself.
    pub(super) fn of(path: &Path) -> Self {
        let log = log_of(&path.canonicalize().unwrap_or_else(|_| path.into()));
        Self {
            path: path.into(),
            file: identity(path),
            log_file: identity(&log),
            log,
            looks: Mutex::default(),
        }
    }

    /// Whether the same files still have these names.
    pub(super) fn is_kept(&self) -> bool {
        identity(&self.path) == self.file && identity(&self.log) == self.log_file
    }

    /// The same, for rows that came at `since` at the latest and were committed at `committed`, just now. They need no look
    /// of their own when the files were found after all of them had come, for another row: one asked for after the files
    /// had gone is never taken for kept. Two looks at two names for every row are a tenth of its cost.
    pub(super) fn has_kept(&self, since: Instant, committed: Instant) -> bool {
        if lock(&self.looks).were_found(since, committed) {
            return true;
        }
        let is_kept = self.is_kept();
        let mut looks = lock(&self.looks);
        if is_kept {
            looks.found = looks.found.max(Some(committed));
        } else {
            looks.were_missed = true;
        }
        is_kept
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn one_look_is_enough_for_all_who_waited_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        std::fs::write(&path, "").unwrap();
        let place = Place::of(&path);
        let start = clock::now();
        let at = |ms| start + Duration::from_millis(ms);
        assert!(place.has_kept(at(0), at(5)));
        std::fs::remove_file(&path).unwrap();
        assert!(place.has_kept(at(5), at(6)), "it waited when they were found");
        assert!(place.has_kept(at(4), at(14)));
        assert!(!place.has_kept(at(4), at(15)), "that was long ago");
        // Another look found them just before they went, and ends only now.
        lock(&place.looks).found = Some(at(16));
        assert!(!place.has_kept(at(4), at(17)), "once they were missed, everybody looks");
    }

    #[test]
    fn a_row_that_came_after_the_last_look_has_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        std::fs::write(&path, "").unwrap();
        let place = Place::of(&path);
        let start = clock::now();
        let at = |us| start + Duration::from_micros(us);
        assert!(place.has_kept(at(0), at(100)));
        std::fs::remove_file(&path).unwrap();
        assert!(!place.has_kept(at(101), at(102)));
    }
}
