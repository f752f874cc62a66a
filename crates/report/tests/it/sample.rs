//! Documents to test with: small runs made by hand, and the fixtures written from them.
//!
//! Fixtures are kept as they are: a reader of today must read the documents of yesterday. To add one, add it to
//! [`FIXTURES`] and run `cargo test -p report -- --ignored write_missing_fixtures`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use report::document::{
    Account, Bytes, CheckExample, CheckRecord, Connections, Document, Ended, FailureKind, FailureRecord,
    Generator, HeaderValues, Instance, Latencies, Machine, Named, RUN_SCHEMA, Run, Series, Told, ToldTime,
    Usage, Verification, Warmup, Window, Worker,
};
use report::histogram::{Distribution, Histogram};
use report::store;

pub(crate) const MS: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1_000 * MS;

type Build = fn() -> Run;

pub(crate) const FIXTURES: [(&str, Build); 8] = [
    ("good", good),
    ("timeouts", timeouts),
    ("refused", refused),
    ("interrupted", interrupted),
    ("rate", open_rate),
    ("mix", mix),
    ("told", told),
    ("watched", watched),
];

pub(crate) fn fixture_path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(format!("{name}.json"))
}

pub(crate) fn fixture(name: &str) -> Document {
    store::open(&fixture_path(name)).unwrap()
}

pub(crate) fn run(name: &str) -> Run {
    match fixture(name) {
        Document::Run(run) => *run,
        Document::Figures(_) => panic!("{name} is no run"),
    }
}

pub(crate) fn of(values: impl IntoIterator<Item = u64>) -> Distribution {
    let mut histogram = Histogram::new();
    values.into_iter().for_each(|value| histogram.record(value));
    histogram.to_distribution()
}

/// `n` values with a long tail around a median: the quantiles of a log-logistic distribution.
fn spread(n: u64, median_ns: u64) -> Distribution {
    of((0..n).map(|i| {
        let u = (i as f64 + 0.5) / n as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive duration")]
        let value = (median_ns as f64 * (u / (1.0 - u)).powf(0.3)) as u64;
        value
    }))
}

fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn machine() -> Machine {
    Machine {
        label: "test-2cpu-4gb".into(),
        fingerprint: "0f1e2d3c".into(),
        cpu_model: "A Processor".into(),
        cpus_allowed: 2,
        cpus_total: 2,
        memory_bytes: 4 << 30,
        kernel: "Linux 6.12".into(),
        architecture: "x86_64".into(),
        limits: texts(&[("open_files", "1048576")]),
    }
}

/// A run of `seconds` in which nothing happened yet.
fn empty(name: &str, seconds: u64) -> Run {
    Run {
        schema: RUN_SCHEMA.into(),
        id: format!("20260214T120000Z-{name}"),
        name: name.into(),
        block: None,
        tags: BTreeMap::new(),
        started_at: "2026-02-14T12:00:00Z".into(),
        ended: Ended::Completed,
        config: texts(&[
            ("load.connections", "100"),
            ("load.duration", &format!("{seconds}s")),
            ("target.instances", "1"),
            ("url", "http://127.0.0.1:8080/echo"),
        ]),
        overridden: BTreeMap::new(),
        plan_key: format!("key-{name}-{seconds}"),
        machine: machine(),
        versions: texts(&[("loadgen", "0.1.0")]),
        window: Window {
            planned_ns: Some(seconds * SECOND),
            measured_ns: seconds * SECOND,
            wall_ns: seconds * SECOND + 62_200_000,
            drain_limit_ns: 20 * SECOND,
        },
        account: Account::default(),
        status: BTreeMap::new(),
        failures: BTreeMap::new(),
        latencies: Latencies::default(),
        bytes: Bytes::default(),
        connections: Connections { slots: 100, ..Connections::default() },
        series: Series::default(),
        workers: Vec::new(),
        generator: None,
        conditions: None,
        instances: Vec::new(),
        front: None,
        verification: None,
        redirects: 0,
        warmup: None,
        requests: Vec::new(),
        checks: Vec::new(),
        assertions: Vec::new(),
        header_values: None,
        negotiated: None,
        same_machine: None,
        merged: None,
        notes: Vec::new(),
    }
}

/// Adds good answers, with what goes with them.
fn answer(run: &mut Run, answered: u64, median_ns: u64) {
    run.account.ok += answered;
    run.account.answered_in_window += answered;
    run.account.sent += answered;
    run.account.scheduled += answered;
    run.status.insert(200, answered);
    run.latencies.answered = spread(answered, median_ns);
    run.latencies.service = spread(answered, median_ns);
    run.latencies.wait = spread(answered, median_ns - median_ns / 20);
    run.latencies.write = spread(answered, 9_000);
    run.latencies.read = spread(answered, 70_000);
    run.latencies.connect = spread(100, 400_000);
    run.bytes = Bytes {
        written: answered * 140,
        head_read: answered * 97,
        body_read: answered * 500,
        ..Bytes::default()
    };
    run.connections.opened = 100;
    run.connections.reused = answered - 100;
}

