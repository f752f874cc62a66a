//! What did this instance do? The ground truth that a load tester's figures can be held against.
//!
//! All of it counts from the start or from the last reset. The account balances at any time:
//! `begun + in_flight_at_start = answered + unanswered + in_flight`.

pub mod account;
mod timing;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::StatusCode;
use serde::{Deserialize, Serialize};

pub use timing::{Buckets, Distribution, Timing};

use crate::accept::client::Client;
use crate::clock;
use crate::faults;
use crate::store::Kept;

/// Statuses are three digits.
const STATUSES: usize = 1000;

/// Counters shared by everything that serves.
#[derive(Debug)]
pub struct Stats {
    /// In seconds since 1970.
    started_at: f64,
    since: Mutex<Since>,
    accepted: AtomicU64,
    accept_errors: AtomicU64,
    open: AtomicU64,
    open_most: AtomicU64,
    closed: [AtomicU64; Closed::ALL.len()],
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
    /// Until a thread took the row up.
    pub queue: Timing,
    /// Until the row's transaction had the write lock.
    pub lock: Timing,
    /// Until it was committed.
    pub commit: Timing,
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
    /// Its client left, or its connection broke, or the drain cut it off.
    Gone,
    /// A fault reset its connection.
    Reset,
    /// A fault cut its answer.
    Truncated,
    /// A fault left it waiting, until the client left or the server drained.
    Never,
}

impl Unanswered {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 4] = [Self::Gone, Self::Reset, Self::Truncated, Self::Never];

    /// As it is told.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Reset => "reset",
            Self::Truncated => "truncated",
            Self::Never => "never",
        }
    }
}

/// What an instance did, in short: the last thing it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Connections accepted.
    pub accepted: u64,
    /// Requests answered with whatever status. What hyper refuses before it is a request (400, 431) is not counted.
    pub answered: u64,
    /// Rows committed. May exceed the answers that arrived: a client can leave between the commit and its answer.
    pub rows: u64,
    /// Of the answered requests those with a status other than 2xx.
    pub errors: u64,
    /// Connections that could not be accepted at the first attempt, mostly for want of file descriptors.
    #[serde(default)]
    pub accept_errors: u64,
    /// Requests that were not answered: their clients left, or a fault wanted it so.
    #[serde(default)]
    pub unanswered: u64,
    /// Requests, answered or not, that suffered a fault.
    #[serde(default)]
    pub faulted: u64,
    /// Connections on which something came that is no request, or too large a head (400, 414, 431).
    #[serde(default)]
    pub refused: u64,
    /// Connections that were turned away beyond the limit.
    #[serde(default)]
    pub turned_away: u64,
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
    /// Nothing, from now on.
    fn default() -> Self {
        let (moment, at) = (clock::now(), clock::unix_seconds());
        Self {
            started_at: at,
            since: Mutex::new(Since { moment, at, in_flight: 0, open: 0 }),
            accepted: AtomicU64::default(),
            accept_errors: AtomicU64::default(),
            open: AtomicU64::default(),
            open_most: AtomicU64::default(),
            closed: Default::default(),
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
        }
    }
}

impl Stats {
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

    pub(crate) fn accept_error(&self) {
        add(&self.accept_errors);
    }

    pub(crate) fn row(&self) {
        add(&self.rows);
    }

    /// Where the time of a row went.
    pub(crate) fn kept(&self, kept: Kept) {
        self.queue.record(kept.queue);
        self.lock.record(kept.lock);
        self.commit.record(kept.commit);
    }

    /// A request is under way from here on, until what is returned is answered or dropped.
    pub(crate) fn begin(self: &Arc<Self>, client: Option<Client>) -> Underway {
        let number = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
        let in_flight = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        self.in_flight_most.fetch_max(in_flight, Ordering::Relaxed);
        Underway {
            stats: Arc::clone(self),
            number,
            begun: clock::now(),
            status: None,
            faulted: false,
            otherwise: Unanswered::Gone,
            client,
        }
    }

