//! What is told of every single request, when somebody wants to know? Nothing here runs otherwise.
//!
//! Workers never wait for whoever writes: they hand rows over in batches, and when too many wait to be written, further
//! ones are counted as lost.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use report::document::FailureKind;

use crate::clock::Nanos;
use crate::recorder::{Outcome, Phases, Sample};

/// Rows that may wait to be written, about 80 MB of them: three seconds and more of what two cores can send.
pub const MOST_ROWS: u64 = 500_000;
/// Lines of the interval log that may wait to be written: an hour of them.
pub const MOST_LINES: u64 = 4 * 3600;
/// So many rows a worker hands over at once.
const BATCH: usize = 256;

/// One request, however it ended. Times are nanoseconds since time zero, or lengths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Where its headline latency begins: the turn's start (closed model) or the due time (open model).
    pub begin: Nanos,
    /// When a connection took it.
    pub start: Nanos,
    /// When it ended.
    pub end: Nanos,
    /// Looking up the name, where that was needed.
    pub dns: Option<Nanos>,
    /// Establishing the connection, look-up and TLS included, where that was needed.
    pub connect: Option<Nanos>,
    /// Writing the request, as far as it was written to its end.
    pub write: Option<Nanos>,
    /// From the last byte written to the first byte read, where one was.
    pub wait: Option<Nanos>,
    /// From the first byte read to the last, where the answer is whole.
    pub read: Option<Nanos>,
    /// How it ended.
    pub ending: Ending,
    /// Bytes written.
    pub written: u64,
    /// Bytes read of the answer's head and framing.
    pub head_read: u64,
    /// Bytes read of the answer's body.
    pub body_read: u64,
    /// Redirects followed.
    pub redirects: u64,
    /// Whether its connection had carried a request before.
    pub reused: bool,
    /// The worker that sent it, from 0.
    pub worker: usize,
    /// The connection slot of that worker, from 0.
    pub slot: usize,
}

/// How a request ended, without words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// A complete answer with this status.
    Answered(u16),
    /// No complete answer, for this reason.
    Failed(FailureKind),
    /// No complete answer within the request timeout.
    TimedOut,
    /// Unfinished when the drain ended.
    Aborted,
}

impl Row {
    /// The row of a finished request. `place`: worker and slot. `start`: when a connection took it.
    pub fn of(sample: &Sample<'_>, start: Nanos, (worker, slot): (usize, usize)) -> Self {
        let trace = sample.trace;
        let ending = match &sample.outcome {
            Outcome::Answered(status) => Ending::Answered(*status),
            Outcome::Failed(failure) => Ending::Failed(failure.kind),
            Outcome::TimedOut => Ending::TimedOut,
            Outcome::Aborted => Ending::Aborted,
        };
        let Phases { write, wait, read } = Phases::of(trace, matches!(ending, Ending::Answered(_)));
        Self {
            begin: sample.begin,
            start,
            end: sample.end,
            dns: trace.dns_ns,
            connect: trace.connect_ns,
            write,
            wait,
            read,
            ending,
            written: trace.written,
            head_read: trace.head_read,
            body_read: trace.body_read,
            redirects: trace.redirects,
            reused: trace.reused,
            worker,
            slot,
        }
    }
}

/// How much waits to be written, and how much never will be.
#[derive(Debug, Default)]
struct Gauge {
    waiting: AtomicU64,
    lost: AtomicU64,
}

impl Gauge {
    /// Lets `number` more wait, or counts them as lost.
    fn admits(&self, number: u64, most: u64) -> bool {
        let before = self.waiting.fetch_add(number, Ordering::Relaxed);
        if before + number > most {
            self.waiting.fetch_sub(number, Ordering::Relaxed);
            self.lost.fetch_add(number, Ordering::Relaxed);
            return false;
        }
        true
    }
}

/// What goes to whoever writes.
#[derive(Debug)]
enum Told {
    Rows { worker: usize, rows: Vec<Row>, reached: Option<Nanos> },
    Lines(String),
    End,
}

/// Where rows and lines go in. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Feed {
    sender: mpsc::Sender<Told>,
    rows: Arc<Gauge>,
    lines: Arc<Gauge>,
}

impl Feed {
    /// A feed for so many workers, and where its contents come out.
    pub fn new(workers: usize) -> (Self, Inbox) {
        let (sender, told) = mpsc::channel();
        let feed = Self { sender, rows: Arc::default(), lines: Arc::default() };
        let merge = Merge { reached: vec![Some(0); workers], waiting: Vec::new() };
        let inbox = Inbox { told, rows: Arc::clone(&feed.rows), lines: Arc::clone(&feed.lines), merge };
        (feed, inbox)
    }

