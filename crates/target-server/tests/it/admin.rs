//! Who asks an instance what it did gets the truth, at any time.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;

use serde_json::Value;

use crate::helper::{Answer, Client, Server, get, post, until};
use crate::prometheus::Metrics;

const TCP: [&str; 2] = ["--admin", "127.0.0.1:0"];

pub(crate) fn start(flags: &[&str]) -> Server {
    Server::start(&[&TCP, flags].concat())
}

/// A fresh connection to the admin socket.
pub(crate) fn admin(server: &Server) -> Client {
    Client::connect(operator(server))
}

fn operator(server: &Server) -> SocketAddr {
    let place = server.admin.as_ref().expect("an admin socket");
    place.strip_prefix("http://").unwrap().trim_end_matches('/').parse().unwrap()
}

pub(crate) fn stats(server: &Server) -> Value {
    let answer = admin(server).ask(&get("/-/stats"));
    assert_eq!(answer.status, 200);
    serde_json::from_str(&answer.body).unwrap()
}

pub(crate) fn metrics(server: &Server) -> Metrics {
    let answer = admin(server).ask(&get("/-/metrics"));
    assert_eq!(answer.status, 200);
    assert!(answer.headers.contains(&"content-type: text/plain; version=0.0.4; charset=utf-8".into()));
    Metrics::parse(&answer.body)
}

#[test]
fn the_account_is_exact_and_admin_requests_are_not_in_it() {
    let mut server = start(&["--max-body", "10", "--threads", "2"]);
    let mut client = server.connect();
    for n in 0..7 {
        assert_eq!(client.ask(&post("/", &n.to_string())).status, 200);
    }
    assert_eq!(server.connect().ask(&post("/", "far more than ten")).status, 413);
    for _ in 0..3 {
        stats(&server);
    }
    let told = stats(&server);
    assert_eq!((&told["state"], &told["rows"]), (&"serving".into(), &7.into()));
    assert_eq!(told["connections"]["accepted"], 2);
    let requests = &told["requests"];
    assert_eq!((&requests["begun"], &requests["answered"]), (&8.into(), &8.into()));
    assert_eq!(requests["by_status"], serde_json::json!({"200": 7, "413": 1}));
    assert_eq!((&requests["in_flight"], &requests["in_flight_most"]), (&0.into(), &1.into()));
    assert_eq!(requests["unanswered"], 0);
    for (time, count) in [("service", 8), ("queue", 7), ("lock", 7), ("commit", 7), ("service_faulted", 0)] {
        assert_eq!(told["times"][time]["count"], count, "{time}");
    }
    let service = &told["times"]["service"];
    let [p50, p99, max] = ["p50_ns", "p99_ns", "max_ns"].map(|name| service[name].as_u64().unwrap());
    assert!(p50 <= p99 && p99 <= max && p50 > 0, "{service}");
    assert_eq!((&told["store"]["rows"], &told["settings"]["threads"]), (&7.into(), &"2".into()));
    assert!(told["cpu_seconds"].as_f64().unwrap() > 0.0);
    assert_eq!(server.rows(), 7);
    let ended = server.stop();
    assert_eq!((&ended.counts["answered"], &ended.counts["errors"]), (&8.into(), &1.into()));
    assert_eq!(ended.counts["accepted"], 2);
}

