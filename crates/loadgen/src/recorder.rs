//! What happened in this interval? One recorder per worker: no locks, no clock, no input or output.

use std::collections::BTreeMap;
use std::mem;

use report::document::{Bytes, FailureKind, FailureRecord};
use report::histogram::Histogram;

use crate::clock::{Nanos, SECOND};
use crate::engine::{Failure, Trace};

/// How one request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A complete answer with this status.
    Answered(u16),
    /// No complete answer, for this reason.
    Failed(Failure),
    /// No complete answer within the request timeout.
    TimedOut,
    /// Unfinished when the drain ended.
    Aborted,
}

/// One finished request.
#[derive(Debug)]
pub struct Sample<'a> {
    /// Where its headline latency begins: the turn's start (closed model) or the due time (open model).
    pub begin: Nanos,
    /// When it ended.
    pub end: Nanos,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether it was answered and the answer failed a check.
    pub check_failed: bool,
    /// What is known of its way.
    pub trace: &'a Trace,
}

/// Everything measured in one slice of time, by one worker or, merged, by several.
#[derive(Debug, Clone, Default)]
pub struct Interval {
    /// Seconds since time zero at which the slice begins.
    pub index: u64,
    /// Requests by how they ended.
    pub counts: Counts,
    /// Answers by status.
    pub status: BTreeMap<u16, u64>,
    /// Failures by kind.
    pub failures: BTreeMap<FailureKind, FailureRecord>,
    /// Durations.
    pub latencies: Histograms,
    /// Bytes.
    pub bytes: Bytes,
}

/// Plain counters of an [`Interval`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Answered below 400.
    pub ok: u64,
    /// Answered with 400 or above.
    pub http_error: u64,
    /// Failed.
    pub failed: u64,
    /// Timed out.
    pub timeout: u64,
    /// Aborted.
    pub aborted: u64,
    /// Answered before the end of the window.
    pub answered_in_window: u64,
    /// Of `ok`, those whose answer failed a check.
    pub check_failed: u64,
    /// Connections established.
    pub opened: u64,
    /// Requests over a connection that had carried one before.
    pub reused: u64,
    /// Kept-alive connections found closed and replaced.
    pub reopened: u64,
    /// Redirects followed.
    pub redirects: u64,
}

impl Counts {
    fn merge(&mut self, other: &Self) {
        self.ok += other.ok;
        self.http_error += other.http_error;
        self.failed += other.failed;
        self.timeout += other.timeout;
        self.aborted += other.aborted;
        self.answered_in_window += other.answered_in_window;
        self.check_failed += other.check_failed;
        self.opened += other.opened;
        self.reused += other.reused;
        self.reopened += other.reopened;
        self.redirects += other.redirects;
    }

    /// Requests with a complete answer.
    pub fn answered(&self) -> u64 {
        self.ok + self.http_error
    }

    /// Requests without one.
    pub fn unanswered(&self) -> u64 {
        self.failed + self.timeout + self.aborted
    }
}

/// The live side of [`report::document::Latencies`], where each field is explained.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "each field is documented at its namesake in the document")]
pub struct Histograms {
    pub answered: Histogram,
    pub censored: Histogram,
    pub failed: Histogram,
    pub service: Histogram,
    pub connect: Histogram,
    pub dns: Histogram,
    pub write: Histogram,
    pub wait: Histogram,
    pub read: Histogram,
    pub queue: Histogram,
    pub lag: Histogram,
}

impl Histograms {
    fn pairs<'a>(&'a mut self, other: &'a Self) -> [(&'a mut Histogram, &'a Histogram); 11] {
        [
            (&mut self.answered, &other.answered),
            (&mut self.censored, &other.censored),
            (&mut self.failed, &other.failed),
            (&mut self.service, &other.service),
            (&mut self.connect, &other.connect),
            (&mut self.dns, &other.dns),
            (&mut self.write, &other.write),
            (&mut self.wait, &other.wait),
            (&mut self.read, &other.read),
            (&mut self.queue, &other.queue),
            (&mut self.lag, &other.lag),
        ]
    }

    fn clear(&mut self) {
        for histogram in [
            &mut self.answered,
            &mut self.censored,
            &mut self.failed,
            &mut self.service,
            &mut self.connect,
            &mut self.dns,
            &mut self.write,
            &mut self.wait,
            &mut self.read,
            &mut self.queue,
            &mut self.lag,
        ] {
            histogram.clear();
        }
    }
}

impl Interval {
    /// Adds everything that `other` holds; the index stays.
    pub fn merge(&mut self, other: &Self) {
        self.counts.merge(&other.counts);
        for (status, count) in &other.status {
            *self.status.entry(*status).or_default() += count;
        }
        for (kind, record) in &other.failures {
            match self.failures.get_mut(kind) {
                Some(sum) => sum.merge(record),
                None => drop(self.failures.insert(*kind, record.clone())),
            }
        }
        for (mine, theirs) in self.latencies.pairs(&other.latencies) {
            mine.merge(theirs);
        }
        self.bytes.merge(&other.bytes);
    }

