//! The interval log, and logs that the format's own tools wrote, read with the library that others read ours with.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use report::histogram::Histogram;
use report::hlog;

type Buckets = hdrhistogram::Histogram<u64>;

/// The intervals of a log, by tag.
struct Read {
    times: [Option<f64>; 2],
    intervals: Vec<(String, f64, f64, f64, Buckets)>,
}

fn read(text: &str) -> Read {
    let mut read = Read { times: [None; 2], intervals: Vec::new() };
    for entry in IntervalLogIterator::new(text.as_bytes()) {
        match entry.unwrap() {
            LogEntry::StartTime(time) => read.times[0] = Some(time.as_secs_f64()),
            LogEntry::BaseTime(time) => read.times[1] = Some(time.as_secs_f64()),
            LogEntry::Interval(interval) => {
                let payload = interval.encoded_histogram();
                assert!(payload.starts_with("HISTFA"), "{payload}");
                let bytes = base64::engine::general_purpose::STANDARD.decode(payload).unwrap();
                let buckets = Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
                let tag = interval.tag().map(|tag| tag.as_str().to_owned()).unwrap_or_default();
                let (start, length) = (interval.start_timestamp(), interval.duration());
                let (start, length) = (start.as_secs_f64(), length.as_secs_f64());
                read.intervals.push((tag, start, length, interval.max(), buckets));
            }
        }
    }
    read
}

/// The histograms of one tag together.
fn sum(read: &Read, tag: &str) -> Buckets {
    let mut sum = Buckets::new_with_bounds(1, 3_600_000_000_000, 3).unwrap();
    for (_, _, _, _, buckets) in read.intervals.iter().filter(|interval| interval.0 == tag) {
        sum.add(buckets).unwrap();
    }
    sum
}

fn fixture(name: &str) -> Read {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    read(&std::fs::read_to_string(format!("{folder}/{name}")).unwrap())
}

#[test]
fn the_reader_of_these_tests_reads_what_the_formats_own_tools_wrote() {
    let log = fixture("jHiccup-2.0.7S.logV2.hlog");
    let whole = sum(&log, "");
    assert_eq!((log.intervals.len(), whole.len()), (62, 48_761));
    assert_eq!(whole.value_at_quantile(0.999), 1_745_879_039);
    let log = fixture("tagged-Log.logV2.hlog");
    let counts = ["", "A"].map(|tag| sum(&log, tag).len());
    assert_eq!((log.intervals.len(), counts, counts[0] + counts[1]), (42, [16_145; 2], 32_290));
}

#[test]
fn what_is_written_reads_back_bucket_for_bucket() {
    let started = SystemTime::UNIX_EPOCH + Duration::from_millis(1_760_000_000_123);
    let mut text = hlog::header(started);
    let mut total = Histogram::new();
    for second in 0..5_u64 {
        let mut histogram = Histogram::new();
        // One second has nothing at all.
        for sample in 0..1000 * (second % 4) {
            let nanos = 1_000 + sample * sample * 7919 * (second + 1);
            histogram.record(nanos);
            total.record(nanos);
        }
        text += &hlog::line("response", Duration::from_secs(second), Duration::from_secs(1), &histogram);
        text += &hlog::line("service", Duration::from_secs(second), Duration::from_millis(250), &total);
    }
    let log = read(&text);
    assert_eq!(log.times, [Some(1_760_000_000.123); 2], "both, or tools that filter by time find nothing");
    let response: Vec<_> = log.intervals.iter().filter(|interval| interval.0 == "response").collect();
    assert_eq!(response.iter().map(|interval| interval.1).collect::<Vec<_>>(), [0.0, 1.0, 2.0, 3.0, 4.0]);
    assert!(response.iter().all(|interval| (interval.2 - 1.0).abs() < 1e-9));
    assert_eq!(sum(&log, "response").len(), total.count());
    let stored = total.to_distribution().histogram;
    let bytes = base64::engine::general_purpose::STANDARD.decode(stored).unwrap();
    let stored: Buckets = Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
    assert_eq!(sum(&log, "response"), stored);
    assert_eq!(log.intervals.last().unwrap().4, stored);
}

#[test]
fn its_text() {
    let mut histogram = Histogram::new();
    histogram.record(10_925_013);
    let line = hlog::line("lag", Duration::from_millis(1500), Duration::from_millis(20), &histogram);
    // The largest value is exact, though its bucket ends at 10,928,127.
    assert!(line.starts_with("Tag=lag,1.500,0.020,10.925,HISTFA") && line.ends_with('\n'), "{line}");
    let header = hlog::header(SystemTime::UNIX_EPOCH + Duration::from_millis(5_007));
    let expected = "#[Logged by loadgen: nanoseconds, 3 significant digits]\n\
         #[Histogram log format version 1.3]\n\
         #[StartTime: 5.007 (seconds since epoch)]\n\
         #[BaseTime: 5.007 (seconds since epoch)]\n\
         #[MaxValueDivisor: 1000000.0]\n\
         \"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n";
    assert_eq!(header, expected);
}
