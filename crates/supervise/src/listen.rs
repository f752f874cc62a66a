//! Several listening sockets on one port.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};

use crate::{Spec, StartError};

/// The sockets of a group.
#[derive(Debug)]
pub(crate) struct Bound {
    /// The address with the port that was really taken.
    pub(crate) address: SocketAddr,
    /// Bound but not listening: keeps the port ours while instances come and go, and is never given connections.
    pub(crate) reservation: Socket,
    /// One listening socket per instance.
    pub(crate) listeners: Vec<Socket>,
}

/// Binds one listening socket per instance. All of them listen before any instance is started, so the kernel spreads
/// connections over all of them from the first one on.
pub(crate) fn bind(spec: &Spec) -> Result<Bound, StartError> {
    let wanted = spec.listen;
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => StartError::InUse { address: wanted },
        _ => StartError::Listen { address: wanted, source },
    };
    if wanted.port() != 0 {
        // With SO_REUSEPORT we would silently join a group of the same user. Without it, the kernel tells.
        socket(wanted, false).map_err(failed)?;
    }
    let reservation = socket(wanted, true).map_err(failed)?;
    let address = local_address(&reservation).map_err(failed)?;
    let listeners = (0..spec.instances.get())
        .map(|_| {
            let listener = socket(address, true)?;
            listener.listen(i32::from(spec.backlog))?;
            Ok(listener)
        })
        .collect::<io::Result<Vec<_>>>()
        .map_err(failed)?;
    Ok(Bound { address, reservation, listeners })
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn local_address(socket: &Socket) -> io::Result<SocketAddr> {
    let address = socket.local_addr()?;
    address.as_socket().ok_or_else(|| io::Error::other("the bound socket has no internet address"))
}
