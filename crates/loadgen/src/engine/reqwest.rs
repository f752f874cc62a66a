//! The same load by reqwest, to hold the own engines against.
//!
//! Every default of reqwest that would falsify a measurement is named here, not trusted. One client per
//! connection, because a shared one decides by itself how many connections there are. What remains: hyper may send
//! a request again, on a new connection, when a kept-alive one closes before it took the request.

use std::collections::HashMap;
use std::error::Error;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use report::document::FailureKind;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Method};
use rustls::ClientConfig;
use tower::{Layer, Service};
use url::Url;

use crate::clock::{Nanos, Timer};
use crate::engine::dial::Dialer;
use crate::engine::{Answer, Connection, Engine, Failure, Kept, Trace, cause, redirects};
use crate::plan::{Protocol, Route};
use crate::source::{Keep, Origin, Request, Source, authority};

/// Makes clients, each of which keeps one connection.
#[derive(Debug, Clone)]
pub struct Reqwest {
    templates: Arc<Templates>,
    route: Route,
    dialer: Arc<Dialer>,
}

/// The most templates that are kept; of further requests they are made when they are sent.
const TEMPLATES: usize = 1_000;

/// The requests of the plan in reqwest's own types.
#[derive(Debug)]
struct Templates {
    /// By where the wire form lies that it was made of: while a request has the same, the template serves.
    of: HashMap<usize, Template>,
    /// Kept, so that no other request ever lies where one of these does.
    _source: Arc<Source>,
}

/// The request in reqwest's own types.
#[derive(Debug, Clone)]
struct Template {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
}

impl Template {
    fn of(request: &Request, protocol: Protocol) -> Result<Self, ReqwestError> {
        let invalid = |error: &dyn Error| ReqwestError::Request(error.to_string());
        let method = Method::from_bytes(request.method.as_bytes()).map_err(|error| invalid(&error))?;
        let mut headers = HeaderMap::new();
        for (name, value) in request.headers.iter() {
            if protocol.is_http2() && name.eq_ignore_ascii_case("host") {
                // It travels as the URL's authority, and a field beside it makes servers refuse the request.
                if *value != authority(&request.url) {
                    return Err(ReqwestError::Host);
                }
                continue;
            }
            let name: http::HeaderName = name.parse().map_err(|error| invalid(&error))?;
            let value: http::HeaderValue = value.parse().map_err(|error| invalid(&error))?;
            headers.append(name, value);
        }
        Ok(Self { method, url: request.url.clone(), headers, body: request.body.clone() })
    }

    fn request(&self) -> reqwest::Request {
        let mut request = reqwest::Request::new(self.method.clone(), self.url.clone());
        request.headers_mut().clone_from(&self.headers);
        if !self.body.is_empty() {
            *request.body_mut() = Some(self.body.clone().into());
        }
        request
    }
}

/// Why the engine cannot carry a request.
#[derive(Debug, thiserror::Error)]
pub enum ReqwestError {
    /// The method or a header is not one that HTTP knows.
    #[error("the reqwest engine cannot send this request: {0}")]
    Request(String),
    /// A host that is not the URL's, over HTTP/2.
    #[error("the reqwest engine cannot ask for another host over HTTP/2: leave --engine away")]
    Host,
}

impl Reqwest {
    /// An engine for these requests.
    ///
    /// # Errors
    /// When the method or a header field of one of them is not valid HTTP.
    pub fn new(source: Arc<Source>, route: &Route, dialer: &Arc<Dialer>) -> Result<Self, ReqwestError> {
        let mut of = HashMap::new();
        for request in source.requests() {
            let template = Template::of(request, route.protocol)?;
            if of.len() < TEMPLATES {
                of.insert(request.wire.as_ptr().addr(), template);
            }
        }
        // reqwest asks for a provider even where nothing goes through TLS.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let templates = Arc::new(Templates { of, _source: source });
        Ok(Self { templates, route: route.clone(), dialer: Arc::clone(dialer) })
    }
}

