//! The server that knows the answer, for HTTP/2. Its counts are its own; the frames are the library's.

use std::any::Any;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::{add, lock};

/// What the server does with one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Http2Behaviour {
    /// Reads it whole and answers.
    Answer {
        /// Status.
        status: u16,
        /// Bytes of the body.
        body: usize,
        /// How long it waits before.
        delay: Duration,
    },
    /// Reads it whole and answers with its body.
    Echo,
    /// Answers and redirects.
    Redirect(String),
    /// Resets the stream after so many bytes of the body of an answer; none: before its head.
    Reset(Option<usize>),
    /// Closes the connection after so many bytes of the body of an answer; none: before its head.
    Close(Option<usize>),
    /// Answers, and takes no more requests on this connection.
    LastAnswer,
    /// Reads it whole and never answers.
    Silence,
}

/// What a script is asked: what to do with this request?
#[derive(Debug)]
pub struct Http2Turn<'a> {
    /// Number of the connection, in the order of acceptance, from 0.
    pub connection: u64,
    /// Number of the request on its connection, from 0.
    pub request: u64,
    /// Its head.
    pub head: &'a Request<RecvStream>,
}

/// What the server counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Http2Counts {
    /// Connections whose handshake was done.
    pub accepted: u64,
    /// Requests read to the last byte of their bodies.
    pub requests: u64,
    /// Answers given to the library to their last byte.
    pub answers: u64,
    /// The most requests that were under way on one connection.
    pub most_at_once: u64,
    /// Bytes of bodies read.
    pub body_read: u64,
    /// Bytes of bodies given to the library.
    pub body_written: u64,
}

