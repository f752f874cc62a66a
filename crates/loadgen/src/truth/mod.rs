//! The server that knows the answer: it behaves as a script says and counts everything itself.
//!
//! Plain blocking sockets, one thread per connection, and a request parser of its own: it shares no code with the
//! engines that it judges, so that a shared mistake cannot cancel out.
//!
//! ```
//! use loadgen::truth::{Answer, Truth};
//!
//! let truth = Truth::start(|turn| match turn.request {
//!     0 => Answer::ok(5).into(),
//!     _ => Answer::status(503).close().into(),
//! })?;
//! println!("listening on {}", truth.url("/"));
//! assert_eq!(truth.finish().counts.accepted, 0);
//! # Ok::<(), std::io::Error>(())
//! ```

mod answer;
mod conversation;
mod http2;
mod request;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

pub use self::answer::{Answer, Behaviour, End, Framing};
use self::conversation::Conversation;
pub use self::http2::{Http2Behaviour, Http2Counts, Http2Truth, Http2Turn};
pub use self::request::Head;

/// Requests that are kept whole for [`Findings::heard`].
const KEPT: usize = 16;
/// Bytes of a request's body that are kept.
const KEPT_BODY: usize = 64 * 1024;
/// Connections may come in bursts: as many may wait to be accepted as the system allows.
const BACKLOG: i32 = 4096;

/// What a script is asked: what to do with this request?
#[derive(Debug)]
pub struct Turn<'a> {
    /// Number of the connection, in the order of acceptance, from 0.
    pub connection: u64,
    /// Number of the request on its connection, from 0.
    pub request: u64,
    /// Its head. Its body has not been read yet.
    pub head: &'a Head,
}

type Script = Box<dyn Fn(&Turn<'_>) -> Behaviour + Send + Sync>;

/// What the server counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections accepted.
    pub accepted: u64,
    /// Requests read to the last byte of their bodies.
    pub requests: u64,
    /// Requests that could not be understood.
    pub malformed: u64,
    /// Answers handed to the kernel to their last byte, interim ones not counted.
    pub answers: u64,
    /// Bytes read from all connections.
    pub read: u64,
    /// Bytes written that are heads or chunk framing.
    pub head_written: u64,
    /// Bytes written that are body.
    pub body_written: u64,
    /// Bytes written that belong to no answer.
    pub junk_written: u64,
}

/// One request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Its head, to the empty line, as it stood on the wire.
    pub head: String,
    /// The beginning of its body.
    pub body: Vec<u8>,
}

/// What a server has to say at its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// What it counted.
    pub counts: Counts,
    /// The first requests it heard, in the order in which they were complete.
    pub heard: Vec<Heard>,
}

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct Truth {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

/// What the threads of a server share.
#[derive(Default)]
struct Shared {
    counters: Counters,
    heard: Mutex<Vec<Heard>>,
    open: Mutex<Open>,
    stopping: Mutex<bool>,
    stopped: Condvar,
    /// The connection that wakes the acceptor for the last time comes from here.
    waker: Mutex<Option<SocketAddr>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("counts", &self.counters.read()).finish_non_exhaustive()
    }
}

/// The connections under way.
#[derive(Default)]
struct Open {
    streams: BTreeMap<u64, Arc<TcpStream>>,
    threads: Vec<JoinHandle<()>>,
}

/// [`Counts`] that threads share.
#[derive(Default)]
struct Counters {
    accepted: AtomicU64,
    requests: AtomicU64,
    malformed: AtomicU64,
    answers: AtomicU64,
    read: AtomicU64,
    head_written: AtomicU64,
    body_written: AtomicU64,
    junk_written: AtomicU64,
}

impl Counters {
    fn read(&self) -> Counts {
        let value = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        Counts {
            accepted: value(&self.accepted),
            requests: value(&self.requests),
            malformed: value(&self.malformed),
            answers: value(&self.answers),
            read: value(&self.read),
            head_written: value(&self.head_written),
            body_written: value(&self.body_written),
            junk_written: value(&self.junk_written),
        }
    }
}

fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::SeqCst);
}

/// What a panicking thread leaves behind is still a count.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Waits, unless the server is stopping. `false`: it is.
    fn pause(&self, time: Duration) -> bool {
        let guard = lock(&self.stopping);
        let waited = self.stopped.wait_timeout_while(guard, time, |stopping| !*stopping);
        !*waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Waits for the end of the server.
    fn pause_for_ever(&self) {
        let guard = lock(&self.stopping);
        drop(self.stopped.wait_while(guard, |stopping| !*stopping));
    }

    fn keep(&self, heard: Heard) {
        let mut kept = lock(&self.heard);
        if kept.len() < KEPT {
            kept.push(heard);
        }
    }
}

impl Truth {
    /// Starts a server on a free port of 127.0.0.1. It behaves as `script` says, which is asked for every request.
    ///
    /// # Errors
    /// When the system gives no socket or no thread.
    pub fn start(script: impl Fn(&Turn<'_>) -> Behaviour + Send + Sync + 'static) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&any_port().into())?;
        socket.listen(BACKLOG)?;
        let listener: TcpListener = socket.into();
        let address = listener.local_addr()?;
        let shared = Arc::<Shared>::default();
        let (theirs, script): (_, Arc<Script>) = (Arc::clone(&shared), Arc::new(Box::new(script)));
        let body = move || accept(&listener, &theirs, &script);
        let acceptor = thread::Builder::new().name("truth".to_owned()).spawn(body)?;
        Ok(Self { address, shared, acceptor: Some(acceptor) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path of it, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What it has counted so far. A client may have seen an answer before it is counted here.
    pub fn counts(&self) -> Counts {
        self.shared.counters.read()
    }

    /// Stops it, cutting what is under way, and waits for all its threads: what it says now is final.
    pub fn finish(mut self) -> Findings {
        self.stop();
        Findings { counts: self.counts(), heard: std::mem::take(&mut lock(&self.shared.heard)) }
    }

    fn stop(&mut self) {
        let Some(acceptor) = self.acceptor.take() else { return };
        // What connected before is accepted, and counted, before the waker is.
        let Ok(_waker) = self.wake() else { return };
        let _ = acceptor.join();
        *lock(&self.shared.stopping) = true;
        self.shared.stopped.notify_all();
        let Open { streams, threads } = std::mem::take(&mut *lock(&self.shared.open));
        for stream in streams.into_values() {
            // One that is gone already needs no cutting.
            let _ = stream.shutdown(Shutdown::Both);
        }
        for thread in threads {
            // A panic in a script was printed when it happened, and its connection is closed.
            let _ = thread.join();
        }
    }

    fn wake(&self) -> io::Result<Socket> {
        let waker = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        waker.bind(&any_port().into())?;
        *lock(&self.shared.waker) = waker.local_addr()?.as_socket();
        waker.connect(&self.address.into())?;
        Ok(waker)
    }
}

impl Drop for Truth {
    fn drop(&mut self) {
        self.stop();
    }
}

fn any_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// Accepts connections until the waker comes.
fn accept(listener: &TcpListener, shared: &Arc<Shared>, script: &Arc<Script>) {
    for number in 0.. {
        let Ok((stream, peer)) = listener.accept() else { return };
        if *lock(&shared.waker) == Some(peer) {
            return;
        }
        add(&shared.counters.accepted, 1);
        let stream = Arc::new(stream);
        let conversation =
            Conversation::new(number, Arc::clone(&stream), Arc::clone(shared), Arc::clone(script));
        let mut open = lock(&shared.open);
        open.threads.retain(|thread| !thread.is_finished());
        open.streams.insert(number, stream);
        let spawned = thread::Builder::new().name(format!("truth-{number}")).spawn(|| conversation.hold());
        match spawned {
            Ok(thread) => open.threads.push(thread),
            // Without a thread the connection is closed at once, and its client says so.
            Err(_) => drop(open.streams.remove(&number)),
        }
    }
}

#[cfg(test)]
mod tests;
