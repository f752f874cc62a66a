//! What a group of server processes shall be: everything final, nothing defaulted later.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// When an instance counts as ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// When it has sent `READY=1` to the datagram socket named by `NOTIFY_SOCKET` (the protocol of `sd_notify`).
    Notify,
    /// As soon as it is started. For programs that cannot notify; whoever starts them must probe them. (A connection
    /// attempt would prove nothing: the socket listens before the program runs.)
    Started,
}

/// What to start, how often, and how long to be patient with it.
#[derive(Clone, Debug)]
pub struct Spec {
    /// How many processes share the port, at least one.
    pub instances: NonZeroU16,
    /// The program to run. A plain name is looked up in `PATH`.
    pub program: PathBuf,
    /// Its arguments, the same for every instance.
    pub args: Vec<OsString>,
    /// Variables set on top of the inherited environment, the same for every instance.
    pub env: Vec<(OsString, OsString)>,
    /// Variables of the inherited environment that no instance shall see.
    pub env_remove: Vec<OsString>,
    /// Where to listen. Port 0 chooses a free port; [`crate::Group::address`] tells which.
    pub listen: SocketAddr,
    /// Length of each instance's queue of connections not yet accepted (the kernel caps it at `net.core.somaxconn`).
    pub backlog: u16,
    /// When an instance counts as ready.
    pub ready: Ready,
    /// How long all instances together may take until they are ready.
    pub ready_timeout: Duration,
    /// How long all instances together may take to end after SIGTERM, before they are killed.
    pub stop_timeout: Duration,
    /// Folder in which the group keeps its notify sockets and captured output while it runs.
    pub scratch: PathBuf,
    /// Set from elsewhere (a signal handler) to give up while instances are starting.
    pub cancel: Arc<AtomicBool>,
}

impl Spec {
    /// One instance of `program` without arguments, backlog 1024, 30 s to be ready and 30 s to stop.
    pub fn new(program: impl Into<PathBuf>, listen: SocketAddr) -> Self {
        Self {
            instances: NonZeroU16::MIN,
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            env_remove: Vec::new(),
            listen,
            backlog: 1024,
            ready: Ready::Notify,
            ready_timeout: Duration::from_secs(30),
            stop_timeout: Duration::from_secs(30),
            scratch: std::env::temp_dir(),
            cancel: Arc::default(),
        }
    }
}
