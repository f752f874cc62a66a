//! A candidate at the gate: what closes it, what it cannot tell, and what it says.

use report::compare::{Comparison, FailOn, Gate, Metric, Passage};
use report::document::{Ended, Run};
use report::format;

use crate::judge::{LOUD, Order, QUIET, arm, stored};

const METRICS: [Metric; 1] = [Metric::Rps];

fn gate(base: Vec<Run>, candidate: Vec<Run>, fail_on: FailOn) -> Gate {
    Gate::of(&Comparison::with(stored(base), stored(candidate), &METRICS), fail_on)
}

/// A candidate at this share of the base's rate.
fn held(share: f64, factors: &[f64], fail_on: FailOn) -> Passage {
    let base = arm("a", Order::Base, 3.0, &QUIET);
    let gate = gate(base, arm("b", Order::After, 3.0 * share, factors), fail_on);
    assert_eq!(gate.failures().is_empty(), gate.passage() == Passage::Open, "{gate:?}");
    gate.passage()
}

#[test]
fn each_word_closes_it_for_what_it_names_and_for_what_is_graver() {
    use FailOn::{Inconclusive, Regressed, Worse};
    use Passage::{Closed, Open};
    for (share, factors, passages) in [
        (0.9, QUIET, [Closed, Closed, Closed]),
        (0.98, QUIET, [Open, Closed, Closed]),
        (0.9, LOUD, [Open, Open, Closed]),
        (1.1, QUIET, [Open, Open, Open]),
    ] {
        let found = [Regressed, Worse, Inconclusive].map(|fail_on| held(share, &factors, fail_on));
        // Errors of these runs are of one count and sure to be alike.
        assert_eq!(found, passages, "{share} {factors:?}");
    }
}

#[test]
fn what_cannot_be_compared_is_no_pass() {
    type Change = fn(&mut Run);
    let cases: [(&str, Change); 4] = [
        ("another machine", |run| run.machine.fingerprint = "ffff".into()),
        ("not every run is whole", |run| run.ended = Ended::Sigterm),
        ("another load: load.connections", |run| {
            run.config.insert("load.connections".into(), "7".into());
        }),
        ("closed beside open", |run| {
            run.config.insert("load.rate".into(), "100".into());
        }),
    ];
    for (why, change) in cases {
        let mut candidate = arm("b", Order::After, 3.0, &QUIET);
        candidate.iter_mut().for_each(change);
        let gate = gate(arm("a", Order::Base, 3.0, &QUIET), candidate, FailOn::Regressed);
        assert_eq!(gate.passage(), Passage::Unknown, "{why}: {gate:?}");
        assert!(gate.failures()[0].contains(why), "{:?}", gate.failures());
        assert!(format::junit_of_gate(&gate).contains("errors=\"1\""), "{why}");
    }
}

#[test]
fn reviewers_read_the_answer_first() {
    let text = |candidate: Vec<Run>, fail_on| {
        let base = arm("a", Order::Base, 3.0, &QUIET);
        let comparison = Comparison::with(stored(base), stored(candidate), &METRICS);
        format::pull_request_of_gate(&Gate::of(&comparison, fail_on), &comparison)
    };
    let slower = || arm("b", Order::After, 2.7, &QUIET);
    let closed = text(slower(), FailOn::Regressed);
    assert!(
        closed.starts_with("### loadgen compare: the gate is closed by 1 of 2 comparisons\n\n- x "),
        "{closed}"
    );
    let reason = closed.lines().find(|line| line.starts_with("- ")).unwrap();
    assert!(reason.contains(": req/s: x0.9") && reason.contains("regressed; tolerated 5%"), "{reason}");
    assert!(closed.contains("\n| scenario |") && closed.contains("\nAgainst the base:\n"), "{closed}");
    let open = text(arm("b", Order::After, 3.0, &LOUD), FailOn::Regressed);
    assert!(
        open.starts_with("### loadgen compare: the gate is open: none of 2 comparisons closes it\n"),
        "{open}"
    );
    let unsettled =
        open.split("\nNot settled, and not counted:\n\n").nth(1).and_then(|rest| rest.lines().next());
    let unsettled = unsettled.unwrap_or_default();
    assert!(unsettled.starts_with("- x ") && unsettled.contains(": req/s: x"), "{open}");
    assert!(unsettled.contains("inconclusive"), "{open}");
    let mut elsewhere = slower();
    for run in &mut elsewhere {
        run.machine.fingerprint = "ffff".into();
    }
    let unknown = text(elsewhere, FailOn::Regressed);
    assert!(
        unknown.starts_with("### loadgen compare: the gate cannot tell: 1 of 1 comparison cannot"),
        "{unknown}"
    );
    assert!(unknown.contains("another machine"), "{unknown}");
}