impl Reqwest {
    fn routed(&self, builder: ClientBuilder, origin: &Origin) -> Result<ClientBuilder, Failure> {
        let route = &self.route;
        let builder = match route.protocol {
            Protocol::Http1 => builder.http1_only(),
            Protocol::Http2 => builder,
            Protocol::H2c => builder.http2_prior_knowledge(),
        };
        // Without TLS there is no need to read the system's certificates for every connection.
        let builder = if origin.tls {
            let config =
                self.dialer.tls().map_err(|error| Failure::new(FailureKind::Tls, error.to_string()))?;
            builder.tls_backend_preconfigured(ClientConfig::clone(config))
        } else {
            builder.tls_certs_only([])
        };
        let builder = match route.connect_timeout {
            Some(limit) => builder.connect_timeout(limit),
            None => builder,
        };
        let builder = match &route.unix_socket {
            Some(path) => builder.unix_socket(path.clone()),
            None => builder,
        };
        // The first rule of a host counts, and here the last one would.
        Ok(route.resolve.iter().rev().filter(|rule| rule.port == origin.port).fold(
            builder,
            |builder, rule| {
                let addresses: Vec<_> = rule.addresses.iter().map(|ip| (*ip, rule.port).into()).collect();
                builder.resolve_to_addrs(&rule.host, &addresses)
            },
        ))
    }
}

impl<T: Timer + Send + Sync> Engine<T> for Reqwest {
    type Connection = ReqwestConnection;

    async fn connect(
        &self,
        origin: &Origin,
        timer: &T,
        _trace: &mut Trace,
    ) -> Result<ReqwestConnection, Failure> {
        let dials = Dials::default();
        let builder = Client::builder()
            .retry(reqwest::retry::never())
            .redirect(Policy::none())
            .referer(false)
            .no_proxy()
            .tcp_nodelay(true)
            .pool_max_idle_per_host(1)
            .pool_idle_timeout(None)
            .connector_layer(CountDials { dials: dials.clone(), timer: timer.clone() });
        let builder = self.routed(builder, origin)?;
        let client = builder
            .build()
            .map_err(|error| Failure::new(FailureKind::Tls, format!("setting up TLS: {error}")))?;
        Ok(ReqwestConnection { client, engine: self.clone(), dials, closing: false })
    }
}

/// A client with at most one connection.
#[derive(Debug)]
pub struct ReqwestConnection {
    client: Client,
    engine: Reqwest,
    dials: Dials,
    /// Whether the last request asked for the connection to be closed, where no header field can.
    closing: bool,
}

impl<T: Timer + Send + Sync> Connection<T> for ReqwestConnection {
    async fn send(&mut self, request: &Request, timer: &T, trace: &mut Trace) -> Result<Answer, Failure> {
        let prepared = self.prepare(request)?;
        self.closing = request.close && self.engine.route.protocol.is_http2();
        trace.first_write = timer.now();
        let settled = Settled { dials: &self.dials, trace };
        let result = self.exchange(prepared, request.keep, timer, &mut *settled.trace).await;
        drop(settled);
        // The URL is the same for all, says nothing about the failure, and may hold a password.
        result.map_err(|error| failure(&error.without_url()))
    }

    fn is_reusable(&self) -> bool {
        !self.closing
    }

    fn is_stale(&mut self) -> bool {
        false
    }
}

impl ReqwestConnection {
    /// The request in reqwest's own types; after a redirect it is another one than those of the plan.
    fn prepare(&self, request: &Request) -> Result<reqwest::Request, Failure> {
        if let Some(template) = self.engine.templates.of.get(&request.wire.as_ptr().addr()) {
            return Ok(template.request());
        }
        let template = Template::of(request, self.engine.route.protocol);
        template
            .map(|it| it.request())
            .map_err(|error| Failure::new(FailureKind::Redirect, error.to_string()))
    }

    async fn exchange<T: Timer>(
        &self,
        request: reqwest::Request,
        keep: Keep,
        timer: &T,
        trace: &mut Trace,
    ) -> Result<Answer, reqwest::Error> {
        let mut response = self.client.execute(request).await?;
        trace.first_read = Some(timer.now());
        let mut kept = Kept::new(keep);
        while let Some(data) = response.chunk().await? {
            trace.body_read += data.len() as u64;
            if let Some(kept) = &mut kept {
                kept.add(&data);
            }
        }
        trace.last_read = Some(timer.now());
        let status = response.status().as_u16();
        let location = response.headers().get(http::header::LOCATION).filter(|_| redirects(status));
        let location = location.map(|location| String::from_utf8_lossy(location.as_bytes()).into_owned());
        if let Some(kept) = &mut kept {
            kept.write_head(response.version(), response.status(), response.headers());
        }
        Ok(Answer { status, location, kept })
    }
}

