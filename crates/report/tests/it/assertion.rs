//! Assertions held against stored documents.

use report::document::{Document, HeaderValues, Instance, Run};

use crate::sample::fixture;

fn run(name: &str) -> Run {
    let Document::Run(run) = fixture(name) else { panic!("no run") };
    *run
}

/// Whether it holds, and what it says it measured.
fn judged(run: &Run, text: &str) -> (bool, String) {
    let record = text.parse::<report::assertion::Assertion>().unwrap().judge(run);
    assert!(!record.skipped);
    (record.holds, record.measured)
}

#[test]
fn figures_are_those_of_the_report() {
    let good = run("good");
    for (text, holds, measured) in [
        ("rps >= 3000", true, "3,144.1"),
        ("rps >= 3_200", false, "3,144.1"),
        ("errors == 0", true, "0"),
        ("errors < 0.1%", true, "0%"),
        ("errors / sent < 0.01", true, "0.00"),
        ("error_rate < 0.1%", true, "0%"),
        ("sent == 31,541", true, "31,541"),
        ("rows == 31541", true, "31,541"),
        ("status.200 == 100%", true, "100%"),
        ("status.200 == 31541", true, "31,541"),
        ("status.503 == 0", true, "0"),
        ("share.max/share.min < 1.5", true, "1.00"),
        ("share.4 > 25%", true, "25%"),
        ("share.9 == 0%", true, "0%"),
        ("verdict == ok", true, "ok"),
        ("verdict != client_limited", true, "ok"),
        ("verdict == suspect", false, "ok"),
    ] {
        assert_eq!(judged(&good, text), (holds, measured.to_owned()), "{text}");
    }
    let (holds, measured) = judged(&good, "p50 < 1s");
    assert!(holds && measured.ends_with(" ms"), "{measured}");
    assert!(!judged(&good, "p50 < 1us").0);
}

#[test]
fn what_timed_out_bounds_percentiles_from_below() {
    let timeouts = run("timeouts");
    assert_eq!(judged(&timeouts, "timeouts == 12"), (true, "12".into()));
    // The slowest waited twenty seconds and was given up: nobody knows how long it would have taken.
    assert_eq!(judged(&timeouts, "slowest < 1s"), (false, ">= 20 s".into()));
    assert_eq!(judged(&timeouts, "slowest >= 10s"), (true, ">= 20 s".into()));
    assert_eq!(judged(&timeouts, "slowest < 60s"), (false, ">= 20 s".into()), "nobody knows");
    assert!(judged(&timeouts, "p99 < 1s").0);
}

#[test]
fn what_the_target_used_can_be_asserted() {
    let watched = run("watched");
    for (text, holds, measured) in [
        ("target.cpu_us_per_request < 500", true, "446.4"),
        ("target.cpus < 1", false, "1.40"),
        ("target.rss_mb < 41", true, "40.96"),
        ("target.written_bytes_per_request <= 4097", true, "4,096.4"),
        ("target.cpus / target.rss_mb < 1", true, "0.03"),
    ] {
        assert_eq!(judged(&watched, text), (holds, measured.to_owned()), "{text}");
    }
    let unwatched = judged(&run("good"), "target.cpus < 100");
    assert_eq!(unwatched, (false, "unknown: the run does not tell".into()));
}

#[test]
fn what_nobody_knows_does_not_hold() {
    let refused = run("refused");
    let (holds, measured) = judged(&refused, "p99 < 100s");
    assert!(!holds && measured.starts_with("unknown"), "{measured}");
    assert_eq!(judged(&refused, "rows >= 0"), (false, "unknown: the run does not tell".into()));
    let (holds, measured) = judged(&refused, "share.max < 100%");
    assert!(!holds && measured.contains("--count-header"), "{measured}");
}

#[test]
fn a_counted_header_decides_whose_share_it_is() {
    let mut run = run("good");
    run.header_values = Some(HeaderValues {
        header: "x-server".into(),
        values: [("a".to_owned(), 750), ("b/c".to_owned(), 240)].into(),
        none: 10,
        other: 0,
    });
    assert_eq!(judged(&run, "share.a >= 75%"), (true, "75%".into()));
    assert_eq!(judged(&run, "share.b/c <= 24%"), (true, "24%".into()));
    assert_eq!(judged(&run, "share.max / share.min > 3"), (true, "3.12".into()));
    (run.header_values, run.instances) = (None, vec![Instance { number: 1, ..Instance::default() }]);
    assert!(!judged(&run, "share.max > 0").0, "an instance that did not tell has no share");
}
