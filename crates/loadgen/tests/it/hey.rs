//! The command line of hey, word for word.

use loadgen::truth::{Answer, Findings, Truth};
use report::document::{Document, FailureKind, RUN_SCHEMA};

use crate::helper::{Ended, Place, failures, run_of, until};

/// Loads a server that answers everything. `URL` among the words stands for its address.
fn load(place: &Place, words: &[&str]) -> (Ended, Findings) {
    let truth = Truth::start(|_| Answer::ok(10).into()).unwrap();
    let url = truth.url("/path?q=1");
    let words: Vec<_> = words.iter().map(|word| if *word == "URL" { url.as_str() } else { word }).collect();
    let ended = place.run(&words);
    assert_eq!(ended.code, 0, "{words:?} {ended:?}");
    ended.assert_calm();
    let findings = truth.finish();
    assert_eq!((findings.counts.malformed, findings.counts.answers), (0, findings.counts.requests));
    (ended, findings)
}

/// The one request that these words send: its head without the first two lines, and its body.
fn sent(place: &Place, words: &[&str]) -> (String, Vec<String>, String) {
    let all: Vec<_> = ["-n", "1"].iter().chain(words).chain(&["URL"]).copied().collect();
    let (_, Findings { heard, .. }) = load(place, &all);
    assert_eq!(heard.len(), 1);
    let mut lines = heard[0].head.strip_suffix("\r\n\r\n").unwrap().split("\r\n").map(str::to_owned);
    let first = lines.next().unwrap();
    let fields = lines.filter(|line| !line.starts_with("Host: 127.0.0.1:")).collect();
    (first, fields, String::from_utf8(heard[0].body.clone()).unwrap())
}

#[test]
fn flags_stand_before_and_after_the_url_with_one_dash_or_two() {
    let place = Place::new();
    let lines: [&[&str]; 9] = [
        &["-n", "6", "-c", "2", "URL"],
        &["URL", "-n", "6", "-c", "2"],
        &["-n", "6", "URL", "-c", "2"],
        &["--n", "6", "--c", "2", "URL"],
        &["-n=6", "-c=2", "URL"],
        &["--n=6", "--c=2", "URL"],
        &["-n6", "-c2", "URL"],
        &["-requests", "6", "-connections=2", "URL"],
        &["--requests", "6", "--connections", "2", "URL"],
    ];
    for line in lines {
        let (ended, Findings { counts, .. }) = load(&place, line);
        assert_eq!(counts.requests, 6, "{line:?}");
        assert!(counts.accepted <= 2, "{line:?}");
        ended.assert_hey();
        assert!(ended.stdout.contains("\n  [200]\t6 responses\n"), "{}", ended.stdout);
    }
}

#[test]
fn exactly_the_number_is_sent() {
    let place = Place::new();
    let (_, Findings { counts, .. }) = load(&place, &["-n", "10", "-c", "3", "URL"]);
    assert_eq!((counts.requests, counts.answers), (10, 10));
    assert!(counts.accepted <= 3);
    let (ended, Findings { counts, .. }) = load(&place, &["-n", "3", "-c", "50", "URL"]);
    assert_eq!(counts.requests, 3);
    assert!(counts.accepted <= 3);
    assert!(ended.stderr.contains("3 requests use 3 connections, not 50"), "{}", ended.stderr);
    let (_, Findings { counts, .. }) = load(&place, &["URL"]);
    assert_eq!(counts.requests, 200, "hey's default");
    assert!(counts.accepted <= 50);
}

#[test]
fn the_default_request_on_the_wire() {
    let place = Place::new();
    let truth = Truth::start(|_| Answer::ok(0).into()).unwrap();
    assert_eq!(place.run(&["-n", "1", &truth.url("/a%20b?q=%C3%A4&r#top")]).code, 0);
    let head = format!(
        "GET /a%20b?q=%C3%A4&r HTTP/1.1\r\nHost: {}\r\nUser-Agent: loadgen/{}\r\nContent-Type: text/html\r\n\
         Accept-Encoding: gzip\r\n\r\n",
        truth.address(),
        env!("CARGO_PKG_VERSION"),
    );
    assert_eq!(truth.finish().heard[0].head, head);
}

