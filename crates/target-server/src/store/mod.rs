//! How is a row kept? Plain synchronous code, on threads of its own.

mod busy;
mod check;
mod checkpoint;
mod figures;
pub mod inspect;
mod place;
mod queue;
mod sqlite;
#[cfg(test)]
mod tests;
mod writers;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Uri};

pub use busy::Busy;
pub use check::check;
pub use figures::{Batches, Figures};
pub use sqlite::prepare;
pub use writers::Writers;

use self::writers::Crew;
use crate::config::store::{Store as Config, Writers as Kind};
use crate::listener::Peer;
use crate::stats::Stats;
use crate::words::counted;

/// What is recorded of a request.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its method.
    pub method: Method,
    /// Its target. Recorded are path and query as sent, percent-encoding and all; of `OPTIONS *` the star, of a target
    /// with host only the path, of CONNECT nothing.
    pub uri: Uri,
    /// Length of its body in bytes, whether or not the request stated it.
    pub content_length: usize,
    /// Address of the client without the port, or `unix`; absent when the application is called without a socket.
    pub remote_addr: Option<Peer>,
}

/// How careful SQLite is with the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Synchronous {
    /// No fsync per commit: survives a crash of the server, not of the machine
    Normal,
    /// One fsync per commit: survives a power cut
    Full,
    /// No fsync at all
    Off,
}

impl Synchronous {
    /// As SQLite and the command line call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Full => "full",
            Self::Off => "off",
        }
    }
}

/// The database and how it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// Its file.
    pub path: PathBuf,
    /// How careful with the disk.
    pub synchronous: Synchronous,
    /// How the write lock is waited for,
    pub busy: Busy,
    /// and for how long before the transaction fails.
    pub busy_timeout: Duration,
    /// Who moves the write-ahead log into the database.
    pub checkpoints: Checkpoints,
    /// Whether ids never return.
    pub autoincrement: Autoincrement,
}

/// Who moves the write-ahead log into the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checkpoints {
    /// SQLite, within whichever commit finds 1000 pages in it.
    Auto,
    /// A thread of each instance.
    Background {
        /// Bytes that the log stays below, as long as nobody reads for long and no transaction is longer than a quarter of
        /// it: such a one may exceed it by its own length.
        wal_max: u64,
    },
}

/// Whether the ids of the table never return, even after its last row is deleted: `AUTOINCREMENT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Autoincrement {
    /// Whether a new table is made so.
    pub wanted: bool,
    /// Whether a table that is otherwise is refused.
    pub demanded: bool,
}

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Its folder is missing.
    #[error("cannot open the database {}: the folder {} does not exist", path.display(), folder.display())]
    NoFolder {
        /// The file.
        path: PathBuf,
        /// Where it should lie.
        folder: PathBuf,
    },
    /// Something else is there.
    #[error("cannot use the database {}: {reason}; choose another file", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What it is.
        reason: &'static str,
    },
    /// It is missing and must not be created.
    #[error("there is no database {}", .0.display())]
    Missing(PathBuf),
    /// SQLite refused.
    #[error("cannot use the database {}: {source}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// Write-ahead logging is what lets several instances share the file.
    #[error("the database {} cannot use write-ahead logging: its journal mode stays {mode:?}", path.display())]
    NoWal {
        /// The file.
        path: PathBuf,
        /// The mode it is in instead.
        mode: String,
    },
    /// Older versions can corrupt a database that several processes write and checkpoint.
    #[error(
        "SQLite {0} can corrupt a database shared by several instances; at least 3.51.3 is needed, and not 3.52.0"
    )]
    OldSqlite(&'static str),
    /// The table is not made as it is demanded.
    #[error(
        "the table in the database {} was made {} AUTOINCREMENT; leave out --autoincrement, or choose another file",
        path.display(), if *is { "with" } else { "without" }
    )]
    Autoincrement {
        /// The file.
        path: PathBuf,
        /// How it is made.
        is: bool,
    },
    /// A worker thread could not be started.
    #[error("cannot start a thread for the database: {0}")]
    Thread(std::io::Error),
}

