//! What happened over the whole run, by name, by check and by a header's value? One per worker, merged at the end: unlike
//! intervals, nobody needs these by the second, and with a histogram per name they would be large.

use std::collections::BTreeMap;

use report::document::{CheckExample, CheckRecord, HeaderValues, Named};
use report::histogram::Histogram;

use crate::check::Watch;
use crate::clock::Nanos;
use crate::engine::{Answer, Kept};
use crate::plan::masked;
use crate::recorder::{Outcome, Sample};
use crate::source::{Request, is_secret};

/// The most characters of a header's value.
const VALUE: usize = 200;

/// Counts of one worker, or, merged, of all.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Requests of the warm-up: begun, and answered below 400.
    pub warmup: (u64, u64),
    names: Vec<ByName>,
    /// In the order of the checks, whose texts are put in at the end.
    checks: Vec<CheckRecord>,
    values: BTreeMap<String, u64>,
    none: u64,
    other: u64,
}

/// The requests of one name.
#[derive(Debug, Clone, Default)]
struct ByName {
    counts: Named,
    answered: Histogram,
    censored: Histogram,
}

impl Tally {
    /// Room for so many names and checks.
    pub fn new(names: usize, checks: usize) -> Self {
        Self {
            names: vec![ByName::default(); names],
            checks: vec![CheckRecord::default(); checks],
            ..Self::default()
        }
    }

    /// Adds one finished request to those of its name, if requests are told apart.
    pub fn add_named(&mut self, name: usize, sample: &Sample<'_>) {
        let Some(ByName { counts, answered, censored }) = self.names.get_mut(name) else { return };
        let elapsed = sample.end.saturating_sub(sample.begin);
        counts.sent += 1;
        match &sample.outcome {
            Outcome::Answered(status) => {
                *(if *status < 400 { &mut counts.ok } else { &mut counts.http_error }) += 1;
                counts.check_failed += u64::from(sample.check_failed && *status < 400);
                counts.body_read += sample.trace.body_read;
                answered.record(elapsed);
            }
            Outcome::Failed(_) => counts.failed += 1,
            Outcome::TimedOut => {
                counts.timeout += 1;
                censored.record(elapsed);
            }
            Outcome::Aborted => {
                counts.aborted += 1;
                censored.record(elapsed);
            }
        }
    }

    /// Looks at an answer that was complete at `at`. Says whether it fails a check.
    pub fn look(&mut self, watch: &Watch, request: &Request, answer: &Answer, at: Nanos) -> bool {
        let Some(kept) = &answer.kept else { return false };
        if let Some(header) = &watch.count_header {
            self.count(kept.value(header));
        }
        let faults = watch.faults(answer);
        for (number, reason) in &faults {
            let Some(failing) = self.checks.get_mut(*number) else { continue };
            failing.failed += 1;
            if failing.examples.len() < CheckRecord::EXAMPLES {
                failing.examples.push(example(request, kept, reason, at));
            }
        }
        !faults.is_empty()
    }

    fn count(&mut self, value: Option<String>) {
        let Some(value) = value else {
            self.none += 1;
            return;
        };
        let value = if value.len() > VALUE { value.chars().take(VALUE).collect() } else { value };
        self.add_value(&value, 1);
    }

    fn add_value(&mut self, value: &str, count: u64) {
        let is_full = self.values.len() >= HeaderValues::LIMIT;
        match self.values.get_mut(value) {
            Some(sum) => *sum += count,
            None if is_full => self.other += count,
            None => drop(self.values.insert(value.to_owned(), count)),
        }
    }

    /// Adds everything that `other` holds.
    pub fn merge(&mut self, other: &Self) {
        self.warmup = (self.warmup.0 + other.warmup.0, self.warmup.1 + other.warmup.1);
        self.names.resize(self.names.len().max(other.names.len()), ByName::default());
        for (mine, theirs) in self.names.iter_mut().zip(&other.names) {
            mine.answered.merge(&theirs.answered);
            mine.censored.merge(&theirs.censored);
            mine.counts.merge_counts(&theirs.counts);
        }
        self.checks.resize(self.checks.len().max(other.checks.len()), CheckRecord::default());
        for (mine, theirs) in self.checks.iter_mut().zip(&other.checks) {
            mine.merge(theirs);
        }
        for (value, count) in &other.values {
            self.add_value(value, *count);
        }
        self.none += other.none;
        self.other += other.other;
    }

    /// By name, as documents hold it; names under which nothing was sent are left out.
    pub fn requests(&self, names: &[String]) -> Vec<Named> {
        let named =
            names.iter().zip(&self.names).map(|(name, ByName { counts, answered, censored })| Named {
                name: name.clone(),
                answered: answered.to_distribution(),
                censored: censored.to_distribution(),
                ..counts.clone()
            });
        named.filter(|named| named.sent > 0).collect()
    }

