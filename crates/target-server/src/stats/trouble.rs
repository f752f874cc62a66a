//! What goes wrong at the moment? Each episode is told when it begins and when it is over, however many it hits.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::clock;
use crate::log::{Event, Level, Log};
use crate::words::counted;

/// For how long all must have been well until an episode is over. Longer than the longest pause in which the same trouble
/// comes back by itself, a failed checkpoint's second.
const CALM: Duration = Duration::from_secs(3);

/// What can go wrong while the server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The database's file or its log was deleted or replaced.
    DatabaseGone,
    /// There is no room on the disk for a transaction.
    DiskFull,
    /// The database cannot be written, for another reason.
    DatabaseFailing,
    /// The database took none of certain rows, as a trigger of somebody else wants it.
    RowRefused,
    /// The write lock was not to be had in time.
    BusyTimeout,
    /// As many rows wait as may.
    QueueFull,
    /// The write-ahead log cannot be moved into the database.
    CheckpointFailing,
    /// Connections cannot be accepted, mostly for want of descriptors.
    AcceptFailing,
    /// As many connections are open as may be.
    LimitReached,
    /// A thread that writes has ended before its time, and with it the store. That is for good.
    StoreClosed,
}

/// How a trouble is told.
struct Words {
    begins: &'static str,
    ends: &'static str,
    level: Level,
    /// What is so when it is over.
    over: &'static str,
    /// What it does to one and to many.
    hit: [&'static str; 2],
}

/// What is never over but with the server.
const STORE_CLOSED: Words = Words {
    begins: "store-closed",
    ends: "store-closed-ended",
    level: Level::Error,
    over: "",
    hit: ["row was not recorded", "rows were not recorded"],
};

impl Trouble {
    const ALL: [Self; 10] = [
        Self::DatabaseGone,
        Self::DiskFull,
        Self::DatabaseFailing,
        Self::RowRefused,
        Self::BusyTimeout,
        Self::QueueFull,
        Self::CheckpointFailing,
        Self::AcceptFailing,
        Self::LimitReached,
        Self::StoreClosed,
    ];

    const fn words(self) -> Words {
        let (begins, ends, level, over, hit) = match self {
            Self::DatabaseGone => (
                "database-gone",
                "database-gone-ended",
                Level::Error,
                "the database is where it was again",
                ["row was not recorded", "rows were not recorded"],
            ),
            Self::DiskFull => (
                "disk-full",
                "disk-full-ended",
                Level::Error,
                "the disk has room again",
                ["row was not recorded", "rows were not recorded"],
            ),
            Self::DatabaseFailing => (
                "database-failing",
                "database-failing-ended",
                Level::Error,
                "the database can be written again",
                ["row was not recorded", "rows were not recorded"],
            ),
            Self::RowRefused => (
                "row-refused",
                "row-refused-ended",
                Level::Warn,
                "the database refuses no row any more",
                ["row was refused", "rows were refused"],
            ),
            Self::BusyTimeout => (
                "busy-timeout",
                "busy-timeout-ended",
                Level::Warn,
                "the database is no longer locked by others",
                ["row was given up", "rows were given up"],
            ),
            Self::QueueFull => (
                "queue-full",
                "queue-full-ended",
                Level::Warn,
                "the queue has room again",
                ["request was answered 503", "requests were answered 503"],
            ),
            Self::CheckpointFailing => (
                "checkpoint-failing",
                "checkpoint-failing-ended",
                Level::Warn,
                "the write-ahead log is moved into the database again",
                ["attempt had failed", "attempts had failed"],
            ),
            Self::AcceptFailing => (
                "accept-failing",
                "accept-failing-ended",
                Level::Error,
                "connections are accepted again",
                ["attempt had failed", "attempts had failed"],
            ),
            Self::LimitReached => (
                "limit-reached",
                "limit-left",
                Level::Warn,
                "the limit of connections is no longer reached",
                ["was turned away", "were turned away"],
            ),
            Self::StoreClosed => return STORE_CLOSED,
        };
        Words { begins, ends, level, over, hit }
    }

