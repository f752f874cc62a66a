//! How are addresses typed that are not the URL's own? As curl's users type them: `host:port:address`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Deserializer};
use url::{Host, Url};

/// Addresses that stand for a host and a port, instead of those its name has: `api.test:443:127.0.0.1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolve {
    /// The host as it stands in URLs; `*` is any.
    pub host: String,
    /// The port as it stands in URLs.
    pub port: u16,
    /// Where it leads, in the order in which they are tried.
    pub addresses: Vec<IpAddr>,
}

/// Another host and port to connect to: `api.test:443:localhost:8443`. Host and TLS name stay those of the URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectTo {
    /// The host as it stands in URLs; empty is any.
    pub host: String,
    /// The port as it stands in URLs; none is any.
    pub port: Option<u16>,
    /// The host connected to; none stays as it is.
    pub to_host: Option<Host<String>>,
    /// The port connected to; none stays as it is.
    pub to_port: Option<u16>,
}

/// A proxy: `http://user:password@127.0.0.1:3128`, where the scheme may be left out.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl {
    /// Its host.
    pub host: Host<String>,
    /// Its port.
    pub port: u16,
    /// `user:password`, where given.
    pub credentials: Option<Vec<u8>>,
}

impl ProxyUrl {
    /// The value of `Proxy-Authorization`, where there are credentials.
    pub fn authorization(&self) -> Option<String> {
        self.credentials.as_ref().map(|credentials| format!("Basic {}", STANDARD.encode(credentials)))
    }
}

/// Why a text is none of these. The message shows a right one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum AddressError {
    #[error("`{0}` is not of the form HOST:PORT:ADDRESS, like api.test:443:127.0.0.1")]
    Resolve(String),
    #[error("`{0}` is not of the form HOST:PORT:HOST:PORT, like api.test:443:127.0.0.1:8443")]
    ConnectTo(String),
    #[error("that is not a proxy: write one like http://127.0.0.1:3128")]
    Proxy,
    #[error("`{0}:` is not a kind of proxy that loadgen speaks to: use http://")]
    ProxyScheme(String),
}

/// The part up to the next colon and the rest; an address in brackets is one part.
fn part(text: &str) -> Option<(&str, &str)> {
    match text.strip_prefix('[') {
        Some(inside) => {
            let (address, rest) = inside.split_once(']')?;
            Some((address, rest.strip_prefix(':').or_else(|| rest.is_empty().then_some(""))?))
        }
        None => text.split_once(':').or(Some((text, ""))),
    }
}

/// A host without brackets as URLs know it.
fn host(text: &str) -> Option<Host<String>> {
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => Some(Host::Ipv4(ip)),
        Ok(IpAddr::V6(ip)) => Some(Host::Ipv6(ip)),
        Err(_) => Host::parse(text).ok(),
    }
}

impl FromStr for Resolve {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let parse = || {
            let (name, rest) = part(text)?;
            let (port, addresses) = part(rest)?;
            let address = |text: &str| text.trim_matches(['[', ']']).parse().ok();
            let addresses: Vec<IpAddr> = addresses.split(',').map(address).collect::<Option<_>>()?;
            let name = name.to_ascii_lowercase();
            (!name.is_empty()).then_some(Self { host: name, port: port.parse().ok()?, addresses })
        };
        parse().ok_or_else(|| AddressError::Resolve(text.to_owned()))
    }
}

impl FromStr for ConnectTo {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let optional = |text: &str| match text {
            "" => Some(None),
            _ => text.parse().ok().map(Some),
        };
        let parse = || {
            let (name, rest) = part(text)?;
            let (port, rest) = part(rest)?;
            let (to_host, to_port) = part(rest)?;
            let to_host = if to_host.is_empty() { None } else { Some(host(to_host)?) };
            let (port, to_port) = (optional(port)?, optional(to_port)?);
            let leads_somewhere = to_host.is_some() || to_port.is_some();
            leads_somewhere.then(|| Self { host: name.to_ascii_lowercase(), port, to_host, to_port })
        };
        parse().ok_or_else(|| AddressError::ConnectTo(text.to_owned()))
    }
}

