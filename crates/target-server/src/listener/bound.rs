//! A place that is ours before anybody can connect to it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use socket2::Socket;
use supervise::bind::{self, SocketFile};
use tokio::net::{TcpListener, UnixListener};

use super::Listener;
use crate::config::endpoint::Endpoint;
use crate::config::listen::Sockets;

/// A place that is ours, although nobody listens yet: connections are refused, unless it was passed by somebody who
/// listens.
#[derive(Debug)]
pub struct Bound {
    endpoint: Endpoint,
    socket: Taken,
}

#[derive(Debug)]
enum Taken {
    Tcp(Socket, Sockets),
    Unix(Socket, SocketFile, Sockets),
    Passed(Listener),
}

impl Bound {
    /// Where it is, with the port that was really taken.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Whether it was passed by somebody, who has decided how long its queue is.
    pub fn is_passed(&self) -> bool {
        matches!(self.socket, Taken::Passed(_))
    }

    pub(super) fn take(endpoint: &Endpoint, sockets: Sockets) -> io::Result<Self> {
        let (endpoint, socket) = match endpoint {
            Endpoint::Tcp(address) => {
                let socket = bind::tcp(*address, true)?;
                let address = socket.local_addr()?.as_socket().unwrap_or(*address);
                (Endpoint::Tcp(address), Taken::Tcp(socket, sockets))
            }
            Endpoint::Unix(path) => {
                let (socket, file) = bind::unix(path, sockets.unix_mode.0)?;
                (endpoint.clone(), Taken::Unix(socket, file, sockets))
            }
        };
        Ok(Self { endpoint, socket })
    }

    pub(super) fn passed(listener: Listener) -> io::Result<Self> {
        Ok(Self { endpoint: listener.endpoint()?, socket: Taken::Passed(listener) })
    }

    /// Whether nobody else has come to listen here since it was taken: until we listen, the kernel lets them.
    pub(super) fn check(&self) -> io::Result<()> {
        match (&self.socket, &self.endpoint) {
            (Taken::Tcp(_, sockets), Endpoint::Tcp(address)) => {
                bind::tcp(*address, sockets.reuse_port).map(drop)
            }
            (Taken::Unix(_, file, _), _) if !file.is_there() => Err(io::ErrorKind::AddrInUse.into()),
            _ => Ok(()),
        }
    }

    pub(super) fn listen(self) -> io::Result<Listener> {
        match self.socket {
            Taken::Tcp(socket, sockets) => {
                socket.listen(sockets.backlog.into())?;
                socket.set_nonblocking(true)?;
                TcpListener::from_std(socket.into()).map(Listener::Tcp)
            }
            Taken::Unix(socket, file, sockets) => {
                socket.listen(sockets.backlog.into())?;
                socket.set_nonblocking(true)?;
                let listener = UnixListener::from_std(socket.into())?;
                Ok(Listener::Unix { listener, file: Some(file) })
            }
            Taken::Passed(listener) => Ok(listener),
        }
    }
}

impl AsFd for Bound {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Taken::Tcp(socket, _) | Taken::Unix(socket, _, _) => socket.as_fd(),
            Taken::Passed(listener) => listener.as_fd(),
        }
    }
}
