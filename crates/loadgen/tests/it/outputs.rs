//! What is written while a run goes on: hey's CSV, every request as a row, the interval log.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogHistogram, IntervalLogIterator, LogEntry};
use loadgen::truth::{Answer, Behaviour, End, Truth};
use report::histogram::Distribution;
use rustix::process::Signal;

use crate::helper::{Place, now};

const HEY: &str =
    "response-time,DNS+dialup,DNS,Request-write,Response-delay,Response-read,status-code,offset";

fn quick() -> Truth {
    Truth::start(|_| Answer::ok(10).into()).unwrap()
}

/// The rows of hey's CSV as numbers, its header checked.
fn hey_rows(text: &str) -> Vec<[f64; 8]> {
    let rows = text.strip_prefix(HEY).and_then(|rest| rest.strip_prefix('\n'));
    let rows = rows.unwrap_or_else(|| panic!("not hey's header: {text}"));
    assert!(rows.is_empty() || rows.ends_with('\n'), "the last row is cut: {rows}");
    let row = |line: &str| {
        let fields: Vec<_> = line.split(',').collect();
        for (place, field) in fields.iter().enumerate().filter(|(place, _)| *place != 6) {
            let decimals = field.split_once('.').map(|(_, decimals)| decimals.len());
            assert_eq!(decimals, Some(4), "field {place} of {line}");
        }
        let numbers: Vec<f64> = fields.iter().map(|field| field.parse().unwrap()).collect();
        numbers.try_into().unwrap()
    };
    rows.lines().map(row).collect()
}

/// A raw log's rows by the names of their columns.
fn raw_rows(text: &str) -> Vec<BTreeMap<&str, &str>> {
    let mut lines = text.lines();
    let names: Vec<_> = lines.next().unwrap().split(',').collect();
    lines
        .map(|line| {
            let fields: Vec<_> = line.split(',').collect();
            assert_eq!(fields.len(), names.len(), "{line}");
            names.iter().copied().zip(fields).collect()
        })
        .collect()
}

fn number(row: &BTreeMap<&str, &str>, name: &str) -> u64 {
    row[name].parse().unwrap_or_else(|_| panic!("{name} of {row:?}"))
}

fn read(place: &Place, name: &str) -> String {
    std::fs::read_to_string(place.folder.path().join(name)).unwrap()
}

#[test]
fn csv_is_heys_and_nothing_else_is_on_stdout() {
    let place = Place::new();
    let truth = Truth::start(|turn| match turn.request % 5 {
        4 => Behaviour::End(End::Reset),
        3 => Answer::status(503).body(4).into(),
        _ => Answer::ok(10).into(),
    })
    .unwrap();
    let ended = place.run(&["-n", "400", "-c", "8", "--workers", "2", "-o", "csv", &truth.url("/")]);
    assert_eq!(ended.code, 0, "{ended:?}");
    ended.assert_calm();
    let rows = hey_rows(&ended.stdout);
    let counts = truth.finish().counts;
    assert_eq!(rows.len() as u64, counts.answers, "answered requests only");
    assert!(rows.len() < 400 && rows.iter().any(|row| (row[6] - 503.0).abs() < 0.5), "{counts:?}");
    // In the order of their ends, but for the rounding of two fields.
    assert!(rows.windows(2).all(|pair| pair[0][0] + pair[0][7] <= pair[1][0] + pair[1][7] + 0.000_21));
    for [total, dial, dns, write, delay, read, _, offset] in rows {
        assert!(dns <= dial && dial <= total + 0.000_1 && offset >= 0.0);
        assert!(write + delay + read <= total + 0.000_3, "{write} {delay} {read} {total}");
    }
    for sign in ["requests/sec", "answered", "closed a kept-alive connection", "connections opened"] {
        assert!(ended.stderr.contains(sign), "`{sign}` is not in: {}", ended.stderr);
    }
}

#[test]
fn csv_comes_while_the_run_goes_on_and_a_signal_loses_no_row() {
    let place = Place::new();
    let truth = Truth::start(|_| Answer::ok(10).after(Duration::from_millis(2)).into()).unwrap();
    let mut running = place.start(&["-z", "60s", "-c", "4", "-o", "csv", &truth.url("/")]);
    running.until("rows", |running| (running.stdout().lines().count() > 100).then_some(()));
    running.signal(Signal::INT);
    let ended = running.wait();
    assert_eq!(ended.code, 130, "{ended:?}");
    assert_eq!(hey_rows(&ended.stdout).len() as u64, truth.finish().counts.answers);
    assert!(ended.stderr.contains("interrupted by SIGINT"), "{}", ended.stderr);
}

