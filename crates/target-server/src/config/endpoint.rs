//! Where can be listened?

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use supervise::{Address, SocketSpec};

use super::ConfigError;

/// What stands in a path for the number of the instance.
pub(super) const NUMBER: &str = "%i";

/// A place that clients connect to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// An address and a port; port 0 chooses a free one.
    Tcp(SocketAddr),
    /// The file of a unix socket.
    Unix(PathBuf),
}

impl FromStr for Endpoint {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match path {
                "" => Err("the path is missing; write unix:PATH"),
                _ if path.starts_with('@') => {
                    Err("abstract unix sockets are not served; write unix:PATH with the path of a file")
                }
                _ => Ok(Self::Unix(path.into())),
            };
        }
        let address = text.strip_prefix("tcp:").unwrap_or(text);
        let every = address.strip_prefix(':').and_then(|port| port.parse().ok());
        match every {
            Some(port) => Ok(Self::Tcp((Ipv4Addr::UNSPECIFIED, port).into())),
            None => address.parse().map(Self::Tcp).map_err(|_| {
                "not a place to listen like 127.0.0.1:8080, [::1]:8080, :8080 (every IPv4 address) or unix:PATH"
            }),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Endpoint {
    /// As a client is told of it: `http://ADDRESS/` or `unix:PATH`.
    pub fn url(&self) -> String {
        match self {
            Self::Tcp(address) => format!("http://{address}/"),
            Self::Unix(_) => self.to_string(),
        }
    }

    /// Whether a client could reach both by the same address. A free port is never that of another.
    pub(super) fn meets(&self, other: &Self) -> bool {
        let covers = |all: IpAddr, one: IpAddr| match all {
            IpAddr::V4(address) => address.is_unspecified() && one.to_canonical().is_ipv4(),
            // Such a socket takes IPv4 too.
            IpAddr::V6(address) => address.is_unspecified(),
        };
        match (self, other) {
            (Self::Tcp(here), Self::Tcp(there)) => {
                let (one, other) = (here.ip(), there.ip());
                let same = one.to_canonical() == other.to_canonical();
                here.port() != 0
                    && here.port() == there.port()
                    && (same || covers(one, other) || covers(other, one))
            }
            _ => self == other,
        }
    }

    /// Refuses a path that is longer than a socket's can be.
    pub(super) fn fits(&self) -> Result<(), ConfigError> {
        let spec = SocketSpec::together("", self.into());
        spec.address_of(1).map(drop).map_err(|error| ConfigError::Contradiction(error.to_string()))
    }

    /// The place of one of `count` instances, each of which has its own. One alone has it as it was typed, but for its
    /// number.
    ///
    /// # Errors
    /// When there is none: no such port, or too long a path.
    pub(crate) fn of_instance(&self, number: u16, count: u16) -> Result<Self, ConfigError> {
        let is_numbered = match self {
            Self::Tcp(_) => false,
            Self::Unix(path) => path.to_string_lossy().contains(NUMBER),
        };
        if count == 1 && !is_numbered {
            self.fits()?;
            return Ok(self.clone());
        }
        let place = SocketSpec::apart("", self.into()).address_of(number);
        place.map(Self::from).map_err(|error| ConfigError::Contradiction(error.to_string()))
    }
}

impl From<&Endpoint> for Address {
    fn from(endpoint: &Endpoint) -> Self {
        match endpoint {
            Endpoint::Tcp(address) => Self::Tcp(*address),
            Endpoint::Unix(path) => Self::Unix(path.clone()),
        }
    }
}

impl From<Address> for Endpoint {
    fn from(address: Address) -> Self {
        match address {
            Address::Tcp(address) => Self::Tcp(address),
            Address::Unix(path) => Self::Unix(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Endpoint {
        text.parse().unwrap()
    }

    #[test]
    fn places_meet_where_a_client_could_reach_both() {
        for (one, other, meet) in [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            (":80", "127.0.0.1:80", true),
            (":80", "[::1]:80", false),
            ("[::]:80", "127.0.0.1:80", true),
            ("[::]:80", ":80", true),
            ("[::ffff:127.0.0.1]:80", "127.0.0.1:80", true),
            (":0", "127.0.0.1:0", false),
            ("unix:x", "unix:x", true),
            ("unix:x", "unix:y", false),
        ] {
            assert_eq!(place(one).meets(&place(other)), meet, "{one} {other}");
            assert_eq!(place(other).meets(&place(one)), meet, "{other} {one}");
        }
    }

    #[test]
    fn each_instance_has_its_place_and_one_alone_has_it_as_typed() {
        let of = |text: &str, number, count| place(text).of_instance(number, count).unwrap().to_string();
        assert_eq!(of("unix:x", 1, 1), "unix:x");
        assert_eq!(of("unix:x-%i", 1, 1), "unix:x-1");
        assert_eq!(of("unix:x-%i", 2, 3), "unix:x-2");
        assert_eq!(of("unix:x", 2, 3), "unix:x.2");
        assert_eq!(of("127.0.0.1:80", 2, 3), "127.0.0.1:81");
        let long = format!("unix:{}", "x".repeat(107));
        assert!(place(&long).of_instance(1, 1).is_ok());
        assert!(place(&long).of_instance(1, 2).is_err(), "`.1` is appended");
    }

    #[test]
    fn places_are_told_as_they_are_typed() {
        for (typed, told) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("tcp:[::1]:80", "[::1]:80"),
            (":8080", "0.0.0.0:8080"),
            ("unix:/run/x.sock", "unix:/run/x.sock"),
            ("unix:tcp:x", "unix:tcp:x"),
        ] {
            let endpoint: Endpoint = typed.parse().unwrap();
            assert_eq!(endpoint.to_string(), told);
            assert_eq!(told.parse(), Ok(endpoint));
        }
        for wrong in
            ["", "8080", "localhost:80", "unix:", "unix:@x", ":", ":70000", "tcp:unix:x", "http://x/"]
        {
            assert!(wrong.parse::<Endpoint>().is_err(), "{wrong}");
        }
    }
}
