//! How many connections wait to be accepted, and how many can? The kernel tells it of TCP sockets in its own network
//! namespace.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsFd;

use serde::Serialize;

/// Where the kernel's own limit stands, which caps that of every socket when it begins to listen.
const SOMAXCONN: &str = "/proc/sys/net/core/somaxconn";

/// What the kernel calls the state of a socket that listens.
const LISTENING: &str = "0A";

/// Sockets that listen come first in the kernel's lists. No more than this is read of them, in bytes: some ten thousand.
const LONGEST_LIST: u64 = 2 << 20;

/// A socket that listens, by its number in the kernel's lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Where it listens.
    pub place: String,
    inode: u64,
    limit: Option<u64>,
}

/// The queue of a socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// Where the socket listens.
    pub place: String,
    /// Connections that the kernel has completed and nobody has accepted. Absent where it does not tell: of unix sockets,
    /// and of sockets passed from another network namespace.
    pub waiting: Option<u64>,
    /// How many can wait there: what the socket was made with, or the kernel's own limit (`net.core.somaxconn`) at that time
    /// where that is less. The kernel lets in one more. Absent of sockets that a service manager has passed.
    pub limit: Option<u64>,
}

impl Socket {
    /// The socket behind a descriptor, and how many connections it was told to let wait, where that is known. One whose
    /// number is not told is never found.
    pub fn new(place: String, socket: impl AsFd, backlog: Option<u16>) -> Self {
        let most = std::fs::read_to_string(SOMAXCONN).ok().and_then(|text| text.trim().parse().ok());
        let limit = backlog.map(|backlog| u64::from(backlog).min(most.unwrap_or(u64::MAX)));
        Self { place, inode: rustix::fs::fstat(socket).map_or(0, |stat| stat.st_ino), limit }
    }
}

/// The queues of these sockets now.
pub(super) fn waiting(sockets: &[Socket]) -> Vec<Waiting> {
    let mut found: Vec<_> = sockets
        .iter()
        .map(|socket| Waiting { place: socket.place.clone(), waiting: None, limit: socket.limit })
        .collect();
    for path in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let Ok(file) = File::open(path) else { continue };
        let lines = BufReader::new(file.take(LONGEST_LIST)).lines().skip(1);
        let queues = lines.map_while(|line| queue(&line.ok()?));
        for (inode, queue) in queues {
            let same = sockets.iter().zip(&mut found).filter(|(socket, _)| socket.inode == inode);
            same.for_each(|(_, told)| told.waiting = Some(queue));
        }
    }
    found
}

/// Number and queue of the socket in a line; `None` when it does not listen. Of one that does, what is said to be received
/// are connections.
fn queue(line: &str) -> Option<(u64, u64)> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (_, received) = fields.get(4)?.split_once(':')?;
    let inode = fields.get(9)?.parse().ok()?;
    (*fields.get(3)? == LISTENING).then(|| Some((inode, u64::from_str_radix(received, 16).ok()?)))?
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn connections_that_nobody_accepts_are_counted() {
        let [listener, other] = std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let sockets = [&listener, &other].map(|listener| Socket::new("here".into(), listener, Some(5)));
        let address = listener.local_addr().unwrap();
        let _clients: Vec<_> = (0..3).map(|_| TcpStream::connect(address).unwrap()).collect();
        let told: Vec<_> = waiting(&sockets).into_iter().map(|waiting| waiting.waiting).collect();
        assert_eq!(told, [Some(3), Some(0)]);
        assert_eq!(waiting(&sockets)[0].limit, Some(5));
    }

    #[test]
    fn of_other_sockets_nothing_is_known() {
        let (socket, _) = std::os::unix::net::UnixStream::pair().unwrap();
        assert_eq!(waiting(&[Socket::new("there".into(), socket, None)])[0].waiting, None);
    }
}
