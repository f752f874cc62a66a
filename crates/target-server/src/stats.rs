//! What did this instance do?

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// Counters shared by everything that serves.
#[derive(Debug, Default)]
pub struct Stats {
    accepted: AtomicU64,
    answered: AtomicU64,
    rows: AtomicU64,
    errors: AtomicU64,
    accept_errors: AtomicU64,
    closed: [AtomicU64; Closed::ALL.len()],
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
}

/// What an instance did from start to end. Printed as the last line of its output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Connections accepted.
    pub accepted: u64,
    /// Requests answered with whatever status. What hyper refuses before it is a request (400, 431) is not counted.
    pub answered: u64,
    /// Rows committed. May exceed the answers that arrived: a client can leave between the commit and its answer.
    pub rows: u64,
    /// Of the answered requests those with another status than 200.
    pub errors: u64,
    /// Connections that could not be accepted at the first attempt, mostly for want of file descriptors.
    #[serde(default)]
    pub accept_errors: u64,
    /// Connections on which something came that is no request, or too large a head (400, 414, 431).
    #[serde(default)]
    pub refused: u64,
    /// Connections that were turned away beyond the limit.
    #[serde(default)]
    pub turned_away: u64,
}

impl Stats {
    pub(crate) fn accepted(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn answered(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn row(&self) {
        self.rows.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn error(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn accept_error(&self) {
        self.accept_errors.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection has ended.
    pub(crate) fn closed(&self, why: Closed) {
        self.closed[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// The counters as they are now.
    pub fn counts(&self) -> Counts {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            accepted: load(&self.accepted),
            answered: load(&self.answered),
            rows: load(&self.rows),
            errors: load(&self.errors),
            accept_errors: load(&self.accept_errors),
            refused: load(&self.closed[Closed::Refused as usize]),
            turned_away: load(&self.closed[Closed::Limit as usize]),
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
            refused: self.refused + other.refused,
            turned_away: self.turned_away + other.turned_away,
        }
    }
}
