//! Where do connections come from? From a socket that was passed in, else from one of our own.

use std::io;
use std::net::{SocketAddr, TcpListener};

use listenfd::ListenFd;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// Why there is nothing to accept connections from.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Somebody else listens there.
    #[error(
        "cannot listen on {0}: address already in use; stop the other server or choose another port with --listen"
    )]
    InUse(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Refused {
        /// Where we wanted to listen.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// What was passed is not what we need.
    #[error("descriptor 3, passed by the service manager, cannot be served: {0}")]
    Unfit(io::Error),
    /// One server accepts from one socket.
    #[error("{0} sockets were passed by the service manager, but one server serves exactly one")]
    TooMany(usize),
}

/// The socket passed by a service manager (`LISTEN_FDS` and `LISTEN_PID`), if there is one; it wins over `address`.
/// Otherwise a socket of our own. That one does not share its port: a port in use is an error.
///
/// # Errors
/// When the passed socket does not listen for TCP connections, or the address cannot be listened on.
pub fn obtain(address: SocketAddr, backlog: u16) -> Result<TcpListener, ListenError> {
    let mut passed = ListenFd::from_env();
    match passed.len() {
        0 => {
            let listen = |socket: Socket| socket.listen(i32::from(backlog)).map(|()| socket.into());
            bind(address).and_then(listen).map_err(|source| refused(address, source))
        }
        1 => adopt(&mut passed).map_err(ListenError::Unfit),
        several => Err(ListenError::TooMany(several)),
    }
}

/// Whether nobody else listens there, for those who will listen a moment later.
///
/// # Errors
/// When the address cannot be listened on.
pub(crate) fn check(address: SocketAddr) -> Result<(), ListenError> {
    bind(address).map(drop).map_err(|source| refused(address, source))
}

fn refused(address: SocketAddr, source: io::Error) -> ListenError {
    match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::InUse(address),
        _ => ListenError::Refused { address, source },
    }
}

/// Whether a service manager has passed sockets to this process.
pub fn passed() -> bool {
    ListenFd::from_env().len() > 0
}

fn adopt(passed: &mut ListenFd) -> io::Result<TcpListener> {
    let listener = passed.take_tcp_listener(0)?.ok_or_else(|| io::Error::other("it was taken already"))?;
    // Accepting from a socket that does not listen fails for ever, and accept errors do not end the server.
    if !SockRef::from(&listener).is_listener()? {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the socket does not listen"));
    }
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn bind(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Old connections in TIME_WAIT do not stop a new start.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
