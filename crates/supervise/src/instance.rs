//! One server process.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use command_fds::{CommandFdExt, FdMapping};
use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};
use socket2::Socket;

use crate::child::PARENT_PID;
use crate::notify::Inbox;
use crate::output::Output;
use crate::{Ready, Spec};

/// The descriptor at which systemd's protocol starts to pass sockets.
const FIRST_PASSED: i32 = 3;

/// `LISTEN_PID` must be the server's own process id, known only after the fork. A shell sets it and becomes the server.
const SET_LISTEN_PID: &str = r#"LISTEN_PID=$$; export LISTEN_PID; exec "$0" "$@""#;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
    /// Somebody else collected its status first.
    Unknown,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => match signal_name(signal) {
                Some(name) => write!(f, "signal {signal} ({name})"),
                None => write!(f, "signal {signal}"),
            },
            Self::Unknown => f.write_str("an unknown status"),
        }
    }
}

fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match Signal::from_named_raw(signal)? {
        Signal::HUP => "SIGHUP",
        Signal::INT => "SIGINT",
        Signal::QUIT => "SIGQUIT",
        Signal::ILL => "SIGILL",
        Signal::ABORT => "SIGABRT",
        Signal::BUS => "SIGBUS",
        Signal::FPE => "SIGFPE",
        Signal::KILL => "SIGKILL",
        Signal::SEGV => "SIGSEGV",
        Signal::PIPE => "SIGPIPE",
        Signal::TERM => "SIGTERM",
        _ => return None,
    })
}

/// Who wanted a process to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Nobody here: it ended during the run.
    Itself,
    /// It was asked with SIGTERM and obeyed in time.
    Asked,
    /// It was killed with SIGKILL, because it did not obey in time.
    Killed,
}

/// The end of one instance.
#[derive(Clone, Debug)]
pub struct Exit {
    /// Number of the instance, from 1.
    pub instance: u16,
    /// Process id it had.
    pub pid: u32,
    /// How it ended.
    pub status: Status,
    /// Who wanted it.
    pub reason: Reason,
    /// The last lines it printed to stdout (at most 20).
    pub stdout: String,
    /// The last lines it printed to stderr (at most 20).
    pub stderr: String,
}

/// What an instance is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Started, but not ready yet.
    Starting,
    /// Serving.
    Ready,
    /// Ended in this way.
    Ended(Status),
}

/// One server process of a group.
#[derive(Debug)]
pub struct Instance {
    number: u16,
    pid: Pid,
    child: Child,
    /// Becomes readable when the process ends.
    pidfd: OwnedFd,
    inbox: Inbox,
    stdout: Output,
    stderr: Output,
    ready: bool,
    /// What it will have ended of, as far as anybody asked.
    reason: Reason,
    exit: Option<Exit>,
}

