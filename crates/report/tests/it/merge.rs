//! Documents of several generators, as one.

use report::compare::Comparison;
use report::document::{
    Account, Arm, AssertionRecord, Block, Bytes, CheckExample, CheckRecord, Conditions, Connections,
    Document, Ended, FailureKind, FailureRecord, Generator, HeaderValues, Latencies, Named, Negotiated, Run,
    Series, Warmup,
};
use report::format::{self, Style, View};
use report::histogram::{Distribution, Percentile};
use report::merge::{MergeError, merge};
use report::summary::Summary;
use report::verdict::Verdict;
use report::{store, warning};

use crate::sample::{MS, SECOND, of, run};

/// A run of ten seconds that loaded a target by its URL: 2,867 answers a second, and four more in the last one.
fn part(id: &str, started_at: &str) -> Run {
    let mut run = run("good");
    (run.instances, run.verification) = (Vec::new(), None);
    (run.id, run.started_at) = (id.into(), started_at.into());
    run.machine.label = format!("machine-{id}");
    run.same_machine = Some(false);
    run
}

/// Two of them, the second 2.3 s later.
fn two() -> Vec<Run> {
    vec![part("b", "2026-02-14T12:00:02.300Z"), part("a", "2026-02-14T12:00:00Z")]
}

fn summary(run: &Run) -> Summary {
    Summary::of(&Document::Run(Box::new(run.clone())))
}

#[test]
fn counts_and_histograms_are_added_and_the_rate_is_of_the_common_time() {
    let merged = merge(two()).unwrap();
    let warnings = warning::of(&Document::Run(Box::new(merged.clone())), &summary(&merged));
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!((merged.account.ok, merged.status[&200], merged.connections.slots), (63_082, 63_082, 200));
    let (one, both) = (summary(&part("a", "2026-02-14T12:00:00Z")), summary(&merged));
    assert_eq!(both.latency.count, Some(63_082));
    assert_eq!(both.latency.at(Percentile::P99), one.latency.at(Percentile::P99), "of the same values twice");
    // From 2.3 s to 10 s: seven whole seconds of each.
    assert_eq!(both.rate(), Some(2.0 * 2_867.0));
    let parts = &merged.merged.as_ref().unwrap().parts;
    assert_eq!(parts.iter().map(|part| part.over_ns).collect::<Vec<_>>(), [7 * SECOND; 2]);
    assert_eq!(merged.merged.as_ref().unwrap().common_ns, 7_700 * MS);
    assert_eq!(merged.id, "a+b", "in the order of their start");
    assert_eq!(merged.plan_key, format!("{}x2", part("a", "").plan_key), "no repeat of one of them");
    assert_eq!(merged.machine.label, "machine-a + machine-b");
    assert_eq!((merged.machine.cpus_allowed, merged.same_machine), (4, Some(false)));
    assert_eq!((merged.config["load.generators"].as_str(), merged.window.wall_ns), ("2", 12_362_200_000));
}

#[test]
fn the_series_is_aligned_and_what_cannot_be_merged_is_absent() {
    let mut runs = two();
    for run in &mut runs {
        (run.series.http_error[3], run.series.unanswered[4]) = (5, 6);
        run.generator = Some(Generator::default());
        run.conditions = Some(Conditions::default());
        run.verification = crate::sample::run("good").verification;
        run.assertions = vec![AssertionRecord::default()];
        run.block = Some(Block { batch: "x".into(), number: 1, arm: Arm::A });
    }
    let merged = merge(runs).unwrap();
    let series = &merged.series;
    assert_eq!(series.answered.len(), 13);
    assert_eq!((series.answered[1], series.answered[2], series.answered[10]), (2_867, 5_734, 5_738));
    assert_eq!(series.answered.iter().sum::<u64>(), 63_082);
    assert!(series.p50_us.is_empty() && series.p90_us.is_empty() && series.p99_us.is_empty());
    assert_eq!(series.max_us, [353_300; 13]);
    // The same second of each, that of the other 2.3 s later.
    assert_eq!(
        (series.http_error[3], series.http_error[5], series.http_error.iter().sum::<u64>()),
        (5, 5, 10)
    );
    assert_eq!(
        (series.unanswered[4], series.unanswered[6], series.unanswered.iter().sum::<u64>()),
        (6, 6, 12)
    );
    assert!(merged.generator.is_none() && merged.conditions.is_none() && merged.assertions.is_empty());
    assert!(merged.verification.is_none() && merged.block.is_none());
    let mut half = two();
    half[0].started_at = "2026-02-14T12:00:02.600Z".into();
    assert_eq!(merge(half).unwrap().series.answered[2], 2_867, "the nearest second is the third");
}

