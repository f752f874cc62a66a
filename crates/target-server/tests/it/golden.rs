//! What requests, odd ones included, are answered: the golden table. The README of this crate shows it too.

use crate::helper::{Client, Server, get, post};

/// What follows a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// The connection takes another one.
    Open,
    /// It is closed.
    Closed,
}

use Then::{Closed, Open};

type Expected = (&'static [u16], Then);

struct Case {
    what: &'static str,
    request: String,
    plain: Expected,
    waitress: Expected,
}

/// Requests that are sent without waiting for an answer.
const PIPELINED: u32 = 20;

const HOST: &str = "Host: x\r\n";

/// The same for both profiles.
fn both(what: &'static str, request: &str, expected: Expected) -> Case {
    let request = request.replace('|', "\r\n");
    Case { what, request, plain: expected, waitress: expected }
}

fn lines(count: usize) -> String {
    (1..count).map(|n| ["X", &n.to_string(), ": y\r\n"].concat()).collect()
}

const OK: Expected = (&[200], Open);
const LAST: Expected = (&[200], Closed);
const BAD: Expected = (&[400], Closed);

fn requests() -> Vec<Case> {
    [heads(), bodies(), no_requests(), large()].into_iter().flatten().collect()
}

fn heads() -> Vec<Case> {
    vec![
        both("HTTP/1.1", "POST / HTTP/1.1|Host: x|Content-Length: 2||hi", OK),
        both("HTTP/1.1 with `Connection: close`", "GET / HTTP/1.1|Host: x|Connection: close||", LAST),
        both("HTTP/1.0", "POST / HTTP/1.0|Content-Length: 2||hi", LAST),
        both("HTTP/1.0 with `Connection: keep-alive`", "GET / HTTP/1.0|Connection: keep-alive||", OK),
        both("no `Host`", "GET / HTTP/1.1||", OK),
        both("`HEAD`", "HEAD / HTTP/1.1|Host: x||", OK),
        both("a method in lower case (a token like others)", "get / HTTP/1.1|Host: x||", OK),
        both("empty lines before a request", "||GET / HTTP/1.1|Host: x||", OK),
        both("bare LF as line ends", "GET / HTTP/1.1\nHost: x\n\n", OK),
        both(
            "two requests at once (pipelining)",
            "POST / HTTP/1.1|Host: x|Content-Length: 2||hiGET / HTTP/1.1|Host: x||",
            (&[200, 200], Open),
        ),
        both(
            "the same, the first with `Connection: close`",
            "GET / HTTP/1.1|Host: x|Connection: close||GET / HTTP/1.1|Host: x||",
            LAST,
        ),
        both(
            "the same, the second without a version",
            "GET / HTTP/1.1|Host: x||GET /||",
            (&[200, 400], Closed),
        ),
    ]
}

fn bodies() -> Vec<Case> {
    vec![
        both(
            "`Expect: 100-continue`",
            "POST / HTTP/1.1|Host: x|Expect: 100-continue|Content-Length: 2||hi",
            (&[100, 200], Open),
        ),
        both("chunked body", "POST / HTTP/1.1|Host: x|Transfer-Encoding: chunked||2|hi|0||", OK),
        both("bad chunk size", "POST / HTTP/1.1|Host: x|Transfer-Encoding: chunked||x|", BAD),
        both(
            "`Transfer-Encoding: gzip, chunked`",
            "POST / HTTP/1.1|Host: x|Transfer-Encoding: gzip, chunked||0||",
            (&[501], Closed),
        ),
        both("`Transfer-Encoding: gzip`", "POST / HTTP/1.1|Host: x|Transfer-Encoding: gzip||", BAD),
        both(
            "chunked and `Content-Length` (chunked wins)",
            "POST / HTTP/1.1|Host: x|Content-Length: 9|Transfer-Encoding: chunked||2|hi|0||",
            LAST,
        ),
        both(
            "the same `Content-Length` twice",
            "POST / HTTP/1.1|Host: x|Content-Length: 2|Content-Length: 2||hi",
            OK,
        ),
        both(
            "two different `Content-Length`",
            "POST / HTTP/1.1|Host: x|Content-Length: 2|Content-Length: 3||hi",
            BAD,
        ),
        both("a negative `Content-Length`", "POST / HTTP/1.1|Host: x|Content-Length: -1||", BAD),
    ]
}

fn no_requests() -> Vec<Case> {
    vec![
        both("no version", "GET /||", BAD),
        both("HTTP/2.0 in the request line", "GET / HTTP/2.0|Host: x||", BAD),
        both("HTTP/2's first bytes", "PRI * HTTP/2.0||SM||", (&[], Closed)),
        both("a header line that goes on in the next one", "GET / HTTP/1.1|Host: x|A: b| c||", BAD),
        both("a space before the colon", "GET / HTTP/1.1|Host : x||", BAD),
        both("garbage, as TLS", "\x16\x03\x01\x02||", BAD),
    ]
}

fn large() -> Vec<Case> {
    vec![
        both(
            "a target of 70,000 bytes",
            &format!("GET /{} HTTP/1.1|{HOST}|", "x".repeat(70_000)),
            (&[414], Closed),
        ),
        both(
            "a head of 270 KiB",
            &format!("GET / HTTP/1.1|{HOST}A: {}||", "x".repeat(270 << 10)),
            (&[431], Closed),
        ),
        Case {
            what: "300 header lines",
            request: format!("GET / HTTP/1.1\r\n{HOST}{}\r\n", lines(300)),
            plain: (&[431], Closed),
            waitress: OK,
        },
        both("1,025 header lines", &format!("GET / HTTP/1.1|{HOST}{}|", lines(1025)), (&[431], Closed)),
        Case {
            what: "`Content-Length` of 65 MiB",
            request: format!("POST / HTTP/1.1\r\n{HOST}Content-Length: {}\r\n\r\n", 65 << 20),
            plain: (&[413], Closed),
            // It waits for the body.
            waitress: (&[], Open),
        },
        both(
            "`Content-Length` of more than 1 GiB",
            &format!("POST / HTTP/1.1|{HOST}Content-Length: {}||", (1 << 30) + 1),
            (&[413], Closed),
        ),
    ]
}

fn in_words((statuses, then): Expected) -> String {
    let statuses: Vec<String> = statuses.iter().map(u16::to_string).collect();
    match (statuses.as_slice(), then) {
        ([], Closed) => "closed".into(),
        ([], Open) => "waits for the body".into(),
        (statuses, Open) => statuses.join(", then "),
        (statuses, Closed) => format!("{}, closed", statuses.join(", then ")),
    }
}

fn check(server: &Server, case: &Case, (statuses, then): Expected) {
    let mut client = server.connect();
    client.send(&case.request);
    for status in statuses {
        let answer = if case.request.starts_with("HEAD") { client.head() } else { client.answer() };
        assert_eq!(answer.status, *status, "{}: {answer:?}", case.what);
        if *status >= 400 {
            assert!(answer.headers.contains(&"connection: close".into()), "{}: {answer:?}", case.what);
        }
    }
    match then {
        Closed => assert!(client.at_end(), "{}", case.what),
        Open if statuses.is_empty() => assert!(client.silent(), "{}", case.what),
        Open => assert_eq!(client.ask(&get("/")).status, 200, "{}", case.what),
    }
}

#[test]
fn every_request_has_its_answer() {
    let plain = Server::start(&["--store", "none"]);
    let fast = Server::start(&["--store", "none", "--profile", "fast"]);
    let waitress = Server::start(&["--store", "none", "--profile", "waitress"]);
    for case in requests() {
        check(&plain, &case, case.plain);
        check(&fast, &case, case.plain);
        check(&waitress, &case, case.waitress);
    }
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    for profile in ["plain", "fast", "waitress"] {
        let server = Server::start(&["--profile", profile, "--allow-faults"]);
        let mut client = server.connect();
        let delay = |n: u32| if n == 0 { "/?delay=20ms" } else { "/" };
        let requests: String = (0..PIPELINED).map(|n| post(delay(n), &n.to_string())).collect();
        client.send(&requests);
        for n in 0..PIPELINED {
            let answer = client.answer();
            assert_eq!((answer.status, answer.body), (200, n.to_string()), "{profile}");
        }
        assert!(client.silent(), "{profile}");
        assert_eq!(server.rows(), u64::from(PIPELINED), "{profile}");
    }
}

#[test]
fn the_readme_says_the_same() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let row = |case: &Case| {
        let (plain, waitress) = (in_words(case.plain), in_words(case.waitress));
        let waitress = if plain == waitress { "the same" } else { &waitress };
        [case.what, &plain, waitress].join(" | ")
    };
    let rows: String = requests().iter().flat_map(|case| ["| ".into(), row(case), " |\n".into()]).collect();
    let table = format!("| request | `plain`, `fast` | `waitress` |\n|---|---|---|\n{rows}");
    assert!(readme.contains(&table), "README.md should have this table:\n{table}");
}

