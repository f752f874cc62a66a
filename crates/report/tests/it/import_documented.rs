//! What tools print that were not there to be asked: put together from the documented formats and the sources of oha 1.15, vegeta
//! 12.12, k6 1 and 2, fortio 1.69 and bombardier 2, with figures of our own.

use std::collections::BTreeMap;

use report::document::Figures;
use report::import::{self, ImportError};

use crate::import::{percentiles, text};

/// Nulls where there is nothing, keys twice in a histogram of nothing (versions before 1.13).
pub(crate) const OHA: &str = r#"{"summary":{"successRate":0.98,"total":10.0012,"slowest":0.0481,"fastest":0.00005,"average":0.0042,
    "requestsPerSec":2345.6,"totalData":1200,"sizePerRequest":null,"sizePerSec":119.9},
    "metrics":{"success_rate":0.98,"requests_per_sec":2345.6,
        "latency_ms":{"min":0.05,"mean":4.2,"p50":3.7,"p95":9.9,"p99":20.1,"max":48.1}},
    "responseTimeHistogram":{"NaN":0,"NaN":0},
    "latencyPercentiles":{"p10":0.001,"p50":0.0037,"p99":0.0201,"p99.9":0.04,"p99.99":null},
    "firstByteHistogram":{"0.001":3},"firstBytePercentiles":{"p50":0.0031},
    "rps":{"mean":2100.0,"stddev":10.5,"max":4000.0,"min":0.5,"percentiles":{"p50":2000.0}},
    "details":{"DNSDialup":{"average":0.001,"fastest":0.001,"slowest":0.001}},
    "statusCodeDistribution":{"200":23000,"500":400},
    "errorDistribution":{"timeout":6,"aborted due to deadline":50,"connection refused":3}}"#;

const VEGETA_JSON: &str = r#"{"latencies":{"total":2450000000,"mean":2450000,"50th":2100000,"90th":3900000,"95th":4400000,
    "99th":9250000,"max":20125000,"min":812000},"bytes_in":{"total":5000,"mean":5},"bytes_out":{"total":0,"mean":0},
    "earliest":"2026-01-02T03:04:05.1Z","latest":"2026-01-02T03:04:15.09Z","end":"2026-01-02T03:04:15.1Z",
    "duration":9990000000,"wait":10000000,"requests":1000,"rate":100.1001,"throughput":98.5,"success":0.985,
    "status_codes":{"0":5,"200":985,"503":10},"errors":["503 Service Unavailable","EOF"]}"#;

/// The same figures, in columns.
const VEGETA: &str = "\
Requests      [total, rate, throughput]         1000, 100.10, 98.50
Duration      [total, attack, wait]             10s, 9.99s, 10ms
Latencies     [min, mean, 50, 90, 95, 99, max]  812\u{b5}s, 2.45ms, 2.1ms, 3.9ms, 4.4ms, 9.25ms, 20.125ms
Bytes In      [total, mean]                     5000, 5.00
Bytes Out     [total, mean]                     0, 0.00
Success       [ratio]                           98.50%
Status Codes  [code:count]                      0:5  200:985  503:10
Error Set:
503 Service Unavailable
connection reset
";

/// Of `--summary-export`.
const K6: &str = r#"{"root_group":{"name":"","path":"","id":"0","groups":{},"checks":{}},
    "metrics":{
        "http_reqs":{"count":3000,"rate":99.5},
        "http_req_duration":{"avg":4.5,"min":1.25,"med":4,"max":80.5,"p(90)":7.5,"p(95)":9,"p(99.9)":60,"thresholds":{"p(95)<500":false}},
        "http_req_duration{expected_response:true}":{"avg":3.5,"min":1.25,"med":3,"max":70,"p(90)":6,"p(95)":8},
        "http_req_failed":{"value":0.004,"passes":12,"fails":2988},
        "dropped_iterations":{"count":7,"rate":0.2},
        "vus_max":{"value":20,"min":20,"max":20}}}"#;

/// What `handleSummary` gets: the same, deeper.
const K6_DATA: &str = r#"{"options":{"summaryTrendStats":["avg","min","med","max","p(90)","p(95)"]},
    "state":{"isStdOutTTY":false,"testRunDurationMs":30150.75},"root_group":{"name":"","groups":[],"checks":[]},
    "metrics":{
        "http_reqs":{"type":"counter","contains":"default","values":{"count":3000,"rate":99.5}},
        "http_req_duration":{"type":"trend","contains":"time","thresholds":{"p(95)<500":{"ok":true}},
            "values":{"avg":4.5,"min":1.25,"med":4,"max":80.5,"p(90)":7.5,"p(95)":9}},
        "http_req_failed":{"type":"rate","contains":"default","values":{"rate":0,"passes":0,"fails":3000}}}}"#;

