//! A series of runs as `JUnit` and for a pull request.

use report::document::{AssertionRecord, Ended, Run};
use report::format::{junit, pull_request};
use report::runs::{Entry, Outcome, Runs};
use roxmltree::{Document as Xml, Node};

use crate::sample;

/// What no test of a careful person is called.
const ODD: &str = "a \"b\" <c> & 'd'\n\u{1}]]>|e";

fn made(run: Run) -> Outcome {
    Outcome::Made { run: Box::new(run), objection: None }
}

fn entry(scenario: &str, variant: &str, outcome: Outcome) -> Entry {
    Entry { scenario: scenario.to_owned(), variant: variant.to_owned(), outcome }
}

fn asserting(mut run: Run, records: &[(&str, &str, bool, bool)]) -> Run {
    run.assertions = records
        .iter()
        .map(|(assertion, measured, holds, skipped)| AssertionRecord {
            assertion: (*assertion).to_owned(),
            measured: (*measured).to_owned(),
            holds: *holds,
            skipped: *skipped,
        })
        .collect();
    run
}

fn runs() -> Runs {
    let judged = [
        ("errors == 0", "0", true, false),
        ("p99 < 1ms", "58.75 ms", false, false),
        ("timeouts == 12", "it is for the load as the file has it", true, true),
    ];
    let mut terminated = sample::run("good");
    terminated.ended = Ended::Sigterm;
    let strict = Outcome::Made {
        run: Box::new(sample::run("good")),
        objection: Some("the generator was the limit".to_owned()),
    };
    Runs {
        entries: vec![
            entry("ci", "target.store = \"pool\"", made(asserting(sample::run("good"), &judged))),
            entry("ci", "target.store = \"pool\"", made(sample::run("good"))),
            entry(ODD, "", Outcome::Failed(ODD.to_owned())),
            entry("ci", "target.store = \"group\"", made(sample::run("timeouts"))),
            entry("last", "", made(terminated)),
            entry("last", "", strict),
            entry("last", "", Outcome::NotBegun("an earlier run was interrupted".to_owned())),
        ],
    }
}

fn number(node: Node<'_, '_>, name: &str) -> usize {
    node.attribute(name).unwrap_or_else(|| panic!("{name}: {node:?}")).parse().unwrap()
}

fn elements<'a, 'i>(node: Node<'a, 'i>, name: &'a str) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(move |child| child.has_tag_name(name))
}

fn cases<'a, 'i>(suite: Node<'a, 'i>) -> Vec<Node<'a, 'i>> {
    elements(suite, "testcase").collect()
}

/// The shape that readers of `JUnit` have in common: which elements and attributes there may be, and that the counts are those of
/// what is there.
fn assert_shape(xml: &Xml<'_>) {
    let root = xml.root_element();
    assert!(root.has_tag_name("testsuites"));
    let suites: Vec<_> = root.children().filter(Node::is_element).collect();
    assert!(suites.iter().all(|suite| suite.has_tag_name("testsuite")));
    for (count, of) in [("tests", "testcase"), ("failures", "failure"), ("errors", "error")] {
        let there = root.descendants().filter(|node| node.has_tag_name(of)).count();
        assert_eq!(number(root, count), there, "{count}");
    }
    for suite in suites {
        for (count, of) in
            [("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")]
        {
            let there = suite.descendants().filter(|node| node.has_tag_name(of)).count();
            assert_eq!(number(suite, count), there, "{count}");
        }
        assert!(!suite.attribute("name").unwrap().is_empty());
        let timestamp = suite.attribute("timestamp").unwrap_or("2026-01-01T00:00:00");
        assert!(timestamp.len() == 19 && timestamp.as_bytes()[10] == b'T', "{timestamp}");
        let mut time = 0.0;
        for child in suite.children().filter(Node::is_element) {
            if child.has_tag_name("properties") {
                assert!(elements(child, "property").all(|one| one.attribute("value").is_some()));
                continue;
            }
            assert!(child.has_tag_name("testcase"), "{child:?}");
            let names: Vec<_> = child.attributes().map(|attribute| attribute.name()).collect();
            assert_eq!(names, ["name", "classname", "time"]);
            time += child.attribute("time").unwrap().parse::<f64>().unwrap();
            let inside: Vec<_> = child.children().filter(Node::is_element).collect();
            let [result] = inside[..] else { panic!("one result each: {child:?}") };
            assert!(
                ["failure", "error", "skipped", "system-out"].contains(&result.tag_name().name()),
                "{result:?}"
            );
            assert!(result.has_tag_name("system-out") || result.attribute("message").is_some());
        }
        let said: f64 = suite.attribute("time").unwrap().parse().unwrap();
        assert!((said - time).abs() < 0.01, "{said} {time}");
    }
}

