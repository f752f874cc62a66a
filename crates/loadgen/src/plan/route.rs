//! How does one get to the server: which protocol, through what, to which address, how securely?

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use super::{EngineKind, PlanError};
use crate::address::{ConnectTo, ProxyUrl, Resolve};
use crate::options::{EngineChoice, LoadOptions};
use crate::quantity::Span;

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2 over TLS, agreed upon in the handshake.
    Http2,
    /// HTTP/2 over plain TCP, without asking.
    H2c,
}

impl Protocol {
    /// The name in documents; the first two are those of the TLS handshake.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http1 => "http/1.1",
            Self::Http2 => "h2",
            Self::H2c => "h2c",
        }
    }

    /// Whether it is a form of HTTP/2.
    pub fn is_http2(self) -> bool {
        self != Self::Http1
    }
}

/// How one gets to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// What is spoken.
    pub protocol: Protocol,
    /// Requests at a time on each connection; 1 but for HTTP/2.
    pub streams: NonZeroUsize,
    /// Through which proxy.
    pub proxy: Option<ProxyUrl>,
    /// Addresses that stand for names. The first rule that fits counts.
    pub resolve: Vec<Resolve>,
    /// Other places to connect to. The first rule that fits counts.
    pub connect_to: Vec<ConnectTo>,
    /// The unix socket that all connections lead to.
    pub unix_socket: Option<PathBuf>,
    /// How long establishing a connection may take.
    pub connect_timeout: Option<Duration>,
    /// How securely.
    pub tls: TlsOptions,
}

/// What to trust, and what to show.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// Whether any certificate will do.
    pub insecure: bool,
    /// The authorities to trust, instead of the system's.
    pub cacert: Option<PathBuf>,
    /// What to show to the server.
    pub cert: Option<PathBuf>,
    /// Its key, where it lies in another file.
    pub key: Option<PathBuf>,
    /// The name to ask for, instead of the URL's host.
    pub sni: Option<String>,
}

impl Route {
    /// `is_tls`: whether any of the requests goes to an `https` URL.
    pub(super) fn resolve(is_tls: bool, options: &LoadOptions) -> Result<Self, PlanError> {
        let tls = TlsOptions {
            insecure: options.insecure,
            cacert: options.cacert.clone(),
            cert: options.cert.clone(),
            key: options.key.clone(),
            sni: options.sni.clone(),
        };
        if tls.key.is_some() && tls.cert.is_none() {
            return Err(PlanError::NeedsCert);
        }
        if tls.insecure && tls.cacert.is_some() {
            return Err(PlanError::Exclusive("--insecure (-k)", "--cacert"));
        }
        let protocol = protocol(options, is_tls)?;
        if options.streams.is_some() && !protocol.is_http2() {
            return Err(PlanError::NeedsHttp2);
        }
        let streams = options.streams.map_or(1, |streams| streams.get() as usize);
        let route = Self {
            protocol,
            streams: NonZeroUsize::new(streams).unwrap_or(NonZeroUsize::MIN),
            proxy: options.proxy.clone(),
            resolve: options.resolve.clone(),
            connect_to: options.connect_to.clone(),
            unix_socket: options.unix_socket.clone(),
            connect_timeout: options.connect_timeout.map(|span| span.0).filter(|limit| !limit.is_zero()),
            tls,
        };
        let addressed = [
            ("--proxy (-x)", route.proxy.is_some()),
            ("--resolve", !route.resolve.is_empty()),
            ("--connect-to", !route.connect_to.is_empty()),
        ];
        let set: Vec<_> = addressed.iter().filter(|(_, is_set)| *is_set).map(|(name, _)| *name).collect();
        match set[..] {
            [option, ..] if route.unix_socket.is_some() => {
                return Err(PlanError::Exclusive("--unix-socket", option));
            }
            ["--proxy (-x)", option, ..] => return Err(PlanError::Exclusive("--proxy (-x)", option)),
            _ => {}
        }
        if route.streams.get() > 1 && options.disable_keepalive {
            return Err(PlanError::Exclusive("--streams", "--disable-keepalive"));
        }
        if route.proxy.is_some() && protocol == Protocol::H2c {
            return Err(PlanError::Exclusive("--h2c", "--proxy (-x)"));
        }
        Ok(route)
    }

    /// The engine that speaks the protocol, or the one that was asked for.
    pub(super) fn engine(&self, choice: EngineChoice) -> Result<EngineKind, PlanError> {
        match choice {
            EngineChoice::Fake => Ok(EngineKind::Fake),
            EngineChoice::Reqwest => self.refuse_reqwest().map_or(Ok(EngineKind::Reqwest), Err),
            EngineChoice::Http1 if self.protocol.is_http2() => {
                Err(PlanError::Exclusive("--engine http1", self.protocol_flag()))
            }
            EngineChoice::Http2 if !self.protocol.is_http2() => Err(PlanError::NeedsHttp2Engine),
            EngineChoice::Auto | EngineChoice::Http1 | EngineChoice::Http2 if self.protocol.is_http2() => {
                Ok(EngineKind::Http2)
            }
            EngineChoice::Auto | EngineChoice::Http1 | EngineChoice::Http2 => Ok(EngineKind::Http1),
        }
    }

