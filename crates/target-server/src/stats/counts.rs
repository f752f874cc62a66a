//! What an instance did, in short.

use serde::{Deserialize, Serialize};

use super::{Closed, Stats, load, sum};

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

impl Stats {
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
