//! What is sent and what is expected: mixes, curl commands, checks, counts by a header, one exchange shown, warm-ups.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use loadgen::truth::{Answer, Behaviour, End, Truth};
use report::document::Named;

use crate::helper::{Ended, Place, until};

/// Requests by method and target, as a server saw them.
type Seen = Arc<Mutex<BTreeMap<String, u64>>>;

/// A server that counts, and answers 404 below `/missing`.
fn counting() -> (Truth, Seen) {
    let seen = Seen::default();
    let counted = Arc::clone(&seen);
    let truth = Truth::start(move |turn| {
        let line = format!("{} {}", turn.head.method, turn.head.target);
        *counted.lock().unwrap().entry(line).or_default() += 1;
        let backend = if turn.connection % 2 == 0 { "even" } else { "odd" };
        let status = if turn.head.target.starts_with("/missing") { 404 } else { 200 };
        Answer::status(status).body(10).field("X-Backend", backend).into()
    });
    (truth.unwrap(), seen)
}

fn seen(seen: &Seen) -> BTreeMap<String, u64> {
    seen.lock().unwrap().clone()
}

fn counts(pairs: &[(&str, u64)]) -> BTreeMap<String, u64> {
    pairs.iter().map(|(line, count)| ((*line).to_owned(), *count)).collect()
}

fn done(place: &Place, words: &[&str], code: i32) -> Ended {
    let ended = place.run(words);
    assert_eq!(ended.code, code, "{words:?} {ended:?}");
    ended.assert_calm();
    ended
}

#[test]
fn a_mix_is_sent_by_weight_and_counted_by_name() {
    let place = Place::new();
    place.file("body.bin", "from a file");
    place.file(
        "mix.jsonl",
        "# orders, mostly\n{\"url\": \"/orders?id=7\", \"weight\": 6, \"name\": \"orders\"}\n\
         {\"path\": \"/new\", \"method\": \"post\", \"weight\": 3, \"headers\": {\"User-Agent\": \"own\"}, \"body\": \"abc\"}\n\
         {\"url\": \"/file\", \"method\": \"PUT\", \"body_file\": \"body.bin\"}\n/missing/here\n/\n",
    );
    let (truth, counted) = counting();
    let url = truth.url("/");
    let words = [
        "--mix",
        "mix.jsonl",
        "-n",
        "1200",
        "-c",
        "7",
        "--workers",
        "2",
        "-H",
        "X-All: 1",
        "-o",
        "json",
        &url,
    ];
    let run = done(&place, &words, 0).document();
    let expected = [
        ("GET /", 100),
        ("GET /missing/here", 100),
        ("GET /orders?id=7", 600),
        ("POST /new", 300),
        ("PUT /file", 100),
    ];
    assert_eq!(seen(&counted), counts(&expected));
    let findings = truth.finish();
    assert_eq!(findings.counts.malformed, 0);
    for heard in &findings.heard {
        assert!(heard.head.contains("\r\nX-All: 1\r\n"), "{}", heard.head);
        let body: &[u8] = match heard.head.split(' ').next().unwrap() {
            "POST" => b"abc",
            "PUT" => b"from a file",
            _ => b"",
        };
        assert_eq!(heard.body, body);
        assert_eq!(heard.head.contains("\r\nUser-Agent: own\r\n"), heard.head.starts_with("POST"));
    }
    let names: BTreeMap<String, (u64, u64, u64)> = run
        .requests
        .iter()
        .map(|named| (named.name.clone(), (named.sent, named.ok, named.http_error)))
        .collect();
    let expected = [
        ("GET /", (100, 100, 0)),
        ("GET /missing/here", (100, 0, 100)),
        ("POST /new", (300, 300, 0)),
        ("PUT /file", (100, 100, 0)),
        ("orders", (600, 600, 0)),
    ];
    assert_eq!(names, expected.map(|(name, counts)| (name.to_owned(), counts)).into());
    assert_eq!(run.requests.iter().map(|named| named.body_read).sum::<u64>(), run.bytes.body_read);
    assert_eq!(run.requests.iter().map(|named| named.answered.count).sum::<u64>(), 1200);
    assert!(run.config["load.mix"].starts_with("mix.jsonl "), "{:?}", run.config);
}

