//! Which runs belong together, where two things were held against each other?

use serde::{Deserialize, Serialize};

/// The place of a run in a comparison of two arms (`loadgen versus`): what the machine did meanwhile is common to the runs of a
/// block, which is why they are pairs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// The comparison: unique among those of one machine.
    pub batch: String,
    /// Which of its blocks, from 1.
    pub number: u64,
    /// Which of the two it was.
    pub arm: Arm,
}

/// One of two things that are held against each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arm {
    /// The base.
    A,
    /// What is held against it.
    B,
}

impl Arm {
    /// What a person calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
        }
    }
}
