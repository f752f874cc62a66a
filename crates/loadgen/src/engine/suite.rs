//! One list of cases that every engine with a network must pass, against a server that knows the answer.
//!
//! Each case is a function of the wire; [`for_each_wire!`] makes one test per wire of it. Whatever the case,
//! [`Case::load`] holds the run's document against what the server counted.

mod conservation;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use report::document::{FailureKind, Run};

use self::identity::Identity;
use crate::launch::Program;
use crate::options::{EngineChoice, LoadOptions};
use crate::plan::{Plan, Surroundings};
use crate::quantity::Timeout;
use crate::run::{self, Context, Interrupt, Nobody};
use crate::truth::{Answer, Behaviour, Counts, End, Findings, Framing, Truth, Turn};

mod identity;

/// An engine, and what carries its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wire {
    engine: EngineChoice,
    tls: bool,
}

impl Wire {
    const fn plain(engine: EngineChoice) -> Self {
        Self { engine, tls: false }
    }

    const fn tls(engine: EngineChoice) -> Self {
        Self { engine, tls: true }
    }

    /// Whether it tells of every byte and every moment.
    fn is_http1(self) -> bool {
        self.engine == EngineChoice::Http1
    }
}

/// A test of each case for each wire: the own engine and, to hold it against, `reqwest`, in plain and in TLS.
macro_rules! for_each_wire {
    ($plain:ident $tls:ident $own:ident: $($case:ident)*) => {
        for_each_wire! { @ $plain plain $own $($case)* }
        for_each_wire! { @ $tls tls $own $($case)* }
        for_each_wire! { @ reqwest plain Reqwest $($case)* }
        for_each_wire! { @ reqwest_tls tls Reqwest $($case)* }
    };
    (@ $name:ident $carrier:ident $engine:ident $($case:ident)*) => {
        mod $name {
            use super::{EngineChoice, Wire};
            $( #[test] fn $case() { super::$case(Wire::$carrier(EngineChoice::$engine)); } )*
        }
    };
}

// Where the macro is known.
mod http2;

for_each_wire! {
    http1 http1_tls Http1:
    every_status_is_counted
    every_framing_is_read_to_its_end
    answers_without_a_body_end_with_their_head
    interim_answers_are_passed_over
    an_answer_of_ten_megabytes
    bodies_are_sent_whole
    an_answer_before_the_body_was_read_is_an_answer
    a_body_that_nobody_reads_does_not_hang
    kept_alive_connections_are_kept
    announced_closes_are_reconnected
    http_1_0_closes_unless_it_says_otherwise
    silent_closes_lose_and_repeat_nothing
    bytes_after_an_answer_are_no_answer
    nobody_listens
    no_such_name
    passwords_are_not_told
    closed_without_an_answer
    reset_without_an_answer
    reset_within_an_answer
    truncated_bodies
    closed_at_every_byte_of_an_answer_with_a_length
    closed_at_every_byte_of_a_chunked_answer
    reset_at_every_byte_of_an_answer
    not_http
    malformed_chunks
    a_server_that_never_answers_times_out
    an_answer_that_comes_too_late_times_out
    an_answer_that_stalls_times_out
    drips_are_put_together
    good_and_bad_in_one_run
    no_write_waits_for_an_acknowledgement
    a_close_that_was_asked_for_is_expected
    checks_see_the_whole_answer
}

/// Who the servers are that speak TLS.
static IDENTITY: LazyLock<Identity> = LazyLock::new(|| Identity::new(&["http/1.1"]));

/// A load, small enough to be over at once.
struct Case {
    wire: Wire,
    requests: u64,
    connections: u32,
    workers: u16,
    options: LoadOptions,
}

/// What came of it, on both sides.
struct Sides {
    run: Run,
    truth: Counts,
}

impl Case {
    fn new(wire: Wire, requests: u64, connections: u32) -> Self {
        // Long enough for a busy machine; where a case is about timeouts, it sets its own.
        let timeout = Some(Timeout(Some(Duration::from_secs(20))));
        let options = LoadOptions { timeout, ..LoadOptions::default() };
        // On one worker every connection gets a request before any gets its second, however busy the machine is.
        Self { wire, requests, connections, workers: 1, options }
    }

    fn method(mut self, method: &str) -> Self {
        self.options.method = Some(method.to_owned());
        self
    }

    fn body(mut self, bytes: usize) -> Self {
        self.options.body = Some("b".repeat(bytes));
        self.method("POST")
    }

    fn on_workers(mut self, workers: u16) -> Self {
        self.workers = workers;
        self
    }

    fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(Timeout(Some(timeout)));
        self
    }

    /// Loads `url`.
    fn run(self, url: &str) -> Run {
        let Self { wire, requests, connections, workers, mut options } = self;
        options.engine = Some(wire.engine);
        let is_by_number = options.duration.is_none();
        if is_by_number {
            options.requests = requests.try_into().ok();
        }
        options.connections = connections.try_into().ok();
        options.workers = workers.try_into().ok();
        let plan = Plan::of_url(
            url,
            options,
            Surroundings { cpus: 2.try_into().unwrap(), seed: 0, settle: None, allowed: || None },
        )
        .unwrap();
        let program =
            Program { path: PathBuf::new(), leading: Vec::new(), variables: Vec::new(), search: Vec::new() };
        let interrupt = Interrupt::default();
        let context = Context {
            program: &program,
            machine: None,
            interrupt: &interrupt,
            versions: BTreeMap::new(),
            tags: BTreeMap::new(),
            rows: None,
        };
        let run = run::run(&plan, &context, &mut Nobody).unwrap();
        check_the_run(&run, is_by_number.then_some(requests));
        run
    }

    /// Loads a server that behaves like that, and holds both sides against each other.
    fn load(self, script: impl Fn(&Turn<'_>) -> Behaviour + Send + Sync + 'static) -> Sides {
        let wire = self.wire;
        let mut case = self;
        let truth = if wire.tls {
            let Identity { certificate, key, authority, .. } = &*IDENTITY;
            case.options.cacert = Some(authority.path().to_owned());
            Truth::start_tls(certificate.clone(), key.clone_key(), script).unwrap()
        } else {
            Truth::start(script).unwrap()
        };
        let run = case.run(&truth.url("/path"));
        let Findings { mut counts, .. } = truth.finish();
        // The one that looked around before the load.
        counts.accepted -= u64::from(wire.tls);
        let result = Sides { run, truth: counts };
        result.check(wire);
        result
    }

    /// The same with one answer for all requests.
    fn answer(self, answer: impl Into<Behaviour>) -> Sides {
        let behaviour = answer.into();
        self.load(move |_| behaviour.clone())
    }
}

/// What holds in every document, whatever happened.
fn check_the_run(run: &Run, requests: Option<u64>) {
    let Run { account, latencies, series, connections, .. } = run;
    assert!(account.balances(), "{account:?}");
    if let Some(requests) = requests {
        assert_eq!((account.scheduled, account.sent, account.unsent), (requests, requests, 0));
        assert_eq!(account.aborted, 0, "a run by number has no end that could abort");
    }
    assert_eq!(latencies.answered.count, account.answered());
    assert_eq!(latencies.service.count, account.answered());
    assert_eq!(latencies.censored.count, account.timeout + account.aborted);
    assert_eq!(latencies.failed.count, account.failed);
    assert_eq!(run.status.values().sum::<u64>(), account.answered());
    assert_eq!(run.failures.values().map(|record| record.count).sum::<u64>(), account.failed);
    assert_eq!(series.answered.iter().sum::<u64>(), account.answered());
    assert_eq!(series.unanswered.iter().sum::<u64>(), account.sent - account.answered());
    assert_eq!(series.http_error.iter().sum::<u64>(), account.http_error);
    assert_eq!(run.workers.iter().map(|worker| worker.sent).sum::<u64>(), account.sent);
    assert_eq!(run.workers.iter().map(|worker| worker.answered).sum::<u64>(), account.answered());
    assert!(connections.reopened <= connections.opened);
}

impl Sides {
    /// What holds between the two sides, whatever happened.
    fn check(&self, wire: Wire) {
        let Self { run, truth } = self;
        let answered = run.account.answered();
        assert_eq!(truth.malformed, 0, "{truth:?}");
        assert_eq!(run.negotiated.is_some(), wire.tls, "not the way that was meant");
        assert!(truth.requests <= run.account.sent, "something was sent twice: {truth:?}");
        assert!(answered <= truth.answers, "an answer was invented: {truth:?}");
        let lost = run.account.failed + run.account.timeout;
        assert!(truth.answers <= answered + lost, "{truth:?}");
        // One that was given up before it stood, in a handshake perhaps, was accepted and is not called opened.
        let (opened, given_up) = (run.connections.opened, run.account.timeout + run.account.aborted);
        assert!((opened..=opened + given_up).contains(&truth.accepted), "{opened} {given_up} {truth:?}");
        let anything = truth.head_written + truth.body_written + truth.junk_written;
        assert!(run.bytes.head_read + run.bytes.body_read <= anything, "{truth:?}");
        if answered == run.account.sent {
            assert_eq!(run.bytes.body_read, truth.body_written);
        }
        if wire.is_http1() {
            assert!(run.bytes.written >= truth.read, "{truth:?}");
            if answered == run.account.sent {
                assert_eq!(run.bytes.head_read, truth.head_written);
            }
        }
    }

    fn assert_all_answered(&self, status: u16) {
        assert_eq!(self.run.status.get(&status), Some(&self.run.account.sent), "{:?}", self.run.failures);
        assert_eq!(self.truth.answers, self.run.account.sent);
    }

    /// Every request failed, all of them in one of these ways.
    fn assert_all_failed(&self, kinds: &[FailureKind]) {
        assert_failed(&self.run, kinds);
    }
}

fn assert_failed(run: &Run, kinds: &[FailureKind]) {
    assert_eq!(run.account.failed, run.account.sent, "{:?} {:?}", run.account, run.failures);
    assert!(run.failures.keys().all(|kind| kinds.contains(kind)), "{:?}", run.failures);
    assert!(run.failures.values().all(|record| !record.sample.is_empty() && !record.sample.contains('\n')));
}

/// hyper reports a head that is cut short like one that never began.
fn cut_head(wire: Wire) -> &'static [FailureKind] {
    match wire.engine {
        EngineChoice::Reqwest => &[FailureKind::Truncated, FailureKind::Closed],
        _ => &[FailureKind::Truncated],
    }
}

