//! Is the database still where it was?

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The file that was opened, by its name. Linux lets an open file be deleted or replaced, and SQLite writes on to what
/// nobody will ever find again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    path: PathBuf,
    file: Option<(u64, u64)>,
}

impl Place {
    /// What has this name now.
    pub(super) fn of(path: &Path) -> Self {
        Self { path: path.into(), file: identity(path) }
    }

    /// Whether the same file still has this name.
    pub(super) fn is_kept(&self) -> bool {
        identity(&self.path) == self.file
    }

    /// Its name.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Device and number of the file; what cannot be looked at has none.
fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}
