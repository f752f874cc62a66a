//! Which connection comes next, out of several sockets?

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rustix::io::Errno;

use crate::listener::{Listener, Peer, Stream};
use crate::stats::{Cause, Stats, Trouble};

/// How long we wait before we try again after the machine refused a connection, mostly for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How many connections are taken from the queue of one socket at the end: as many as the longest queue holds
/// (`--backlog`). A socket that others share may be refilled for ever.
const LONGEST_QUEUE: usize = u16::MAX as usize;

/// Sockets that are accepted from in turn.
#[derive(Debug)]
pub(super) struct Incoming {
    listeners: Vec<Listener>,
    /// Which of them is asked first.
    first: usize,
    /// How many more may be taken from the queues at the end, those that failed included.
    left: usize,
    stats: Arc<Stats>,
}

impl Incoming {
    pub(super) fn new(listeners: Vec<Listener>, stats: Arc<Stats>) -> Self {
        let left = listeners.len().saturating_mul(LONGEST_QUEUE);
        Self { listeners, first: 0, left, stats }
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
                    note(&self.stats, &error);
                    if !concerns_one_connection(&error) {
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        }
    }

    /// What has come already, without waiting. To be called where tokio does not ration what a task may do: it would say
    /// that there is nothing more.
    pub(super) fn queued(&mut self) -> Option<(Stream, Peer)> {
        let mut context = Context::from_waker(Waker::noop());
        let stats = Arc::clone(&self.stats);
        let mut left = std::mem::take(&mut self.left);
        let next = next_of_queue(&mut left, || {
            let outcome = self.poll(&mut context);
            match &outcome {
                Poll::Ready(Ok(_)) => stats.accepted(),
                Poll::Ready(Err(error)) => note(&stats, error),
                Poll::Pending => {}
            }
            outcome
        });
        self.left = left;
        next
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

/// An attempt has failed.
fn note(stats: &Stats, error: &io::Error) {
    stats.accept_error();
    if !concerns_one_connection(error) {
        stats.troubles.hit(Trouble::AcceptFailing, 1, || refusal(error));
    }
}

/// What is told of a machine that refuses connections.
pub(crate) fn refusal(error: &io::Error) -> Cause {
    let out_of_files = [Errno::MFILE, Errno::NFILE].map(Errno::raw_os_error);
    let advice = match error.raw_os_error() {
        Some(number) if out_of_files.contains(&number) => "; raise the limit of open files (ulimit -n)",
        _ => "",
    };
    Cause::new(format!("connections cannot be accepted: {error}{advice}"))
}

/// The next one that is fine, as long as there is one and `left` allows. One that failed by itself is no reason to miss
/// those behind it; when the machine refuses, the next one would fail as well.
fn next_of_queue<T>(left: &mut usize, mut poll: impl FnMut() -> Poll<io::Result<T>>) -> Option<T> {
    while *left > 0 {
        *left -= 1;
        match poll() {
            Poll::Ready(Ok(connection)) => return Some(connection),
            Poll::Ready(Err(error)) if concerns_one_connection(&error) => {}
            Poll::Ready(Err(_)) | Poll::Pending => break,
        }
    }
    None
}

/// Whether the client or its network was at fault and the next connection may well be accepted.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable,
    };
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | HostUnreachable | NetworkUnreachable
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_left_the_queue_costs_nobody_behind_them_a_place() {
        let gone = || Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        let mut queue =
            vec![Poll::Ready(Ok(1)), gone(), gone(), Poll::Ready(Ok(2)), Poll::Pending].into_iter();
        let mut left = 10;
        let mut next = || next_of_queue(&mut left, || queue.next().unwrap());
        assert_eq!([next(), next(), next()], [Some(1), Some(2), None]);
        assert_eq!(left, 5);
    }

    #[test]
    fn a_machine_that_refuses_is_not_asked_again() {
        let refusal = || Poll::Ready(Err::<(), _>(io::Error::from_raw_os_error(24)));
        let mut asked = 0;
        let next = next_of_queue(&mut 10, || {
            asked += 1;
            refusal()
        });
        assert_eq!((next, asked), (None, 1));
    }

    #[test]
    fn a_queue_that_others_fill_for_ever_has_an_end() {
        let mut left = 3;
        let taken = std::iter::from_fn(|| next_of_queue(&mut left, || Poll::Ready(Ok(())))).count();
        assert_eq!(taken, 3);
        assert_eq!(
            next_of_queue(&mut 3, || Poll::Ready(Err::<(), _>(io::ErrorKind::ConnectionReset.into()))),
            None
        );
    }
}
