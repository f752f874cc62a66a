//! Does a server answer yet?

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use supervise::Address;

/// How long one request may take for each of its steps. A server that is coming up may accept and not yet answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// A status line is shorter than that.
const LONGEST: u64 = 4096;

/// Where is asked.
#[derive(Debug)]
pub(super) enum Place {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Place {
    pub(super) fn new(address: Address) -> Self {
        match address {
            Address::Tcp(address) => Self::Tcp(address),
            Address::Unix(path) => Self::Unix(path),
        }
    }

    fn host(&self) -> String {
        match self {
            Self::Tcp(address) => address.to_string(),
            Self::Unix(_) => "localhost".to_owned(),
        }
    }
}

/// Asks again and again, and counts.
#[derive(Debug)]
pub(super) struct Prober {
    path: String,
    unanswered: u64,
    last: String,
}

impl Prober {
    pub(super) fn new(path: &str) -> Self {
        Self { path: path.to_owned(), unanswered: 0, last: "not asked".to_owned() }
    }

    /// Requests that were sent and of which no answer came.
    pub(super) fn unanswered(&self) -> u64 {
        self.unanswered
    }

    /// What came of the last one.
    pub(super) fn last(&self) -> String {
        self.last.clone()
    }

    /// Sends one request on a connection of its own. Whether it was answered with a status below 500.
    pub(super) fn is_answered(&mut self, place: &Place) -> bool {
        let asked = match place {
            Place::Tcp(address) => TcpStream::connect_timeout(address, PATIENCE).and_then(|stream| {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                Ok(self.ask(stream, &place.host()))
            }),
            Place::Unix(path) => UnixStream::connect(path).and_then(|stream| {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                Ok(self.ask(stream, &place.host()))
            }),
        };
        let asked = asked.unwrap_or_else(|error| Err(format!("no connection: {error}")));
        match asked {
            Ok(status) => {
                self.last = format!("status {status}");
                status < 500
            }
            Err(why) => {
                self.last = why;
                false
            }
        }
    }

    /// The status of the answer, or what came in its place.
    fn ask(&mut self, mut stream: impl Read + Write, host: &str) -> Result<u16, String> {
        let Self { path, .. } = self;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: loadgen\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        );
        let status = stream.write_all(request.as_bytes()).and_then(|()| status(stream));
        status.map_err(|error| {
            // It may still be carried out.
            self.unanswered += 1;
            format!("connected, but no answer: {error}")
        })
    }
}

fn status(stream: impl Read) -> io::Result<u16> {
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer).or_else(|error| match error.kind() {
        // What follows the status is not waited for.
        _ if answer.contains(&b'\n') => Ok(0),
        io::ErrorKind::WouldBlock => Err(io::Error::new(error.kind(), "nothing came within a second")),
        _ => Err(error),
    })?;
    let line = answer.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse().ok());
    status.ok_or_else(|| match line.trim() {
        "" => io::Error::other("the connection was closed"),
        line => io::Error::other(format!("this is not HTTP/1.1: {}", report::units::one_line(line))),
    })
}
