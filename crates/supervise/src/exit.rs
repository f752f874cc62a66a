//! How a process ended.

use std::fmt;

use rustix::process::Signal;

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
    /// It was killed with SIGKILL, because it was not ready in time after a restart.
    Late,
    /// It was killed with SIGKILL, because its watchdog messages stayed away.
    Silent,
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
    /// Whether it had ever been ready. Who was not has served nobody.
    pub was_ready: bool,
    /// The last lines it printed to stdout (at most 20).
    pub stdout: String,
    /// The last lines it printed to stderr (at most 20).
    pub stderr: String,
}

impl fmt::Display for Exit {
    /// A sentence without its end, such as `instance 2 (process 4711) ended with exit code 1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { instance, pid, status, .. } = self;
        write!(f, "instance {instance} (process {pid}) ")?;
        match self.reason {
            Reason::Itself | Reason::Asked => write!(f, "ended with {status}"),
            Reason::Killed => f.write_str("had to be killed: it had not ended by then"),
            Reason::Late => f.write_str("had to be killed: it was not ready in time"),
            Reason::Silent => f.write_str("had to be killed: its watchdog messages stayed away"),
        }
    }
}
