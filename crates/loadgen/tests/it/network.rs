//! The ways to a server that are not the URL's own: rules, proxies, unix sockets, TLS and HTTP/2.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use loadgen::truth::{Answer, Http2Behaviour, Http2Truth, Http2Turn, Truth};
use report::document::FailureKind;

use crate::helper::{Ended, Place};
use crate::identity::Identity;

fn hello() -> Truth {
    Truth::start(|_| Answer::ok(5).into()).unwrap()
}

/// Twenty requests over two connections, all of them answered.
fn assert_all_answered(ended: &Ended) {
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stdout.contains("[200]\t20 responses\n"), "{ended:?}");
}

fn answer(_: &Http2Turn<'_>) -> Http2Behaviour {
    Http2Behaviour::Answer { status: 200, body: 5, delay: Duration::ZERO }
}

const LOAD: [&str; 4] = ["-n", "20", "-c", "2"];

fn load(place: &Place, words: &[&str]) -> Ended {
    place.run(&[&LOAD, words].concat())
}

#[test]
fn names_lead_where_rules_say() {
    let (place, truth) = (Place::new(), hello());
    let port = truth.address().port();
    let url = format!("http://api.invalid:{port}/");
    let rule = format!("api.invalid:{port}:127.0.0.1");
    assert_all_answered(&load(&place, &["--resolve", &rule, &url]));
    let rule = format!("api.invalid:80:127.0.0.1:{port}");
    assert_all_answered(&load(&place, &["--connect-to", &rule, "http://api.invalid/"]));
    assert_all_answered(&load(
        &place,
        &["--connect-to", &format!("::127.0.0.1:{port}"), "http://b.invalid/"],
    ));
    // The host that is asked for stays that of the URL.
    let hosts: Vec<_> = truth.finish().heard.iter().map(|heard| heard.head.clone()).collect();
    assert!(hosts[0].contains(&format!("\r\nHost: api.invalid:{port}\r\n")), "{hosts:?}");
}

#[test]
fn a_name_of_several_addresses_is_loaded_where_somebody_listens() {
    let (place, truth) = (Place::new(), hello());
    let port = truth.address().port();
    let rule = format!("api.invalid:{port}:127.0.0.2,127.0.0.1");
    let ended = load(&place, &["--resolve", &rule, &format!("http://api.invalid:{port}/")]);
    assert_all_answered(&ended);
    assert!(ended.stdout.contains("127.0.0.2"), "the other address is not told: {ended:?}");
    assert_eq!(truth.finish().counts.requests, 20);
}

/// Carries bytes between a socket of any kind and a server.
fn carry(mut client: impl Read + Write + Send + 'static, mut client_too: impl Read + Write, to: SocketAddr) {
    let mut server = TcpStream::connect(to).unwrap();
    let mut server_too = server.try_clone().unwrap();
    thread::spawn(move || {
        let _ = std::io::copy(&mut client, &mut server);
        let _ = server.shutdown(Shutdown::Write);
    });
    let _ = std::io::copy(&mut server_too, &mut client_too);
}

#[test]
fn a_unix_socket_is_a_way_too() {
    let (place, truth) = (Place::new(), hello());
    let path = place.folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let to = truth.address();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let too = client.try_clone().unwrap();
            thread::spawn(move || carry(client, too, to));
        }
    });
    let ended = load(&place, &["--unix-socket", path.to_str().unwrap(), "http://anything.invalid/"]);
    assert_all_answered(&ended);
    let ended = load(&place, &["--unix-socket", "nowhere", "http://anything.invalid/"]);
    assert_eq!(ended.code, 3);
    assert!(ended.stdout.contains("connecting to nowhere: No such file"), "{ended:?}");
}

/// Answers everything that is sent to it in these words, after doing with it what is to be done.
fn parrot(words: &'static str, then: impl Fn(TcpStream, String) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let then = then.clone();
            thread::spawn(move || {
                let (mut client, mut said) = (client, vec![0; 4096]);
                let bytes = client.read(&mut said).unwrap_or(0);
                if bytes > 0 && client.write_all(words.as_bytes()).is_ok() {
                    then(client, String::from_utf8_lossy(&said[..bytes]).into_owned());
                }
            });
        }
    });
    address
}