#[test]
fn junit_has_the_common_shape_and_holds_any_text() {
    let text = junit(&runs());
    let xml = Xml::parse(&text).unwrap();
    assert_shape(&xml);
    let suites: Vec<_> = elements(xml.root_element(), "testsuite").collect();
    let names: Vec<_> = suites.iter().map(|suite| suite.attribute("name").unwrap()).collect();
    let odd = ODD.replace('\u{1}', "\u{fffd}");
    assert_eq!(names, ["ci", odd.as_str(), "last"], "a suite for each scenario, wherever its runs stand");
    let error = suites[1].descendants().find(|node| node.has_tag_name("error")).unwrap();
    assert_eq!(error.attribute("message"), Some(odd.as_str()));
}

#[test]
fn junit_tells_what_was_measured_what_failed_and_what_was_not_judged() {
    let text = junit(&runs());
    let xml = Xml::parse(&text).unwrap();
    let suites: Vec<_> = elements(xml.root_element(), "testsuite").collect();
    let case = |suite: usize, class: &str, name: &str| {
        let found = cases(suites[suite])
            .into_iter()
            .find(|case| (case.attribute("classname"), case.attribute("name")) == (Some(class), Some(name)));
        let found = found.unwrap_or_else(|| panic!("{class} {name}: {text}"));
        found.children().find(Node::is_element).unwrap()
    };
    let pool = "ci [target.store = \"pool\"] #1";
    let holds = case(0, pool, "assert errors == 0");
    assert_eq!((holds.tag_name().name(), holds.text()), ("system-out", Some("0")));
    let fails = case(0, pool, "assert p99 < 1ms");
    assert_eq!((fails.tag_name().name(), fails.attribute("message")), ("failure", Some("58.75 ms")));
    let skipped = case(0, pool, "assert timeouts == 12");
    assert_eq!(skipped.attribute("message"), Some("it is for the load as the file has it"));
    let again = case(0, "ci [target.store = \"pool\"] #2", "every good answer has its row");
    assert!(again.has_tag_name("system-out") && again.text().unwrap().contains(" good answers, "));
    case(0, "ci [target.store = \"group\"] #1", "every request is accounted for");
    let cut = case(2, "last #1", "the run was made to its end");
    assert!(cut.attribute("message").unwrap().starts_with("cut short by SIGTERM after "), "{cut:?}");
    let strict = case(2, "last #2", "--strict");
    assert_eq!(strict.attribute("message"), Some("the generator was the limit"));
    let left = case(2, "last #3", "the run was made to its end");
    assert_eq!(
        (left.tag_name().name(), left.attribute("message")),
        ("skipped", Some("an earlier run was interrupted"))
    );
}

#[test]
fn what_a_run_lost_is_a_failure() {
    let mut run = sample::run("good");
    let verification = run.verification.as_mut().unwrap();
    verification.rows = verification.acknowledged - 1;
    verification.integrity = "row 7 missing".to_owned();
    run.account.sent += 1;
    let text = junit(&Runs { entries: vec![entry("x", "", made(run))] });
    let xml = Xml::parse(&text).unwrap();
    let failed: Vec<_> = cases(elements(xml.root_element(), "testsuite").next().unwrap())
        .into_iter()
        .filter(|case| case.children().any(|child| child.has_tag_name("failure")))
        .filter_map(|case| case.attribute("name"))
        .collect();
    assert_eq!(
        failed,
        ["every request is accounted for", "every good answer has its row", "the database is whole"]
    );
}

#[test]
fn a_pull_request_reads_what_failed_first() {
    insta::assert_snapshot!(pull_request(&runs()));
    let well = Runs { entries: vec![entry("ci", "", made(sample::run("good")))] };
    let text = pull_request(&well);
    assert!(text.starts_with("### loadgen: 1 run, all well\n\n| run | "), "{text}");
}
