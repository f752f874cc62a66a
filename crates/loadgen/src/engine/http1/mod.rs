//! HTTP/1.1, with or without TLS: the fast path, ours from the socket up.
//!
//! The request is one prepared write. Answers are read into one buffer per worker and counted, never kept.

mod chunked;
mod reader;

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use report::document::FailureKind;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use self::reader::{AtClose, KnownHead, Reader};
use crate::clock::Timer;
use crate::engine::dial::{Dialer, Stream};
use crate::engine::{Answer, Connection, Engine, Failure, Trace};
use crate::source::{Origin, Request};

/// Size of the read buffer that the connections of a worker share.
const BUFFER: usize = 128 * 1024;

/// What the connections of a worker share.
#[derive(Debug)]
struct Shared {
    /// What is read lies here until the next read.
    buffer: Box<[u8]>,
    /// The head that came last.
    known: KnownHead,
}

/// Makes connections that carry one request at a time.
#[derive(Debug)]
pub struct Http1 {
    dialer: Arc<Dialer>,
    shared: Rc<RefCell<Shared>>,
}

impl Http1 {
    /// An engine for one worker.
    pub fn new(dialer: Arc<Dialer>) -> Self {
        let shared = Shared { buffer: vec![0; BUFFER].into(), known: KnownHead::default() };
        Self { dialer, shared: Rc::new(RefCell::new(shared)) }
    }
}

impl<T: Timer> Engine<T> for Http1 {
    type Connection = Http1Connection;

    async fn connect(
        &self,
        origin: &Origin,
        timer: &T,
        trace: &mut Trace,
    ) -> Result<Http1Connection, Failure> {
        let stream = self.dialer.dial(origin, timer, trace).await?;
        Ok(Http1Connection { stream, shared: Rc::clone(&self.shared), carried: 0, reusable: true })
    }
}

/// One connection.
#[derive(Debug)]
pub struct Http1Connection {
    stream: Stream,
    shared: Rc<RefCell<Shared>>,
    /// Requests it has carried.
    carried: u64,
    reusable: bool,
}

/// One exchange under way.
struct Exchange<'a> {
    request: &'a [u8],
    written: usize,
    /// Whether the kernel has it all.
    flushed: bool,
    write_error: Option<io::Error>,
    reader: Reader,
    /// Bytes of head and body that were counted before this exchange.
    before: (u64, u64),
    trace: &'a mut Trace,
}

impl Exchange<'_> {
    fn answer(&mut self) -> Answer {
        let Reader { location, kept, .. } = &mut self.reader;
        let (location, kept) = (location.take(), kept.take());
        Answer { status: self.reader.status(), location, kept }
    }
}

impl<T: Timer> Connection<T> for Http1Connection {
    async fn send(&mut self, request: &Request, timer: &T, trace: &mut Trace) -> Result<Answer, Failure> {
        trace.first_write = timer.now();
        let mut exchange = Exchange {
            request: &request.wire,
            written: 0,
            flushed: false,
            write_error: None,
            reader: Reader::new(request.is_head()).keeping(request.keep),
            before: (trace.head_read, trace.body_read),
            trace,
        };
        let result = poll_fn(|context| self.poll_exchange(context, timer, &mut exchange)).await;
        let unwritten = !exchange.flushed;
        self.carried += 1;
        let kept = !request.close && !unwritten && exchange.reader.keep_alive();
        self.reusable = result.is_ok() && self.reusable && kept;
        result
    }

    fn is_reusable(&self) -> bool {
        self.reusable
    }

    fn is_stale(&mut self) -> bool {
        self.stream.is_stale()
    }

    fn peer(&self) -> Option<String> {
        self.stream.peer()
    }
}

impl Http1Connection {
    /// Writes what can be written and reads what can be read, so that neither waits for the other.
    fn poll_exchange<T: Timer>(
        &mut self,
        context: &mut Context<'_>,
        timer: &T,
        exchange: &mut Exchange<'_>,
    ) -> Poll<Result<Answer, Failure>> {
        if !exchange.flushed && exchange.write_error.is_none() {
            self.poll_write(context, exchange);
            if exchange.flushed {
                exchange.trace.last_write = Some(timer.now());
            }
        }
        let result = self.poll_read(context, timer, exchange);
        exchange.trace.head_read = exchange.before.0 + exchange.reader.head_bytes();
        exchange.trace.body_read = exchange.before.1 + exchange.reader.body_bytes();
        result
    }