/// What a parrot heard.
type Heard = Arc<Mutex<Vec<String>>>;

#[test]
fn a_proxy_passes_plain_requests_on() {
    let (place, heads) = (Place::new(), Heard::default());
    let kept = Arc::clone(&heads);
    let answer = "HTTP/1.1 200 Fine\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello";
    let proxy = parrot(answer, move |_, head| kept.lock().unwrap().push(head));
    let ended = load(&place, &["-x", &format!("user:secret@{proxy}"), "http://far.invalid:81/path?q"]);
    assert_all_answered(&ended);
    let head = heads.lock().unwrap()[0].clone();
    assert!(
        head.starts_with("GET http://far.invalid:81/path?q HTTP/1.1\r\nHost: far.invalid:81\r\n"),
        "{head}"
    );
    assert!(head.contains("\r\nProxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n"), "{head}");
}

#[test]
fn a_proxy_opens_tunnels_for_tls() {
    let (place, identity) = (Place::new(), Identity::new(&["h2", "http/1.1"]));
    let truth = Http2Truth::start(Some(identity.server.clone()), 10, answer).unwrap();
    let authority = identity.authority.path().to_str().unwrap();
    let (heads, to) = (Heard::default(), truth.address());
    let kept = Arc::clone(&heads);
    let tunnels = parrot("HTTP/1.1 200 Fine\r\nX: y\r\n\r\n", move |client, head| {
        kept.lock().unwrap().push(head);
        let too = client.try_clone().unwrap();
        carry(client, too, to);
    });
    let url = "https://localhost:81/";
    let through = |proxy: SocketAddr| {
        load(&place, &["-h2", "--cacert", authority, "-x", &format!("user:secret@{proxy}"), url])
    };
    assert_all_answered(&through(tunnels));
    let head = heads.lock().unwrap()[0].clone();
    assert!(head.starts_with("CONNECT localhost:81 HTTP/1.1\r\nHost: localhost:81\r\n"), "{head}");
    assert!(head.contains("\r\nProxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n"), "{head}");
    let ended = through(parrot("HTTP/1.1 407 Who\r\n\r\n", |_, _| {}));
    assert_eq!(ended.code, 3);
    assert!(ended.stdout.contains("the proxy wants a user and a password"), "{ended:?}");
}

#[test]
fn certificates_are_verified_unless_told_otherwise() {
    let (place, identity) = (Place::new(), Identity::new(&["h2", "http/1.1"]));
    let truth = Http2Truth::start(Some(identity.server.clone()), 10, answer).unwrap();
    let port = truth.address().port();
    let (url, other) = (format!("https://localhost:{port}/"), format!("https://other.invalid:{port}/"));
    let authority = identity.authority.path().to_str().unwrap();
    assert_all_answered(&load(&place, &["-h2", "-k", &url]));
    assert_all_answered(&load(&place, &["-h2", "--cacert", authority, &url]));
    let rule = format!("other.invalid:{port}:127.0.0.1");
    let other = ["-h2", "--cacert", authority, "--resolve", &rule, &other];
    assert_all_answered(&load(&place, &[&other[..], &["--sni", "localhost"]].concat()));
    let refused = |words: &[&str], signs: &[&str]| {
        let ended = load(&place, words);
        assert_eq!(
            (ended.code, ended.stdout.as_str(), ended.stderr.lines().count()),
            (3, "", 1),
            "{ended:?}"
        );
        assert!(signs.iter().all(|sign| ended.stderr.contains(sign)), "{ended:?}");
    };
    refused(&["-h2", &url], &["not trusted", "-k", "--cacert"]);
    refused(&other, &["another name", "-k"]);
    // A server without TLS, and one that speaks another version of HTTP.
    let plain = parrot("HTTP/1.1 400 What\r\nContent-Length: 0\r\n\r\n", |_, _| {});
    refused(&["-k", &format!("https://{plain}/")], &["not TLS", "http://"]);
    let plain = hello();
    refused(&["--h2c", &format!("http://{}/", plain.address())], &["does not speak HTTP/2"]);
    let old = Identity::new(&["http/1.1"]);
    let old = Http2Truth::start(Some(old.server), 10, answer).unwrap();
    refused(&["-k", "-h2", &format!("https://{}/", old.address())], &["does not speak the HTTP version"]);
    assert_eq!(truth.finish().accepted, 6, "a connection that was not trusted was used");
}