#[test]
fn a_seed_repeats_the_order_whatever_the_model() {
    let place = Place::new();
    place.file("urls.txt", "/a\n/b\n/c\n/d\n");
    let order = |words: &[&str]| {
        let truth = Truth::start(|_| Answer::ok(1).into()).unwrap();
        let url = truth.url("/");
        let all: Vec<_> = ["--mix", "urls.txt", "-n", "12", "-c", "1"]
            .iter()
            .chain(words)
            .chain([&&*url])
            .copied()
            .collect();
        done(&place, &all, 0);
        let heard = truth.finish().heard;
        heard.iter().map(|heard| heard.head.as_bytes()[5]).collect::<Vec<_>>()
    };
    let closed = order(&["--seed", "5"]);
    assert_eq!(closed.len(), 12);
    assert_eq!(order(&["--seed", "5"]), closed);
    assert_eq!(order(&["--seed", "5", "--rate", "500", "--arrival", "uniform"]), closed);
    assert_ne!(order(&["--seed", "6"]), closed);
    for block in closed.chunks(4) {
        let mut block = block.to_vec();
        block.sort_unstable();
        assert_eq!(block, b"abcd", "each once before any comes again");
    }
}

#[test]
fn a_mix_may_go_to_several_servers_and_needs_no_url_then() {
    let place = Place::new();
    let servers = [counting(), counting(), counting()];
    let urls: String = servers.iter().map(|(truth, _)| truth.url("/x") + "\n").collect();
    place.file("urls.txt", &urls);
    let run = done(&place, &["--mix", "urls.txt", "-n", "300", "-c", "6", "-o", "json"], 0).document();
    for (truth, counted) in servers {
        assert_eq!(seen(&counted), counts(&[("GET /x", 100)]));
        let counts = truth.finish().counts;
        assert!(counts.accepted <= 6 && counts.malformed == 0, "connections are kept: {counts:?}");
    }
    assert_eq!((run.requests.len(), run.account.ok), (3, 300));
}

#[test]
fn tens_of_thousands_of_urls_are_not_told_apart() {
    let place = Place::new();
    let mut text = String::new();
    (0..20_000).for_each(|number| writeln!(text, "/orders/{number}?x={number}").unwrap());
    text.push_str("{\"url\": \"/\", \"name\": \"home\", \"weight\": 20000}\n");
    place.file("urls.txt", &text);
    let (truth, counted) = counting();
    let run = done(&place, &["--mix", "urls.txt", "-n", "2000", "-o", "json", &truth.url("/")], 0).document();
    let counted = seen(&counted);
    assert!(counted.len() > 700, "{}", counted.len());
    assert!(
        counted.iter().all(|(line, count)| line == "GET /" || *count == 1),
        "none twice before all were sent"
    );
    let names: Vec<&str> = run.requests.iter().map(|Named { name, .. }| name.as_str()).collect();
    assert_eq!(names, ["home", "other"]);
    assert!(
        run.notes.iter().any(|note| note.contains("20,000 requests") && note.contains("`other`")),
        "{:?}",
        run.notes
    );
}

#[test]
fn a_failed_check_is_an_error_of_a_good_answer_and_an_example_is_kept() {
    let place = Place::new();
    let truth = Truth::start(|turn| {
        if turn.request % 4 == 3 {
            let raw =
                "HTTP/1.1 200 OK\r\nContent-Length: 8\r\nSet-Cookie: secret\r\nX: 1\r\n\r\nbad\x07\x1b[2J";
            return Behaviour::Raw(raw.into(), End::Open);
        }
        Answer::ok(10).into()
    })
    .unwrap();
    let url = truth.url("/");
    let checks = ["--check", "status in 2xx", "--check", "body contains xx", "--check", "header x missing"];
    let load = |more: &[&str]| {
        let words: Vec<_> =
            ["-n", "40", "-c", "1"].iter().chain(&checks).chain(more).chain([&&*url]).copied().collect();
        done(&place, &words, 1)
    };
    let ended = load(&["-o", "json"]);
    let run = ended.document();
    assert_eq!((run.account.ok, run.account.check_failed, run.account.errors()), (40, 10, 10));
    assert_eq!(run.checks.iter().map(|check| check.failed).collect::<Vec<_>>(), [0, 10, 10]);
    assert_eq!((run.checks[0].examples.len(), run.checks[1].examples.len()), (0, 3));
    let example = &run.checks[1].examples[0];
    assert_eq!((example.reason.as_str(), example.body_bytes), ("the body does not contain it", 8));
    assert_eq!(example.body, "bad\x07\x1b[2J");
    assert!(example.head.contains("Set-Cookie: ***") && !ended.stdout.contains("secret"), "{}", example.head);
    assert!(!run.config["load.headers"].contains("gzip"), "a body is looked at: {:?}", run.config);
    let text = load(&[]).stdout;
    assert!(text.contains("10 of 40 answers failed the check `body contains xx`"), "{text}");
    assert!(text.contains("  | bad\\u{7}\\u{1b}[2J"), "{text}");
    assert!(!text.contains('\x1b') && !text.contains('\x07'), "{text:?}");
    let markdown = load(&["-o", "markdown"]).stdout;
    assert!(markdown.contains("failed the check `header x missing`"), "{markdown}");
}

