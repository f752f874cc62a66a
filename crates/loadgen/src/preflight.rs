//! What can be known before the load begins? Where a name leads, whether TLS works, what the server speaks, and whether
//! there are ports enough.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use report::document::{FailureKind, Negotiated};
use tokio::net::TcpStream;
use tokio::runtime::Builder;

use crate::arrival::Stage;
use crate::clock::{Nanos, RealTimer, SECOND, nanos};
use crate::engine::dial::{Dialer, Stream, TlsError};
use crate::engine::{Failure, Trace, http2};
use crate::machine;
use crate::plan::{Load, Model, Protocol, TlsOptions};
use crate::source::Origin;

/// How long looking may take in all. What is not known then is left to the run.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is asked whether to go on.
const ATTENTION: Duration = Duration::from_millis(50);
/// How long the system keeps a closed connection's port.
const TIME_WAIT: Duration = Duration::from_secs(60);
/// How long each of several addresses may take.
const PER_ADDRESS: Duration = Duration::from_millis(500);
/// How long a server may take to object to what this side showed of itself.
const OBJECTION: Duration = Duration::from_millis(50);
/// The share of the local ports that a load may use up within [`TIME_WAIT`].
const PORTS_SHARE: f64 = 0.8;

/// What was found out.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// What the server and this side agreed upon, where there was something to agree upon.
    pub negotiated: Option<Negotiated>,
    /// Whether the address is one of this machine, where that is known.
    pub same_machine: Option<bool>,
    /// What a reader should know.
    pub notes: Vec<String>,
}

/// Why the load must not begin. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum PreflightError {
    /// TLS cannot be set up.
    #[error(transparent)]
    Setup(#[from] TlsError),
    /// The handshake failed, and would fail for every request.
    #[error("{url}: {why}")]
    Handshake {
        /// What was to be loaded.
        url: String,
        /// What failed, and the cure.
        why: String,
    },
    /// Not one request was answered, and none would be.
    #[error("{url} does not answer: {why}; nothing was measured")]
    Silent {
        /// What was to be loaded.
        url: String,
        /// How requests failed.
        why: String,
    },
    /// The load needs more local ports than there are.
    #[error(
        "{taken:.0} connections within a minute need more than the {ports} local ports of this machine, because each stays taken \
         for a minute: keep connections alive, widen net.ipv4.ip_local_port_range, or set net.ipv4.tcp_tw_reuse to 1"
    )]
    Ports {
        /// Connections in the fullest minute.
        taken: f64,
        /// Local ports.
        ports: u64,
    },
    /// The system refused.
    #[error("cannot look at the target: {0}")]
    System(#[from] io::Error),
}

/// Looks at the target before the load begins. A target that cannot be reached is no error here: the run will tell.
///
/// # Errors
/// When the load cannot go well, whatever the target does.
pub fn look(
    load: &Load,
    origins: &[&Arc<Origin>],
    dialer: &mut Dialer,
    cancel: &AtomicBool,
) -> Result<Findings, PreflightError> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let limit = load.route.connect_timeout.or(load.timeout).unwrap_or(PATIENCE).min(PATIENCE);
    let looking = async {
        let cancelled = async {
            while !cancel.load(Ordering::Relaxed) {
                tokio::time::sleep(ATTENTION).await;
            }
        };
        tokio::select! {
            looked = tokio::time::timeout(limit, look_around(load, origins, dialer)) => looked.ok(),
            () = cancelled => None,
        }
    };
    let looked = runtime.block_on(looking);
    // A name that is still being looked up is nothing to wait for.
    runtime.shutdown_background();
    looked.unwrap_or_else(|| Ok(Findings::default()))
}