    /// Whether silence proves nothing, but only a transaction that was committed.
    const fn needs_proof(self) -> bool {
        matches!(
            self,
            Self::DatabaseGone
                | Self::DiskFull
                | Self::DatabaseFailing
                | Self::RowRefused
                | Self::BusyTimeout
        )
    }

    /// Whether it may concern some rows alone, so that one that fails does not mean that all would.
    const fn is_of_some(self) -> bool {
        matches!(self, Self::RowRefused | Self::BusyTimeout)
    }
}

/// How a trouble showed itself first.
#[derive(Clone, Debug)]
pub struct Cause {
    sentence: String,
    field: Option<(&'static str, Value)>,
}

impl Cause {
    /// Says it in a sentence.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), field: None }
    }

    /// The same with something that machines want to know.
    #[must_use]
    pub fn with(self, name: &'static str, value: impl Into<Value>) -> Self {
        Self { field: Some((name, value.into())), ..self }
    }

    fn event(&self, name: &'static str, sentence: String) -> Event {
        let event = Event::new(name, sentence);
        match &self.field {
            Some((name, value)) => event.with(name, value.clone()),
            None => event,
        }
    }
}

/// A trouble from its beginning to its end.
#[derive(Debug)]
struct Episode {
    cause: Cause,
    begun: Instant,
    last: Instant,
    hits: u64,
    /// A transaction was committed since it hit last.
    proven: bool,
    /// An attempt to commit anything at all has failed since then.
    confirmed: bool,
}

/// All that goes wrong at the moment.
#[derive(Debug)]
pub struct Troubles {
    log: Arc<Log>,
    episodes: Mutex<[Option<Episode>; Trouble::ALL.len()]>,
    /// How many episodes there are that only a committed transaction ends, so that a commit costs nothing while there is none.
    unproven: AtomicUsize,
}

impl Troubles {
    /// Nothing yet, told there.
    pub(super) fn new(log: Arc<Log>) -> Self {
        Self { log, episodes: Mutex::default(), unproven: AtomicUsize::new(0) }
    }

    /// It hit so many; 0 when it is so, but nobody has suffered from it.
    pub(crate) fn hit(&self, trouble: Trouble, count: u64, cause: impl FnOnce() -> Cause) {
        let now = clock::now();
        let mut episodes = self.episodes();
        let slot = &mut episodes[trouble as usize];
        if let Some(episode) = slot {
            episode.hits += count;
            (episode.last, episode.proven) = (now, false);
            return;
        }
        let (cause, words) = (cause(), trouble.words());
        self.log.tell(words.level, cause.event(words.begins, cause.sentence.clone()));
        *slot = Some(Episode { cause, begun: now, last: now, hits: count, proven: false, confirmed: false });
        self.count(&*episodes);
    }

    /// A transaction was committed.
    pub(crate) fn committed(&self) {
        if self.unproven.load(Ordering::Relaxed) == 0 {
            return;
        }
        for (trouble, episode) in Trouble::ALL.iter().zip(&mut *self.episodes()) {
            if let (true, Some(episode)) = (trouble.needs_proof(), episode) {
                (episode.proven, episode.confirmed) = (true, false);
            }
        }
    }

    /// An attempt to commit anything at all has failed, when nothing else was committed meanwhile.
    pub(crate) fn confirmed(&self) {
        self.episodes().iter_mut().flatten().for_each(|episode| episode.confirmed = !episode.proven);
    }

    /// It is still so, although nobody was hit. Begins nothing.
    pub(crate) fn lasts(&self, trouble: Trouble) {
        if let Some(episode) = &mut self.episodes()[trouble as usize] {
            episode.last = clock::now();
        }
    }