impl FromStr for ProxyUrl {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let url = Url::parse(&full).map_err(|_| AddressError::Proxy)?;
        if url.scheme() != "http" {
            return Err(AddressError::ProxyScheme(url.scheme().to_owned()));
        }
        let host = url.host().ok_or(AddressError::Proxy)?.to_owned();
        if !matches!(url.path(), "" | "/") || url.query().is_some() {
            return Err(AddressError::Proxy);
        }
        let has_credentials = !url.username().is_empty() || url.password().is_some();
        let credentials = has_credentials.then(|| {
            let mut pair: Vec<u8> = percent_decode_str(url.username()).collect();
            pair.push(b':');
            pair.extend(percent_decode_str(url.password().unwrap_or_default()));
            pair
        });
        Ok(Self { host, port: url.port_or_known_default().unwrap_or(80), credentials })
    }
}

/// A host as it is typed before a colon.
fn typed(host: &Host<String>) -> String {
    // Prints an IPv6 address in brackets.
    host.to_string()
}

impl fmt::Display for Resolve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses: Vec<_> = self.addresses.iter().map(ToString::to_string).collect();
        write!(f, "{}:{}:{}", bracketed(&self.host), self.port, addresses.join(","))
    }
}

impl fmt::Display for ConnectTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = |port: Option<u16>| port.map(|port| port.to_string()).unwrap_or_default();
        let to_host = self.to_host.as_ref().map(typed).unwrap_or_default();
        write!(f, "{}:{}:{to_host}:{}", bracketed(&self.host), port(self.port), port(self.to_port))
    }
}

/// The proxy without its credentials: they are a secret.
impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secret = if self.credentials.is_some() { "***@" } else { "" };
        write!(f, "http://{secret}{}:{}", typed(&self.host), self.port)
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

macro_rules! deserialized_as_typed {
    ($($kind:ty),*) => { $(
        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )* };
}

deserialized_as_typed!(Resolve, ConnectTo, ProxyUrl);

/// Whether what stands in a rule means this host.
pub(crate) fn means(rule: &str, host: &Host<String>) -> bool {
    let name = match host {
        Host::Domain(name) => return rule.eq_ignore_ascii_case(name),
        Host::Ipv4(ip) => IpAddr::from(*ip),
        Host::Ipv6(ip) => IpAddr::from(*ip),
    };
    rule.parse() == Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_back_as_they_print() {
        for text in ["api.test:443:127.0.0.1", "h:80:127.0.0.1,::1", "*:8080:10.0.0.1"] {
            assert_eq!(text.parse::<Resolve>().unwrap().to_string(), text);
        }
        assert_eq!("h:1:[::1]".parse::<Resolve>().unwrap().to_string(), "h:1:::1");
        for text in
            ["api.test:443:localhost:8443", "::[::1]:1", "h:80::8080", "[::1]:80:h:", ":443:127.0.0.1:8443"]
        {
            assert_eq!(text.parse::<ConnectTo>().unwrap().to_string(), text);
        }
        for text in ["", "h", "h:80", "h:80:", "h:80:name", "h:x:1.1.1.1", ":80:1.1.1.1", "h:99999:1.1.1.1"] {
            assert!(text.parse::<Resolve>().is_err(), "{text}");
        }
        for text in ["", "h", "h:80", "h:80::", "h:x:a:1", "h:1:a:b", "h:1:a:99999", "h:1:a b:1"] {
            assert!(text.parse::<ConnectTo>().is_err(), "{text}");
        }
    }

    #[test]
    fn proxies_may_lack_their_scheme_and_never_tell_their_password() {
        let proxy = |text: &str| text.parse::<ProxyUrl>();
        assert_eq!(proxy("127.0.0.1:3128").unwrap().to_string(), "http://127.0.0.1:3128");
        assert_eq!(proxy("http://[::1]:8/").unwrap().to_string(), "http://[::1]:8");
        assert_eq!(proxy("h").unwrap().port, 80);
        let secret = proxy("http://u:p%40@h:1").unwrap();
        assert_eq!(secret.credentials.as_deref(), Some(&b"u:p@"[..]));
        assert_eq!(format!("{secret} {secret:?}"), "http://***@h:1 http://***@h:1");
        assert_eq!(proxy("socks5://h:1"), Err(AddressError::ProxyScheme("socks5".to_owned())));
        assert_eq!(proxy("http://"), Err(AddressError::Proxy));
        assert_eq!(proxy("http://h/path"), Err(AddressError::Proxy));
    }

    #[test]
    fn a_rule_means_a_host_however_it_is_written() {
        assert!(means("API.test", &Host::Domain("api.test".to_owned())));
        assert!(means("::1", &Host::Ipv6("0:0::1".parse().unwrap())));
        assert!(!means("api.test", &Host::Domain("b.test".to_owned())));
    }
}
