//! What does the store know of itself?

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::queue::lock;

/// What the store of one instance did since its start or the last reset, and how its connections are set up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// `none`, `pool` or `group`, as it is typed.
    pub store: String,
    /// Rows committed by this instance.
    pub rows: u64,
    /// Rows that were not kept, for whatever reason but a full queue.
    pub failed: u64,
    /// Rows that found the queue full.
    pub refused: u64,
    /// Transactions committed by this instance.
    pub transactions: u64,
    /// How many rows these had, by powers of two, the smallest first; sizes that did not occur are left out.
    pub batches: Vec<Batches>,
    /// Rows that wait for a thread now.
    pub queue: usize,
    /// The most that waited.
    pub queue_longest: usize,
    /// How many may wait. Absent: without a bound.
    pub queue_max: Option<usize>,
    /// How often the write lock was asked for in vain. Absent where SQLite's own retry does not tell.
    pub busy_retries: Option<u64>,
    /// Checkpoints made by this instance. Absent where SQLite makes them within commits and does not tell.
    pub checkpoints: Option<u64>,
    /// Background checkpoints that failed; as busy mostly because somebody read for so long that the write-ahead log could
    /// not begin anew, and so grew beyond its bound. Absent as the above.
    pub checkpoints_failed: Option<u64>,
    /// Why the last of them failed. Absent when none did.
    pub checkpoint_error: Option<String>,
    /// Length of the write-ahead log's file in bytes. SQLite uses it again from the start instead of shortening it.
    /// Absent without a database, or when the file is gone.
    pub wal_bytes: Option<u64>,
    /// The largest such length that was seen whenever figures were asked for. As nothing shortens the file while it is used,
    /// one look at the end sees the largest.
    pub wal_bytes_largest: u64,
    /// Version of SQLite. Absent without a database, as are the following.
    pub sqlite: Option<String>,
    /// Whether ids come from `AUTOINCREMENT`, as the table really is.
    pub autoincrement: Option<bool>,
    /// Settings read back from a connection that writes, by their names and as SQLite spells them. With a fixed pause
    /// between attempts `busy_timeout` is 0 there, because SQLite's own is not used.
    pub pragmas: BTreeMap<String, serde_json::Value>,
}

/// Transactions of about one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batches {
    /// Rows at least: a power of two.
    pub from: u64,
    /// Rows at most.
    pub to: u64,
    /// How many transactions.
    pub transactions: u64,
}

/// Powers of two up to the largest batch that can be typed.
const SIZES: usize = 17;

/// Counters of one store, shared by its threads.
#[derive(Debug, Default)]
pub(super) struct Counters {
    committed: Mutex<Committed>,
    failed: AtomicU64,
    refused: AtomicU64,
    wal_largest: AtomicU64,
    checkpoints: AtomicU64,
    checkpoints_failed: AtomicU64,
    checkpoint_error: Mutex<Option<String>>,
}

/// Rows and transactions belong together, also when a reset comes between two of them.
#[derive(Clone, Copy, Debug, Default)]
struct Committed {
    rows: u64,
    batches: [u64; SIZES],
}

impl Counters {
    pub(super) fn committed(&self, rows: usize) {
        let mut committed = lock(&self.committed);
        committed.rows += rows as u64;
        if let Some(size) = rows.checked_ilog2() {
            committed.batches[(size as usize).min(SIZES - 1)] += 1;
        }
    }

    pub(super) fn failed(&self, rows: usize) {
        self.failed.fetch_add(rows as u64, Ordering::Relaxed);
    }

    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn wal_seen(&self, bytes: u64) {
        self.wal_largest.fetch_max(bytes, Ordering::Relaxed);
    }

    pub(super) fn checkpoint(&self) {
        self.checkpoints.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn checkpoint_failed(&self, error: &rusqlite::Error) {
        self.checkpoints_failed.fetch_add(1, Ordering::Relaxed);
        *lock(&self.checkpoint_error) = Some(error.to_string());
    }

    pub(super) fn reset(&self) {
        let Self {
            committed,
            failed,
            refused,
            wal_largest,
            checkpoints,
            checkpoints_failed,
            checkpoint_error,
        } = self;
        *lock(committed) = Committed::default();
        for counter in [failed, refused, wal_largest, checkpoints, checkpoints_failed] {
            counter.store(0, Ordering::Relaxed);
        }
        *lock(checkpoint_error) = None;
    }

    /// What is counted here, and nothing else.
    pub(super) fn figures(&self) -> Figures {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Committed { rows, batches: transactions } = *lock(&self.committed);
        let batches = (0..)
            .zip(&transactions)
            .filter(|(_, count)| **count > 0)
            .map(|(power, &transactions)| Batches { from: 1 << power, to: (2 << power) - 1, transactions });
        Figures {
            rows,
            failed: load(&self.failed),
            refused: load(&self.refused),
            transactions: transactions.iter().sum(),
            batches: batches.collect(),
            checkpoints: Some(load(&self.checkpoints)),
            checkpoints_failed: Some(load(&self.checkpoints_failed)),
            checkpoint_error: lock(&self.checkpoint_error).clone(),
            wal_bytes_largest: load(&self.wal_largest),
            ..Figures::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_told_apart_by_powers_of_two() {
        let counters = Counters::default();
        for rows in [1, 1, 2, 3, 4, 1023, 1024, 65_536, 100_000] {
            counters.committed(rows);
        }
        let figures = counters.figures();
        let told: Vec<_> =
            figures.batches.iter().map(|batches| (batches.from, batches.to, batches.transactions)).collect();
        assert_eq!(
            told,
            [(1, 1, 2), (2, 3, 2), (4, 7, 1), (512, 1023, 1), (1024, 2047, 1), (65_536, 131_071, 2)]
        );
        assert_eq!((figures.transactions, figures.rows), (9, 167_594));
    }
}
