//! What happened at the same time?

use super::MergeError;
use crate::document::{Run, Series};

const MS: u64 = 1_000_000;

/// How much later than the first each began, in nanoseconds.
pub(super) fn offsets(runs: &[Run]) -> Result<Vec<u64>, MergeError> {
    let began = |run: &Run| {
        let time = run.started_at.parse::<jiff::Timestamp>().ok();
        let time = time.and_then(|time| u64::try_from(time.as_millisecond()).ok());
        time.ok_or_else(|| MergeError::Time(run.id.clone(), run.started_at.clone()))
    };
    let began = runs.iter().map(began).collect::<Result<Vec<u64>, _>>()?;
    let first = began.iter().min().copied().unwrap_or(0);
    Ok(began.into_iter().map(|time| (time - first).saturating_mul(MS)).collect())
}

/// The time in which all were at work, in nanoseconds since the first began.
#[derive(Debug)]
pub(super) struct Common {
    from: u64,
    to: u64,
}

impl Common {
    pub(super) fn of(runs: &[Run], offsets: &[u64]) -> Self {
        let ends =
            runs.iter().zip(offsets).map(|(run, offset)| offset.saturating_add(run.window.measured_ns));
        let from = offsets.iter().max().copied().unwrap_or(0);
        Self { from, to: ends.min().unwrap_or(0).max(from) }
    }

    pub(super) fn length_ns(&self) -> u64 {
        self.to - self.from
    }

    /// What a run that began so much later than the first answered in its intervals that lie wholly in this time, and their
    /// length.
    pub(super) fn inside(&self, run: &Run, offset: u64) -> (u64, u64) {
        let interval = run.series.interval_ms * MS;
        if interval == 0 {
            return (0, 0);
        }
        let first = self.from.saturating_sub(offset).div_ceil(interval);
        let end = self.to.saturating_sub(offset) / interval;
        let is_inside = |place: &(u64, &u64)| (first..end).contains(&place.0);
        let answered = (0..).zip(&run.series.answered).filter(is_inside).map(|(_, count)| count).sum();
        (answered, end.saturating_sub(first) * interval)
    }
}

/// The intervals of all, each put where its middle lies. Percentiles of an interval cannot be added up, and are absent.
pub(super) fn series(runs: &[Run], offsets: &[u64]) -> Series {
    let ends = runs
        .iter()
        .zip(offsets)
        .map(|(run, offset)| offset / MS + run.series.interval_ms * run.series.answered.len() as u64);
    let (end, mut interval_ms) =
        (ends.max().unwrap_or(0), runs.iter().map(|run| run.series.interval_ms).max().unwrap_or(0));
    if interval_ms == 0 {
        return Series::default();
    }
    // A last interval that is cut short may be put into one more.
    while end / interval_ms + 1 >= Series::LIMIT as u64 {
        interval_ms *= 2;
    }
    let mut series = Series { interval_ms, ..Series::default() };
    for (run, offset) in runs.iter().zip(offsets) {
        let own = run.series.interval_ms;
        let place = |index: usize| (offset / MS + own * index as u64 + own / 2) / interval_ms;
        add(&mut series.answered, &run.series.answered, place, |sum, count| sum + count);
        add(&mut series.unanswered, &run.series.unanswered, place, |sum, count| sum + count);
        add(&mut series.http_error, &run.series.http_error, place, |sum, count| sum + count);
        add(&mut series.max_us, &run.series.max_us, place, u64::max);
    }
    series
}

fn add(sums: &mut Vec<u64>, values: &[u64], place: impl Fn(usize) -> u64, join: fn(u64, u64) -> u64) {
    for (index, value) in values.iter().enumerate() {
        let Ok(place) = usize::try_from(place(index)) else { continue };
        if sums.len() <= place {
            sums.resize(place + 1, 0);
        }
        sums[place] = join(sums[place], *value);
    }
}
