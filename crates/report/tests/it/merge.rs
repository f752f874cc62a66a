//! Documents of several generators, as one.

use report::compare::Comparison;
use report::document::{CheckExample, CheckRecord, Document, Ended, FailureRecord, HeaderValues, Run};
use report::format::{self, Style, View};
use report::histogram::Percentile;
use report::merge::{MergeError, merge};
use report::summary::Summary;
use report::verdict::Verdict;
use report::{store, warning};

use crate::sample::{MS, SECOND, run};

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
    assert_eq!(merged.machine.label, "machine-a + machine-b");
    assert_eq!((merged.machine.cpus_allowed, merged.same_machine), (4, Some(false)));
    assert_eq!((merged.config["load.generators"].as_str(), merged.window.wall_ns), ("2", 12_362_200_000));
}

#[test]
fn the_series_is_aligned_and_what_cannot_be_merged_is_absent() {
    let merged = merge(two()).unwrap();
    let series = &merged.series;
    assert_eq!(series.answered.len(), 13);
    assert_eq!((series.answered[1], series.answered[2], series.answered[10]), (2_867, 5_734, 5_738));
    assert_eq!(series.answered.iter().sum::<u64>(), 63_082);
    assert!(series.p50_us.is_empty() && series.p90_us.is_empty() && series.p99_us.is_empty());
    assert_eq!(series.max_us, [353_300; 13]);
    assert!(merged.generator.is_none() && merged.conditions.is_none() && merged.assertions.is_empty());
    let mut half = two();
    half[0].started_at = "2026-02-14T12:00:02.600Z".into();
    assert_eq!(merge(half).unwrap().series.answered[2], 2_867, "the nearest second is the third");
}

#[test]
fn failures_checks_values_and_the_end_are_those_of_all() {
    let [mut b, mut a] = <[Run; 2]>::try_from(two()).unwrap();
    for (run, failed) in [(&mut a, 2), (&mut b, 3)] {
        let record =
            FailureRecord { count: failed, first_ns: SECOND, last_ns: 2 * SECOND, sample: "x".into() };
        run.failures.insert(report::document::FailureKind::Reset, record);
        run.account.failed = failed;
        run.account.sent += failed;
        run.account.scheduled += failed;
        run.workers[0].sent += failed;
        run.series.unanswered[0] += failed;
        run.latencies.failed = crate::sample::of(vec![MS; usize::try_from(failed).unwrap()]);
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

#[test]
fn the_verdict_is_the_worst_of_all() {
    let mut runs = two();
    runs[0].workers[0].run_queue_ns = Some(4 * SECOND);
    let alone = Document::Run(Box::new(runs[0].clone()));
    let expected = warning::verdict(&warning::of(&alone, &Summary::of(&alone)));
    assert_ne!(expected, Verdict::Ok);
    let merged = Document::Run(Box::new(merge(runs).unwrap()));
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