    /// Empties it, keeping the memory of its histograms.
    pub fn clear(&mut self) {
        self.latencies.clear();
        *self = Self { latencies: mem::take(&mut self.latencies), ..Self::default() };
    }

    fn add(&mut self, sample: &Sample<'_>, zero: Nanos, window_end: Option<Nanos>) {
        let Sample { begin, end, outcome, check_failed, trace } = sample;
        let elapsed = end.saturating_sub(*begin);
        match outcome {
            Outcome::Answered(status) => {
                *(if *status < 400 { &mut self.counts.ok } else { &mut self.counts.http_error }) += 1;
                self.counts.answered_in_window +=
                    u64::from(window_end.is_none_or(|window_end| *end < window_end));
                *self.status.entry(*status).or_default() += 1;
                self.counts.check_failed += u64::from(*check_failed && *status < 400);
                self.latencies.answered.record(elapsed);
                let service_begin = trace.service_begin.unwrap_or(trace.first_write);
                self.latencies.service.record(end.saturating_sub(service_begin));
                self.add_phases(trace);
            }
            Outcome::Failed(failure) => {
                self.counts.failed += 1;
                let at = end.saturating_sub(zero);
                let record = self.failures.entry(failure.kind).or_insert_with(|| FailureRecord {
                    count: 0,
                    first_ns: at,
                    last_ns: at,
                    sample: failure.message.clone(),
                });
                record.count += 1;
                record.last_ns = at;
                self.latencies.failed.record(elapsed);
            }
            Outcome::TimedOut => {
                self.counts.timeout += 1;
                self.latencies.censored.record(elapsed);
            }
            Outcome::Aborted => {
                self.counts.aborted += 1;
                self.latencies.censored.record(elapsed);
            }
        }
        if let Some(queue) = trace.queue_ns {
            self.latencies.queue.record(queue);
        }
        if let Some(lag) = trace.lag_ns {
            self.latencies.lag.record(lag);
        }
        self.counts.opened += trace.opened;
        self.counts.reused += u64::from(trace.reused);
        self.counts.reopened += u64::from(trace.reopened);
        self.counts.redirects += trace.redirects;
        self.bytes.written += trace.written;
        self.bytes.head_read += trace.head_read;
        self.bytes.body_read += trace.body_read;
        if !matches!(outcome, Outcome::Answered(_)) {
            self.bytes.unanswered_body_read += trace.body_read;
        }
    }

    fn add_connect(&mut self, trace: &Trace) {
        if let Some(dns) = trace.dns_ns {
            self.latencies.dns.record(dns);
        }
        if let Some(connect) = trace.connect_ns {
            self.latencies.connect.record(connect);
        }
    }

    fn add_phases(&mut self, trace: &Trace) {
        self.add_connect(trace);
        let Phases { write, wait, read } = Phases::of(trace, true);
        let Histograms { write: writes, wait: waits, read: reads, .. } = &mut self.latencies;
        for (histogram, time) in [(writes, write), (waits, wait), (reads, read)] {
            if let Some(time) = time {
                histogram.record(time);
            }
        }
    }
}

/// Where the time of one request went once its connection was there, as far as that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phases {
    /// Writing the request, as far as it was written to its end.
    pub write: Option<Nanos>,
    /// From the last byte written to the first byte read.
    pub wait: Option<Nanos>,
    /// From the first byte read to the last.
    pub read: Option<Nanos>,
}

impl Phases {
    /// Those of a request. An answer may begin before the request is written to its end; then nothing was waited for. Of
    /// one that is whole, a moment that the engine cannot see is taken to be the one before it.
    pub fn of(trace: &Trace, is_answered: bool) -> Self {
        let last_write = trace.last_write.or(is_answered.then_some(trace.first_write));
        let first_read = trace.first_read.or(last_write.filter(|_| is_answered));
        let last_read = trace.last_read.or(first_read.filter(|_| is_answered));
        let between = |from: Option<Nanos>, to: Option<Nanos>| Some(to?.saturating_sub(from?));
        Self {
            write: trace.last_write.map(|last| last.saturating_sub(trace.first_write)),
            wait: between(last_write, first_read),
            read: between(first_read, last_read),
        }
    }
}

/// Fills the current interval and gives it away when its second is over.
#[derive(Debug)]
pub struct Recorder {
    current: Box<Interval>,
    /// When what is measured begins: after a warm-up, or at 0. Intervals and failures are counted from there.
    zero: Nanos,
    /// Answers that end at or after this moment do not count for the rate.
    window_end: Option<Nanos>,
}

