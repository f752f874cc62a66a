//! How does a request travel? One file per engine; all of them behind [`Engine`] and [`Connection`].

pub mod dial;
pub mod fake;
pub mod http1;
pub mod http2;
mod kept;
pub mod reqwest;

use std::error::Error;
use std::future::Future;
use std::io;

use report::document::FailureKind;

pub use self::kept::Kept;
use crate::clock::{Nanos, Timer};
use crate::source::{Origin, Request};

/// Makes connections.
pub trait Engine<T: Timer>: 'static {
    /// What it makes.
    type Connection: Connection<T>;

    /// Makes one connection to an origin, timing it in `trace`.
    fn connect(
        &self,
        origin: &Origin,
        timer: &T,
        trace: &mut Trace,
    ) -> impl Future<Output = Result<Self::Connection, Failure>>;
}

/// Carries one request at a time.
pub trait Connection<T: Timer>: 'static {
    /// Sends the request and reads the whole answer, or says why there is none. What it counts is added to `trace`: a
    /// request that is redirected travels more than once.
    fn send(
        &mut self,
        request: &Request,
        timer: &T,
        trace: &mut Trace,
    ) -> impl Future<Output = Result<Answer, Failure>>;

    /// Whether another request may follow the one just answered.
    fn is_reusable(&self) -> bool;

    /// Whether it was closed by the peer while it lay idle. Asked before each request but the first.
    fn is_stale(&mut self) -> bool;

    /// Where it leads and how it is spoken there, in words, where the engine knows.
    fn peer(&self) -> Option<String> {
        None
    }
}

/// A complete answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Where it redirects to, if it does.
    pub location: Option<String>,
    /// What the request wants kept of it.
    pub kept: Option<Box<Kept>>,
}

/// Whether a status redirects to the location beside it.
pub(crate) fn redirects(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// What is known of one exchange. It is filled in as the exchange goes on and lies outside the future that does so,
/// because a request that times out drops that future and its trace must survive.
#[derive(Debug, Default, Clone)]
pub struct Trace {
    /// Open model: how long the request waited for a free connection after it was due.
    pub queue_ns: Option<Nanos>,
    /// Open model: how late this generator woke up for it, where a connection was free before it was due.
    pub lag_ns: Option<Nanos>,
    /// Connections established for this request.
    pub opened: u64,
    /// Whether the connection had carried a request before.
    pub reused: bool,
    /// Whether a kept-alive connection was found closed and replaced.
    pub reopened: bool,
    /// Looking up the name, where that was needed.
    pub dns_ns: Option<Nanos>,
    /// Establishing the connection, look-up and TLS included, where that was needed.
    pub connect_ns: Option<Nanos>,
    /// Redirects that were followed.
    pub redirects: u64,
    /// When the first byte of the first request was written, where a redirect led to another one. Of the phases, those
    /// of the last request are kept.
    pub service_begin: Option<Nanos>,
    /// When the first byte of the request was handed to the kernel.
    pub first_write: Nanos,
    /// When the last byte was.
    pub last_write: Option<Nanos>,
    /// When the first byte of the answer was read.
    pub first_read: Option<Nanos>,
    /// When the last byte of the answer was read.
    pub last_read: Option<Nanos>,
    /// Bytes written.
    pub written: u64,
    /// Bytes of the answer's head and framing.
    pub head_read: u64,
    /// Bytes of the answer's body, as they came.
    pub body_read: u64,
}

impl Trace {
    /// A redirect is followed: what was counted stays, the phases begin anew.
    pub fn follow(&mut self) {
        self.redirects += 1;
        self.service_begin.get_or_insert(self.first_write);
        (self.last_write, self.first_read, self.last_read) = (None, None, None);
    }

    /// Adds the time that a connection took.
    pub(crate) fn connected_in(&mut self, nanos: Nanos) {
        *self.connect_ns.get_or_insert(0) += nanos;
    }
}

/// Why a request was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The kind it is counted under.
    pub kind: FailureKind,
    /// What exactly happened, for a person: one example of a kind is kept.
    pub message: String,
}

impl Failure {
    /// A failure of that kind, with words of its own.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// While connecting.
    pub fn connecting(error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::ConnectionRefused => FailureKind::ConnectRefused,
            io::ErrorKind::TimedOut => FailureKind::ConnectTimeout,
            io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse => FailureKind::ClientPorts,
            _ if is_out_of_files(error) => FailureKind::ClientFiles,
            _ => FailureKind::ConnectFailed,
        };
        Self::new(kind, format!("connecting: {error}"))
    }

    /// While writing the request or reading the answer.
    pub fn transfer(error: &io::Error, doing: &str) -> Self {
        if let Some(error) = cause::<rustls::Error>(error) {
            return Self::new(FailureKind::Tls, dial::explain(error));
        }
        let kind = match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
                FailureKind::Reset
            }
            _ => FailureKind::Io,
        };
        Self::new(kind, format!("{doing}: {error}"))
    }
}

fn is_out_of_files(error: &io::Error) -> bool {
    let out = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE].map(rustix::io::Errno::raw_os_error);
    error.raw_os_error().is_some_and(|code| out.contains(&code))
}

/// The first cause of type `E` in a chain of errors.
pub(crate) fn cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut current = Some(error);
    while let Some(error) = current {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // An io::Error that wraps another error leaves that one out of the chain and names only its source.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        current = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod suite;