#[test]
fn a_scenario_that_only_one_side_has_is_told_and_one_in_common_is_needed() {
    let other = |mut runs: Vec<Run>, name: &str| {
        for run in &mut runs {
            run.name = name.into();
            run.id += name;
        }
        runs
    };
    let base = || arm("a", Order::Base, 3.0, &QUIET);
    let candidate = || arm("b", Order::After, 3.0, &QUIET);
    let gates = gate(
        [base(), other(base(), "old")].concat(),
        [candidate(), other(candidate(), "new")].concat(),
        FailOn::Regressed,
    );
    assert_eq!(gates.passage(), Passage::Open, "{gates:?}");
    let xml = format::junit_of_gate(&gates);
    assert!(xml.contains("the baseline has no whole run of it"), "{xml}");
    assert!(xml.contains("the candidate has no run of it"), "{xml}");
    let none = gate(other(base(), "old"), other(candidate(), "new"), FailOn::Regressed);
    assert_eq!(none.passage(), Passage::Unknown);
    assert!(none.failures()[0].contains("no scenario in common"), "{:?}", none.failures());
}

#[test]
fn the_report_is_xml_that_others_read() {
    let gate = gate(
        arm("a<b>", Order::Base, 3.0, &QUIET),
        arm("b\"&", Order::After, 2.7, &QUIET),
        FailOn::Regressed,
    );
    let xml = format::junit_of_gate(&gate);
    let document = roxmltree::Document::parse(&xml).unwrap();
    let suites = document.root_element();
    assert_eq!((suites.attribute("tests"), suites.attribute("failures")), (Some("2"), Some("1")), "{xml}");
    let failure = document.descendants().find(|node| node.has_tag_name("failure")).unwrap();
    let message = failure.attribute("message").unwrap();
    assert!(message.starts_with("x0.9") && message.contains("regressed; tolerated 5%"), "{message}");
    assert_eq!(failure.parent().unwrap().attribute("name"), Some("req/s"));
    assert!(gate.failures()[0].contains("against"), "{:?}", gate.failures());
}

#[test]
fn the_same_documents_on_both_sides_are_told_as_what_they_are() {
    let base = || arm("a", Order::Base, 3.0, &QUIET);
    let named = |mut runs: Vec<Run>, name: &str| {
        for run in &mut runs {
            run.name = name.into();
            run.id += name;
        }
        runs
    };
    let both = || [base(), named(base(), "y")].concat();
    let number = base().len();

    let all = gate(base(), base(), FailOn::Regressed);
    assert_eq!(all.passage(), Passage::Unknown);
    let same = format!(
        "the candidate is the baseline: {number} documents on both sides, no other run; name the folder"
    );
    assert!(all.failures()[0].contains(&same), "{:?}", all.failures());
    let of_row = format!("the candidate's {number} runs of it are the baseline's own");
    assert!(all.unsettled()[0].contains(&of_row), "{:?}", all.unsettled());

    // New runs of another scenario are not held against anything either.
    let others = [base(), named(base(), "z")].concat();
    let none = gate(base(), others, FailOn::Regressed);
    assert_eq!(none.passage(), Passage::Unknown);
    let said = format!(
        "no scenario in common but for {number} documents of the baseline's own runs; name the folder"
    );
    assert!(none.failures().iter().any(|it| it.contains(&said)), "{:?}", none.failures());

    // Of the two scenarios one has new runs: it is judged, and the other is told.
    let candidate = || [both(), arm("b", Order::After, 3.0, &QUIET)].concat();
    let some = gate(both(), candidate(), FailOn::Regressed);
    assert_eq!((some.passage(), some.failures()), (Passage::Open, vec![]));
    let unsettled = some.unsettled();
    assert!(
        unsettled.len() == 1 && unsettled[0].starts_with('y') && unsettled[0].contains(&of_row),
        "{unsettled:?}"
    );
    let notes = Comparison::with(stored(both()), stored(candidate()), &METRICS).notes;
    let left_out = format!("{} documents left out: the baseline has the run already", 2 * number);
    assert_eq!(notes[0], left_out);
}

#[test]
fn a_run_that_is_twice_on_one_side_is_none_of_the_other() {
    let base = || arm("a", Order::Base, 3.0, &QUIET);
    let mut candidate = base();
    for run in &mut candidate {
        run.id += "-new";
    }
    let of = |base: Vec<Run>, candidate: Vec<Run>| {
        let comparison = Comparison::with(stored(base), stored(candidate), &METRICS);
        (comparison.rows.iter().map(|row| row.shared).sum::<u64>(), comparison.notes)
    };
    // As with `--candidate new new/run1.json`: the baseline has repeats of its own, and not this run.
    let (shared, notes) = of(base(), [&candidate[..], &candidate[..1]].concat());
    assert_eq!((shared, notes[0].as_str()), (0, "1 repeated document left out: the run is there already"));
    assert!(!notes.iter().any(|note| note.contains("the baseline has the run already")), "{notes:?}");
    let (shared, notes) = of([&base()[..], &base()[..1]].concat(), candidate.clone());
    assert_eq!((shared, notes[0].as_str()), (0, "1 repeated document left out: the run is there already"));
    // Both at once, each told as what it is.
    let (shared, notes) = of(base(), [&candidate[..], &candidate[..1], &base()[..2]].concat());
    assert_eq!(shared, 2);
    assert_eq!(
        notes[..2],
        [
            "1 repeated document left out: the run is there already",
            "2 documents left out: the baseline has the run already"
        ]
    );
}
