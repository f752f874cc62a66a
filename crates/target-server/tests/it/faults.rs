//! Each fault as it stands on the wire, and in the account.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::admin::{admin, stats};
use crate::helper::{PATIENCE, Server, get, post, until};

fn start(faults: &str, more: &[&str]) -> Server {
    Server::start(&[&["--admin", "127.0.0.1:0", "--faults", faults], more].concat())
}

/// How often each fault was suffered, without those that were not.
fn suffered(server: &Server) -> Value {
    let told = stats(server)["faults"]["by_kind"].clone();
    told.as_object()
        .unwrap()
        .iter()
        .filter(|(_, count)| **count != 0)
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect()
}

/// All bytes until the connection ends, and how it ends.
fn raw(server: &Server, request: &str) -> (String, Option<ErrorKind>) {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    let end = loop {
        match stream.read(&mut buffer) {
            Ok(0) => break None,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(error) => break Some(error.kind()),
        }
    };
    (String::from_utf8(bytes).unwrap(), end)
}

#[expect(clippy::disallowed_methods, reason = "what is tested is how long something takes")]
fn timed<T>(act: impl FnOnce() -> T) -> (T, Duration) {
    let before = Instant::now();
    let thing = act();
    (thing, before.elapsed())
}

#[test]
fn a_delay_comes_after_the_commit() {
    let server = start("delay=30ms", &[]);
    let mut client = server.connect();
    let (answer, time) = timed(|| client.ask(&post("/", "hi")));
    assert_eq!((answer.status, &*answer.body), (200, "hi"));
    assert!(time >= Duration::from_millis(30), "{time:?}");
    assert_eq!((server.rows(), suffered(&server)), (1, serde_json::json!({"delay": 1})));
    let told = stats(&server);
    assert!(told["times"]["service_faulted"]["p50_ns"].as_u64().unwrap() >= 30_000_000);
    assert_eq!((&told["faults"]["requests"], &told["faults"]["answered"]), (&1.into(), &1.into()));
}

#[test]
fn a_short_delay_is_not_rounded_up_to_milliseconds() {
    let server = start("delay=150us", &["--store", "none"]);
    let mut client = server.connect();
    let times: Vec<_> = (0..50).map(|_| timed(|| client.ask(&get("/"))).1).collect();
    let shortest = times.iter().min().unwrap();
    assert!((150..1000).contains(&shortest.as_micros()), "{shortest:?}");
}

#[test]
fn a_delay_grows_with_the_crowd() {
    let server = start("delay-per-inflight=20ms", &["--store", "none"]);
    let mut clients: Vec<_> = (0..4).map(|_| server.connect()).collect();
    let ((), all) = timed(|| {
        for client in &mut clients {
            client.send(&get("/"));
        }
        for client in &mut clients {
            assert_eq!(client.answer().status, 200);
        }
    });
    assert!(all >= Duration::from_millis(40), "{all:?}");
    assert_eq!(suffered(&server), serde_json::json!({"delay-per-inflight": 4}));
}

#[test]
fn a_failing_status_keeps_no_row_and_another_does() {
    let server = start("", &["--allow-faults"]);
    let mut client = server.connect();
    let answer = client.ask(&post("/?status=503", "hi"));
    assert_eq!((answer.status, &*answer.body), (503, "status 503 by a fault\n"));
    assert!(answer.headers.contains(&"retry-after: 1".into()));
    assert_eq!(server.rows(), 0);
    let answer = client.ask(&post("/?status=201", "hi"));
    assert_eq!((answer.status, &*answer.body), (201, "hi"));
    assert_eq!((client.ask(&post("/?status=204", "hi")).status, client.ask(&get("/")).status), (204, 200));
    assert_eq!(server.rows(), 3);
    let told = stats(&server);
    assert_eq!(told["requests"]["by_status"], serde_json::json!({"200": 1, "201": 1, "204": 1, "503": 1}));
    assert_eq!(suffered(&server), serde_json::json!({"status": 3}));
}

