//! What is known of the target: each of its processes, and its database.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Usage;

/// One server process of the target.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// Counted from 1.
    pub number: u64,
    /// How it ended, in words: `stopped`, `killed by signal 9 during the run`.
    pub ended: String,
    /// Connections it says it accepted.
    pub accepted: Option<u64>,
    /// Requests it says it answered.
    pub answered: Option<u64>,
    /// Rows it says it committed.
    pub rows: Option<u64>,
    /// CPU time that its own process used since its start, user and system.
    pub cpu_ns: Option<u64>,
    /// What its processes used from time zero until the load was over. Absent where the system does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Box<Usage>>,
    /// What it told of itself at the end of the load, where it has an admin socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Box<Told>>,
}

/// The reverse proxy that stood in front of the instances. [`super::Run::versions`] says what it is, the configuration is among
/// the keys of the plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Front {
    /// How it ended, in words: `stopped`.
    pub ended: String,
    /// CPU time it used since its start, user and system.
    pub cpu_ns: Option<u64>,
    /// What it used from time zero until the load was over. Absent where the system does not tell, and in documents older than
    /// this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Box<Usage>>,
}

/// The ground truth of one instance since its start, a warm-up included: what the generator's figures can be held against.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// Requests whose head was read.
    pub begun: u64,
    /// Requests answered, by status.
    pub by_status: BTreeMap<u16, u64>,
    /// Requests begun and not answered: their clients left, or a fault wanted it so.
    pub unanswered: u64,
    /// Requests that suffered a fault on purpose.
    pub faulted: u64,
    /// The most requests that were under way at once.
    pub in_flight_most: u64,
    /// From the head of a request until its answer was handed over.
    pub service: ToldTime,
    /// Of every row that a thread took up, committed or not: until then.
    pub queue: ToldTime,
    /// Of the same rows: from there until its transaction had the write lock, or gave up waiting for it.
    pub lock: ToldTime,
    /// Of committed rows: from there until that.
    pub commit: ToldTime,
    /// Transactions committed; fewer than rows where several rows share one.
    pub transactions: u64,
    /// How many rows the transactions had, the smallest first; sizes that did not occur are left out. Empty also in documents
    /// older than this field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub batches: Vec<ToldBatches>,
    /// Rows that were not kept, for whatever reason but a full queue. Absent in documents older than this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_rows: Option<u64>,
    /// Rows that found the queue full. Absent in documents older than this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_rows: Option<u64>,
    /// How often the write lock was asked for in vain. Absent where SQLite's own retry does not tell.
    pub busy_retries: Option<u64>,
    /// The longest that the write-ahead log was seen, in bytes. Absent without a database.
    pub wal_bytes_largest: Option<u64>,
    /// Settings read back from its database, by SQLite's names.
    pub pragmas: BTreeMap<String, String>,
}

/// Transactions of about one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToldBatches {
    /// Rows at least.
    pub from: u64,
    /// Rows at most.
    pub to: u64,
    /// How many transactions.
    pub transactions: u64,
}

/// How long something took in one instance, by its own clock. All but the count are absent where there is nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToldTime {
    /// How many values there are.
    pub count: u64,
    /// Their mean.
    pub mean_ns: Option<f64>,
    /// Half of them were at most this long, by nearest rank.
    pub p50_ns: Option<u64>,
    /// 99 percent.
    pub p99_ns: Option<u64>,
    /// 99.9 percent.
    pub p99_9_ns: Option<u64>,
    /// The longest.
    pub max_ns: Option<u64>,
}

/// What the check of the target's database found after the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verification {
    /// Rows the run added to the database.
    pub rows: u64,
    /// Good answers that the generator counted, those of a warm-up included: at least so many rows must be there.
    pub acknowledged: u64,
    /// Requests that the generator sent, those of a warm-up included: at most so many rows may be there.
    pub sent: u64,
    /// Rows that the instances say they committed, all together, without those from before the load. Absent where one of them does not say, or where the database is
    /// not theirs alone, and in documents older than this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed: Option<u64>,
    /// What SQLite's `integrity_check` said; `ok` is good.
    pub integrity: String,
}

impl Verification {
    /// Whether the target kept what it acknowledged, and committed, and nothing it was not sent.
    pub fn holds(&self) -> bool {
        let is_within = self.acknowledged <= self.rows && self.rows <= self.sent;
        is_within && self.committed.is_none_or(|committed| committed == self.rows) && self.integrity == "ok"
    }
}