const FORTIO: &str = r#"{"RunType":"HTTP","Labels":"","StartTime":"2026-01-02T03:04:05.1Z","RequestedQPS":"400","RequestedDuration":"5s",
    "ActualQPS":398.75,"ActualDuration":5015000000,"NumThreads":8,"Version":"1.69.5",
    "DurationHistogram":{"Count":2000,"Min":0.0005,"Max":0.0425,"Sum":6.5,"Avg":0.00325,"StdDev":0.001,
        "Data":[{"Start":0.0005,"End":0.001,"Percent":5,"Count":100},{"Start":0.001,"End":0.0425,"Percent":100,"Count":1900}],
        "Percentiles":[{"Percentile":50,"Value":0.003},{"Percentile":99,"Value":0.0125},{"Percentile":99.9,"Value":0.04}]},
    "ErrorsDurationHistogram":{"Count":15,"Min":0.001,"Max":0.003,"Sum":0.03,"Avg":0.002,"StdDev":0.0005,"Data":[]},
    "RetCodes":{"-1":5,"200":1985,"503":10},"URL":"http://me:secret@127.0.0.1:8080/","HTTPReqTimeOut":3000000000}"#;

const BOMBARDIER_JSON: &str = r#"{"spec":{"numberOfConnections":125,"testType":"timed","testDurationSeconds":10,"method":"GET",
    "url":"http://127.0.0.1:8080/","headers":[{"key":"A","value":"b"}],"body":"","stream":false,"timeoutSeconds":2,"client":"fasthttp","rate":500},
    "result":{"bytesRead":1000,"bytesWritten":500,"timeTakenSeconds":10.05,"req1xx":0,"req2xx":4900,"req3xx":0,"req4xx":0,"req5xx":60,"others":40,
    "errors":[{"description":"timeout","count":30},{"description":"dialing to the given TCP address timed out","count":4},
        {"description":"connection reset by peer","count":6}],
    "latency":{"mean":2450.5,"stddev":300.1,"max":151250,"percentiles":{"50":2100,"75":2500,"90":3900,"95":4400,"99":9250}},
    "rps":{"mean":499.25,"stddev":50.5,"max":700.1,"percentiles":{"50":500.000000}}}}"#;

/// The same figures, in columns.
const BOMBARDIER: &str = "\
Bombarding http://127.0.0.1:8080/ for 10s using 125 connection(s)
[==========================================================================] 10s Done!
Statistics        Avg      Stdev        Max
  Reqs/sec       499.25      50.50     700.10
  Latency        2.45ms   300.10us   151.25ms
  Latency Distribution
     50%     2.10ms
     75%     2.50ms
     90%     3.90ms
     95%     4.40ms
     99%     9.25ms
  HTTP codes:
    1xx - 0, 2xx - 4900, 3xx - 0, 4xx - 0, 5xx - 60
    others - 40
  Errors:
       timeout - 30
    dialing to the given TCP address timed out - 4
    connection reset by peer - 6
  Throughput:   146.48KB/s
";

fn says(notes: &[String], words: &str) {
    assert!(notes.iter().any(|note| note.contains(words)), "{words}: {notes:?}");
}

#[test]
fn oha() {
    let figures = import::read(OHA).unwrap();
    assert_eq!((figures.rps, figures.total_s, figures.timeouts), (Some(2345.6), Some(10.0012), Some(6)));
    assert_eq!(percentiles(&figures), [("10", 0.001), ("50", 0.0037), ("99", 0.0201), ("99.9", 0.04)]);
    assert_eq!(figures.status.get(&500), Some(&400));
    says(&figures.notes, "counts 50 requests");
    says(&figures.notes, "9 requests failed.");
}

