//! Several instances that share one port.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::event::{PollFd, Timespec, poll};
use socket2::Socket;
use tempfile::TempDir;

use crate::clock::Deadline;
use crate::instance::{Exit, Instance, State};
use crate::{Spec, listen};

/// How long a wait sleeps at most before it looks again whether it shall be given up.
const CANCEL_LATENCY: Duration = Duration::from_millis(100);

/// Why a group could not be started. Nothing of it is left running.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Somebody else listens there.
    #[error(
        "cannot listen on {address}: address already in use; stop the other server or choose another port"
    )]
    InUse {
        /// Where we wanted to listen.
        address: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where we wanted to listen.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// No place for sockets and captured output.
    #[error("cannot create a scratch directory for the server's output: {0}")]
    Scratch(io::Error),
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
    /// [`Spec::cancel`] was set.
    #[error("the start was interrupted")]
    Cancelled,
}

/// What an instance printed to stderr, as an addition to a sentence.
fn said(stderr: &str) -> String {
    if stderr.is_empty() { "; it printed nothing to stderr".into() } else { format!("; it said:\n{stderr}") }
}

/// Server processes that share one port. Dropping the group kills them.
#[derive(Debug)]
pub struct Group {
    // In this order: first the processes end, then their port and their files go.
    instances: Vec<Instance>,
    address: SocketAddr,
    stop_timeout: Duration,
    _reservation: Socket,
    _scratch: TempDir,
}

/// Starts the processes and waits until all of them are ready.
///
/// Call it from a thread that lives as long as the group; the documentation of the crate says why.
///
/// # Errors
/// When the address cannot be listened on, or an instance cannot be started, ends early or is not ready in time.
pub fn start(spec: &Spec) -> Result<Group, StartError> {
    let bound = listen::bind(spec)?;
    let scratch = tempfile::Builder::new()
        .prefix("supervise-")
        .tempdir_in(&spec.scratch)
        .map_err(StartError::Scratch)?;
    let folder = scratch.path().to_owned();
    let mut group = Group {
        instances: Vec::new(),
        address: bound.address,
        stop_timeout: spec.stop_timeout,
        _reservation: bound.reservation,
        _scratch: scratch,
    };
    for (number, listener) in (1..).zip(bound.listeners) {
        let started = Instance::spawn(spec, number, listener, &folder);
        let program = || spec.program.clone();
        group.instances.push(started.map_err(|source| StartError::Spawn {
            instance: number,
            program: program(),
            source,
        })?);
    }
    group.wait_ready(spec)?;
    Ok(group)
}

impl Group {
    /// Where the instances listen, with the port that was really taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The instances in the order of their numbers, ended ones included.
    pub fn instances(&self) -> &[Instance] {
        &self.instances
    }

    /// How many instances had not ended when the group last looked.
    pub fn running(&self) -> usize {
        self.instances.iter().filter(|instance| instance.running()).count()
    }

    /// The instances that have ended since the last call of this or of [`Group::wait`]. Does not wait.
    ///
    /// Call one of the two now and then: they also read what the instances notify and keep the files that capture their
    /// output from growing.
    pub fn check(&mut self) -> Vec<Exit> {
        self.instances.iter_mut().filter_map(|instance| instance.look().cloned()).collect()
    }

    /// Like [`Group::check`], but waits for news: until an instance ends or notifies something, `patience` is over or a
    /// signal handler has run. May therefore return nothing early.
    pub fn wait(&mut self, patience: Duration) -> Vec<Exit> {
        if self.running() > 0 {
            self.sleep(patience);
        }
        self.check()
    }

    /// Asks all instances to end (SIGTERM) and returns at once; follow their end with [`Group::wait`].
    pub fn terminate(&mut self) {
        self.instances.iter_mut().for_each(Instance::ask);
    }

    /// Asks all instances to end, kills those that have not ended after [`Spec::stop_timeout`], and returns the end of
    /// every instance in the order of their numbers, those that ended earlier included.
    pub fn stop(self) -> Vec<Exit> {
        self.stop_unless(|| false)
    }

    /// Like [`Group::stop`], but kills at once when `impatient` says so; it is asked several times a second.
    pub fn stop_unless(mut self, mut impatient: impl FnMut() -> bool) -> Vec<Exit> {
        self.check();
        self.terminate();
        let deadline = Deadline::after(self.stop_timeout);
        while let Some(left) = deadline.left() {
            if self.running() == 0 || impatient() {
                break;
            }
            self.wait(left.min(CANCEL_LATENCY));
        }
        self.kill()
    }

    /// Kills what still runs and returns the end of every instance, as [`Group::stop`] does.
    pub fn kill(mut self) -> Vec<Exit> {
        self.instances.iter_mut().for_each(Instance::kill);
        self.instances.iter().filter_map(Instance::exit).cloned().collect()
    }

    fn wait_ready(&mut self, spec: &Spec) -> Result<(), StartError> {
        let deadline = Deadline::after(spec.ready_timeout);
        loop {
            // First the words, then the ends: an instance may say READY=1 and die at once.
            let waiting = self.instances.iter_mut().filter_map(|instance| (!instance.hear()).then_some(()));
            let all_ready = waiting.count() == 0;
            if let Some(exit) = self.check().into_iter().next() {
                return Err(StartError::Ended(Box::new(exit)));
            }
            if all_ready {
                return Ok(());
            }
            if spec.cancel.load(Ordering::Relaxed) {
                return Err(StartError::Cancelled);
            }
            match deadline.left() {
                Some(left) => self.sleep(left.min(CANCEL_LATENCY)),
                None => return Err(self.late(spec.ready_timeout)),
            }
        }
    }

    fn late(&self, timeout: Duration) -> StartError {
        let late = self.instances.iter().find(|instance| instance.state() == State::Starting);
        let (instance, stderr) = late.map_or((0, String::new()), |late| (late.number(), late.complaint()));
        StartError::NotReady { instance, timeout, stderr }
    }

    /// Sleeps until an instance has news, at most for `patience`.
    fn sleep(&self, patience: Duration) {
        let mut news: Vec<PollFd<'_>> = self.instances.iter().flat_map(Instance::news).collect();
        // A patience too long for the kernel's type is an endless one.
        let patience = Timespec::try_from(patience).ok();
        // An interrupted sleep is a short one; every caller looks again anyway.
        let _ = poll(&mut news, patience.as_ref());
    }
}
