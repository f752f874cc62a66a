//! Nothing acknowledged is lost, nothing in flight is cut off, nobody waits for ever.

use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::helper::{Client, Server, get, post, runs, until};

const CLOSE: &str = "connection: close";

/// Waits until new connections are refused.
fn stopped_accepting(server: &Server) {
    until("nothing listens any more", || TcpStream::connect(server.address).err());
}

/// A lock on the database that holds every request in flight for as long as the test wants.
fn hold(server: &Server) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(server.database()).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    connection
}

#[test]
fn requests_in_flight_are_finished_and_idle_connections_closed() {
    for signal in ["TERM", "INT"] {
        let mut server = Server::start(&["--threads", "2"]);
        let mut idle = server.connect();
        assert_eq!(idle.ask(&get("/idle")).status, 200);
        let lock = hold(&server);
        let mut busy: Vec<_> = (0..8).map(|_| server.connect()).collect();
        for (n, client) in busy.iter_mut().enumerate() {
            // An answer to a head that asks whether to go on proves that the request has arrived.
            client
                .send("POST /busy HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n");
            assert_eq!(client.answer().status, 100);
            client.send(&n.to_string());
        }
        server.signal(signal);
        assert!(idle.at_end(), "an idle connection is closed soon");
        stopped_accepting(&server);
        assert!(busy.iter().all(Client::silent));
        lock.execute_batch("ROLLBACK").unwrap();
        for (n, client) in busy.iter_mut().enumerate() {
            let answer = client.answer();
            assert_eq!((answer.status, answer.body), (200, n.to_string()));
            assert!(answer.headers.contains(&CLOSE.to_owned()));
            assert!(client.at_end());
        }
        let ended = server.wait();
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
        assert_eq!(ended.counts["rows"], 9);
        assert_eq!(server.rows(), 9);
    }
}

#[test]
fn a_request_half_sent_is_finished() {
    let mut server = Server::start(&["--store", "none"]);
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.answer().status, 100);
    server.signal("TERM");
    stopped_accepting(&server);
    assert_eq!(client.ask("hi").body, "hi");
    assert!(client.at_end());
    assert_eq!(server.wait().code, Some(0));
}

#[test]
fn a_request_whose_client_has_left_is_recorded_all_the_same() {
    let mut server = Server::start(&[]);
    let lock = hold(&server);
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.answer().status, 100);
    client.send("x");
    // What arrived before these were answered has been read: one thread reads, in the order of arrival.
    let settle = || (0..3).for_each(|_| assert_eq!(server.connect().ask("GET\r\n\r\n").status, 400));
    settle();
    drop(client);
    settle();
    server.signal("TERM");
    stopped_accepting(&server);
    lock.execute_batch("ROLLBACK").unwrap();
    let ended = server.wait();
    assert_eq!((ended.code, &ended.counts["rows"]), (Some(0), &1.into()));
    assert_eq!(server.rows(), 1);
}

#[test]
fn a_second_signal_does_not_wait() {
    let mut server = Server::start(&["--drain-timeout", "60m", "--busy-timeout", "60m"]);
    let lock = hold(&server);
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.answer().status, 100);
    client.send("x");
    server.signal("TERM");
    assert_eq!(server.event()["event"], "drain-begun");
    again_until_it_ends(&server, "TERM");
    let ended = server.wait();
    assert_eq!(ended.code, Some(1));
    assert_eq!((&ended.counts["cut_off"], &ended.counts["unanswered"]), (&1.into(), &1.into()));
    assert_eq!(ended.stderr, "target-server: requests were cut off by a second signal\n");
    assert_eq!(client.try_answer(false), None);
    lock.execute_batch("ROLLBACK").unwrap();
    assert_eq!(server.rows(), 0);
}

/// Sends this until it is heard: what comes at once after the first signal is taken for the same one.
pub(crate) fn again_until_it_ends(server: &Server, signal: &str) {
    until("the end", || {
        server.signal(signal);
        (!runs(server.pid())).then_some(())
    });
}

#[test]
fn the_drain_has_an_end() {
    let mut server = Server::start(&["--drain-timeout", "50ms"]);
    let _lock = hold(&server);
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.answer().status, 100);
    client.send("x");
    let ended = server.stop();
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.stderr, "target-server: requests were cut off: not finished within 50ms\n");
    let told = ["answered", "unanswered", "cut_off"].map(|name| ended.counts[name].as_u64());
    assert_eq!(told, [Some(0), Some(1), Some(1)]);
}

