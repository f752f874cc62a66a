//! Where can be listened?

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

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
}

#[cfg(test)]
mod tests {
    use super::*;

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
