//! The columns of one instance in constant memory: when there are too many points, neighbours join.

use report::cpus::Cpus;
use report::document::Usage;

use super::process::{Reading, Used};

const MS: u64 = 1000;
const KIB: u64 = 1024;

#[derive(Debug)]
pub(super) struct Columns {
    seconds_per_point: u64,
    most_points: usize,
    ticks_per_second: u64,
    page_bytes: u64,
    points: Vec<Point>,
    has_files: bool,
    has_written: bool,
    processes: u64,
    restarts_s: Vec<u64>,
    cpus: Option<String>,
}

/// One interval, in the units of the system: what is rounded is the sum.
#[derive(Debug, Clone, Copy, Default)]
struct Point {
    user_ticks: u64,
    system_ticks: u64,
    rss_pages: u64,
    threads: u64,
    files: u64,
    written: u64,
}

impl Point {
    fn join(&mut self, other: &Self) {
        self.user_ticks += other.user_ticks;
        self.system_ticks += other.system_ticks;
        self.rss_pages = self.rss_pages.max(other.rss_pages);
        self.threads = self.threads.max(other.threads);
        self.files = self.files.max(other.files);
        self.written += other.written;
    }
}

impl Columns {
    /// How many points each of so many instances may have.
    pub(super) fn most_points(instances: usize) -> usize {
        (Usage::MOST_POINTS_IN_ALL / instances.max(1)).clamp(1, Usage::MOST_POINTS)
    }

    pub(super) fn new(most_points: usize, cpus: Option<&Cpus>) -> Self {
        Self {
            seconds_per_point: 1,
            most_points,
            ticks_per_second: rustix::param::clock_ticks_per_second().max(1),
            page_bytes: rustix::param::page_size() as u64,
            points: Vec::new(),
            has_files: false,
            has_written: false,
            processes: 0,
            restarts_s: Vec::new(),
            cpus: cpus.map(ToString::to_string),
        }
    }

    /// What was there at the end of a second, and what was used since the last look.
    pub(super) fn push(&mut self, second: u64, now: &Reading, used: &Used) {
        while second / self.seconds_per_point >= self.most_points as u64 {
            self.halve();
        }
        let place = usize::try_from(second / self.seconds_per_point).unwrap_or(usize::MAX);
        if self.points.len() <= place {
            self.points.resize(place + 1, Point::default());
        }
        self.points[place].join(&Point {
            user_ticks: used.user_ticks,
            system_ticks: used.system_ticks,
            rss_pages: now.rss_pages,
            threads: now.threads,
            files: now.files.unwrap_or(0),
            written: used.written.unwrap_or(0),
        });
        self.has_files |= now.files.is_some();
        self.has_written |= used.written.is_some();
        self.processes = self.processes.max(now.processes.len() as u64);
    }

    /// Another process was found in that second.
    pub(super) fn restarted(&mut self, second: u64) {
        if self.restarts_s.len() < Usage::MOST_RESTARTS {
            self.restarts_s.push(second);
        }
    }

    fn halve(&mut self) {
        self.seconds_per_point *= 2;
        let joined = self.points.chunks(2).map(|pair| {
            let mut joined = pair[0];
            pair[1..].iter().for_each(|point| joined.join(point));
            joined
        });
        self.points = joined.collect();
    }

    pub(super) fn into_usage(self, watched_ns: u64) -> Usage {
        let column = |of: fn(&Point) -> u64| self.points.iter().map(of);
        let rounded = |of: fn(&Point) -> u64, to: u64, from: u64| running(column(of), to, from);
        let told = |is_told: bool, column: Vec<u64>| if is_told { column } else { Vec::new() };
        Usage {
            interval_ms: self.seconds_per_point * MS,
            watched_ns,
            cpu_user_ms: rounded(|point| point.user_ticks, MS, self.ticks_per_second),
            cpu_system_ms: rounded(|point| point.system_ticks, MS, self.ticks_per_second),
            rss_kib: column(|point| point.rss_pages).map(|pages| pages * self.page_bytes / KIB).collect(),
            threads: column(|point| point.threads).collect(),
            files: told(self.has_files, column(|point| point.files).collect()),
            written_kib: told(self.has_written, rounded(|point| point.written, 1, KIB)),
            processes: self.processes,
            restarts_s: self.restarts_s,
            cpus: self.cpus,
        }
    }
}

/// Amounts in another unit, `to` for each `from`, rounded so that what they come to together is right.
fn running(amounts: impl Iterator<Item = u64>, to: u64, from: u64) -> Vec<u64> {
    let (mut all, mut told) = (0_u64, 0_u64);
    let next = |amount: u64| {
        all = all.saturating_add(amount);
        let whole = all.saturating_mul(to) / from;
        let part = whole - told;
        told = whole;
        part
    };
    amounts.map(next).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> (Reading, Used) {
        let reading =
            Reading { rss_pages: second, threads: 2, files: Some(10 - second), ..Reading::default() };
        (reading, Used { user_ticks: 1, system_ticks: second, written: Some(512) })
    }

    fn pushed(most_points: usize, seconds: impl IntoIterator<Item = u64>) -> Usage {
        let mut columns = Columns::new(most_points, None);
        (columns.ticks_per_second, columns.page_bytes) = (100, 4096);
        for second in seconds {
            let (reading, used) = at(second);
            columns.push(second, &reading, &used);
        }
        columns.into_usage(0)
    }

    #[test]
    fn neighbours_join_and_nothing_used_is_lost() {
        let usage = pushed(4, 0..10);
        assert_eq!((usage.interval_ms, usage.cpu_user_ms.as_slice()), (4000, [40, 40, 20].as_slice()));
        assert_eq!(usage.cpu_system_ms, [60, 220, 170]);
        assert_eq!(
            (usage.rss_kib, usage.files, usage.threads),
            (vec![12, 28, 36], vec![10, 6, 2], vec![2; 3])
        );
        assert_eq!(usage.written_kib, [2, 2, 1]);
    }

    #[test]
    fn halves_of_a_kibibyte_add_up() {
        assert_eq!(pushed(20, 0..5).written_kib, [0, 1, 0, 1, 0]);
    }

    #[test]
    fn what_was_overslept_leaves_a_gap() {
        let usage = pushed(20, [0, 3]);
        assert_eq!((usage.cpu_user_ms, usage.threads), (vec![10, 0, 0, 10], vec![2, 0, 0, 2]));
    }

    #[test]
    fn what_the_system_does_not_tell_is_empty() {
        let mut columns = Columns::new(20, None);
        columns.push(0, &Reading::default(), &Used::default());
        let usage = columns.into_usage(0);
        assert!(usage.files.is_empty() && usage.written_kib.is_empty() && usage.rss_kib == [0], "{usage:?}");
    }

    #[test]
    fn many_instances_share_the_room() {
        assert_eq!([0, 1, 8, 16, 256, 10_000].map(Columns::most_points), [240, 240, 125, 62, 3, 1]);
    }

    #[test]
    fn restarts_are_told_up_to_a_number() {
        let mut columns = Columns::new(20, None);
        (0..100).for_each(|second| columns.restarted(second));
        assert_eq!(columns.into_usage(0).restarts_s.len(), Usage::MOST_RESTARTS);
    }
}
