//! The receiving end of `sd_notify`.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

/// A message longer than this is cut; `READY=1` stands at the front of every one we have seen.
const MESSAGE_BYTES: usize = 4096;

/// How many messages are read in one go, so that a talkative instance cannot hold up the others.
const MESSAGES_AT_ONCE: usize = 64;

/// Where one instance reports. Each has a socket of its own, so that nobody needs to find out who spoke.
#[derive(Debug)]
pub(crate) struct Inbox {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Inbox {
    pub(crate) fn create(path: PathBuf) -> io::Result<Self> {
        let socket = UnixDatagram::bind(&path)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, path })
    }

    /// The value of `NOTIFY_SOCKET`.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The socket to wait on.
    pub(crate) fn socket(&self) -> &UnixDatagram {
        &self.socket
    }

    /// Reads what has come and tells whether `READY=1` was in it.
    pub(crate) fn ready(&self) -> bool {
        let mut message = [0; MESSAGE_BYTES];
        let mut ready = false;
        for _ in 0..MESSAGES_AT_ONCE {
            let Ok(length) = self.socket.recv(&mut message) else { break };
            ready |= says_ready(&message[..length]);
        }
        ready
    }
}

fn says_ready(message: &[u8]) -> bool {
    message.split(|&byte| byte == b'\n').any(|line| line == b"READY=1")
}

#[cfg(test)]
mod tests {
    use super::says_ready;

    #[test]
    fn only_a_whole_line_counts() {
        assert!(says_ready(b"READY=1"));
        assert!(says_ready(b"STATUS=up\nREADY=1\nMAINPID=7\n"));
        assert!(!says_ready(b"READY=10\n"));
        assert!(!says_ready(b"STATUS=READY=1\n"));
        assert!(!says_ready(b""));
    }
}
