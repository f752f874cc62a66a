//! How requests are recorded.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args};

use super::profile::Profile;
use super::value::{Size, Time, whole};
use super::{ConfigError, Settings, refuse_unless};
use crate::store::{Autoincrement, Busy, Checkpoints, Database, Synchronous};

/// More threads than this on one database is a slip of the finger.
const MAX_THREADS: u16 = 256;

/// More rows in one transaction bring nothing, and keep their requests waiting.
const MAX_BATCH: u32 = 65_536;

/// A write-ahead log with a smaller bound would be begun anew all the time.
const MIN_WAL: u64 = 1 << 20;

/// How long the fast profile pauses before it asks for the write lock again.
const FAST_PAUSE: Duration = Duration::from_millis(1);

/// What can be typed for the kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum StoreKind {
    /// One transaction per request, by a fixed number of threads
    Pool,
    /// One thread commits whatever waits in one transaction, then all of it is answered
    Group,
    /// Not at all: requests are answered without a database
    None,
}

/// What can be typed for who moves the write-ahead log into the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum CheckpointKind {
    /// Whichever request finds 1000 pages in it, before it is answered
    Auto,
    /// A thread of its own, every 50 ms
    Background,
}

/// What may be typed.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Store")]
pub struct StoreArgs {
    /// How requests are recorded [default: pool; fast: group]
    #[arg(long, value_enum, value_name = "KIND", env = "TARGET_STORE")]
    pub store: Option<StoreKind>,

    /// SQLite file that keeps one row per request; created where it is missing [default: requests.db]
    #[arg(long, value_name = "FILE", env = "TARGET_DATABASE")]
    pub database: Option<PathBuf>,

    /// Threads of the pool, per instance [default: 4]
    #[arg(long, value_name = "N", value_parser = whole(1..=MAX_THREADS), env = "TARGET_THREADS")]
    pub threads: Option<u16>,

    /// Most rows in a transaction of the group [default: 1024]
    #[arg(long, value_name = "N", value_parser = whole(1..=MAX_BATCH), env = "TARGET_BATCH_MAX")]
    pub batch_max: Option<u32>,

    /// Most requests that may wait for the database, per instance; 503 beyond [default: 0, no limit]
    #[arg(long, value_name = "N", value_parser = whole(0..=u32::MAX), env = "TARGET_QUEUE_MAX")]
    pub queue_max: Option<u32>,

    /// How careful SQLite is with the disk [default: normal]
    #[arg(long, value_enum, value_name = "LEVEL", env = "TARGET_SYNCHRONOUS")]
    pub synchronous: Option<Synchronous>,

    /// How to wait for the write lock: sqlite, ever more rarely, or fixed:TIME, again each TIME [default: sqlite;
    /// fast: fixed:1ms]
    #[arg(long, value_name = "HOW", env = "TARGET_BUSY")]
    pub busy: Option<Busy>,

    /// How long a request waits for the database's write lock before it is answered with 500 [default: 10s]
    #[arg(long, value_name = "TIME", env = "TARGET_BUSY_TIMEOUT")]
    pub busy_timeout: Option<Time>,

    /// Who moves the write-ahead log into the database [default: auto]
    #[arg(long, value_enum, value_name = "WHO", env = "TARGET_CHECKPOINT")]
    pub checkpoint: Option<CheckpointKind>,

    /// Size that the write-ahead log stays below with background checkpoints, but for one large transaction [default: 64MiB]
    #[arg(long, value_name = "SIZE", env = "TARGET_WAL_MAX")]
    pub wal_max: Option<Size>,

    /// Whether a new table's ids never return, for which SQLite keeps a second table [default: true; fast: false]
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, env = "TARGET_AUTOINCREMENT")]
    pub autoincrement: Option<bool>,
}

/// What is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// Requests are answered without a database.
    None,
    /// One row per request.
    Database {
        /// The database and how it is used.
        database: Database,
        /// Who writes to it.
        writers: Writers,
        /// How many requests may wait for it; 0 is no bound.
        queue_max: u32,
    },
}

/// Who writes to the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writers {
    /// One transaction per request.
    Pool {
        /// Threads, 1 to 256, each with its own connection.
        threads: u16,
    },
    /// One thread, one transaction for whatever waits.
    Group {
        /// Rows in a transaction at most, 1 to 65,536.
        batch_max: u32,
    },
}

impl Store {
    pub(super) fn resolve(args: &StoreArgs, profile: Profile) -> Result<Self, ConfigError> {
        let kind = args.store.unwrap_or(match profile {
            Profile::Plain | Profile::Waitress => StoreKind::Pool,
            Profile::Fast => StoreKind::Group,
        });
        let writers = match kind {
            StoreKind::None => {
                refuse_all(args)?;
                return Ok(Self::None);
            }
            StoreKind::Pool => {
                refuse_unless(false, "batch-max", args.batch_max.as_ref(), "--store pool")?;
                Writers::Pool { threads: args.threads.unwrap_or(4) }
            }
            StoreKind::Group => {
                refuse_unless(false, "threads", args.threads.as_ref(), "--store group")?;
                Writers::Group { batch_max: args.batch_max.unwrap_or(1024) }
            }
        };
        Ok(Self::Database {
            database: database(args, profile)?,
            writers,
            queue_max: args.queue_max.unwrap_or(0),
        })
    }

