//! What a group of server processes shall be: everything final, nothing defaulted later.

use std::ffi::OsString;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::{Blank, SocketSpec};

/// When an instance counts as ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// When it has sent `READY=1` to the datagram socket named by `NOTIFY_SOCKET` (the protocol of `sd_notify`).
    Notify,
    /// As soon as it is started. For programs that cannot notify; whoever starts them must probe them. (A connection
    /// attempt would prove nothing: the socket listens before the program runs.)
    Started,
}

/// What is done when an instance ends by itself once the group is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// Nothing: what dies stays dead. Its socket closes with it, and the kernel queues nothing for the dead.
    Never,
    /// It is started again, at once the first time: the group keeps a copy of its sockets, and connections that the
    /// kernel has queued are served by the successor. Whoever fails again soon has its own sockets closed, so that the
    /// others get its connections, and waits longer every time.
    Always(Backoff),
}

/// How long an instance that fails again and again waits for its next start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The first wait, after the second failure; every further one is twice as long as the one before.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
    /// Who was ready and has lived as long as this begins anew: with a restart at once.
    pub healthy: Duration,
}

impl Default for Backoff {
    /// From 200 ms to 10 s, forgiven after 10 s.
    fn default() -> Self {
        Self {
            first: Duration::from_millis(200),
            longest: Duration::from_secs(10),
            healthy: Duration::from_secs(10),
        }
    }
}

impl Backoff {
    /// The wait before the next start, when there were `failures` in a row, the one just now included.
    pub(crate) fn wait(&self, failures: u32) -> Duration {
        match failures {
            0 | 1 => Duration::ZERO,
            _ => self.first.saturating_mul(2_u32.saturating_pow(failures - 2)).min(self.longest),
        }
    }
}

/// What to start, how often, and how long to be patient with it.
#[derive(Clone, Debug)]
pub struct Spec {
    /// How many processes, at least one.
    pub instances: NonZeroU16,
    /// The program to run. A plain name is looked up in `PATH`.
    pub program: PathBuf,
    /// Its arguments, the same for every instance but for [`Spec::blanks`].
    pub args: Vec<OsString>,
    /// Variables set on top of the inherited environment, the same for every instance but for [`Spec::blanks`].
    pub env: Vec<(OsString, OsString)>,
    /// Texts that stand in [`Spec::args`] and the values of [`Spec::env`] for what is known at the start only.
    pub blanks: Vec<(String, Blank)>,
    /// Files that are written, their [`Spec::blanks`] filled, before a process is started: path and content. A path may have
    /// blanks too, and must where instances need different files.
    pub files: Vec<(PathBuf, String)>,
    /// Variables of the inherited environment that no instance shall see.
    pub env_remove: Vec<OsString>,
    /// What every instance is passed, from descriptor 3 on in this order. [`crate::Group::address`] tells where they really
    /// listen.
    pub sockets: Vec<SocketSpec>,
    /// Length of each socket's queue of connections not yet accepted (the kernel caps it at `net.core.somaxconn`).
    pub backlog: u16,
    /// When an instance counts as ready.
    pub ready: Ready,
    /// How long all instances together may take until they are ready, and one that is started later.
    pub ready_timeout: Duration,
    /// How long all instances together may take to end after SIGTERM, before they are killed, and one that is replaced.
    pub stop_timeout: Duration,
    /// What is done when an instance ends by itself.
    pub restart: Restart,
    /// How long an instance may be silent that has begun to send `WATCHDOG=1`; who is silent for longer is killed. Instances
    /// are told as `WATCHDOG_USEC`. `None`: they are not asked, and nobody watches.
    pub watchdog: Option<Duration>,
    /// Whether what instances print is collected for [`crate::Group::lines`]. Somebody must take the lines then.
    pub lines: bool,
    /// Folder in which the group keeps its notify sockets and captured output while it runs.
    pub scratch: PathBuf,
    /// Set from elsewhere (a signal handler) to give up while instances are starting.
    pub cancel: Arc<AtomicBool>,
}

impl Spec {
    /// One instance of `program` without arguments, backlog 1024, 30 s to be ready and 30 s to stop, not restarted, not
    /// watched, its lines not collected.
    pub fn new(program: impl Into<PathBuf>, sockets: Vec<SocketSpec>) -> Self {
        Self {
            instances: NonZeroU16::MIN,
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            blanks: Vec::new(),
            files: Vec::new(),
            env_remove: Vec::new(),
            sockets,
            backlog: 1024,
            ready: Ready::Notify,
            ready_timeout: Duration::from_secs(30),
            stop_timeout: Duration::from_secs(30),
            restart: Restart::Never,
            watchdog: None,
            lines: false,
            scratch: std::env::temp_dir(),
            cancel: Arc::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let waits: Vec<u128> =
            (1..=9).map(|failures| Backoff::default().wait(failures).as_millis()).collect();
        assert_eq!(waits, [0, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(Backoff::default().wait(u32::MAX), Duration::from_secs(10));
    }
}
