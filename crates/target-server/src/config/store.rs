//! How requests are recorded.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::profile::Profile;
use super::value::Time;
use super::{ConfigError, Settings, refuse_unless};
use crate::store::{Database, Synchronous};

/// More threads than this on one database is a slip of the finger.
const MAX_THREADS: i64 = 256;

/// What can be typed for the kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum StoreKind {
    /// One transaction per request, by a fixed number of threads
    Pool,
    /// Not at all: requests are answered without a database
    None,
}

/// What may be typed.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Store")]
pub struct StoreArgs {
    /// How requests are recorded [default: pool]
    #[arg(long, value_enum, value_name = "KIND", env = "TARGET_STORE")]
    pub store: Option<StoreKind>,

    /// SQLite file that keeps one row per request; created where it is missing [default: requests.db]
    #[arg(long, value_name = "FILE", env = "TARGET_DATABASE")]
    pub database: Option<PathBuf>,

    /// Threads that write to the database, per instance [default: 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=MAX_THREADS), env = "TARGET_THREADS")]
    pub threads: Option<u16>,

    /// How careful SQLite is with the disk [default: normal]
    #[arg(long, value_enum, value_name = "LEVEL", env = "TARGET_SYNCHRONOUS")]
    pub synchronous: Option<Synchronous>,

    /// How long a request waits for the database's write lock before it is answered with 500 [default: 10s]
    #[arg(long, value_name = "TIME", env = "TARGET_BUSY_TIMEOUT")]
    pub busy_timeout: Option<Time>,
}

/// What is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// Requests are answered without a database.
    None,
    /// One transaction per request.
    Pool {
        /// The database and how it is used.
        database: Database,
        /// Threads that write to it, 1 to 256, each with its own connection.
        threads: u16,
    },
}

impl Store {
    pub(super) fn resolve(args: &StoreArgs, profile: Profile) -> Result<Self, ConfigError> {
        let kind = args.store.unwrap_or(match profile {
            Profile::Plain | Profile::Waitress | Profile::Fast => StoreKind::Pool,
        });
        match kind {
            StoreKind::None => {
                let with = "--store none";
                refuse_unless(false, "database", args.database.as_ref(), with)?;
                refuse_unless(false, "threads", args.threads.as_ref(), with)?;
                refuse_unless(false, "synchronous", args.synchronous.as_ref(), with)?;
                refuse_unless(false, "busy-timeout", args.busy_timeout.as_ref(), with)?;
                Ok(Self::None)
            }
            StoreKind::Pool => {
                Ok(Self::Pool { database: database(args), threads: args.threads.unwrap_or(4) })
            }
        }
    }

    pub(super) fn tell(&self, settings: &mut Settings) {
        settings.add("store", self.name());
        match self {
            Self::None => {}
            Self::Pool { database, threads } => {
                settings.add("threads", threads);
                tell_database(database, settings);
            }
        }
    }

    /// As it is typed.
    pub fn name(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pool { .. } => "pool",
        }
    }

    /// The database, where there is one.
    pub fn database(&self) -> Option<&Database> {
        match self {
            Self::None => None,
            Self::Pool { database, .. } => Some(database),
        }
    }
}

fn tell_database(database: &Database, settings: &mut Settings) {
    let Database { path, synchronous, busy_timeout } = database;
    settings.add_path("database", path);
    settings.add("synchronous", synchronous.name());
    settings.add("busy-timeout", Time(*busy_timeout));
}

fn database(args: &StoreArgs) -> Database {
    Database {
        path: path(args),
        synchronous: args.synchronous.unwrap_or(Synchronous::Normal),
        busy_timeout: args.busy_timeout.map_or(Duration::from_secs(10), |time| time.0),
    }
}

/// Where the database lies.
pub(super) fn path(args: &StoreArgs) -> PathBuf {
    args.database.clone().unwrap_or_else(|| "requests.db".into())
}
