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

    /// The counters as they are now.
    pub fn counts(&self) -> Counts {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            accepted: load(&self.accepted),
            answered: load(&self.answered),
            rows: load(&self.rows),
            errors: load(&self.errors),
            accept_errors: load(&self.accept_errors),
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
        }
    }
}
