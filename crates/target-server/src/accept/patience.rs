//! How long is a client waited for?

use std::time::Duration;

use super::line::{Moment, Phase};

/// How long a connection may stay as it is. Zero is for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Patience {
    /// From the first byte of a request's head to its last.
    pub header: Duration,
    /// Without a byte from or to the client, while we wait for it.
    pub idle: Duration,
    /// From the last byte of a request's head to the head of its answer.
    pub request: Duration,
}

/// What the client has kept us waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Any request.
    Idle,
    /// The rest of a request's head.
    Head,
    /// A request took too long: the client with its body, or we with the answer.
    Request,
    /// It does not read its answer.
    Unread,
}

impl Patience {
    /// When it is over, as time since the connection was opened, if the connection stays as it is; and what will be due.
    pub(super) fn end(&self, moment: Moment) -> Option<(Duration, Due)> {
        let limit = |from: Duration, limit: Duration, due| (!limit.is_zero()).then(|| (from + limit, due));
        let Moment { phase, since, active, blocked } = moment;
        match phase {
            Phase::Idle => limit(active, self.idle, Due::Idle),
            Phase::Head => {
                earliest(limit(since, self.header, Due::Head), limit(active, self.idle, Due::Head))
            }
            Phase::Busy => limit(since, self.request, Due::Request),
            Phase::Body => {
                earliest(limit(since, self.request, Due::Request), limit(active, self.idle, Due::Request))
            }
            Phase::Answering | Phase::Flushing if blocked => limit(active, self.idle, Due::Unread),
            Phase::Answering | Phase::Flushing => None,
        }
    }

    /// The shortest of these limits: who looks that often misses the end of none, whatever happens in between. `None` when
    /// there is no limit at all.
    pub(super) fn shortest(&self) -> Option<Duration> {
        [self.header, self.idle, self.request].into_iter().filter(|limit| !limit.is_zero()).min()
    }
}

fn earliest(one: Option<(Duration, Due)>, other: Option<(Duration, Due)>) -> Option<(Duration, Due)> {
    one.into_iter().chain(other).min_by_key(|(end, _)| *end)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn end(patience: Patience, phase: Phase, blocked: bool) -> Option<(u64, Due)> {
        let moment = Moment { phase, since: SECOND, active: SECOND * 5, blocked };
        patience.end(moment).map(|(end, due)| (end.as_secs(), due))
    }

    #[test]
    fn each_phase_has_its_own_end() {
        let patience = Patience { header: SECOND * 10, idle: SECOND * 120, request: SECOND * 30 };
        assert_eq!(end(patience, Phase::Idle, false), Some((125, Due::Idle)));
        assert_eq!(end(patience, Phase::Head, false), Some((11, Due::Head)), "bytes do not renew it");
        assert_eq!(end(patience, Phase::Busy, false), Some((31, Due::Request)));
        assert_eq!(end(patience, Phase::Body, false), Some((31, Due::Request)));
        assert_eq!(end(patience, Phase::Answering, false), None, "we are slow, not the client");
        assert_eq!(end(patience, Phase::Flushing, true), Some((125, Due::Unread)));
        let lazy = Patience { idle: SECOND * 3, ..patience };
        assert_eq!(end(lazy, Phase::Head, false), Some((8, Due::Head)));
        assert_eq!(end(lazy, Phase::Body, false), Some((8, Due::Request)));
        assert_eq!(end(lazy, Phase::Busy, false), Some((31, Due::Request)), "the client waits for us");
        assert_eq!(lazy.shortest(), Some(SECOND * 3));
    }

    #[test]
    fn zero_is_no_limit() {
        for phase in [Phase::Idle, Phase::Head, Phase::Busy, Phase::Body, Phase::Answering] {
            assert_eq!(end(Patience::default(), phase, true), None);
        }
        assert_eq!(Patience::default().shortest(), None);
    }
}
