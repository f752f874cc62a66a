//! The lines after hey's block.

use report::document::{AssertionRecord, Document, Front, Instance, Overridden, Run, Warmup};
use report::format::{self, Style, View};
use report::summary::Summary;
use report::warning;

use crate::sample::{MS, SECOND, of, run};

fn notes(run: &Run, style: Style) -> Vec<String> {
    let document = Document::Run(Box::new(run.clone()));
    let summary = Summary::of(&document);
    let warnings = warning::of(&document, &summary);
    let view = View { document: &document, summary: &summary, warnings: &warnings, percentiles: &[], style };
    let text = (format::find("hey").unwrap().render)(&view);
    let rest = text.split_once("\nStatus code distribution:\n").unwrap().1;
    let lines = rest.lines().skip_while(|line| !line.is_empty()).filter(|line| !line.is_empty());
    let mut notes: Vec<String> = Vec::new();
    for line in lines {
        assert!(line.chars().count() <= 112 || line.starts_with("  ["), "too long: {line}");
        match (line.strip_prefix("    "), notes.last_mut()) {
            (Some(rest), Some(note)) => note.extend([" ", rest]),
            _ => notes.push(line.to_owned()),
        }
    }
    notes
}

fn terminal(width: usize) -> Style {
    Style { width, colour: false, terminal: true }
}

fn that_begins(notes: &[String], begin: &str) -> Option<String> {
    let mut found = notes.iter().filter(|note| note.starts_with(begin));
    let first = found.next().cloned();
    assert_eq!(found.next(), None, "said once: {notes:#?}");
    first
}

/// A closed run as somebody types it, at a server elsewhere.
fn typed() -> Run {
    let mut run = run("good");
    (run.verification, run.instances) = (None, Vec::new());
    let pairs = [
        ("load.url", "http://192.0.2.1:8080/a"),
        ("load.method", "GET"),
        ("load.headers", "User-Agent: loadgen/0.1.0 | Content-Type: text/html | Accept-Encoding: gzip"),
        ("load.body_bytes", "0"),
        ("load.connections", "100"),
        ("load.model", "closed"),
        ("load.duration", "10s"),
        ("load.timeout", "20s"),
        ("load.drain", "20s"),
        ("load.workers", "2"),
        ("load.redirects", "10"),
        ("load.engine", "http1"),
        ("target.kind", "external"),
    ];
    run.config = pairs.iter().map(|&(key, value)| (key.into(), value.into())).collect();
    run
}

#[test]
fn a_verdict_is_one_line_and_its_reasons_are_nowhere_else() {
    let mut run = typed();
    assert_eq!(that_begins(&notes(&run, Style::default()), "verdict: "), Some("verdict: ok".into()));
    run.workers[0].run_queue_ns = Some(SECOND);
    run.workers[0].cpu_ns = Some(9 * SECOND);
    let found = notes(&run, Style::default());
    let expected = "verdict: client-limited: worker 1 waited 9.94% of the time for a CPU; worker 1 was busy 89.44% of the time: \
                    give the generator CPUs of its own";
    assert_eq!(that_begins(&found, "verdict: ").as_deref(), Some(expected));
    assert_eq!(found.iter().filter(|note| note.contains("waited 9.94%")).count(), 1, "{found:?}");
    assert!(found[0].starts_with("verdict: "), "before everything else: {found:?}");
    let refused = notes(&crate::sample::run("refused"), Style::default());
    assert_eq!(that_begins(&refused, "verdict: "), None, "nothing was answered: {refused:?}");
}

#[test]
fn what_the_target_used_is_one_line() {
    let found = notes(&run("watched"), Style::default());
    let expected = "CPUs busy, of 2: target 1.40 (446.4 us a request), generator 0.30; the target had 39.1 MiB and wrote 12.2 MiB/s";
    assert_eq!(that_begins(&found, "CPUs busy").as_deref(), Some(expected));
    let mut apart = run("watched");
    apart.generator.as_mut().unwrap().cpus = Some("1".into());
    for (cpus, said) in [
        ("0", ": target 1.40 on CPU 0 (446.4 us a request), generator 0.30 on CPU 1; the target had "),
        (
            "0-1",
            ": target 1.40 on CPU 0-1 (446.4 us a request), generator 0.30 on CPU 1, both on CPU 1; the target had ",
        ),
        ("1", ": target 1.40 (446.4 us a request), generator 0.30; the target had "),
    ] {
        apart.instances.iter_mut().for_each(|one| one.usage.as_mut().unwrap().cpus = Some(cpus.into()));
        let found = that_begins(&notes(&apart, Style::default()), "CPUs busy").unwrap();
        assert!(found.contains(said), "{found}");
    }
    let mut restarted = run("watched");
    let usage = restarted.instances[2].usage.as_mut().unwrap();
    (usage.restarts_s, usage.written_kib) = (vec![4], vec![0; 11]);
    let found = that_begins(&notes(&restarted, Style::default()), "CPUs busy").unwrap();
    assert!(found.ends_with("; 1 restart of its processes") && found.contains(" and wrote "), "{found}");
    assert_eq!(that_begins(&notes(&run("good"), Style::default()), "CPUs busy"), None);
}

