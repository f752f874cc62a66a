//! Histograms second by second, as HdrHistogram's tools read them: its interval log, format 1.3.
//!
//! One line per interval and tag: `Tag=response,0.000,1.000,4.997,HISTFA...`, that is when it begins and how long it is
//! in seconds, its largest value in milliseconds, and the histogram in nanoseconds, compressed V2 in base64.
//! Readers need both `StartTime` and `BaseTime` to filter by time; with the second one, intervals count from it.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use crate::histogram::Histogram;

/// Nanoseconds of the unit in which the column of largest values is written, as other writers do by default.
const MAX_DIVISOR: f64 = 1e6;

/// What is written before the first interval. `started`: the wall clock at time zero of the run.
pub fn header(started: SystemTime) -> String {
    let epoch = started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let epoch = format!("{}.{:03}", epoch.as_secs(), epoch.subsec_millis());
    format!(
        "#[Logged by loadgen: nanoseconds, 3 significant digits]\n\
         #[Histogram log format version 1.3]\n\
         #[StartTime: {epoch} (seconds since epoch)]\n\
         #[BaseTime: {epoch} (seconds since epoch)]\n\
         #[MaxValueDivisor: {MAX_DIVISOR:.1}]\n\
         \"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n"
    )
}

/// The line of one interval. `tag` has no comma, space or line break; `start` counts from the header's time.
///
/// The largest value is the exact one, not the upper edge of its bucket.
pub fn line(tag: &str, start: Duration, length: Duration, histogram: &Histogram) -> String {
    let mut line = String::new();
    let max = histogram.max().unwrap_or(0) as f64 / MAX_DIVISOR;
    // Writing to a String cannot fail.
    let _ = writeln!(
        line,
        "Tag={tag},{:.3},{:.3},{max:.3},{}",
        start.as_secs_f64(),
        length.as_secs_f64(),
        histogram.to_base64()
    );
    line
}