/// Puts the dials of an exchange into its trace at its end, even where that is a timeout that drops its future.
struct Settled<'a> {
    dials: &'a Dials,
    trace: &'a mut Trace,
}

impl Drop for Settled<'_> {
    fn drop(&mut self) {
        let trace = &mut *self.trace;
        for dial in self.dials.take() {
            trace.reused = false;
            trace.opened += u64::from(dial.succeeded);
            trace.connected_in(dial.end - dial.begin);
            trace.first_write = dial.end;
        }
    }
}

/// One attempt to establish a connection.
#[derive(Debug, Clone, Copy)]
struct Dial {
    begin: Nanos,
    end: Nanos,
    succeeded: bool,
}

/// The dials of one client since they were last taken.
#[derive(Debug, Clone, Default)]
struct Dials(Arc<Mutex<Vec<Dial>>>);

impl Dials {
    fn take(&self) -> Vec<Dial> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn push(&self, dial: Dial) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(dial);
    }
}

/// Wraps reqwest's connector to see the connections that reqwest does not tell of.
#[derive(Debug, Clone)]
struct CountDials<T> {
    dials: Dials,
    timer: T,
}

impl<S, T: Clone> Layer<S> for CountDials<T> {
    type Service = CountedDials<S, T>;

    fn layer(&self, inner: S) -> Self::Service {
        CountedDials { inner, count: self.clone() }
    }
}

#[derive(Debug, Clone)]
struct CountedDials<S, T> {
    inner: S,
    count: CountDials<T>,
}

impl<S, T, R> Service<R> for CountedDials<S, T>
where
    S: Service<R>,
    S::Future: Send + 'static,
    T: Timer + Send + Sync,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let CountDials { dials, timer } = self.count.clone();
        let begin = timer.now();
        let connecting = self.inner.call(request);
        Box::pin(async move {
            let result = connecting.await;
            dials.push(Dial { begin, end: timer.now(), succeeded: result.is_ok() });
            result
        })
    }
}

/// Sorts an error of reqwest by its causes, never by its text.
fn failure(error: &reqwest::Error) -> Failure {
    let message = chain(error);
    let io = cause::<io::Error>(error);
    if error.is_connect() {
        let kind = match io {
            _ if cause::<rustls::Error>(error).is_some() => FailureKind::Tls,
            Some(io) => Failure::connecting(io).kind,
            None => FailureKind::ConnectFailed,
        };
        // A look-up that fails gives an io::Error without a code of its own.
        let dns = kind == FailureKind::ConnectFailed && io.is_some_and(|io| io.raw_os_error().is_none());
        return Failure::new(if dns { FailureKind::Dns } else { kind }, message);
    }
    let http2 = cause::<h2::Error>(error);
    let kind = match (cause::<hyper::Error>(error), io) {
        _ if http2.is_some_and(|error| error.is_remote() && error.is_reset()) => FailureKind::Reset,
        _ if http2.is_some_and(|error| error.is_remote() && error.is_go_away()) => FailureKind::Closed,
        (Some(hyper), _) if hyper.is_parse() => FailureKind::Protocol,
        (Some(hyper), _) if hyper.is_incomplete_message() && error.is_body() => FailureKind::Truncated,
        (Some(hyper), _) if hyper.is_incomplete_message() => FailureKind::Closed,
        (_, Some(io)) if io.kind() == io::ErrorKind::UnexpectedEof => {
            if error.is_request() {
                FailureKind::Closed
            } else {
                FailureKind::Truncated
            }
        }
        // What hyper thinks of a malformed chunk; the system's own errors have a code.
        (Some(_), Some(io)) if io.raw_os_error().is_none() && is_invalid(io) => FailureKind::Protocol,
        (_, Some(io)) => Failure::transfer(io, "").kind,
        _ => FailureKind::Io,
    };
    Failure::new(kind, message)
}

fn is_invalid(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData)
}

/// An error and its causes in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let part = source.to_string();
        if !text.ends_with(&part) {
            text = format!("{text}: {part}");
        }
        next = source.source();
    }
    text
}