    fn protocol_flag(&self) -> &'static str {
        match self.protocol {
            Protocol::Http1 => "--http1",
            Protocol::Http2 => "--http2",
            Protocol::H2c => "--h2c",
        }
    }

    /// What the reqwest engine cannot do is refused, not left out.
    fn refuse_reqwest(&self) -> Option<PlanError> {
        let beyond = [
            ("--streams", self.streams.get() > 1),
            ("--proxy (-x)", self.proxy.is_some()),
            ("--connect-to", !self.connect_to.is_empty()),
            ("--resolve with *", self.resolve.iter().any(|rule| rule.host == "*")),
            ("--sni", self.tls.sni.is_some()),
        ];
        let found = beyond.into_iter().find(|(_, is_set)| *is_set);
        found.map(|(option, _)| PlanError::Exclusive("--engine reqwest", option))
    }

    /// Refuses what would lead elsewhere than to the unix sockets of a started target.
    pub(super) fn leads_to_sockets(&self, engine: EngineKind) -> Result<(), PlanError> {
        let elsewhere = [
            ("--unix-socket", self.unix_socket.is_some()),
            ("--proxy (-x)", self.proxy.is_some()),
            ("--resolve", !self.resolve.is_empty()),
            ("--connect-to", !self.connect_to.is_empty()),
            ("--engine reqwest", engine == EngineKind::Reqwest),
        ];
        match elsewhere.into_iter().find(|(_, is_set)| *is_set) {
            Some((option, _)) => Err(PlanError::Exclusive(option, "`sockets = \"unix\"`")),
            None => Ok(()),
        }
    }

    /// The same as far as it can be told from the next one: ports are left out, and of files only whether there are any.
    pub(super) fn without_ports_and_paths(&self) -> Self {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|_| PathBuf::from("given"));
        let tls = &self.tls;
        Self {
            proxy: self.proxy.clone().map(|proxy| ProxyUrl { port: 0, ..proxy }),
            resolve: self.resolve.iter().map(|rule| Resolve { port: 0, ..rule.clone() }).collect(),
            connect_to: self
                .connect_to
                .iter()
                .map(|rule| ConnectTo { port: None, to_port: None, ..rule.clone() })
                .collect(),
            unix_socket: path(&self.unix_socket),
            tls: TlsOptions {
                cacert: path(&tls.cacert),
                cert: path(&tls.cert),
                key: path(&tls.key),
                ..tls.clone()
            },
            ..self.clone()
        }
    }

    /// What differs from the plain way, as flat pairs.
    pub(super) fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = Vec::new();
        let mut put = |key, value: Option<String>| pairs.extend(value.map(|value| (key, value)));
        let listed = |rules: Vec<String>| (!rules.is_empty()).then(|| rules.join(" "));
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        put("load.protocol", self.protocol.is_http2().then(|| self.protocol.name().to_owned()));
        put("load.streams", (self.streams.get() > 1).then(|| self.streams.to_string()));
        put("load.proxy", self.proxy.as_ref().map(ToString::to_string));
        put("load.resolve", listed(self.resolve.iter().map(ToString::to_string).collect()));
        put("load.connect_to", listed(self.connect_to.iter().map(ToString::to_string).collect()));
        put("load.unix_socket", path(&self.unix_socket));
        put("load.connect_timeout", self.connect_timeout.map(|limit| Span(limit).to_string()));
        put("load.insecure", self.tls.insecure.then(|| "true".to_owned()));
        put("load.cacert", path(&self.tls.cacert));
        put("load.cert", path(&self.tls.cert));
        put("load.key", path(&self.tls.key));
        put("load.sni", self.tls.sni.clone());
        pairs
    }
}

fn protocol(options: &LoadOptions, is_tls: bool) -> Result<Protocol, PlanError> {
    match (options.http1, options.http2, options.h2c) {
        (true, true, _) => Err(PlanError::Exclusive("--http1", "--http2")),
        (true, _, true) => Err(PlanError::Exclusive("--http1", "--h2c")),
        (_, true, true) => Err(PlanError::Exclusive("--http2", "--h2c")),
        (_, true, _) if !is_tls => Err(PlanError::Http2NeedsTls),
        (_, _, true) if is_tls => Err(PlanError::H2cIsPlain),
        (_, true, _) => Ok(Protocol::Http2),
        (_, _, true) => Ok(Protocol::H2c),
        (_, false, false) => Ok(Protocol::Http1),
    }
}