#[test]
fn instances_shares_and_rows_are_one_line() {
    let mut uneven = run("good");
    let said = |run: &Run| that_begins(&notes(run, Style::default()), "4 instances").unwrap();
    let expected = "4 instances: 25% of the answers each, 25 connections each; a row for each good answer";
    assert_eq!(said(&uneven), expected);
    (uneven.instances[0].accepted, uneven.instances[1].accepted) = (Some(30), Some(20));
    (uneven.instances[0].answered, uneven.instances[1].answered) = (Some(8_885), Some(6_885));
    let expected = "4 instances: 28.2%, 21.8%, 25%, 25% of the answers, 20 to 30 connections each; a row for each good answer";
    assert_eq!(said(&uneven), expected);
    uneven.instances[3].accepted = None;
    assert!(!said(&uneven).contains("connections"), "one did not tell");
    uneven.instances[3].answered = None;
    assert_eq!(said(&uneven), "4 instances; a row for each good answer", "nor that");
    let verification = uneven.verification.as_mut().unwrap();
    (verification.rows, verification.acknowledged) = (31_541, 31_540);
    assert!(said(&uneven).ends_with("; 31,541 rows for 31,540 good answers"), "{}", said(&uneven));
    let four = run("good").instances;
    let mut many = run("good");
    many.instances.extend(four.into_iter().map(|one| Instance { answered: Some(1_000), ..one }));
    let told = that_begins(&notes(&many, Style::default()), "8 instances").unwrap();
    assert!(told.starts_with("8 instances: 2.8% to 22.2% of the answers each, "), "{told}");
}

#[test]
fn a_front_is_named_up_to_its_version() {
    let mut behind = run("good");
    behind.front = Some(Front { ended: "stopped".into(), ..Front::default() });
    for (version, name) in [
        (
            "HAProxy version 3.0.11-1+deb13u2 2026/01/30 - https://haproxy.org/",
            "HAProxy version 3.0.11-1+deb13u2",
        ),
        ("nginx version: nginx/1.26.3", "nginx version: nginx/1.26.3"),
        ("a proxy of ours", "a proxy of ours"),
    ] {
        behind.versions.insert("front".into(), version.into());
        let found = that_begins(&notes(&behind, Style::default()), name).unwrap();
        assert!(found.starts_with(&format!("{name} in front of 4 instances: ")), "{found}");
    }
}

#[test]
fn a_process_that_ended_oddly_is_told_once_and_early() {
    let mut odd = run("good");
    odd.instances[1].ended = "had to be killed when it was stopped".into();
    odd.instances[2].ended = "died during the run: signal 9".into();
    odd.notes = vec!["instance 3 died during the run: signal 9; it said: ouch".into()];
    let found = notes(&odd, Style::default());
    assert_eq!(found[1], "instance 2 had to be killed when it was stopped", "{found:?}");
    assert_eq!(found.iter().filter(|note| note.contains("instance 3")).count(), 1, "{found:?}");
}

#[test]
fn what_failed_stands_before_what_holds() {
    let mut run = run("good");
    let record = |assertion: &str, holds| AssertionRecord {
        assertion: assertion.into(),
        measured: "1".into(),
        holds,
        skipped: false,
    };
    run.assertions = vec![record("errors == 0", true), record("rps > 5", false)];
    let found = notes(&run, Style::default());
    assert_eq!(found[1], "assert rps > 5: FAILED: 1", "{found:?}");
    assert_eq!(found.last().unwrap(), "assert errors == 0: holds: 1", "{found:?}");
}