#[test]
fn flags_shape_the_request() {
    let place = Place::new();
    place.file("body.txt", "from\na file");
    let (first, fields, body) = sent(&place, &["-m", "put", "-d", "text", "-T", "text/plain", "-A", "a/b"]);
    assert_eq!((first.as_str(), body.as_str()), ("PUT /path?q=1 HTTP/1.1", "text"));
    assert!(fields.contains(&"Content-Type: text/plain".to_owned()), "{fields:?}");
    assert!(fields.contains(&"Accept: a/b".to_owned()), "{fields:?}");
    assert!(fields.contains(&"Content-Length: 4".to_owned()), "{fields:?}");

    let words = ["-m", "POST", "-D", "body.txt", "-H", "X-One: 1", "-H", "x-one: 2", "-H", "Host: other"];
    let (first, fields, body) = sent(&place, &words);
    assert_eq!((first.as_str(), body.as_str()), ("POST /path?q=1 HTTP/1.1", "from\na file"));
    let mine: Vec<_> = fields.iter().filter(|field| field.to_lowercase().contains("one")).collect();
    assert_eq!(mine.len(), 1, "of one name the last counts: {fields:?}");
    assert!(mine[0].ends_with(": 2"), "{fields:?}");
    assert_eq!(
        fields.iter().filter(|field| field.starts_with("Host: ")).collect::<Vec<_>>(),
        ["Host: other"]
    );

    let (_, fields, body) = sent(&place, &["-d", "-dash", "-H", "User-Agent: me"]);
    assert_eq!(body, "-dash");
    assert!(fields.contains(&"User-Agent: me".to_owned()), "{fields:?}");
    assert!(sent(&place, &["-m", "HEAD"]).0.starts_with("HEAD "));
}

#[test]
fn the_words_of_hey_shape_the_request_with_one_dash() {
    let place = Place::new();
    let words =
        ["-disable-compression", "-host", "other.example", "-U", "me/1", "-a", "user:secret", "-cpus", "1"];
    let (_, fields, _) = sent(&place, &words);
    let expected = ["Host: other.example", "User-Agent: me/1", "Authorization: Basic dXNlcjpzZWNyZXQ="];
    assert!(expected.iter().all(|field| fields.contains(&(*field).to_owned())), "{fields:?}");
    assert!(!fields.iter().any(|field| field.starts_with("Accept-Encoding")), "{fields:?}");

    let (_, Findings { counts, heard, .. }) =
        load(&place, &["-disable-keepalive", "-n", "9", "-c", "3", "URL"]);
    assert_eq!((counts.requests, counts.accepted), (9, 9), "each request has a connection of its own");
    assert!(heard[0].head.contains("\r\nConnection: close\r\n"), "{heard:?}");
}

#[test]
fn redirects_are_followed_to_the_server_they_name_and_no_other() {
    for engine in ["http1", "reqwest"] {
        let place = Place::new();
        let there = Truth::start(|_| Answer::ok(7).into()).unwrap();
        let location = there.url("/there");
        let here = Truth::start(move |turn| match turn.head.target.as_str() {
            "/around" => Answer::status(302).field("Location", "/around").body(3).into(),
            "/on" => Answer::status(307).field("Location", "here").body(3).into(),
            "/here" => Answer::ok(5).into(),
            _ => Answer::status(301).field("Location", &location).body(3).into(),
        })
        .unwrap();
        let run = |path: &str, more: &[&str]| {
            let url = here.url(path);
            let words = ["--engine", engine, "-n", "6", "-c", "2", "-o", "json", url.as_str()];
            place.run(&[&words, more].concat())
        };
        let away = run("/away", &[]).document();
        assert_eq!((away.account.ok, away.redirects, there.counts().requests), (6, 6, 6), "{engine}");
        assert_eq!((away.connections.opened, away.bytes.body_read), (4, 6 * (3 + 7)), "{engine}");
        assert!(away.latencies.service.sum_ns > away.latencies.wait.sum_ns, "{engine}: both requests count");

        let on = run("/on", &["-m", "POST", "-d", "body"]).document();
        assert_eq!((on.account.ok, on.redirects), (6, 6), "{engine}");

        let around = run("/around", &[]);
        assert_eq!(around.code, 3, "not one answer: {around:?}");
        let around = around.document();
        assert_eq!((around.account.failed, failures(&around, FailureKind::Redirect)), (6, 6), "{engine}");

        let taken = run("/away", &["-disable-redirects"]).document();
        assert_eq!((taken.status[&301], taken.redirects), (6, 0), "{engine}");
        assert_eq!(there.finish().counts.requests, 6, "{engine}");
        let repeated =
            here.finish().heard.iter().filter(|heard| heard.head.starts_with("POST /here ")).count();
        assert!(repeated >= 1, "307 repeats the method");
    }
}

