use report::document::{Document, Ended, FailureKind, Run};
use report::summary::Summary;
use report::verdict::Verdict;
use report::warning::{self, Warning};

use crate::sample::{MS, SECOND, of, run};

fn warnings(run: &Run) -> Vec<Warning> {
    let document = Document::Run(Box::new(run.clone()));
    warning::of(&document, &Summary::of(&document))
}

fn texts(run: &Run) -> Vec<String> {
    warnings(run).iter().map(Warning::line).collect()
}

#[test]
fn a_good_run_has_none() {
    assert_eq!(warnings(&run("good")), []);
    assert_eq!(warning::verdict(&[]), Verdict::Ok);
}

#[test]
fn the_fixtures_have_theirs() {
    let cases: [(&str, &[&str]); 5] = [
        (
            "mix",
            &[
                "40 of 10,000 answers failed the check `body contains \"ok\"`; the first: the body does not contain it",
            ],
        ),
        (
            "timeouts",
            &[
                "p99.99 and above are lower bounds: 12 of 67,623 requests timed out at 20 s",
                "2 of 100 connections were never answered: look for a connection limit near 98",
            ],
        ),
        (
            "refused",
            &[
                "not one of 5,010 requests was answered: check that the target runs and the URL is right",
                "5,010 of 5,010 requests failed: connection refused: nothing listens \
                 at that address: check that the target listens there, and did not restart",
            ],
        ),
        (
            "interrupted",
            &[
                "interrupted by SIGINT (Ctrl-C) after 12 s of 120 s",
                "p75 and above are lower bounds: 40 of 400 requests were unfinished at the end, after 3 s to 4.95 s",
                "Requests/sec is low: answers took 2.323 s on average, and only those within 12 s count: run longer",
                "p99 rests on 400 samples; it needs 1,000: run longer",
            ],
        ),
        (
            "rate",
            &[
                "client-limited: the generator's worker 1 waited 8.94% of the time for a CPU: give the generator CPUs of \
                 its own",
                "27 of 19,100 requests that fell due were never sent: lower the rate, or give more connections",
                "72 of 19,073 requests failed, 4 s to 6 s into the run: the server reset the connection",
                "1 of 19,073 requests failed, 5 s into the run: the server closed a kept-alive connection as the \
                 next request was sent: look at the target's keep-alive timeout and its limit of requests per connection; hey sends such requests again, \
                 unseen",
            ],
        ),
    ];
    for (name, expected) in cases {
        assert_eq!(texts(&run(name)), expected, "{name}");
    }
}

type Change = fn(&mut Run);

#[test]
fn each_rule_of_the_account_is_checked() {
    let cases: [(&str, Change); 13] = [
        ("scheduled = sent + unsent", |run| run.account.scheduled += 1),
        ("sent = ok + http_error + failed + timeout + aborted", |run| {
            run.account.sent += 1;
            run.account.scheduled += 1;
            run.workers[0].sent += 1;
        }),
        ("answers by status = ok + http_error", |run| *run.status.get_mut(&200).unwrap() -= 1),
        ("answers of 400 and above = http_error", |run| {
            run.status = [(200, 18_499), (503, 501)].into();
        }),
        ("failures by kind = failed", |run| {
            run.failures.remove(&FailureKind::ClosedIdle);
        }),
        ("samples of answered latency = ok + http_error", |run| run.latencies.answered = of([1])),
        ("samples of censored latency = timeout + aborted", |run| run.latencies.censored = of([1])),
        ("samples of failed latency = failed", |run| run.latencies.failed = of([1])),
        ("answered in the series = ok + http_error", |run| run.series.answered[0] += 1),
        ("unanswered in the series = failed + timeout + aborted", |run| run.series.unanswered[0] += 1),
        ("errors in the series = http_error", |run| run.series.http_error[0] += 1),
        ("sent by the workers = sent", |run| run.workers[0].sent += 1),
        ("answered_in_window is part of ok + http_error", |run| run.account.answered_in_window = 19_001),
    ];
    for (rule, change) in cases {
        let mut run = run("rate");
        change(&mut run);
        let grave: Vec<_> = warnings(&run).into_iter().filter(Warning::is_grave).collect();
        assert!(
            matches!(grave.as_slice(), [Warning::Unbalanced { rule: broken, .. }] if *broken == rule),
            "{rule}: {grave:?}"
        );
    }
}

#[test]
fn requests_never_sent_may_be_in_the_censored_distribution() {
    let mut run = run("rate");
    run.latencies.censored = of([SECOND; 27]);
    assert!(!warnings(&run).iter().any(Warning::is_grave));
}

const SENTENCES: [(&str, Change, &str); 11] = [
    (
        "good",
        |run| run.verification.as_mut().unwrap().rows = 31_540,
        "verification failed: 31,540 rows for 31,541 good answers: 1 acknowledged and lost",
    ),
    (
        "good",
        |run| run.verification.as_mut().unwrap().rows = 31_542,
        "verification failed: 31,542 rows for 31,541 requests: more than were sent",
    ),
    (
        "good",
        |run| run.verification.as_mut().unwrap().integrity = "row 7\nmissing".into(),
        "verification failed: the database's integrity check says: row 7 missing",
    ),
    (
        "good",
        |run| run.ended = Ended::TargetLost,
        "stopped because every instance of the target was gone, after 10 s of 10 s",
    ),
    (
        "good",
        |run| {
            run.ended = Ended::Sigterm;
            run.window.planned_ns = None;
        },
        "interrupted by SIGTERM after 10 s",
    ),
    (
        "good",
        |run| run.account.scheduled += 1,
        "not valid: the account does not balance: scheduled = sent + unsent, but 31,542 is not 31,541: do not use this \
             run: it is a bug in loadgen or an edited document",
    ),
    (
        "good",
        |run| run.latencies.answered = of([MS; 50]),
        "p90 and above rest on 50 samples; p99 needs 1,000: run longer",
    ),
    (
        "good",
        |run| run.latencies.answered = of([MS]),
        "p10 and above rest on 1 sample; p99 needs 1,000: run longer",
    ),
    (
        "timeouts",
        |run| {
            run.account.timeout = 10;
            run.account.aborted = 2;
            run.latencies.censored = of([5 * SECOND, 20 * SECOND]);
        },
        "slowest and average are lower bounds: 12 of 67,623 requests timed out or were unfinished at the end (10 \
             and 2), after 5 s to 20 s",
    ),
    (
        "timeouts",
        |run| {
            run.account.timeout = 1;
            run.latencies.censored = of([20 * SECOND]);
        },
        "slowest and average are lower bounds: 1 of 67,623 requests timed out at 20 s",
    ),
    (
        "timeouts",
        |run| run.connections.never_answered = 1,
        "1 of 100 connections was never answered: look for a connection limit near 99",
    ),
];

#[test]
fn sentences() {
    for (name, change, expected) in SENTENCES {
        let mut run = run(name);
        change(&mut run);
        let texts = texts(&run);
        assert!(texts.iter().any(|text| text == expected), "{expected}\n{texts:#?}");
    }
}

#[test]
fn the_most_frequent_failure_comes_first() {
    let mut run = run("rate");
    run.failures.get_mut(&FailureKind::Reset).unwrap().count = 3;
    run.failures.get_mut(&FailureKind::ClosedIdle).unwrap().count = 70;
    let kinds: Vec<_> = warnings(&run)
        .into_iter()
        .filter_map(|warning| match warning {
            Warning::Failures { kind, .. } => Some(kind),
            _ => None,
        })
        .collect();
    assert_eq!(kinds, [FailureKind::ClosedIdle, FailureKind::Reset]);
}