    /// A failed write is not the end: the server may have answered before it closed (413), and that is still read.
    fn poll_write(&mut self, context: &mut Context<'_>, exchange: &mut Exchange<'_>) {
        while exchange.written < exchange.request.len() {
            let rest = &exchange.request[exchange.written..];
            match Pin::new(&mut self.stream).poll_write(context, rest) {
                Poll::Ready(Ok(0)) => exchange.write_error = Some(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(bytes)) => {
                    exchange.written += bytes;
                    exchange.trace.written += bytes as u64;
                    continue;
                }
                Poll::Ready(Err(error)) => exchange.write_error = Some(error),
                Poll::Pending => {}
            }
            return;
        }
        // TLS may have taken in more than the kernel did.
        match Pin::new(&mut self.stream).poll_flush(context) {
            Poll::Ready(Ok(())) => exchange.flushed = true,
            Poll::Ready(Err(error)) => exchange.write_error = Some(error),
            Poll::Pending => {}
        }
    }

    fn poll_read<T: Timer>(
        &mut self,
        context: &mut Context<'_>,
        timer: &T,
        exchange: &mut Exchange<'_>,
    ) -> Poll<Result<Answer, Failure>> {
        let Shared { buffer, known } = &mut *self.shared.borrow_mut();
        loop {
            let mut space = ReadBuf::new(buffer);
            let read = std::task::ready!(Pin::new(&mut self.stream).poll_read(context, &mut space));
            let bytes = space.filled();
            // TLS that ends without a goodbye ends as plain TCP does.
            let read = match read {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
                read => read,
            };
            if let Err(error) = read {
                return Poll::Ready(Err(read_failure(&error, exchange, self.carried > 0)));
            }
            let now = timer.now();
            if bytes.is_empty() {
                self.reusable = false;
                return Poll::Ready(at_close(exchange, self.carried > 0, now));
            }
            exchange.trace.first_read.get_or_insert(now);
            match exchange.reader.feed(bytes, known) {
                Err(error) => {
                    return Poll::Ready(Err(Failure::new(FailureKind::Protocol, error.to_string())));
                }
                Ok(used) if exchange.reader.is_done() => {
                    // More than the answer came: whatever it is, it answers nothing that was asked.
                    self.reusable &= used == bytes.len();
                    exchange.trace.last_read = Some(now);
                    return Poll::Ready(Ok(exchange.answer()));
                }
                Ok(_) => {}
            }
        }
    }
}

fn read_failure(error: &io::Error, exchange: &Exchange<'_>, reused: bool) -> Failure {
    let failure = match &exchange.write_error {
        Some(error) => Failure::transfer(error, "writing the request"),
        None if exchange.trace.first_read.is_none() => Failure::transfer(error, "waiting for the answer"),
        None => Failure::transfer(error, "reading the answer"),
    };
    // Whether the end of a kept connection is seen as such or as a reset is a matter of microseconds.
    let is_idle_close = reused && exchange.trace.first_read.is_none() && failure.kind == FailureKind::Reset;
    if is_idle_close { Failure { kind: FailureKind::ClosedIdle, ..failure } } else { failure }
}

fn at_close(exchange: &mut Exchange<'_>, reused: bool, now: u64) -> Result<Answer, Failure> {
    let (kind, message) = match exchange.reader.close() {
        AtClose::Complete => {
            exchange.trace.last_read = Some(now);
            return Ok(exchange.answer());
        }
        AtClose::Nothing => match &exchange.write_error {
            Some(error) if !reused => return Err(Failure::transfer(error, "writing the request")),
            _ if reused => (FailureKind::ClosedIdle, FailureKind::ClosedIdle.meaning().to_owned()),
            _ => (FailureKind::Closed, FailureKind::Closed.meaning().to_owned()),
        },
        AtClose::Truncated => {
            let (head, body) = (exchange.reader.head_bytes(), exchange.reader.body_bytes());
            let place =
                if head == 0 { "in its head".to_owned() } else { format!("after {body} bytes of its body") };
            (
                FailureKind::Truncated,
                format!("the server closed the connection in the middle of an answer, {place}"),
            )
        }
        AtClose::Protocol(error) => (FailureKind::Protocol, error.to_string()),
    };
    Err(Failure::new(kind, message))
}