#[test]
fn what_was_typed_over_the_scenario_is_told_without_what_follows_from_it() {
    let mut run = run("good");
    let both = |file: &str, used: &str, follows| Overridden {
        file: Some(file.into()),
        used: Some(used.into()),
        follows,
    };
    run.overridden.insert("load.connections".into(), both("100", "5", false));
    run.overridden.insert("load.workers".into(), both("2", "1", true));
    run.overridden.insert("target.store".into(), both("pool", "none", false));
    run.overridden.insert("load.headers".into(), both(&"x".repeat(81), "y", false));
    let gone = |of: Overridden| Overridden { used: None, ..of };
    run.overridden.insert("load.duration".into(), gone(both("5s", "", false)));
    run.overridden.insert("load.requests".into(), Overridden { file: None, ..both("", "600", false) });
    let found = that_begins(&notes(&run, Style::default()), "instead of what the scenario says: ").unwrap();
    let expected = "instead of what the scenario says: connections 5 (100), no duration (5s), headers (the document has both), \
                    requests 600 (none), store none (pool)";
    assert_eq!(found, expected);
}

#[test]
fn lines_are_broken_between_words_as_wide_as_the_terminal() {
    let mut long = run("good");
    long.notes = vec![format!(
        "no room is left in {}; set TMPDIR to a folder with room, or remove what is there",
        "x".repeat(70)
    )];
    let document = Document::Run(Box::new(long));
    let summary = Summary::of(&document);
    let warnings = warning::of(&document, &summary);
    for (style, widest) in [(Style::default(), 112), (terminal(80), 80), (terminal(300), 112)] {
        let view =
            View { document: &document, summary: &summary, warnings: &warnings, percentiles: &[], style };
        let lines = view.notes();
        assert!(lines.iter().all(|line| line.chars().count() <= widest), "{widest}: {lines:#?}");
        let first = lines.iter().position(|line| line.starts_with("note: ")).unwrap();
        assert!(lines[first + 1].starts_with("    "), "{lines:#?}");
    }
}

#[test]
fn the_time_is_broken_down_where_it_went_elsewhere_than_to_the_server() {
    let mut run = typed();
    assert_eq!(that_begins(&notes(&run, Style::default()), "where"), None);
    run.latencies.answered = of([100 * MS; 100]);
    run.latencies.wait = of([24 * MS; 100]);
    run.latencies.queue = of([70 * MS; 100]);
    run.latencies.lag = of([MS / 2; 100]);
    run.latencies.connect = of([40 * MS; 10]);
    run.connections.slots = 9;
    run.latencies.write = of([0; 100]);
    run.latencies.read = of([2 * MS; 100]);
    let expected = "where the time went, of 100 ms on average: 70% waiting for a free connection, 24% waiting for the \
                    answer, 4% connecting, 2% reading";
    assert_eq!(that_begins(&notes(&run, Style::default()), "where").as_deref(), Some(expected));
    run.connections.slots = 10;
    let found = that_begins(&notes(&run, Style::default()), "where").unwrap();
    assert!(!found.contains("connecting"), "made before time zero: {found}");
    run.latencies.queue = of((0..110).map(|request| if request < 100 { 70 * MS } else { 20 * SECOND }));
    let found = that_begins(&notes(&run, Style::default()), "where");
    assert_eq!(found, None, "what the unanswered waited for is no part of the mean of the answered");
}

#[test]
fn a_warm_up_that_was_cut_short_is_told_by_its_real_length() {
    let mut run = run("interrupted");
    run.warmup = Some(Warmup { planned_ns: 3 * SECOND, lasted_ns: Some(SECOND), sent: 5, ok: 5 });
    let told = that_begins(&notes(&run, Style::default()), "warm-up: ").unwrap();
    assert!(told.starts_with("warm-up: 5 requests in 1 s before"), "{told}");
}

