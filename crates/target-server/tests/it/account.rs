//! What `/-/stats` tells of refusals and times, and the metrics alike.

use crate::admin::{admin, metrics, start, stats};
use crate::helper::{post, until};

#[test]
fn what_is_no_request_is_told_by_its_reason() {
    let server = start(&["--store", "none"]);
    let long = "x".repeat(70_000);
    for (bytes, times) in [
        ("GET /\r\n\r\n".to_owned(), 4),
        (format!("GET /{long} HTTP/1.1\r\n\r\n"), 3),
        (format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", long.repeat(4)), 1),
        (format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(101)), 1),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 1),
    ] {
        for _ in 0..times {
            let mut client = server.connect();
            client.send(&bytes);
            client.rest();
        }
    }
    let told = until("all of them", || Some(stats(&server)).filter(|told| told["requests"]["refused"] == 10));
    let reasons = serde_json::json!({"malformed": 4, "target_too_long": 3, "head_too_large": 2, "http2": 1});
    assert_eq!(told["requests"]["refused_by_reason"], reasons);
    assert_eq!(
        (&told["requests"]["begun"], &told["connections"]["closed_by_reason"]["refused"]),
        (&0.into(), &10.into())
    );
    let metrics = metrics(&server);
    assert_eq!(metrics.value("target_requests_refused_total", ""), Some(10.0));
    let of = |reason: &str| {
        metrics.value("target_requests_refused_by_reason_total", &format!("reason=\"{reason}\""))
    };
    assert_eq!((of("malformed"), of("http2")), (Some(4.0), Some(1.0)));
    admin(&server).ask("POST /-/reset HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(stats(&server)["requests"]["refused_by_reason"]["malformed"], 0);
}

#[test]
fn histograms_are_those_of_the_metrics() {
    let server = start(&[]);
    let mut client = server.connect();
    for _ in 0..7 {
        assert_eq!(client.ask(&post("/", "hi")).status, 200);
    }
    let told = stats(&server)["histograms"].clone();
    let bounds = told["at_most_ns"].as_array().unwrap();
    assert!(bounds.last().unwrap().is_null());
    let metrics = metrics(&server);
    for (kind, name) in [
        ("service", "target_service_seconds"),
        ("service_faulted", "target_service_faulted_seconds"),
        ("queue", "target_queue_wait_seconds"),
        ("lock", "target_lock_wait_seconds"),
        ("commit", "target_commit_seconds"),
    ] {
        let counts = told[kind].as_array().unwrap();
        assert_eq!(counts.len(), bounds.len(), "{kind}");
        assert_eq!(counts.last().unwrap(), if kind == "service_faulted" { 0 } else { 7 }, "{kind}");
        for (bound, count) in bounds.iter().zip(counts) {
            let bound = bound.as_f64().map_or("+Inf".to_owned(), |ns| (ns / 1e9).to_string());
            let bucket = metrics.value(&format!("{name}_bucket"), &format!("le=\"{bound}\""));
            assert_eq!(bucket, count.as_f64(), "{kind} {bound}");
        }
    }
}
