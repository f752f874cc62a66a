//! What an instance did, in short.

use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;

use serde::{Deserialize, Serialize};

use super::{Closed, Stats, Unanswered, load};

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
    /// Requests that were not answered: their clients left, a fault wanted it so, or they were cut off.
    #[serde(default)]
    pub unanswered: u64,
    /// Of these, requests that were under way when the drain had no more time for them.
    #[serde(default)]
    pub cut_off: u64,
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
    /// Everything since the start, whatever was reset meanwhile.
    pub fn counts(&self) -> Counts {
        let before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        *before + self.counts_by(load)
    }

    /// The counters, read one by one in this way.
    pub(super) fn counts_by(&self, read: impl Fn(&AtomicU64) -> u64) -> Counts {
        let sum = |counters: &[AtomicU64]| counters.iter().map(&read).sum::<u64>();
        let [below, well, above] =
            [&self.answered[..200], &self.answered[200..300], &self.answered[300..]].map(sum);
        let cut_off = read(&self.unanswered[Unanswered::CutOff as usize]);
        let otherwise = |why: &&Unanswered| **why != Unanswered::CutOff;
        let unanswered =
            Unanswered::ALL.iter().filter(otherwise).map(|why| read(&self.unanswered[*why as usize]));
        Counts {
            accepted: read(&self.accepted),
            answered: below + well + above,
            rows: read(&self.rows),
            errors: below + above,
            accept_errors: read(&self.accept_errors),
            unanswered: cut_off + unanswered.sum::<u64>(),
            cut_off,
            faulted: read(&self.faulted),
            refused: read(&self.closed[Closed::Refused as usize]),
            turned_away: read(&self.closed[Closed::Limit as usize]),
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
            cut_off: self.cut_off + other.cut_off,
            faulted: self.faulted + other.faulted,
            refused: self.refused + other.refused,
            turned_away: self.turned_away + other.turned_away,
        }
    }
}