fn checks_see_the_whole_answer(wire: Wire) {
    let ornate = Framing::Chunked { sizes: vec![1, 7, 400], extensions: true, trailers: true };
    for framing in [Framing::Length, ornate, Framing::UntilClose] {
        let mut case = Case::new(wire, 20, 2);
        let checks =
            ["status == 201", "header X-A == \"1, 2\"", "body matches ^x{1000}$", "body size == 1000"];
        case.options.check = checks.map(|check| check.parse().unwrap()).into();
        case.options.check.push("header x-a == 1".parse().unwrap());
        case.options.count_header = Some("x-a".to_owned());
        let answer = Answer::status(201).body(1000).field("X-A", "1").field("X-A", "2").framed(framing);
        let sides = case.answer(answer.after_interim(103));
        sides.assert_all_answered(201);
        let failed: Vec<u64> = sides.run.checks.iter().map(|check| check.failed).collect();
        assert_eq!(failed, [0, 0, 0, 0, 20], "{:?}", sides.run.checks);
        let head = &sides.run.checks[4].examples[0].head;
        assert!(head.starts_with("HTTP/1.1 201 ") && head.ends_with("\r\n\r\n"), "{head:?}");
        assert_eq!(sides.run.header_values.unwrap().values["1, 2"], 20);
    }
}