#[test]
fn a_certificate_that_signs_itself_is_trusted_where_it_is_named() {
    let place = Place::new();
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&pair.signing_key).unwrap();
    place.file("server.pem", &certificate.pem());
    let key = rustls::pki_types::PrivateKeyDer::try_from(pair.signing_key.serialize_der()).unwrap();
    let truth = Truth::start_tls(certificate.der().clone(), key, |_| Answer::ok(5).into()).unwrap();
    let port = truth.address().port();
    assert_all_answered(&load(&place, &["--cacert", "server.pem", &format!("https://localhost:{port}/")]));
    let ended = load(&place, &["--cacert", "server.pem", &format!("https://127.0.0.1:{port}/")]);
    assert_eq!((ended.code, ended.stderr.contains("another name")), (3, true), "{ended:?}");
}

#[test]
fn one_address_that_is_silent_does_not_hide_the_other() {
    let (place, truth) = (Place::new(), hello());
    let port = truth.address().port();
    // At the same port of another address, a queue of connections that is full.
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let silent = SocketAddr::from(([127, 0, 0, 9], port));
    listener.bind(&silent.into()).unwrap();
    listener.listen(0).unwrap();
    let _first = TcpStream::connect(silent).unwrap();
    let rule = format!("api.invalid:{port}:127.0.0.9,127.0.0.1");
    let ended = load(&place, &["-t", "5", "--resolve", &rule, &format!("http://api.invalid:{port}/")]);
    assert_all_answered(&ended);
    assert!(ended.stdout.contains("127.0.0.9"), "the other address is not told: {ended:?}");
}

#[test]
fn failures_that_wait_for_nothing_can_be_interrupted() {
    let place = Place::new();
    let mut running = place.start(&["--unix-socket", "nowhere", "-z", "30s", "-o", "json", "http://h/"]);
    // It computes: the failures come one after the other.
    running.until("failures", |running| {
        let cpu = loadgen::machine::process_cpu(running.pid())?;
        (cpu > 300_000_000).then_some(())
    });
    let before = crate::helper::now();
    running.signal(rustix::process::Signal::INT);
    let ended = running.wait();
    assert!(before.elapsed() < Duration::from_secs(10), "it went on");
    assert_eq!(ended.code, 130, "{ended:?}");
}

#[test]
fn a_head_that_http2_puts_otherwise_is_shown_as_such() {
    let truth = Http2Truth::start(None, 10, answer).unwrap();
    let ended = Place::new().run(&["--debug", "--h2c", &format!("http://{}/x", truth.address())]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let sign = "* sent over HTTP/2; the head as HTTP/1.1 would put it:\n> GET /x HTTP/1.1\n";
    assert!(ended.stdout.contains(sign), "{ended:?}");
}

#[test]
fn a_connection_that_takes_too_long_is_given_up() {
    let place = Place::new();
    // Its queue of connections is full, so that nobody gets through.
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let _first = TcpStream::connect(address).unwrap();
    let url = format!("http://{address}/");
    let words = ["-n", "2", "-c", "2", "-t", "10", "--connect-timeout", "200ms", "-o", "json", &url];
    let run = place.run(&words).document();
    assert_eq!(run.account.failed, 2);
    assert_eq!(run.failures.keys().collect::<Vec<_>>(), [&FailureKind::ConnectTimeout]);
}
