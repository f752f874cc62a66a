//! What the server says while it runs.

use serde_json::Value;

use crate::helper::{Server, get, post, until};

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
    assert_eq!(events(&lines)[3]["message"], "stopped after 1 answer and 0 rows");
    let serving = &events(&lines)[0];
    assert_eq!(serving["urls"], serde_json::json!([format!("http://{}/", server.address)]));
    assert_eq!((&serving["store"], &serving["instances"]), (&"none".into(), &1.into()));
}

#[test]
fn people_are_told_sentences() {
    let mut server = Server::start(&["--store", "none", "--log-format", "plain"]);
    server.connect().ask(&get("/"));
    server.connect().ask("GET /\r\n\r\n");
    server.stop();
    let first = format!("serving on http://{}/ (1 instance, store none)", server.address);
    let last = "stopped after 1 answer and 0 rows; 1 connection brought no request";
    let expected = [&first, "draining: 0 requests in flight", "drained with 0 requests in flight", last];
    assert_eq!(server.printed(), expected);
}

#[test]
fn people_are_told_what_several_did_together() {
    let mut server = Server::start(&["--store", "none", "--log-format", "plain", "--instances", "2"]);
    server.connect().ask(&get("/"));
    server.stop();
    let lines = server.printed();
    let last = lines.last().unwrap();
    let shares = ["1, 0", "0, 1"]
        .map(|shares| format!("stopped after 1 answer and 0 rows; answers by instance: {shares}"));
    assert!(shares.contains(last), "{last}");
    assert!(!lines.iter().any(|line| line.contains('{')), "{lines:#?}");
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

#[test]
fn a_hangup_reads_the_file_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings");
    std::fs::write(&file, "log-level = warn\nfaults = status=503\n").unwrap();
    let mut server = Server::start(&["--store", "none", "--reload-from", file.to_str().unwrap()]);
    let status = || server.connect().ask(&get("/")).status;
    assert_eq!(status(), 200, "not at the start");
    server.signal("HUP");
    until("the faults are in force", || (status() == 503).then_some(()));
    std::fs::write(&file, "threads = 9\nfaults =\n").unwrap();
    server.signal("HUP");
    std::fs::write(&file, "faults =\n").unwrap();
    until("they are gone", || {
        server.signal("HUP");
        (status() == 200).then_some(())
    });
    server.stop();
    let lines = server.printed();
    let reloads: Vec<_> = events(&lines).into_iter().filter(|event| event["event"] == "reload").collect();
    assert_eq!(reloads[0]["message"], "from now on: log-level warn, faults status=503");
    assert_eq!(reloads.last().unwrap()["message"], "from now on: no faults");
    assert!(!names(&lines).contains(&"drain-begun".into()), "that is no warning: {lines:?}");
}

#[test]
fn what_a_hangup_changed_holds_for_successors_and_for_the_parent() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings");
    std::fs::write(&file, "log-level = error\nfaults = status=503\n").unwrap();
    let mut server =
        Server::start(&["--store", "none", "--instances", "2", "--reload-from", file.to_str().unwrap()]);
    // The kernel spreads connections over both; fifty on one side alone are as good as impossible.
    let all_refuse =
        || (0..50).all(|_| server.connect().try_ask(&get("/")).is_some_and(|answer| answer.status == 503));
    assert!(!all_refuse(), "not at the start");
    server.signal("HUP");
    until("the faults are in force", || all_refuse().then_some(()));
    crate::helper::send_signal(server.children()[0], "KILL");
    until("it is restarted", || server.stderr().contains("serves again").then_some(()));
    until("its successor has them", || all_refuse().then_some(()));
    server.signal("USR2");
    until("all are new", || server.stderr().contains("rolling restart: done").then_some(()));
    until("they have them too", || all_refuse().then_some(()));
    server.stop();
    let lines = server.printed();
    assert!(!names(&lines).iter().any(|name| name.starts_with("instance-") || name == "rolled"), "{lines:?}");
}

