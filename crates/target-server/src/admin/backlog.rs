//! How many connections wait to be accepted? The kernel tells it of TCP sockets in its own network namespace.

use std::os::fd::AsFd;

use serde::Serialize;

/// A socket that listens, by its number in the kernel's lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Where it listens.
    pub place: String,
    inode: u64,
}

/// The queue of a socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// Where the socket listens.
    pub place: String,
    /// Connections that the kernel has completed and nobody has accepted. Absent where it does not tell: of unix sockets,
    /// and of sockets passed from another network namespace.
    pub waiting: Option<u64>,
}

impl Socket {
    /// The socket behind a descriptor. One whose number is not told is never found.
    pub fn new(place: String, socket: impl AsFd) -> Self {
        Self { place, inode: rustix::fs::fstat(socket).map_or(0, |stat| stat.st_ino) }
    }
}

/// The queues of these sockets now.
pub(super) fn waiting(sockets: &[Socket]) -> Vec<Waiting> {
    let lists =
        ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| std::fs::read_to_string(path).unwrap_or_default());
    let queue = |socket: &Socket| lists.iter().find_map(|list| find(list, socket.inode));
    sockets.iter().map(|socket| Waiting { place: socket.place.clone(), waiting: queue(socket) }).collect()
}

/// The queue of one socket in a list of all. Of a socket that listens, what is said to be received are connections.
fn find(list: &str, inode: u64) -> Option<u64> {
    let inode = inode.to_string();
    let line = list.lines().find(|line| line.split_ascii_whitespace().nth(9) == Some(&inode))?;
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (_, received) = fields.get(4)?.split_once(':')?;
    (*fields.get(3)? == "0A").then(|| u64::from_str_radix(received, 16).ok())?
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn connections_that_nobody_accepts_are_counted() {
        let [listener, other] = std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let sockets = [&listener, &other].map(|listener| Socket::new("here".into(), listener));
        let address = listener.local_addr().unwrap();
        let _clients: Vec<_> = (0..3).map(|_| TcpStream::connect(address).unwrap()).collect();
        let told: Vec<_> = waiting(&sockets).into_iter().map(|waiting| waiting.waiting).collect();
        assert_eq!(told, [Some(3), Some(0)]);
    }

    #[test]
    fn of_other_sockets_nothing_is_known() {
        let (socket, _) = std::os::unix::net::UnixStream::pair().unwrap();
        assert_eq!(waiting(&[Socket::new("there".into(), socket)])[0].waiting, None);
    }
}