#[test]
fn an_answer_has_the_size_that_was_asked_for() {
    let server = start("", &["--allow-faults"]);
    let mut client = server.connect();
    for size in [0, 1, 65_536, 65_537, 1_000_000] {
        let answer = client.ask(&post(&format!("/?size={size}"), "hi"));
        assert_eq!((answer.status, answer.body.len()), (200, size));
    }
    client.send("HEAD /?size=1MiB HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(client.head().headers.contains(&"content-length: 1048576".into()));
    assert_eq!(client.ask(&get("/")).body, "");
    assert_eq!(server.rows(), 7);
    assert_eq!(stats(&server)["requests"]["unanswered"], 0);
}

#[test]
fn a_connection_is_closed_after_its_answer_which_says_so() {
    let server = start("close=100", &[]);
    let mut client = server.connect();
    let answer = client.ask(&post("/", "hi"));
    assert_eq!((answer.status, &*answer.body), (200, "hi"));
    assert!(answer.headers.contains(&"connection: close".into()), "{answer:?}");
    assert!(client.at_end());
    assert_eq!((server.rows(), suffered(&server)), (1, serde_json::json!({"close": 1})));
}

#[test]
fn a_reset_is_one_and_the_row_is_there() {
    let server = start("reset=100", &[]);
    let (text, end) = raw(&server, &post("/", "hi"));
    assert_eq!((&*text, end), ("", Some(ErrorKind::ConnectionReset)));
    let told = until("it is over", || Some(stats(&server)).filter(|told| told["requests"]["in_flight"] == 0));
    assert_eq!(
        (&told["requests"]["unanswered_by_reason"]["reset"], &told["requests"]["answered"]),
        (&1.into(), &0.into())
    );
    assert_eq!((server.rows(), suffered(&server)), (1, serde_json::json!({"reset": 1})));
}

#[test]
fn half_an_answer_is_sent_and_then_the_end() {
    let server = start("truncate=100", &[]);
    let (text, end) = raw(&server, &post("/", "0123456789"));
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(
        head.starts_with("HTTP/1.1 200 OK") && head.to_lowercase().contains("content-length: 10"),
        "{head}"
    );
    assert_eq!((body, end), ("01234", None));
    let told = until("it is over", || Some(stats(&server)).filter(|told| told["requests"]["in_flight"] == 0));
    assert_eq!(
        (&told["requests"]["unanswered_by_reason"]["truncated"], &told["requests"]["answered"]),
        (&1.into(), &0.into())
    );
    assert_eq!((server.rows(), suffered(&server)), (1, serde_json::json!({"truncate": 1})));
    // What has no body cannot be cut.
    assert_eq!(server.connect().ask(&get("/")).status, 200);
    assert_eq!(suffered(&server), serde_json::json!({"truncate": 1}));
}

#[test]
fn a_large_answer_is_cut_in_the_middle_too() {
    let server = start("truncate=100&size=1MiB", &["--store", "none"]);
    let (text, end) = raw(&server, &get("/"));
    let (_, body) = text.split_once("\r\n\r\n").unwrap();
    assert_eq!((body.len(), end), (512 * 1024, None));
}

#[test]
fn a_dripping_body_takes_its_time() {
    let server = start("drip=100ms", &[]);
    let mut client = server.connect();
    let body: String = ('a'..='z').collect();
    let (head, to_head) = timed(|| {
        client.send(&post("/", &body));
        client.head()
    });
    assert_eq!(head.status, 200);
    let (rest, to_end) = timed(|| client.read(26));
    assert_eq!(rest, body);
    assert!(to_head + to_end >= Duration::from_millis(100), "{to_head:?} {to_end:?}");
    assert!(
        to_end >= Duration::from_millis(20),
        "the head does not wait for the body: {to_head:?} {to_end:?}"
    );
    let told = until("it is over", || Some(stats(&server)).filter(|told| told["requests"]["in_flight"] == 0));
    assert_eq!((&told["requests"]["answered"], server.rows()), (&1.into(), 1));
    assert!(told["times"]["service"]["max_ns"].as_u64().unwrap() >= 90_000_000, "{told}");
    assert_eq!(suffered(&server), serde_json::json!({"drip": 1}));
}

#[test]
fn a_request_that_is_never_answered_ends_with_its_client_or_the_server() {
    let mut server = start("", &["--allow-faults", "--drain-timeout", "60m"]);
    let mut left = server.connect();
    left.send(&get("/?never=100"));
    until("it waits", || (stats(&server)["requests"]["in_flight"] == 1).then_some(()));
    drop(left);
    until("it is over", || (stats(&server)["requests"]["unanswered_by_reason"]["never"] == 1).then_some(()));
    let mut stays = server.connect();
    stays.send(&get("/?never=100"));
    until("it waits", || (stats(&server)["requests"]["in_flight"] == 1).then_some(()));
    assert!(stays.silent());
    assert_eq!(server.rows(), 0);
    server.signal("TERM");
    assert!(stays.try_answer(false).is_none());
    let ended = server.wait();
    assert_eq!((ended.code, &ended.counts["unanswered"]), (Some(0), &2.into()));
}

#[test]
fn everybody_waits_for_the_end_of_a_hiccup() {
    let server = start("hiccup=300ms/600ms", &["--store", "none"]);
    let mut client = server.connect();
    // As long as a period, whenever that begins: one hiccup at least.
    let mut times = Vec::new();
    let ((), all) = timed(|| {
        while times.iter().sum::<Duration>() < Duration::from_millis(1300) {
            times.push(timed(|| assert_eq!(client.ask(&get("/")).status, 200)).1);
        }
    });
    let longest = times.iter().max().unwrap();
    assert!(
        *longest >= Duration::from_millis(250) && *longest < Duration::from_secs(5),
        "{longest:?} of {all:?}"
    );
    let hiccups = suffered(&server)["hiccup"].as_u64().unwrap();
    assert!((1..=times.len() as u64 / 2).contains(&hiccups), "{hiccups} of {}", times.len());
}

#[test]
fn a_freeze_is_thawed_by_other_faults() {
    let server = start("freeze=60s@0s", &["--allow-faults", "--store", "none"]);
    let mut frozen = server.connect();
    frozen.send(&get("/"));
    until("it waits", || (stats(&server)["faults"]["by_kind"]["freeze"] == 1).then_some(()));
    assert!(frozen.silent());
    let put = |text: &str| {
        let request =
            format!("PUT /-/faults HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{text}", text.len());
        admin(&server).ask(&request)
    };
    let told: Value = serde_json::from_str(&put("delay=1ms:50").body).unwrap();
    assert_eq!((&told["faults"], &told["allowed"]), (&"delay=1ms:50".into(), &true.into()));
    assert_eq!(server.connect().ask(&get("/")).status, 200);
    let refused = put("delay=1ms&slow=1");
    assert_eq!(refused.status, 400);
    assert!(refused.body.starts_with("there is no fault \"slow\"; there are delay, "), "{}", refused.body);
    assert_eq!(stats(&server)["faults_in_force"], "delay=1ms:50");
    assert_eq!(put("").status, 200);
    assert_eq!(stats(&server)["faults_in_force"], "");
}

#[test]
fn faults_of_requests_need_to_be_allowed() {
    let server = start("", &["--store", "none"]);
    let mut client = server.connect();
    assert_eq!(client.ask(&get("/?status=503")).status, 200);
    assert_eq!(client.ask("GET / HTTP/1.1\r\nHost: x\r\nX-Fault: nonsense\r\n\r\n").status, 200);
    let refused = admin(&server).ask("PUT /-/faults HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(
        (refused.status, &*refused.body),
        (403, "faults cannot be changed: start the server with --allow-faults\n")
    );
    assert_eq!(stats(&server)["faults"]["requests"], 0);
}

#[test]
fn a_query_may_be_percent_encoded() {
    let server = start("", &["--store", "none", "--allow-faults"]);
    let mut client = server.connect();
    assert_eq!(client.ask(&get("/?status=503%3A100")).status, 503);
    assert_eq!(client.ask(&get("/?st%61tus=418&x=%ff")).status, 418);
    let answer = client.ask(&get("/?delay=1ms%2"));
    assert_eq!(answer.status, 400, "what is no encoding stands for itself: {answer:?}");
}

#[test]
fn a_fault_that_cannot_be_meant_is_a_sentence_and_keeps_no_row() {
    let server = start("", &["--allow-faults"]);
    let mut client = server.connect();
    assert_eq!(client.ask(&get("/orders?id=7&status_code=3")).status, 200, "somebody else's words");
    for (request, said) in [
        (get("/?delay=soon"), "the fault delay=soon is not understood: a time is like 150us, 20ms or 2s\n"),
        (
            "GET / HTTP/1.1\r\nHost: x\r\nX-Fault: slow=1\r\n\r\n".into(),
            "there is no fault \"slow\"; there are delay, delay-per-inflight, status, size, close, hiccup, freeze, reset, truncate, drip, never\n",
        ),
        (
            "GET / HTTP/1.1\r\nHost: x\r\nX-Fault: close=0\r\nX-Fault: size=0\r\n\r\n".into(),
            "there are several X-Fault fields; join what they say with &\n",
        ),
        (
            get("/?hiccup=1s/2s"),
            "the fault hiccup concerns the whole server: give it with --faults or PUT /-/faults, not with a request\n",
        ),
    ] {
        let answer = client.ask(&request);
        assert_eq!((answer.status, &*answer.body), (400, said));
    }
    assert_eq!(server.rows(), 1);
    let output = crate::helper::run(&["--faults", "delay=2h"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("the fault delay=2h is not understood"), "{said}");
}

#[test]
fn a_seed_repeats_what_befalls_the_requests() {
    let run = |seed: &str| -> Vec<u16> {
        let server = start("status=503:30,404:20", &["--store", "none", "--seed", seed, "--allow-faults"]);
        let mut client = server.connect();
        let mut ask = || -> Vec<u16> { (0..40).map(|_| client.ask(&get("/")).status).collect() };
        let first = ask();
        assert_ne!(ask(), first, "it goes on, and does not repeat by itself");
        let reset = admin(&server).ask("POST /-/reset HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(reset.status, 200);
        assert_eq!(ask(), first, "but a reset begins anew");
        first
    };
    let first = run("42");
    assert!([200, 404, 503].iter().all(|status| first.contains(status)), "{first:?}");
    assert_eq!(run("42"), first);
    assert_ne!(run("43"), first);
}

#[test]
fn under_faults_the_rows_lie_between_the_answers_and_the_requests() {
    let faults = "delay=1ms:20&status=503:10,201:10&close=5&reset=5&truncate=5&drip=1ms:5&size=100:50";
    let mut server = start(faults, &[]);
    let (mut sent, mut answered) = (0, 0);
    let mut client = server.connect();
    for _ in 0..400 {
        sent += 1;
        match client.try_ask(&post("/", "some words")) {
            Some(answer) => {
                answered += u64::from(answer.status < 300);
                if answer.headers.contains(&"connection: close".into()) {
                    client = server.connect();
                }
            }
            None => client = server.connect(),
        }
    }
    let told =
        until("all are over", || Some(stats(&server)).filter(|told| told["requests"]["in_flight"] == 0));
    let count = |value: &Value| value.as_u64().unwrap();
    let requests = &told["requests"];
    assert_eq!(count(&requests["begun"]), sent);
    assert_eq!(count(&requests["answered"]) + count(&requests["unanswered"]), sent);
    assert_eq!(count(&requests["by_status"]["200"]) + count(&requests["by_status"]["201"]), answered);
    let failed = count(&requests["by_status"]["503"]);
    let rows = server.rows();
    assert!(answered < rows && rows < sent, "{answered} answers, {rows} rows, {sent} requests");
    assert!(failed > 0 && rows >= sent - failed - count(&requests["unanswered"]), "{told}");
    assert_eq!(server.stop().counts["rows"], rows);
}

#[test]
fn a_delay_that_takes_too_long_is_one_answer_in_the_account() {
    let server = start("delay=60s", &["--request-timeout", "50ms"]);
    let answer = server.connect().ask(&post("/", "hi"));
    assert_eq!((answer.status, &*answer.body), (503, "the request could not be answered in time\n"));
    let told = until("it is over", || Some(stats(&server)).filter(|told| told["requests"]["in_flight"] == 0));
    let requests = &told["requests"];
    assert_eq!((&requests["begun"], &requests["unanswered"]), (&1.into(), &0.into()));
    assert_eq!(requests["by_status"], serde_json::json!({"503": 1}));
    assert_eq!((server.rows(), suffered(&server)), (1, serde_json::json!({"delay": 1})));
}
