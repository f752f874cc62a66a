//! Why there is no group.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::{Address, Exit};

/// Why a group, or one process of it, could not be started. Of a group that could not be started nothing is left running.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Somebody else listens there.
    #[error("cannot listen on {address}: address already in use; stop the other server or choose another {}", place(.address))]
    InUse {
        /// Where we wanted to listen.
        address: Address,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where we wanted to listen.
        address: Address,
        /// What the kernel said, or why it was not even asked.
        source: io::Error,
    },
    /// The name of a socket cannot be passed.
    #[error("{name:?} is no name for a socket: 1 to 255 printable ASCII characters without a colon are")]
    Name {
        /// The name that was wanted.
        name: String,
    },
    /// No place for sockets and captured output.
    #[error("cannot create a scratch directory for the server's output: {0}")]
    Scratch(io::Error),
    /// A file that a process needs could not be written.
    #[error("cannot write {}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A process could not be started at all.
    #[error("cannot start instance {instance} of {}: {source}", program.display())]
    Spawn {
        /// Number of the instance, from 1.
        instance: u16,
        /// What was to be run.
        program: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// An instance ended before it was ready.
    #[error("instance {} ended with {} before it was ready{}", .0.instance, .0.status, said(&.0.stderr))]
    Ended(Box<Exit>),
    /// An instance was not ready in time.
    #[error("instance {instance} was not ready within {timeout:?}{}", said(.stderr))]
    NotReady {
        /// Number of the instance, from 1.
        instance: u16,
        /// How long we waited.
        timeout: Duration,
        /// The last lines it printed to stderr.
        stderr: String,
    },
    /// [`crate::Spec::cancel`] was set.
    #[error("the start was interrupted")]
    Cancelled,
}

/// What an instance printed to stderr, as an addition to a sentence.
fn said(stderr: &str) -> String {
    if stderr.is_empty() { "; it printed nothing to stderr".into() } else { format!("; it said:\n{stderr}") }
}

fn place(address: &Address) -> &'static str {
    match address {
        Address::Tcp(_) => "port",
        Address::Unix(_) => "path",
    }
}

/// Why a rolling restart did not begin. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RollError {
    /// One at a time.
    #[error("a rolling restart is under way already; this request is ignored")]
    Underway,
    /// Everything is ending.
    #[error("the instances are being stopped; the request for a rolling restart is ignored")]
    Stopping,
    /// Without [`crate::Restart::Always`] no sockets are kept that a successor could be given.
    #[error("these instances are not restarted: their sockets were not kept")]
    NotKept,
}