#[test]
fn a_reset_begins_anew_and_what_is_under_way_stays_in_balance() {
    let server = start(&["--allow-faults"]);
    let mut slow = server.connect();
    slow.send(&get("/?never=100"));
    let mut client = server.connect();
    assert_eq!(client.ask(&get("/")).status, 200);
    until("both requests have begun", || (stats(&server)["requests"]["begun"] == 2).then_some(()));
    let before = stats(&server)["since"].as_f64().unwrap();
    let reset = admin(&server).ask("POST /-/reset HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(reset.status, 200);
    let since: Value = serde_json::from_str(&reset.body).unwrap();
    assert!(since["since"].as_str().unwrap().ends_with('Z'), "{since}");
    let told = stats(&server);
    assert!(told["since"].as_f64().unwrap() > before);
    assert_eq!((&told["requests"]["begun"], &told["requests"]["answered"]), (&0.into(), &0.into()));
    assert_eq!(
        (&told["requests"]["in_flight_at_start"], &told["requests"]["in_flight"]),
        (&1.into(), &1.into())
    );
    assert_eq!((&told["rows"], &told["connections"]["accepted"]), (&0.into(), &0.into()));
    assert_eq!(told["times"]["service"]["count"], 0);
    assert_eq!(client.ask(&get("/")).status, 200);
    drop(slow);
    let told = until("the slow one has left", || {
        let told = stats(&server);
        (told["requests"]["in_flight"] == 0).then_some(told)
    });
    let requests = &told["requests"];
    assert_eq!((&requests["begun"], &requests["answered"]), (&1.into(), &1.into()));
    assert_eq!((&requests["unanswered"], &requests["unanswered_by_reason"]["never"]), (&1.into(), &1.into()));
}

#[test]
fn after_a_reset_under_load_rows_and_answers_still_belong_together() {
    // A delay comes after the commit.
    let server = start(&["--faults", "delay=2s"]);
    let mut client = server.connect();
    client.send(&get("/"));
    until("the row is committed", || (stats(&server)["store"]["rows"] == 1).then_some(()));
    let reset = "POST /-/reset HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(admin(&server).ask(reset).status, 200);
    let told = stats(&server);
    let store = &told["store"];
    assert_eq!(
        (&store["rows"], &store["transactions"], &store["batches"]),
        (&0.into(), &0.into(), &Value::Array(vec![]))
    );
    assert_eq!(client.answer().status, 200);
    let told = stats(&server);
    let requests = &told["requests"];
    assert_eq!((&requests["by_status"]["200"], &told["rows"]), (&1.into(), &0.into()));
    assert_eq!(requests["in_flight_at_start"], 1, "2xx <= rows + in_flight_at_start");
}

#[test]
fn metrics_can_be_read_by_a_strict_reader_and_say_the_same() {
    let server = start(&["--faults", "delay=1ms:100&status=503:0"]);
    let mut client = server.connect();
    for _ in 0..5 {
        assert_eq!(client.ask(&get("/")).status, 200);
    }
    let metrics = metrics(&server);
    for (name, labels, value) in [
        ("target_requests_begun_total", "", 5.0),
        ("target_requests_answered_total", "status=\"200\"", 5.0),
        ("target_rows_committed_total", "", 5.0),
        ("target_faults_total", "kind=\"delay\"", 5.0),
        ("target_requests_faulted_answered_total", "", 5.0),
        ("target_ready", "", 1.0),
        ("target_service_seconds_count", "", 5.0),
        ("target_service_seconds_bucket", "le=\"0.0005\"", 0.0),
        ("target_service_seconds_bucket", "le=\"10\"", 5.0),
        ("target_commit_seconds_count", "", 5.0),
        ("target_store_batch_rows_sum", "", 5.0),
        ("target_connections_open", "", 1.0),
    ] {
        assert_eq!(metrics.value(name, labels), Some(value), "{name}{{{labels}}}");
    }
    let sum = metrics.value("target_service_seconds_sum", "").unwrap();
    assert!((0.005..10.0).contains(&sum), "{sum}");
    let queue = format!("socket=\"{}\"", server.address);
    assert_eq!(metrics.value("target_accept_queue_connections", &queue), Some(0.0));
}

#[test]
fn what_there_is_not_is_answered_with_what_there_is() {
    let server = start(&["--store", "none"]);
    let mut client = admin(&server);
    let unknown = client.ask(&get("/-/nonsense"));
    let list = "/-/healthz, /-/readyz, /-/metrics, /-/stats, /-/reset, /-/faults";
    assert_eq!(
        (unknown.status, &*unknown.body),
        (404, &*format!("there is no /-/nonsense here; there are {list}\n"))
    );
    assert_eq!(client.ask(&get("/")).status, 404);
    for (method, path, allow) in [
        ("GET", "/-/reset", "allow: post"),
        ("POST", "/-/stats", "allow: get, head"),
        ("DELETE", "/-/faults", "allow: get, head, put"),
    ] {
        let refused =
            client.ask(&format!("{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"));
        assert_eq!(refused.status, 405, "{method} {path}");
        assert!(refused.headers.contains(&allow.into()), "{refused:?}");
    }
    client.send("HEAD /-/healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.head().status, 200);
    assert_eq!(client.ask(&get("/-/healthz?x=y")).body, "alive\n");
}

#[test]
fn among_requests_the_paths_are_reserved_only_where_that_is_wanted() {
    let mut ordinary = Server::start(&[]);
    assert_eq!(ordinary.connect().ask(&post("/-/reset", "hi")).body, "hi");
    assert_eq!(ordinary.rows(), 1);
    assert_eq!(ordinary.stop().counts["rows"], 1);
    let mut both = Server::start(&["--admin-on-main", "true"]);
    let mut client = both.connect();
    assert_eq!(client.ask(&get("/-/readyz")).body, "serving\n");
    assert_eq!(client.ask(&post("/", "hi")).body, "hi");
    let told: Value = serde_json::from_str(&client.ask(&get("/-/stats")).body).unwrap();
    assert_eq!((&told["requests"]["begun"], &told["rows"]), (&1.into(), &1.into()));
    assert_eq!(both.rows(), 1);
    assert_eq!(both.stop().counts["answered"], 1);
}

#[test]
fn it_answers_at_the_limit_and_tells_who_waits() {
    let server = start(&["--store", "none", "--max-connections", "1", "--backlog", "7"]);
    let mut first = server.connect();
    assert_eq!(first.ask(&get("/")).status, 200);
    let _waiting = [server.connect(), server.connect()];
    // One of them may have been taken out of the queue, to be let in next.
    let waiting =
        until("some wait", || stats(&server)["accept_queues"][0]["waiting"].as_u64().filter(|n| *n > 0));
    assert!(waiting <= 2, "{waiting}");
    assert_eq!(stats(&server)["accept_queues"][0]["limit"], 7);
    let limit = format!("socket=\"{}\"", server.address);
    assert_eq!(metrics(&server).value("target_accept_queue_limit_connections", &limit), Some(7.0));
    assert_eq!(admin(&server).ask(&get("/-/readyz")).status, 200);
    assert_eq!(stats(&server)["connections"]["open"], 1);
}

#[test]
fn it_answers_while_the_server_freezes() {
    let server = start(&["--store", "none", "--faults", "freeze=60s@0s"]);
    let mut client = server.connect();
    client.send(&get("/"));
    let told = until("the request has begun", || {
        let told = stats(&server);
        (told["requests"]["in_flight"] == 1).then_some(told)
    });
    assert_eq!((&told["faults"]["by_kind"]["freeze"], &told["requests"]["answered"]), (&1.into(), &0.into()));
    assert_eq!(admin(&server).ask(&get("/-/healthz")).status, 200);
    assert!(client.silent());
}

#[test]
fn a_drain_is_told_and_waits_for_no_operator() {
    let mut server = start(&[]);
    let lock = rusqlite::Connection::open(server.database()).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut client = server.connect();
    client.send(&get("/"));
    let mut operator = admin(&server);
    assert_eq!(operator.ask(&get("/-/readyz")).status, 200);
    until("the request has begun", || (stats(&server)["requests"]["in_flight"] == 1).then_some(()));
    server.signal("TERM");
    until("it drains", || (operator.ask(&get("/-/readyz")).status == 503).then_some(()));
    assert_eq!(operator.ask(&get("/-/readyz")).body, "draining\n");
    assert_eq!(stats(&server)["requests"]["in_flight"], 1, "a fresh connection is answered too");
    lock.execute_batch("ROLLBACK").unwrap();
    assert_eq!(client.answer().status, 200);
    // The operator's connection is still open, and half a request is on it.
    operator.send("GET /-/");
    assert_eq!(server.wait().code, Some(0));
}

#[test]
fn a_server_that_opens_its_database_is_alive_but_not_ready() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("requests.db");
    let lock = rusqlite::Connection::open(&path).unwrap();
    lock.execute_batch("PRAGMA journal_mode = WAL; BEGIN IMMEDIATE").unwrap();
    let socket = folder.path().join("admin.sock");
    let mut command = std::process::Command::new(crate::helper::PROGRAM);
    command.args(["--listen", "127.0.0.1:0"]).arg("--admin").arg(format!("unix:{}", socket.display()));
    let place = socket.clone();
    let asked = std::thread::spawn(move || {
        let answer = until("it answers", || over_unix(&place, "/-/readyz"));
        lock.execute_batch("ROLLBACK").unwrap();
        answer
    });
    let server = Server::launch(folder, &mut command);
    let answer = asked.join().unwrap();
    assert!(answer.starts_with("HTTP/1.1 503") && answer.ends_with("starting\n"), "{answer}");
    let answer = until("it is ready", || over_unix(&socket, "/-/readyz").filter(|it| it.contains(" 200 ")));
    assert!(answer.ends_with("serving\n"), "{answer}");
    drop(server);
}

fn over_unix(socket: &std::path::Path, path: &str) -> Option<String> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(crate::helper::PATIENCE)).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    Some(text)
}