#[test]
fn a_rate_sends_what_its_schedule_says_over_connections_that_are_there() {
    let place = Place::new();
    for arrival in ["poisson", "uniform", "burst:7"] {
        let words = ["--rate", "300", "-z", "1s", "-c", "5", "--arrival", arrival, "-o", "json", "URL"];
        let (ended, Findings { counts, .. }) = load(&place, &words);
        assert_eq!((counts.requests, counts.accepted), (300, 5), "{arrival}");
        let run = ended.document();
        assert_eq!((run.account.scheduled, run.account.ok), (300, 300));
        assert_eq!(
            (run.config["load.model"].as_str(), run.config["load.arrival"].as_str()),
            ("open", arrival)
        );
        assert_eq!(run.latencies.queue.count, 300);
        // From the due time on, so never less than what the request itself took.
        assert!(run.latencies.answered.sum_ns >= run.latencies.service.sum_ns);
    }
    let (ended, _) = load(&place, &["--stages", "300ms@100,300ms@200", "URL"]);
    assert!(ended.stdout.contains("\n  [200]\t90 responses\n"), "{}", ended.stdout);
    assert!(
        ended.stdout.contains("\nopen model, 300ms@100,300ms@200 poisson: latencies count from"),
        "{}",
        ended.stdout
    );
}

#[test]
fn a_paced_connection_sends_no_faster() {
    let place = Place::new();
    let (_, Findings { counts, .. }) = load(&place, &["-q", "20", "-c", "2", "-z", "500ms", "URL"]);
    // The first after one tick of 50 ms, none at the end; a machine that stalls may lose some.
    assert!((10..=18).contains(&counts.requests), "{counts:?}");
}

#[test]
fn credentials_of_the_url_are_sent_and_not_stored() {
    let place = Place::new();
    let truth = Truth::start(|_| Answer::ok(0).into()).unwrap();
    let url = format!("http://user:secret@{}/", truth.address());
    let ended = place.run(&["-n", "1", "-o", "json", "-H", "Cookie: crumb", &url]);
    assert!(!ended.stdout.contains("secret") && !ended.stdout.contains("crumb"), "{}", ended.stdout);
    assert!(!ended.stdout.contains("dXNlcjpzZWNyZXQ="), "{}", ended.stdout);
    let heard = truth.finish().heard;
    assert!(heard[0].head.contains("Authorization: Basic dXNlcjpzZWNyZXQ=\r\n"), "{heard:?}");
}

/// What scripts that were written for hey take out of a report.
#[derive(Debug, PartialEq)]
struct Parsed {
    rate: f64,
    percentiles: Vec<(u32, f64)>,
    status: Vec<(u16, u64)>,
    errors: Vec<(u64, String)>,
}

