use report::document::{Document, FailureKind, FailureRecord, Figures};
use report::format::{self, Style, View};
use report::store;
use report::summary::Summary;
use report::warning;

use crate::sample::{FIXTURES, fixture, of, run};

fn render(format: &str, document: &Document) -> String {
    let summary = Summary::of(document);
    let warnings = warning::of(document, &summary);
    let view =
        View { document, summary: &summary, warnings: &warnings, percentiles: &[], style: Style::default() };
    (format::find(format).unwrap().render)(&view)
}

fn reference(name: &str) -> Document {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../results/reference");
    store::open(&std::path::Path::new(folder).join(name)).unwrap()
}

#[test]
fn every_format_shows_every_fixture_as_before() {
    for format in format::ALL {
        for (name, _) in FIXTURES {
            let mut text = render(format.name, &fixture(name));
            if format.name == "json" {
                // The document itself is pinned by its own fixture.
                text = text.split_once("\"summary\"").unwrap().1.to_owned();
            }
            insta::assert_snapshot!(format!("{}-{name}", format.name), text);
        }
        let text = render(format.name, &reference("1-instance.json"));
        insta::assert_snapshot!(format!("{}-figures", format.name), text);
    }
}

#[test]
fn a_target_that_misbehaves_on_purpose_is_called_one() {
    let misbehaving = |faults: &str, faulted| {
        let mut run = run("told");
        run.config.insert("target.faults".into(), faults.into());
        run.instances.iter_mut().filter_map(|instance| instance.told.as_mut()).for_each(|told| {
            told.faulted = faulted;
        });
        let document = Document::Run(Box::new(run));
        ["hey", "markdown"].map(|format| render(format, &document))
    };
    let [text, table] = misbehaving("status=503:1&close=2", 5);
    assert!(
        text.contains("\nthe target misbehaves on purpose: status=503:1&close=2, suffered by 20 requests\n"),
        "{text}"
    );
    assert!(table.contains("| the target misbehaves on purpose"), "{table}");
    let [text, _] = misbehaving("", 5);
    assert!(
        text.contains("\nthe target misbehaves on purpose: as requests asked for, suffered by 20 requests\n"),
        "{text}"
    );
    let [text, table] = misbehaving("", 0);
    assert!(!text.contains("on purpose") && !table.contains("on purpose"), "{text}{table}");
}

#[test]
fn formats_have_names_of_their_own_and_a_line_of_help() {
    let mut names: Vec<_> = format::ALL.iter().map(|format| format.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), format::ALL.len());
    assert!(format::ALL.iter().all(|format| !format.help.is_empty() && !format.help.contains('\n')));
    assert!(format::find("nonsense").is_none());
}

#[test]
fn every_format_ends_with_one_newline_and_holds_no_nan() {
    for format in format::ALL {
        for (name, _) in FIXTURES {
            let text = render(format.name, &fixture(name));
            assert!(text.ends_with('\n'), "{} {name}", format.name);
            assert!(!text.contains("NaN") && !text.contains("inf"), "{} {name}", format.name);
        }
    }
}

#[test]
fn the_json_format_reads_back_as_the_document() {
    for (name, _) in FIXTURES {
        let document = fixture(name);
        let text = render("json", &document);
        assert!(text.contains("\n  \"summary\": {"));
        assert_eq!(store::parse("x".as_ref(), &text).unwrap(), document, "{name}");
        let block = text.find("  \"summary\"").unwrap();
        let plain = store::to_json(&document);
        assert!(
            text.starts_with(plain.trim_end_matches("\n}\n")) && block > plain.len() - 4,
            "added at the end"
        );
    }
}