    /// Whether it is worth an attempt to commit something.
    pub(crate) fn wants_proof(&self) -> bool {
        let episodes = self.episodes();
        let mut of_store = Trouble::ALL.iter().zip(&*episodes).filter(|(trouble, _)| trouble.needs_proof());
        of_store.any(|(_, episode)| episode.as_ref().is_some_and(|episode| !episode.proven))
    }

    /// Why nothing can be committed now, if nothing can.
    pub(crate) fn hinders(&self) -> Option<String> {
        if self.unproven.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let episodes = self.episodes();
        let mut all = Trouble::ALL.iter().zip(&*episodes).filter(|(trouble, _)| trouble.needs_proof());
        all.find_map(|(trouble, episode)| {
            let episode = episode.as_ref().filter(|episode| !episode.proven)?;
            (episode.confirmed || !trouble.is_of_some()).then(|| episode.cause.sentence.clone())
        })
    }

    /// What there is, by the names of the events that begin it, and whether it goes wrong at the moment.
    pub(crate) fn now(&self) -> impl Iterator<Item = (&'static str, bool)> {
        let is_open: Vec<bool> = self.episodes().iter().map(Option::is_some).collect();
        Trouble::ALL.iter().map(|trouble| trouble.words().begins).zip(is_open)
    }

    /// Ends what has been well for long enough. To be called now and then.
    pub(crate) fn look(&self) {
        let now = clock::now();
        let mut episodes = self.episodes();
        for (trouble, slot) in Trouble::ALL.into_iter().zip(&mut *episodes) {
            if let Some(episode) = slot.take_if(|episode| episode.is_over(trouble, now)) {
                self.tell_end(trouble, &episode, true);
            }
        }
        self.count(&*episodes);
    }

    /// The server ends, and with it whatever still goes wrong.
    pub(crate) fn finish(&self) {
        let now = clock::now();
        let mut episodes = self.episodes();
        for (trouble, slot) in Trouble::ALL.into_iter().zip(&mut *episodes) {
            if let Some(episode) = slot.take() {
                let proven = trouble.needs_proof() && episode.proven;
                self.tell_end(trouble, &episode, proven || episode.is_over(trouble, now));
            }
        }
    }

    fn tell_end(&self, trouble: Trouble, episode: &Episode, well: bool) {
        let Words { ends, level, over, hit: [one, many], .. } = trouble.words();
        let (level, mut sentence) = if well {
            (Level::Info, over.to_owned())
        } else {
            (level, format!("until the server's end: {}", episode.cause.sentence))
        };
        if episode.hits > 0 {
            sentence = format!("{sentence}; {}", counted(episode.hits, one, many));
        }
        let lasted = episode.last.saturating_duration_since(episode.begun);
        let event = episode.cause.event(ends, sentence).with("hit", episode.hits).with("well", well);
        self.log.tell(level, event.with("seconds", (lasted.as_secs_f64() * 1e3).round() / 1e3));
    }

    fn count(&self, episodes: &[Option<Episode>]) {
        let all = Trouble::ALL.iter().zip(episodes);
        let unproven = all.filter(|(trouble, episode)| trouble.needs_proof() && episode.is_some()).count();
        self.unproven.store(unproven, Ordering::Relaxed);
    }

    fn episodes(&self) -> MutexGuard<'_, [Option<Episode>; Trouble::ALL.len()]> {
        self.episodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Episode {
    fn is_over(&self, trouble: Trouble, now: Instant) -> bool {
        let calm = now.saturating_duration_since(self.last) >= CALM;
        calm && (self.proven || !trouble.needs_proof()) && trouble != Trouble::StoreClosed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_is_closed_stays_so() {
        let now = clock::now();
        let cause = Cause::new("");
        let episode = Episode { cause, begun: now, last: now, hits: 0, proven: true, confirmed: false };
        for trouble in Trouble::ALL {
            assert!(!episode.is_over(trouble, now));
            assert_eq!(episode.is_over(trouble, now + CALM), trouble != Trouble::StoreClosed, "{trouble:?}");
        }
    }
}
