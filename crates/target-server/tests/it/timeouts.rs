//! Clients that keep the server waiting.

use std::time::Duration;

use crate::helper::{Server, get, post, until};

/// A pause between two bytes of a client that trickles.
const PAUSE: Duration = Duration::from_millis(20);

/// More bytes than any test needs until its end.
const TRICKLE: usize = 500;

fn descriptors(server: &Server) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count()
}

#[test]
fn a_head_that_trickles_is_not_waited_for() {
    let server = Server::start(&["--store", "none", "--header-timeout", "200ms"]);
    // Once on a fresh connection, once after a request: the time of idleness does not count.
    for before in [false, true] {
        let mut client = server.connect();
        if before {
            assert_eq!(client.ask(&get("/")).status, 200);
            assert!(!client.hears(Duration::from_millis(400)), "idle is not late");
        }
        client.send("GET / HTTP/1.1\r\nA: ");
        let ended = (0..TRICKLE).any(|_| !client.try_send(b"x") || client.hears(PAUSE));
        assert!(ended);
        let answer = client.answer();
        assert_eq!((answer.status, &*answer.body), (408, "the head of the request did not come in time\n"));
        assert!(client.at_end());
    }
}

#[test]
fn half_a_head_that_came_with_another_request_is_not_waited_for() {
    let server = Server::start(&["--store", "none", "--header-timeout", "200ms"]);
    let chunked = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    let large = post("/", &"x".repeat(100_000));
    for request in [&get("/"), &post("/", "hi"), chunked, &large, &get("/").repeat(3)] {
        let answers = if request.starts_with("GET") { request.matches("GET").count() } else { 1 };
        let mut client = server.connect();
        client.send(request);
        assert!((0..answers).all(|_| client.answer().status == 200));
        assert!(!client.hears(Duration::from_millis(500)), "nothing has come after {request:.30}");
        client.send(&format!("{request}GE"));
        assert!((0..answers).all(|_| client.answer().status == 200));
        assert_eq!(client.answer().status, 408, "after {request:.30}");
        assert!(client.at_end());
        // The other half may come in time.
        let mut client = server.connect();
        client.send(&format!("{request}GE"));
        assert!((0..answers).all(|_| client.answer().status == 200));
        assert_eq!(client.ask(&get("/")[2..]).status, 200);
    }
}

#[test]
fn without_a_header_timeout_every_byte_renews_the_patience() {
    let flags = ["--store", "none", "--profile", "waitress", "--idle-timeout", "1s"];
    let server = Server::start(&flags);
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nA: ");
    for _ in 0..15 {
        client.send("x");
        assert!(!client.hears(Duration::from_millis(100)));
    }
    assert_eq!(client.ask("\r\n\r\n").status, 200);
    // One that stops altogether is not waited for.
    client.send("GET / HTTP/1.1\r\n");
    assert_eq!(client.answer().status, 408);
}

#[test]
fn a_body_that_trickles_is_not_waited_for_beyond_the_request_timeout() {
    let server = Server::start(&["--store", "none", "--request-timeout", "200ms"]);
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n");
    assert!((0..TRICKLE).any(|_| !client.try_send(b"x") || client.hears(PAUSE)));
    let answer = client.answer();
    assert_eq!((answer.status, &*answer.body), (408, "the body of the request did not come in time\n"));
    assert!(client.at_end());
    assert_eq!(server.connect().ask(&post("/", "in time")).status, 200);
}

#[test]
fn a_body_that_stops_is_not_waited_for() {
    let server = Server::start(&["--store", "none", "--idle-timeout", "100ms"]);
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf");
    assert_eq!(client.answer().status, 408);
    assert!(client.at_end());
}

