//! Who is asking, and how can a handler hang up on them?

use std::convert::Infallible;
use std::sync::Arc;

use http::StatusCode;

use super::line::{How, Line};
use crate::listener::Peer;

/// The connection that a request came in on. The accept loop attaches it to every request.
#[derive(Clone, Debug)]
pub struct Client {
    /// Where it comes from.
    pub peer: Peer,
    line: Arc<Line>,
}

impl Client {
    pub(super) fn new(line: &Arc<Line>) -> Self {
        Self { peer: line.peer, line: Arc::clone(line) }
    }

    /// Ends the connection as soon as the handler or the body that called this gives way, without an answer: the client
    /// sees a reset (RST). On a unix socket there is no such thing; it sees the end of the connection.
    ///
    /// A handler gives no answer any more but waits for ever ([`Client::reset_and_wait`]), and is dropped. A body that is
    /// being sent stays pending in the same way; what it gave before has left as far as the client takes it.
    pub fn reset(&self) {
        self.line.end(How::Reset);
    }

    /// The same, but the client sees the end of the connection (FIN).
    pub fn close(&self) {
        self.line.end(How::Close);
    }

    /// For a handler that has found out that the client has left: nobody would read its answer.
    pub async fn left_and_wait(&self) -> Infallible {
        self.line.end(How::Left);
        std::future::pending().await
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

    /// What its present request was answered instead of the handler's answer, because that took too long.
    pub(crate) fn refused(&self) -> Option<StatusCode> {
        self.line.refused()
    }
}