impl Recorder {
    /// A recorder of what is measured from the moment `zero` on. `window_end`: the planned end of the window, where
    /// there is one. Both by the clock of the workers, which begins with the warm-up.
    pub fn new(zero: Nanos, window_end: Option<Nanos>) -> Self {
        Self { current: Box::default(), zero, window_end }
    }

    fn second(&self, now: Nanos) -> u64 {
        now.saturating_sub(self.zero) / SECOND
    }

    /// Whether the current interval is over, so that [`Self::turn`] is due.
    pub fn is_over(&self, now: Nanos) -> bool {
        self.second(now) > self.current.index
    }

    /// Gives the current interval away and goes on with `empty` in the second of `now`.
    pub fn turn(&mut self, now: Nanos, mut empty: Box<Interval>) -> Box<Interval> {
        empty.index = self.second(now);
        mem::replace(&mut self.current, empty)
    }

    /// Adds one finished request to the current interval.
    pub fn record(&mut self, sample: &Sample<'_>) {
        self.current.add(sample, self.zero, self.window_end);
    }

    /// Adds a connection that was opened before time zero.
    pub fn record_connection(&mut self, trace: &Trace) {
        self.current.counts.opened += trace.opened;
        self.current.add_connect(trace);
    }

    /// Adds what a request of the warm-up leaves behind: the connections it opened.
    pub fn record_warmup(&mut self, trace: &Trace) {
        self.current.counts.opened += trace.opened;
    }

    /// Ends the window now, earlier than planned.
    pub fn close_window(&mut self, now: Nanos) {
        self.window_end = Some(self.window_end.map_or(now, |end| end.min(now)));
    }

    /// The last interval, at the end.
    pub fn finish(self) -> Box<Interval> {
        self.current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(begin: Nanos, end: Nanos, outcome: Outcome, trace: &Trace) -> Sample<'_> {
        Sample { begin, end, outcome, check_failed: false, trace }
    }

    #[test]
    fn each_outcome_has_its_own_place() {
        let mut recorder = Recorder::new(0, Some(100));
        let trace = Trace {
            first_write: 12,
            last_write: Some(15),
            first_read: Some(40),
            last_read: Some(50),
            connect_ns: Some(2),
            opened: 1,
            written: 7,
            body_read: 9,
            ..Trace::default()
        };
        recorder.record(&sample(10, 50, Outcome::Answered(200), &trace));
        recorder.record(&sample(90, 100, Outcome::Answered(503), &Trace::default()));
        let refused = Failure::new(FailureKind::ConnectRefused, "no");
        recorder.record(&sample(0, 5, Outcome::Failed(refused.clone()), &Trace::default()));
        recorder.record(&sample(0, 8, Outcome::Failed(refused), &Trace::default()));
        recorder.record(&sample(0, 20, Outcome::TimedOut, &Trace::default()));
        recorder.record(&sample(0, 30, Outcome::Aborted, &Trace::default()));
        let interval = recorder.finish();
        let counts = Counts {
            ok: 1,
            http_error: 1,
            failed: 2,
            timeout: 1,
            aborted: 1,
            answered_in_window: 1,
            opened: 1,
            ..Counts::default()
        };
        assert_eq!(interval.counts, counts);
        assert_eq!(interval.status, BTreeMap::from([(200, 1), (503, 1)]));
        let refused = &interval.failures[&FailureKind::ConnectRefused];
        assert_eq!(
            (refused.count, refused.first_ns, refused.last_ns, refused.sample.as_str()),
            (2, 5, 8, "no")
        );
        assert_eq!(interval.latencies.answered.max(), Some(40));
        assert_eq!(
            interval.latencies.service.max(),
            Some(100),
            "a trace without a first write starts at zero"
        );
        assert_eq!(
            (interval.latencies.censored.min(), interval.latencies.censored.max()),
            (Some(20), Some(30))
        );
        assert_eq!((interval.latencies.wait.max(), interval.latencies.read.max()), (Some(25), Some(10)));
        assert_eq!((interval.bytes.written, interval.bytes.body_read), (7, 9));
    }

    #[test]
    fn intervals_turn_by_the_second_and_merge_to_the_whole() {
        let mut recorder = Recorder::new(0, None);
        let trace = Trace::default();
        recorder.record(&sample(0, 10, Outcome::Answered(200), &trace));
        assert!(!recorder.is_over(SECOND - 1));
        assert!(recorder.is_over(SECOND));
        let first = recorder.turn(3 * SECOND, Box::default());
        recorder.record(&sample(0, 3 * SECOND, Outcome::TimedOut, &trace));
        let mut whole = recorder.finish();
        assert_eq!((first.index, whole.index), (0, 3));
        whole.merge(&first);
        assert_eq!((whole.counts.ok, whole.counts.timeout), (1, 1));
        whole.clear();
        assert_eq!(whole.counts, Counts::default());
        assert_eq!(whole.latencies.answered.count(), 0);
    }
}
