//! What can be added up, whatever there are several of: seconds, workers, generators.

use super::{Bytes, CheckRecord, FailureRecord, Named};

impl Bytes {
    /// Adds everything that `other` holds.
    pub fn merge(&mut self, other: &Self) {
        self.written += other.written;
        self.head_read += other.head_read;
        self.body_read += other.body_read;
        self.unanswered_body_read += other.unanswered_body_read;
    }
}

impl FailureRecord {
    /// Adds the failures of `other`; the sample is that of the first one.
    pub fn merge(&mut self, other: &Self) {
        if other.first_ns < self.first_ns {
            self.first_ns = other.first_ns;
            self.sample.clone_from(&other.sample);
        }
        self.count += other.count;
        self.last_ns = self.last_ns.max(other.last_ns);
    }
}

impl CheckRecord {
    /// Adds the failed answers of `other`; the first examples are kept.
    pub fn merge(&mut self, other: &Self) {
        self.failed += other.failed;
        self.examples.extend_from_slice(&other.examples);
        self.examples.sort_by_key(|example| example.at_ns);
        self.examples.truncate(Self::EXAMPLES);
    }
}

impl Named {
    /// Adds the counts of `other`. Its distributions cannot be: whoever has their histograms adds those.
    pub fn merge_counts(&mut self, other: &Self) {
        self.sent += other.sent;
        self.ok += other.ok;
        self.http_error += other.http_error;
        self.check_failed += other.check_failed;
        self.failed += other.failed;
        self.timeout += other.timeout;
        self.aborted += other.aborted;
        self.body_read += other.body_read;
    }
}
