//! How does a connection come about? Name look-up, address rules, proxies, unix sockets and TLS, for every own engine.

mod proxy;
mod stream;
mod tls;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use report::document::FailureKind;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use url::Host;

use self::stream::Socket;
pub(crate) use self::stream::Stream;
pub use self::tls::TlsError;
pub(super) use self::tls::explain;
use crate::address::{ConnectTo, means};
use crate::clock::Timer;
use crate::engine::{Failure, Trace};
use crate::plan::{Protocol, Route};
use crate::quantity::Span;
use crate::source::Origin;

/// Makes connections along a [`Route`]. One serves all workers of a run.
#[derive(Debug)]
pub struct Dialer {
    route: Route,
    /// Made when the first connection needs it: reading the system's authorities takes milliseconds.
    tls: OnceLock<Result<Arc<ClientConfig>, TlsError>>,
    sni: Option<ServerName<'static>>,
    /// The address of a name that is tried first, because it is known to work.
    preferred: Option<SocketAddr>,
    /// Where connections lead in turn, whatever the route says; empty where it has its say.
    sockets: Vec<PathBuf>,
    /// How many connections were begun to them.
    turns: AtomicUsize,
}

impl Dialer {
    /// A dialer for this route.
    ///
    /// # Errors
    /// When its TLS options cannot be carried out.
    pub fn new(route: &Route) -> Result<Self, TlsError> {
        let sni = route.tls.sni.as_deref().map(tls::name).transpose()?;
        Ok(Self {
            route: route.clone(),
            tls: OnceLock::new(),
            sni,
            preferred: None,
            sockets: Vec::new(),
            turns: AtomicUsize::new(0),
        })
    }

    /// Tries this address first wherever a name has it.
    pub fn prefer(&mut self, address: SocketAddr) {
        self.preferred = Some(address);
    }

    /// Leads connections to these unix sockets, to each in turn. With none, the route says where they lead.
    pub fn lead_to(&mut self, sockets: Vec<PathBuf>) {
        self.sockets = sockets;
    }

    /// The unix socket of the next connection.
    fn unix_socket(&self) -> Option<&PathBuf> {
        if self.sockets.is_empty() {
            return self.route.unix_socket.as_ref();
        }
        self.sockets.get(self.turns.fetch_add(1, Ordering::Relaxed) % self.sockets.len())
    }

    /// Whether all connections lead to unix sockets, and so stay on this machine.
    pub fn is_local(&self) -> bool {
        !self.sockets.is_empty() || self.route.unix_socket.is_some()
    }

    /// The configuration of all TLS connections.
    ///
    /// # Errors
    /// When its files cannot be read, or do not hold what they should.
    pub fn tls(&self) -> Result<&Arc<ClientConfig>, TlsError> {
        let made =
            self.tls.get_or_init(|| tls::configure(&self.route.tls, self.route.protocol).map(Arc::new));
        made.as_ref().map_err(Clone::clone)
    }

    /// Makes a connection, timing it in `trace`.
    pub(crate) async fn dial<T: Timer>(
        &self,
        origin: &Origin,
        timer: &T,
        trace: &mut Trace,
    ) -> Result<Stream, Failure> {
        let start = timer.now();
        let dialing = self.establish(origin, timer, trace);
        let stream = match self.route.connect_timeout {
            None => dialing.await?,
            Some(limit) => match tokio::time::timeout(limit, dialing).await {
                Ok(dialed) => dialed?,
                Err(_) => return Err(too_slow(limit)),
            },
        };
        trace.opened += 1;
        trace.connected_in(timer.now() - start);
        Ok(stream)
    }

    async fn establish<T: Timer>(
        &self,
        origin: &Origin,
        timer: &T,
        trace: &mut Trace,
    ) -> Result<Stream, Failure> {
        self.allows(origin)?;
        let socket = self.socket(origin, timer, trace).await?;
        if !origin.tls {
            return Ok(Stream::Plain(socket));
        }
        let config = self.tls().map_err(|error| Failure::new(FailureKind::Tls, error.to_string()))?;
        let connector = TlsConnector::from(Arc::clone(config));
        let connecting = connector.connect(self.server_name(origin)?, socket);
        let stream = connecting.await.map_err(|error| tls::failure(&error))?;
        let agreed = stream.get_ref().1.alpn_protocol();
        if self.route.protocol == Protocol::Http2 && agreed != Some(b"h2") {
            let message = "the server does not speak HTTP/2 over TLS: leave --http2 away";
            return Err(Failure::new(FailureKind::Tls, message));
        }
        Ok(Stream::Tls(Box::new(stream)))
    }

    /// A redirect may lead from one scheme to the other, and so to where the protocol is not spoken.
    fn allows(&self, origin: &Origin) -> Result<(), Failure> {
        let message = match (self.route.protocol, origin.tls) {
            (Protocol::Http2, false) => "HTTP/2 is agreed upon in TLS, and this leads to an http:// URL",
            (Protocol::H2c, true) => "HTTP/2 over plain TCP was asked for, and this leads to an https:// URL",
            _ => return Ok(()),
        };
        Err(Failure::new(FailureKind::Redirect, message))
    }