#[test]
fn what_instances_cut_off_is_in_the_totals() {
    let mut server = Server::start(&["--instances", "2", "--drain-timeout", "50ms"]);
    let _lock = hold(&server);
    let _clients = [held(&server), held(&server), held(&server)];
    let ended = server.stop();
    assert_eq!((ended.code, &ended.counts["cut_off"]), (Some(1), &3.into()), "{ended:?}");
}

/// A client whose request is under way for as long as somebody holds the database.
fn held(server: &Server) -> Client {
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.answer().status, 100);
    client.send("x");
    client
}

/// As `timeout` does it: one to the process, and one to its group.
#[test]
fn two_signals_at_once_are_one() {
    let mut server = Server::start(&["--drain-timeout", "60m", "--busy-timeout", "60m"]);
    let lock = hold(&server);
    let mut client = held(&server);
    // Both are there when it looks.
    for signal in ["STOP", "TERM", "INT", "CONT"] {
        server.signal(signal);
    }
    stopped_accepting(&server);
    lock.execute_batch("ROLLBACK").unwrap();
    assert_eq!(client.answer().status, 200);
    let ended = server.wait();
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
}

/// Whether the parent of two took two signals that are milliseconds apart for one.
fn survives_an_echo() -> bool {
    let flags = ["--instances", "2", "--drain-timeout", "60m", "--busy-timeout", "60m"];
    let mut server = Server::start(&flags);
    let lock = hold(&server);
    let mut client = held(&server);
    let pid = rustix::process::Pid::from_raw(server.pid().try_into().unwrap()).unwrap();
    for _ in 0..3 {
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        std::thread::sleep(Duration::from_millis(10));
    }
    stopped_accepting(&server);
    lock.execute_batch("ROLLBACK").unwrap();
    client.try_answer(false).is_some_and(|answer| answer.status == 200) && server.wait().code == Some(0)
}

#[test]
fn the_parent_of_several_knows_an_echo_too() {
    // A machine that stops for a while may tear them apart.
    assert!((0..3).any(|_| survives_an_echo()));
}