#[test]
fn a_reader_of_rows_that_has_gone_ends_the_run() {
    let place = Place::new();
    for words in [&["-o", "csv"][..], &["--raw", "-"]] {
        let truth = quick();
        let url = truth.url("/");
        let words: Vec<_> =
            ["-z", "60s", "-c", "2"].iter().chain(words).copied().chain([url.as_str()]).collect();
        let before = now();
        let mut child = place.command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_exact(&mut [0; 5000]).unwrap();
        drop(stdout);
        let output = child.wait_with_output().unwrap();
        assert!(before.elapsed() < Duration::from_secs(20), "it went on for {:?}", before.elapsed());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        assert!(stderr.contains("its rows could not be written any more"), "{stderr}");
        for sign in ["panicked", "os error", "not whole"] {
            assert!(!stderr.contains(sign), "{stderr}");
        }
    }
}

#[test]
fn a_full_disk_is_said_and_the_report_comes_all_the_same() {
    let place = Place::new();
    for flag in ["--raw", "--hlog"] {
        let truth = quick();
        let ended = place.run(&["-n", "3000", "-c", "2", flag, "/dev/full", &truth.url("/")]);
        assert_eq!(ended.code, 4, "{flag} {ended:?}");
        ended.assert_hey();
        assert!(ended.stdout.contains("\n  [200]\t3000 responses\n"), "{flag} {}", ended.stdout);
        for text in [&ended.stdout, &ended.stderr] {
            assert!(text.contains("/dev/full cannot be written: No space left"), "{flag} {ended:?}");
        }
    }
    let truth = quick();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let url = truth.url("/");
    let mut command = place.command(&["-z", "60s", "-c", "2", "-o", "csv", &url]);
    let output = command.stdout(full).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{stderr}");
    assert_eq!(stderr.matches("stdout cannot be written: No space left").count(), 1, "{stderr}");
}

#[test]
fn raw_has_a_row_for_every_request_however_it_ended() {
    let place = Place::new();
    // Each connection begins at another place of this circle, and ends where it is not answered.
    let truth = Truth::start(|turn| match (turn.connection * 7 + turn.request) % 12 {
        11 => Behaviour::Silence,
        10 => Behaviour::End(End::Reset),
        9 => Answer::status(404).body(4).into(),
        _ => Answer::ok(10).into(),
    })
    .unwrap();
    let url = truth.url("/");
    let words = ["-z", "1200ms", "-t", "300ms", "-c", "6", "--drain", "0s", "--workers", "2"];
    let words: Vec<_> = words.iter().copied().chain(["--raw", "raw.csv", "-o", "json", &url]).collect();
    let ended = place.run(&words);
    assert_eq!(ended.code, 0, "{ended:?}");
    let run = ended.document();
    let text = read(&place, "raw.csv");
    let rows = raw_rows(&text);
    let count =
        |wanted: &dyn Fn(&BTreeMap<&str, &str>) -> bool| rows.iter().filter(|row| wanted(row)).count() as u64;
    let account = &run.account;
    assert_eq!(rows.len() as u64, account.sent);
    assert_eq!(count(&|row| row["status"] == "200"), account.ok);
    assert_eq!(count(&|row| row["status"] == "404"), account.http_error);
    for (kind, record) in &run.failures {
        assert_eq!(count(&|row| row["failure"] == kind.name()), record.count, "{kind}");
    }
    assert_eq!(count(&|row| row["failure"] == "timeout"), account.timeout);
    assert_eq!(count(&|row| row["failure"] == "aborted"), account.aborted);
    assert!(
        account.ok > 0 && account.http_error > 0 && account.failed > 0 && account.timeout > 0,
        "{account:?}"
    );
    assert_eq!(count(&|row| row["status"].is_empty() == row["failure"].is_empty()), 0);
    let sum = |name: &str| rows.iter().map(|row| number(row, name)).sum::<u64>();
    assert_eq!((sum("written_bytes"), sum("body_bytes")), (run.bytes.written, run.bytes.body_read));
    assert_eq!((sum("head_bytes"), sum("reused")), (run.bytes.head_read, run.connections.reused));
    assert!(rows.windows(2).all(|pair| number(&pair[0], "end_ns") <= number(&pair[1], "end_ns")));
    // To the nanosecond: the sums are those of the document.
    let answered: Vec<_> = rows.iter().filter(|row| !row["status"].is_empty()).collect();
    let known =
        |name: &str| answered.iter().filter_map(|row| row[name].parse::<u64>().ok()).collect::<Vec<_>>();
    for (name, distribution) in [
        ("total_ns", &run.latencies.answered),
        ("connect_ns", &run.latencies.connect),
        ("write_ns", &run.latencies.write),
        ("wait_ns", &run.latencies.wait),
        ("read_ns", &run.latencies.read),
    ] {
        let known = known(name);
        let sums = (known.len() as u64, known.iter().sum::<u64>());
        assert_eq!(sums, (distribution.count, distribution.sum_ns), "{name}");
    }
    let places: std::collections::BTreeSet<_> = rows.iter().map(|row| (row["worker"], row["slot"])).collect();
    assert_eq!(places.len(), 6, "{places:?}");
}

