use proptest::prelude::*;

use super::*;

/// Everything that can be known of an answer after all bytes came and the connection closed.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    result: Result<AtClose, ProtocolError>,
    used: usize,
    status: u16,
    keep_alive: bool,
    head: u64,
    body: u64,
}

fn read<'a>(head_request: bool, pieces: impl IntoIterator<Item = &'a [u8]>) -> Seen {
    read_knowing(&mut KnownHead::default(), head_request, pieces)
}

fn read_knowing<'a>(
    known: &mut KnownHead,
    head_request: bool,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Seen {
    let mut reader = Reader::new(head_request);
    let mut used = 0;
    let mut fed = Ok(());
    for piece in pieces {
        match reader.feed(piece, known) {
            Ok(bytes) => used += bytes,
            Err(error) => {
                fed = Err(error);
                break;
            }
        }
        if reader.is_done() {
            break;
        }
    }
    let result = fed.map(|()| reader.close());
    let result = match result {
        Ok(AtClose::Protocol(error)) => Err(error),
        other => other,
    };
    let failed = result.is_err();
    Seen {
        // Where in a malformed answer the fault is noticed may depend on the pieces; that there is one may not.
        used: if failed { 0 } else { used },
        status: if failed { 0 } else { reader.status() },
        keep_alive: reader.keep_alive(),
        head: if failed { 0 } else { reader.head_bytes() },
        body: if failed { 0 } else { reader.body_bytes() },
        result,
    }
}

fn whole(bytes: &str) -> Seen {
    read(false, [bytes.as_bytes()])
}

/// Result, status and bytes of the body.
type Expected = (Result<AtClose, ProtocolError>, u16, u64);

fn answer(status: u16, body: u64) -> Expected {
    (Ok(AtClose::Complete), status, body)
}

fn check(bytes: &str, expected: &Expected) {
    let seen = whole(bytes);
    assert_eq!(
        (seen.result.as_ref(), seen.status, seen.body),
        (expected.0.as_ref(), expected.1, expected.2),
        "{bytes:?}"
    );
}