fn every_status_is_counted(wire: Wire) {
    const STATUSES: [u16; 9] = [200, 201, 299, 301, 302, 400, 404, 500, 599];
    let result = Case::new(wire, 90, 1).load(|turn| {
        let status = STATUSES[usize::try_from(turn.request).unwrap() % STATUSES.len()];
        Answer::status(status).body(7).into()
    });
    assert_eq!(result.run.status, STATUSES.iter().map(|status| (*status, 10)).collect());
    assert_eq!((result.run.account.ok, result.run.account.http_error), (50, 40));
    assert_eq!(result.truth.accepted, 1);
}

fn every_framing_is_read_to_its_end(wire: Wire) {
    let ornate = |sizes: &[u64]| Framing::Chunked { sizes: sizes.to_vec(), extensions: true, trailers: true };
    let framings = [
        Framing::Length,
        Framing::UntilClose,
        Framing::chunked([1]),
        Framing::chunked([1, 15, 16, 17]),
        Framing::chunked([1 << 20]),
        ornate(&[30]),
        ornate(&[1000, 1]),
    ];
    for framing in framings {
        for body in [0, 1, 100, 5000] {
            let result = Case::new(wire, 10, 2).answer(Answer::ok(body).framed(framing.clone()));
            result.assert_all_answered(200);
            assert_eq!(result.run.bytes.body_read, 10 * body, "{framing:?}");
            let opened = if framing == Framing::UntilClose { 10 } else { 2 };
            assert_eq!(result.run.connections.opened, opened, "{framing:?}");
        }
    }
}