#[test]
fn vegeta_in_both_forms() {
    let figures = import::read(VEGETA).unwrap();
    assert_eq!((figures.tool.as_str(), figures.rps, figures.total_s), ("vegeta", Some(98.5), Some(10.0)));
    assert_eq!(
        (figures.fastest_s, figures.average_s, figures.slowest_s),
        (Some(0.000_812), Some(0.002_45), Some(0.020_125))
    );
    assert_eq!(percentiles(&figures), [("50", 0.0021), ("90", 0.0039), ("95", 0.0044), ("99", 0.00925)]);
    assert_eq!(figures.status.iter().collect::<Vec<_>>(), [(&200, &985), (&503, &10)], "0 is no status");
    assert_eq!(figures.timeouts, None, "it does not say how often each error came");
    says(&figures.notes, "1000 requests at 100.10 a second");
    says(&figures.notes, "5 requests failed");
    assert_eq!(import::read(VEGETA_JSON), Ok(figures), "nanoseconds");
    let calm = import::read(&VEGETA.replace("0:5  200:985", "200:990")).unwrap();
    assert_eq!(calm.timeouts, Some(0));
    // Earlier versions had fewer columns.
    let early = VEGETA
        .replace("[total, rate, throughput]         1000, 100.10, 98.50", "[total, rate]  1000, 100.10")
        .replace(
            "[min, mean, 50, 90, 95, 99, max]  812\u{b5}s, 2.45ms, 2.1ms, 3.9ms,",
            "[mean, 50, 95, 99, max]  2.45ms, 2.1ms,",
        )
        .replace(" 10s, 9.99s", " 1m0.5s, 9.99s");
    let early = import::read(&early).unwrap();
    assert_eq!((early.rps, early.fastest_s, early.total_s), (None, None, Some(60.5)));
    assert_eq!(percentiles(&early), [("50", 0.0021), ("95", 0.0044), ("99", 0.00925)]);
}

#[test]
fn k6_in_both_forms() {
    let figures = import::read(K6).unwrap();
    assert_eq!((figures.tool.as_str(), figures.rps, figures.total_s), ("k6", Some(99.5), None));
    assert_eq!(
        (figures.fastest_s, figures.average_s, figures.slowest_s),
        (Some(0.00125), Some(0.0045), Some(0.0805))
    );
    assert_eq!(percentiles(&figures), [("50", 0.004), ("90", 0.0075), ("95", 0.009), ("99.9", 0.06)]);
    assert_eq!(figures.timeouts, None, "it does not say what failed");
    says(&figures.notes, "without connecting");
    says(&figures.notes, "12 of 3000 requests failed");
    says(&figures.notes, "20 virtual users");
    says(&figures.notes, "7 iterations that were due");
    let data = import::read(K6_DATA).unwrap();
    assert_eq!((data.rps, data.total_s, data.timeouts), (Some(99.5), Some(30.150_75), Some(0)));
    assert_eq!(percentiles(&data), [("50", 0.004), ("90", 0.0075), ("95", 0.009)]);
    says(&data.notes, "0 of 3000 requests failed");
}

#[test]
fn fortio() {
    let figures = import::read(FORTIO).unwrap();
    assert_eq!((figures.tool.as_str(), figures.rps, figures.total_s), ("fortio", Some(398.75), Some(5.015)));
    assert_eq!(
        (figures.fastest_s, figures.average_s, figures.slowest_s),
        (Some(0.0005), Some(0.00325), Some(0.0425))
    );
    assert_eq!(percentiles(&figures), [("50", 0.003), ("99", 0.0125), ("99.9", 0.04)]);
    assert_eq!(figures.status.iter().collect::<Vec<_>>(), [(&200, &1985), (&503, &10)], "-1 is no status");
    assert_eq!((figures.timeouts, figures.config["load.connections"].as_str()), (None, "8"));
    assert_eq!(figures.config["load.url"], "http://me:***@127.0.0.1:8080/");
    says(&figures.notes, "Percentiles are estimates");
    says(&figures.notes, "held back to 400 requests a second");
    says(&figures.notes, "5 requests failed without an answer");
    let most = import::read(&FORTIO.replace("\"400\"", "\"max\"").replace("\"-1\":5,", "")).unwrap();
    assert!(!most.notes.iter().any(|note| note.contains("held back")), "{:?}", most.notes);
    assert_eq!(most.timeouts, Some(0));
}