/// Why one row was not kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeepError {
    /// The transaction failed and was rolled back, as far as SQLite could tell. What it said.
    #[error("the request could not be recorded: {0}")]
    Failed(String),
    /// As many as are allowed to wait, this many, wait for the database already. Trying again later may help.
    #[error("the request could not be recorded: {} for the database already", counted(*.0, "other waits", "others wait"))]
    Full(usize),
    /// The file or its write-ahead log was deleted or replaced. What is committed now is committed to a file that has no
    /// name any more; where only the log has none, the row may be found in the database all the same.
    #[error(
        "the request could not be recorded: the database {} or its log was deleted or replaced; start the server anew",
        .0.display()
    )]
    Gone(PathBuf),
    /// The store has been closed, or one of its threads died.
    #[error("the request could not be recorded: the store is closed")]
    Closed,
}

/// Where the time of a row went. All of it is zero without a database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Until a thread took it up, in time for the transaction that it is in.
    pub queue: Duration,
    /// From there until the transaction had the write lock.
    pub lock: Duration,
    /// From there until COMMIT returned. Rows that share a transaction share this and the time of the lock.
    pub commit: Duration,
}

/// Where rows go.
#[derive(Clone, Debug)]
pub enum Store {
    /// Nowhere: requests are answered at once.
    None,
    /// Into the database.
    Database(Arc<Writers>),
}

impl Store {
    /// The store as it is configured. The schema of its database is created where it is missing. Call it within the
    /// runtime that asks for rows.
    ///
    /// # Errors
    /// When the database cannot be opened, written or used with write-ahead logging.
    pub fn open(config: &Config, stats: &Arc<Stats>) -> Result<Self, StoreError> {
        let Config::Database { database, writers, queue_max } = config else { return Ok(Self::None) };
        let (threads, batch_max) = match *writers {
            Kind::Pool { threads } => (threads, 1),
            Kind::Group { batch_max } => (1, batch_max as usize),
        };
        let crew = Crew { name: config.name(), threads, batch_max, queue_max: *queue_max as usize };
        Self::start(database, crew, stats)
    }

    fn start(database: &Database, crew: Crew, stats: &Arc<Stats>) -> Result<Self, StoreError> {
        prepare(database)?;
        Ok(Self::Database(Arc::new(Writers::start(database, crew, stats)?)))
    }

    /// Returns after the row is committed, with where the time went.
    ///
    /// # Errors
    /// When it is not certain that it was. Mostly there is no row then; but where the commit itself failed, or the files had
    /// been deleted, nobody knows.
    pub async fn keep(&self, row: Row) -> Result<Kept, KeepError> {
        match self {
            Self::None => Ok(Kept::default()),
            Self::Database(writers) => writers.keep(row).await,
        }
    }

    /// Whether no row is kept any more: it was told to finish, or one of its threads has died.
    pub fn is_closed(&self) -> bool {
        match self {
            Self::None => false,
            Self::Database(writers) => writers.is_closed(),
        }
    }

    /// Looks whether the database's files are where they were, and has it told when they are not. Waits for the disk: call
    /// it where that is allowed.
    pub fn check(&self) {
        match self {
            Self::None => {}
            Self::Database(writers) => {
                writers.check();
            }
        }
    }

    /// The same; and when the last transaction failed, tries to commit one that changes nothing. Waits for the write lock,
    /// no longer than a second.
    pub fn prove(&self) {
        match self {
            Self::None => {}
            Self::Database(writers) => writers.prove(),
        }
    }

    /// Rows that wait for a thread now.
    pub fn waiting(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Database(writers) => writers.waiting(),
        }
    }

    /// What the store knows of itself.
    pub fn figures(&self) -> Figures {
        match self {
            Self::None => Figures { store: "none".to_owned(), ..Figures::default() },
            Self::Database(writers) => writers.figures(),
        }
    }

    /// Counts anew. What waits and what is underway is counted when it is done.
    pub fn reset(&self) {
        match self {
            Self::None => {}
            Self::Database(writers) => writers.reset(),
        }
    }

    /// Lets everything queued be committed and closes the database. Waits for threads: call it where that is allowed.
    pub fn finish(&self) {
        match self {
            Self::None => {}
            Self::Database(writers) => writers.finish(),
        }
    }
}
