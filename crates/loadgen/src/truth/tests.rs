use std::io::{Read, Write};

use super::*;

/// What a client sees that sends `request` on a connection of its own and reads to the end.
fn ask(truth: &Truth, request: &str) -> (String, Option<io::ErrorKind>) {
    let mut stream = TcpStream::connect(truth.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut seen = Vec::new();
    let error = stream.read_to_end(&mut seen).err().map(|error| error.kind());
    (String::from_utf8(seen).unwrap(), error)
}

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

fn answering(answer: Answer) -> Truth {
    Truth::start(move |_| answer.clone().into()).unwrap()
}

#[test]
fn answers_stand_on_the_wire_as_described() {
    let ornate = Framing::Chunked { sizes: vec![3, 1], extensions: true, trailers: true };
    let cases = [
        (Answer::ok(3), "HTTP/1.1 200 Said\r\nContent-Length: 3\r\nConnection: close\r\n\r\nxxx"),
        (
            Answer::ok(8).framed(ornate),
            "HTTP/1.1 200 Said\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
             3;name=\"value\"\r\nxxx\r\n1;name=\"value\"\r\nx\r\n3;name=\"value\"\r\nxxx\r\n1;name=\"value\"\r\nx\r\n\
             0\r\nX-Trailer: 1\r\nX-Another: 2\r\n\r\n",
        ),
        (Answer::ok(2).framed(Framing::UntilClose), "HTTP/1.1 200 Said\r\nConnection: close\r\n\r\nxx"),
        (Answer::status(204), "HTTP/1.1 204 Said\r\nConnection: close\r\n\r\n"),
        (
            Answer::status(404).version_1_0().field("A", "b").after_interim(103),
            "HTTP/1.1 103 Soon\r\nLink: </a>\r\n\r\n\
             HTTP/1.0 404 Said\r\nContent-Length: 0\r\nA: b\r\nConnection: close\r\n\r\n",
        ),
    ];
    for (answer, wire) in cases {
        let answer = answer.close();
        let truth = answering(answer.clone());
        assert_eq!(ask(&truth, GET), (wire.to_owned(), None));
        let Counts { accepted, requests, answers, read, head_written, body_written, .. } =
            truth.finish().counts;
        assert_eq!((accepted, requests, answers, read), (1, 1, 1, GET.len() as u64));
        assert_eq!(head_written + body_written, wire.len() as u64);
        assert_eq!(body_written, wire.matches('x').count() as u64);
        assert_eq!(answer.wire_length(0, false), wire.len() as u64);
    }
}

#[test]
fn an_answer_can_be_cut_anywhere() {
    let answer = Answer::ok(10).framed(Framing::chunked([4]));
    for bytes in 0..=answer.wire_length(0, false) {
        let truth = answering(answer.clone().cut(bytes, End::Close));
        assert_eq!(ask(&truth, GET).0.len() as u64, bytes);
        let counts = truth.finish().counts;
        assert_eq!(counts.head_written + counts.body_written, bytes);
        assert_eq!(counts.answers, u64::from(bytes == answer.wire_length(0, false)));
    }
}

#[test]
fn a_client_of_http_1_0_is_told_that_its_connection_is_kept() {
    let truth = answering(Answer::ok(1));
    let twice =
        "GET / HTTP/1.0\r\nHost: x\r\nConnection: Keep-Alive\r\n\r\nGET / HTTP/1.0\r\nHost: x\r\n\r\n";
    let kept = "HTTP/1.1 200 Said\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\nx";
    assert_eq!(ask(&truth, twice).0, format!("{kept}{}", kept.replace("Connection: keep-alive\r\n", "")));
}

#[test]
fn connections_end_as_the_script_says() {
    let truth =
        Truth::start(|turn| Behaviour::End(if turn.connection == 0 { End::Close } else { End::Reset }));
    let truth = truth.unwrap();
    assert_eq!(ask(&truth, GET), (String::new(), None));
    assert_eq!(ask(&truth, GET), (String::new(), Some(io::ErrorKind::ConnectionReset)));
    assert_eq!(truth.finish().counts.answers, 0);
}

#[test]
fn junk_is_counted_apart() {
    let truth = answering(Answer::ok(1).then_junk("junk").then(End::Close));
    assert!(ask(&truth, GET).0.ends_with("\r\n\r\nxjunk"));
    let counts = truth.finish().counts;
    assert_eq!((counts.body_written, counts.junk_written, counts.answers), (1, 4, 1));
}

#[test]
fn a_request_is_heard_as_it_came() {
    let truth = answering(Answer::status(200).echo().close());
    let post = "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody";
    assert!(ask(&truth, post).0.ends_with("\r\n\r\nxxxx"));
    assert!(ask(&truth, "nonsense\r\n\r\n").1.is_some());
    let Findings { counts, heard, .. } = truth.finish();
    assert_eq!((counts.requests, counts.malformed), (1, 1));
    assert_eq!(heard.len(), 1);
    assert_eq!((heard[0].head.as_str(), &heard[0].body[..]), (&post[..post.len() - 4], &b"body"[..]));
}

#[test]
fn an_early_answer_comes_before_the_body() {
    let truth = answering(Answer::status(413).early());
    let mut stream = TcpStream::connect(truth.address()).unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n").unwrap();
    let mut seen = String::new();
    stream.read_to_string(&mut seen).unwrap();
    assert!(seen.starts_with("HTTP/1.1 413 "));
    drop(stream);
    let counts = truth.finish().counts;
    assert_eq!((counts.requests, counts.answers), (0, 1));
}

#[test]
fn stopping_ends_whatever_is_under_way() {
    let truth = Truth::start(|turn| match turn.connection {
        0 => Behaviour::Silence,
        1 => Answer::ok(1).after(Duration::from_secs(3600)).into(),
        2 => Answer::ok(1).drip(Duration::from_secs(3600)).into(),
        // Much more than the sockets' buffers hold, to a client that reads nothing.
        _ => Answer::ok(1 << 40).into(),
    })
    .unwrap();
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let mut stream = TcpStream::connect(truth.address()).unwrap();
            stream.write_all(GET.as_bytes()).unwrap();
            stream
        })
        .collect();
    let counts = truth.finish().counts;
    assert_eq!((counts.accepted, counts.answers), (4, 0));
    drop(clients);
}

