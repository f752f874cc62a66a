//! Which connection comes next, out of several sockets?

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::listener::{Listener, Peer, Stream};
use crate::stats::Stats;

/// How long we wait before we try again after the machine refused a connection, mostly for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Sockets that are accepted from in turn.
#[derive(Debug)]
pub(super) struct Incoming {
    listeners: Vec<Listener>,
    /// Which of them is asked first.
    first: usize,
    stats: Arc<Stats>,
}

impl Incoming {
    pub(super) fn new(listeners: Vec<Listener>, stats: Arc<Stats>) -> Self {
        Self { listeners, first: 0, stats }
    }

    /// The next connection of any of them. May be dropped while it waits: nothing is lost.
    pub(super) async fn next(&mut self) -> (Stream, Peer) {
        loop {
            match poll_fn(|context| self.poll(context)).await {
                Ok(connection) => {
                    self.stats.accepted();
                    return connection;
                }
                Err(error) => {
                    self.stats.accept_error();
                    if !concerns_one_connection(&error) {
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        }
    }

    /// What has come already, without waiting.
    pub(super) fn queued(&mut self) -> Option<(Stream, Peer)> {
        let mut context = Context::from_waker(Waker::noop());
        match self.poll(&mut context) {
            Poll::Ready(Ok(connection)) => {
                self.stats.accepted();
                Some(connection)
            }
            // One that failed is no reason to miss those behind it, but who knows how many more will fail.
            Poll::Ready(Err(_)) => {
                self.stats.accept_error();
                None
            }
            Poll::Pending => None,
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<(Stream, Peer)>> {
        let count = self.listeners.len();
        for n in 0..count {
            let n = (self.first + n) % count;
            if let Poll::Ready(outcome) = self.listeners[n].poll_accept(context) {
                // A busy socket must not starve the others.
                self.first = (n + 1) % count;
                return Poll::Ready(outcome);
            }
        }
        Poll::Pending
    }
}

/// Whether the client was at fault and the next connection may well be accepted.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