    /// By check, as documents hold it.
    pub fn checks(&self, watch: &Watch) -> Vec<CheckRecord> {
        let counted = watch.checks.iter().zip(&self.checks);
        counted.map(|(check, record)| CheckRecord { check: check.to_string(), ..record.clone() }).collect()
    }

    /// By a header's value, as documents hold it.
    pub fn header_values(&self, watch: &Watch) -> Option<HeaderValues> {
        let header = watch.count_header.clone()?;
        Some(HeaderValues { header, values: self.values.clone(), none: self.none, other: self.other })
    }
}

fn example(request: &Request, kept: &Kept, reason: &str, at_ns: Nanos) -> CheckExample {
    let body = &kept.body[..kept.body.len().min(CheckExample::BODY)];
    CheckExample {
        at_ns,
        request: format!("{} {}", request.method, masked(&request.url)),
        reason: reason.to_owned(),
        head: masked_head(&kept.head),
        body: String::from_utf8_lossy(body).into_owned(),
        body_bytes: kept.body_bytes,
    }
}

/// A head as it may be stored and shown: values of fields that hold secrets are not.
pub(crate) fn masked_head(head: &[u8]) -> String {
    let text = String::from_utf8_lossy(head);
    let line = |line: &str| {
        let name = line.split_once(':').map(|(name, _)| name).filter(|name| is_secret(name));
        name.map_or_else(|| line.to_owned(), |name| format!("{name}: ***\r\n"))
    };
    text.split_inclusive('\n').map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Trace;
    use crate::source::Keep;

    fn answer(fields: &str) -> Answer {
        let mut kept = Kept::new(Keep { head: true, body: 10 }).unwrap();
        kept.head = format!("HTTP/1.1 200 OK\r\n{fields}\r\n").into_bytes();
        Answer { status: 200, location: None, kept: Some(kept) }
    }

    fn request() -> Request {
        Request::new("GET", "http://u:p@h/".parse().unwrap(), [], bytes::Bytes::new())
    }

    #[test]
    fn values_beyond_the_limit_are_counted_together_whoever_saw_them() {
        let watch = Watch { count_header: Some("X".to_owned()), ..Watch::default() };
        let mut tallies = [Tally::default(), Tally::default()];
        for (worker, tally) in tallies.iter_mut().enumerate() {
            for value in 0..80 {
                tally.look(&watch, &request(), &answer(&format!("X: {}\r\n", worker * 60 + value)), 0);
            }
            tally.look(&watch, &request(), &answer(""), 0);
        }
        let [mut all, other] = tallies;
        all.merge(&other);
        let values = all.header_values(&watch).unwrap();
        assert_eq!((values.values.len(), values.none, values.other, values.total()), (100, 2, 40, 162));
        assert_eq!(values.values["79"], 2);
    }

    #[test]
    fn the_first_examples_are_kept_whoever_saw_them() {
        let watch = Watch { checks: vec!["status 404".parse().unwrap()], ..Watch::default() };
        let mut tallies = [Tally::new(0, 1), Tally::new(0, 1)];
        for at in 0..10 {
            let answer = answer("Set-Cookie: secret\r\nX: 1\r\n");
            assert!(tallies[usize::from(at >= 5)].look(&watch, &request(), &answer, 10 - at));
        }
        let [mut all, other] = tallies;
        all.merge(&other);
        let checks = all.checks(&watch);
        assert_eq!((checks.len(), checks[0].failed), (1, 10));
        assert_eq!(checks[0].examples.len(), CheckRecord::EXAMPLES);
        assert!(checks[0].examples.is_sorted_by_key(|example| example.at_ns));
        let example = &checks[0].examples[0];
        assert_eq!(example.head, "HTTP/1.1 200 OK\r\nSet-Cookie: ***\r\nX: 1\r\n\r\n");
        assert_eq!(example.request, "GET http://u:***@h/");
    }

    #[test]
    fn a_check_makes_an_error_of_a_good_answer_once() {
        let mut tally = Tally::new(1, 0);
        let trace = Trace::default();
        for (outcome, check_failed) in
            [(Outcome::Answered(200), true), (Outcome::Answered(500), true), (Outcome::TimedOut, false)]
        {
            tally.add_named(0, &Sample { begin: 0, end: 1, outcome, check_failed, trace: &trace });
        }
        let named = tally.requests(&["n".to_owned()]);
        assert_eq!((named[0].sent, named[0].ok, named[0].check_failed, named[0].errors()), (3, 1, 1, 3));
    }
}