#[test]
fn bombardier_in_both_forms() {
    let figures = import::read(BOMBARDIER).unwrap();
    assert_eq!((figures.tool.as_str(), figures.rps, figures.total_s), ("bombardier", Some(499.25), None));
    assert_eq!(
        (figures.fastest_s, figures.average_s, figures.slowest_s),
        (None, Some(0.00245), Some(0.15125))
    );
    let rows = [("50", 0.0021), ("75", 0.0025), ("90", 0.0039), ("95", 0.0044), ("99", 0.00925)];
    assert_eq!(percentiles(&figures), rows);
    let told = ["load.connections", "load.url", "load.duration"].map(|key| figures.config[key].as_str());
    assert_eq!(told, ["125", "http://127.0.0.1:8080/", "10s"]);
    assert_eq!(figures.timeouts, Some(34));
    says(&figures.notes, "2xx - 4900, 3xx - 0, 4xx - 0, 5xx - 60; without an answer - 40.");
    let json = import::read(BOMBARDIER_JSON).unwrap();
    assert_eq!((json.total_s, json.average_s), (Some(10.05), Some(0.002_450_5)), "microseconds");
    assert_eq!((json.slowest_s, json.timeouts, &json.config), (figures.slowest_s, Some(34), &figures.config));
    assert_eq!(percentiles(&json), rows);
    assert_eq!(json.notes[..2], figures.notes[..]);
    says(&json.notes, "held back to 500 requests a second");
    let behind = "Bombarding http://127.0.0.1:8080/ for 10s using 125 connection(s)\n[===] 10s Done!\n";
    assert_eq!(import::read(&(behind.to_owned() + BOMBARDIER_JSON)), Ok(json));
    let counted = BOMBARDIER.replace(" for 10s using", " with 5000 request(s) using");
    assert_eq!(import::read(&counted).unwrap().config["load.requests"], "5000");
}

