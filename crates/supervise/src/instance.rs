//! One server process.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};
use socket2::Socket;

use crate::child::{INSTANCE, PARENT_PID};
use crate::clock::{Deadline, Moment};
use crate::lines::{Line, Lines, Stream};
use crate::notify::Inbox;
use crate::output::Output;
use crate::{Exit, Ready, Reason, Spec, Status};

/// The descriptor at which systemd's protocol starts to pass sockets.
const FIRST_PASSED: i32 = 3;

/// `LISTEN_PID` must be the server's own process id, known only after the fork. A shell sets it and becomes the server.
const SET_LISTEN_PID: &str = r#"LISTEN_PID=$$; export LISTEN_PID; exec "$0" "$@""#;

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

/// What a new process is given beside what the specification says of all.
#[derive(Debug)]
pub(crate) struct Birth<'a> {
    /// Number of the instance, from 1.
    pub(crate) number: u16,
    /// Its sockets, from descriptor 3 on.
    pub(crate) sockets: Vec<Socket>,
    /// Their names, with colons between them.
    pub(crate) names: &'a str,
    /// How its files shall begin: a path that nobody else in the group has.
    pub(crate) files: &'a Path,
    /// Its arguments.
    pub(crate) args: Vec<OsString>,
    /// Variables of its own.
    pub(crate) env: Vec<(OsString, OsString)>,
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
    /// Whether somebody wants the lines it prints.
    tells: bool,
    ready: bool,
    status: Option<String>,
    born: Moment,
    /// How long it may be silent once it has begun to send watchdog messages.
    watchdog: Option<Duration>,
    /// When it must have sent the next one.
    silent: Option<Deadline>,
    /// Signals for when it is ready: before it catches them they could end it.
    owed: Vec<Signal>,
    /// What it will have ended of, as far as anybody asked.
    reason: Reason,
    exit: Option<Exit>,
}