async fn look_around(
    load: &Load,
    origins: &[&Arc<Origin>],
    dialer: &mut Dialer,
) -> Result<Findings, PreflightError> {
    let mut findings = Findings::default();
    let Some(origin) = origins.first() else { return Ok(findings) };
    if dialer.is_local() {
        findings.same_machine = Some(true);
    } else if load.route.proxy.is_none()
        && let Some(address) = working_address(origin, dialer, &mut findings.notes).await
    {
        dialer.prefer(address);
        findings.same_machine = is_own(address);
        enough_ports(load, address.ip())?;
    }
    let agreeing = origins.iter().filter(|origin| origin.tls || load.route.protocol == Protocol::H2c);
    for origin in agreeing {
        let negotiated = negotiate(load, origin, dialer).await?;
        findings.negotiated = findings.negotiated.or(negotiated);
    }
    let streams = load.route.streams.get() as u64;
    let most = findings.negotiated.as_ref().and_then(|negotiated| negotiated.max_streams);
    if let Some(most) = most.filter(|most| *most < streams) {
        findings.notes.push(format!(
            "the server takes {most} requests at a time on a connection: of the {streams} --streams, the others wait for their turn, \
             and their latencies say so"
        ));
    }
    Ok(findings)
}

/// The address that a name leads to. Where it has several, the first one at which somebody listens: `localhost` often
/// means two places, of which a server listens at one.
async fn working_address(origin: &Origin, dialer: &Dialer, notes: &mut Vec<String>) -> Option<SocketAddr> {
    let (host, port) = dialer.destination(origin);
    let addresses = dialer.addresses(host, port, &RealTimer::start(), &mut Trace::default()).await.ok()?;
    let first = *addresses.first()?;
    if addresses.len() == 1 {
        return Some(first);
    }
    for address in addresses {
        let connecting = tokio::time::timeout(PER_ADDRESS, TcpStream::connect(address));
        if let Ok(Ok(_)) = connecting.await {
            if address != first {
                notes.push(format!("{host} is {first} first, where nobody answers: {address} was loaded"));
            }
            return Some(address);
        }
    }
    None
}

/// Whether an address is one of this machine: what goes there would come from there. Sends nothing.
fn is_own(address: SocketAddr) -> Option<bool> {
    let anywhere: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(anywhere).ok()?;
    socket.connect(address).ok()?;
    let from = socket.local_addr().ok()?.ip();
    Some(from == address.ip() || address.ip().is_loopback() || address.ip().is_unspecified())
}

/// Makes one connection, and says what was agreed upon. `None`: it could not be made, for a reason that may pass.
async fn negotiate(
    load: &Load,
    origin: &Origin,
    dialer: &Dialer,
) -> Result<Option<Negotiated>, PreflightError> {
    let scheme = if origin.tls { "https" } else { "http" };
    let url = format!("{scheme}://{}:{}/", origin.host, origin.port);
    let hopeless = |why: String| PreflightError::Handshake { url: url.clone(), why };
    let dialed = dialer.dial(origin, &RealTimer::start(), &mut Trace::default()).await;
    let mut stream = match dialed {
        Ok(stream) => stream,
        Err(Failure { kind: FailureKind::Tls, message }) => {
            return Err(hopeless(format!("{message}{}", cure(load, &message))));
        }
        Err(_) => return Ok(None),
    };
    let mut negotiated = Negotiated {
        protocol: load.route.protocol.name().to_owned(),
        tls_version: None,
        cipher: None,
        max_streams: None,
    };
    if let Stream::Tls(tls) = &stream {
        let tls = tls.get_ref().1;
        negotiated.tls_version =
            tls.protocol_version().and_then(|version| version.as_str()).map(str::to_owned);
        negotiated.cipher = tls.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite()));
    }
    if load.route.protocol == Protocol::Http1 {
        // A server that wants a certificate of the client says so only after its own handshake is done (TLS 1.3).
        if let Some(failure) = stream.objection(OBJECTION).await {
            return Err(hopeless(failure.message));
        }
    } else {
        let no_http2 = "the server does not speak HTTP/2 there";
        let most = settings(stream).await.ok_or_else(|| hopeless(no_http2.to_owned()))?;
        negotiated.max_streams = Some(most);
    }
    Ok(Some(negotiated))
}

