//! Servers that refuse, close, reset, answer garbage, never answer, truncate: each is told by its kind, in a whole
//! report with a balanced account.

use std::net::TcpListener;
use std::time::Duration;

use loadgen::truth::{Answer, Behaviour, End, Framing, Truth};
use report::document::{Ended as How, FailureKind};

use crate::helper::{Place, failures};

/// Loads a server that does this to every request, and expects that kind of failure and nothing else.
fn assert_fails(behaviour: &Behaviour, kind: FailureKind) {
    let own = behaviour.clone();
    let truth = Truth::start(move |_| own.clone()).unwrap();
    assert_all_fail(&truth.url("/"), kind);
    let counts = truth.finish().counts;
    assert_eq!((counts.requests, counts.answers), (12, 0), "six each for the report and the document");
}

fn assert_all_fail(url: &str, kind: FailureKind) {
    let place = Place::new();
    let ended = place.run(&["-n", "6", "-c", "2", url]);
    assert_eq!(ended.code, 3, "{ended:?}");
    ended.assert_hey();
    ended.assert_calm();
    let row = format!("\n  [6]\t{}: ", kind.name());
    assert!(ended.stdout.contains(&row), "{row} is not in {}", ended.stdout);
    let rows = ended.stdout.lines().filter(|line| line.trim_start().starts_with('['));
    assert_eq!(rows.count(), 1, "{}", ended.stdout);

    let ended = place.run(&["-n", "6", "-c", "2", "-o", "json", url]);
    assert_eq!(ended.code, 3, "{ended:?}");
    let run = ended.document();
    assert_eq!((run.account.sent, run.account.failed, failures(&run, kind)), (6, 6, 6));
    assert_eq!(run.ended, How::Completed);
    assert_eq!((place.names(), place.left_behind()), (vec![], vec![]), "a plain load test writes nothing");
}

#[test]
fn refuses() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    assert_all_fail(&url, FailureKind::ConnectRefused);
}

#[test]
fn has_no_address() {
    // Longer than a name may be, so that no resolver is asked.
    assert_all_fail(&format!("http://{}.invalid/", "n".repeat(70)), FailureKind::Dns);
}

#[test]
fn closes() {
    assert_fails(&Behaviour::End(End::Close), FailureKind::Closed);
}

#[test]
fn resets() {
    assert_fails(&Behaviour::End(End::Reset), FailureKind::Reset);
    assert_fails(&Answer::ok(1000).cut(500, End::Reset).into(), FailureKind::Reset);
}

#[test]
fn answers_garbage() {
    assert_fails(
        &Behaviour::Raw(b"\x16\x03\x01 not HTTP\r\n\r\n".to_vec(), End::Close),
        FailureKind::Protocol,
    );
    let chunk = b"HTTP/1.1 200 Fine\r\nTransfer-Encoding: chunked\r\n\r\nnot hexadecimal\r\n";
    assert_fails(&Behaviour::Raw(chunk.to_vec(), End::Open), FailureKind::Protocol);
}

#[test]
fn truncates() {
    assert_fails(&Answer::ok(1000).cut(20, End::Close).into(), FailureKind::Truncated);
    assert_fails(&Answer::ok(1000).cut(500, End::Close).into(), FailureKind::Truncated);
    let chunked = Answer::ok(1000).framed(Framing::chunked([10]));
    assert_fails(&chunked.cut(500, End::Close).into(), FailureKind::Truncated);
}

#[test]
fn never_answers() {
    let place = Place::new();
    let truth = Truth::start(|_| Behaviour::Silence).unwrap();
    let ended = place.run(&["-n", "4", "-c", "2", "-t", "1", "-o", "json", &truth.url("/")]);
    assert_eq!(ended.code, 3, "{ended:?}");
    let run = ended.document();
    assert_eq!((run.account.sent, run.account.timeout, run.connections.never_answered), (4, 4, 2));
    assert!(run.latencies.censored.min_ns >= 1_000_000_000, "{}", run.latencies.censored.min_ns);
    assert_eq!(run.latencies.answered.count, 0);

    let ended = place.run(&["-n", "2", "-c", "2", "-t", "100ms", &truth.url("/")]);
    assert_eq!(ended.code, 3, "{ended:?}");
    ended.assert_hey();
    assert!(ended.stdout.contains("\n  [2]\ttimeout"), "{}", ended.stdout);
}

#[test]
fn a_duration_ends_on_time_whatever_the_server_does() {
    let place = Place::new();
    let truth = Truth::start(|turn| match turn.connection {
        0 => Behaviour::Silence,
        _ => Answer::ok(10).after(Duration::from_millis(5)).into(),
    });
    let truth = truth.unwrap();
    let ended = place.run(&["-z", "1s", "-c", "4", "--drain", "200ms", "-o", "json", &truth.url("/")]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let run = ended.document();
    assert_eq!((run.window.planned_ns, run.window.measured_ns), (Some(1_000_000_000), 1_000_000_000));
    // 100 ms on a quiet machine.
    assert!((1_200_000_000..1_600_000_000).contains(&run.window.wall_ns), "{:?}", run.window);
    assert_eq!((run.account.aborted, run.connections.never_answered), (1, 1));
    assert!(run.account.ok - run.account.answered_in_window <= 3, "{:?}", run.account);
    let counts = truth.finish().counts;
    assert_eq!((counts.accepted, counts.requests), (run.connections.opened, run.account.sent));
    assert_eq!(counts.answers, run.account.ok);
}

#[test]
fn errors_of_the_application_are_answers() {
    let place = Place::new();
    let truth = Truth::start(|_| Answer::status(503).into()).unwrap();
    let ended = place.run(&["-n", "6", "-c", "2", &truth.url("/")]);
    assert_eq!(ended.code, 0, "{ended:?}");
    ended.assert_hey();
    assert!(ended.stdout.contains("\n  [503]\t6 responses\n"), "{}", ended.stdout);
}