impl Instance {
    /// Starts the process and gives it its sockets.
    pub(crate) fn spawn(spec: &Spec, birth: Birth<'_>) -> io::Result<Self> {
        let inbox = Inbox::create(birth.files.with_extension("notify"))?;
        let stdout = Output::create(&birth.files.with_extension("out"))?;
        let stderr = Output::create(&birth.files.with_extension("err"))?;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SET_LISTEN_PID]).arg(&spec.program).args(birth.args);
        for name in &spec.env_remove {
            command.env_remove(name);
        }
        command.envs(birth.env);
        command.env("LISTEN_FDS", birth.sockets.len().to_string()).env("LISTEN_FDNAMES", birth.names);
        command.env("NOTIFY_SOCKET", inbox.path());
        command.env(PARENT_PID, std::process::id().to_string()).env(INSTANCE, birth.number.to_string());
        // Those of our own supervisor, if there is one, are not meant for our children.
        command.env_remove("LISTEN_PIDFDID").env_remove("WATCHDOG_USEC").env_remove("WATCHDOG_PID");
        if let Some(watchdog) = spec.watchdog {
            command.env("WATCHDOG_USEC", watchdog.as_micros().to_string());
        }
        command.stdin(Stdio::null()).stdout(stdout.writer()?).stderr(stderr.writer()?);
        // Its own group: Ctrl-C in a terminal reaches the parent, who decides.
        command.process_group(0);
        let map = |(child_fd, socket): (i32, Socket)| FdMapping { parent_fd: socket.into(), child_fd };
        command
            .fd_mappings((FIRST_PASSED..).zip(birth.sockets).map(map).collect())
            .map_err(io::Error::other)?;
        let child = command.spawn()?;
        let pid = Pid::from_child(&child);
        let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).inspect_err(|_| kill_group(pid))?;
        Ok(Self {
            number: birth.number,
            pid,
            child,
            pidfd,
            inbox,
            stdout,
            stderr,
            tells: spec.lines,
            ready: spec.ready == Ready::Started,
            status: None,
            born: Moment::now(),
            watchdog: spec.watchdog,
            silent: None,
            owed: Vec::new(),
            reason: Reason::Itself,
            exit: None,
        })
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

    /// How it last described itself (`STATUS=`), if it ever did.
    pub fn description(&self) -> Option<&str> {
        self.status.as_deref()
    }

    pub(crate) fn running(&self) -> bool {
        self.exit.is_none()
    }

    pub(crate) fn exit(&self) -> Option<&Exit> {
        self.exit.as_ref()
    }

    /// How long ago it was started.
    pub(crate) fn age(&self) -> Duration {
        self.born.age()
    }

    /// The last lines it has printed to stderr so far (at most 20).
    pub fn complaint(&self) -> String {
        self.stderr.tail()
    }

    /// When it must have sent its next watchdog message.
    pub(crate) fn silent_from(&self) -> Option<Deadline> {
        self.silent.filter(|_| self.running())
    }

    /// What to wait on for news of this instance.
    pub(crate) fn news(&self) -> impl Iterator<Item = PollFd<'_>> {
        let end = self.running().then(|| PollFd::from_borrowed_fd(self.pidfd.as_fd(), PollFlags::IN));
        let word =
            self.running().then(|| PollFd::from_borrowed_fd(self.inbox.socket().as_fd(), PollFlags::IN));
        end.into_iter().chain(word)
    }

    /// Looks, without waiting, what it has said and printed and whether it has ended: true the first time it is found ended.
    /// To be called all its life long: a full inbox would block the process that writes to it.
    pub(crate) fn look(&mut self, lines: &mut Lines) -> bool {
        if !self.running() {
            return false;
        }
        self.hear();
        self.read(lines, Output::lines);
        let peek = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let lives = matches!(
            rustix::process::waitid(WaitId::Pid(self.pid), peek),
            Ok(None) | Err(rustix::io::Errno::INTR)
        );
        if lives && self.silent.is_some_and(Deadline::over) {
            self.reason = Reason::Silent;
            return self.bury(lines);
        }
        !lives && self.bury(lines)
    }

    fn hear(&mut self) {
        let heard = self.inbox.hear();
        self.status = heard.status.or(self.status.take());
        if heard.alive && self.reason == Reason::Itself {
            self.silent = self.watchdog.map(Deadline::after);
        }
        if heard.stopping {
            self.silent = None;
        }
        self.ready |= heard.ready;
        if self.ready {
            for signal in std::mem::take(&mut self.owed) {
                self.send(signal);
            }
        }
    }

    fn read(&mut self, lines: &mut Lines, how: impl Fn(&mut Output, usize) -> (Vec<String>, u64)) {
        let (instance, pid) = (self.number, self.child.id());
        for (stream, output) in [(Stream::Stdout, &mut self.stdout), (Stream::Stderr, &mut self.stderr)] {
            if self.tells {
                let (texts, lost) = how(output, lines.room());
                lines.lost += lost;
                for text in texts {
                    lines.add(Line { instance, pid, stream, text });
                }
            } else {
                output.skip();
            }
            output.trim();
        }
    }

    /// Asks the process to end, once: many servers take a second request as leave to drop what they are doing. Only the
    /// process itself: how to end its helpers is its own business.
    pub(crate) fn ask(&mut self) {
        if self.running() && self.reason == Reason::Itself {
            self.reason = Reason::Asked;
            self.silent = None;
            self.send(Signal::TERM);
        }
    }

    /// Sends it a signal once it is ready.
    pub(crate) fn signal(&mut self, signal: Signal) {
        if self.ready {
            self.send(signal);
        } else if !self.owed.contains(&signal) {
            self.owed.push(signal);
        }
    }

    fn send(&self, signal: Signal) {
        if self.running() {
            // It may have ended meanwhile; the next look will tell.
            let _ = rustix::process::kill_process(self.pid, signal);
        }
    }

    /// Kills the process and its helpers for `reason`, and waits for its end. True unless its end was found before.
    pub(crate) fn kill(&mut self, reason: Reason, lines: &mut Lines) -> bool {
        if self.look(lines) {
            return true;
        }
        self.running() && {
            self.reason = reason;
            self.bury(lines)
        }
    }

    /// Kills what is left of the process group, then collects the status. In this order: until it is collected, the
    /// process id, and with it the group's, cannot belong to anybody else.
    fn bury(&mut self, lines: &mut Lines) -> bool {
        kill_group(self.pid);
        let status = match self.child.wait() {
            Err(_) => Status::Unknown,
            Ok(status) => match (status.code(), status.signal()) {
                (Some(code), _) => Status::Code(code),
                (None, Some(signal)) => Status::Signal(signal),
                (None, None) => Status::Unknown,
            },
        };
        // What it said and printed between the last look and its end.
        self.hear();
        self.read(lines, Output::rest);
        self.exit = Some(Exit {
            instance: self.number,
            pid: self.child.id(),
            status,
            reason: self.reason,
            was_ready: self.ready,
            stdout: self.stdout.tail(),
            stderr: self.stderr.tail(),
        });
        true
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.kill(Reason::Killed, &mut Lines::default());
    }
}

fn kill_group(leader: Pid) {
    // An empty group is what we want anyway.
    let _ = rustix::process::kill_process_group(leader, Signal::KILL);
}