#[test]
fn the_series_of_long_runs_is_not_longer_than_one() {
    let mut runs = two();
    for run in &mut runs {
        run.series = Series { interval_ms: 1000, answered: vec![1; Series::LIMIT], ..Series::default() };
        run.window.measured_ns = Series::LIMIT as u64 * SECOND;
    }
    let series = merge(runs).unwrap().series;
    assert_eq!((series.interval_ms, series.answered.iter().sum::<u64>()), (2000, 2 * Series::LIMIT as u64));
    assert!(series.answered.len() <= Series::LIMIT, "{}", series.answered.len());
}

#[test]
fn failures_checks_values_and_the_end_are_those_of_all() {
    let [mut b, mut a] = <[Run; 2]>::try_from(two()).unwrap();
    for (run, failed) in [(&mut a, 2), (&mut b, 3)] {
        let record =
            FailureRecord { count: failed, first_ns: SECOND, last_ns: 2 * SECOND, sample: "x".into() };
        run.failures.insert(FailureKind::Reset, record);
        run.account.failed = failed;
        run.account.sent += failed;
        run.account.scheduled += failed;
        run.workers[0].sent += failed;
        run.series.unanswered[0] += failed;
        run.latencies.failed = of(vec![MS; usize::try_from(failed).unwrap()]);
        let examples = vec![CheckExample { at_ns: SECOND, ..CheckExample::default() }; 2];
        run.checks = vec![CheckRecord { check: "status == 200".into(), failed: 2, examples }];
        run.header_values = Some(HeaderValues {
            header: "server".into(),
            values: [("x".to_owned(), 31_000)].into(),
            none: 541,
            other: 0,
        });
        run.notes = vec!["a limit was raised".into()];
    }
    b.ended = Ended::Sigterm;
    let merged = merge(vec![b, a]).unwrap();
    let record = merged.failures.values().next().unwrap();
    assert_eq!((record.count, record.first_ns, record.last_ns), (5, SECOND, 4_300 * MS), "by one clock");
    assert_eq!((merged.checks[0].failed, merged.checks[0].examples.len()), (4, CheckRecord::EXAMPLES));
    assert_eq!(merged.header_values.as_ref().unwrap().values["x"], 62_000);
    assert_eq!(merged.ended, Ended::Sigterm);
    assert_eq!(merged.notes, ["generator 1: a limit was raised", "generator 2: a limit was raised"]);
    assert!(warning::is_valid(&merged), "it balances");
}

/// Every number of a run is another one, and `n` times as much as of a run with 1.
fn counted(run: &mut Run, n: u64) {
    run.account = Account {
        scheduled: n,
        sent: 2 * n,
        unsent: 3 * n,
        ok: 4 * n,
        http_error: 5 * n,
        failed: 6 * n,
        timeout: 7 * n,
        aborted: 8 * n,
        answered_in_window: 9 * n,
        check_failed: 10 * n,
    };
    run.status = [(200, n), (503, 2 * n)].into();
    run.bytes = Bytes { written: n, head_read: 2 * n, body_read: 3 * n, unanswered_body_read: 4 * n };
    run.connections = Connections {
        slots: n,
        opened: 2 * n,
        reused: 3 * n,
        reopened: 4 * n,
        never_answered: 5 * n,
        fewest_answers: 6 * n,
        most_answers: 7 * n,
    };
    run.redirects = 11 * n;
    run.warmup = Some(Warmup { planned_ns: SECOND, lasted_ns: Some(n * MS), sent: 12 * n, ok: 13 * n });
    run.latencies = latencies(|number| of([number * n * MS]));
    run.requests = [("x", n), ("y", 100 * n)].map(|(name, n)| named(name, n)).into();
}

fn named(name: &str, n: u64) -> Named {
    Named {
        name: name.into(),
        sent: n,
        ok: 2 * n,
        http_error: 3 * n,
        check_failed: 4 * n,
        failed: 5 * n,
        timeout: 6 * n,
        aborted: 7 * n,
        body_read: 8 * n,
        answered: of([n * MS]),
        censored: of([n * SECOND]),
    }
}

/// A distribution for each number.
fn latencies(of: impl Fn(u64) -> Distribution) -> Latencies {
    Latencies {
        answered: of(1),
        censored: of(2),
        failed: of(3),
        service: of(4),
        connect: of(5),
        dns: of(6),
        write: of(7),
        wait: of(8),
        read: of(9),
        queue: of(10),
        lag: of(11),
    }
}