    /// Tells lines of text, all of one second.
    pub fn lines(&self, lines: String) {
        let number = lines.lines().count() as u64;
        if number > 0 && self.lines.admits(number, MOST_LINES) {
            // Whoever writes may be gone already, and says so himself.
            let _ = self.sender.send(Told::Lines(lines));
        }
    }

    /// Nothing more is told. The workers must be done.
    pub fn end(&self) {
        let _ = self.sender.send(Told::End);
    }

    /// Rows and lines that were lost because too many waited to be written.
    pub fn lost(&self) -> (u64, u64) {
        (self.rows.lost.load(Ordering::Relaxed), self.lines.lost.load(Ordering::Relaxed))
    }
}

/// The rows of one worker on their way to the feed.
#[derive(Debug)]
pub struct Batch {
    feed: Feed,
    worker: usize,
    /// Where time zero lies on the worker's clock: all that is told counts from it.
    zero: Nanos,
    rows: RefCell<Vec<Row>>,
}

impl Batch {
    /// That of a worker, with nothing in it. `zero`: where time zero lies on its clock, after the warm-up.
    pub fn new(feed: Feed, worker: usize, zero: Nanos) -> Self {
        Self { feed, worker, zero, rows: RefCell::default() }
    }

    /// Adds a request that ended just now.
    pub fn push(&self, sample: &Sample<'_>, start: Nanos, slot: usize) {
        let is_full = {
            let mut rows = self.rows.borrow_mut();
            if rows.capacity() == 0 {
                rows.reserve_exact(BATCH);
            }
            let zero = self.zero;
            let begin = sample.begin.saturating_sub(zero);
            let end = sample.end.saturating_sub(zero);
            let row = Row::of(sample, start.saturating_sub(zero), (self.worker, slot));
            rows.push(Row { begin, end, ..row });
            rows.len() >= BATCH
        };
        if is_full {
            self.hand_over(Some(sample.end.saturating_sub(self.zero)));
        }
    }

    /// Nothing that ended before `now` follows.
    pub fn turn(&self, now: Nanos) {
        self.hand_over(Some(now.saturating_sub(self.zero)));
    }

    /// Nothing follows.
    pub fn finish(&self) {
        self.hand_over(None);
    }

    fn hand_over(&self, reached: Option<Nanos>) {
        let mut rows = self.rows.take();
        if !self.feed.rows.admits(rows.len() as u64, MOST_ROWS) {
            rows = Vec::new();
        }
        let _ = self.feed.sender.send(Told::Rows { worker: self.worker, rows, reached });
    }
}

/// Where rows come out in the order in which the requests ended, whichever worker sent them.
#[derive(Debug)]
pub struct Inbox {
    told: mpsc::Receiver<Told>,
    rows: Arc<Gauge>,
    lines: Arc<Gauge>,
    merge: Merge,
}

/// What comes out.
#[derive(Debug)]
pub enum Piece {
    /// Rows, at least one, in the order in which the requests ended.
    Rows(Vec<Row>),
    /// Whole lines of the interval log.
    Lines(String),
}

impl Inbox {
    /// Hands everything that is told to `write`, as soon as its place is certain. Says whether that ended with
    /// [`Feed::end`], or because everybody who could tell something is gone.
    pub fn drain(mut self, mut write: impl FnMut(&Piece)) -> bool {
        let mut is_whole = false;
        while let Ok(told) = self.told.recv() {
            match told {
                Told::Rows { worker, rows, reached } => {
                    let ready = self.merge.take(worker, rows, reached);
                    self.pass(ready, &mut write);
                }
                Told::Lines(lines) => {
                    let number = lines.lines().count() as u64;
                    write(&Piece::Lines(lines));
                    self.lines.waiting.fetch_sub(number, Ordering::Relaxed);
                }
                Told::End => {
                    is_whole = true;
                    break;
                }
            }
        }
        let rest = self.merge.rest();
        self.pass(rest, &mut write);
        is_whole
    }

    fn pass(&self, rows: Vec<Row>, write: &mut impl FnMut(&Piece)) {
        let number = rows.len() as u64;
        if number > 0 {
            write(&Piece::Rows(rows));
            self.rows.waiting.fetch_sub(number, Ordering::Relaxed);
        }
    }
}

/// From the rows of each worker to those of all. Each worker tells its rows in order, and how far it has come.
#[derive(Debug)]
struct Merge {
    /// How far each has come. `None`: it is done.
    reached: Vec<Option<Nanos>>,
    waiting: Vec<Row>,
}

impl Merge {
    /// What can be told now: everything that ended before the moment that all workers have reached.
    fn take(&mut self, worker: usize, rows: Vec<Row>, reached: Option<Nanos>) -> Vec<Row> {
        let before = self.floor();
        self.waiting.extend(rows);
        if let Some(mine) = self.reached.get_mut(worker) {
            *mine = reached;
        }
        let floor = self.floor();
        if floor == before {
            return Vec::new();
        }
        // A few sorted runs one after the other, which this sort merges.
        self.waiting.sort_by_key(|row| row.end);
        let ready = self.waiting.partition_point(|row| row.end < floor);
        self.waiting.drain(..ready).collect()
    }