#[test]
fn an_error_by_status_is_counted_once_and_checks_that_hold_change_nothing() {
    let place = Place::new();
    let truth = Truth::start(|_| Answer::status(404).body(5).into()).unwrap();
    let load = |check: &str, code| {
        done(&place, &["-n", "10", "-c", "2", "--check", check, "-o", "json", &truth.url("/")], code)
            .document()
    };
    let failing = load("status == 200", 1);
    assert_eq!(
        (failing.account.http_error, failing.account.check_failed, failing.account.errors()),
        (10, 0, 10)
    );
    assert_eq!(failing.checks[0].failed, 10);
    assert_eq!(load("status == 404", 0).checks[0].failed, 0);
}

#[test]
fn answers_are_counted_by_a_header() {
    let place = Place::new();
    let (truth, _) = counting();
    let words =
        ["-n", "400", "-c", "4", "--workers", "2", "--count-header", "x-backend", "--disable-keepalive"];
    let load = |format: &str| {
        let words: Vec<_> = words
            .iter()
            .chain(&["-o", format])
            .map(|word| (*word).to_owned())
            .chain([truth.url("/")])
            .collect();
        done(&place, &words.iter().map(String::as_str).collect::<Vec<_>>(), 0)
    };
    let values = load("json").document().header_values.unwrap();
    assert_eq!(values.total(), 400);
    // A connection of its own for each request, and the server calls every second one odd.
    assert_eq!(values.values, BTreeMap::from([("even".to_owned(), 200), ("odd".to_owned(), 200)]));
    let line = "answers by x-backend: even 200 (50%), odd 200 (50%)";
    assert!(load("hey").stdout.contains(line) && load("markdown").stdout.contains(line));
    let none = done(&place, &["-n", "5", "--count-header", "X-None", &truth.url("/")], 0).stdout;
    assert!(none.contains("answers by X-None: (none) 5 (100%)"), "{none}");
}

#[test]
fn one_exchange_is_shown_and_nothing_loaded() {
    let place = Place::new();
    let truth = Truth::start(|turn| match turn.head.target.as_str() {
        "/moved" => Answer::status(302).field("Location", "/there?x=1").into(),
        _ => Answer::ok(5000).field("X-Odd", "a\tb").into(),
    })
    .unwrap();
    let url = truth.url("/moved").replace("http://", "http://me:password@");
    let ended = done(&place, &["--debug", &url, "-d", "hello\x1b", "-m", "POST", "--check", "status 2xx"], 0);
    let text = &ended.stdout;
    for sign in [
        "* engine http1\n",
        "* POST http://me:***@127.0.0.1:",
        &format!("* connected to {}\n", truth.address()),
        "> POST /moved HTTP/1.1\n",
        "> Authorization: ***\n",
        "> hello\\u{1b}\n",
        "< HTTP/1.1 302 Said\n",
        "* redirected to http://me:***@127.0.0.1:",
        "> GET /there?x=1 HTTP/1.1\n",
        "< HTTP/1.1 200 Said\n< Content-Length: 5000\n< X-Odd: a\\tb\n",
        "* ... (5,000 bytes in all)\n",
        "first byte after ",
        "* check `status 2xx` holds\n",
    ] {
        assert!(text.contains(sign), "`{sign}` is not in\n{text}");
    }
    assert!(!text.contains("password") && !text.contains("bWU6cGFzc3dvcmQ="), "{text}");
    assert!(text.contains(&format!("\n< {}\n", "x".repeat(4096))), "{text}");
    done(&place, &["--debug", &truth.url("/"), "--check", "status 404"], 1);
    assert_eq!(truth.finish().counts.requests, 3);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ended = done(&place, &["--debug", &format!("http://{nobody}/")], 3);
    assert!(ended.stdout.contains("* failed (connect-refused)"), "{ended:?}");
}

#[test]
fn one_exchange_ends_as_the_run_would_end() {
    let truth = Truth::start(|_| Answer::status(302).field("Location", "/again").into()).unwrap();
    let ended = done(&Place::new(), &["--debug", &truth.url("/")], 3);
    assert!(ended.stdout.contains("* failed (redirect): stopped after 10 redirects"), "{ended:?}");
    let taken = done(&Place::new(), &["--debug", "-disable-redirects", &truth.url("/")], 0);
    assert!(taken.stdout.contains("< HTTP/1.1 302 "), "{taken:?}");
}

