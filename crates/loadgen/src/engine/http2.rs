//! HTTP/2 on the h2 library: one connection carries as many requests at a time as `--streams` says.
//!
//! Slots join connections: the first of a group dials, the others wait for it. Heads travel compressed and frames are
//! written by the library, so bytes written and heads are not counted, and there is no time of the last byte written.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::Reason;
use h2::client::{Builder, SendRequest};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::Uri;
use http::{Method, Version, request};
use report::document::FailureKind;
use tokio::sync::OnceCell;

use crate::clock::Timer;
use crate::engine::dial::Dialer;
use crate::engine::{Answer, Connection, Engine, Failure, Kept, Trace, redirects};
use crate::source::{Origin, Request};

/// As much as the protocol allows, so that the server never waits for this side: bodies are dropped as they come.
const WINDOW: u32 = (1 << 31) - 1;
/// Header fields that mean something on an HTTP/1.1 connection and nothing here (RFC 9113, section 8.2.2).
const HOP_BY_HOP: [&str; 5] =
    ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];

/// Makes and shares connections.
#[derive(Debug)]
pub struct Http2 {
    dialer: Arc<Dialer>,
    streams: usize,
    shared: RefCell<Vec<Rc<Shared>>>,
}

impl Http2 {
    /// An engine for one worker, with so many requests at a time on each connection.
    pub fn new(dialer: Arc<Dialer>, streams: usize) -> Self {
        Self { dialer, streams, shared: RefCell::default() }
    }

    /// A place on a connection to the origin: on one that has room, else on a new one.
    fn join(&self, origin: &Origin) -> Place {
        let mut shared = self.shared.borrow_mut();
        shared.retain(|shared| shared.open.get());
        let has_room = |shared: &&Rc<Shared>| shared.origin == *origin && shared.users.get() < self.streams;
        let found = shared.iter().find(has_room).cloned();
        let found = found.unwrap_or_else(|| {
            let new = Rc::new(Shared::to(origin));
            shared.push(Rc::clone(&new));
            new
        });
        found.users.set(found.users.get() + 1);
        Place(found)
    }

    async fn open<T: Timer>(
        &self,
        shared: &Rc<Shared>,
        timer: &T,
        trace: &mut Trace,
    ) -> Result<SendRequest<Bytes>, Failure> {
        let stream = self.dialer.dial(&shared.origin, timer, trace).await?;
        shared.peer.replace(stream.peer());
        let (sender, connection) = handshake(stream).await.map_err(|error| failure(&error, false))?;
        // Not kept alive by this: a connection that no slot is on any more is closed.
        let shared = Rc::downgrade(shared);
        tokio::task::spawn_local(async move {
            // Whatever ended it, the requests under way are told.
            let _ = connection.await;
            if let Some(shared) = shared.upgrade() {
                shared.open.set(false);
            }
        });
        Ok(sender)
    }
}

/// Begins HTTP/2 on a fresh connection. Does not wait for the server.
pub(crate) async fn handshake<S>(
    stream: S,
) -> Result<(SendRequest<Bytes>, h2::client::Connection<S, Bytes>), h2::Error>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut builder = Builder::new();
    // Until the server has said how many requests at a time it allows, one: it would refuse what is too many.
    builder.initial_max_send_streams(1);
    builder.initial_window_size(WINDOW).initial_connection_window_size(WINDOW).enable_push(false);
    builder.handshake(stream).await
}

/// One connection, and the slots that are on it.
#[derive(Debug)]
struct Shared {
    origin: Origin,
    /// Who is at the other end, in words.
    peer: RefCell<Option<String>>,
    users: Cell<usize>,
    /// Whether it takes new requests.
    open: Cell<bool>,
    /// Requests answered on it.
    answered: Cell<u64>,
    /// Requests under way on it.
    under_way: Cell<u64>,
    sender: OnceCell<Result<SendRequest<Bytes>, Failure>>,
}

impl Shared {
    fn to(origin: &Origin) -> Self {
        Self {
            origin: origin.clone(),
            peer: RefCell::default(),
            users: Cell::new(0),
            open: Cell::new(true),
            answered: Cell::new(0),
            under_way: Cell::new(0),
            sender: OnceCell::new(),
        }
    }
}