/// A run small enough to reckon its block by hand.
fn small() -> Document {
    let mut run = run("good");
    let ms = 1_000_000;
    run.account = report::document::Account {
        scheduled: 12,
        sent: 12,
        ok: 9,
        http_error: 1,
        timeout: 1,
        failed: 1,
        answered_in_window: 10,
        ..report::document::Account::default()
    };
    run.status = [(503, 1), (200, 9)].into();
    run.failures = [(
        FailureKind::Reset,
        FailureRecord { count: 1, first_ns: 5, last_ns: 5, sample: "50%% of\n[200]\tit".into() },
    )]
    .into();
    run.window.measured_ns = 2_000 * ms;
    run.window.wall_ns = 2_500 * ms;
    run.latencies = report::document::Latencies {
        answered: of([1, 2, 3, 4, 5, 5, 5, 5, 9, 11].map(|value| value * ms)),
        censored: of([20_000 * ms]),
        failed: of([7 * ms]),
        connect: of([ms, 3 * ms]),
        write: of([100_000]),
        wait: of([2 * ms]),
        ..report::document::Latencies::default()
    };
    run.bytes.body_read = 5_005;
    Document::Run(Box::new(run))
}

#[test]
fn the_hey_block_is_heys_to_the_byte() {
    let text = render("hey", &small());
    let expected = "
Summary:
  Total:\t2.5000 secs
  Slowest:\t20.0000 secs
  Fastest:\t0.0010 secs
  Average:\t1.8227 secs
  Requests/sec:\t5.0000
  \n  Total data:\t5005 bytes
  Size/request:\t500 bytes

Response time histogram:
  0.001 [1]\t|■■■■■■■■■■
  0.002 [1]\t|■■■■■■■■■■
  0.003 [1]\t|■■■■■■■■■■
  0.004 [1]\t|■■■■■■■■■■
  0.005 [4]\t|■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■
  0.006 [0]\t|
  0.007 [0]\t|
  0.008 [0]\t|
  0.009 [1]\t|■■■■■■■■■■
  0.010 [0]\t|
  0.011 [1]\t|■■■■■■■■■■


Latency distribution:
  10% in 0.0020 secs
  25% in 0.0030 secs
  50% in 0.0050 secs
  75% in 0.0090 secs
  90% in 0.0110 secs
  95% in 20.0000 secs
  99% in 20.0000 secs

Details (average, fastest, slowest):
  DNS+dialup:\t0.0004 secs, 0.0000 secs, 0.0030 secs
  DNS-lookup:\t0.0000 secs, 0.0000 secs, 0.0000 secs
  req write:\t0.0001 secs, 0.0001 secs, 0.0001 secs
  resp wait:\t0.0020 secs, 0.0020 secs, 0.0020 secs
  resp read:\t0.0000 secs, 0.0000 secs, 0.0000 secs

Status code distribution:
  [200]\t9 responses
  [503]\t1 responses

Error distribution:
  [1]\treset: the server reset the connection (50%% of [200] it)
  [1]\ttimeout: no answer within the request timeout

";
    assert!(text.starts_with(expected), "{text}");
}

#[test]
fn without_errors_or_bytes_the_block_ends_and_begins_as_heys() {
    let text = render("hey", &fixture("good"));
    assert!(text.contains("\nStatus code distribution:\n  [200]\t31541 responses\n\n\n\n"), "{text}");
    assert!(
        render("hey", &fixture("refused"))
            .contains("\n  \n\nResponse time histogram:\n\n\nLatency distribution:\n")
    );
}

/// What scripts around hey look for, with the patterns that they use.
struct Parsed {
    rps: f64,
    p99: f64,
    percentiles: usize,
    bars: u64,
    status: Vec<(u16, u64)>,
    errors: u64,
    notes: Vec<String>,
}

fn number_after(text: &str, mark: &str) -> f64 {
    let rest = text.split_once(mark).unwrap_or_else(|| panic!("no {mark:?} in\n{text}")).1;
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap();
    rest[..end].parse().unwrap()
}

fn section<'a>(text: &'a str, title: &str) -> impl Iterator<Item = &'a str> {
    let rest = text.split_once(title).map_or("", |(_, rest)| rest);
    rest.lines().skip(1).take_while(|line| !line.is_empty())
}

