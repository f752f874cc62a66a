//! Sockets at a place: bound, and not listening yet. For whoever listens by itself, too.

use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// A TCP socket at `address`. If it is `shared`, others that are bound so by the same user may listen there too
/// (`SO_REUSEPORT`); otherwise nobody else may.
///
/// # Errors
/// [`io::ErrorKind::AddrInUse`] when somebody else listens there; else what the kernel said, and what to do.
pub fn tcp(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Old connections in TIME_WAIT do not stop a new start.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.bind(&address.into()).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => {
            let words =
                "permission denied; low ports are for root and CAP_NET_BIND_SERVICE, choose one from 1024 on";
            io::Error::new(error.kind(), words)
        }
        _ => error,
    })?;
    Ok(socket)
}

/// A unix socket at `path` that only those may connect to whom `mode` allows it. What a dead server left behind is replaced.
///
/// # Errors
/// [`io::ErrorKind::AddrInUse`] when somebody listens there; else what is wrong with the path, and what to do.
pub fn unix(path: &Path, mode: u32) -> io::Result<(Socket, SocketFile)> {
    unix_is_free(path)?;
    match fs::remove_file(path) {
        // Whatever is wrong with the way there, binding will tell.
        Err(error) if fs::symlink_metadata(path).is_ok() => return Err(error),
        _ => {}
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => no_folder(),
        io::ErrorKind::PermissionDenied => {
            io::Error::new(error.kind(), "permission denied; choose a folder that this user may write to")
        }
        _ => error,
    })?;
    // Absolute, so that it is found again wherever the program goes.
    let file = SocketFile { path: std::path::absolute(path)?, identity: identity(path)? };
    // Nobody can connect before it listens, so nobody slips in while the mode is still another.
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    Ok((socket, file))
}

/// Whether there could be a socket at `path`, if nobody listens there: nothing is in its place, and its folder is there.
/// Nobody is connected to.
///
/// # Errors
/// What is wrong with the path, and what to do.
pub fn unix_could_be(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if folder.is_some_and(|folder| !folder.is_dir()) {
        return Err(no_folder());
    }
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            let words = "something that is not a socket lies there; remove it or choose another path";
            Err(io::Error::new(io::ErrorKind::AlreadyExists, words))
        }
        // Whatever is wrong with the way there, binding will tell.
        _ => Ok(()),
    }
}

fn no_folder() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "its folder does not exist; create it first")
}

/// Whether nothing is at `path`, or a socket on which nobody listens any more.
///
/// # Errors
/// As [`unix`].
pub fn unix_is_free(path: &Path) -> io::Result<()> {
    unix_could_be(path)?;
    if fs::symlink_metadata(path).is_err() {
        return Ok(());
    }
    let visitor = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A full queue is an answer as well; we shall not stand in it.
    visitor.set_nonblocking(true)?;
    match visitor.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(()) => Err(io::ErrorKind::AddrInUse.into()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(io::ErrorKind::AddrInUse.into()),
        Err(error) => {
            let words =
                format!("there is a socket, and whether anybody listens on it cannot be found out: {error}");
            Err(io::Error::new(error.kind(), words))
        }
    }
}

/// The file of a unix socket of ours. Dropping it removes the file, unless somebody else has put another in its place.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl SocketFile {
    /// Whether nobody has removed or replaced it.
    pub fn is_there(&self) -> bool {
        identity(&self.path).ok() == Some(self.identity)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.is_there() {
            // A file that cannot be removed is a stale one, and those are replaced.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}