#[test]
fn raw_begins_where_the_latency_begins() {
    let place = Place::new();
    let truth = quick();
    let words = ["--rate", "300", "-z", "1s", "-c", "3", "--raw", "-", &truth.url("/")];
    let ended = place.run(&words);
    assert_eq!(ended.code, 0, "{ended:?}");
    let rows = raw_rows(&ended.stdout);
    assert_eq!(rows.len(), 300, "nothing else is on stdout");
    for row in rows {
        let [begin, start, end, total] =
            ["begin_ns", "start_ns", "end_ns", "total_ns"].map(|name| number(&row, name));
        assert!(begin <= start && start <= end && total == end - begin, "{row:?}");
    }
    assert!(ended.stderr.contains("300 answered"), "{}", ended.stderr);
}

type Buckets = hdrhistogram::Histogram<u64>;

fn buckets(base64: &str) -> Buckets {
    assert!(base64.starts_with("HISTFA"), "{base64}");
    let bytes = base64::engine::general_purpose::STANDARD.decode(base64).unwrap();
    Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap()
}

/// The lines of an interval log, as its library reads them: tag, start, length, buckets.
fn logged(text: &str) -> Vec<(String, Duration, Duration, Buckets)> {
    let entries = IntervalLogIterator::new(text.as_bytes()).map(Result::unwrap);
    let intervals = entries.filter_map(|entry| match entry {
        LogEntry::Interval(interval) => Some(interval),
        _ => None,
    });
    let line = |interval: IntervalLogHistogram<'_>| {
        let tag = interval.tag().unwrap().as_str().to_owned();
        (tag, interval.start_timestamp(), interval.duration(), buckets(interval.encoded_histogram()))
    };
    intervals.map(line).collect()
}

/// Everything of one tag, and of some distributions of the document, must be the same buckets.
fn assert_same(text: &str, tag: &str, distributions: &[&Distribution]) {
    let empty = || Buckets::new_with_bounds(1, 3_600_000_000_000, 3).unwrap();
    let (mut of_log, mut of_document) = (empty(), empty());
    for (_, _, _, buckets) in logged(text).iter().filter(|line| line.0 == tag) {
        of_log.add(buckets).unwrap();
    }
    for distribution in distributions.iter().filter(|distribution| distribution.count > 0) {
        of_document.add(buckets(&distribution.histogram)).unwrap();
    }
    assert_eq!(of_log, of_document, "{tag}");
}

#[test]
fn the_interval_log_adds_up_to_the_document_bucket_for_bucket() {
    let place = Place::new();
    let truth = Truth::start(|turn| match turn.request % 50 {
        49 => Behaviour::Silence,
        _ => Answer::ok(10).after(Duration::from_millis(3)).into(),
    })
    .unwrap();
    let url = truth.url("/");
    let words =
        ["-z", "2300ms", "-t", "200ms", "-c", "6", "--workers", "2", "--hlog", "log.hlog", "-o", "json"];
    let run = place.run(&[&words[..], &[&url]].concat()).document();
    let text = read(&place, "log.hlog");
    assert!(run.account.timeout > 0, "{:?}", run.account);
    assert_same(&text, "response", &[&run.latencies.answered, &run.latencies.censored]);
    assert_same(&text, "service", &[&run.latencies.service]);
    assert!(!text.contains("Tag=lag"), "the closed model has none");
    let starts: Vec<_> =
        logged(&text).iter().filter(|line| line.0 == "response").map(|line| line.1.as_secs()).collect();
    assert_eq!(starts, (0..starts.len() as u64).collect::<Vec<_>>());
    let (_, start, length, _) = logged(&text).pop().unwrap();
    let end = (start + length).as_secs_f64();
    let wall = run.window.wall_ns as f64 / 1e9;
    assert!((end - wall).abs() < 0.002, "the last second ends with the run: {end} {wall}");

    // Rates that cannot be met: what was never sent is in both, too.
    let truth = Truth::start(|_| Answer::ok(10).after(Duration::from_millis(20)).into()).unwrap();
    let url = truth.url("/");
    let words = ["--rate", "500", "-z", "1s", "-c", "2", "--drain", "0s", "--hlog", "log.hlog", "-o", "json"];
    let run = place.run(&[&words[..], &[&url]].concat()).document();
    assert!(run.account.unsent > 0, "{:?}", run.account);
    let text = read(&place, "log.hlog");
    assert_same(&text, "response", &[&run.latencies.answered, &run.latencies.censored]);
    assert_same(&text, "queue", &[&run.latencies.queue]);
    assert_same(&text, "lag", &[&run.latencies.lag]);
    assert!(text.contains("\n#[StartTime: ") && text.contains("\n#[BaseTime: "), "{text}");
}