/// A slot's place on a connection, free again when it is dropped.
#[derive(Debug)]
struct Place(Rc<Shared>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.users.set(self.0.users.get() - 1);
    }
}

impl<T: Timer> Engine<T> for Http2 {
    type Connection = Http2Connection;

    async fn connect(
        &self,
        origin: &Origin,
        timer: &T,
        trace: &mut Trace,
    ) -> Result<Http2Connection, Failure> {
        loop {
            let place = self.join(origin);
            // Should the slot that dials give up, the next one that waits takes over.
            let opening = place.0.sender.get_or_init(|| self.open(&place.0, timer, trace));
            let sender = match opening.await {
                Ok(sender) => sender.clone(),
                Err(failure) => {
                    place.0.open.set(false);
                    return Err(failure.clone());
                }
            };
            let mut connection = Http2Connection { sender, place };
            // The server may have said meanwhile that it takes no more. Nothing was sent: another one will do.
            if !connection.is_closed() {
                trace.reused |= connection.place.0.answered.get() > 0;
                return Ok(connection);
            }
        }
    }
}

/// A slot's share of a connection.
#[derive(Debug)]
pub struct Http2Connection {
    sender: SendRequest<Bytes>,
    place: Place,
}

impl<T: Timer> Connection<T> for Http2Connection {
    async fn send(&mut self, request: &Request, timer: &T, trace: &mut Trace) -> Result<Answer, Failure> {
        let head = request.http2_head.get_or_init(|| head(request));
        let head = head.as_ref().map_err(|why| Failure::new(FailureKind::Protocol, why.clone()))?;
        trace.first_write = timer.now();
        let shared = Rc::clone(&self.place.0);
        if request.close {
            // There is no field that asks for it: nobody else gets on.
            shared.open.set(false);
        }
        let idle = shared.answered.get() > 0 && shared.under_way.get() == 0;
        let under_way = UnderWay::begin(&shared);
        let before = trace.body_read;
        let result = self.exchange(head.clone(), request, timer, trace).await;
        under_way.end(result.is_ok());
        result.map_err(|error| {
            let mut failure = failure(&error, idle && trace.first_read.is_none());
            let is_cut = matches!(failure.kind, FailureKind::Closed | FailureKind::Protocol);
            if trace.first_read.is_some() && is_cut && !error.is_library() {
                let bytes = trace.body_read - before;
                failure = Failure::new(
                    FailureKind::Truncated,
                    format!(
                        "the server closed the connection in the middle of an answer, after {bytes} bytes of its body"
                    ),
                );
            }
            failure
        })
    }

    fn is_reusable(&self) -> bool {
        self.place.0.open.get()
    }

    fn peer(&self) -> Option<String> {
        self.place.0.peer.borrow().clone()
    }

    fn is_stale(&mut self) -> bool {
        self.is_closed()
    }
}

/// A request on its way. Dropped unfinished, when it has timed out, it closes its connection to further requests unless
/// others were answered on it meanwhile: a connection that hangs must not be waited for again and again.
struct UnderWay<'a> {
    shared: &'a Shared,
    answered: u64,
    ended: bool,
}

impl<'a> UnderWay<'a> {
    fn begin(shared: &'a Shared) -> Self {
        shared.under_way.set(shared.under_way.get() + 1);
        Self { shared, answered: shared.answered.get(), ended: false }
    }

    fn end(mut self, is_answered: bool) {
        self.ended = true;
        self.shared.answered.set(self.shared.answered.get() + u64::from(is_answered));
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.shared.under_way.set(self.shared.under_way.get() - 1);
        if !self.ended && self.shared.answered.get() == self.answered {
            self.shared.open.set(false);
        }
    }
}

impl Http2Connection {
    /// Whether it takes no more requests: it has ended, was given up, or the server has said so.
    fn is_closed(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        if matches!(self.sender.poll_ready(&mut context), Poll::Ready(Err(_))) {
            self.place.0.open.set(false);
        }
        !self.place.0.open.get()
    }

