//! Who is asking, and how can a handler hang up on them?

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::Notify;

use crate::listener::Peer;

/// The connection that a request came in on. The accept loop attaches it to every request.
#[derive(Clone, Debug)]
pub struct Client {
    /// Where it comes from.
    pub peer: Peer,
    /// What a handler wants to become of it.
    ending: Arc<Ending>,
}

impl Client {
    pub(crate) fn new(peer: Peer) -> Self {
        Self { peer, ending: Arc::default() }
    }

    /// Ends the connection as soon as the handler or the body that called this gives way, without an answer: the client
    /// sees a reset (RST). On a unix socket there is no such thing; it sees the end of the connection.
    ///
    /// A handler gives no answer any more but waits for ever ([`Client::reset_and_wait`]), and is dropped. A body that is
    /// being sent stays pending in the same way; what it gave before has left as far as the client takes it.
    pub fn reset(&self) {
        self.ending.end(How::Reset);
    }

    /// The same, but the client sees the end of the connection (FIN).
    pub fn close(&self) {
        self.ending.end(How::Close);
    }

    /// [`Client::reset`] for a handler that has nothing else to do.
    pub async fn reset_and_wait(&self) -> Infallible {
        self.reset();
        std::future::pending().await
    }

    /// [`Client::close`] for a handler that has nothing else to do.
    pub async fn close_and_wait(&self) -> Infallible {
        self.close();
        std::future::pending().await
    }

    /// Waits until a handler wants the connection ended.
    pub(super) async fn wants_end(&self) {
        self.ending.wanted.notified().await;
    }

    /// Whether it shall end with a reset.
    pub(super) fn wants_reset(&self) -> bool {
        self.ending.how.load(Ordering::Relaxed) == How::Reset as u8
    }
}

/// How a connection is ended from within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Close = 1,
    Reset = 2,
}

/// What a handler wants to become of a connection.
#[derive(Debug, Default)]
struct Ending {
    how: AtomicU8,
    wanted: Notify,
}

impl Ending {
    fn end(&self, how: How) {
        self.how.fetch_max(how as u8, Ordering::Relaxed);
        self.wanted.notify_one();
    }
}