/// Reads hey's block line by line as hey 0.1.4 prints it, and fails at the first line that hey would not have printed.
fn parse(text: &str) -> Parsed {
    let mut lines = text.split('\n').peekable();
    assert_eq!([lines.next(), lines.next()], [Some(""), Some("Summary:")], "{text}");
    let mut seconds = |name: &str| {
        let line = lines.next().unwrap();
        let value = line.strip_prefix(&format!("  {name}:\t")).unwrap_or_else(|| panic!("{name}: {line:?}"));
        four_decimals(value.strip_suffix(" secs").unwrap_or(value))
    };
    let [total, slowest, fastest, average, rate] =
        ["Total", "Slowest", "Fastest", "Average", "Requests/sec"].map(&mut seconds);
    assert!(fastest <= average && average <= slowest && slowest <= total + 0.000_1, "{text}");
    assert_eq!(lines.next(), Some("  "));
    assert!(lines.next().is_some_and(|line| line.starts_with("  Total data:\t") && line.ends_with(" bytes")));
    assert!(
        lines.next().is_some_and(|line| line.starts_with("  Size/request:\t") && line.ends_with(" bytes"))
    );
    assert_eq!([lines.next(), lines.next()], [Some(""), Some("Response time histogram:")]);
    for line in lines.by_ref().take(11) {
        let (mark, rest) = line.strip_prefix("  ").unwrap().split_once(" [").unwrap();
        let (count, bar) = rest.split_once("]\t|").unwrap();
        assert_eq!(mark.split_once('.').unwrap().1.len(), 3, "{line}");
        assert!(count.parse::<u64>().is_ok() && bar.chars().all(|c| c == '■'), "{line}");
    }
    let heading = [lines.next(), lines.next(), lines.next()];
    assert_eq!(heading, [Some(""), Some(""), Some("Latency distribution:")]);
    let percentile = |line: &str| {
        let (percent, value) = line.strip_prefix("  ").unwrap().split_once("% in ").unwrap();
        (percent.parse().unwrap(), four_decimals(value.strip_suffix(" secs").unwrap()))
    };
    let percentiles = lines.by_ref().take(7).map(percentile).collect();
    assert_eq!([lines.next(), lines.next()], [Some(""), Some("Details (average, fastest, slowest):")]);
    for name in ["DNS+dialup", "DNS-lookup", "req write", "resp wait", "resp read"] {
        let line = lines.next().unwrap();
        let values = line.strip_prefix(&format!("  {name}:\t")).unwrap_or_else(|| panic!("{name}: {line:?}"));
        let values: Vec<_> = values.split(", ").collect();
        assert_eq!(values.len(), 3, "{line}");
        assert!(
            values.iter().all(|value| four_decimals(value.strip_suffix(" secs").unwrap()) >= 0.0),
            "{line}"
        );
    }
    assert_eq!([lines.next(), lines.next()], [Some(""), Some("Status code distribution:")]);
    let row = |line: &str| {
        let (key, rest) = line.strip_prefix("  [")?.split_once("]\t")?;
        Some((key.to_owned(), rest.to_owned()))
    };
    let mut status = Vec::new();
    while let Some((code, rest)) = lines.peek().and_then(|line| row(line)) {
        lines.next();
        status.push((code.parse().unwrap(), rest.strip_suffix(" responses").unwrap().parse().unwrap()));
    }
    assert_eq!(lines.next(), Some(""));
    let mut errors = Vec::new();
    if lines.peek() == Some(&"Error distribution:") {
        lines.next();
        while let Some((count, text)) = lines.peek().and_then(|line| row(line)) {
            lines.next();
            errors.push((count.parse().unwrap(), text));
        }
        assert_eq!(lines.next(), Some(""));
    } else {
        assert_eq!([lines.next(), lines.next()], [Some(""); 2]);
    }
    // What follows is ours, and looks like none of the rows that scripts look for.
    for line in lines {
        // A long line goes on four spaces to the right; hey's rows have two.
        let is_indented = line.starts_with("  ") && !line.starts_with("    ");
        let is_row = is_indented || line.contains("% in ") || line.contains("]\t") || line.contains(":\t");
        assert!(!is_row, "{line:?}");
    }
    Parsed { rate, percentiles, status, errors }
}

fn four_decimals(text: &str) -> f64 {
    assert_eq!(text.split_once('.').map(|(_, decimals)| decimals.len()), Some(4), "{text}");
    text.parse().unwrap()
}

