//! What did this instance do? The ground truth that a load tester's figures can be held against.
//!
//! All of it counts from the start or from the last reset. The account balances at any time:
//! `begun + in_flight_at_start = answered + unanswered + in_flight`.

pub mod account;
mod counts;
mod timing;
mod trouble;
mod underway;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub use counts::Counts;
pub use timing::{BOUNDS, Buckets, Distribution, Timing};
pub use trouble::{Cause, Trouble, Troubles};
pub(crate) use underway::Underway;

use crate::clock;
use crate::faults;
use crate::log::Log;
use crate::store::Kept;

/// Statuses are three digits.
const STATUSES: usize = 1000;

/// Counters shared by everything that serves.
#[derive(Debug)]
pub struct Stats {
    /// In seconds since 1970.
    started_at: f64,
    since: Mutex<Since>,
    /// What was counted before the last reset.
    before: Mutex<Counts>,
    /// The drain is over, whatever is still under way.
    cutting_off: AtomicBool,
    accepted: AtomicU64,
    accept_errors: AtomicU64,
    open: AtomicU64,
    open_most: AtomicU64,
    closed: [AtomicU64; Closed::ALL.len()],
    refused: [AtomicU64; Refused::ALL.len()],
    begun: AtomicU64,
    in_flight: AtomicU64,
    in_flight_most: AtomicU64,
    answered: Box<[AtomicU64]>,
    unanswered: [AtomicU64; Unanswered::ALL.len()],
    rows: AtomicU64,
    faulted: AtomicU64,
    faulted_answered: AtomicU64,
    faults: [AtomicU64; faults::Kind::ALL.len()],
    /// From the head of a request to its answer.
    pub service: Timing,
    /// The same, of requests alone that suffered a fault.
    pub service_faulted: Timing,
    /// Until a thread took the row up; of every row that was, whatever became of it and of its request.
    pub queue: Timing,
    /// Until the row's transaction had the write lock, or gave up waiting for it; of the same rows.
    pub lock: Timing,
    /// Until it was committed; of committed rows alone.
    pub commit: Timing,
    /// What goes wrong at the moment. A reset does not concern it.
    pub troubles: Troubles,
}

/// From when on everything is counted.
#[derive(Clone, Copy, Debug)]
struct Since {
    moment: Instant,
    /// In seconds since 1970.
    at: f64,
    in_flight: u64,
    open: u64,
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// One of both sides was done with it.
    Done,
    /// No further request came in time.
    IdleTimeout,
    /// A request's head was not complete in time.
    HeaderTimeout,
    /// What came was no request, or too large a one.
    Refused,
    /// There were too many already.
    Limit,
    /// A fault ended it.
    Fault,
    /// It broke, or the client left in the middle.
    Error,
}

impl Closed {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 7] = [
        Self::Done,
        Self::IdleTimeout,
        Self::HeaderTimeout,
        Self::Refused,
        Self::Limit,
        Self::Fault,
        Self::Error,
    ];

    /// As it is told.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::IdleTimeout => "idle_timeout",
            Self::HeaderTimeout => "header_timeout",
            Self::Refused => "refused",
            Self::Limit => "limit",
            Self::Fault => "fault",
            Self::Error => "error",
        }
    }
}

/// Why a request was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// Its client left, or its connection broke.
    Gone,
    /// The drain had no more time for it.
    CutOff,
    /// A fault reset its connection.
    Reset,
    /// A fault cut its answer.
    Truncated,
    /// A fault left it waiting, until the client left or the server drained.
    Never,
}

impl Unanswered {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 5] = [Self::Gone, Self::CutOff, Self::Reset, Self::Truncated, Self::Never];

    /// As it is told.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::CutOff => "cut_off",
            Self::Reset => "reset",
            Self::Truncated => "truncated",
            Self::Never => "never",
        }
    }
}

/// Why what came was no request. hyper says so, and answers all but the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It breaks the grammar (400).
    Malformed,
    /// Its target is too long (414).
    TargetTooLong,
    /// Its head is too large, or has too many lines (431).
    HeadTooLarge,
    /// It is HTTP/2, which is not answered.
    Http2,
}

impl Refused {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 4] = [Self::Malformed, Self::TargetTooLong, Self::HeadTooLarge, Self::Http2];

    /// As it is told.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TargetTooLong => "target_too_long",
            Self::HeadTooLarge => "head_too_large",
            Self::Http2 => "http2",
        }
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn sum(counters: &[AtomicU64]) -> u64 {
    counters.iter().map(load).sum()
}

impl Default for Stats {
    /// Nothing, from now on. Nobody is told of troubles.
    fn default() -> Self {
        Self::new(Arc::new(Log::silent()))
    }
}

