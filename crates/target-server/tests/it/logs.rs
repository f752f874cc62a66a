//! What the server says while it runs.

use serde_json::Value;

use crate::helper::{Server, get, post};

fn events(lines: &[String]) -> Vec<Value> {
    lines.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line:?}"))).collect()
}

fn names(lines: &[String]) -> Vec<String> {
    events(lines).iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_life_is_told_as_objects() {
    let mut server = Server::start(&["--store", "none", "--instance", "blue"]);
    server.connect().ask(&get("/"));
    server.stop();
    let lines = server.printed();
    assert_eq!(names(&lines), ["serving", "drain-begun", "drain-ended", "stopped"]);
    for event in events(&lines) {
        assert_eq!((&event["level"], &event["instance"]), (&"info".into(), &"blue".into()));
        assert!(event["time"].as_str().unwrap().ends_with('Z') && event["message"].is_string(), "{event}");
    }
    let serving = &events(&lines)[0];
    assert_eq!(serving["urls"], serde_json::json!([format!("http://{}/", server.address)]));
    assert_eq!((&serving["store"], &serving["instances"]), (&"none".into(), &1.into()));
}

#[test]
fn people_are_told_sentences_and_the_counts() {
    let mut server = Server::start(&["--store", "none", "--log-format", "plain"]);
    server.connect().ask(&get("/"));
    server.stop();
    let lines = server.printed();
    let first = format!("serving on http://{}/ (1 instance, store none)", server.address);
    assert_eq!(lines[..3], [&first, "draining: 0 requests in flight", "drained with 0 requests in flight"]);
    let counts: Value = serde_json::from_str(&lines[3]).unwrap();
    assert_eq!((&counts["answered"], &counts["event"], lines.len()), (&1.into(), &Value::Null, 4));
}

#[test]
fn only_what_matters_enough_is_told_but_first_and_last_lines_are() {
    let mut server = Server::start(&["--store", "none", "--log-level", "warn", "--log-sample", "1"]);
    server.connect().ask(&get("/"));
    server.stop();
    assert_eq!(names(&server.printed()), ["serving", "stopped"]);
}

#[test]
fn every_so_manyth_request_is_told() {
    let mut server = Server::start(&["--log-sample", "3"]);
    let mut client = server.connect();
    for n in 1..=7 {
        client.ask(&post(&format!("/{n}?x=y"), "hello"));
    }
    server.stop();
    let lines = server.printed();
    let requests: Vec<_> = events(&lines).into_iter().filter(|event| event["event"] == "request").collect();
    let told: Vec<_> =
        requests.iter().map(|event| (event["number"].clone(), event["path"].clone())).collect();
    assert_eq!(told, [(3.into(), "/3?x=y".into()), (6.into(), "/6?x=y".into())]);
    let request = &requests[0];
    assert_eq!(
        (&request["method"], &request["status"], &request["bytes"]),
        (&"POST".into(), &200.into(), &5.into())
    );
    assert_eq!(request["client"], "127.0.0.1");
    for time in ["service_ms", "queue_ms", "lock_ms", "commit_ms"] {
        assert!(request[time].as_f64().is_some_and(|ms| (0.0..10_000.0).contains(&ms)), "{time}: {request}");
    }
}

#[test]
fn changes_by_the_operator_are_told() {
    let mut server = Server::start(&["--store", "none", "--admin-on-main", "--allow-faults"]);
    let mut client = server.connect();
    client.ask("PUT /-/faults HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\nclose=1");
    client.ask("POST /-/reset HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    drop(client);
    server.stop();
    let lines = server.printed();
    assert_eq!(names(&lines)[1..3], ["faults", "reset"]);
    assert_eq!(events(&lines)[1]["message"], "faults from now on: close=1");
}

#[test]
fn a_reader_that_has_gone_stops_nobody() {
    let mut server = Server::start(&["--store", "none", "--log-sample", "1"]);
    server.stop_reading();
    let mut client = server.connect();
    for _ in 0..2000 {
        assert_eq!(client.ask(&get("/")).status, 200);
    }
    drop(client);
    assert_eq!(server.stop().code, Some(0));
}
