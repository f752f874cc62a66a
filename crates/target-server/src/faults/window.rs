//! Times at which the whole server says nothing.

use std::time::Duration;

/// A stop of this length, again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hiccup {
    /// How long each lasts.
    pub length: Duration,
    /// From the beginning of one to that of the next, longer than `length`. The first begins after one such time.
    pub period: Duration,
}

/// One stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freeze {
    /// How long it lasts.
    pub length: Duration,
    /// When it begins, from the start of the server, the last reset, or the last change of the faults.
    pub start: Duration,
}

impl Hiccup {
    /// When the one that lasts `since` after the beginning is over.
    pub(super) fn end(self, since: Duration) -> Option<Duration> {
        let number = u32::try_from(since.as_nanos() / self.period.as_nanos().max(1)).unwrap_or(u32::MAX);
        let begun = self.period.saturating_mul(number);
        (number > 0 && since.saturating_sub(begun) < self.length).then(|| begun + self.length)
    }
}

impl Freeze {
    /// When it is over, if it lasts `since` after the beginning.
    pub(super) fn end(self, since: Duration) -> Option<Duration> {
        let end = self.start + self.length;
        (since >= self.start && since < end).then_some(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_hiccup_comes_once_a_period_but_not_at_once() {
        let hiccup = Hiccup { length: 200 * MS, period: 1000 * MS };
        for (at, end) in
            [(0, None), (100, None), (999, None), (1000, Some(1200)), (1199, Some(1200)), (1200, None)]
        {
            assert_eq!(hiccup.end(at * MS), end.map(|end| end * MS), "{at}");
        }
        assert_eq!(hiccup.end(7100 * MS), Some(7200 * MS));
    }

    #[test]
    fn a_freeze_comes_once() {
        let freeze = Freeze { length: 2000 * MS, start: 5000 * MS };
        for (at, end) in [(4999, None), (5000, Some(7000)), (6999, Some(7000)), (7000, None), (12000, None)] {
            assert_eq!(freeze.end(at * MS), end.map(|end| end * MS), "{at}");
        }
    }
}
