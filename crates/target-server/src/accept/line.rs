//! What is known of one connection while it lasts?

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::StatusCode;
use tokio::sync::Notify;

use crate::clock;
use crate::listener::{Peer, Stream};

/// What a connection is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It waits for the first byte of a request.
    Idle,
    /// The head of a request has begun and is not complete.
    Head,
    /// A request is being answered, and we are the ones to act.
    Busy,
    /// The same, and we wait for more of the request's body.
    Body,
    /// The head of the answer is there, its body not yet.
    Answering,
    /// The answer is complete, and on its way.
    Flushing,
}

impl Phase {
    const ALL: [Self; 6] = [Self::Idle, Self::Head, Self::Busy, Self::Body, Self::Answering, Self::Flushing];
}

/// How a connection is ended from within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// The client has left already.
    Left = 1,
    Close = 2,
    Reset = 3,
}

/// One connection, as its socket, the answers on it and the task that drives it see it. They take turns in one task; only
/// [`Line::end`] may come from elsewhere.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) peer: Peer,
    /// Absent when the connection has ended, whoever still holds this.
    socket: Mutex<Option<Stream>>,
    opened: Instant,
    phase: AtomicU8,
    /// When the request's head began, or was complete; in microseconds since it was opened.
    since: AtomicU64,
    /// When the last byte came or went; in the same.
    active: AtomicU64,
    /// Whether the client takes no more bytes at the moment.
    blocked: AtomicBool,
    /// Whether there is more of the present request's body than was read.
    body_left: AtomicBool,
    /// The last three bytes that came.
    tail: AtomicU32,
    /// Where in memory the last bytes that came end; only to be compared.
    end: AtomicUsize,
    /// Whether more came than the present request, which is whole: the beginning of the next one.
    ahead: AtomicBool,
    /// Whether the present request has taken too long.
    expired: AtomicBool,
    /// The status with which the accept loop answered the last request in place of the application; 0 before it does.
    refused: AtomicU16,
    /// Requests so far.
    requests: AtomicU32,
    ending: AtomicU8,
    wanted: Notify,
}

/// A connection at one moment. Times are since it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) phase: Phase,
    pub(super) since: Duration,
    pub(super) active: Duration,
    pub(super) blocked: bool,
}

impl Line {
    pub(super) fn new(socket: Stream, peer: Peer) -> Self {
        Self {
            peer,
            socket: Mutex::new(Some(socket)),
            opened: clock::now(),
            phase: AtomicU8::new(Phase::Idle as u8),
            since: AtomicU64::new(0),
            active: AtomicU64::new(0),
            blocked: AtomicBool::new(false),
            body_left: AtomicBool::new(false),
            tail: AtomicU32::new(0),
            end: AtomicUsize::new(0),
            ahead: AtomicBool::new(false),
            expired: AtomicBool::new(false),
            refused: AtomicU16::new(0),
            requests: AtomicU32::new(0),
            ending: AtomicU8::new(0),
            wanted: Notify::new(),
        }
    }

    /// The socket, for as long as nobody else looks at it.
    pub(super) fn socket(&self) -> MutexGuard<'_, Option<Stream>> {
        self.socket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn opened(&self) -> Instant {
        self.opened
    }

    /// How long it has been open.
    pub(super) fn age(&self) -> Duration {
        clock::now().saturating_duration_since(self.opened)
    }

    fn age_in_micros(&self) -> u64 {
        u64::try_from(self.age().as_micros()).unwrap_or(u64::MAX)
    }

    pub(super) fn phase(&self) -> Phase {
        Phase::ALL[usize::from(self.phase.load(Ordering::Relaxed))]
    }

    fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    pub(super) fn moment(&self) -> Moment {
        let time = |since: &AtomicU64| Duration::from_micros(since.load(Ordering::Relaxed));
        let (since, active) = (time(&self.since), time(&self.active));
        Moment { phase: self.phase(), since, active, blocked: self.blocked.load(Ordering::Relaxed) }
    }

    /// The last request is answered so, whatever the application would have said.
    pub(super) fn refuse(&self, status: StatusCode) {
        self.refused.store(status.as_u16(), Ordering::Relaxed);
    }

    /// How the last request was answered in place of the application, if it was.
    pub(super) fn refused(&self) -> Option<StatusCode> {
        StatusCode::from_u16(self.refused.load(Ordering::Relaxed)).ok()
    }