#[test]
fn a_file_that_cannot_be_meant_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings");
    std::fs::write(&file, "").unwrap();
    let flags = ["--store", "none", "--admin-on-main", "--log-level", "error", "--reload-from"];
    let mut server = Server::start(&[flags.as_slice(), &[file.to_str().unwrap()]].concat());
    std::fs::write(&file, "faults = close=1\nthreads = 3\n").unwrap();
    let file = file.to_str().unwrap();
    server.signal("HUP");
    let in_force = || server.connect().ask(&get("/-/faults")).body;
    // A signal is seen at the latest when a request after it is.
    for _ in 0..100 {
        assert!(in_force().contains("\"faults\": \"\""), "{}", in_force());
    }
    server.stop();
    let lines = server.printed();
    assert_eq!(names(&lines), ["serving", "reload-failed", "stopped"]);
    let sentence = format!(
        "nothing was changed: {file}: line 2: \"threads\" cannot be changed while the server runs; log-level and faults can"
    );
    assert_eq!(events(&lines)[1]["message"], sentence);
}

#[test]
fn without_a_file_a_hangup_changes_nothing() {
    let mut server = Server::start(&["--store", "none"]);
    server.signal("HUP");
    assert_eq!(server.connect().ask(&get("/")).status, 200);
    assert_eq!(server.stop().code, Some(0));
    assert_eq!(names(&server.printed())[1], "reload");
}

#[test]
fn the_limit_is_told_once_each_time() {
    let mut server = Server::start(&["--store", "none", "--max-connections", "1"]);
    let mut client = server.connect();
    assert_eq!(client.ask(&get("/")).status, 200);
    let waiting = server.connect();
    assert_eq!(client.ask(&get("/")).status, 200);
    drop((client, waiting));
    server.stop();
    let lines = server.printed();
    assert_eq!(names(&lines).iter().filter(|name| *name == "limit-reached").count(), 1, "{lines:?}");
    let reached = events(&lines).into_iter().find(|event| event["event"] == "limit-reached").unwrap();
    assert_eq!((&reached["level"], &reached["limit"]), (&"warn".into(), &1.into()));
}

#[test]
fn a_deep_queue_is_told() {
    let mut server = Server::start(&["--threads", "1", "--drain-timeout", "60m"]);
    let lock = rusqlite::Connection::open(server.database()).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut clients: Vec<_> = (0..120).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(&get("/"));
    }
    let told = server.read_until("queue-deep");
    lock.execute_batch("ROLLBACK").unwrap();
    for client in &mut clients {
        assert_eq!(client.answer().status, 200);
    }
    let event: Value = serde_json::from_str(&told).unwrap();
    assert!(event["waiting"].as_u64().unwrap() >= 100 && event["level"] == "warn", "{event}");
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn several_instances_say_who_they_are_and_have_an_admin_socket_each() {
    let mut server = Server::start(&[
        "--instances",
        "2",
        "--store",
        "none",
        "--admin",
        "127.0.0.1:0",
        "--instance-header",
        "--log-sample",
        "1",
    ]);
    let mut client = server.connect();
    let answer = client.ask(&get("/"));
    let number =
        answer.headers.iter().find_map(|header| header.strip_prefix("x-instance: ")).unwrap().to_owned();
    let told = crate::admin::stats(&server);
    assert_eq!(told["instance"], "1");
    assert_eq!(told["requests"]["answered"], u64::from(number == "1"));
    drop(client);
    let ended = server.stop();
    assert_eq!((&ended.counts["answered"], &ended.counts["event"]), (&1.into(), &"stopped".into()));
    let lines = server.printed();
    let serving = &events(&lines)[0];
    assert_eq!(serving["admin"].as_array().unwrap().len(), 2);
    let request = events(&lines).into_iter().find(|event| event["event"] == "request").unwrap();
    assert_eq!(request["instance"], *number);
}