    pub(super) fn tell(&self, settings: &mut Settings) {
        settings.add("store", self.name());
        let Self::Database { database, writers, queue_max } = self else { return };
        settings.add_path("database", &database.path);
        match writers {
            Writers::Pool { threads } => settings.add("threads", threads),
            Writers::Group { batch_max } => settings.add("batch-max", batch_max),
        }
        settings.add("queue-max", queue_max);
        tell_database(database, settings);
    }

    /// As it is typed.
    pub fn name(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Database { writers: Writers::Pool { .. }, .. } => "pool",
            Self::Database { writers: Writers::Group { .. }, .. } => "group",
        }
    }

    /// The database, where there is one.
    pub fn database(&self) -> Option<&Database> {
        match self {
            Self::None => None,
            Self::Database { database, .. } => Some(database),
        }
    }

    /// Whether a setting is only what new databases get. To type it would be to demand it of one that is there.
    pub(super) fn is_mere_default(&self, name: &str) -> bool {
        name == "autoincrement" && self.database().is_some_and(|database| !database.autoincrement.demanded)
    }
}

/// Nothing of a database can be meant without one.
fn refuse_all(args: &StoreArgs) -> Result<(), ConfigError> {
    let StoreArgs {
        store: _,
        database,
        threads,
        batch_max,
        queue_max,
        synchronous,
        busy,
        busy_timeout,
        checkpoint,
        wal_max,
        autoincrement,
    } = args;
    let with = "--store none";
    refuse_unless(false, "database", database.as_ref(), with)?;
    refuse_unless(false, "threads", threads.as_ref(), with)?;
    refuse_unless(false, "batch-max", batch_max.as_ref(), with)?;
    refuse_unless(false, "queue-max", queue_max.as_ref(), with)?;
    refuse_unless(false, "synchronous", synchronous.as_ref(), with)?;
    refuse_unless(false, "busy", busy.as_ref(), with)?;
    refuse_unless(false, "busy-timeout", busy_timeout.as_ref(), with)?;
    refuse_unless(false, "checkpoint", checkpoint.as_ref(), with)?;
    refuse_unless(false, "wal-max", wal_max.as_ref(), with)?;
    refuse_unless(false, "autoincrement", autoincrement.as_ref(), with)
}

fn tell_database(database: &Database, settings: &mut Settings) {
    let Database { path: _, synchronous, busy, busy_timeout, checkpoints, autoincrement } = database;
    settings.add("synchronous", synchronous.name());
    settings.add("busy", busy);
    settings.add("busy-timeout", Time(*busy_timeout));
    match checkpoints {
        Checkpoints::Auto => settings.add("checkpoint", "auto"),
        Checkpoints::Background { wal_max } => {
            settings.add("checkpoint", "background");
            settings.add("wal-max", Size(*wal_max));
        }
    }
    settings.add("autoincrement", autoincrement.wanted);
}

fn database(args: &StoreArgs, profile: Profile) -> Result<Database, ConfigError> {
    let is_fast = profile == Profile::Fast;
    let busy_timeout = args.busy_timeout.map_or(Duration::from_secs(10), |time| time.0);
    let mut busy = Busy::Sqlite;
    if is_fast && busy_timeout >= FAST_PAUSE {
        busy = Busy::Fixed(FAST_PAUSE);
    }
    let busy = args.busy.unwrap_or(busy);
    if matches!(busy, Busy::Fixed(pause) if pause > busy_timeout) {
        return Err(ConfigError::Contradiction(format!(
            "--busy {busy} pauses longer than --busy-timeout {} allows; give a shorter pause or a longer timeout",
            Time(busy_timeout)
        )));
    }
    Ok(Database {
        path: path(args),
        synchronous: args.synchronous.unwrap_or(Synchronous::Normal),
        busy,
        busy_timeout,
        checkpoints: checkpoints(args)?,
        autoincrement: Autoincrement {
            wanted: args.autoincrement.unwrap_or(!is_fast),
            demanded: args.autoincrement.is_some(),
        },
    })
}

fn checkpoints(args: &StoreArgs) -> Result<Checkpoints, ConfigError> {
    match args.checkpoint.unwrap_or(CheckpointKind::Auto) {
        CheckpointKind::Auto => {
            refuse_unless(false, "wal-max", args.wal_max.as_ref(), "--checkpoint auto")?;
            Ok(Checkpoints::Auto)
        }
        CheckpointKind::Background => {
            let wal_max = args.wal_max.map_or(64 << 20, |size| size.0);
            if wal_max < MIN_WAL {
                let least = Size(MIN_WAL);
                let sentence = format!("--wal-max {} is too small; give {least} or more", Size(wal_max));
                return Err(ConfigError::Contradiction(sentence));
            }
            Ok(Checkpoints::Background { wal_max })
        }
    }
}

/// Where the database lies.
pub(super) fn path(args: &StoreArgs) -> PathBuf {
    args.database.clone().unwrap_or_else(|| "requests.db".into())
}
