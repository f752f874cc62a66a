//! The cases of HTTP/2: the own engine and reqwest, over TLS and over plain TCP.

use std::time::Duration;

use report::document::{FailureKind, Run};

use super::identity::Identity;
use super::{Case, Wire, assert_failed};
use crate::options::EngineChoice;
use crate::truth::{Http2Behaviour as Behaviour, Http2Counts, Http2Truth, Http2Turn};

for_each_wire! {
    http2 http2_tls Http2:
    answers_are_counted_with_their_bytes
    bodies_are_sent_whole
    a_large_answer_does_not_wait_for_its_reader
    the_head_says_who_is_asked
    redirects_are_followed
    streams_that_are_reset_fail_alone
    connections_that_close_are_replaced
    closed_before_an_answer
    the_last_answer_of_a_connection_is_an_answer
    a_server_that_never_answers_times_out
    good_and_bad_in_one_run
    a_run_by_time_conserves_too
    a_run_at_a_rate_conserves_too
    a_connection_for_each_request_where_that_is_asked_for
    a_connection_that_hangs_is_replaced
}

fn answer(status: u16, body: usize) -> Behaviour {
    Behaviour::Answer { status, body, delay: Duration::ZERO }
}

/// What came of it, on both sides.
struct Sides {
    run: Run,
    truth: Http2Counts,
}

