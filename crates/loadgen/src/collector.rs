//! How do the intervals of many workers become one run? Totals, series and live display are folds over them.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::SystemTime;

use report::document::Series;
use report::histogram::{Distribution, Histogram, Percentile};

use crate::clock::{Nanos, SECOND};
use crate::recorder::Interval;
use crate::tally::Tally;
use crate::worker::{Message, SlotReport};

/// Collects what the workers measure.
#[derive(Debug)]
pub struct Collector {
    /// Everything so far.
    pub total: Interval,
    /// By name, by check and by header value; whole when every worker is done.
    pub tally: Tally,
    /// The wall clock at time zero: after the warm-up, where there is one.
    pub started: SystemTime,
    /// What each worker did, once it is done.
    pub workers: Vec<WorkerTotals>,
    series: SeriesBuilder,
    /// Intervals that not every worker has handed over yet, by index.
    pending: BTreeMap<u64, Interval>,
    /// How far each worker has come: the first index that it has not handed over. `None`: it is done.
    reached: Vec<Option<u64>>,
    emptied: Vec<mpsc::Sender<Box<Interval>>>,
}

/// What one worker did.
#[derive(Debug, Clone, Default)]
pub struct WorkerTotals {
    /// Its slots.
    pub slots: Vec<SlotReport>,
    /// When its last request ended.
    pub last_end: Nanos,
    /// CPU time and time spent waiting for a CPU.
    pub cpu: Option<(u64, u64)>,
}

impl Collector {
    /// One that waits for as many workers as there are channels for emptied intervals.
    pub fn new(emptied: Vec<mpsc::Sender<Box<Interval>>>) -> Self {
        Self {
            total: Interval::default(),
            tally: Tally::default(),
            started: SystemTime::UNIX_EPOCH,
            workers: vec![WorkerTotals::default(); emptied.len()],
            series: SeriesBuilder::default(),
            pending: BTreeMap::new(),
            reached: vec![Some(0); emptied.len()],
            emptied,
        }
    }

    /// Takes one message in. Gives the seconds that are complete by it, oldest first.
    pub fn take(&mut self, message: Message) -> Vec<Interval> {
        match message {
            Message::Interval { worker, mut interval } => {
                self.pending
                    .entry(interval.index)
                    .or_insert_with(|| Interval { index: interval.index, ..Interval::default() })
                    .merge(&interval);
                self.reached[worker] = Some(interval.index + 1);
                interval.clear();
                // A worker that is done needs no more of them.
                let _ = self.emptied[worker].send(interval);
            }
            Message::Done { worker, slots, last_end, cpu, tally } => {
                self.tally.merge(&tally);
                self.workers[worker] = WorkerTotals { slots, last_end, cpu };
                self.reached[worker] = None;
            }
        }
        let complete = self.reached.iter().filter_map(|reached| *reached).min().unwrap_or(u64::MAX);
        self.fold(complete)
    }

    /// Whether every worker is done.
    pub fn is_done(&self) -> bool {
        self.reached.iter().all(Option::is_none)
    }

    /// Folds all pending intervals before `index`.
    fn fold(&mut self, index: u64) -> Vec<Interval> {
        let rest = self.pending.split_off(&index);
        let complete = std::mem::replace(&mut self.pending, rest);
        let seconds: Vec<_> = complete.into_values().collect();
        for interval in &seconds {
            self.total.merge(interval);
            self.series.push(interval);
        }
        seconds
    }

    /// The series of everything that was folded.
    pub fn series(&self) -> Series {
        self.series.build()
    }
}

/// One point of the series, small enough to keep thousands: its histogram lies compressed.
#[derive(Debug, Clone, Default)]
struct Point {
    answered: u64,
    unanswered: u64,
    http_error: u64,
    latency: Distribution,
}

impl Point {
    fn join(&mut self, other: &Self) {
        self.answered += other.answered;
        self.unanswered += other.unanswered;
        self.http_error += other.http_error;
        if other.latency.count > 0 {
            let mut sum = live(&self.latency);
            sum.merge(&live(&other.latency));
            self.latency = sum.to_distribution();
        }
    }
}

#[expect(clippy::expect_used, reason = "made by to_distribution a moment ago")]
fn live(distribution: &Distribution) -> Histogram {
    distribution.to_histogram().expect("a distribution of this process reads back")
}

/// The series in constant memory: when it has too many points, neighbours join and the interval doubles.
#[derive(Debug)]
struct SeriesBuilder {
    seconds_per_point: u64,
    points: Vec<Point>,
    limit: usize,
}