impl Instance {
    /// Starts the process and gives it `listener`. The parent keeps no copy, so the socket closes with the process and
    /// the kernel queues nothing for the dead.
    pub(crate) fn spawn(spec: &Spec, number: u16, listener: Socket, scratch: &Path) -> io::Result<Self> {
        let inbox = Inbox::create(scratch.join(format!("{number}.notify")))?;
        let stdout = Output::create(&scratch.join(format!("{number}.out")))?;
        let stderr = Output::create(&scratch.join(format!("{number}.err")))?;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SET_LISTEN_PID]).arg(&spec.program).args(&spec.args);
        spec.env_remove.iter().for_each(|name| {
            command.env_remove(name);
        });
        command.envs(spec.env.iter().map(|(name, value)| (name, value)));
        command.env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", "http").env("NOTIFY_SOCKET", inbox.path());
        command.env(PARENT_PID, std::process::id().to_string());
        // Those of our own supervisor, if there is one, are not meant for our children.
        command.env_remove("LISTEN_PIDFDID").env_remove("WATCHDOG_USEC").env_remove("WATCHDOG_PID");
        command.stdin(Stdio::null()).stdout(stdout.writer()?).stderr(stderr.writer()?);
        // Its own group: Ctrl-C in a terminal reaches the parent, who decides.
        command.process_group(0);
        let mapping = FdMapping { parent_fd: listener.into(), child_fd: FIRST_PASSED };
        command.fd_mappings(vec![mapping]).map_err(io::Error::other)?;
        let child = command.spawn()?;
        let pid = Pid::from_child(&child);
        let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty());
        let ready = spec.ready == Ready::Started;
        let reason = Reason::Itself;
        let pidfd = pidfd.inspect_err(|_| kill_group(pid))?;
        Ok(Self { number, pid, child, pidfd, inbox, stdout, stderr, ready, reason, exit: None })
    }

    /// Number of the instance in its group, from 1.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it was doing when the group last looked.
    pub fn state(&self) -> State {
        match &self.exit {
            Some(exit) => State::Ended(exit.status),
            None if self.ready => State::Ready,
            None => State::Starting,
        }
    }

    pub(crate) fn running(&self) -> bool {
        self.exit.is_none()
    }

    pub(crate) fn exit(&self) -> Option<&Exit> {
        self.exit.as_ref()
    }

    /// The last lines of stderr so far.
    pub(crate) fn complaint(&self) -> String {
        self.stderr.tail()
    }

    /// What to wait on for news of this instance.
    pub(crate) fn news(&self) -> impl Iterator<Item = PollFd<'_>> {
        let end = self.running().then(|| PollFd::from_borrowed_fd(self.pidfd.as_fd(), PollFlags::IN));
        let word =
            self.running().then(|| PollFd::from_borrowed_fd(self.inbox.socket().as_fd(), PollFlags::IN));
        end.into_iter().chain(word)
    }

    /// Reads its messages and tells whether it is ready by now. To be called all its life long: a full inbox would
    /// block the process that writes to it.
    pub(crate) fn hear(&mut self) -> bool {
        self.ready |= self.inbox.ready();
        self.ready
    }

    /// Looks, without waiting, whether the process has ended since the last look.
    pub(crate) fn look(&mut self) -> Option<&Exit> {
        if !self.running() {
            return None;
        }
        self.hear();
        self.stdout.trim();
        self.stderr.trim();
        let peek = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match rustix::process::waitid(WaitId::Pid(self.pid), peek) {
            Ok(None) | Err(rustix::io::Errno::INTR) => None,
            Ok(Some(_)) | Err(_) => Some(self.bury()),
        }
    }

    /// Asks the process to end. Only the process itself: how to end its helpers is its own business.
    pub(crate) fn ask(&mut self) {
        if self.running() {
            self.reason = Reason::Asked;
            // It may have ended meanwhile; the next look will tell.
            let _ = rustix::process::kill_process(self.pid, Signal::TERM);
        }
    }

    /// Kills the process and its helpers, and waits for its end.
    pub(crate) fn kill(&mut self) {
        if self.look().is_none() && self.running() {
            self.reason = Reason::Killed;
            self.bury();
        }
    }

    /// Kills what is left of the process group, then collects the status. In this order: until it is collected, the
    /// process id, and with it the group's, cannot belong to anybody else.
    fn bury(&mut self) -> &Exit {
        kill_group(self.pid);
        let status = match self.child.wait() {
            Err(_) => Status::Unknown,
            Ok(status) => match (status.code(), status.signal()) {
                (Some(code), _) => Status::Code(code),
                (None, Some(signal)) => Status::Signal(signal),
                (None, None) => Status::Unknown,
            },
        };
        self.exit.insert(Exit {
            instance: self.number,
            pid: self.child.id(),
            status,
            reason: self.reason,
            stdout: self.stdout.tail(),
            stderr: self.stderr.tail(),
        })
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.kill();
    }
}

fn kill_group(leader: Pid) {
    // An empty group is what we want anyway.
    let _ = rustix::process::kill_process_group(leader, Signal::KILL);
}
