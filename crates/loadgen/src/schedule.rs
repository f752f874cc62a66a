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

/// A release that a connection took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// When it is due; in the closed model now.
    pub due: Nanos,
    /// Which release it is, counted from 0, whoever took it. Those of a warm-up are counted for themselves.
    pub number: u64,
    /// Whether it belongs to the warm-up, and is recorded nowhere.
    pub is_warmup: bool,
}

/// The closed model: every free connection may send at once, without end.
pub fn closed() -> impl Iterator<Item = Release> + Send + 'static {
    iter::repeat(Release::Now)
}

/// What the connections of a run share: the next release, and whether there is one.
pub struct Schedule {
    releases: Mutex<Releases>,
    /// Until this moment the releases of the warm-up are given out; what is left of them then never is.
    warmup: Nanos,
    /// Nothing is released at or after this moment.
    end: Option<Nanos>,
    taken: AtomicU64,
    stopped: AtomicBool,
}

/// An iterator of releases, and how many it has given out.
struct Counted {
    releases: Box<dyn Iterator<Item = Release> + Send>,
    given: u64,
}

impl Counted {
    fn new(releases: impl Iterator<Item = Release> + Send + 'static) -> Self {
        Self { releases: Box::new(releases), given: 0 }
    }

    fn next(&mut self) -> Option<(Release, u64)> {
        let release = self.releases.next()?;
        self.given += 1;
        Some((release, self.given - 1))
    }
}

struct Releases {
    warmup: Counted,
    run: Counted,
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
            releases: Mutex::new(Releases {
                warmup: Counted::new(iter::empty()),
                run: Counted::new(releases),
            }),
            warmup: 0,
            end,
            taken: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        }
    }

    /// The same after a warm-up: until the moment `until`, which is time zero of what is measured, these are given out.
    #[must_use]
    pub fn after(self, warmup: impl Iterator<Item = Release> + Send + 'static, until: Nanos) -> Self {
        let releases = self.releases.into_inner().unwrap_or_else(PoisonError::into_inner);
        let releases = Mutex::new(Releases { warmup: Counted::new(warmup), ..releases });
        Self { releases, warmup: until, ..self }
    }

    /// Takes the next release and says when it is due; a closed one is due now. `None` when there are no more.
    pub fn take(&self, now: Nanos) -> Option<Turn> {
        if self.stopped.load(Ordering::Relaxed) || self.end.is_some_and(|end| now >= end) {
            return None;
        }
        let mut releases = self.releases.lock().unwrap_or_else(PoisonError::into_inner);
        let warmup = if now < self.warmup { releases.warmup.next() } else { None };
        let is_warmup = warmup.is_some();
        let (release, number) = warmup.or_else(|| releases.run.next())?;
        drop(releases);
        let due = match release {
            Release::Now => now,
            Release::At(due) => due,
        };
        if self.end.is_some_and(|end| due >= end) {
            return None;
        }
        if !is_warmup {
            self.taken.fetch_add(1, Ordering::Relaxed);
        }
        Some(Turn { due, number, is_warmup })
    }

    /// Gives a release back that was taken and will not be used, because its time will not come.
    pub fn give_back(&self, turn: Turn) {
        if !turn.is_warmup {
            self.taken.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Takes what nobody took: the due times before `until` that are left. They fell due and were never sent.
    pub fn rest(&self, until: Nanos) -> impl Iterator<Item = Nanos> {
        let mut releases = self.releases.lock().unwrap_or_else(PoisonError::into_inner);
        let left = std::mem::replace(&mut releases.run.releases, Box::new(iter::empty()));
        left.map_while(move |release| match release {
            Release::At(due) if due < until => Some(due),
            Release::At(_) | Release::Now => None,
        })
    }

    /// Releases nothing more.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// How many releases were taken, those of a warm-up apart.
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(schedule: &Schedule, now: Nanos) -> Option<Nanos> {
        schedule.take(now).map(|turn| turn.due)
    }

    #[test]
    fn a_number_of_requests_is_take() {
        let schedule = Schedule::new(closed().take(3), None);
        assert_eq!((5..10).map_while(|now| due(&schedule, now)).collect::<Vec<_>>(), [5, 6, 7]);
        assert_eq!(schedule.taken(), 3);
    }

    #[test]
    fn nothing_is_released_at_or_after_the_end() {
        let schedule = Schedule::new(closed(), Some(10));
        assert_eq!(due(&schedule, 9), Some(9));
        assert_eq!(due(&schedule, 10), None);
        let open = Schedule::new([Release::At(3), Release::At(12)].into_iter(), Some(10));
        assert_eq!((due(&open, 0), due(&open, 0), open.taken()), (Some(3), None, 1));
    }

    #[test]
    fn what_nobody_took_is_left() {
        let open = Schedule::new((1..=5).map(|i| Release::At(i * 10)), None);
        let turn = open.take(0).unwrap();
        assert_eq!((turn.due, turn.number), (10, 0));
        open.give_back(turn);
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

    #[test]
    fn releases_are_numbered_and_a_warm_up_has_numbers_of_its_own() {
        let schedule = Schedule::new(closed().take(2), None).after(closed(), 10);
        let turns = [3, 9, 10, 11, 12].map(|now| schedule.take(now));
        let turn = |due, number, is_warmup| Some(Turn { due, number, is_warmup });
        assert_eq!(turns, [turn(3, 0, true), turn(9, 1, true), turn(10, 0, false), turn(11, 1, false), None]);
        assert_eq!(schedule.taken(), 2);
    }

    #[test]
    fn what_is_left_of_a_warm_up_is_never_released() {
        let warmup = (1..=3).map(|i| Release::At(i * 3));
        let schedule = Schedule::new((1..=3).map(|i| Release::At(10 + i)), None).after(warmup, 10);
        assert_eq!((due(&schedule, 0), due(&schedule, 10)), (Some(3), Some(11)));
        let open = Schedule::new([Release::At(12)].into_iter(), None).after([Release::At(3)].into_iter(), 10);
        assert_eq!((due(&open, 0), due(&open, 5), due(&open, 5)), (Some(3), Some(12), None));
    }
}
