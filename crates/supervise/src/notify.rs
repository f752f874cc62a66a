//! The receiving end of `sd_notify`.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

/// A message longer than this is cut; what matters stands at the front of every one we have seen.
const MESSAGE_BYTES: usize = 4096;

/// How many messages are read in one go, so that a talkative instance cannot hold up the others.
const MESSAGES_AT_ONCE: usize = 64;

/// What an instance has said since it was last listened to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// It serves (`READY=1`).
    pub(crate) ready: bool,
    /// It lives (`WATCHDOG=1`).
    pub(crate) alive: bool,
    /// It is about to end (`STOPPING=1`).
    pub(crate) stopping: bool,
    /// How it describes itself (`STATUS=`), if it did.
    pub(crate) status: Option<String>,
}

impl Heard {
    /// Only whole lines count.
    fn add(&mut self, message: &[u8]) {
        for line in message.split(|&byte| byte == b'\n') {
            match line {
                b"READY=1" => self.ready = true,
                b"WATCHDOG=1" => self.alive = true,
                b"STOPPING=1" => self.stopping = true,
                other => {
                    if let Some(status) = other.strip_prefix(b"STATUS=") {
                        self.status = Some(String::from_utf8_lossy(status).into_owned());
                    }
                }
            }
        }
    }
}

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

    /// Reads what has come.
    pub(crate) fn hear(&self) -> Heard {
        let mut message = [0; MESSAGE_BYTES];
        let mut heard = Heard::default();
        for _ in 0..MESSAGES_AT_ONCE {
            let Ok(length) = self.socket.recv(&mut message) else { break };
            heard.add(&message[..length]);
        }
        heard
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        // The folder goes with the group; until then restarts shall not fill it.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(messages: &[&[u8]]) -> Heard {
        let mut heard = Heard::default();
        for message in messages {
            heard.add(message);
        }
        heard
    }

    #[test]
    fn only_a_whole_line_counts() {
        assert!(heard(&[b"READY=1"]).ready);
        assert!(heard(&[b"STATUS=up\nREADY=1\nMAINPID=7\n"]).ready);
        assert!(!heard(&[b"READY=10\n", b"STATUS=READY=1\n", b""]).ready);
        assert!(heard(&[b"WATCHDOG=1\n"]).alive && !heard(&[b"WATCHDOG=trigger"]).alive);
        assert!(heard(&[b"READY=1", b"STOPPING=1"]).stopping);
    }

    #[test]
    fn the_last_status_stays() {
        assert_eq!(heard(&[b"STATUS=a=b\nSTATUS=c", b"STATUS=d e"]).status.as_deref(), Some("d e"));
        assert_eq!(heard(&[b"READY=1"]).status, None);
        assert_eq!(heard(&[b"STATUS="]).status.as_deref(), Some(""));
    }
}