impl Stats {
    /// Nothing, from now on. Troubles are told there.
    pub fn new(log: Arc<Log>) -> Self {
        let (moment, at) = (clock::now(), clock::unix_seconds());
        Self {
            started_at: at,
            since: Mutex::new(Since { moment, at, in_flight: 0, open: 0 }),
            before: Mutex::default(),
            cutting_off: AtomicBool::new(false),
            accepted: AtomicU64::default(),
            accept_errors: AtomicU64::default(),
            open: AtomicU64::default(),
            open_most: AtomicU64::default(),
            closed: Default::default(),
            refused: Default::default(),
            begun: AtomicU64::default(),
            in_flight: AtomicU64::default(),
            in_flight_most: AtomicU64::default(),
            answered: std::iter::repeat_with(AtomicU64::default).take(STATUSES).collect(),
            unanswered: Default::default(),
            rows: AtomicU64::default(),
            faulted: AtomicU64::default(),
            faulted_answered: AtomicU64::default(),
            faults: Default::default(),
            service: Timing::default(),
            service_faulted: Timing::default(),
            queue: Timing::default(),
            lock: Timing::default(),
            commit: Timing::default(),
            troubles: Troubles::new(log),
        }
    }

    /// A connection is open from here on, until [`Stats::closed`].
    pub(crate) fn accepted(&self) {
        add(&self.accepted);
        let open = self.open.fetch_add(1, Ordering::Relaxed) + 1;
        self.open_most.fetch_max(open, Ordering::Relaxed);
    }

    pub(crate) fn closed(&self, why: Closed) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        add(&self.closed[why as usize]);
    }

    /// A connection is closed because what came on it was no request.
    pub(crate) fn refused(&self, why: Refused) {
        self.closed(Closed::Refused);
        add(&self.refused[why as usize]);
    }

    pub(crate) fn accept_error(&self) {
        add(&self.accept_errors);
    }

    /// Rows were committed. Where their time went.
    pub(crate) fn kept(&self, rows: impl ExactSizeIterator<Item = Kept> + Clone) {
        self.rows.fetch_add(rows.len() as u64, Ordering::Relaxed);
        self.queue.record_all(rows.clone().map(|row| row.queue));
        self.lock.record_all(rows.clone().map(|row| row.lock));
        self.commit.record_all(rows.map(|row| row.commit));
    }

    /// Rows were taken up and not committed. How long each waited for that, and all of them for the write lock, in vain or
    /// not.
    pub(crate) fn not_kept(&self, queues: impl ExactSizeIterator<Item = Duration>, lock: Duration) {
        self.lock.record_all(std::iter::repeat_n(lock, queues.len()));
        self.queue.record_all(queues);
    }

    /// Connections open now.
    pub fn open(&self) -> u64 {
        load(&self.open)
    }

    /// Requests under way now.
    pub fn in_flight(&self) -> u64 {
        load(&self.in_flight)
    }

    /// The drain is over: what is still under way is cut off.
    pub(crate) fn cut_off(&self) {
        self.cutting_off.store(true, Ordering::Relaxed);
    }

    /// Everything to zero, but what is open or under way.
    pub fn reset(&self) {
        // Swapped, because what is counted at this very moment must be in what was before or in what comes.
        let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        *before = *before + self.counts_by(|counter| counter.swap(0, Ordering::Relaxed));
        drop(before);
        let in_short = [Closed::Refused, Closed::Limit];
        let closed = Closed::ALL.iter().filter(|why| !in_short.contains(why));
        let others = closed.map(|why| &self.closed[*why as usize]).chain(&self.faults).chain(&self.refused);
        let others = others.chain([&self.begun, &self.faulted_answered]);
        others.for_each(|counter| counter.store(0, Ordering::Relaxed));
        let timings = [&self.service, &self.service_faulted, &self.queue, &self.lock, &self.commit];
        timings.into_iter().for_each(Timing::reset);
        let (in_flight, open) = (load(&self.in_flight), load(&self.open));
        self.in_flight_most.store(in_flight, Ordering::Relaxed);
        self.open_most.store(open, Ordering::Relaxed);
        let since = Since { moment: clock::now(), at: clock::unix_seconds(), in_flight, open };
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    fn since(&self) -> Since {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::StatusCode;

    use super::*;

    #[test]
    fn the_account_balances_across_a_reset() {
        let stats = Arc::new(Stats::default());
        let [first, second, third] = std::array::from_fn(|_| stats.begin(None));
        first.answered(StatusCode::OK);
        stats.reset();
        second.answered(StatusCode::SERVICE_UNAVAILABLE);
        let mut fourth = stats.begin(None);
        fourth.suffers(faults::Kind::Delay);
        fourth.suffers(faults::Kind::Never);
        fourth.otherwise(Unanswered::Never);
        drop(fourth);
        let told = stats.account().requests;
        assert_eq!((told.begun, told.in_flight_at_start, told.in_flight, told.in_flight_most), (1, 2, 1, 2));
        assert_eq!((told.answered, told.by_status.get(&503), told.by_status.len()), (1, Some(&1), 1));
        assert_eq!((told.unanswered, told.unanswered_by_reason["never"]), (1, 1));
        assert_eq!(told.begun + told.in_flight_at_start, told.answered + told.unanswered + told.in_flight);
        let faults = stats.account().faults;
        assert_eq!(
            (faults.requests, faults.answered, faults.by_kind["delay"], faults.by_kind["never"]),
            (1, 0, 1, 1)
        );
        assert_eq!(stats.service.distribution().count, 1);
        drop(third);
        assert_eq!(stats.account().requests.unanswered_by_reason["gone"], 1);
    }
}
