//! What only runs have that ask for it: a warm-up, requests by name, checks of answers, answers by a header's value.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::is_zero;
use crate::histogram::Distribution;

/// Load before time zero. Nothing of it is in any other figure but the connections it opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Warmup {
    /// How long it was planned to last.
    pub planned_ns: u64,
    /// How long it lasted, where an interruption cut it short. Absent: as long as planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lasted_ns: Option<u64>,
    /// Requests begun in it, however late they ended.
    pub sent: u64,
    /// Of them, those answered below 400.
    pub ok: u64,
}

/// The requests of one name of a mix.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// The name.
    pub name: String,
    /// Requests begun.
    pub sent: u64,
    /// Answered below 400.
    pub ok: u64,
    /// Answered with 400 or above.
    pub http_error: u64,
    /// Of `ok`, answers that failed a check.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub check_failed: u64,
    /// Failed.
    pub failed: u64,
    /// Timed out.
    pub timeout: u64,
    /// Unfinished when the drain ended.
    pub aborted: u64,
    /// Bytes of the bodies of its answers, undecoded.
    pub body_read: u64,
    /// Latency of its answered requests, counted as in [`super::Latencies::answered`].
    pub answered: Distribution,
    /// Those that timed out or were aborted, at the time they had waited.
    #[serde(default, skip_serializing_if = "Distribution::is_empty")]
    pub censored: Distribution,
}

impl Named {
    /// Everything that was not a good answer.
    pub fn errors(&self) -> u64 {
        self.http_error + self.check_failed + self.failed + self.timeout + self.aborted
    }
}

/// What one check of the answers found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckRecord {
    /// The check, as it was written.
    pub check: String,
    /// Answers that failed it, whatever their status.
    pub failed: u64,
    /// The first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<CheckExample>,
}

impl CheckRecord {
    /// The most examples of one check that a document holds.
    pub const EXAMPLES: usize = 3;
}

/// An answer that failed a check.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckExample {
    /// When the answer was complete.
    pub at_ns: u64,
    /// Method and URL of the request, a password as `***`.
    pub request: String,
    /// Why it failed, in words.
    pub reason: String,
    /// Head of the answer, cookies as `***`. As it came otherwise: it may hold any character.
    pub head: String,
    /// The first bytes of its body, at most [`CheckExample::BODY`]. What is not UTF-8 is replaced.
    pub body: String,
    /// Bytes of the whole body.
    pub body_bytes: u64,
}

impl CheckExample {
    /// The most bytes of an example's body.
    pub const BODY: usize = 4 * 1024;
}

/// Answers by the value of one header field.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderValues {
    /// The field's name, as it was given.
    pub header: String,
    /// Answers by its value. A field that comes several times is one value, joined with commas.
    pub values: BTreeMap<String, u64>,
    /// Answers without it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub none: u64,
    /// Answers with further values, when there were more than [`HeaderValues::LIMIT`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub other: u64,
}

impl HeaderValues {
    /// The most different values that are told apart.
    pub const LIMIT: usize = 100;

    /// All answers.
    pub fn total(&self) -> u64 {
        self.values.values().sum::<u64>() + self.none + self.other
    }

    /// Values with their counts, the most frequent first; `(none)` and `other` among them.
    pub fn rows(&self) -> Vec<(&str, u64)> {
        let values = self.values.iter().map(|(value, count)| (value.as_str(), *count));
        let mut rows: Vec<_> =
            values.chain([("(none)", self.none), ("other", self.other)]).filter(|row| row.1 > 0).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.1));
        rows
    }
}

/// What was asserted of the run, and whether it held.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssertionRecord {
    /// As it was written: `p99 < 400ms`.
    pub assertion: String,
    /// What the figure was, for a person: `113.4 ms`; or why it is not known, or was not judged.
    pub measured: String,
    /// Whether it held. What was not judged holds.
    pub holds: bool,
    /// Whether it was not judged, because it was written for another duration.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
}