#[test]
fn a_parser_of_heys_report_reads_ours() {
    let place = Place::new();
    for (number, connections) in [("200", "10"), ("5", "5")] {
        let truth = Truth::start(|turn| match turn.connection {
            0 => loadgen::truth::Behaviour::Raw(b"no HTTP\r\n\r\n".to_vec(), loadgen::truth::End::Close),
            1 => Answer::status(503).body(4).into(),
            _ => Answer::ok(10).into(),
        })
        .unwrap();
        let words =
            ["-n", number, "-c", connections, "--percentiles", "99.9", "--tag", "a=b", &truth.url("/")];
        let ended = place.run(&words);
        assert_eq!(ended.code, 0, "{ended:?}");
        let parsed = parse(&ended.stdout);
        assert!(parsed.rate > 0.0);
        let names: Vec<_> = parsed.percentiles.iter().map(|percentile| percentile.0).collect();
        assert_eq!(names, [10, 25, 50, 75, 90, 95, 99], "always all seven, however few the samples");
        assert!(parsed.percentiles.is_sorted_by(|a, b| a.1 <= b.1), "{parsed:?}");
        let total: u64 = number.parse().unwrap();
        let [(200, good), (503, bad)] = parsed.status[..] else { panic!("{parsed:?}") };
        let [(failed, text)] = &parsed.errors[..] else { panic!("{parsed:?}") };
        assert_eq!((good + bad + failed, *failed), (total, 1), "{parsed:?}");
        assert!(text.starts_with("protocol: "), "{text}");
    }
}

#[test]
fn json_is_a_document() {
    let place = Place::new();
    let (ended, Findings { counts, .. }) = load(&place, &["-n", "20", "-c", "2", "-o", "json", "URL"]);
    let value: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(value["schema"], RUN_SCHEMA);
    let run = ended.document();
    assert_eq!((run.account.sent, run.account.ok, run.name.as_str()), (20, 20, "load"));
    assert_eq!(run.bytes.body_read, counts.body_written);
    assert_eq!(run.bytes.head_read, counts.head_written);
    assert_eq!(run.bytes.written, counts.read);
    assert_eq!(run.config["load.engine"], "http1", "plain HTTP runs the own engine");
    place.file("kept.json", &ended.stdout);
    let shown = place.run(&["report", "kept.json"]);
    assert_eq!(shown.code, 0, "{shown:?}");
    shown.assert_hey();
    assert!(shown.stdout.contains("\n  [200]\t20 responses\n"), "{}", shown.stdout);
    let again = place.run(&["report", "-o", "json", "kept.json"]);
    assert_eq!(again.stdout, ended.stdout, "the same document renders to the same bytes");
    let document = report::store::open(&place.folder.path().join("kept.json")).unwrap();
    assert_eq!(run_of(document), run);
    let copy = report::store::to_json(&Document::Run(Box::new(run)));
    place.file("copy.json", &copy);
    assert!(place.run(&["compare", "copy.json"]).stdout.contains("load"));
}

#[test]
fn a_reader_that_has_gone_is_no_error() {
    use std::process::Stdio;
    let place = Place::new();
    let truth = Truth::start(|_| Answer::ok(10).into()).unwrap();
    let url = truth.url("/");
    let (json, _) = load(&place, &["-n", "5", "-o", "json", "URL"]);
    place.file("kept.json", &json.stdout);
    let lines: [&[&str]; 6] = [
        &["-n", "5", &url],
        &["-n", "5", "-o", "json", &url],
        &["plan", &url],
        &["report", "kept.json"],
        &["compare", "kept.json"],
        &["--help"],
    ];
    for line in lines {
        let mut child = place.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), stderr.contains("panic")), (Some(0), false), "{line:?} {stderr}");
    }
}

#[test]
fn memory_does_not_grow_with_the_answers() {
    let place = Place::new();
    // The last answer comes late, so that there is a process to look at.
    let peak = |bytes: u64| {
        let truth = Truth::start(move |turn| {
            let answer = Answer::ok(bytes);
            let wait = std::time::Duration::from_millis(if turn.request == 4 { 500 } else { 0 });
            answer.after(wait).into()
        });
        let truth = truth.unwrap();
        let mut running = place.start(&["-n", "5", "-c", "1", &truth.url("/")]);
        until("four answers", || (truth.counts().answers >= 4).then_some(()));
        let kib = running.until("its memory", |running| {
            let status = std::fs::read_to_string(format!("/proc/{}/status", running.pid())).ok()?;
            let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
            line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok()
        });
        assert_eq!(running.wait().code, 0);
        kib
    };
    let (small, large) = (peak(10), peak(20_000_000));
    assert!(large < small + 4096, "{small} KiB for small answers, {large} KiB for 20 MB");
}
