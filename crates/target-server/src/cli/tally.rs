//! What did all instances do together?

use std::num::NonZeroU16;

use serde::Serialize;
use supervise::{Exit, Reason, Status};

use crate::stats::Counts;

/// What the processes that have ended did, restarted and replaced ones included.
#[derive(Debug)]
pub(super) struct Tally {
    instances: Vec<Option<Counts>>,
    processes: u64,
    untold: u64,
    clean: bool,
}

/// The same, as it is printed.
#[derive(Debug, Serialize)]
pub(super) struct Totals<'a> {
    #[serde(flatten)]
    together: Counts,
    /// What each instance did, in the order of their numbers: the sum of its processes, as far as they told. Null when none
    /// did.
    instances: &'a [Option<Counts>],
    /// How many processes served.
    processes: u64,
    /// Of these, how many ended without telling what they did, mostly because they were killed.
    untold: u64,
}

impl Tally {
    pub(super) fn new(instances: NonZeroU16) -> Self {
        Self { instances: vec![None; usize::from(instances.get())], processes: 0, untold: 0, clean: true }
    }

    /// Adds what an ended process told; false when it told nothing.
    pub(super) fn add(&mut self, exit: &Exit) -> bool {
        if !exit.was_ready {
            return false;
        }
        let counts = exit.stdout.lines().last().and_then(told);
        self.processes += 1;
        self.untold += u64::from(counts.is_none());
        self.clean &= clean(exit);
        if let Some(counts) = counts
            && let Some(sum) = self.instances.get_mut(usize::from(exit.instance) - 1)
        {
            *sum = Some(sum.unwrap_or_default() + counts);
        }
        counts.is_some()
    }

    /// Whether every process that served lived until it was asked to end, and ended with everything answered.
    pub(super) fn is_clean(&self) -> bool {
        self.clean
    }

    pub(super) fn totals(&self) -> Totals<'_> {
        let together = self.instances.iter().flatten().fold(Counts::default(), |sum, counts| sum + *counts);
        Totals { together, instances: &self.instances, processes: self.processes, untold: self.untold }
    }
}

/// Whether a process lived until it was asked to end, and obeyed with everything answered.
pub(super) fn clean(exit: &Exit) -> bool {
    exit.status == Status::Code(0) && exit.reason == Reason::Asked
}

/// What an instance says in its last line that it did.
pub(super) fn told(line: &str) -> Option<Counts> {
    serde_json::from_str(line).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(instance: u16, reason: Reason, status: Status, answered: Option<u64>) -> Exit {
        let counts = answered.map(|answered| Counts { answered, ..Counts::default() });
        let stdout = counts.map_or_else(String::new, |counts| serde_json::to_string(&counts).unwrap());
        Exit { instance, pid: 1, status, reason, was_ready: true, stdout, stderr: String::new() }
    }

    #[test]
    fn all_processes_of_an_instance_count() {
        let mut tally = Tally::new(3.try_into().unwrap());
        assert!(tally.add(&exit(1, Reason::Asked, Status::Code(0), Some(5))));
        assert!(tally.add(&exit(1, Reason::Asked, Status::Code(0), Some(7))));
        // A successor that never was ready has served nobody.
        let late = Exit { was_ready: false, ..exit(2, Reason::Late, Status::Signal(9), None) };
        tally.add(&late);
        assert!(tally.is_clean());
        assert!(!tally.add(&exit(2, Reason::Itself, Status::Signal(9), None)));
        assert!(!tally.is_clean());
        let totals = serde_json::to_value(tally.totals()).unwrap();
        assert_eq!(
            (&totals["answered"], &totals["processes"], &totals["untold"]),
            (&12.into(), &3.into(), &1.into())
        );
        assert_eq!(totals["instances"][0]["answered"], 12);
        assert!(totals["instances"][1].is_null() && totals["instances"][2].is_null());
    }

    #[test]
    fn an_end_that_was_not_wanted_is_not_clean() {
        for (reason, status) in [
            (Reason::Itself, Status::Code(0)),
            (Reason::Asked, Status::Code(1)),
            (Reason::Killed, Status::Signal(9)),
        ] {
            assert!(!clean(&exit(1, reason, status, None)));
        }
    }
}