#[test]
fn who_leaves_before_the_answer_is_counted_and_the_row_is_kept() {
    let server = start(&[]);
    let lock = rusqlite::Connection::open(server.database()).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut client = TcpStream::connect(server.address).unwrap();
    client.write_all(get("/").as_bytes()).unwrap();
    until("the request has begun", || (stats(&server)["requests"]["in_flight"] == 1).then_some(()));
    drop(client);
    until("the client is seen gone", || (stats(&server)["requests"]["in_flight"] == 0).then_some(()));
    lock.execute_batch("ROLLBACK").unwrap();
    let told = until("the row is kept", || {
        let told = stats(&server);
        (told["rows"] == 1).then_some(told)
    });
    assert_eq!(
        (&told["requests"]["answered"], &told["requests"]["unanswered_by_reason"]["gone"]),
        (&0.into(), &1.into())
    );
}

#[test]
fn an_instance_and_its_times_are_told_on_demand() {
    let named = |answer: &Answer, name: &str| {
        let start = format!("{name}: ");
        answer.headers.iter().find_map(|header| header.strip_prefix(&start).map(ToOwned::to_owned))
    };
    let server = Server::start(&["--instance", "blue-1"]);
    let mut client = server.connect();
    let answer = client.ask(&get("/"));
    assert_eq!((named(&answer, "x-instance"), named(&answer, "server-timing")), (None, None));
    let answer =
        client.ask("GET / HTTP/1.1\r\nHost: x\r\nPrefer: respond-async, Instance,server-timing\r\n\r\n");
    assert_eq!(named(&answer, "x-instance").as_deref(), Some("blue-1"));
    let timing = named(&answer, "server-timing").unwrap();
    let parts: Vec<(&str, f64)> = timing
        .split(", ")
        .map(|part| part.split_once(";dur=").map(|(name, ms)| (name, ms.parse().unwrap())).unwrap())
        .collect();
    assert_eq!(parts.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["queue", "lock", "commit"]);
    assert!(parts.iter().all(|(_, ms)| (0.0..10_000.0).contains(ms)) && parts[2].1 > 0.0, "{timing}");
    let server = Server::start(&["--store", "none", "--instance-header", "--server-timing"]);
    let answer = server.connect().ask(&get("/"));
    assert_eq!(
        named(&answer, "x-instance"),
        Some(server.pid().to_string()),
        "without a name it is the process"
    );
    assert_eq!(named(&answer, "server-timing"), None, "without a store there is nothing to tell");
}

