//! What a supervised server does for itself.

use std::io;

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

/// Name of the variable that tells an instance the process id of its supervisor.
pub const PARENT_PID: &str = "SUPERVISE_PARENT_PID";

/// Name of the variable that tells an instance its number in the group, from 1. A restarted one has the number of the one it
/// replaces.
pub const INSTANCE: &str = "SUPERVISE_INSTANCE";

/// Why the parent-death signal could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// The supervisor died before the instance could ask to die with it, or something stands between the two.
    #[error(
        "process {expected}, which started this server, is not its parent (any more); \
         a wrapper between them must exec the server, and {PARENT_PID} must not be set by hand"
    )]
    Orphaned {
        /// Process id of the supervisor, as it was passed.
        expected: u32,
    },
    /// The kernel refused.
    #[error("cannot ask the kernel to end this server together with its parent: {0}")]
    Kernel(#[from] io::Error),
}

/// Asks the kernel to kill this process when the thread that started it ends.
///
/// `parent` is the supervisor's process id, from [`PARENT_PID`]. It closes the gap in which the supervisor dies before
/// the request is made: then the signal would never come.
///
/// # Errors
/// When the parent is another process than `parent`, or the kernel refuses.
pub fn die_with_parent(parent: u32) -> Result<(), GuardError> {
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(io::Error::from)?;
    let actual = getppid().map(Pid::as_raw_nonzero).and_then(|pid| u32::try_from(pid.get()).ok());
    if actual == Some(parent) {
        return Ok(());
    }
    // Whoever goes on regardless shall not be tied to a stranger.
    set_parent_process_death_signal(None).map_err(io::Error::from)?;
    Err(GuardError::Orphaned { expected: parent })
}
