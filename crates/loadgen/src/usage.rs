//! What did the processes of the target use meanwhile? A thread of its own looks at `/proc` once a second.
//!
//! The workers never read anything. A look at eight instances of seven threads each takes 1 ms of CPU: a thousandth of one CPU.

mod columns;
mod process;

use std::collections::BTreeMap;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use report::document::Usage;

use self::columns::Columns;
use self::process::Reading;
use crate::clock::{Nanos, RealTimer, SECOND, Timer};

/// The number of what stands in front of the instances, which count from 1.
pub const FRONT: u16 = 0;

/// What each instance used, by its number; what stands in front of them, by [`FRONT`].
pub type Usages = BTreeMap<u16, Usage>;

/// The processes of a target by the numbers of its instances. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Roster(Arc<Mutex<BTreeMap<u16, u32>>>);

impl Roster {
    /// From now on these are there, each by its process id.
    pub fn set(&self, instances: BTreeMap<u16, u32>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = instances;
    }

    fn get(&self) -> BTreeMap<u16, u32> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The watch over the target's processes, from time zero until [`Watch::finish`].
#[derive(Debug)]
pub struct Watch {
    /// Dropped to end the thread. `None` where there is nothing to watch, or there could be no thread.
    thread: Option<(mpsc::Sender<()>, JoinHandle<Usages>)>,
}

impl Watch {
    /// Watches from the moment `zero` on.
    pub fn start(timer: RealTimer, zero: Nanos, roster: &Roster) -> Self {
        if roster.get().is_empty() {
            return Self { thread: None };
        }
        let (stop, stopped) = mpsc::channel::<()>();
        let roster = roster.clone();
        let body = move || watch(timer, zero, &roster, &stopped);
        let thread = thread::Builder::new().name("usage".to_owned()).spawn(body).ok();
        Self { thread: thread.map(|thread| (stop, thread)) }
    }

    /// Ends it with a last look. Gives what each instance used, by its number.
    pub fn finish(self) -> Usages {
        let Some((stop, thread)) = self.thread else { return BTreeMap::new() };
        drop(stop);
        thread.join().unwrap_or_default()
    }
}

/// One instance as it was at the last look.
#[derive(Debug)]
struct Row {
    last: Reading,
    columns: Columns,
}

/// Looks at time zero, at the end of every second after it, and when the other end is dropped.
fn watch(timer: RealTimer, zero: Nanos, roster: &Roster, stopped: &mpsc::Receiver<()>) -> Usages {
    let is_over = |due: Nanos| {
        let left = Duration::from_nanos(due.saturating_sub(timer.now()));
        stopped.recv_timeout(left) != Err(RecvTimeoutError::Timeout)
    };
    if is_over(zero) {
        return BTreeMap::new();
    }
    let began = timer.now();
    let first = roster.get();
    let most_points = Columns::most_points(first.len());
    let row = |pid| {
        let last = Reading::of(pid)?;
        let columns = Columns::new(most_points, last.cpus().as_ref());
        Some(Row { last, columns })
    };
    let mut rows: BTreeMap<u16, Row> =
        first.into_iter().filter_map(|(number, pid)| Some((number, row(pid)?))).collect();
    for second in 0.. {
        let is_over = is_over(zero + (second + 1) * SECOND);
        // What was overslept belongs to the second in which it is found.
        let found = timer.now().saturating_sub(zero).saturating_sub(1) / SECOND;
        let second = if is_over { found.max(second) } else { second };
        look(&mut rows, &roster.get(), second);
        if is_over {
            break;
        }
    }
    let watched_ns = timer.now().saturating_sub(began);
    rows.into_iter().map(|(number, row)| (number, row.columns.into_usage(watched_ns))).collect()
}

/// What was used since the last look goes to that second.
fn look(rows: &mut BTreeMap<u16, Row>, roster: &BTreeMap<u16, u32>, second: u64) {
    for (number, row) in rows {
        // One that is gone has ended; another in its place would be in the roster.
        let Some(now) = roster.get(number).and_then(|&pid| Reading::of(pid)) else { continue };
        row.columns.push(second, &now, &now.used_since(&row.last));
        if now.has_restarted_since(&row.last) {
            row.columns.restarted(second);
        }
        row.last = now;
    }
}

#[cfg(test)]
mod tests;
