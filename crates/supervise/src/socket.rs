//! Where the instances of a group listen, as it was wanted.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use crate::StartError;

/// The kernel's `sun_path` has 108 bytes, one of them for its end.
const PATH_BYTES: usize = 107;

/// `LISTEN_FDNAMES` allows no longer names.
const NAME_BYTES: usize = 255;

/// What stands in a path for the number of the instance, as in the units of systemd.
const NUMBER: &[u8] = b"%i";

/// Where a socket listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// An internet address and port. Port 0 in a [`SocketSpec`] chooses a free one.
    Tcp(SocketAddr),
    /// The path of a unix socket, at most 107 bytes.
    Unix(PathBuf),
}

impl Address {
    /// The internet address, if it is one.
    pub fn tcp(&self) -> Option<SocketAddr> {
        match *self {
            Self::Tcp(address) => Some(address),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Whether the instances share an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// All listen at one address. TCP: each instance has a socket of its own on the one port, and the kernel spreads the
    /// connections (`SO_REUSEPORT`). Unix: all accept from one and the same socket.
    Together,
    /// Each has an address of its own. TCP: instance N has the port plus N - 1, or a free one each if the port is 0.
    /// Unix: `%i` in the path is the number of the instance; without it, `.N` is appended.
    Apart,
}

/// One socket that every instance is passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketSpec {
    /// Its name in `LISTEN_FDNAMES`: 1 to 255 printable ASCII characters, no colon.
    pub name: String,
    /// Where it listens.
    pub at: Address,
    /// Whether all instances listen there.
    pub sharing: Sharing,
    /// Permissions of the file of a unix socket. Of no meaning for TCP.
    pub mode: u32,
    /// Whether instances are passed a listening socket. Else they listen there themselves, told by a [`crate::Blank`]: a TCP
    /// port is kept free for them (by a socket that is bound with `SO_REUSEADDR` and `SO_REUSEPORT` and does not listen, so
    /// they need one of the two options), and the file of a unix socket is theirs to make.
    pub passed: bool,
}

impl SocketSpec {
    /// A socket that all instances share; a unix one is for its owner alone (mode 600).
    pub fn together(name: impl Into<String>, at: Address) -> Self {
        Self { name: name.into(), at, sharing: Sharing::Together, mode: 0o600, passed: true }
    }

    /// A socket that each instance has for itself; a unix one is for its owner alone (mode 600).
    pub fn apart(name: impl Into<String>, at: Address) -> Self {
        Self { sharing: Sharing::Apart, ..Self::together(name, at) }
    }

    /// The same where instances listen themselves.
    #[must_use]
    pub fn not_passed(self) -> Self {
        Self { passed: false, ..self }
    }

    /// Refuses what cannot be passed.
    pub(crate) fn check(&self) -> Result<(), StartError> {
        let allowed = |byte: u8| (byte.is_ascii_graphic() || byte == b' ') && byte != b':';
        let good = (1..=NAME_BYTES).contains(&self.name.len()) && self.name.bytes().all(allowed);
        if good { Ok(()) } else { Err(StartError::Name { name: self.name.clone() }) }
    }

    /// Where the socket of instance `number`, from 1, is to listen. Port 0 stays 0.
    ///
    /// # Errors
    /// When there is no such port, or the path is longer than a socket's may be.
    pub fn address_of(&self, number: u16) -> Result<Address, StartError> {
        let address = match (self.sharing, &self.at) {
            (Sharing::Together, address) => address.clone(),
            (Sharing::Apart, Address::Tcp(first)) if first.port() == 0 => self.at.clone(),
            (Sharing::Apart, Address::Tcp(first)) => {
                let port = first.port().checked_add(number - 1);
                let port = port.ok_or_else(|| {
                    let words = format!("instance {number} would need a port beyond 65535");
                    self.refused(io::Error::new(io::ErrorKind::InvalidInput, words))
                })?;
                Address::Tcp(SocketAddr::new(first.ip(), port))
            }
            (Sharing::Apart, Address::Unix(path)) => {
                Address::Unix(numbered(path.as_os_str().as_bytes(), number))
            }
        };
        match &address {
            Address::Unix(path) if path.as_os_str().len() > PATH_BYTES => {
                let length = path.as_os_str().len();
                let words =
                    format!("its path has {length} bytes, but that of a socket can have {PATH_BYTES}");
                Err(StartError::Listen {
                    address,
                    source: io::Error::new(io::ErrorKind::InvalidInput, words),
                })
            }
            _ => Ok(address),
        }
    }

    fn refused(&self, source: io::Error) -> StartError {
        StartError::Listen { address: self.at.clone(), source }
    }
}

fn numbered(path: &[u8], number: u16) -> PathBuf {
    let number = number.to_string().into_bytes();
    let mut parts =
        path.windows(NUMBER.len()).enumerate().filter(|(_, part)| *part == NUMBER).map(|(at, _)| at);
    let path = match parts.next() {
        None => [path, b".", &number].concat(),
        Some(first) => {
            let mut filled = [&path[..first], &number].concat();
            let mut rest = first + NUMBER.len();
            for at in parts {
                filled.extend([&path[rest..at], &number].concat());
                rest = at + NUMBER.len();
            }
            filled.extend(&path[rest..]);
            filled
        }
    };
    PathBuf::from(OsString::from_vec(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(address: &str) -> Address {
        Address::Tcp(address.parse().unwrap())
    }

    fn unix(path: &str) -> Address {
        Address::Unix(path.into())
    }

    #[test]
    fn each_instance_has_its_place() {
        let of = |at, number| SocketSpec::apart("admin", at).address_of(number).unwrap();
        assert_eq!(of(tcp("127.0.0.1:9100"), 1), tcp("127.0.0.1:9100"));
        assert_eq!(of(tcp("[::1]:9100"), 4), tcp("[::1]:9103"));
        assert_eq!(of(tcp("127.0.0.1:0"), 4), tcp("127.0.0.1:0"));
        assert_eq!(of(unix("/run/x.sock"), 12), unix("/run/x.sock.12"));
        assert_eq!(of(unix("/run/%i/x%i.sock"), 12), unix("/run/12/x12.sock"));
        let together = SocketSpec::together("http", unix("/run/%i.sock"));
        assert_eq!(together.address_of(3).unwrap(), unix("/run/%i.sock"));
    }

    #[test]
    fn what_has_no_place_is_refused() {
        let far = SocketSpec::apart("admin", tcp("127.0.0.1:65534"));
        assert!(far.address_of(2).is_ok());
        assert_eq!(
            far.address_of(3).unwrap_err().to_string(),
            "cannot listen on 127.0.0.1:65534: instance 3 would need a port beyond 65535"
        );
        let long = |bytes: usize| SocketSpec::together("http", unix(&"x".repeat(bytes)));
        assert!(long(107).address_of(1).is_ok());
        let error = long(108).address_of(1).unwrap_err().to_string();
        assert!(error.ends_with("x: its path has 108 bytes, but that of a socket can have 107"), "{error}");
    }

    #[test]
    fn names_fit_into_the_list_of_names() {
        let named = |name: &str| SocketSpec::together(name, tcp("127.0.0.1:0")).check();
        assert!(named("http").is_ok() && named("a b").is_ok() && named(&"x".repeat(255)).is_ok());
        for wrong in ["", "a:b", "a\nb", "ä", &"x".repeat(256)] {
            assert!(named(wrong).is_err(), "{wrong}");
        }
    }
}