#[test]
fn a_warm_up_is_counted_apart() {
    let place = Place::new();
    let (truth, counted) = counting();
    let words = ["--warmup", "200ms", "-n", "50", "-c", "2", "-q", "100", "-o", "json", &truth.url("/")];
    let run = done(&place, &words, 0).document();
    let warmup = run.warmup.unwrap();
    assert!(warmup.sent > 0 && warmup.sent == warmup.ok, "{warmup:?}");
    assert_eq!((run.account.sent, run.account.ok, run.latencies.answered.count), (50, 50, 50));
    assert_eq!(seen(&counted)["GET /"], 50 + warmup.sent);
    assert_eq!((run.connections.opened, run.connections.reused), (2, 50), "connections stay");
    assert_eq!(run.config["load.warmup"], "200ms");
    let words =
        ["--warmup", "600ms", "-z", "100ms", "-c", "4", "--workers", "1", "-o", "json", &truth.url("/")];
    let run = done(&place, &words, 0).document();
    let used = run.workers[0].cpu_ns.unwrap();
    assert!(
        used < run.window.wall_ns + 50_000_000,
        "CPU time of the warm-up is its own: {used} {:?}",
        run.window
    );
    assert!((100_000_000..500_000_000).contains(&run.window.wall_ns), "{:?}", run.window);
    let text = done(&place, &["--warmup", "100ms", "-n", "5", &truth.url("/")], 0).stdout;
    assert!(text.contains(" in 100 ms before, "), "{text}");
}

#[test]
fn an_interrupted_warm_up_says_how_long_it_was() {
    let (place, truth) = (Place::new(), Truth::start(|_| Answer::ok(10).into()).unwrap());
    let running = place.start(&["--warmup", "60s", "-z", "1s", "-c", "2", "-o", "json", &truth.url("/")]);
    until("answers", || (truth.counts().answers > 0).then_some(()));
    running.signal(rustix::process::Signal::INT);
    let run = running.wait().document();
    let warmup = run.warmup.unwrap();
    assert!(warmup.sent > 0 && warmup.lasted_ns.is_some_and(|lasted| lasted < 30_000_000_000), "{warmup:?}");
    assert_eq!(run.account.sent, 0);
    let used = run.workers.iter().filter_map(|worker| worker.cpu_ns).sum::<u64>();
    assert_eq!((used, run.generator.unwrap().watched_ns), (0, 0), "nothing of it is the run's");
}

#[test]
fn rows_of_a_warm_up_are_expected_in_the_database() {
    let place = Place::new();
    place.file(
        "warm.toml",
        "[load]\nwarmup = \"300ms\"\nduration = \"300ms\"\nconnections = 4\ncheck = [\"status == 200\"]\n",
    );
    let ended = done(&place, &["run", "warm.toml", "--results", "results", "--machine", "here"], 0);
    let run = place.document();
    let (warmup, verification) = (run.warmup.unwrap(), run.verification.unwrap());
    assert!(warmup.sent > 0 && verification.holds(), "{ended:?}");
    assert_eq!(
        (verification.acknowledged, verification.sent),
        (run.account.ok + warmup.ok, run.account.sent + warmup.sent)
    );
    assert!(verification.rows > run.account.sent);
}

#[test]
fn a_curl_command_is_sent_as_curl_would() {
    let place = Place::new();
    let truth = Truth::start(|_| Answer::ok(1).into()).unwrap();
    let command = format!(
        "curl '{}' \\\n  -X PUT -H 'X-A: it'\\''s' -b 'a=1; b=2' --data-raw $'x=\\u00fc\\n' -u me:secret -sS",
        truth.url("/orders?id=7")
    );
    done(&place, &["-n", "1", "--curl", &command, "-H", "X-B: typed"], 0);
    done(&place, &["-n", "1", "--curl", &format!("curl {}", truth.url("/bare")), "-m", "OPTIONS"], 0);
    let heard = truth.finish().heard;
    let [first, second] = &heard[..] else { panic!("{heard:?}") };
    let lines = |head: &str| {
        let fields = head.split("\r\n").filter(|line| !line.is_empty() && !line.starts_with("Host: "));
        fields.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        lines(&first.head),
        [
            "PUT /orders?id=7 HTTP/1.1",
            "User-Agent: loadgen/0.1.0",
            "Content-Type: application/x-www-form-urlencoded",
            "Authorization: Basic bWU6c2VjcmV0",
            "Accept: */*",
            "X-A: it's",
            "Cookie: a=1; b=2",
            "X-B: typed",
            "Content-Length: 5",
        ]
    );
    assert_eq!(first.body, "x=ü\n".as_bytes());
    assert_eq!(lines(&second.head), ["OPTIONS /bare HTTP/1.1", "User-Agent: loadgen/0.1.0", "Accept: */*"]);
}