fn answers_without_a_body_end_with_their_head(wire: Wire) {
    for answer in [Answer::ok(500), Answer::ok(500).framed(Framing::chunked([7]))] {
        let result = Case::new(wire, 20, 2).method("HEAD").answer(answer);
        result.assert_all_answered(200);
        assert_eq!((result.run.bytes.body_read, result.run.connections.opened), (0, 2));
    }
    for status in [204, 304] {
        let result = Case::new(wire, 20, 2).answer(Answer::status(status).body(500));
        result.assert_all_answered(status);
        assert_eq!((result.run.bytes.body_read, result.run.connections.opened), (0, 2));
    }
}

fn interim_answers_are_passed_over(wire: Wire) {
    let result =
        Case::new(wire, 20, 2).answer(Answer::ok(9).after_interim(100).after_interim(103).after_interim(103));
    result.assert_all_answered(200);
    assert_eq!((result.run.bytes.body_read, result.run.connections.opened), (180, 2));
}

fn an_answer_of_ten_megabytes(wire: Wire) {
    for framing in [Framing::Length, Framing::chunked([100_000]), Framing::UntilClose] {
        let result = Case::new(wire, 2, 1).answer(Answer::ok(10_000_000).framed(framing));
        result.assert_all_answered(200);
        assert_eq!(result.run.bytes.body_read, 20_000_000);
    }
}

fn bodies_are_sent_whole(wire: Wire) {
    for bytes in [1, 1000, 3_000_000] {
        let result = Case::new(wire, 6, 2).body(bytes).answer(Answer::status(200).echo());
        result.assert_all_answered(200);
        assert_eq!((result.truth.requests, result.truth.accepted), (6, 2));
        assert_eq!(result.run.bytes.body_read, 6 * bytes as u64);
        if wire.is_http1() {
            assert_eq!(result.run.bytes.written, result.truth.read);
        }
    }
    let result = Case::new(wire, 6, 2).method("POST").answer(Answer::ok(1));
    result.assert_all_answered(200);
}

fn an_answer_before_the_body_was_read_is_an_answer(wire: Wire) {
    // Much more than sockets buffer, so that it cannot have been written when the answer comes.
    let result = Case::new(wire, 6, 2).body(20_000_000).answer(Answer::status(413).early().close());
    result.assert_all_answered(413);
    assert_eq!(result.run.connections.opened, 6);
}

fn a_body_that_nobody_reads_does_not_hang(wire: Wire) {
    let timeout = Duration::from_millis(300);
    let result = Case::new(wire, 2, 2)
        .body(20_000_000)
        .timeout(timeout)
        .load(|_| Answer::ok(1).early().after(Duration::from_secs(60)).into());
    assert_eq!(result.run.account.timeout, 2);
}

fn kept_alive_connections_are_kept(wire: Wire) {
    for (workers, connections) in [(1, 1), (1, 7), (3, 7)] {
        let result = Case::new(wire, 1003, connections).on_workers(workers).answer(Answer::ok(3));
        result.assert_all_answered(200);
        let Sides { run, truth } = result;
        assert_eq!(truth.requests, 1003);
        assert!(truth.accepted <= connections.into(), "{truth:?}");
        // Of several workers one may have done everything before the last one gets a processor.
        assert!(workers > 1 || truth.accepted == u64::from(connections), "{truth:?}");
        assert_eq!(run.connections.reused, 1003 - truth.accepted);
        assert_eq!((run.connections.reopened, run.connections.never_answered), (0, 0));
        assert_eq!(run.latencies.connect.count, truth.accepted);
    }
}