#[test]
fn a_scenario_records_its_one_run() {
    let place = Place::new();
    place.file("test.toml", "[load]\nrequests = 40\nconnections = 2\n");
    let words = ["run", "test.toml", "-o", "csv", "--raw", "raw.csv", "--hlog", "log.hlog", "--tag", "a=1"];
    let ended = place.run(&words);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(hey_rows(&ended.stdout).len(), 40);
    assert_eq!(raw_rows(&read(&place, "raw.csv")).len(), 40);
    let run = place.document();
    assert_eq!((run.account.ok, run.tags["a"].as_str()), (40, "1"));
    assert_same(&read(&place, "log.hlog"), "service", &[&run.latencies.service]);
    assert!(ended.stderr.contains("wrote results/"), "{}", ended.stderr);
}

#[test]
fn names_tags_and_percentiles_are_of_the_document_and_change_no_plan() {
    let place = Place::new();
    let truth = quick();
    let url = truth.url("/");
    let words =
        ["-n", "1500", "-c", "4", "--name", "nightly.2", "--tag", "b=x y", "--tag", "a=1", "--tag", "a=2"];
    let named = place.run(&[&words[..], &["-o", "json", "--percentiles", "50,99.9,99", &url]].concat());
    let value: serde_json::Value = serde_json::from_str(&named.stdout).unwrap();
    let percentiles = &value["summary"]["latency"]["percentiles_ns"];
    let names: Vec<_> = percentiles.as_object().unwrap().keys().collect();
    assert_eq!(names, ["p50", "p99"], "99.9 has too few samples");
    let run = named.document();
    assert_eq!(run.name, "nightly.2");
    assert_eq!(
        run.tags,
        BTreeMap::from([("a".to_owned(), "2".to_owned()), ("b".to_owned(), "x y".to_owned())])
    );
    let plain = place.run(&["-n", "1500", "-c", "4", "-o", "json", &url]).document();
    assert_eq!((plain.plan_key, plain.name.as_str()), (run.plan_key, "load"));

    place.file("kept.json", &named.stdout);
    let shown = place.run(&["report", "kept.json", "--percentiles", "p90,99.1,99.99"]);
    shown.assert_hey();
    let asked = shown.stdout.lines().find(|line| line.starts_with("asked for: p99.1 ")).unwrap();
    assert!(asked.ends_with(", p99.99 needs 100,000 samples"), "{asked}");
    assert!(shown.stdout.contains("\ntags: a=2, b=x y\n"), "{}", shown.stdout);
    let markdown =
        place.run(&["report", "-o", "markdown", "kept.json", "--percentiles", "99.1,99.99"]).stdout;
    assert!(markdown.contains("| latency p99.1 ") && !markdown.contains("| latency p50 "), "{markdown}");
    assert!(markdown.contains("- tags: a=2, b=x y\n"), "{markdown}");
}

#[test]
fn a_document_may_come_from_another_command() {
    let place = Place::new();
    let truth = quick();
    let made = place.run(&["-n", "20", "-c", "2", "-o", "json", &truth.url("/")]);
    assert_eq!(made.code, 0, "{made:?}");
    place.file("kept.json", &made.stdout);
    for (command, sign) in
        [("report", "[200]\t20 responses"), ("compare", "load"), ("merge", "nothing to merge")]
    {
        let script = format!("cat kept.json | \"$0\" {command} /dev/stdin 2>&1");
        let mut shell = Command::new("sh");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_loadgen")]).current_dir(&place.folder);
        let said = String::from_utf8(shell.output().unwrap().stdout).unwrap();
        assert!(said.contains(sign), "{command}: {said}");
    }
}
