//! What do HdrHistogram's tools read of a run? A fold over its seconds, in the lines of [`report::hlog`].

use std::time::Duration;

use report::histogram::Histogram;
use report::hlog;

use crate::clock::{Nanos, SECOND};
use crate::collector::Collector;
use crate::recorder::Interval;

/// Turns seconds into lines. One second is held back, because only the end of the run says how long its last one was.
#[derive(Debug, Default)]
pub struct IntervalLog {
    /// Whether the open model's own distributions are told.
    is_open: bool,
    begun: bool,
    held: Option<Held>,
}

/// The distributions of one second, by tag.
#[derive(Debug)]
struct Held {
    index: u64,
    tagged: Vec<(&'static str, Histogram)>,
}

impl Held {
    /// `response` is what reports show: answers, and given up requests at the time they had waited.
    fn of(interval: &Interval, is_open: bool) -> Self {
        let latencies = &interval.latencies;
        let mut response = latencies.answered.clone();
        response.merge(&latencies.censored);
        let mut tagged = vec![("response", response), ("service", latencies.service.clone())];
        if is_open {
            tagged.extend([("queue", latencies.queue.clone()), ("lag", latencies.lag.clone())]);
        }
        Self { index: interval.index, tagged }
    }

    fn lines(&self, length: Duration) -> String {
        let start = Duration::from_secs(self.index);
        self.tagged.iter().map(|(tag, histogram)| hlog::line(tag, start, length, histogram)).collect()
    }
}

impl IntervalLog {
    /// One for a run of the open or the closed model.
    pub fn new(is_open: bool) -> Self {
        Self { is_open, ..Self::default() }
    }

    /// The lines that are certain after these seconds.
    pub fn advance(&mut self, seconds: &[Interval], collector: &Collector) -> String {
        let mut text = String::new();
        if !self.begun {
            self.begun = true;
            text.push_str(&hlog::header(collector.started));
        }
        for second in seconds {
            let before = self.held.replace(Held::of(second, self.is_open));
            text.extend(before.map(|held| held.lines(Duration::from_nanos(SECOND))));
        }
        text
    }

    /// Adds what fell due and was never sent to the response times of the last second, as reports do to the whole.
    pub fn add_unsent(&mut self, unsent: &Histogram) {
        if unsent.count() > 0 {
            let is_open = self.is_open;
            let held = self.held.get_or_insert_with(|| Held::of(&Interval::default(), is_open));
            held.tagged[0].1.merge(unsent);
        }
    }

    /// The last lines. `end`: when the run was over.
    pub fn finish(self, end: Nanos) -> String {
        let Some(held) = self.held else { return String::new() };
        let length = end.saturating_sub(held.index * SECOND).clamp(SECOND / 1000, SECOND);
        held.lines(Duration::from_nanos(length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(index: u64, answered: &[u64], censored: &[u64]) -> Interval {
        let mut interval = Interval { index, ..Interval::default() };
        for &value in answered {
            interval.latencies.answered.record(value);
        }
        for &value in censored {
            interval.latencies.censored.record(value);
        }
        interval
    }

    /// Tag, start, length and largest value of each line.
    fn shown(text: &str) -> Vec<String> {
        let lines = text.lines().filter(|line| line.starts_with("Tag="));
        lines.map(|line| line.rsplit_once(',').unwrap().0.to_owned()).collect()
    }

    #[test]
    fn a_second_is_told_when_the_next_one_is_known() {
        let collector = Collector::new(Vec::new());
        let mut log = IntervalLog::new(false);
        let text = log.advance(&[interval(0, &[2_500_000], &[])], &collector);
        assert!(text.starts_with("#[") && shown(&text).is_empty(), "{text}");
        let text = log.advance(&[interval(1, &[], &[9_000_000]), interval(3, &[1_000_000], &[])], &collector);
        assert!(!text.contains('#'), "{text}");
        let expected = [
            "Tag=response,0.000,1.000,2.500",
            "Tag=service,0.000,1.000,0.000",
            "Tag=response,1.000,1.000,9.000",
            "Tag=service,1.000,1.000,0.000",
        ];
        assert_eq!(shown(&text), expected);
        let mut unsent = Histogram::new();
        unsent.record(70_000_000);
        log.add_unsent(&unsent);
        let text = log.finish(3 * SECOND + 250_000_000);
        assert_eq!(shown(&text), ["Tag=response,3.000,0.250,70.000", "Tag=service,3.000,0.250,0.000"]);
    }

    #[test]
    fn the_open_model_has_more_to_tell() {
        let mut log = IntervalLog::new(true);
        log.advance(&[interval(0, &[1], &[])], &Collector::new(Vec::new()));
        let text = log.finish(5 * SECOND);
        let tags: Vec<_> = text.lines().map(|line| line.split(',').next().unwrap()).collect();
        assert_eq!(tags, ["Tag=response", "Tag=service", "Tag=queue", "Tag=lag"]);
        assert!(shown(&text)[0].starts_with("Tag=response,0.000,1.000,"), "no second is longer: {text}");
    }
}
