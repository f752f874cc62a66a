//! What stands on the wire.

use crate::helper::{Client, Server, get, post};

const TEXT: &str = "content-type: text/plain";

fn server() -> Server {
    Server::start(&[])
}

#[test]
fn requests_are_echoed_and_recorded() {
    let mut server = server();
    let mut client = server.connect();
    let answer = client.ask(&get("/"));
    assert_eq!((answer.status, &*answer.body), (200, ""));
    assert_eq!(answer.headers, [TEXT, "content-length: 0"]);
    let answer = client.ask(&post("/a?b=c", "hello"));
    assert_eq!((answer.status, &*answer.body), (200, "hello"));
    assert_eq!(answer.headers, [TEXT, "content-length: 5"]);
    assert_eq!(server.rows(), 2);
    let ended = server.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for (name, count) in [("accepted", 1), ("answered", 2), ("rows", 2), ("errors", 0), ("accept_errors", 0)]
    {
        assert_eq!(ended.counts[name], count, "{name}");
    }
    assert_eq!(ended.stderr, "");
}

#[test]
fn a_chunked_body_is_echoed_with_its_length() {
    let server = server();
    let answer = server.connect().ask(
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n",
    );
    assert_eq!((answer.status, &*answer.body), (200, "hello world"));
    assert_eq!(answer.headers, [TEXT, "content-length: 11"]);
}

#[test]
fn head_gets_no_body() {
    let server = server();
    let mut client = server.connect();
    client.send("HEAD / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
    let answer = client.head();
    assert_eq!((answer.status, answer.headers), (200, vec![TEXT.into(), "content-length: 5".into()]));
    assert_eq!(client.ask(&post("/", "next")).body, "next", "nothing of a body is left in between");
    assert_eq!(server.rows(), 2);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = server();
    let mut client = server.connect();
    client.send(&(0..50).map(|n| post("/", &n.to_string())).collect::<String>());
    for n in 0..50 {
        assert_eq!(client.answer().body, n.to_string());
    }
    assert_eq!(server.rows(), 50);
}

#[test]
fn http_1_0_is_answered_and_closed() {
    let server = server();
    let mut client = server.connect();
    let answer = client.ask("POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!((answer.status, &*answer.body), (200, "hi"));
    assert!(client.at_end());
}

#[test]
fn a_client_that_asks_first_is_told_to_continue() {
    let server = server();
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.answer().status, 100);
    assert_eq!(client.ask("hi").body, "hi");
}

#[test]
fn garbage_is_refused_and_not_recorded() {
    let mut server = server();
    for garbage in ["\x16\x03\x01\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n"] {
        let mut client = server.connect();
        assert_eq!(client.ask(garbage).status, 400, "{garbage:?}");
        assert!(client.at_end());
    }
    let mut client = server.connect();
    let broken = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n";
    assert_eq!(client.ask(broken).status, 400);
    assert_eq!(server.rows(), 0);
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn many_headers_are_taken_and_too_many_refused() {
    let server = server();
    let request = |count: usize| {
        let lines: String = (1..count)
            .flat_map(|n| ["X-", &n.to_string(), ": y\r\n"].concat().into_bytes())
            .map(char::from)
            .collect();
        format!("GET / HTTP/1.1\r\nHost: x\r\n{lines}\r\n")
    };
    assert_eq!(server.connect().ask(&request(100)).status, 200);
    assert_eq!(server.connect().ask(&request(101)).status, 431);
    let generous = Server::start(&["--max-headers", "300", "--store", "none"]);
    assert_eq!(generous.connect().ask(&request(300)).status, 200);
    assert_eq!(generous.connect().ask(&request(301)).status, 431);
}

#[test]
fn a_body_announced_too_large_is_refused_before_it_is_sent() {
    let server = server();
    let answer = server.connect().ask("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 67108865\r\n\r\n");
    assert_eq!(answer.status, 413);
    assert_eq!(server.rows(), 0);
}

#[test]
fn a_large_body_comes_back_whole() {
    let server = server();
    let body: String = ('a'..='w').cycle().take(400_000).collect();
    assert_eq!(server.connect().ask(&post("/", &body)).body, body);
}

#[test]
fn a_database_that_fails_is_a_500_with_the_reason_and_no_row() {
    let mut server = Server::start(&["--busy-timeout", "20ms", "--threads", "1"]);
    let other = rusqlite::Connection::open(server.database()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut client = server.connect();
    let answer = client.ask(&get("/"));
    assert_eq!(
        (answer.status, &*answer.body),
        (500, "the request could not be recorded: database is locked\n")
    );
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(client.ask(&get("/")).status, 200);
    assert_eq!(server.rows(), 1);
    let counts = server.stop().counts;
    assert_eq!((&counts["answered"], &counts["errors"], &counts["rows"]), (&2.into(), &1.into(), &1.into()));
}

#[test]
fn the_answer_comes_only_after_the_commit() {
    let server = server();
    let other = rusqlite::Connection::open(server.database()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut client = server.connect();
    client.send("POST /late HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.answer().status, 100);
    client.send("x");
    // The one thread that answers has plenty of occasions to do so meanwhile.
    for _ in 0..100 {
        assert_eq!(server.connect().ask("GET\r\n\r\n").status, 400);
    }
    assert!(client.silent());
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(client.answer().status, 200);
    let rows: i64 = other.query_row("SELECT count(*) FROM requests", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 1);
}

#[test]
fn without_a_store_no_file_is_made() {
    let mut server = Server::start(&["--store", "none"]);
    assert_eq!(server.connect().ask(&post("/", "hi")).body, "hi");
    assert!(!server.database().exists());
    assert_eq!(server.stop().counts["rows"], 0);
}

#[test]
fn the_client_is_recorded_by_its_address() {
    let server = server();
    Client::connect(server.address).ask(&get("/x%20y?z=1"));
    let reader = rusqlite::Connection::open(server.database()).unwrap();
    let sql = "SELECT method || ' ' || path || ' ' || content_length || ' ' || remote_addr FROM requests";
    let row: String = reader.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(row, "GET /x%20y?z=1 0 127.0.0.1");
}