#[test]
fn an_idle_connection_is_closed_and_a_pending_request_is_not_idle() {
    let server = Server::start(&["--idle-timeout", "200ms", "--busy-timeout", "60m"]);
    let mut silent = server.connect();
    let mut done = server.connect();
    assert_eq!(done.ask(&get("/")).status, 200);
    let lock = rusqlite::Connection::open(server.database()).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut pending = server.connect();
    pending.send(&get("/"));
    assert!(silent.at_end(), "without an answer");
    assert!(done.at_end());
    assert!(!pending.hears(Duration::from_millis(600)));
    lock.execute_batch("ROLLBACK").unwrap();
    assert_eq!(pending.answer().status, 200);
}

#[test]
fn a_request_that_is_not_answered_in_time_is_answered_503() {
    let mut server = Server::start(&["--request-timeout", "200ms", "--busy-timeout", "60m"]);
    let lock = rusqlite::Connection::open(server.database()).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut client = server.connect();
    let answer = client.ask(&post("/", "x"));
    assert_eq!((answer.status, &*answer.body), (503, "the request could not be answered in time\n"));
    assert!(answer.headers.contains(&"connection: close".into()));
    assert!(client.at_end());
    lock.execute_batch("ROLLBACK").unwrap();
    assert_eq!(server.connect().ask(&get("/")).status, 200);
    let ended = server.stop();
    assert_eq!((ended.code, &ended.counts["rows"]), (Some(0), &2.into()), "what was given up was committed");
}

#[test]
fn a_client_that_does_not_read_its_answer_is_reset() {
    let server = Server::start(&["--store", "none", "--idle-timeout", "200ms"]);
    let mut client = server.connect();
    assert_eq!(client.ask(&get("/")).status, 200);
    let open = descriptors(&server);
    // More than the buffers of both kernels hold.
    client.send(&post("/", &"x".repeat(32 << 20)));
    until("the server gives up", || (descriptors(&server) < open).then_some(()));
    assert!(client.try_answer(false).is_none(), "cut off");
}

#[test]
fn a_client_that_reads_slowly_gets_all_of_it() {
    let server = Server::start(&["--store", "none", "--idle-timeout", "500ms"]);
    let mut client = server.connect();
    let body = "x".repeat(16 << 20);
    client.send(&post("/", &body));
    // The answer takes longer than the timeout, but no single pause does.
    assert_eq!(client.slowly(Duration::from_millis(10), 200_000), body.len());
}

#[test]
fn a_late_sender_still_reads_why_it_was_refused() {
    let server = Server::start(&["--store", "none", "--max-body", "1KiB"]);
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8388608\r\n\r\n");
    // As most clients do, it sends all of it before it reads.
    let chunk = vec![b'x'; 64 << 10];
    assert!((0..128).all(|_| client.try_send(&chunk)));
    assert_eq!(client.answer().status, 413);
    assert!(client.at_end());
}

#[test]
fn a_connection_carries_so_many_requests_and_no_more() {
    let server = Server::start(&["--store", "none", "--keepalive-requests", "3"]);
    let mut client = server.connect();
    // All at once: what comes too late must not cost the answers before it.
    client.send(&get("/").repeat(5));
    for n in 1..=3 {
        let answer = client.answer();
        assert_eq!(answer.status, 200);
        assert_eq!(answer.headers.contains(&"connection: close".into()), n == 3, "{n}");
    }
    assert!(client.at_end());
    assert_eq!(server.connect().ask(&get("/")).status, 200);
}

#[test]
fn a_head_may_be_as_large_as_allowed() {
    let server = Server::start(&["--store", "none", "--max-head", "1000"]);
    let head = |size: usize| {
        let start = "GET / HTTP/1.1\r\nA: ";
        format!("{start}{}\r\n\r\n", "x".repeat(size - start.len() - 4))
    };
    let mut client = server.connect();
    assert_eq!(client.ask(&head(1000)).status, 200);
    assert_eq!(client.ask(&head(1001)).status, 431);
    // One that has no end in sight.
    let mut client = server.connect();
    client.send(&head(1100)[..1050]);
    assert_eq!(client.answer().status, 431);
}