fn series(run: &mut Run, seconds: usize) {
    let total = run.account.answered();
    let count = u64::try_from(seconds).unwrap();
    let mut answered = vec![total / count; seconds];
    answered[seconds - 1] += total % count;
    let unanswered = run.account.failed + run.account.timeout + run.account.aborted;
    let mut ended_otherwise = vec![0; seconds];
    ended_otherwise[seconds - 1] = unanswered;
    let mut http_error = vec![0; seconds];
    http_error[0] = run.account.http_error;
    run.series = Series {
        interval_ms: 1000,
        answered,
        unanswered: ended_otherwise,
        http_error,
        p50_us: vec![26_300; seconds],
        p90_us: vec![53_800; seconds],
        p99_us: vec![113_400; seconds],
        max_us: vec![353_300; seconds],
    };
}

fn worker(run: &mut Run, run_queue_ns: u64) {
    run.workers = vec![Worker {
        slots: 100,
        sent: run.account.sent,
        answered: run.account.answered(),
        cpu_ns: Some(2 * SECOND),
        run_queue_ns: Some(run_queue_ns),
    }];
}

/// The same, and each instance tells where its time went.
pub(crate) fn told() -> Run {
    let mut run = good();
    run.instances.iter_mut().for_each(|instance| instance.told = Some(Box::new(of_itself())));
    run
}

/// The same, and what the instances used was watched.
pub(crate) fn watched() -> Run {
    let mut run = good();
    let watched_ns = 10 * SECOND + 62_200_000;
    run.instances.iter_mut().for_each(|instance| instance.usage = Some(Box::new(usage(watched_ns))));
    run.generator =
        Some(Generator { watched_ns, cpus_milli: 2000, cpu_ns: Some(3 * SECOND), ..Generator::default() });
    run
}

/// What one of four instances used: 35% of a CPU, and a page written for each request.
fn usage(watched_ns: u64) -> Usage {
    let column = |whole: u64, last: u64| (0..11).map(|i| if i == 10 { last } else { whole }).collect();
    Usage {
        interval_ms: 1000,
        watched_ns,
        cpu_user_ms: column(200, 10),
        cpu_system_ms: column(150, 10),
        rss_kib: (0..11).map(|i| 9_000 + 100 * i).collect(),
        threads: column(13, 13),
        files: column(47, 47),
        written_kib: column(3_136, 184),
        processes: 1,
        ..Usage::default()
    }
}

/// What one of four instances says of itself.
fn of_itself() -> Told {
    let time = |mean: u64| ToldTime {
        count: 7_885,
        mean_ns: Some(mean as f64),
        p50_ns: Some(mean / 2),
        p99_ns: Some(mean * 5),
        p99_9_ns: Some(mean * 9),
        max_ns: Some(mean * 20),
    };
    Told {
        begun: 7_885,
        by_status: BTreeMap::from([(200, 7_885)]),
        in_flight_most: 25,
        service: time(26 * MS),
        queue: time(20 * MS),
        lock: time(5 * MS),
        commit: time(900_000),
        transactions: 7_885,
        wal_bytes_largest: Some(4_152_992),
        pragmas: BTreeMap::from([("journal_mode".into(), "wal".into()), ("synchronous".into(), "1".into())]),
        ..Told::default()
    }
}

/// Four instances, everything well.
pub(crate) fn good() -> Run {
    let mut run = empty("4-instances", 10);
    run.config.insert("target.instances".into(), "4".into());
    answer(&mut run, 31_541, 26_300_000);
    run.account.answered_in_window = 31_441;
    run.connections.fewest_answers = 301;
    run.connections.most_answers = 333;
    run.verification = Some(Verification {
        rows: 31_541,
        acknowledged: 31_541,
        sent: 31_541,
        integrity: "ok".into(),
        committed: None,
    });
    run.instances = (1..=4)
        .map(|number| Instance {
            number,
            ended: "stopped".into(),
            accepted: Some(25),
            answered: Some(if number == 4 { 7_886 } else { 7_885 }),
            rows: Some(if number == 4 { 7_886 } else { 7_885 }),
            cpu_ns: Some(4 * SECOND),
            ..Instance::default()
        })
        .collect();
    series(&mut run, 11);
    worker(&mut run, 12 * MS);
    run
}

/// One instance: two connections are never accepted, and their requests time out.
pub(crate) fn timeouts() -> Run {
    let mut run = empty("1-instance", 120);
    answer(&mut run, 67_611, 162_600_000);
    run.account.timeout = 12;
    run.account.sent += 12;
    run.account.scheduled += 12;
    run.latencies.censored = of([20 * SECOND; 12]);
    run.connections.never_answered = 2;
    run.connections.fewest_answers = 0;
    run.connections.most_answers = 702;
    run.verification = Some(Verification {
        rows: 67_611,
        acknowledged: 67_611,
        sent: 67_623,
        integrity: "ok".into(),
        committed: None,
    });
    run.instances =
        vec![Instance { number: 1, ended: "stopped".into(), answered: Some(67_611), ..Instance::default() }];
    series(&mut run, 121);
    worker(&mut run, 0);
    run
}