impl Default for SeriesBuilder {
    fn default() -> Self {
        Self { seconds_per_point: 1, points: Vec::new(), limit: Series::LIMIT }
    }
}

impl SeriesBuilder {
    fn push(&mut self, interval: &Interval) {
        while interval.index / self.seconds_per_point >= self.limit as u64 {
            self.halve();
        }
        let place = usize::try_from(interval.index / self.seconds_per_point).unwrap_or(usize::MAX);
        let point = Point {
            answered: interval.counts.answered(),
            unanswered: interval.counts.unanswered(),
            http_error: interval.counts.http_error,
            latency: interval.latencies.answered.to_distribution(),
        };
        if self.points.len() <= place {
            self.points.resize(place + 1, Point::default());
        }
        self.points[place].join(&point);
    }

    fn halve(&mut self) {
        self.seconds_per_point *= 2;
        let points = std::mem::take(&mut self.points);
        self.points = points
            .chunks(2)
            .map(|pair| {
                let mut joined = pair[0].clone();
                pair[1..].iter().for_each(|point| joined.join(point));
                joined
            })
            .collect();
    }

    fn build(&self) -> Series {
        let mut series =
            Series { interval_ms: self.seconds_per_point * SECOND / 1_000_000, ..Series::default() };
        for point in &self.points {
            let latency = live(&point.latency);
            let micros = |nanos: Option<u64>| (nanos.unwrap_or(0) + 500) / 1000;
            series.answered.push(point.answered);
            series.unanswered.push(point.unanswered);
            series.http_error.push(point.http_error);
            series.p50_us.push(micros(latency.value_at(Percentile::P50)));
            series.p90_us.push(micros(latency.value_at(Percentile::P90)));
            series.p99_us.push(micros(latency.value_at(Percentile::P99)));
            series.max_us.push(micros(latency.max()));
        }
        series
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(index: u64, ok: u64, latency: u64) -> Interval {
        let mut interval = Interval { index, ..Interval::default() };
        interval.counts.ok = ok;
        (0..ok).for_each(|_| interval.latencies.answered.record(latency));
        interval
    }

    #[test]
    fn a_second_is_complete_when_every_worker_has_handed_it_over() {
        let (emptied, back): (Vec<_>, Vec<_>) = (0..2).map(|_| mpsc::channel()).unzip();
        let mut collector = Collector::new(emptied);
        let mut send = |worker, index, ok| {
            let interval = Box::new(interval(index, ok, 1000));
            collector
                .take(Message::Interval { worker, interval })
                .iter()
                .map(|second| second.counts.ok)
                .collect::<Vec<_>>()
        };
        assert!(send(0, 0, 1).is_empty());
        assert!(send(0, 1, 2).is_empty());
        assert_eq!(send(1, 0, 10), [11]);
        // A worker that had nothing to tell of second 1 hands over second 2 next.
        assert_eq!(send(1, 2, 20), [2]);
        let done =
            |worker| Message::Done { worker, slots: vec![], last_end: 0, cpu: None, tally: Box::default() };
        assert!(collector.take(done(0)).iter().map(|second| second.counts.ok).eq([20]));
        assert!(!collector.is_done());
        collector.take(done(1));
        assert!(collector.is_done());
        assert_eq!(collector.total.counts.ok, 33);
        assert_eq!(collector.series().answered, [11, 2, 20]);
        assert_eq!(back[0].try_iter().count(), 2, "intervals come back to be filled again");
    }

    #[test]
    fn a_long_series_joins_neighbours_and_loses_nothing() {
        let mut builder = SeriesBuilder { limit: 4, ..SeriesBuilder::default() };
        for second in 0..11 {
            builder.push(&interval(second, second, 1000 * (second + 1)));
        }
        let series = builder.build();
        assert_eq!(series.interval_ms, 4000);
        assert_eq!(series.answered, [1 + 2 + 3, 4 + 5 + 6 + 7, 8 + 9 + 10]);
        assert_eq!(series.max_us, [4, 8, 11]);
        assert_eq!(series.p50_us, [3, 7, 10]);
    }

    #[test]
    fn a_second_without_anything_is_there_as_nothing() {
        let mut builder = SeriesBuilder::default();
        builder.push(&interval(2, 5, 1000));
        let series = builder.build();
        assert_eq!((series.answered, series.p50_us), (vec![0, 0, 5], vec![0, 0, 1]));
    }
}
