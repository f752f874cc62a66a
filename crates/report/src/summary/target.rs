//! What the target says of itself, in single numbers over all its instances.

use super::ratio;
use crate::document::{Instance, Told, ToldTime};

/// Where the time of a request went inside the target, on average, by the clocks of its instances.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TargetTimes {
    /// From the head of a request until its answer was handed over.
    pub service: Spent,
    /// Of a row: until a thread took it up.
    pub queue: Spent,
    /// Of a row: from there until its transaction had the write lock.
    pub lock: Spent,
    /// Of a row: from there until it was committed.
    pub commit: Spent,
    /// Rows per transaction. `None` where nothing was committed.
    pub rows_per_transaction: Option<f64>,
    /// Requests that suffered a fault on purpose.
    pub faulted: u64,
}

/// How long something took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Spent {
    /// How many values there are, of all instances.
    pub count: u64,
    /// Their mean, exact. `None` where there is nothing.
    pub mean_ns: Option<f64>,
    /// The 99th percentile of the instance in which it is largest: those of several instances have no common one.
    pub worst_p99_ns: Option<u64>,
    /// The longest of all.
    pub max_ns: Option<u64>,
}

impl TargetTimes {
    /// `None` where no instance told anything.
    pub(super) fn of(instances: &[Instance]) -> Option<Self> {
        let told: Vec<&Told> = instances.iter().filter_map(|instance| instance.told.as_deref()).collect();
        let spent = |time: fn(&Told) -> ToldTime| Spent::of(told.iter().map(|told| time(told)));
        let transactions = told.iter().map(|told| told.transactions).sum();
        let commit = spent(|told| told.commit);
        (!told.is_empty()).then(|| Self {
            service: spent(|told| told.service),
            queue: spent(|told| told.queue),
            lock: spent(|told| told.lock),
            commit,
            rows_per_transaction: ratio(commit.count, transactions),
            faulted: told.iter().map(|told| told.faulted).sum(),
        })
    }
}

impl Spent {
    fn of(times: impl Iterator<Item = ToldTime> + Clone) -> Self {
        let count = times.clone().map(|time| time.count).sum();
        let sum: f64 = times.clone().filter_map(|time| Some(time.mean_ns? * time.count as f64)).sum();
        Self {
            count,
            mean_ns: (count > 0).then(|| sum / count as f64),
            worst_p99_ns: times.clone().filter_map(|time| time.p99_ns).max(),
            max_ns: times.filter_map(|time| time.max_ns).max(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(count: u64, mean_ns: f64, p99_ns: u64) -> Box<Told> {
        let lock = ToldTime { count, mean_ns: Some(mean_ns), p99_ns: Some(p99_ns), ..ToldTime::default() };
        Box::new(Told { lock, commit: lock, transactions: count / 2, ..Told::default() })
    }

    #[test]
    fn means_are_weighted_and_percentiles_are_the_worst() {
        let instance = |told| Instance { told, ..Instance::default() };
        let instances =
            vec![instance(Some(told(300, 1e6, 5))), instance(Some(told(100, 5e6, 9))), instance(None)];
        let times = TargetTimes::of(&instances).unwrap();
        assert_eq!(
            (times.lock.count, times.lock.mean_ns, times.lock.worst_p99_ns),
            (400, Some(2e6), Some(9))
        );
        assert_eq!((times.rows_per_transaction, times.queue.mean_ns), (Some(2.0), None));
        assert_eq!(TargetTimes::of(&[instance(None)]), None);
    }
}