    fn server_name(&self, origin: &Origin) -> Result<ServerName<'static>, Failure> {
        if let Some(name) = &self.sni {
            return Ok(name.clone());
        }
        match &origin.host {
            Host::Ipv4(ip) => Ok(ServerName::IpAddress(IpAddr::from(*ip).into())),
            Host::Ipv6(ip) => Ok(ServerName::IpAddress(IpAddr::from(*ip).into())),
            Host::Domain(name) => ServerName::try_from(name.clone())
                .map_err(|_| Failure::new(FailureKind::Tls, format!("`{name}` is no name for TLS"))),
        }
    }

    /// What carries the bytes, to the server or through the proxy to it.
    async fn socket<T: Timer>(
        &self,
        origin: &Origin,
        timer: &T,
        trace: &mut Trace,
    ) -> Result<Socket, Failure> {
        if let Some(path) = self.unix_socket() {
            let failed = |error: io::Error| {
                let kind = Failure::connecting(&error).kind;
                Failure::new(kind, format!("connecting to {}: {error}", path.display()))
            };
            return Ok(Socket::Unix(UnixStream::connect(path).await.map_err(failed)?));
        }
        if let Some(proxy) = &self.route.proxy {
            let addresses = self.addresses(&proxy.host, proxy.port, timer, trace).await?;
            let mut socket = tcp(&addresses).await.map_err(|error| {
                let failure = Failure::connecting(&error);
                Failure::new(failure.kind, format!("the proxy: {}", failure.message))
            })?;
            if origin.tls {
                proxy::tunnel(&mut socket, proxy, &format!("{}:{}", origin.host, origin.port)).await?;
            }
            return Ok(Socket::Tcp(socket));
        }
        let (host, port) = self.destination(origin);
        let addresses = self.addresses(host, port, timer, trace).await?;
        tcp(&addresses).await.map(Socket::Tcp).map_err(|error| Failure::connecting(&error))
    }

    /// The origin's host and port, or those that a rule puts in their place.
    pub(crate) fn destination<'a>(&'a self, origin: &'a Origin) -> (&'a Host<String>, u16) {
        let fits = |rule: &&ConnectTo| {
            (rule.host.is_empty() || means(&rule.host, &origin.host))
                && rule.port.is_none_or(|port| port == origin.port)
        };
        let rule = self.route.connect_to.iter().find(fits);
        let host = rule.and_then(|rule| rule.to_host.as_ref()).unwrap_or(&origin.host);
        (host, rule.and_then(|rule| rule.to_port).unwrap_or(origin.port))
    }

    /// The preferred address first; the others stay in their order.
    fn ordered(&self, mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
        addresses.sort_by_key(|address| Some(*address) != self.preferred);
        addresses
    }

    /// The addresses of a host, in the order in which they are tried; only a name that no rule knows is looked up.
    pub(crate) async fn addresses<T: Timer>(
        &self,
        host: &Host<String>,
        port: u16,
        timer: &T,
        trace: &mut Trace,
    ) -> Result<Vec<SocketAddr>, Failure> {
        let mut rules = self.route.resolve.iter();
        if let Some(rule) =
            rules.find(|rule| rule.port == port && (rule.host == "*" || means(&rule.host, host)))
        {
            return Ok(self.ordered(rule.addresses.iter().map(|ip| (*ip, port).into()).collect()));
        }
        let name = match host {
            Host::Ipv4(ip) => return Ok(vec![(IpAddr::from(*ip), port).into()]),
            Host::Ipv6(ip) => return Ok(vec![(IpAddr::from(*ip), port).into()]),
            Host::Domain(name) => name,
        };
        let start = timer.now();
        let found = tokio::net::lookup_host((name.as_str(), port)).await;
        *trace.dns_ns.get_or_insert(0) += timer.now() - start;
        let failed = |why: &str| Failure::new(FailureKind::Dns, format!("looking up {name}: {why}"));
        let addresses = self.ordered(found.map_err(|error| failed(&error.to_string()))?.collect());
        if addresses.is_empty() { Err(failed("it has no address")) } else { Ok(addresses) }
    }
}

/// How long one of several addresses may take before the next is tried; so long do others wait, too (RFC 8305,
/// section 5, in Go).
const PER_ADDRESS: Duration = Duration::from_millis(300);

fn too_slow(limit: Duration) -> Failure {
    Failure::new(FailureKind::ConnectTimeout, format!("no connection within {}", Span(limit)))
}

/// Tries one address after the other, the last one for as long as it takes; its error is the one that is told.
async fn tcp(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let Some((last, others)) = addresses.split_last() else {
        return Err(io::ErrorKind::AddrNotAvailable.into());
    };
    for address in others {
        if let Ok(Ok(stream)) = tokio::time::timeout(PER_ADDRESS, TcpStream::connect(address)).await {
            stream.set_nodelay(true)?;
            return Ok(stream);
        }
    }
    let stream = TcpStream::connect(last).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