    /// Requests under way now.
    pub fn in_flight(&self) -> u64 {
        load(&self.in_flight)
    }

    /// Everything to zero, but what is open or under way.
    pub fn reset(&self) {
        let counters = [&self.accepted, &self.accept_errors, &self.begun, &self.rows];
        let faults = [&self.faulted, &self.faulted_answered];
        let lists = self.closed.iter().chain(&*self.answered).chain(&self.unanswered).chain(&self.faults);
        counters
            .into_iter()
            .chain(faults)
            .chain(lists)
            .for_each(|counter| counter.store(0, Ordering::Relaxed));
        let timings = [&self.service, &self.service_faulted, &self.queue, &self.lock, &self.commit];
        timings.into_iter().for_each(Timing::reset);
        let (in_flight, open) = (load(&self.in_flight), load(&self.open));
        self.in_flight_most.store(in_flight, Ordering::Relaxed);
        self.open_most.store(open, Ordering::Relaxed);
        let since = Since { moment: clock::now(), at: clock::unix_seconds(), in_flight, open };
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    /// The counters as they are now.
    pub fn counts(&self) -> Counts {
        Counts {
            accepted: load(&self.accepted),
            answered: sum(&self.answered),
            rows: load(&self.rows),
            errors: sum(&self.answered[..200]) + sum(&self.answered[300..]),
            accept_errors: load(&self.accept_errors),
            unanswered: sum(&self.unanswered),
            faulted: load(&self.faulted),
            refused: load(&self.closed[Closed::Refused as usize]),
            turned_away: load(&self.closed[Closed::Limit as usize]),
        }
    }

    fn since(&self) -> Since {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that has begun. When it is dropped without having been answered, it counts as unanswered.
#[derive(Debug)]
pub(crate) struct Underway {
    stats: Arc<Stats>,
    number: u64,
    begun: Instant,
    /// Of the answer that it will have been given.
    status: Option<StatusCode>,
    faulted: bool,
    otherwise: Unanswered,
    /// Who asks: it may be told by others that its time is over.
    client: Option<Client>,
}

impl Underway {
    /// It suffers this.
    pub(crate) fn suffers(&mut self, kind: faults::Kind) {
        add(&self.stats.faults[kind as usize]);
        if !self.faulted {
            self.faulted = true;
            add(&self.stats.faulted);
        }
    }

    /// What it counts as if it is not answered.
    pub(crate) fn otherwise(&mut self, why: Unanswered) {
        self.otherwise = why;
    }

    /// Which one it is since the start or the last reset, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// How long it has been under way.
    pub(crate) fn age(&self) -> Duration {
        clock::now().saturating_duration_since(self.begun)
    }

    /// Its answer has been handed over whole, with this status. Returns how long it took.
    pub(crate) fn answered(mut self, status: StatusCode) -> Duration {
        self.status = Some(status);
        self.account(status)
    }

    fn account(&self, status: StatusCode) -> Duration {
        let time = self.age();
        self.stats.service.record(time);
        if self.faulted {
            self.stats.service_faulted.record(time);
            add(&self.stats.faulted_answered);
        }
        add(&self.stats.answered[usize::from(status.as_u16()).min(STATUSES - 1)]);
        time
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.stats.in_flight.fetch_sub(1, Ordering::Relaxed);
        if self.status.is_some() {
            return;
        }
        match self.client.as_ref().and_then(Client::refused) {
            Some(status) => drop(self.account(status)),
            None => add(&self.stats.unanswered[self.otherwise as usize]),
        }
    }
}

impl std::ops::Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            accepted: self.accepted + other.accepted,
            answered: self.answered + other.answered,
            rows: self.rows + other.rows,
            errors: self.errors + other.errors,
            accept_errors: self.accept_errors + other.accept_errors,
            unanswered: self.unanswered + other.unanswered,
            faulted: self.faulted + other.faulted,
            refused: self.refused + other.refused,
            turned_away: self.turned_away + other.turned_away,
        }
    }
}

#[cfg(test)]
mod tests {
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
