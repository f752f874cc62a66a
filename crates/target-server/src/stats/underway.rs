//! What becomes of one request?

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use http::StatusCode;

use super::{STATUSES, Stats, Unanswered, add};
use crate::accept::client::Client;
use crate::clock;
use crate::faults;

impl Stats {
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
        if let Some(status) = self.client.as_ref().and_then(Client::refused) {
            self.account(status);
            return;
        }
        let cut_off = self.stats.cutting_off.load(Ordering::Relaxed);
        let why = if cut_off { Unanswered::CutOff } else { self.otherwise };
        add(&self.stats.unanswered[why as usize]);
    }
}