fn announced_closes_are_reconnected(wire: Wire) {
    let result = Case::new(wire, 40, 3).answer(Answer::ok(3).close());
    result.assert_all_answered(200);
    assert_eq!((result.truth.accepted, result.run.connections.reused), (40, 0));
    assert_eq!(result.run.latencies.connect.count, 40);
}

fn http_1_0_closes_unless_it_says_otherwise(wire: Wire) {
    let closing = Answer::ok(3).version_1_0();
    let result = Case::new(wire, 12, 2).answer(closing.clone().then(End::Close));
    result.assert_all_answered(200);
    assert_eq!(result.truth.accepted, 12);
    let result = Case::new(wire, 12, 2).answer(closing.field("Connection", "keep-alive"));
    result.assert_all_answered(200);
    assert_eq!(result.truth.accepted, 2);
}

fn silent_closes_lose_and_repeat_nothing(wire: Wire) {
    let result = Case::new(wire, 200, 2).load(|turn| {
        let answer = Answer::ok(3);
        if turn.request == 3 { answer.then(End::Close).into() } else { answer.into() }
    });
    let Sides { run, truth } = result;
    // The close and the next request pass each other, or they do not: seen in time, it costs nothing.
    let closed = [FailureKind::ClosedIdle, FailureKind::Reset, FailureKind::Closed];
    assert!(run.failures.keys().all(|kind| closed.contains(kind)), "{:?}", run.failures);
    assert_eq!(truth.answers, run.account.ok);
    assert_eq!(run.account.ok + run.account.failed, 200);
    if wire.is_http1() {
        assert!(!run.failures.contains_key(&FailureKind::Closed), "these connections were not fresh");
        // Every fifth request of a connection finds it closed, before or after its first byte is written.
        assert!(run.connections.reopened + run.account.failed >= 30, "{:?}", run.connections);
    }
}

fn bytes_after_an_answer_are_no_answer(wire: Wire) {
    let junk = "HTTP/1.1 200 Junk\r\nContent-Length: 0\r\n\r\n";
    let result = Case::new(wire, 20, 2).answer(Answer::status(201).then_junk(junk));
    assert_eq!(result.run.status.get(&200), None, "an answer that nobody asked for was counted");
    if wire.is_http1() {
        result.assert_all_answered(201);
        assert_eq!(result.truth.accepted, 20, "a connection with bytes to spare was used again");
    }
}

fn nobody_listens(wire: Wire) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let run = Case::new(wire, 10, 2).run(&url);
    assert_failed(&run, &[FailureKind::ConnectRefused]);
    assert_eq!(run.connections.opened, 0);
    assert!(run.connections.never_answered > 0);
}

fn no_such_name(wire: Wire) {
    // Longer than a name may be, so that no resolver is asked.
    let run = Case::new(wire, 4, 2).run(&format!("http://{}.invalid/", "n".repeat(70)));
    assert_failed(&run, &[FailureKind::Dns]);
}

fn passwords_are_not_told(wire: Wire) {
    let truth = Truth::start(|_| Behaviour::End(End::Reset)).unwrap();
    let run = Case::new(wire, 2, 1).run(&format!("http://user:secret@{}/", truth.address()));
    assert_failed(&run, &[FailureKind::Reset]);
    assert!(!format!("{run:?}").contains("secret"), "{:?}", run.failures);
    let heard = truth.finish().heard;
    let sent = heard[0].head.to_ascii_lowercase();
    assert_eq!(sent.matches("\r\nauthorization: basic dxnlcjpzzwnyzxq=\r\n").count(), 1, "{sent}");
}

fn closed_without_an_answer(wire: Wire) {
    let result = Case::new(wire, 20, 2).answer(Behaviour::End(End::Close));
    result.assert_all_failed(&[FailureKind::Closed]);
    assert_eq!((result.truth.accepted, result.truth.requests), (20, 20));
}