#[test]
fn every_number_is_added_up() {
    let [mut b, mut a] = <[Run; 2]>::try_from(two()).unwrap();
    counted(&mut a, 1);
    counted(&mut b, 10);
    b.status.insert(404, 7);
    let merged = merge(vec![b, a.clone()]).unwrap();
    let mut both = a;
    counted(&mut both, 11);
    assert_eq!((&merged.account, &merged.bytes), (&both.account, &both.bytes));
    assert_eq!(merged.status, [(200, 11), (404, 7), (503, 22)].into());
    let ends = Connections { fewest_answers: 6, most_answers: 70, ..both.connections };
    assert_eq!((merged.connections, merged.redirects), (ends, both.redirects));
    let longest = both.warmup.map(|sum| Warmup { lasted_ns: Some(10 * MS), ..sum });
    assert_eq!(merged.warmup, longest);
    assert_eq!(merged.latencies, latencies(|number| of([number * MS, 10 * number * MS])));
    let named = |name, n: u64| Named {
        answered: of([n * MS, 10 * n * MS]),
        censored: of([n * SECOND, 10 * n * SECOND]),
        ..named(name, 11 * n)
    };
    assert_eq!(merged.requests, [named("x", 1), named("y", 100)]);
    assert_eq!(merged.workers.len(), 2, "those of each");
}

#[test]
fn the_first_failure_and_the_first_examples_are_those_by_one_clock() {
    let mut runs = two();
    for (run, (began, from)) in runs.iter_mut().zip([(SECOND, "b"), (4 * SECOND, "a")]) {
        let record = FailureRecord { count: 1, first_ns: began, last_ns: 5 * SECOND, sample: from.into() };
        run.failures.insert(FailureKind::Reset, record);
        let example =
            |late| CheckExample { at_ns: began + late, request: from.into(), ..CheckExample::default() };
        let examples = (0..2).map(example).collect();
        run.checks = vec![CheckRecord { check: "status == 200".into(), failed: 2, examples }];
    }
    let merged = merge(runs).unwrap();
    // The second began 2.3 s later: its second is 3.3 s of the first.
    let record = &merged.failures[&FailureKind::Reset];
    assert_eq!((record.first_ns, record.last_ns, record.sample.as_str()), (3_300 * MS, 7_300 * MS, "b"));
    let examples: Vec<_> =
        merged.checks[0].examples.iter().map(|it| (it.at_ns, it.request.as_str())).collect();
    assert_eq!(examples, [(3_300 * MS, "b"), (3_300 * MS + 1, "b"), (4 * SECOND, "a")]);
}

#[test]
fn what_differs_is_told_of_both_or_not_at_all() {
    let [mut b, mut a] = <[Run; 2]>::try_from(two()).unwrap();
    for (run, other) in [(&mut a, "1"), (&mut b, "2")] {
        run.tags = [("version".to_owned(), "1.3".to_owned()), ("who".to_owned(), other.to_owned())].into();
        run.versions =
            [("loadgen".to_owned(), "0.1.0".to_owned()), ("tls".to_owned(), other.to_owned())].into();
        run.machine.limits =
            [("open_files".to_owned(), other.to_owned()), ("somaxconn".to_owned(), "4096".to_owned())].into();
        run.negotiated = Some(Negotiated { protocol: "h2c".into(), ..Negotiated::default() });
    }
    let merged = merge(vec![a.clone(), b.clone()]).unwrap();
    assert_eq!(merged.tags, [("version".to_owned(), "1.3".to_owned())].into());
    assert_eq!((merged.versions["loadgen"].as_str(), merged.versions["tls"].as_str()), ("0.1.0", "1 + 2"));
    assert_eq!(merged.machine.limits, [("somaxconn".to_owned(), "4096".to_owned())].into());
    assert_eq!(merged.negotiated, a.negotiated, "alike");
    assert_eq!(merged.machine.memory_bytes, 2 * a.machine.memory_bytes);
    b.negotiated = None;
    b.machine = a.machine.clone();
    b.same_machine = None;
    let merged = merge(vec![a.clone(), b.clone()]).unwrap();
    assert_eq!((merged.negotiated, merged.same_machine), (None, None), "not known of all");
    assert_eq!(merged.machine.cpus_allowed, a.machine.cpus_allowed, "perhaps it is one machine");
    b.same_machine = Some(true);
    assert_eq!(merge(vec![a, b]).unwrap().same_machine, Some(true));
}

