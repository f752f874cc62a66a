//! When is the next request due?
//!
//! A schedule is an iterator of releases, fixed before the run: "stop after n" is `take`. One schedule serves the
//! whole run; the next free connection takes the next release, whichever worker it lives on.

use std::iter;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::clock::Nanos;

/// One request that may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// As soon as a connection is free: the closed model.
    Now,
    /// At that moment, whether or not a connection is free: the open model.
    At(Nanos),
}

/// The closed model: every free connection may send at once, without end.
pub fn closed() -> impl Iterator<Item = Release> + Send + 'static {
    iter::repeat(Release::Now)
}

/// What the connections of a run share: the next release, and whether there is one.
pub struct Schedule {
    releases: Mutex<Box<dyn Iterator<Item = Release> + Send>>,
    /// Nothing is released at or after this moment.
    end: Option<Nanos>,
    taken: AtomicU64,
    stopped: AtomicBool,
}

impl std::fmt::Debug for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Schedule").field("end", &self.end).field("taken", &self.taken).finish_non_exhaustive()
    }
}

impl Schedule {
    /// Shares `releases` among connections, up to the moment `end` where there is one.
    pub fn new(releases: impl Iterator<Item = Release> + Send + 'static, end: Option<Nanos>) -> Self {
        Self {
            releases: Mutex::new(Box::new(releases)),
            end,
            taken: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        }
    }

    /// Takes the next release and says when it is due; a closed one is due now. `None` when there are no more.
    pub fn take(&self, now: Nanos) -> Option<Nanos> {
        if self.stopped.load(Ordering::Relaxed) || self.end.is_some_and(|end| now >= end) {
            return None;
        }
        let release = self.releases.lock().unwrap_or_else(PoisonError::into_inner).next()?;
        let due = match release {
            Release::Now => now,
            Release::At(due) => due,
        };
        if self.end.is_some_and(|end| due >= end) {
            return None;
        }
        self.taken.fetch_add(1, Ordering::Relaxed);
        Some(due)
    }

    /// Gives a release back that was taken and will not be used, because its time will not come.
    pub fn give_back(&self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }

    /// Takes what nobody took: the due times before `until` that are left. They fell due and were never sent.
    pub fn rest(&self, until: Nanos) -> impl Iterator<Item = Nanos> {
        let mut releases = self.releases.lock().unwrap_or_else(PoisonError::into_inner);
        let left = std::mem::replace(&mut *releases, Box::new(iter::empty()));
        left.map_while(move |release| match release {
            Release::At(due) if due < until => Some(due),
            Release::At(_) | Release::Now => None,
        })
    }

    /// Releases nothing more.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// How many releases were taken.
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_requests_is_take() {
        let schedule = Schedule::new(closed().take(3), None);
        assert_eq!((5..10).map_while(|now| schedule.take(now)).collect::<Vec<_>>(), [5, 6, 7]);
        assert_eq!(schedule.taken(), 3);
    }

    #[test]
    fn nothing_is_released_at_or_after_the_end() {
        let schedule = Schedule::new(closed(), Some(10));
        assert_eq!(schedule.take(9), Some(9));
        assert_eq!(schedule.take(10), None);
        let open = Schedule::new([Release::At(3), Release::At(12)].into_iter(), Some(10));
        assert_eq!((open.take(0), open.take(0), open.taken()), (Some(3), None, 1));
    }

    #[test]
    fn what_nobody_took_is_left() {
        let open = Schedule::new((1..=5).map(|i| Release::At(i * 10)), None);
        assert_eq!(open.take(0), Some(10));
        open.give_back();
        assert_eq!(open.taken(), 0);
        assert_eq!(open.rest(45).collect::<Vec<_>>(), [20, 30, 40]);
        assert_eq!(open.take(100), None);
        assert_eq!(Schedule::new(closed(), None).rest(100).count(), 0, "the closed model owes nothing");
    }

    #[test]
    fn a_stopped_schedule_stays_stopped() {
        let schedule = Schedule::new(closed(), None);
        schedule.stop();
        assert_eq!(schedule.take(0), None);
    }
}
