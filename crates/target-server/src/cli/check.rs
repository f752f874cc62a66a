//! What can be known of a start before anything listens and any file is made. `--print-config` asks the same.

use rustix::process::{Resource, getrlimit};

use super::{ServeError, is_instance};
use crate::config::Config;
use crate::config::store::{Store, Writers};
use crate::{listener, store, watch};

/// Open files of a process that serves nobody yet: its output, its sockets, its clock, its signals.
const FILES: u64 = 24;

/// Open files of one connection to the database: the file and its log. They share the index of the log.
const FILES_OF_A_CONNECTION: u64 = 2;

/// Open files of one instance in the process that looks after it.
const FILES_OF_AN_INSTANCE: u64 = 8;

/// More sockets than this are passed by nobody.
const MAX_PASSED: usize = 256;

/// Why a start would be refused, whatever listens on this machine.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The file of `--reload-from` cannot be read, or not be meant.
    #[error("--reload-from {reason}")]
    ReloadFrom {
        /// The file and what is wrong with it.
        reason: String,
    },
    /// What a service manager says of the sockets that it passes is no number.
    #[error("{name} is {value:?}, but {meaning}; unset it where no service manager passes sockets")]
    Passed {
        /// The variable.
        name: &'static str,
        /// What it is set to.
        value: String,
        /// What it should be.
        meaning: &'static str,
    },
    /// The process may not open as many files as it needs to get ready.
    #[error(
        "at most {allowed} files may be open (ulimit -n), but this server needs {needed} before its first connection; raise the limit"
    )]
    Files {
        /// What is allowed.
        allowed: u64,
        /// What is needed.
        needed: u64,
    },
}

/// Refuses what could not start.
pub(super) fn check(config: &Config) -> Result<(), ServeError> {
    let passed = passed()?;
    if passed > 0 && config.listen.instances.get() > 1 {
        return Err(ServeError::PassedToSeveral);
    }
    // An instance that is started again later must not fail because somebody is writing the file just then.
    if let Some(file) = config.admin.reload_from.as_ref().filter(|_| !is_instance()) {
        watch::read(file).map_err(|reason| CheckError::ReloadFrom { reason })?;
    }
    if passed == 0 {
        let operator =
            config.admin.endpoint.iter().map(|place| place.of_instance(1, config.listen.instances.get()));
        for place in config.listen.endpoints.iter().cloned().map(Ok).chain(operator) {
            listener::check_path(&place?)?;
        }
    }
    files(config)?;
    if let Some(database) = config.store.database() {
        store::check(&database.path)?;
    }
    Ok(())
}

/// How many sockets a service manager has passed to this process, as it says in the environment.
fn passed() -> Result<usize, CheckError> {
    let variable = |name| std::env::vars_os().find(|(set, _)| set == name).map(|(_, value)| value);
    let text = |name| variable(name).map(|value| value.to_string_lossy().into_owned());
    let Some(value) = text("LISTEN_FDS") else { return Ok(0) };
    if let Some(pid) = text("LISTEN_PID").filter(|pid| !pid.is_empty()) {
        let meaning = "it is to be a process id";
        let Ok(number) = pid.parse::<u32>() else {
            return Err(CheckError::Passed { name: "LISTEN_PID", value: pid, meaning });
        };
        if number != std::process::id() {
            return Ok(0);
        }
    }
    let meaning = "it is to be the number of passed sockets, 0 to 256";
    let number = value.parse().ok().filter(|number| *number <= MAX_PASSED);
    number.ok_or(CheckError::Passed { name: "LISTEN_FDS", value, meaning })
}

/// SQLite says of a file that cannot be opened only that it cannot.
fn files(config: &Config) -> Result<(), CheckError> {
    // Absent means that there is no limit. A start raises it as far as it may.
    let Some(allowed) = getrlimit(Resource::Nofile).maximum else { return Ok(()) };
    let instances = u64::from(config.listen.instances.get());
    let needed = FILES
        + config.listen.endpoints.len() as u64
        + match (instances, &config.store) {
            (1, Store::None) => 0,
            (1, Store::Database { writers, .. }) => {
                let threads = match writers {
                    Writers::Pool { threads } => u64::from(*threads),
                    Writers::Group { .. } => 1,
                };
                // One more makes checkpoints.
                (threads + 1) * FILES_OF_A_CONNECTION
            }
            (instances, _) => instances * FILES_OF_AN_INSTANCE,
        };
    if allowed < needed { Err(CheckError::Files { allowed, needed }) } else { Ok(()) }
}