#[test]
fn bodies_end_where_they_should() {
    check("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", &answer(200, 5));
    check("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", &answer(200, 0));
    check("HTTP/1.1 204 No Content\r\n\r\n", &answer(204, 0));
    check("HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", &answer(304, 0));
    check("HTTP/1.1 200 OK\r\n\r\nuntil close", &answer(200, 11));
    check("HTTP/1.0 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nuntil close", &answer(200, 11));
    check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", &answer(200, 5));
    check(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, CHUNKED\r\n\r\na;x=\"y\"\r\n0123456789\r\n0\r\nT: 1\r\nU: 2\r\n\r\n",
        &answer(200, 10),
    );
    check(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\nx",
        &answer(201, 1),
    );
    assert_eq!(
        read(true, [&b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"[..]]).result,
        Ok(AtClose::Complete)
    );
}

#[test]
fn what_is_cut_short_is_told_apart_from_what_never_came() {
    check("", &(Ok(AtClose::Nothing), 0, 0));
    check("HTTP/1.1 200 O", &(Ok(AtClose::Truncated), 0, 0));
    check("HTTP/1.1 100 Continue\r\n\r\n", &(Ok(AtClose::Truncated), 0, 0));
    check("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", &(Ok(AtClose::Truncated), 200, 4));
    check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", &(Ok(AtClose::Truncated), 200, 3));
    check(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        &(Ok(AtClose::Truncated), 200, 5),
    );
}

#[test]
fn what_is_not_http_is_told() {
    let is_protocol_error = |bytes: &str| assert!(whole(bytes).result.is_err(), "{bytes:?}");
    is_protocol_error("garbage\r\n\r\n");
    is_protocol_error("HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\n");
    is_protocol_error("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n");
    is_protocol_error("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n");
    is_protocol_error("HTTP/1.1 101 Switching Protocols\r\n\r\n");
    for body in
        ["\r\n", "x\r\n", "5x\r\n", "5\nhello\r\n", "5\r\nhello!\r\n", "ffffffffffffffff\r\n", "0\r\n\n"]
    {
        is_protocol_error(&format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}"));
    }
    is_protocol_error(&"HTTP/1.1 100 Continue\r\n\r\n".repeat(33));
}

#[test]
fn everything_has_a_limit() {
    let head = format!("HTTP/1.1 200 OK\r\nX: {}", "a".repeat(MAX_HEAD));
    assert_eq!(whole(&head).result, Err(ProtocolError::HeadTooLarge));
    assert_eq!(read(false, head.as_bytes().chunks(1000)).result, Err(ProtocolError::HeadTooLarge));
    assert_eq!(read(false, head.as_bytes().chunks(1)).result, Err(ProtocolError::HeadTooLarge));
    let complete = format!("HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 0\r\n\r\n", "a".repeat(MAX_HEAD));
    assert_eq!(whole(&complete).result, Err(ProtocolError::HeadTooLarge));
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert!(whole(&format!("{chunked}5;{}", "x".repeat(20_000))).result.is_err());
    assert!(whole(&format!("{chunked}0\r\n{}", "T: x\r\n".repeat(5000))).result.is_err());
    assert!(whole(&format!("HTTP/1.1 200 OK\r\n{}\r\n", "T: x\r\n".repeat(300))).result.is_err());
}

#[test]
fn keep_alive_follows_version_and_connection() {
    let keeps = |head: &str| whole(&format!("{head}\r\nContent-Length: 0\r\n\r\n")).keep_alive;
    assert!(keeps("HTTP/1.1 200 OK"));
    assert!(!keeps("HTTP/1.1 200 OK\r\nConnection: close"));
    assert!(!keeps("HTTP/1.1 200 OK\r\nConnection: foo, Close"));
    assert!(!keeps("HTTP/1.0 200 OK"));
    assert!(keeps("HTTP/1.0 200 OK\r\nConnection: Keep-Alive"));
    assert!(!keeps("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked"), "both framings at once are not trusted");
    assert!(!whole("HTTP/1.1 200 OK\r\n\r\n").keep_alive);
}

#[test]
fn what_follows_the_answer_is_left_alone() {
    let seen = whole("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK");
    assert_eq!(seen.used, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".len());
}

/// Answers, well-formed and otherwise: real parts in random order, random bytes in between.
fn answers() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        8 => prop::sample::select(vec![
            "HTTP/1.1 200 OK\r\n", "HTTP/1.0 404 Not Found\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "Content-Length: 3\r\n",
            "Transfer-Encoding: chunked\r\n", "Connection: close\r\n", "\r\n", "3\r\nabc\r\n", "0\r\n\r\n", "0;e\r\nT: v\r\n\r\n", "abc", "\n", "\r",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ];
    (any::<bool>(), prop::collection::vec(part, 0..10)).prop_map(|(begins_well, parts)| {
        let start: &[u8] = if begins_well { b"HTTP/1.1 200 OK\r\n" } else { b"" };
        [start.to_vec()].into_iter().chain(parts).flatten().collect()
    })
}

/// Cases of the property below. More are tried when `PROPTEST_CASES`, which proptest reads, asks for more.
const CASES: u32 = 20_000;

fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases.max(CASES), ..default }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_result_does_not_depend_on_how_the_bytes_are_split(
        bytes in answers(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8), head_request: bool,
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).chain([0, bytes.len()]).collect();
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        let at_once = read(head_request, [bytes.as_slice()]);
        let in_pieces = read(head_request, pieces);
        let byte_by_byte = read(head_request, bytes.chunks(1));
        // A malformed answer is malformed however it comes; which fault is named first may differ.
        prop_assert_eq!(at_once.result.is_err(), in_pieces.result.is_err());
        prop_assert_eq!(at_once.result.is_err(), byte_by_byte.result.is_err());
        if at_once.result.is_ok() {
            prop_assert_eq!(&at_once, &in_pieces);
            prop_assert_eq!(&at_once, &byte_by_byte);
        }
        prop_assert!(at_once.used <= bytes.len());
    }

    #[test]
    fn the_result_does_not_depend_on_the_answers_before(
        bytes in answers(), before in answers(), head_request: bool,
    ) {
        let mut known = KnownHead::default();
        let alone = read(head_request, [bytes.as_slice()]);
        for earlier in [before.as_slice(), &bytes, &bytes] {
            read_knowing(&mut known, !head_request, [earlier]);
            prop_assert_eq!(&alone, &read_knowing(&mut known, head_request, [bytes.as_slice()]));
        }
    }
}