#[test]
fn what_cannot_be_read_of_these_is_refused_with_a_sentence() {
    let half = |text: &str, at: &str| text.split(at).next().unwrap().to_owned();
    for (what, text, word) in [
        ("half of vegeta's", half(VEGETA_JSON, "\"max\""), "looks like the output of vegeta"),
        ("less of vegeta's", half(VEGETA, "Status"), "is not the output"),
        ("vegeta's without a row", VEGETA.replace("Duration ", "Durations "), "`Duration"),
        ("vegeta's with a code that is none", VEGETA.replace("200:985", "ok:985"), "`Status Codes"),
        ("vegeta's with half a count", half(VEGETA, "0\nError Set"), "`Status Codes"),
        ("vegeta's list", "{\"attack\":\"\",\"seq\":0}\n{\"attack\":\"\",\"seq\":1}\n".into(), "-type=json"),
        ("vegeta's histogram", "Bucket           #     %       Histogram\n".into(), "vegeta's histogram"),
        ("half of k6's", half(K6, "\"http_req_failed\""), "looks like the output of k6"),
        ("k6's of no HTTP", K6.replace("http_reqs", "grpc_reqs"), "`http_reqs`"),
        (
            "k6's list",
            "{\"type\":\"Metric\",\"metric\":\"vus\",\"data\":{}}\n{}\n".into(),
            "--summary-export",
        ),
        (
            "k6's other summary",
            "{\"version\":\"1\",\"config\":{\"execution\":\"local\"},\"results\":{\"metrics\":[]}}".into(),
            "says no rates",
        ),
        ("k6's text", "    http_req_duration..............: avg=4.5ms min=1ms\n".into(), "--summary-export"),
        ("half of fortio's", half(FORTIO, "\"RetCodes\""), "looks like the output of fortio"),
        ("fortio's of gRPC", FORTIO.replace("\"HTTP\"", "\"GRPC Ping\""), "another protocol than HTTP"),
        ("fortio's with less", FORTIO.replace("ActualQPS", "QPS"), "`ActualQPS and DurationHistogram`"),
        (
            "fortio's text",
            "All done 40 calls (plus 2 warmup) 277.319 ms avg, 7.6 qps\n".into(),
            "fortio's text",
        ),
        ("half of bombardier's", half(BOMBARDIER_JSON, "\"latency\""), "looks like the output of bombardier"),
        (
            "bombardier's own spelling",
            BOMBARDIER_JSON.replace("\"b\"", r#""\x00""#),
            "which JSON does not know",
        ),
        ("bombardier's without its end", half(BOMBARDIER, "  Throughput"), "`Throughput:`"),
        ("bombardier's without its errors", half(BOMBARDIER, "  Errors"), "`Throughput:`"),
        ("bombardier's without a row", BOMBARDIER.replace("others - 40", ""), "`others - N`"),
        (
            "h2load's JSON",
            "{\"version\":\"v1\",\"measurements\":{\"request_per_second\":9}}".into(),
            "h2load's JSON",
        ),
        ("two of oha's", format!("{OHA}\n{OHA}"), "is not the output"),
    ] {
        let error: ImportError = import::read(&text).unwrap_err();
        assert!(error.to_string().contains(word), "{what}: {error}");
    }
}

/// Why requests were not answered is known of all of them, or how many timed out is not known.
#[test]
fn bombardiers_timeouts_are_counted_by_their_reasons() {
    let rows = "       timeout - 30\n    dialing to the given TCP address timed out - 4\n    connection reset by peer - 6\n";
    assert!(BOMBARDIER.contains(rows));
    let of = |errors: &str| import::read(&BOMBARDIER.replace(rows, errors)).unwrap();
    // As the clients of Go's net/http say it (--http1, --http2).
    for (reason, timeouts) in [
        ("EOF", 0),
        ("context deadline exceeded (Client.Timeout exceeded while awaiting headers)", 40),
        ("dial tcp: lookup \"h\": i/o timeout", 40),
    ] {
        let figures = of(&format!("    Get \"http://h/timeout/\": {reason} - 40\n"));
        assert_eq!(figures.timeouts, Some(timeouts), "{reason}");
        assert_eq!(figures.notes.len(), 2, "{:?}", figures.notes);
    }
    for (errors, told) in [
        (rows.replace("    connection reset by peer - 6\n", ""), 34),
        (rows.replace("reset by peer - 6", "reset by peer - six"), 34),
        (rows.replace("timeout - 30", "timeout:\n a line - 30"), 0),
        (String::new(), 0),
    ] {
        let figures = of(&errors);
        assert_eq!(figures.timeouts, None, "{errors}");
        says(&figures.notes, &format!("names {told} errors, and counts 40 requests without an answer"));
    }
    assert_eq!(import::read(&BOMBARDIER_JSON.replace("\"count\":6", "\"count\":5")).unwrap().timeouts, None);
    let calm = BOMBARDIER.replace(rows, "").replace("  Errors:\n", "").replace("others - 40", "others - 0");
    assert_eq!(import::read(&calm).unwrap().timeouts, Some(0));
}

/// Whatever is cut off or missing, what is left is refused, or read for what the whole says and no more: no count of nought that was
/// none, no half of a number, no unit that lost a letter.
#[test]
fn parts_of_them_are_read_or_refused() {
    let documented = [OHA, VEGETA_JSON, VEGETA, K6, K6_DATA, FORTIO, BOMBARDIER_JSON, BOMBARDIER];
    let printed = [
        "ab.txt",
        "ab-errors.txt",
        "h2load.txt",
        "h2load-errors.txt",
        "h2load-timed.txt",
        "hey.txt",
        "hey-errors.txt",
        "hey-refused.txt",
        "wrk.txt",
        "wrk-errors.txt",
    ];
    for whole in documented.map(str::to_owned).into_iter().chain(printed.map(text)) {
        let figures = import::read(&whole).unwrap();
        let mut read = 0;
        for (at, _) in whole.char_indices() {
            for part in [&whole[..at], &whole[at..]] {
                let Ok(of_part) = import::read(part) else { continue };
                assert!(says_no_more(&of_part, &figures), "{of_part:#?}\nof {figures:#?}\nin {part}");
                read += 1;
            }
        }
        assert!(read > 0, "nothing at all was left out of {whole}");
    }
}

/// Whether all that is told is told there, too.
fn says_no_more(part: &Figures, whole: &Figures) -> bool {
    let numbers = |of: &Figures| [of.rps, of.total_s, of.slowest_s, of.fastest_s, of.average_s];
    part.tool == whole.tool
        && numbers(part).into_iter().zip(numbers(whole)).all(|(part, whole)| part.is_none() || part == whole)
        && (part.timeouts.is_none() || part.timeouts == whole.timeouts)
        && is_within(&part.percentiles_s, &whole.percentiles_s)
        && is_within(&part.status, &whole.status)
        && is_within(&part.config, &whole.config)
}

fn is_within<K: Ord, V: PartialEq>(part: &BTreeMap<K, V>, whole: &BTreeMap<K, V>) -> bool {
    part.iter().all(|(key, value)| whole.get(key) == Some(value))
}
