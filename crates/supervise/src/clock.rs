//! The only reader of a clock here.

use std::time::{Duration, Instant};

/// A moment to count from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment(Instant);

impl Moment {
    pub(crate) fn now() -> Self {
        Self(now())
    }

    /// How long ago it was.
    pub(crate) fn age(self) -> Duration {
        now().saturating_duration_since(self.0)
    }

    /// The moment `patience` after it.
    pub(crate) fn plus(self, patience: Duration) -> Deadline {
        // A patience beyond the clock's end is an endless one.
        Deadline(self.0.checked_add(patience))
    }
}

/// A moment after which waiting is over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    /// The moment `patience` from now.
    pub(crate) fn after(patience: Duration) -> Self {
        Moment::now().plus(patience)
    }

    /// What is left of the patience; `None` once it is over.
    pub(crate) fn left(self) -> Option<Duration> {
        let Some(end) = self.0 else { return Some(Duration::MAX) };
        end.checked_duration_since(now()).filter(|left| !left.is_zero())
    }

    pub(crate) fn over(self) -> bool {
        self.left().is_none()
    }
}

#[expect(clippy::disallowed_methods, reason = "the clock of this crate, which cannot see loadgen's")]
fn now() -> Instant {
    Instant::now()
}