/// Nobody listens.
pub(crate) fn refused() -> Run {
    let mut run = empty("load", 2);
    run.account = Account { scheduled: 5_010, sent: 5_010, failed: 5_010, ..Account::default() };
    run.failures.insert(
        FailureKind::ConnectRefused,
        FailureRecord {
            count: 5_010,
            first_ns: 210_000,
            last_ns: 2 * SECOND,
            sample: "connect: Connection refused\n(os error 111)".into(),
        },
    );
    run.latencies.failed = spread(5_010, 150_000);
    series(&mut run, 2);
    worker(&mut run, 0);
    run
}

/// Ctrl-C after 12 of 120 seconds, at a slow target.
pub(crate) fn interrupted() -> Run {
    let mut run = empty("1-instance", 120);
    run.ended = Ended::Sigint;
    run.window.measured_ns = 12 * SECOND;
    run.window.wall_ns = 15 * SECOND;
    answer(&mut run, 360, 2 * SECOND);
    run.account.aborted = 40;
    run.account.sent += 40;
    run.account.scheduled += 40;
    run.latencies.censored = of((0..40).map(|i| 3 * SECOND + i * 50 * MS));
    run.connections.fewest_answers = 3;
    run.connections.most_answers = 4;
    run.notes = vec!["the limit of open files was raised to 1048576".into()];
    series(&mut run, 15);
    worker(&mut run, 0);
    run
}

/// A fixed rate that was not reached, with HTTP errors, failures of two kinds and a busy generator.
pub(crate) fn open_rate() -> Run {
    let mut run = empty("rate", 10);
    run.config.insert("load.rate".into(), "2000".into());
    answer(&mut run, 19_000, 4_000_000);
    run.account.ok = 18_500;
    run.account.http_error = 500;
    run.status = [(200, 18_500), (503, 500)].into();
    run.account.failed = 73;
    run.account.sent = 19_073;
    run.account.unsent = 27;
    run.account.scheduled = 19_100;
    let record = |count, first, last, sample: &str| FailureRecord {
        count,
        first_ns: first,
        last_ns: last,
        sample: sample.into(),
    };
    run.failures = [
        (FailureKind::Reset, record(72, 4 * SECOND, 6 * SECOND, "Connection reset by peer (os error 104)")),
        (FailureKind::ClosedIdle, record(1, 5 * SECOND, 5 * SECOND, "")),
    ]
    .into();
    run.latencies.failed = spread(73, 1_000_000);
    run.latencies.lag = spread(19_000, 60_000);
    run.connections.reopened = 72;
    run.connections.fewest_answers = 150;
    run.connections.most_answers = 240;
    series(&mut run, 10);
    worker(&mut run, 900 * MS);
    run
}

/// Several requests after a warm-up, with checks and answers of two backends.
pub(crate) fn mix() -> Run {
    let mut run = empty("mix", 10);
    answer(&mut run, 10_000, 4_000_000);
    run.account.check_failed = 40;
    run.warmup = Some(Warmup { planned_ns: 2 * SECOND, lasted_ns: None, sent: 1_900, ok: 1_899 });
    let named = |name: &str, sent, check_failed, median_ns| Named {
        name: name.into(),
        sent,
        ok: sent,
        check_failed,
        body_read: sent * 500,
        answered: spread(sent, median_ns),
        ..Named::default()
    };
    run.requests = vec![
        named("GET /orders", 2_999, 0, 6_000_000),
        named("[1]\tPOST /orders | new", 1, 0, 9_000_000),
        named("GET /", 7_000, 40, 3_000_000),
    ];
    let example = CheckExample {
        at_ns: 1_234_567_890,
        request: "GET http://127.0.0.1:8080/".into(),
        reason: "the body does not contain it".into(),
        head: "HTTP/1.1 200 OK\r\nX-Odd: \u{1b}[31m\r\n\r\n".into(),
        body: "[1]\tnothing\nhere\u{7}".into(),
        body_bytes: 5_000,
    };
    run.checks = vec![
        CheckRecord { check: "status == 200".into(), failed: 0, examples: vec![] },
        CheckRecord { check: "body contains \"ok\"".into(), failed: 40, examples: vec![example] },
    ];
    run.header_values = Some(HeaderValues {
        header: "X-Backend".into(),
        values: BTreeMap::from([("a".into(), 5_004), ("b".into(), 4_996)]),
        ..HeaderValues::default()
    });
    worker(&mut run, 20 * MS);
    run
}

#[test]
#[ignore = "writes files: run it by name after adding a fixture"]
fn write_missing_fixtures() {
    for (name, build) in FIXTURES {
        let path = fixture_path(name);
        if !path.exists() {
            store::write(&path, &Document::Run(Box::new(build()))).unwrap();
        }
    }
}
