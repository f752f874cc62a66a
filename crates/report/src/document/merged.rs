//! What several generators measured of one target at the same time.

use serde::{Deserialize, Serialize};

use crate::verdict::Verdict;

/// The generators of a merged document. Everything else in it is what their runs come to together; what cannot be merged, such as
/// a second's percentiles and the health of a generator, is absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Merged {
    /// How long all of them were at work at the same time, by the clocks of their machines.
    pub common_ns: u64,
    /// One entry for each, in the order of their start.
    pub parts: Vec<Part>,
}

/// The run of one of several generators.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Its document.
    pub id: String,
    /// The label of its machine.
    pub machine: String,
    /// When it began, RFC 3339 in UTC.
    pub started_at: String,
    /// Requests answered in those intervals of its series that lie wholly in the time common to all.
    pub answered: u64,
    /// Length of these intervals.
    pub over_ns: u64,
    /// What its own document says of its generator: its health is not in this one.
    pub verdict: Verdict,
    /// Why, in clauses. Empty where nothing speaks against it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

impl Merged {
    /// Answers per second while all were at work: the sum of their rates. `None` where one of them has no whole interval in that
    /// time.
    pub fn rate(&self) -> Option<f64> {
        let rate = |part: &Part| (part.over_ns > 0).then(|| part.answered as f64 * 1e9 / part.over_ns as f64);
        self.parts.iter().map(rate).sum()
    }
}