fn reset_without_an_answer(wire: Wire) {
    let result = Case::new(wire, 20, 2).answer(Behaviour::End(End::Reset));
    result.assert_all_failed(&[FailureKind::Reset]);
    assert_eq!((result.truth.accepted, result.truth.requests), (20, 20));
}

fn reset_within_an_answer(wire: Wire) {
    for framing in [Framing::Length, Framing::chunked([100]), Framing::UntilClose] {
        let result = Case::new(wire, 10, 2).answer(Answer::ok(1000).framed(framing).cut(500, End::Reset));
        result.assert_all_failed(&[FailureKind::Reset]);
    }
}

fn truncated_bodies(wire: Wire) {
    for framing in [Framing::Length, Framing::chunked([100])] {
        let result = Case::new(wire, 10, 2).answer(Answer::ok(1000).framed(framing).cut(500, End::Close));
        result.assert_all_failed(&[FailureKind::Truncated]);
        assert_eq!(result.run.bytes.body_read, result.truth.body_written);
    }
}

/// Cuts an answer after each of its bytes.
fn cut_everywhere(wire: Wire, framing: &Framing) {
    let answer = Answer::ok(20).framed(framing.clone());
    let head = Answer::ok(20).framed(framing.clone()).wire_length(0, true);
    let whole = answer.wire_length(0, false);
    for bytes in 0..whole {
        let result = Case::new(wire, 2, 1).answer(answer.clone().cut(bytes, End::Close));
        match bytes {
            0 => result.assert_all_failed(&[FailureKind::Closed]),
            _ if bytes < head => result.assert_all_failed(cut_head(wire)),
            _ => result.assert_all_failed(&[FailureKind::Truncated]),
        }
        if wire.is_http1() && bytes >= head {
            let Sides { run, truth } = result;
            assert_eq!(run.bytes.head_read, truth.head_written, "cut after {bytes} bytes");
            assert_eq!(run.bytes.body_read, truth.body_written, "cut after {bytes} bytes");
        }
    }
}

fn closed_at_every_byte_of_an_answer_with_a_length(wire: Wire) {
    cut_everywhere(wire, &Framing::Length);
}

fn closed_at_every_byte_of_a_chunked_answer(wire: Wire) {
    cut_everywhere(wire, &Framing::Chunked { sizes: vec![9, 1], extensions: true, trailers: true });
}

fn reset_at_every_byte_of_an_answer(wire: Wire) {
    let answer = Answer::ok(20).framed(Framing::chunked([9]));
    for bytes in 0..answer.wire_length(0, false) {
        let result = Case::new(wire, 1, 1).answer(answer.clone().cut(bytes, End::Reset));
        result.assert_all_failed(&[FailureKind::Reset]);
    }
}

fn not_http(wire: Wire) {
    for garbage in [
        "SSH-2.0-OpenSSH_9.9\r\n",
        "\0\u{1}\u{2}binary\r\n\r\n",
        "HTTP/1.1 abc Strange\r\n\r\n",
        "HTTP/1.1 200 Fine\r\nContent-Length: many\r\n\r\n",
        "HTTP/1.1 200 Fine\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    ] {
        for end in [End::Open, End::Close] {
            let result = Case::new(wire, 6, 2).answer(Behaviour::Raw(garbage.into(), end));
            result.assert_all_failed(&[FailureKind::Protocol]);
            assert_eq!(result.truth.accepted, 6, "{garbage:?}");
        }
    }
}

fn malformed_chunks(wire: Wire) {
    for chunk in
        ["xyz\r\nbody\r\n0\r\n\r\n", "-1\r\n", "fffffffffffffffffffff\r\nbody", "2\r\nbody\r\n0\r\n\r\n"]
    {
        let bytes = format!("HTTP/1.1 200 Fine\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}");
        let result = Case::new(wire, 6, 2).answer(Behaviour::Raw(bytes.into(), End::Open));
        result.assert_all_failed(&[FailureKind::Protocol]);
    }
}