    fn rest(&mut self) -> Vec<Row> {
        self.waiting.sort_by_key(|row| row.end);
        std::mem::take(&mut self.waiting)
    }

    fn floor(&self) -> Nanos {
        self.reached.iter().map(|reached| reached.unwrap_or(Nanos::MAX)).min().unwrap_or(Nanos::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Failure, Trace};

    fn told(feed: &Feed, worker: usize, ends: &[Nanos], reached: Option<Nanos>) {
        let trace = Trace::default();
        let batch = Batch::new(feed.clone(), worker, 0);
        for &end in ends {
            let sample =
                Sample { begin: 0, end, outcome: Outcome::TimedOut, check_failed: false, trace: &trace };
            batch.push(&sample, 0, 0);
        }
        batch.hand_over(reached);
    }

    fn pieces(feed: Feed, inbox: Inbox) -> Vec<Vec<Nanos>> {
        feed.end();
        drop(feed);
        let mut pieces = Vec::new();
        let is_whole = inbox.drain(|piece| {
            if let Piece::Rows(rows) = piece {
                pieces.push(rows.iter().map(|row| row.end).collect());
            }
        });
        assert!(is_whole);
        pieces
    }

    #[test]
    fn rows_come_out_in_the_order_of_their_ends_as_soon_as_that_is_certain() {
        let (feed, inbox) = Feed::new(2);
        told(&feed, 0, &[10, 30], Some(30));
        // The other worker has said nothing: it may still tell of something earlier.
        told(&feed, 1, &[5, 20], Some(25));
        told(&feed, 1, &[40], None);
        told(&feed, 0, &[50], Some(60));
        told(&feed, 0, &[70], Some(70));
        assert_eq!(pieces(feed, inbox), [vec![5, 10, 20], vec![30, 40, 50], vec![70]]);
    }

    #[test]
    fn what_too_many_wait_for_is_counted_as_lost() {
        let (feed, inbox) = Feed::new(1);
        feed.rows.waiting.store(MOST_ROWS - 1, Ordering::Relaxed);
        told(&feed, 0, &[1, 2], Some(2));
        told(&feed, 0, &[3], Some(3));
        feed.lines.waiting.store(MOST_LINES, Ordering::Relaxed);
        feed.lines("a\nb\n".to_owned());
        assert_eq!(feed.lost(), (2, 2));
        assert_eq!(pieces(feed, inbox), [[3]]);
    }

    #[test]
    fn a_row_holds_what_is_known() {
        let trace = Trace {
            dns_ns: Some(1),
            connect_ns: Some(9),
            first_write: 12,
            last_write: Some(15),
            first_read: Some(40),
            last_read: Some(50),
            written: 7,
            head_read: 3,
            body_read: 5,
            opened: 1,
            ..Trace::default()
        };
        let row = |outcome, trace| {
            Row::of(&Sample { begin: 2, end: 51, outcome, check_failed: false, trace }, 3, (1, 4))
        };
        let answered = row(Outcome::Answered(200), &trace);
        assert_eq!((answered.begin, answered.start, answered.end), (2, 3, 51));
        assert_eq!((answered.dns, answered.connect), (Some(1), Some(9)));
        assert_eq!((answered.write, answered.wait, answered.read), (Some(3), Some(25), Some(10)));
        assert_eq!((answered.written, answered.head_read, answered.body_read), (7, 3, 5));
        assert_eq!((answered.worker, answered.slot, answered.ending), (1, 4, Ending::Answered(200)));
        // In the middle of the answer, while waiting for it, and before anything was written.
        let cut = Trace { last_read: None, ..trace.clone() };
        let cut = row(Outcome::Aborted, &cut);
        assert_eq!((cut.write, cut.wait, cut.read), (Some(3), Some(25), None));
        let silent = Trace { first_read: None, last_read: None, ..trace };
        let silent = row(Outcome::TimedOut, &silent);
        assert_eq!((silent.write, silent.wait, silent.read), (Some(3), None, None));
        let refused = Failure::new(FailureKind::ConnectRefused, "no");
        let nothing = Trace::default();
        let refused = row(Outcome::Failed(refused), &nothing);
        assert_eq!((refused.connect, refused.write, refused.wait, refused.read), (None, None, None, None));
        // An engine that sees neither the end of writing nor of reading.
        let blind = Trace { first_write: 12, first_read: Some(20), ..Trace::default() };
        let blind = row(Outcome::Answered(200), &blind);
        assert_eq!((blind.write, blind.wait, blind.read), (None, Some(8), Some(0)));
    }
}