#[test]
fn values_beyond_the_limit_are_counted_together() {
    let mut runs = two();
    for (run, from) in runs.iter_mut().zip([0_u64, 60]) {
        let values = (from..from + 80).map(|value| (format!("{value:03}"), value + 1)).collect();
        run.header_values = Some(HeaderValues { header: "x".into(), values, none: 3, other: 5 });
    }
    let total: u64 = runs.iter().map(|run| run.header_values.as_ref().unwrap().total()).sum();
    let merged = merge(runs.clone()).unwrap().header_values.unwrap();
    assert_eq!((merged.values.len(), merged.none, merged.total()), (HeaderValues::LIMIT, 6, total));
    assert!(
        !merged.values.contains_key("000") && merged.values["070"] == 142,
        "the rarest are left out: {merged:?}"
    );
    let mut others = runs.clone();
    others[1].header_values.as_mut().unwrap().header = "y".into();
    assert_eq!(merge(others).unwrap().header_values, None, "they counted different things");
    runs[1].header_values = None;
    assert_eq!(merge(runs).unwrap().header_values, None, "one of them did not look");
}

#[test]
fn the_verdict_is_the_worst_of_all() {
    let mut runs = two();
    runs[0].workers[0].run_queue_ns = Some(4 * SECOND);
    // What speaks against the machine is none of the generator's faults.
    runs[1].conditions = Some(Conditions { hot: Some(3), ..Conditions::default() });
    let alone = Document::Run(Box::new(runs[0].clone()));
    let expected = warning::verdict(&warning::of(&alone, &Summary::of(&alone)));
    assert_ne!(expected, Verdict::Ok);
    let merged = merge(runs).unwrap();
    let reasons: Vec<bool> =
        merged.merged.iter().flat_map(|merged| &merged.parts).map(|part| part.reasons.is_empty()).collect();
    assert_eq!(reasons, [true, false]);
    let merged = Document::Run(Box::new(merged));
    let warnings = warning::of(&merged, &Summary::of(&merged));
    assert_eq!(warning::verdict(&warnings), expected);
    let line = warnings.iter().map(warning::Warning::line).find(|line| line.contains("generator 2")).unwrap();
    assert!(line.contains("(machine-b): "), "{line}");
}

#[test]
fn it_is_a_document_like_others() {
    let document = Document::Run(Box::new(merge(two()).unwrap()));
    assert_eq!(store::parse("both".as_ref(), &store::to_json(&document)).unwrap(), document);
    let summary = Summary::of(&document);
    let warnings = warning::of(&document, &summary);
    for style in [Style::default(), Style { terminal: true, ..Style::default() }] {
        let view =
            View { document: &document, summary: &summary, warnings: &warnings, percentiles: &[], style };
        let text = (format::ALL[0].render)(&view);
        assert!(text.contains("Requests/sec:\t5734.0000"), "{text}");
        assert!(
            text.contains("merged of 2 generators (machine-a, machine-b); Requests/sec is of the 7.7 s"),
            "{text}"
        );
    }
    let single = Document::Run(Box::new(part("a", "2026-02-14T12:00:00Z")));
    let comparison = Comparison::of(vec![document, single]);
    assert_eq!(comparison.rows.len(), 2, "it is no repeat of one of its parts");
    assert!(comparison.text(report::table::Page::default()).contains("5,734"), "{comparison:?}");
}

#[test]
fn what_is_no_part_is_refused() {
    type Change = fn(&mut Vec<Run>);
    let cases: [(&str, Change); 9] = [
        ("nothing to merge", |runs| runs.truncate(1)),
        ("nothing to merge", Vec::clear),
        ("run b is named twice", |runs| runs[1] = runs[0].clone()),
        ("is merged already", |runs| {
            let mut other = merge(two()).unwrap();
            other.plan_key.clone_from(&runs[0].plan_key);
            runs[1] = other;
        }),
        ("started a target of its own", |runs| runs[1] = run("good")),
        ("different plans (load.connections)", |runs| {
            runs[0].plan_key = "other".into();
            runs[0].config.insert("load.connections".into(), "7".into());
        }),
        ("`noon`, which is no time", |runs| runs[0].started_at = "noon".into()),
        ("at the same time for 0 ns", |runs| runs[0].started_at = "2026-02-14T12:00:10Z".into()),
        ("damaged", |runs| runs[0].latencies.answered.histogram = "AAAA".into()),
    ];
    for (word, change) in cases {
        let mut runs = two();
        change(&mut runs);
        let error: MergeError = merge(runs).unwrap_err();
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
    let mut barely = two();
    barely[0].started_at = "2026-02-14T12:00:09.200Z".into();
    assert!(matches!(merge(barely), Err(MergeError::Apart(_))), "no whole second in common");
}