#[test]
fn the_counts_are_told_and_not_counted() {
    let truth = Truth::start({
        let script = ByPath::new(0, None).unwrap();
        move |turn| script.behaviour(turn)
    })
    .unwrap();
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    for path in ["/bytes/5", "/status/503", "/no-such-word"] {
        ask(&truth, &get(path));
    }
    let read: usize = ["/bytes/5", "/status/503", "/no-such-word"].iter().map(|path| get(path).len()).sum();
    for _ in 0..2 {
        let (seen, error) = ask(&truth, &get("/truth.json"));
        assert_eq!(error, None);
        let told: serde_json::Value = serde_json::from_str(seen.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        assert_eq!(
            told,
            serde_json::json!({
                "accepted": 3, "requests": 3, "malformed": 0, "answers": 3, "read": read, "head_written":
                told["head_written"], "body_written": 5, "junk_written": 0,
                "statuses": {"200": 1, "404": 1, "503": 1},
            })
        );
    }
    let Findings { counts, statuses, .. } = truth.finish();
    assert_eq!((counts.requests, counts.accepted, counts.read), (3, 3, read as u64));
    assert_eq!(statuses, BTreeMap::from([(200, 1), (404, 1), (503, 1)]));
}

#[test]
fn the_time_that_answers_are_held_back_is_kept() {
    let truth = answering(Answer::ok(1).after(Duration::from_millis(20)).close());
    for _ in 0..3 {
        ask(&truth, GET);
    }
    let served = truth.finish().served;
    assert_eq!(served.iter().map(|served| served.number).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(served.iter().all(|served| served.held >= 20_000_000), "{served:?}");
    assert!(served[1].at >= served[0].at + served[0].held, "{served:?}");
}

#[test]
fn within_tls_it_does_and_counts_the_same() {
    let identity = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let certificate = identity.cert.der().clone();
    let key = PrivateKeyDer::try_from(identity.signing_key.serialize_der()).unwrap();
    let truth = Truth::start_tls(certificate.clone(), key, |_| Answer::ok(100_000).close().into()).unwrap();
    assert!(truth.url("/a").starts_with("https://127.0.0.1:"));

    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "127.0.0.1".try_into().unwrap();
    let session = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = rustls::StreamOwned::new(session, TcpStream::connect(truth.address()).unwrap());
    stream.write_all(GET.as_bytes()).unwrap();
    let mut seen = String::new();
    // An end that was not announced would be an error.
    stream.read_to_string(&mut seen).unwrap();
    let wire = Answer::ok(100_000).close().wire_length(0, false);
    assert_eq!(seen.len() as u64, wire);
    drop(stream);
    let counts = truth.finish().counts;
    assert_eq!((counts.requests, counts.answers, counts.read), (1, 1, GET.len() as u64));
    assert_eq!((counts.head_written + counts.body_written, counts.body_written), (wire, 100_000));
}