#[test]
fn the_end_of_the_terminal_is_the_end_unless_there_is_something_to_reload() {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap();
    let start = |flags: &[&str]| {
        let mut command = std::process::Command::new("/bin/sh");
        command.args(["-c", r#"exec "$0" "$@" <"$TERMINAL""#, crate::helper::PROGRAM]).env("TERMINAL", &name);
        Server::start_by(command, &[&["--store", "none"], flags].concat())
    };
    for instances in ["1", "2"] {
        let mut server = start(&["--instances", instances]);
        assert_eq!(server.connect().ask(&get("/")).status, 200);
        server.signal("HUP");
        let ended = server.wait();
        assert_eq!((ended.code, &ended.counts["answered"], &*ended.stderr), (Some(0), &1.into(), ""));
        let mut server = start(&["--instances", instances, "--reload-from", "/dev/null"]);
        server.signal("HUP");
        assert!(server.read_until("\"reload\"").contains("nothing to change"));
        assert_eq!(server.stop().code, Some(0));
    }
}

#[test]
fn under_load_every_answer_has_its_row() {
    for kind in ["pool", "group"] {
        every_answer_has_its_row(&["--store", kind]);
    }
}

fn every_answer_has_its_row(flags: &[&str]) {
    let mut server = Server::start(flags);
    let answers = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut client = server.connect();
                while let Some(answer) = client.try_ask(&post("/", "load")) {
                    assert_eq!((answer.status, &*answer.body), (200, "load"));
                    answers.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        until("some load", || (answers.load(Ordering::Relaxed) > 500).then_some(()));
        server.signal("TERM");
    });
    let ended = server.wait();
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    // Nobody hung up first, so what was committed was answered, and what was answered arrived.
    let answers = answers.load(Ordering::Relaxed);
    assert_eq!(ended.counts["rows"], answers);
    assert_eq!(ended.counts["answered"], answers);
    assert_eq!(server.rows(), answers);
}

#[test]
fn a_late_sender_still_reads_why_it_was_refused_at_the_end() {
    let flags = ["--store", "none", "--max-body", "1KiB", "--drain-idle", "10s"];
    let mut server = Server::start(&flags);
    let mut client = server.connect();
    assert_eq!(client.ask(&get("/")).status, 200);
    server.signal("TERM");
    stopped_accepting(&server);
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8388608\r\n\r\n");
    // As most clients do, it sends all of it before it reads.
    let chunk = vec![b'x'; 64 << 10];
    assert!((0..128).all(|_| client.try_send(&chunk)));
    assert_eq!(client.answer().status, 413);
    assert!(client.at_end());
    assert_eq!(server.wait().code, Some(0));
}

#[test]
fn an_idle_connection_may_bring_one_request_more() {
    // As long as anybody may need, so that only the answers end it.
    let flags = ["--store", "none", "--drain-idle", "50m", "--drain-timeout", "60m"];
    let mut server = Server::start(&flags);
    let [mut used, mut fresh] = [server.connect(), server.connect()];
    assert_eq!(used.ask(&get("/")).status, 200);
    // The fresh one has been accepted when a later one is answered.
    assert_eq!(server.connect().ask(&get("/")).status, 200);
    server.signal("TERM");
    stopped_accepting(&server);
    for client in [&mut used, &mut fresh] {
        let answer = client.ask(&post("/", "last"));
        assert_eq!((answer.status, &*answer.body), (200, "last"));
        assert!(answer.headers.contains(&CLOSE.to_owned()), "{answer:?}");
        assert!(client.at_end());
    }
    // Nobody is left, so nothing is waited for.
    assert_eq!(server.wait().code, Some(0));
}

#[test]
fn idle_connections_are_closed_when_their_time_is_over() {
    for (idle, least) in [("0", 0), ("300ms", 300)] {
        let mut server = Server::start(&["--store", "none", "--drain-idle", idle]);
        let [mut used, mut fresh] = [server.connect(), server.connect()];
        assert_eq!(used.ask(&get("/")).status, 200);
        assert_eq!(server.connect().ask(&get("/")).status, 200);
        server.signal("TERM");
        stopped_accepting(&server);
        assert!(!used.hears(Duration::from_millis(least / 2)) || least == 0);
        assert!(used.at_end() && fresh.at_end());
        assert_eq!(server.wait().code, Some(0));
    }
}

#[test]
fn a_head_half_sent_is_a_request_begun() {
    let mut server = Server::start(&["--store", "none", "--drain-idle", "0"]);
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost:");
    server.signal("TERM");
    stopped_accepting(&server);
    let answer = client.ask(" x\r\n\r\n");
    assert_eq!(answer.status, 200);
    assert!(answer.headers.contains(&CLOSE.to_owned()));
    assert_eq!(server.wait().code, Some(0));
}

#[test]
fn what_waits_in_the_queue_is_served() {
    // Several times, because it is chance whether the connections or the signal are noticed first; the last time more than
    // tokio lets a task do in one turn.
    for count in [20, 20, 20, 20, 300, 300] {
        let mut server = Server::start(&["--store", "none", "--drain-idle", "0"]);
        server.signal("STOP");
        let mut queued: Vec<_> = (0..count).map(|_| server.connect()).collect();
        for client in &mut queued {
            client.send(&get("/"));
        }
        server.signal("TERM");
        server.signal("CONT");
        for client in &mut queued {
            assert_eq!(client.answer().status, 200);
        }
        let ended = server.wait();
        assert_eq!((ended.code, &ended.counts["answered"]), (Some(0), &count.into()));
    }
}

#[test]
fn under_load_with_a_drain_nobody_loses_a_request() {
    let mut server = Server::start(&["--store", "none", "--drain-idle", "10s"]);
    let answers = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut client = server.connect();
                loop {
                    let answer = client.try_ask(&post("/", "load")).expect("an answer to every request");
                    assert_eq!(answer.status, 200);
                    answers.fetch_add(1, Ordering::Relaxed);
                    if answer.headers.contains(&CLOSE.to_owned()) {
                        break;
                    }
                }
            });
        }
        until("some load", || (answers.load(Ordering::Relaxed) > 500).then_some(()));
        server.signal("TERM");
    });
    let ended = server.wait();
    assert_eq!((ended.code, &ended.counts["answered"]), (Some(0), &answers.into_inner().into()));
}

#[test]
fn a_drain_cannot_wait_longer_than_its_end() {
    let output = crate::helper::run(&["--drain-idle", "2s", "--drain-timeout", "1s"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "target-server: --drain-idle 2s is longer than --drain-timeout 1s, which bounds it\n");
}