    /// These bytes came.
    pub(super) fn has_read(&self, bytes: &[u8]) {
        let now = self.age_in_micros();
        self.active.store(now, Ordering::Relaxed);
        let last = &bytes[bytes.len().saturating_sub(3)..];
        let before = self.tail.load(Ordering::Relaxed);
        let tail = last.iter().fold(before, |tail, byte| (tail << 8) | u32::from(*byte));
        self.tail.store(tail & 0x00ff_ffff, Ordering::Relaxed);
        self.end.store(bytes.as_ptr_range().end.addr(), Ordering::Relaxed);
        match self.phase() {
            Phase::Idle => {
                self.since.store(now, Ordering::Relaxed);
                self.enter(Phase::Head);
            }
            // What comes before the head is handed over is looked at then.
            Phase::Head => {}
            _ if self.body_left() => {}
            _ => self.ahead.store(true, Ordering::Relaxed),
        }
    }

    /// Whether the last bytes that came were the empty line that ends a head and a chunked body.
    fn ends_with_empty_line(&self) -> bool {
        let tail = self.tail.load(Ordering::Relaxed);
        tail & 0xffff == 0x0a0a || tail == 0x000a_0d0a
    }

    /// Bytes went.
    pub(super) fn has_written(&self) {
        self.active.store(self.age_in_micros(), Ordering::Relaxed);
        self.blocked.store(false, Ordering::Relaxed);
    }

    /// Bytes could not go, because the client has not taken earlier ones.
    pub(super) fn is_blocked(&self) {
        if !self.blocked.swap(true, Ordering::Relaxed) {
            self.active.store(self.age_in_micros(), Ordering::Relaxed);
        }
    }

    /// All bytes that there were have gone.
    pub(super) fn has_flushed(&self) {
        if self.phase() != Phase::Flushing {
            return;
        }
        if self.ahead.swap(false, Ordering::Relaxed) {
            // Its time runs only now: we did not read on while there was an answer to give.
            self.since.store(self.age_in_micros(), Ordering::Relaxed);
            self.enter(Phase::Head);
        } else {
            self.enter(Phase::Idle);
        }
    }

    /// The head of a request is complete, and a body follows it or not. Returns the request's number on this connection,
    /// from 1.
    pub(super) fn begin(&self, has_body: bool) -> u32 {
        // The head has just been read, or it was read together with an earlier request.
        let now = match self.phase() {
            Phase::Head => self.active.load(Ordering::Relaxed),
            _ => self.age_in_micros(),
        };
        self.since.store(now, Ordering::Relaxed);
        self.body_left.store(has_body, Ordering::Relaxed);
        self.ahead.store(!has_body && !self.ends_with_empty_line(), Ordering::Relaxed);
        self.expired.store(false, Ordering::Relaxed);
        self.enter(Phase::Busy);
        self.requests.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// More of the request's body is awaited.
    pub(super) fn awaits_body(&self) {
        self.enter(Phase::Body);
    }

    /// These bytes of the request's body are there. hyper hands them over where they were read to, so that it is known
    /// whether something follows `all` of it.
    pub(super) fn has_body(&self, bytes: &[u8], all: bool) {
        self.enter(Phase::Busy);
        if all && self.body_left.swap(false, Ordering::Relaxed) {
            let end = bytes.as_ptr_range().end.addr();
            self.ahead.store(end != self.end.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// There is no more of the request's body, as an empty line says, or the connection broke.
    pub(super) fn has_end_of_body(&self, whole: bool) {
        self.enter(Phase::Busy);
        if whole && self.body_left.swap(false, Ordering::Relaxed) {
            self.ahead.store(!self.ends_with_empty_line(), Ordering::Relaxed);
        }
    }

    /// Whether the client may still be sending what nobody reads.
    pub(super) fn body_left(&self) -> bool {
        self.body_left.load(Ordering::Relaxed)
    }

    /// The head of the answer is there.
    pub(super) fn answers(&self) {
        self.enter(Phase::Answering);
    }

    /// All of the answer is there, or there will be no more of it.
    pub(super) fn has_answered(&self) {
        if self.phase() == Phase::Answering {
            self.enter(Phase::Flushing);
        }
    }

    /// The present request has taken too long; it is to be answered so.
    pub(super) fn expire(&self) {
        self.expired.store(true, Ordering::Relaxed);
    }

    pub(super) fn expired(&self) -> bool {
        self.expired.load(Ordering::Relaxed)
    }

    /// Wants the connection ended from within.
    pub(super) fn end(&self, how: How) {
        self.ending.fetch_max(how as u8, Ordering::Relaxed);
        self.wanted.notify_one();
    }

    /// Waits until somebody wants it ended.
    pub(super) async fn wants_end(&self) {
        self.wanted.notified().await;
    }

    /// Whether it ends because the client has left, and for no other reason.
    pub(super) fn is_left(&self) -> bool {
        self.ending.load(Ordering::Relaxed) == How::Left as u8
    }

    /// Whether it shall end with a reset.
    pub(super) fn wants_reset(&self) -> bool {
        self.ending.load(Ordering::Relaxed) == How::Reset as u8
    }
}
