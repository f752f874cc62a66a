//! The only reader of a clock here.

use std::time::{Duration, Instant};

/// A moment after which waiting is over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    /// The moment `patience` from now.
    pub(crate) fn after(patience: Duration) -> Self {
        Self(now() + patience)
    }

    /// What is left of the patience; `None` once it is over.
    pub(crate) fn left(self) -> Option<Duration> {
        self.0.checked_duration_since(now()).filter(|left| !left.is_zero())
    }
}

#[expect(clippy::disallowed_methods, reason = "the clock of this crate, which cannot see loadgen's")]
fn now() -> Instant {
    Instant::now()
}
