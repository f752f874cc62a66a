//! How fit was the machine for measuring?

use serde::{Deserialize, Serialize};

/// What the generator's machine was like around the load, a warm-up included. What the system does not tell is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conditions {
    /// What decides on the clock of the CPUs that the generator may use (`scaling_governor`), each name once, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub governors: Vec<String>,
    /// Whether CPUs may run faster than their nominal clock, as long as they are cool enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turbo: Option<bool>,
    /// Load average of the last minute before, in thousandths. Runs just before it are in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_milli: Option<u64>,
    /// Swap space in use before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swap_used_bytes: Option<u64>,
    /// Read from and written to swap space meanwhile, by whichever program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swapped_bytes: Option<u64>,
    /// How often a CPU was slowed down meanwhile because it was too hot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hot: Option<u64>,
}