type Script = Arc<dyn Fn(&Http2Turn<'_>) -> Http2Behaviour + Send + Sync>;

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct Http2Truth {
    address: SocketAddr,
    counters: Arc<Counters>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Counters {
    accepted: AtomicU64,
    requests: AtomicU64,
    answers: AtomicU64,
    most_at_once: AtomicU64,
    body_read: AtomicU64,
    body_written: AtomicU64,
    /// Heads of the first requests, for a test to look at.
    heads: Mutex<Vec<(String, HeaderMap)>>,
}

impl Http2Truth {
    /// Starts a server on a free port of 127.0.0.1, with TLS where a configuration is given. It allows `streams` requests
    /// at a time on a connection.
    ///
    /// # Errors
    /// When the system gives no socket or no thread.
    pub fn start(
        tls: Option<Arc<ServerConfig>>,
        streams: u32,
        script: impl Fn(&Http2Turn<'_>) -> Http2Behaviour + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let counters = Arc::<Counters>::default();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let server = Server {
            counters: Arc::clone(&counters),
            script: Arc::new(script),
            tls: tls.map(TlsAcceptor::from),
            streams,
        };
        let body = move || {
            let serving = async {
                let Ok(listener) = TcpListener::from_std(listener) else { return };
                tokio::select! {
                    () = server.serve(listener) => {}
                    _ = stopped => {}
                }
            };
            runtime.block_on(serving);
        };
        let thread = thread::Builder::new().name("truth-h2".to_owned()).spawn(body)?;
        Ok(Self { address, counters, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The `:authority` and fields of the first requests.
    pub fn heads(&self) -> Vec<(String, HeaderMap)> {
        lock(&self.counters.heads).clone()
    }

    /// Stops it, and says what it counted.
    pub fn finish(mut self) -> Http2Counts {
        self.stop();
        let value = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        let Counters { accepted, requests, answers, most_at_once, body_read, body_written, .. } =
            &*self.counters;
        Http2Counts {
            accepted: value(accepted),
            requests: value(requests),
            answers: value(answers),
            most_at_once: value(most_at_once),
            body_read: value(body_read),
            body_written: value(body_written),
        }
    }

    fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic was printed when it happened.
            let _ = thread.join();
        }
    }
}

impl Drop for Http2Truth {
    fn drop(&mut self) {
        self.stop();
    }
}

#[derive(Clone)]
struct Server {
    counters: Arc<Counters>,
    script: Script,
    tls: Option<TlsAcceptor>,
    streams: u32,
}

/// Heads that are kept.
const KEPT: usize = 4;

impl Server {
    async fn serve(&self, listener: TcpListener) {
        let number = Arc::<AtomicU64>::default();
        while let Ok((stream, _)) = listener.accept().await {
            let (server, number) = (self.clone(), Arc::clone(&number));
            tokio::spawn(async move {
                // The client sees how it went; there is nobody else to tell.
                let _ = server.accept(stream, &number).await;
            });
        }
    }

    async fn accept(&self, stream: TcpStream, number: &AtomicU64) -> io::Result<()> {
        stream.set_nodelay(true)?;
        match &self.tls {
            Some(tls) => self.converse(tls.accept(stream).await?, number).await,
            None => self.converse(stream, number).await,
        }
    }

    async fn converse<S>(&self, stream: S, number: &AtomicU64) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut builder = h2::server::Builder::new();
        builder.max_concurrent_streams(self.streams);
        let mut connection = builder.handshake::<_, Bytes>(stream).await.map_err(io::Error::other)?;
        let at_once = Arc::<AtomicU64>::default();
        let (close, mut closing) = tokio::sync::mpsc::unbounded_channel::<End>();
        let mut me = None;
        for request in 0.. {
            let next = tokio::select! {
                next = connection.accept() => next,
                end = closing.recv() => match end {
                    Some(End::GoAway) => { connection.graceful_shutdown(); continue }
                    Some(End::Close(under_way)) => {
                        drop(connection);
                        drop(under_way);
                        return Ok(());
                    }
                    None => return Ok(()),
                },
            };
            let Some(Ok((head, answer))) = next else { break };
            // A connection counts with its first request: one that was made to look around has none.
            let connection = *me.get_or_insert_with(|| {
                add(&self.counters.accepted, 1);
                number.fetch_add(1, Ordering::SeqCst)
            });
            let under_way = at_once.fetch_add(1, Ordering::SeqCst) + 1;
            self.counters.most_at_once.fetch_max(under_way, Ordering::SeqCst);
            let behaviour = (self.script)(&Http2Turn { connection, request, head: &head });
            let (server, at_once, close) = (self.clone(), Arc::clone(&at_once), close.clone());
            tokio::spawn(async move {
                // A stream that the client gave up is nothing to tell of.
                if let Ok(Some(end)) = server.perform(head, answer, behaviour).await {
                    let _ = close.send(end);
                }
                at_once.fetch_sub(1, Ordering::SeqCst);
            });
        }
        Ok(())
    }

    async fn perform(
        &self,
        head: Request<RecvStream>,
        mut answer: SendResponse<Bytes>,
        behaviour: Http2Behaviour,
    ) -> Result<Option<End>, h2::Error> {
        let authority = head.uri().authority().map(ToString::to_string).unwrap_or_default();
        let (parts, body) = head.into_parts();
        {
            let mut heads = self.counters.heads.lock().unwrap_or_else(PoisonError::into_inner);
            if heads.len() < KEPT {
                heads.push((authority, parts.headers));
            }
        }
        let read = self.read(body).await?;
        add(&self.counters.requests, 1);
        match behaviour {
            Http2Behaviour::Answer { status, body, delay } => {
                tokio::time::sleep(delay).await;
                self.whole(&mut answer, status, Bytes::from(vec![b'x'; body]))?;
            }
            Http2Behaviour::Echo => self.whole(&mut answer, 200, read.into())?,
            Http2Behaviour::Redirect(location) => {
                let mut response = Response::new(());
                *response.status_mut() = http::StatusCode::FOUND;
                if let Ok(location) = location.parse() {
                    response.headers_mut().insert(http::header::LOCATION, location);
                }
                answer.send_response(response, true)?;
                add(&self.counters.answers, 1);
            }
            Http2Behaviour::Reset(None) => answer.send_reset(Reason::INTERNAL_ERROR),
            Http2Behaviour::Reset(Some(bytes)) => {
                let mut stream = self.part(&mut answer, bytes).await?;
                stream.send_reset(Reason::INTERNAL_ERROR);
            }
            Http2Behaviour::Close(None) => return Ok(Some(End::Close(Box::new(answer)))),
            Http2Behaviour::Close(Some(bytes)) => {
                let stream = self.part(&mut answer, bytes).await?;
                return Ok(Some(End::Close(Box::new(stream))));
            }
            Http2Behaviour::LastAnswer => {
                self.whole(&mut answer, 200, Bytes::from_static(b"last"))?;
                return Ok(Some(End::GoAway));
            }
            Http2Behaviour::Silence => std::future::pending().await,
        }
        Ok(None)
    }

    async fn read(&self, mut body: RecvStream) -> Result<Vec<u8>, h2::Error> {
        let mut read = Vec::new();
        while let Some(data) = body.data().await {
            let data = data?;
            add(&self.counters.body_read, data.len() as u64);
            body.flow_control().release_capacity(data.len())?;
            read.extend_from_slice(&data);
        }
        Ok(read)
    }

    fn whole(&self, answer: &mut SendResponse<Bytes>, status: u16, body: Bytes) -> Result<(), h2::Error> {
        let mut response = Response::new(());
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
        let mut stream = answer.send_response(response, body.is_empty())?;
        if !body.is_empty() {
            add(&self.counters.body_written, body.len() as u64);
            stream.send_data(body, true)?;
        }
        add(&self.counters.answers, 1);
        Ok(())
    }

    /// The beginning of an answer, written out before this returns.
    async fn part(
        &self,
        answer: &mut SendResponse<Bytes>,
        bytes: usize,
    ) -> Result<SendStream<Bytes>, h2::Error> {
        let mut stream = answer.send_response(Response::new(()), false)?;
        if bytes > 0 {
            add(&self.counters.body_written, bytes as u64);
            stream.send_data(Bytes::from(vec![b'x'; bytes]), false)?;
        }
        // What is queued is written when the connection is next polled: long before this.
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(stream)
    }
}

/// How a connection ends before the client ends it.
enum End {
    /// At once. What is under way goes with it: dropped earlier, it would be reset instead.
    Close(Box<dyn Any + Send>),
    /// With the requests that are under way.
    GoAway,
}