impl Wire {
    fn load(
        self,
        requests: u64,
        connections: u32,
        script: impl Fn(&Http2Turn<'_>) -> Behaviour + Send + Sync + 'static,
    ) -> Sides {
        self.load_case(Case::new(self, requests, connections), script)
    }

    fn load_case(
        self,
        mut case: Case,
        script: impl Fn(&Http2Turn<'_>) -> Behaviour + Send + Sync + 'static,
    ) -> Sides {
        let identity = self.tls.then(|| Identity::new(&["h2"]));
        let server = identity.as_ref().map(|identity| identity.server.clone());
        let truth = Http2Truth::start(server, 100, script).unwrap();
        let scheme = if self.tls { "https" } else { "http" };
        (case.options.http2, case.options.h2c) = (self.tls, !self.tls);
        case.options.cacert = identity.as_ref().map(|identity| identity.authority.path().to_owned());
        let run = case.run(&format!("{scheme}://{}/path?query", truth.address()));
        let sides = Sides { run, truth: truth.finish() };
        sides.check(self);
        sides
    }
}

impl Sides {
    /// What holds between the two sides, whatever happened.
    fn check(&self, wire: Wire) {
        let Self { run, truth } = self;
        let answered = run.account.answered();
        assert!(truth.requests <= run.account.sent + run.redirects, "something was sent twice: {truth:?}");
        assert!(answered <= truth.answers, "an answer was invented: {truth:?}");
        let lost = run.account.failed + run.account.timeout + run.account.aborted;
        assert!(truth.answers <= answered + lost + run.redirects, "{truth:?}");
        assert!(run.bytes.body_read <= truth.body_written, "{truth:?}");
        if answered == run.account.sent {
            assert_eq!(run.bytes.body_read, truth.body_written);
        }
        let given_up = run.account.timeout + run.account.aborted;
        assert!(truth.accepted <= run.connections.opened + given_up, "{given_up} {truth:?}");
        let negotiated = run.negotiated.as_ref().unwrap();
        assert_eq!(negotiated.protocol, if wire.tls { "h2" } else { "h2c" });
        assert_eq!((negotiated.tls_version.is_some(), negotiated.cipher.is_some()), (wire.tls, wire.tls));
    }

    fn assert_all_answered(&self, status: u16) {
        assert_eq!(self.run.status.get(&status), Some(&self.run.account.sent), "{:?}", self.run.failures);
    }
}

fn answers_are_counted_with_their_bytes(wire: Wire) {
    for (status, body) in [(200, 0), (200, 5), (404, 70_000), (503, 1)] {
        let sides = wire.load(50, 3, move |_| answer(status, body));
        sides.assert_all_answered(status);
        assert_eq!(sides.run.bytes.body_read, 50 * body as u64);
        assert_eq!((sides.truth.accepted, sides.run.connections.opened), (3, 3));
        assert_eq!((sides.truth.most_at_once, sides.run.connections.reused), (1, 47));
    }
}

fn bodies_are_sent_whole(wire: Wire) {
    for bytes in [1, 1000, 1_000_000] {
        let sides = wire.load_case(Case::new(wire, 6, 2).body(bytes), |_| Behaviour::Echo);
        sides.assert_all_answered(200);
        assert_eq!(sides.truth.body_read, 6 * bytes as u64);
        assert_eq!(sides.run.bytes.body_read, 6 * bytes as u64);
    }
}

fn a_large_answer_does_not_wait_for_its_reader(wire: Wire) {
    let sides = wire.load(2, 1, |_| answer(200, 10_000_000));
    sides.assert_all_answered(200);
}

fn the_head_says_who_is_asked(wire: Wire) {
    let identity = wire.tls.then(|| Identity::new(&["h2"]));
    let server = identity.as_ref().map(|identity| identity.server.clone());
    let truth = Http2Truth::start(server, 100, |_| answer(200, 1)).unwrap();
    let mut case = Case::new(wire, 1, 1);
    (case.options.http2, case.options.h2c) = (wire.tls, !wire.tls);
    case.options.insecure = wire.tls;
    case.options.header = vec!["X-One: 1".to_owned(), "Connection: keep-alive".to_owned()];
    let scheme = if wire.tls { "https" } else { "http" };
    let run = case.run(&format!("{scheme}://{}/", truth.address()));
    assert_eq!(run.account.ok, 1, "{:?}", run.failures);
    let (authority, fields) = truth.heads().remove(0);
    assert_eq!(authority, truth.address().to_string());
    assert_eq!(fields.get("x-one").unwrap(), "1");
    assert!(fields.get("host").is_none() && fields.get("connection").is_none(), "{fields:?}");
}

fn redirects_are_followed(wire: Wire) {
    let sides = wire.load(20, 2, |turn| match turn.head.uri().path() {
        "/path" => Behaviour::Redirect("/there".to_owned()),
        _ => answer(200, 3),
    });
    sides.assert_all_answered(200);
    assert_eq!((sides.run.redirects, sides.truth.requests, sides.truth.accepted), (20, 40, 2));
}

fn streams_that_are_reset_fail_alone(wire: Wire) {
    for bytes in [None, Some(0), Some(100)] {
        let sides = wire.load(20, 2, move |turn| match turn.request % 2 {
            0 => answer(200, 10),
            _ => Behaviour::Reset(bytes),
        });
        let Run { account, failures, .. } = &sides.run;
        // The two connections need not carry ten each.
        assert!(account.ok + account.failed == 20 && account.failed >= 9, "{account:?} {failures:?}");
        assert_eq!(failures.keys().collect::<Vec<_>>(), [&FailureKind::Reset], "{failures:?}");
        if wire.engine == EngineChoice::Http2 {
            assert_eq!(sides.truth.accepted, 2, "the connection goes on");
        }
    }
}

fn connections_that_close_are_replaced(wire: Wire) {
    let sides = wire.load(20, 2, |turn| match turn.request {
        3 => Behaviour::Close(Some(100)),
        _ => answer(200, 10),
    });
    let Run { account, failures, .. } = &sides.run;
    assert_eq!(account.ok + account.failed, 20);
    assert!(account.failed >= 4 && sides.truth.accepted >= 5, "{account:?} {:?}", sides.truth);
    if wire.engine == EngineChoice::Http2 {
        let cut = [FailureKind::Truncated, FailureKind::ClosedIdle];
        assert!(failures.keys().all(|kind| cut.contains(kind)), "{failures:?}");
    }
}

fn closed_before_an_answer(wire: Wire) {
    let sides = wire.load(6, 2, |_| Behaviour::Close(None));
    assert_failed(&sides.run, &[FailureKind::Closed, FailureKind::Reset, FailureKind::Io]);
    assert_eq!((sides.truth.accepted, sides.truth.answers), (6, 0));
}

fn the_last_answer_of_a_connection_is_an_answer(wire: Wire) {
    let sides = wire.load(40, 2, |turn| match turn.request {
        4 => Behaviour::LastAnswer,
        _ => answer(200, 10),
    });
    let Run { account, failures, .. } = &sides.run;
    // The farewell and the next request pass each other, or they do not: seen in time, it costs nothing.
    let farewell = [FailureKind::ClosedIdle, FailureKind::Closed, FailureKind::Reset, FailureKind::Io];
    assert!(failures.keys().all(|kind| farewell.contains(kind)), "{failures:?}");
    assert!(account.ok >= 32 && account.ok + account.failed == 40, "{account:?} {failures:?}");
    assert!(sides.truth.accepted >= 7, "{:?}", sides.truth);
}

fn a_server_that_never_answers_times_out(wire: Wire) {
    let timeout = Duration::from_millis(150);
    let case = Case::new(wire, 6, 3).timeout(timeout);
    let sides = wire.load_case(case, |_| Behaviour::Silence);
    assert_eq!((sides.run.account.timeout, sides.run.account.answered()), (6, 0));
    assert_eq!(sides.run.connections.never_answered, 3);
    let least = u64::try_from(timeout.as_nanos()).unwrap();
    assert!(sides.run.latencies.censored.min_ns >= least);
}

fn good_and_bad_in_one_run(wire: Wire) {
    let case = Case::new(wire, 300, 5).on_workers(2).timeout(Duration::from_millis(300));
    let sides = wire.load_case(case, |turn| match (turn.connection + turn.request) % 10 {
        0 => Behaviour::Reset(None),
        1 => answer(500, 10),
        2 => Behaviour::Close(Some(20)),
        4 if turn.connection.is_multiple_of(20) => Behaviour::Silence,
        _ => answer(200, 100),
    });
    let Run { account, .. } = &sides.run;
    assert!(account.ok > 0 && account.http_error > 0 && account.failed > 0, "{account:?}");
}

fn a_run_by_time_conserves_too(wire: Wire) {
    let mut case = Case::new(wire, 1, 3);
    case.options.duration = "200ms".parse().ok();
    let sides = wire.load_case(case, |_| answer(200, 7));
    assert!(sides.run.account.ok > 10);
    assert_eq!(sides.run.account.ok, sides.truth.answers);
    assert_eq!(sides.run.bytes.body_read, sides.truth.body_written);
}

fn a_run_at_a_rate_conserves_too(wire: Wire) {
    let mut case = Case::new(wire, 1, 3);
    case.options.duration = "200ms".parse().ok();
    case.options.rate = "500".parse().ok();
    let sides = wire.load_case(case, |_| answer(200, 7));
    assert_eq!((sides.run.account.ok, sides.truth.answers), (100, 100));
    assert_eq!(sides.run.bytes.body_read, sides.truth.body_written);
}

fn a_connection_for_each_request_where_that_is_asked_for(wire: Wire) {
    let mut case = Case::new(wire, 20, 2);
    case.options.disable_keepalive = true;
    let sides = wire.load_case(case, |_| answer(200, 7));
    sides.assert_all_answered(200);
    assert_eq!((sides.truth.accepted, sides.run.connections.reused), (20, 0));
}

fn a_connection_that_hangs_is_replaced(wire: Wire) {
    let case = Case::new(wire, 40, 2).timeout(Duration::from_millis(200));
    let sides = wire.load_case(case, |turn| match (turn.connection, turn.request) {
        (0..2, 3..) => Behaviour::Silence,
        _ => answer(200, 7),
    });
    let Run { account, .. } = &sides.run;
    assert_eq!((account.timeout, account.ok), (2, 38), "{account:?}");
    assert_eq!(sides.truth.accepted, 4);
}

#[test]
fn streams_go_on_elsewhere_when_a_connection_takes_no_more() {
    let wire = Wire::plain(EngineChoice::Http2);
    let mut case = Case::new(wire, 600, 2);
    case.options.streams = 8.try_into().ok();
    let sides = wire.load_case(case, |turn| match turn.request {
        20 => Behaviour::LastAnswer,
        // Some are under way when the farewell comes.
        number if number % 3 == 0 => {
            Behaviour::Answer { status: 200, body: 7, delay: Duration::from_millis(3) }
        }
        _ => answer(200, 7),
    });
    let Run { account, connections, failures, .. } = &sides.run;
    assert!(account.ok >= 500, "{account:?} {failures:?}");
    assert!(sides.truth.accepted >= 8, "{:?}", sides.truth);
    assert!(
        connections.reopened <= connections.opened,
        "places were counted, not connections: {connections:?}"
    );
}

#[test]
fn streams_share_connections() {
    let wire = Wire::plain(EngineChoice::Http2);
    let mut case = Case::new(wire, 200, 3).on_workers(2);
    case.options.streams = 5.try_into().ok();
    let delay = Duration::from_millis(2);
    let sides = wire.load_case(case, move |_| Behaviour::Answer { status: 200, body: 3, delay });
    sides.assert_all_answered(200);
    assert_eq!((sides.run.connections.slots, sides.run.connections.opened), (15, 3));
    assert_eq!((sides.truth.accepted, sides.truth.most_at_once), (3, 5));
}

#[test]
fn a_server_that_allows_fewer_streams_makes_the_others_wait() {
    let truth = Http2Truth::start(None, 2, |_| Behaviour::Answer {
        status: 200,
        body: 1,
        delay: Duration::from_millis(2),
    })
    .unwrap();
    let mut case = Case::new(Wire::plain(EngineChoice::Http2), 40, 1);
    case.options.streams = 6.try_into().ok();
    case.options.h2c = true;
    let run = case.run(&format!("http://{}/", truth.address()));
    let counts = truth.finish();
    assert_eq!((run.account.ok, counts.answers, counts.most_at_once), (40, 40, 2));
    assert_eq!(run.negotiated.unwrap().max_streams, Some(2));
}