/// The bytes of an answer, without the value of the date.
fn bytes(client: &mut Client, request: &str) -> String {
    client.send(request);
    let text = client.rest();
    text.lines().filter(|line| !line.to_ascii_lowercase().starts_with("date: ")).collect::<Vec<_>>().join("|")
}

#[test]
fn answers_are_spelled_as_the_profile_has_it() {
    let request = "POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi";
    let plain = Server::start(&["--store", "none"]);
    assert_eq!(
        bytes(&mut plain.connect(), request),
        "HTTP/1.0 200 OK|content-type: text/plain|content-length: 2||hi"
    );
    let waitress = Server::start(&["--store", "none", "--profile", "waitress"]);
    assert_eq!(
        bytes(&mut waitress.connect(), request),
        "HTTP/1.0 200 OK|Content-Type: text/plain|Content-Length: 2|Server: waitress-like||hi"
    );
    let mixed =
        Server::start(&["--store", "none", "--profile", "waitress", "--title-case=false", "--server="]);
    assert_eq!(bytes(&mut mixed.connect(), request), bytes(&mut plain.connect(), request));
}

#[test]
fn refusals_of_the_application_have_a_sentence() {
    let server = Server::start(&["--store", "none", "--max-body", "10"]);
    let ask = |request: &str| server.connect().ask(&request.replace('|', "\r\n"));
    let answer = ask("POST / HTTP/1.1|Host: x|Transfer-Encoding: gzip, chunked||0||");
    assert_eq!((answer.status, &*answer.body), (501, "of transfer codings, only chunked is understood\n"));
    let answer = ask("POST / HTTP/1.1|Host: x|Content-Length: 11||");
    assert_eq!((answer.status, &*answer.body), (413, "the request body is larger than 10 bytes\n"));
    let answer = ask("POST / HTTP/1.1|Host: x|Transfer-Encoding: chunked||6|123456|6|123456|0||");
    assert_eq!((answer.status, &*answer.body), (413, "the request body is larger than 10 bytes\n"));
}