/// What may help against a certificate that is not trusted.
fn cure(load: &Load, message: &str) -> &'static str {
    let TlsOptions { insecure, cacert, .. } = &load.route.tls;
    match (message.contains("the server's certificate"), insecure, cacert) {
        (true, false, None) => "; -k takes any certificate, --cacert names an authority to trust",
        (true, false, Some(_)) => "; -k takes any certificate",
        _ => "",
    }
}

/// How many requests at a time the server allows on one HTTP/2 connection. `None`: it does not speak it.
async fn settings(stream: Stream) -> Option<u64> {
    let (sender, mut connection) = http2::handshake(stream).await.ok()?;
    let mut pings = connection.ping_pong()?;
    // The answer to a ping comes after the settings.
    tokio::select! {
        pong = pings.ping(h2::Ping::opaque()) => pong.ok()?,
        _ = &mut connection => return None,
    };
    drop(sender);
    Some(connection.max_concurrent_send_streams() as u64)
}

/// Without keep-alive every request takes a local port, and the system keeps it for a minute after.
fn enough_ports(load: &Load, address: IpAddr) -> Result<(), PreflightError> {
    let Model::Open(open) = &load.model else { return Ok(()) };
    let closes = |(name, value): &(String, String)| {
        name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close")
    };
    if !load.headers.iter().any(closes) || machine::reuses_ports(address) {
        return Ok(());
    }
    let Some(ports) = machine::local_ports() else { return Ok(()) };
    forecast(&open.stages, ports)
}

/// Whether so many connections leave ports free in the fullest minute of the schedule.
fn forecast(stages: &[Stage], ports: u64) -> Result<(), PreflightError> {
    let ends = stages.iter().scan(0, |end, stage| {
        *end += stage.length;
        Some(*end)
    });
    let ends: Vec<Nanos> = ends.collect();
    let minute = nanos(TIME_WAIT);
    // Releases in the minute from `from` on. As a function of `from` it bends only where the minute begins or ends with a
    // stage, so the most is found there.
    let within = |from: Nanos| -> f64 {
        let parts = stages.iter().zip(&ends).map(|(stage, &end)| {
            let begin = (end - stage.length).max(from);
            end.min(from + minute).saturating_sub(begin) as f64 / SECOND as f64 * stage.rate
        });
        parts.sum()
    };
    let begins = std::iter::once(0).chain(ends.iter().copied());
    let candidates = begins.flat_map(|bend| [bend, bend.saturating_sub(minute)]);
    let taken = candidates.map(within).fold(0.0, f64::max);
    if taken <= ports as f64 * PORTS_SHARE {
        return Ok(());
    }
    Err(PreflightError::Ports { taken, ports })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_this_machine_is_known() {
        assert_eq!(is_own("127.0.0.3:80".parse().unwrap()), Some(true));
        // Of a network that is kept for documentation: without a route there, nothing is known.
        assert_ne!(is_own("192.0.2.1:80".parse().unwrap()), Some(true));
    }

    #[test]
    fn ports_are_counted_before_they_run_out() {
        // The usual range, of which four fifths are 22,585.
        let fits = |stages: &[(u64, f64)]| {
            let stage = |&(seconds, rate): &(u64, f64)| Stage { length: seconds * SECOND, rate };
            forecast(&stages.iter().map(stage).collect::<Vec<_>>(), 28_232)
        };
        assert!(fits(&[(600, 376.0)]).is_ok());
        assert!(fits(&[(22, 1000.0)]).is_ok());
        assert!(fits(&[(1, 1000.0), (600, 10.0)]).is_ok());
        assert!(fits(&[(20, 1000.0), (60, 0.0), (20, 1000.0)]).is_ok(), "never in one minute");
        assert!(fits(&[(20, 1000.0), (30, 0.0), (20, 1000.0)]).is_err());
        let refused = fits(&[(60, 1000.0)]).unwrap_err().to_string();
        assert!(refused.starts_with("60000 connections") && refused.contains("28232"), "{refused}");
    }
}
