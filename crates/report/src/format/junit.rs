//! A series of runs as `JUnit` has its tests: what every continuous integration can show.
//!
//! A scenario is a suite, a run a class in it, and everything that is held against a run a test. The shape is the one that Jenkins,
//! GitLab and others have in common: <https://github.com/testmoapp/junitxml>.

use std::fmt::Write as _;

use crate::compare::{Gate, Passage};
use crate::document::Run;
use crate::runs::{Case, Entry, Finding, Outcome, Runs};

/// `RFC 3339` without its zone: what the schema takes.
const TIMESTAMP: usize = "2026-11-21T17:00:00".len();

/// The numbers of a suite, or of all.
#[derive(Debug, Default)]
struct Counts {
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
    wall_ns: u64,
}

/// The whole XML document, newline at its end.
pub fn junit(runs: &Runs) -> String {
    let mut suites: Vec<(&str, Vec<&Entry>)> = Vec::new();
    for entry in &runs.entries {
        match suites.iter_mut().find(|(name, _)| *name == entry.scenario) {
            Some((_, entries)) => entries.push(entry),
            None => suites.push((&entry.scenario, vec![entry])),
        }
    }
    let all = Counts::of(runs.entries.iter());
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(xml, "<testsuites name=\"loadgen\"{}>", all.attributes(false));
    for (name, entries) in &suites {
        suite(&mut xml, name, entries);
    }
    xml.push_str("</testsuites>\n");
    xml
}

/// The same of a gate: a row is a suite, and what was held against it a test.
pub fn junit_of_gate(gate: &Gate) -> String {
    let mut suites = String::new();
    let mut all = Counts::default();
    for held in &gate.rows {
        let is_error = held.passage == Passage::Unknown;
        let mut counts = Counts::default();
        counts.add(&held.cases, is_error);
        all.add(&held.cases, is_error);
        let _ = writeln!(suites, "  <testsuite name=\"{}\"{}>", escaped(&held.row), counts.attributes(true));
        let class = held.base.as_ref().map_or_else(|| held.row.clone(), |base| format!("against {base}"));
        for case in &held.cases {
            test(&mut suites, &class, case, 0, is_error);
        }
        suites.push_str("  </testsuite>\n");
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"loadgen compare\"{}>\n{suites}</testsuites>\n",
        all.attributes(false)
    )
}

fn suite(xml: &mut String, name: &str, entries: &[&Entry]) {
    let counts = Counts::of(entries.iter().copied());
    let first = entries.iter().find_map(|entry| entry.run());
    let begun = first.and_then(|run| run.started_at.get(..TIMESTAMP));
    let begun = begun.map(|begun| format!(" timestamp=\"{}\"", escaped(begun))).unwrap_or_default();
    let _ = writeln!(xml, "  <testsuite name=\"{}\"{}{begun}>", escaped(name), counts.attributes(true));
    properties(xml, first);
    let mut before: Vec<&str> = Vec::new();
    for entry in entries {
        // Repeats of one plan are told apart by their number.
        let nth = before.iter().filter(|variant| **variant == entry.variant).count() + 1;
        before.push(&entry.variant);
        let variant = if entry.variant.is_empty() { String::new() } else { format!(" [{}]", entry.variant) };
        let class = format!("{name}{variant} #{nth}");
        for (place, case) in entry.cases().iter().enumerate() {
            let time = if place == 0 { wall_ns(entry) } else { 0 };
            test(xml, &class, case, time, matches!(entry.outcome, Outcome::Failed(_)));
        }
    }
    xml.push_str("  </testsuite>\n");
}

fn properties(xml: &mut String, run: Option<&Run>) {
    let Some(run) = run else { return };
    let mut pairs = vec![("machine", run.machine.label.as_str())];
    pairs.extend(run.versions.iter().map(|(name, version)| (name.as_str(), version.as_str())));
    xml.push_str("    <properties>\n");
    for (name, value) in pairs {
        let _ = writeln!(xml, "      <property name=\"{}\" value=\"{}\"/>", escaped(name), escaped(value));
    }
    xml.push_str("    </properties>\n");
}

/// `is_error`: what fails could not even be judged.
fn test(xml: &mut String, class: &str, case: &Case, time_ns: u64, is_error: bool) {
    let head = format!(
        "    <testcase name=\"{}\" classname=\"{}\" time=\"{}\"",
        escaped(&case.name),
        escaped(class),
        seconds(time_ns)
    );
    let _ = match (&case.finding, is_error) {
        (Finding::Holds(measured), _) => {
            writeln!(xml, "{head}>\n      <system-out>{}</system-out>\n    </testcase>", escaped(measured))
        }
        (Finding::Skipped(why), _) => {
            writeln!(xml, "{head}>\n      <skipped message=\"{}\"/>\n    </testcase>", escaped(why))
        }
        (Finding::Fails(why), true) => {
            writeln!(
                xml,
                "{head}>\n      <error message=\"{}\" type=\"run\"/>\n    </testcase>",
                escaped(why)
            )
        }
        (Finding::Fails(measured), _) => writeln!(
            xml,
            "{head}>\n      <failure message=\"{}\" type=\"measured\">{}: {}</failure>\n    </testcase>",
            escaped(measured),
            escaped(&case.name),
            escaped(measured)
        ),
    };
}

impl Counts {
    fn of<'a>(entries: impl Iterator<Item = &'a Entry>) -> Self {
        let mut counts = Self::default();
        for entry in entries {
            counts.wall_ns = counts.wall_ns.saturating_add(wall_ns(entry));
            counts.add(&entry.cases(), matches!(entry.outcome, Outcome::Failed(_)));
        }
        counts
    }

    fn add(&mut self, cases: &[Case], is_error: bool) {
        for case in cases {
            self.tests += 1;
            match (&case.finding, is_error) {
                (Finding::Holds(_), _) => {}
                (Finding::Skipped(_), _) => self.skipped += 1,
                (Finding::Fails(_), true) => self.errors += 1,
                (Finding::Fails(_), false) => self.failures += 1,
            }
        }
    }

    fn attributes(&self, has_skipped: bool) -> String {
        let Self { tests, failures, errors, skipped, wall_ns } = self;
        let skipped = if has_skipped { format!(" skipped=\"{skipped}\"") } else { String::new() };
        format!(
            " tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\"{skipped} time=\"{}\"",
            seconds(*wall_ns)
        )
    }
}

/// How long the load of a run took, its warm-up left out.
fn wall_ns(entry: &Entry) -> u64 {
    entry.run().map_or(0, |run| run.window.wall_ns)
}

fn seconds(ns: u64) -> String {
    format!("{}.{:03}", ns / 1_000_000_000, ns / 1_000_000 % 1000)
}

/// Text as XML may hold it, in elements and attributes. What no XML may hold, not even escaped, is replaced.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            // Else attributes would have spaces in their place.
            '\n' => escaped.push_str("&#10;"),
            '\t' => escaped.push_str("&#9;"),
            '\r' => escaped.push_str("&#13;"),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}