    async fn exchange<T: Timer>(
        &mut self,
        head: request::Parts,
        request: &Request,
        timer: &T,
        trace: &mut Trace,
    ) -> Result<Answer, h2::Error> {
        // Waits while the server allows no further stream.
        let ready = poll_fn(|context| self.sender.poll_ready(context)).await;
        ready.inspect_err(|_| self.place.0.open.set(false))?;
        let ends = request.body.is_empty();
        let (response, mut sending) = self.sender.send_request(http::Request::from_parts(head, ()), ends)?;
        if !ends {
            sending.send_data(request.body.clone(), true)?;
        }
        let response = response.await?;
        trace.first_read = Some(timer.now());
        let status = response.status().as_u16();
        let location = response.headers().get(header::LOCATION).filter(|_| redirects(status));
        let location = location.map(|location| String::from_utf8_lossy(location.as_bytes()).into_owned());
        let mut kept = Kept::new(request.keep);
        if let Some(kept) = &mut kept {
            kept.write_head(response.version(), response.status(), response.headers());
        }
        let mut body = response.into_body();
        while let Some(data) = body.data().await {
            let data = data?;
            if let Some(kept) = &mut kept {
                kept.add(&data);
            }
            trace.body_read += data.len() as u64;
            body.flow_control().release_capacity(data.len())?;
        }
        trace.last_read = Some(timer.now());
        Ok(Answer { status, location, kept })
    }
}

/// The head of a request as HTTP/2 has it: the host in the URI, and nothing that is about one connection.
fn head(request: &Request) -> Result<request::Parts, String> {
    let invalid = |error: &dyn std::error::Error| format!("HTTP/2 cannot carry this request: {error}");
    let host = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
    let authority = host.map_or_else(String::new, |(_, value)| value.clone());
    let query = request.url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let uri = Uri::builder()
        .scheme(request.url.scheme())
        .authority(authority)
        .path_and_query(format!("{}{query}", request.url.path()))
        .build();
    let mut headers = HeaderMap::with_capacity(request.headers.len());
    for (name, value) in request.headers.iter() {
        let name: HeaderName = name.parse().map_err(|error| invalid(&error))?;
        if name == header::HOST || HOP_BY_HOP.contains(&name.as_str()) {
            continue;
        }
        let mut value: HeaderValue = value.parse().map_err(|error| invalid(&error))?;
        value.set_sensitive(crate::source::is_secret(name.as_str()));
        headers.append(name, value);
    }
    let (mut head, ()) = http::Request::new(()).into_parts();
    head.method = Method::from_bytes(request.method.as_bytes()).map_err(|error| invalid(&error))?;
    head.uri = uri.map_err(|error| invalid(&error))?;
    head.version = Version::HTTP_2;
    head.headers = headers;
    Ok(head)
}

/// Sorts an error of the library by what it is, never by its text. `idle`: nothing came on a connection that had
/// carried a request before.
fn failure(error: &h2::Error, idle: bool) -> Failure {
    let closed = if idle { FailureKind::ClosedIdle } else { FailureKind::Closed };
    let kind = match error.get_io() {
        Some(io) => match Failure::transfer(io, "").kind {
            FailureKind::Reset if idle => FailureKind::ClosedIdle,
            // The library's own word for a connection that ended is a pipe that broke.
            FailureKind::Reset if io.kind() == io::ErrorKind::BrokenPipe => closed,
            FailureKind::Io if io.kind() == io::ErrorKind::UnexpectedEof => closed,
            kind => kind,
        },
        // A farewell in order, which leaves out what was on its way.
        None if error.is_go_away() && error.is_remote() && error.reason() == Some(Reason::NO_ERROR) => {
            FailureKind::ClosedIdle
        }
        None if error.is_go_away() && error.is_remote() => closed,
        None if error.is_reset() && error.is_remote() => FailureKind::Reset,
        None => FailureKind::Protocol,
    };
    let message = match kind {
        FailureKind::Closed | FailureKind::ClosedIdle => kind.meaning().to_owned(),
        FailureKind::Reset if error.is_reset() => {
            format!("it reset the request, not the connection: {error}")
        }
        _ => error.to_string(),
    };
    Failure::new(kind, message)
}