/// Everything timed out, and is in the distribution at the timeout's value.
fn assert_timed_out(result: &Sides, timeout: Duration) {
    let Run { account, latencies, .. } = &result.run;
    assert_eq!((account.timeout, account.answered(), account.failed), (account.sent, 0, 0));
    let timeout = u64::try_from(timeout.as_nanos()).unwrap();
    let (least, most) = (latencies.censored.min_ns, latencies.censored.max_ns);
    assert!(least >= timeout, "{least} ns is before the timeout");
    // A machine with other things to do wakes late; a quiet one within 5 ms.
    assert!(most <= timeout + 250_000_000, "{most} ns is long after the timeout");
}

fn a_server_that_never_answers_times_out(wire: Wire) {
    let timeout = Duration::from_millis(150);
    let result = Case::new(wire, 6, 3).timeout(timeout).answer(Behaviour::Silence);
    assert_timed_out(&result, timeout);
    assert_eq!((result.truth.accepted, result.truth.requests), (6, 6), "a connection was used on");
    assert_eq!(result.run.connections.never_answered, 3);
}

fn an_answer_that_comes_too_late_times_out(wire: Wire) {
    let timeout = Duration::from_millis(150);
    let result =
        Case::new(wire, 4, 2).timeout(timeout).answer(Answer::status(404).after(Duration::from_millis(300)));
    assert_timed_out(&result, timeout);
    assert_eq!(result.run.status.len(), 0, "a late answer was given to the next request");
}

fn an_answer_that_stalls_times_out(wire: Wire) {
    let timeout = Duration::from_millis(150);
    for bytes in [10, 100] {
        let result = Case::new(wire, 2, 2).timeout(timeout).answer(Answer::ok(1000).cut(bytes, End::Open));
        assert_timed_out(&result, timeout);
    }
}

fn drips_are_put_together(wire: Wire) {
    let pause = Duration::from_millis(1);
    for framing in [Framing::Length, Framing::Chunked { sizes: vec![3], extensions: true, trailers: true }] {
        let answer = Answer::ok(10).framed(framing).after_interim(103).drip(pause);
        let least = pause.as_nanos() * u128::from(answer.wire_length(0, false));
        let result = Case::new(wire, 4, 2).answer(answer);
        result.assert_all_answered(200);
        assert!(u128::from(result.run.latencies.service.min_ns) >= least);
    }
}

fn good_and_bad_in_one_run(wire: Wire) {
    let case = Case::new(wire, 300, 5).on_workers(2).timeout(Duration::from_millis(200));
    let result = case.load(|turn| match (turn.connection + turn.request) % 10 {
        0 => Behaviour::End(End::Reset),
        1 => Answer::status(500).body(10).close().into(),
        2 => Answer::ok(100).cut(120, End::Close).into(),
        3 => Behaviour::Raw(b"garbage\r\n\r\n".to_vec(), End::Close),
        4 if turn.connection.is_multiple_of(20) => Behaviour::Silence,
        _ => Answer::ok(100).framed(Framing::chunked([33])).into(),
    });
    let Run { account, failures, .. } = &result.run;
    assert!(account.ok > 0 && account.http_error > 0 && account.failed > 0, "{account:?}");
    assert!(failures.contains_key(&FailureKind::Reset), "{failures:?}");
    assert!(failures.contains_key(&FailureKind::Truncated), "{failures:?}");
    assert!(failures.contains_key(&FailureKind::Protocol), "{failures:?}");
}

fn no_write_waits_for_an_acknowledgement(wire: Wire) {
    // Two small writes without TCP_NODELAY wait for the peer's delayed acknowledgement: 40 ms for every request.
    let result = Case::new(wire, 50, 1).body(1000).answer(Answer::status(200).echo());
    result.assert_all_answered(200);
    let mean = result.run.latencies.service.mean_ns().unwrap();
    assert!(mean < 20e6, "{mean} ns");
}

fn a_close_that_was_asked_for_is_expected(wire: Wire) {
    let mut case = Case::new(wire, 40, 2);
    case.options.header = vec!["Connection: close".to_owned()];
    // The server obeys, and does not repeat it in its answer.
    let result = case.answer(Answer::ok(3));
    result.assert_all_answered(200);
    assert_eq!(result.truth.accepted, 40);
}
