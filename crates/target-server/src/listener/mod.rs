//! Where do connections come from? From sockets that were passed in, else from our own.

mod bound;
mod passed;
mod stream;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::task::{Context, Poll};

use supervise::bind::{self, SocketFile};
use tokio::net::{TcpListener, UnixListener};

pub use self::bound::Bound;
pub use self::stream::Stream;
use crate::config::endpoint::Endpoint;
use crate::config::listen::Sockets;

/// Why there is nothing to accept connections from.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Somebody else listens there.
    #[error("cannot listen on {}: address already in use; stop the other server or choose another {}", .0, choice(.0))]
    InUse(Endpoint),
    /// The address cannot be listened on.
    #[error("cannot listen on {endpoint}: {source}")]
    Refused {
        /// Where we wanted to listen.
        endpoint: Endpoint,
        /// What the kernel said.
        source: io::Error,
    },
    /// What was passed is not what we need.
    #[error("descriptor {descriptor}, passed by the service manager, cannot be served: {reason}")]
    Unfit {
        /// Its number.
        descriptor: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// Names and sockets do not match.
    #[error("LISTEN_FDNAMES has {names} names, but LISTEN_FDS is {sockets}")]
    Names {
        /// How many names.
        names: usize,
        /// How many sockets.
        sockets: usize,
    },
    /// Two operators' sockets.
    #[error("several sockets passed by the service manager are named admin, but only one can be served")]
    ManyAdmin,
    /// Nothing for requests.
    #[error(
        "the only socket passed by the service manager is named admin; one named http is missing (FileDescriptorName=)"
    )]
    OnlyAdmin,
    /// A name that may mean anything.
    #[error(
        "a socket passed by the service manager is named {0}, and others are named otherwise; \
         name them http and admin (FileDescriptorName=)"
    )]
    Stranger(String),
}

/// What to choose another of.
fn choice(endpoint: &Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Tcp(_) => "port",
        Endpoint::Unix(_) => "path",
    }
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// A host, by its address alone, and an IPv4 address as one, also when it reached a dual-stack socket.
    Host(IpAddr),
    /// A process on this machine, through a unix socket.
    Unix,
}

impl From<IpAddr> for Peer {
    fn from(address: IpAddr) -> Self {
        Self::Host(address.to_canonical())
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        address.ip().into()
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(address) => address.fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}

/// A socket that listens. It belongs to the runtime in which it was made.
#[derive(Debug)]
pub enum Listener {
    /// For TCP.
    Tcp(TcpListener),
    /// In the file system.
    Unix {
        /// The socket.
        listener: UnixListener,
        /// Its file, where we made it.
        file: Option<SocketFile>,
    },
}

impl Listener {
    /// The next connection, and where it comes from.
    ///
    /// # Errors
    /// As the kernel says: mostly that the client has gone already, or that descriptors are used up.
    pub fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<(Stream, Peer)>> {
        match self {
            Self::Tcp(listener) => {
                listener.poll_accept(context).map_ok(|(stream, peer)| (Stream::Tcp(stream), peer.into()))
            }
            Self::Unix { listener, .. } => {
                listener.poll_accept(context).map_ok(|(stream, _)| (Stream::Unix(stream), Peer::Unix))
            }
        }
    }

    /// Where it listens, with the port that was really taken.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn endpoint(&self) -> io::Result<Endpoint> {
        Ok(match self {
            Self::Tcp(listener) => Endpoint::Tcp(listener.local_addr()?),
            Self::Unix { listener, .. } => {
                let address = listener.local_addr()?;
                Endpoint::Unix(address.as_pathname().map(Into::into).unwrap_or_default())
            }
        })
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix { listener, .. } => listener.as_fd(),
        }
    }
}

/// What a server will accept connections from.
#[derive(Debug)]
pub struct Places {
    /// For requests, at least one.
    pub http: Vec<Bound>,
    /// For the operator, where one was passed.
    pub admin: Option<Bound>,
}

/// The sockets passed by a service manager (`LISTEN_FDS` and `LISTEN_PID`), if there are any; they win over `endpoints`.
/// `names` is what the environment says of them in `LISTEN_FDNAMES`. Otherwise sockets of our own, which do not listen yet.
/// To be called inside the runtime that will accept from them.
///
/// # Errors
/// When a passed socket cannot be served or it is not clear what it is for, or an endpoint cannot be listened on.
pub fn obtain(endpoints: &[Endpoint], sockets: Sockets, names: Option<&str>) -> Result<Places, ListenError> {
    if let Some(passed) = passed::take(names)? {
        return Ok(Places { http: passed.http, admin: passed.admin });
    }
    Ok(Places { http: reserve(endpoints, sockets)?, admin: None })
}

/// Takes `endpoints` for sockets of our own.
///
/// # Errors
/// When one of them cannot be had; then none is.
pub fn reserve(endpoints: &[Endpoint], sockets: Sockets) -> Result<Vec<Bound>, ListenError> {
    // First all of them: afterwards it would be ourselves who have them.
    check(endpoints, sockets)?;
    endpoints
        .iter()
        .map(|endpoint| Bound::take(endpoint, sockets).map_err(|source| refused(endpoint, source)))
        .collect()
}

/// Listens there from now on. To be called inside the runtime that will accept.
///
/// # Errors
/// When somebody else has come to listen there meanwhile; then none of them listens.
pub fn listen(places: Vec<Bound>) -> Result<Vec<Listener>, ListenError> {
    for place in &places {
        place.check().map_err(|source| refused(place.endpoint(), source))?;
    }
    places
        .into_iter()
        .map(|place| {
            let endpoint = place.endpoint().clone();
            place.listen().map_err(|source| refused(&endpoint, source))
        })
        .collect()
}

/// Whether sockets of our own could listen on `endpoints`, for those who will listen a moment later.
///
/// # Errors
/// When one of them cannot be listened on.
pub(crate) fn check(endpoints: &[Endpoint], sockets: Sockets) -> Result<(), ListenError> {
    endpoints.iter().try_for_each(|endpoint| {
        let free = match endpoint {
            // With SO_REUSEPORT we would silently take a share of another server's connections. Without it, the kernel
            // tells.
            Endpoint::Tcp(address) => bind::tcp(*address, sockets.reuse_port).map(drop),
            Endpoint::Unix(path) => bind::unix_is_free(path),
        };
        free.map_err(|source| refused(endpoint, source))
    })
}

/// Whether there could be a socket there, whoever listens at the moment.
///
/// # Errors
/// When the path of a unix socket cannot be one.
pub(crate) fn check_path(endpoint: &Endpoint) -> Result<(), ListenError> {
    let Endpoint::Unix(path) = endpoint else { return Ok(()) };
    bind::unix_could_be(path).map_err(|source| refused(endpoint, source))
}

fn refused(endpoint: &Endpoint, source: io::Error) -> ListenError {
    let endpoint = endpoint.clone();
    match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::InUse(endpoint),
        _ => ListenError::Refused { endpoint, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_address_is_recorded_as_the_address_it_is() {
        let mapped: SocketAddr = "[::ffff:192.0.2.7]:4711".parse().unwrap();
        assert_eq!(Peer::from(mapped).to_string(), "192.0.2.7");
        assert_eq!(Peer::Unix.to_string(), "unix");
    }
}
