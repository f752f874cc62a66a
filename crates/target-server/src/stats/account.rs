//! The account of an instance, as it is told.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{BOUNDS, Closed, Distribution, Refused, Stats, Timing, Unanswered, load, sum};
use crate::clock;
use crate::faults::Kind;

/// Everything counted since [`Account::since`].
#[derive(Clone, Debug, Serialize)]
pub struct Account {
    /// When the process started, in seconds since 1970.
    pub started: f64,
    /// From when on everything is counted, in seconds since 1970: the start, or the last reset.
    pub since: f64,
    /// For how many seconds that is.
    pub seconds: f64,
    /// CPU time of the process, in seconds, all threads together, since it started.
    pub cpu_seconds: f64,
    /// Connections.
    pub connections: Connections,
    /// Requests.
    pub requests: Requests,
    /// Rows committed, before their requests are answered. Without a reset there is a row for every request that was answered
    /// after one was kept; after a reset some of these were committed before it, at most as many as were under way then. So
    /// with a database always `2xx <= rows + requests.in_flight_at_start`.
    pub rows: u64,
    /// Faults, which are counted among the requests too.
    pub faults: Suffered,
    /// How long things took, by their kinds.
    pub times: Times,
    /// The same as cumulative histograms, those of the metrics.
    pub histograms: Histograms,
}

/// `accepted + open_at_start = open + closed`.
#[derive(Clone, Debug, Serialize)]
pub struct Connections {
    /// Connections accepted.
    pub accepted: u64,
    /// Attempts that failed, mostly for want of file descriptors.
    pub accept_errors: u64,
    /// Connections that were open already.
    pub open_at_start: u64,
    /// Connections open now.
    pub open: u64,
    /// The most that were open at once.
    pub open_most: u64,
    /// Connections closed.
    pub closed: u64,
    /// The same by reason.
    pub closed_by_reason: BTreeMap<&'static str, u64>,
}

/// `begun + in_flight_at_start = answered + unanswered + in_flight`.
#[derive(Clone, Debug, Serialize)]
pub struct Requests {
    /// Requests whose head was read.
    pub begun: u64,
    /// Requests that were under way already.
    pub in_flight_at_start: u64,
    /// Requests under way now.
    pub in_flight: u64,
    /// The most that were under way at once.
    pub in_flight_most: u64,
    /// Requests whose answer was handed over whole.
    pub answered: u64,
    /// The same by status.
    pub by_status: BTreeMap<u16, u64>,
    /// Requests that were not answered whole.
    pub unanswered: u64,
    /// The same by reason.
    pub unanswered_by_reason: BTreeMap<&'static str, u64>,
    /// What was refused before it was a request (400, 414, 431), and is none of those above.
    pub refused: u64,
    /// The same by reason.
    pub refused_by_reason: BTreeMap<&'static str, u64>,
}

/// What was done on purpose.
#[derive(Clone, Debug, Serialize)]
pub struct Suffered {
    /// Requests that suffered a fault, or several.
    pub requests: u64,
    /// Those of them that were answered whole.
    pub answered: u64,
    /// How often each fault was suffered.
    pub by_kind: BTreeMap<&'static str, u64>,
}

/// How long things took.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Times {
    /// From the head of a request until its answer was handed over, for all that were answered.
    pub service: Distribution,
    /// The same, for those that suffered a fault alone.
    pub service_faulted: Distribution,
    /// Until a thread took the row up, for every row that was: also for those that failed then, and those whose client did
    /// not wait for the answer.
    pub queue: Distribution,
    /// From there until the row's transaction had the write lock, or gave up waiting for it; for the same rows.
    pub lock: Distribution,
    /// From there until it was committed, for committed rows alone.
    pub commit: Distribution,
}

/// For each bound of `at_most_ns` how many values are at most as long; the last one, which is `null`, has none, and counts
/// them all.
#[derive(Clone, Debug, Serialize)]
pub struct Histograms {
    /// The bounds in nanoseconds, ascending.
    pub at_most_ns: Vec<Option<u64>>,
    /// As [`Times::service`].
    pub service: Vec<u64>,
    /// As [`Times::service_faulted`].
    pub service_faulted: Vec<u64>,
    /// As [`Times::queue`].
    pub queue: Vec<u64>,
    /// As [`Times::lock`].
    pub lock: Vec<u64>,
    /// As [`Times::commit`].
    pub commit: Vec<u64>,
}

impl Stats {
    /// The account as it is now.
    pub fn account(&self) -> Account {
        let since = self.since();
        Account {
            started: self.started_at,
            since: since.at,
            seconds: clock::now().saturating_duration_since(since.moment).as_secs_f64(),
            cpu_seconds: clock::process_cpu().as_secs_f64(),
            connections: self.connections(since.open),
            requests: self.requests(since.in_flight),
            rows: load(&self.rows),
            faults: Suffered {
                requests: load(&self.faulted),
                answered: load(&self.faulted_answered),
                by_kind: Kind::ALL
                    .iter()
                    .map(|kind| (kind.name(), load(&self.faults[*kind as usize])))
                    .collect(),
            },
            times: Times {
                service: self.service.distribution(),
                service_faulted: self.service_faulted.distribution(),
                queue: self.queue.distribution(),
                lock: self.lock.distribution(),
                commit: self.commit.distribution(),
            },
            histograms: self.histograms(),
        }
    }

    fn histograms(&self) -> Histograms {
        let counts = |timing: &Timing| {
            let buckets = timing.buckets(&BOUNDS);
            buckets.at_most.into_iter().chain([buckets.count]).collect()
        };
        let bounds = BOUNDS.iter().map(|bound| u64::try_from(bound.as_nanos()).ok());
        Histograms {
            at_most_ns: bounds.chain([None]).collect(),
            service: counts(&self.service),
            service_faulted: counts(&self.service_faulted),
            queue: counts(&self.queue),
            lock: counts(&self.lock),
            commit: counts(&self.commit),
        }
    }

    fn connections(&self, open_at_start: u64) -> Connections {
        let by_reason = Closed::ALL.iter().map(|why| (why.name(), load(&self.closed[*why as usize])));
        Connections {
            accepted: load(&self.accepted),
            accept_errors: load(&self.accept_errors),
            open_at_start,
            open: load(&self.open),
            open_most: load(&self.open_most),
            closed: sum(&self.closed),
            closed_by_reason: by_reason.collect(),
        }
    }

    fn requests(&self, in_flight_at_start: u64) -> Requests {
        let by_status = (0..).zip(&*self.answered).map(|(status, counter)| (status, load(counter)));
        let by_reason = Unanswered::ALL.iter().map(|why| (why.name(), load(&self.unanswered[*why as usize])));
        let refused = Refused::ALL.iter().map(|why| (why.name(), load(&self.refused[*why as usize])));
        Requests {
            begun: load(&self.begun),
            in_flight_at_start,
            in_flight: self.in_flight(),
            in_flight_most: load(&self.in_flight_most),
            answered: sum(&self.answered),
            by_status: by_status.filter(|(_, count)| *count > 0).collect(),
            unanswered: sum(&self.unanswered),
            unanswered_by_reason: by_reason.collect(),
            refused: sum(&self.refused),
            refused_by_reason: refused.collect(),
        }
    }
}