#[test]
fn the_last_line_tells_everything_since_the_start() {
    for instances in ["1", "2"] {
        let mut server = start(&["--instances", instances]);
        let load =
            |count: u64| (0..count).for_each(|_| assert_eq!(server.connect().ask(&get("/")).status, 200));
        load(20);
        assert_eq!(admin(&server).ask("POST /-/reset HTTP/1.1\r\nHost: x\r\n\r\n").status, 200);
        assert_eq!(stats(&server)["requests"]["answered"], 0);
        load(3);
        let ended = server.stop();
        for name in ["accepted", "answered", "rows"] {
            assert_eq!(ended.counts[name], 23, "{name}: {}", ended.counts);
        }
    }
}

#[test]
fn who_leaves_in_the_middle_of_an_upload_is_not_answered() {
    let server = start(&[]);
    let half = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf";
    let chunk = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf";
    for upload in [half, chunk] {
        server.connect().send(upload);
        // Who closes its sending side alone is taken for gone as well.
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.write_all(upload.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        stream.set_read_timeout(Some(crate::helper::PATIENCE)).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "");
    }
    let wrong = chunk.replace('9', "z");
    assert_eq!(server.connect().ask(&wrong).status, 400, "what cannot be understood is told so");
    let told = until("the account", || {
        let told = stats(&server);
        (told["requests"]["in_flight"] == 0 && told["connections"]["open"] == 0).then_some(told)
    });
    let requests = &told["requests"];
    assert_eq!((&requests["begun"], &requests["unanswered_by_reason"]["gone"]), (&5.into(), &4.into()));
    assert_eq!(requests["by_status"], serde_json::json!({"400": 1}));
    assert_eq!(told["connections"]["closed_by_reason"]["error"], 4, "{}", told["connections"]);
    assert_eq!(told["rows"], 0);
}

#[test]
fn an_instance_tells_the_settings_of_the_whole_server() {
    let server = start(&["--instances", "2", "--store", "none", "--backlog", "77"]);
    let settings = &stats(&server)["settings"];
    let told = ["listen", "instances", "admin", "backlog"].map(|name| settings[name].clone());
    let meant = [serde_json::json!(["127.0.0.1:0"]), "2".into(), "127.0.0.1:0".into(), "77".into()];
    assert_eq!(told, meant);
}
