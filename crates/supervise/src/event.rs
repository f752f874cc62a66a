//! What happens to a group.

use std::fmt;
use std::time::Duration;

use crate::{Exit, StartError};

/// What is done after an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: the instance stays ended.
    Nothing,
    /// It is started again at once, on the same sockets.
    RestartNow,
    /// Its sockets are closed; it is started again on new ones after this time.
    RestartAfter(Duration),
    /// In a rolling restart: its successor serves in its place, or will when it is ready.
    Replaced,
    /// In a rolling restart: it was to replace another, which goes on.
    PredecessorStays,
}

/// Something that has happened to a group. As text it is a sentence without a full stop.
#[derive(Debug)]
pub enum Event {
    /// A process has ended.
    Ended {
        /// How.
        exit: Exit,
        /// What is done about it.
        next: Next,
    },
    /// An instance that was started again serves.
    Ready {
        /// Number of the instance, from 1.
        instance: u16,
        /// Its process id.
        pid: u32,
    },
    /// An instance could not be started again.
    NotStarted {
        /// Number of the instance, from 1.
        instance: u16,
        /// Why.
        error: StartError,
        /// After which time it is tried again.
        again: Duration,
    },
    /// In a rolling restart: a successor serves, and its predecessor, if it still lived, was asked to end.
    Succeeded {
        /// Number of the instance, from 1.
        instance: u16,
        /// Process id of the successor.
        pid: u32,
    },
    /// A rolling restart was given up: this instance and those after it are the old ones.
    RollStopped {
        /// Number of the instance, from 1.
        instance: u16,
        /// What was wrong with its successor.
        error: StartError,
    },
    /// A rolling restart is done: all instances have been replaced.
    Rolled,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended { exit, next } => match next {
                Next::Nothing => exit.fmt(f),
                Next::RestartNow => write!(f, "{exit}; it is restarted"),
                Next::RestartAfter(wait) => write!(f, "{exit}; it is restarted in {wait:?}"),
                Next::Replaced => write!(f, "{exit}; its successor takes its place"),
                Next::PredecessorStays => write!(f, "{exit}; its predecessor stays"),
            },
            Self::Ready { instance, pid } => write!(f, "instance {instance} (process {pid}) serves again"),
            Self::NotStarted { instance, error, again } => {
                write!(f, "instance {instance} could not be restarted, next attempt in {again:?}: {error}")
            }
            Self::Succeeded { instance, pid } => {
                write!(f, "rolling restart: the new instance {instance} (process {pid}) serves")
            }
            Self::RollStopped { instance, error } => {
                write!(
                    f,
                    "the rolling restart has stopped at instance {instance}, the old one stays: {error}"
                )
            }
            Self::Rolled => f.write_str("rolling restart: done, all instances are new"),
        }
    }
}