#[test]
fn a_terminal_shows_the_course_of_the_run_in_its_width() {
    let mut run = typed();
    run.series.answered = vec![0, 1000, 2000, 3000, 4000, 5000, 6000, 7000, 3541, 0, 0];
    run.series.p99_us = vec![0, 500, 500, 500, 4000, 500, 500, 500, 500, 500, 99_000];
    assert_eq!(that_begins(&notes(&run, Style::default()), "req/s"), None, "not in a file");
    let course = that_begins(&notes(&run, terminal(100)), "req/s").unwrap();
    assert_eq!(course, "req/s ▁▂▃▄▅▆▇█▅▁ up to 7,000, p99 ▁▂▂▂█▂▂▂▂▂ up to 4 ms", "the drain is not in it");
    let narrow = that_begins(&notes(&run, terminal(50)), "req/s").unwrap();
    assert_eq!(narrow, "req/s ▂▄▆█▃ up to 7,000, p99 ▂▂█▂▂ up to 4 ms", "two seconds in a column");
    for width in 50..130 {
        let course = that_begins(&notes(&run, terminal(width)), "req/s").unwrap();
        assert!(course.chars().count() <= width, "{width}: {course}");
    }
    run.window.measured_ns = 5 * SECOND - 1;
    assert_eq!(that_begins(&notes(&run, terminal(100)), "req/s"), None, "too short");
}

fn next(run: &Run) -> Option<String> {
    assert_eq!(that_begins(&notes(run, Style::default()), "next: "), None, "not in a file");
    that_begins(&notes(run, terminal(100)), "next: ")
}

#[test]
fn after_a_good_closed_run_a_rate_is_next() {
    let mut run = typed();
    let expected = "next: loadgen --rate 2200 -z 10s -c 100 http://192.0.2.1:8080/a";
    assert_eq!(next(&run).as_deref(), Some(expected));
    run.config.insert("load.url".into(), "http://192.0.2.1/?a=1&b=2".into());
    assert!(next(&run).unwrap().ends_with(" 'http://192.0.2.1/?a=1&b=2'"));
    run.config.insert("load.method".into(), "POST".into());
    let in_words = Some("next: the same with --rate 2200 -z 10s");
    assert_eq!(next(&run).as_deref(), in_words, "what the document does not hold cannot be typed again");
    run = typed();
    run.config.insert("load.proxy".into(), "http://192.0.2.9:3128".into());
    assert_eq!(next(&run).as_deref(), in_words, "nor what this version does not know");
    run.config.insert("load.rate_per_connection".into(), "5".into());
    assert_eq!(next(&run), None, "a paced run was not at its limit");
}

#[test]
fn a_connection_limit_suggests_fewer_connections() {
    let mut run = run("timeouts");
    run.config = typed().config;
    assert_eq!(next(&run).as_deref(), Some("next: loadgen -c 98 -z 10s http://192.0.2.1:8080/a"));
}

#[test]
fn slots_of_connections_with_several_requests_at_a_time_are_not_called_connections() {
    let mut run = run("timeouts");
    let is_said =
        |run: &Run, words: &str| format!("\n{}\n", notes(run, Style::default()).join("\n")).contains(words);
    assert!(
        is_said(&run, "2 of 100 connections were never answered")
            && is_said(&run, "\n100 connections, 0 to 702 answers on each\n")
    );
    run.config.insert("load.streams".into(), "10".into());
    assert!(is_said(
        &run,
        "2 of 100 request slots were never answered: look for a limit of requests at a time"
    ));
    assert!(is_said(&run, "\n100 request slots on 100 connections, 0 to 702 answers on each\n"));
}

#[test]
fn a_suspect_run_on_the_targets_machine_suggests_parting_them() {
    let mut run = typed();
    run.workers[0].run_queue_ns = Some(SECOND);
    assert_eq!(next(&run), None, "the verdict says what to do");
    run.config.insert("load.url".into(), "http://127.0.0.1:8080/".into());
    let expected =
        "next: taskset -c 1 loadgen -z 10s -c 100 http://127.0.0.1:8080/ (and the target on the other CPUs)";
    assert_eq!(next(&run).as_deref(), Some(expected));
    run.machine.cpus_total = 1;
    assert_eq!(next(&run), None);
    run.machine.cpus_total = 2;
    run.config.insert("target.kind".into(), "embedded".into());
    assert_eq!(next(&run), None, "the generator starts it, on its own CPU");
}

#[test]
fn a_run_that_went_wrong_suggests_nothing() {
    for name in ["refused", "interrupted"] {
        let mut run = run(name);
        run.config = typed().config;
        assert_eq!(next(&run), None, "{name}");
    }
    let mut run = typed();
    run.account.http_error = 1;
    run.account.ok -= 1;
    run.status = [(200, 31_540), (503, 1)].into();
    run.series.http_error[0] = 1;
    assert_eq!(next(&run), None);
}