fn bracketed(line: &str) -> Option<(u64, &str)> {
    let (number, rest) = line.trim_start().strip_prefix('[')?.split_once("]\t")?;
    Some((number.parse().ok()?, rest))
}

fn parse(text: &str) -> Parsed {
    let status = section(text, "\nStatus code distribution:").map(|line| {
        let (code, rest) = bracketed(line).unwrap();
        (u16::try_from(code).unwrap(), rest.strip_suffix(" responses").unwrap().parse().unwrap())
    });
    let bars = section(text, "\nResponse time histogram:").map(|line| {
        let (mark, bar) = line.split_once(" [").unwrap();
        assert!(mark.trim_start().parse::<f64>().is_ok(), "{line}");
        bar.split_once("]\t|").unwrap().0.parse::<u64>().unwrap()
    });
    let last = if text.contains("\nError distribution:\n") {
        "\nError distribution:\n"
    } else {
        "\nStatus code distribution:\n"
    };
    let after = text.split_once(last).unwrap().1.lines();
    Parsed {
        rps: number_after(text, "  Requests/sec:\t"),
        p99: number_after(text, "  99% in "),
        percentiles: text.matches("% in ").count(),
        bars: bars.sum(),
        status: status.collect(),
        errors: section(text, "\nError distribution:").map(|line| bracketed(line).unwrap().0).sum(),
        notes: after
            .skip_while(|line| !line.is_empty())
            .filter(|line| !line.is_empty())
            .map(Into::into)
            .collect(),
    }
}

#[test]
fn scripts_written_for_hey_find_what_they_look_for() {
    for (name, _) in FIXTURES {
        let run = run(name);
        let parsed = parse(&render("hey", &fixture(name)));
        let account = &run.account;
        assert!(parsed.rps >= 0.0 && parsed.p99 >= 0.0, "{name}");
        assert_eq!(parsed.percentiles, 7, "{name}");
        assert_eq!(parsed.bars, account.answered(), "{name}: the bars are the answered requests");
        assert_eq!(parsed.status, run.status.into_iter().collect::<Vec<_>>(), "{name}");
        assert_eq!(parsed.errors, account.failed + account.timeout + account.aborted, "{name}");
        // Tables and examples are indented.
        let lines = parsed.notes.iter().filter(|note| !note.starts_with("  ")).count();
        assert!((1..=8).contains(&lines), "{name}: {:?}", parsed.notes);
        for note in &parsed.notes {
            assert!(bracketed(note).is_none() && !note.starts_with('['), "{name}: {note}");
        }
    }
}

#[test]
fn notes_that_others_wrote_cannot_break_the_block() {
    let mut run = run("good");
    run.notes = (0..20).map(|i| format!("[{i}]\tx\n[200]\t5 responses")).collect();
    let parsed = parse(&render("hey", &Document::Run(Box::new(run))));
    assert_eq!(parsed.notes.len(), 9);
    assert!(parsed.notes.iter().all(|note| !note.starts_with('[')), "{:?}", parsed.notes);
    assert!(
        parsed.notes.contains(&"and 15 more: the markdown format lists them all".to_owned()),
        "{:?}",
        parsed.notes
    );
}

#[test]
fn all_equal_values_are_one_bar() {
    let mut run = run("good");
    run.latencies.answered = of([5_000_000; 30]);
    let text = render("hey", &Document::Run(Box::new(run)));
    let rows: Vec<_> = section(&text, "\nResponse time histogram:").collect();
    assert_eq!(rows.len(), 11);
    assert!(rows[0].starts_with("  0.005 [30]\t|■") && rows[10] == "  0.005 [0]\t|", "{rows:?}");
}

#[test]
fn markdown_keeps_foreign_text_inside_its_cells() {
    let Document::Figures(figures) = reference("1-instance.json") else { panic!("figures") };
    let hostile = Figures { name: "a|b\n# c <b>".into(), ..*figures };
    let text = render("markdown", &Document::Figures(Box::new(hostile)));
    assert!(text.starts_with("### a\\|b # c &lt;b> on "), "{text}");
}
