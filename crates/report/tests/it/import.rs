//! What other tools printed (`tests/fixtures/imports`: real outputs), read for what it says and no more.

use report::compare::{Comparison, Metric};
use report::document::{Document, Figures};
use report::format::{self, Style, View};
use report::import::{self, ImportError};
use report::summary::{Model, Summary};
use report::{store, warning};

use crate::import_documented::OHA;
use crate::sample::fixture;

pub(crate) fn text(name: &str) -> String {
    let path = format!("{}/tests/fixtures/imports/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

fn read(name: &str) -> Figures {
    let figures = import::read(&text(name)).unwrap();
    let document = Document::Figures(Box::new(figures.clone()));
    let again = store::parse("again".as_ref(), &store::to_json(&document)).unwrap();
    assert_eq!(again, document, "{name} survives its file");
    assert!(!Comparison::of(vec![document]).text(report::table::Page::default()).contains("NaN"), "{name}");
    figures
}

pub(crate) fn percentiles(figures: &Figures) -> Vec<(&str, f64)> {
    let mut rows: Vec<(&str, f64)> =
        figures.percentiles_s.iter().map(|(name, at)| (name.as_str(), *at)).collect();
    rows.sort_by(|left, right| left.0.parse::<f64>().unwrap().total_cmp(&right.0.parse().unwrap()));
    rows
}

#[test]
fn hey() {
    let figures = read("hey.txt");
    assert_eq!((figures.tool.as_str(), figures.rps, figures.total_s), ("hey", Some(5695.6355), Some(0.0702)));
    assert_eq!((figures.status.get(&200), figures.timeouts), (Some(&400), Some(0)));
    assert_eq!(
        (figures.slowest_s, figures.fastest_s, figures.average_s),
        (Some(0.0071), Some(0.0021), Some(0.003))
    );
    let rows = [("10", 0.0023), ("25", 0.0024), ("50", 0.0027), ("75", 0.0031), ("90", 0.0041)];
    assert_eq!(percentiles(&figures)[..5], rows);
    assert!(figures.config.is_empty(), "it does not say how many connections: {:?}", figures.config);
    let doubled = text("hey.txt").replace("% in ", "%% in ");
    assert_eq!(import::read(&doubled), Ok(figures), "as some versions print it");
}

#[test]
fn hey_with_errors() {
    let figures = read("hey-errors.txt");
    assert_eq!(figures.status.iter().collect::<Vec<_>>(), [(&200, &180), (&503, &10)]);
    assert_eq!((figures.timeouts, figures.fastest_s), (Some(10), None), "0.0000 is below what it prints");
    assert!(figures.notes.iter().any(|note| note.contains("leave out requests that failed")));
    let summary = Summary::of(&Document::Figures(Box::new(figures)));
    assert_eq!((summary.sent, summary.errors), (Some(200), Some(20)));
    let refused = read("hey-refused.txt");
    assert_eq!((refused.average_s, refused.slowest_s, refused.timeouts), (None, None, Some(0)));
    assert!(refused.percentiles_s.is_empty() && refused.status.is_empty());
}

#[test]
fn what_go_calls_a_timeout_is_one() {
    let of = |message: &str| {
        let printed = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
        let errors = text("hey-errors.txt").replace("/silence/", "/timeout/").replace(printed, message);
        import::read(&errors).unwrap().timeouts
    };
    for message in [
        "context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
        "net/http: request canceled (Client.Timeout exceeded while awaiting headers)",
        "dial tcp 10.0.0.2:80: i/o timeout",
    ] {
        assert_eq!(of(message), Some(10), "{message}");
    }
    assert_eq!(of("connection reset by peer"), Some(0), "whatever its address is called");
}

#[test]
fn what_is_cut_off_of_an_error_is_no_timeout_and_none_that_was_not() {
    let errors = text("hey-errors.txt").replace("/silence/", "/timeout/");
    for at in ["/share/0.1", "dline exceeded"] {
        let part = errors.split(at).next().unwrap();
        assert_eq!(import::read(part).unwrap().timeouts, None, "{at}");
    }
}

#[test]
fn clients_of_threads_that_are_not_there_are_not_left_out_of_a_sum() {
    let thread = |number| format!("spawning thread #{number}: 5 total client(s). 200 total requests\n");
    let of = |threads: &str| {
        let printed = text("h2load.txt");
        let rest = printed.split_once("400 total requests\n").unwrap().1;
        import::read(&(threads.to_owned() + rest)).unwrap().config.get("load.connections").cloned()
    };
    assert_eq!(of(&(thread(0) + &thread(1))), Some("10".into()));
    assert_eq!(of(&thread(1)), None);
}

#[test]
fn of_what_hey_kept_no_more_nobody_knows_whether_it_was_answered() {
    let of = |kept: u64, errors: &str| {
        // 1,500,000 requests in 300 s.
        let printed = format!(
            "Summary:\n  Total:\t300.0000 secs\n  Slowest:\t0.1000 secs\n  Requests/sec:\t5000.0000\n\n\
             Status code distribution:\n  [200]\t{kept} responses\n{errors}"
        );
        let figures = import::read(&printed).unwrap();
        let is_told = figures.notes.iter().any(|note| note.contains("nobody knows how many failed"));
        assert_eq!(figures.timeouts, (kept < 1_000_000).then_some(0));
        let summary = Summary::of(&Document::Figures(Box::new(figures)));
        (summary.answered, summary.errors, summary.latency.count, is_told)
    };
    assert_eq!(of(1_000_000, ""), (None, None, Some(1_000_000), true));
    let errors = "\nError distribution:\n  [500010]\tEOF\n";
    assert_eq!(of(999_990, errors), (Some(999_990), Some(500_010), Some(999_990), false));
}

#[test]
fn ab() {
    let figures = read("ab.txt");
    assert_eq!((figures.tool.as_str(), figures.rps, figures.total_s), ("ab", Some(4347.97), Some(0.092)));
    assert_eq!(figures.config["load.connections"], "10");
    assert_eq!(figures.config["load.url"], "http://127.0.0.1:44587/bytes/500/delay/2ms");
    assert_eq!(
        (figures.slowest_s, figures.fastest_s, figures.average_s),
        (Some(0.003), Some(0.002), Some(0.002))
    );
    assert_eq!(percentiles(&figures)[..2], [("50", 0.002), ("66", 0.002)]);
    assert_eq!(percentiles(&figures).len(), 8, "100% is no percentile");
    assert!(figures.status.is_empty(), "it says no status codes");
    assert!(!figures.notes.iter().any(|note| note.contains("no -k")), "{:?}", figures.notes);
    let errors = read("ab-errors.txt");
    assert!(errors.notes.iter().any(|note| note.contains("35 with a status that is not 2xx")), "{errors:?}");
    assert!(errors.notes.iter().any(|note| note.contains("no -k")), "{errors:?}");
    assert_eq!(errors.fastest_s, None, "0 ms is below what it prints");
}

#[test]
fn wrk() {
    let figures = read("wrk.txt");
    assert_eq!((figures.tool.as_str(), figures.rps, figures.total_s), ("wrk", Some(4409.44), Some(1.0)));
    assert_eq!(
        (figures.config["load.connections"].as_str(), figures.config["load.duration"].as_str()),
        ("10", "1s")
    );
    let near = |left: Option<f64>, right: f64| (left.unwrap() - right).abs() < 1e-12;
    assert!(near(figures.average_s, 0.002_25) && near(figures.slowest_s, 0.005_34), "{figures:?}");
    let rows = percentiles(&figures);
    assert_eq!(rows.iter().map(|row| row.0).collect::<Vec<_>>(), ["50", "75", "90", "99"]);
    assert!(near(Some(rows[3].1), 0.002_63));
    assert_eq!(figures.timeouts, None, "that it printed none does not say that there were none");
    let errors = read("wrk-errors.txt");
    assert!(errors.percentiles_s.is_empty() && near(errors.average_s, 118.20e-6), "{errors:?}");
    assert!(
        errors.notes[1].contains("1269 requests in 2.00s") && errors.notes[1].contains(": 124;"),
        "{errors:?}"
    );
    let lost = text("wrk-errors.txt")
        .replace("  Non-2xx", "  Socket errors: connect 0, read 3, write 0, timeout 17\n  Non-2xx");
    assert_eq!(import::read(&lost).unwrap().timeouts, Some(17));
    let minute = import::read(&text("wrk.txt").replace("in 1.00s", "in 1.20m")).unwrap();
    assert_eq!(minute.total_s, Some(72.0), "it prints minutes");
}

#[test]
fn h2load() {
    let near = |left: Option<f64>, right: f64| (left.unwrap() - right).abs() < 1e-12;
    let figures = read("h2load.txt");
    assert_eq!((figures.tool.as_str(), figures.rps), ("h2load", Some(2193.36)));
    assert!(near(figures.total_s, 0.182_37) && near(figures.fastest_s, 0.002_06), "{figures:?}");
    assert!(near(figures.slowest_s, 0.077_12) && near(figures.average_s, 0.0028), "{figures:?}");
    assert!(figures.percentiles_s.is_empty(), "this version prints none");
    assert_eq!((figures.config["load.connections"].as_str(), figures.timeouts), ("10", Some(0)));
    assert!(figures.notes.iter().any(|note| note.contains("400 2xx, 0 3xx")), "{:?}", figures.notes);
    let errors = read("h2load-errors.txt");
    assert!(
        errors.notes[1].contains("126 done, 114 succeeded") && errors.notes[1].contains("12 5xx"),
        "{errors:?}"
    );
    assert_eq!((read("h2load-timed.txt").rps, errors.average_s), (Some(2570.5), Some(0.000_294)));
    // Later versions, by their source: other columns, and a shorter name.
    let times = "time for request:     2.06ms     77.12ms      2.80ms      3.92ms    97.25%";
    let titles = "min         max         mean         sd        +/- sd";
    let printed = text("h2load.txt");
    assert!(printed.contains(times) && printed.contains(titles), "{printed}");
    let later = printed
        .replace(titles, "min         max         median      p95         p99         mean        sd         +/- sd")
        .replace(times, "request     :     2.06ms     77.12ms      2.50ms     3.10ms      41.20ms      2.80ms      3.92ms    97.25%")
        .replace("spawning thread #0: 10 total client(s)", "spawning thread #0: 5 total client(s)\nspawning thread #1: 5 total client(s)");
    let later = import::read(&later).unwrap();
    assert_eq!(percentiles(&later), [("50", 0.0025), ("95", 0.0031), ("99", 0.0412)]);
    assert!(near(later.average_s, 0.0028) && later.config == figures.config, "{later:?}");
}

#[test]
fn our_own_report_in_heys_format_comes_back() {
    for name in ["good", "timeouts", "refused", "interrupted", "rate", "mix"] {
        let document = fixture(name);
        let summary = Summary::of(&document);
        let warnings = warning::of(&document, &summary);
        let view = View {
            document: &document,
            summary: &summary,
            warnings: &warnings,
            percentiles: &[],
            style: Style::default(),
        };
        let figures = import::read(&(format::ALL[0].render)(&view)).unwrap();
        let Document::Run(run) = &document else { unreachable!() };
        assert_eq!(figures.tool, "loadgen", "{name}");
        assert_eq!(figures.status, run.status, "{name}");
        assert_eq!(figures.timeouts, Some(run.account.timeout), "{name}");
        let rate = figures.config.get("load.rate").map(String::as_str);
        assert_eq!(rate, (name == "rate").then_some("2000"), "{name}: it says from where latencies count");
        let shown = Summary::of(&Document::Figures(Box::new(figures.clone())));
        assert_eq!(shown.model, (name == "rate").then_some(Model::Open), "{name}");
        let (rate, own) = (shown.rate().unwrap(), summary.rate().unwrap());
        assert!((rate - own).abs() < 1e-3, "{name}: {rate} {own}");
        let p50 = Metric::DEFAULT[1].percentile().unwrap();
        if let (Some(left), Some(right)) = (shown.latency.at(p50), summary.latency.at(p50)) {
            assert!(left.value_ns.abs_diff(right.value_ns) <= 50_000, "{name}: {left:?} {right:?}");
        }
    }
}

#[test]
fn what_is_none_of_these_is_refused_with_a_sentence() {
    let cut = |name: &str, at: &str| text(name).split(at).next().unwrap().to_owned();
    for (what, text, word) in [
        ("nothing", String::new(), "is not the output"),
        ("prose", "Requests were made.".into(), "is not the output"),
        ("other JSON", "{\"a\": 1}".into(), "is not the output"),
        ("half of oha's", OHA[..300].into(), "cut off"),
        ("our document", store::to_json(&fixture("good")), "document of loadgen already"),
        (
            "oha's text",
            "Summary:\n  Success rate:\t1\nResponse time distribution:\n".into(),
            "--output-format json",
        ),
        ("hey's CSV", "response-time,DNS+dialup,DNS,Request-write\n".into(), "hey's CSV"),
        ("wrk2", text("wrk.txt") + "  Thread calibration: mean lat.: 1ms\n", "wrk2"),
        ("half of hey's", cut("hey.txt", "Status code"), "`Status code distribution:`"),
        ("less of hey's", cut("hey.txt", "  Requests/sec"), "is not the output"),
        ("half of ab's", cut("ab.txt", "Complete"), "`Requests per second:`"),
        ("half of h2load's", cut("h2load.txt", "time for request"), "`time for request:`"),
        ("less of h2load's", cut("h2load.txt", "finished"), "is not the output"),
        ("h2load's cut off in a unit", cut("h2load.txt", "s      2.80ms"), "`time for request:`"),
        (
            "h2load's with a unit that it never prints",
            text("h2load.txt").replace("77.12ms", "77.12m"),
            "`time for request:`",
        ),
        (
            "h2load's with such a length",
            text("h2load.txt").replace("182.37ms", "182.37m"),
            "`finished in T, N req/s`",
        ),
        ("half of wrk's", cut("wrk.txt", "Requests/sec"), "`Requests/sec:`"),
        ("wrk's with half a rate", cut("wrk.txt", "09.44"), "`Transfer/sec:`"),
        ("ab's with half a rate", cut("ab.txt", ".97 [#/sec]"), "`Requests per second:`"),
        ("ab's without its last row", cut("ab.txt", " 100%"), "(longest request)"),
        ("hey's with a number that is none", text("hey.txt").replace("5695.6355", "NaN"), "`Requests/sec:`"),
    ] {
        let error: ImportError = import::read(&text).unwrap_err();
        assert!(error.to_string().contains(word), "{what}: {error}");
    }
}

/// As it stands in articles, which leave out the end.
#[test]
fn heys_report_without_its_errors_says_that_they_are_missing() {
    let whole = text("hey-errors.txt");
    let without_errors = whole.split("Error distribution:").next().unwrap().to_owned();
    let without_a_status = whole.replace("  [200]\t180 responses\n", "");
    assert!(!import::read(&whole).unwrap().notes.iter().any(|note| note.contains("is missing here")));
    for part in [without_errors, without_a_status] {
        let figures = import::read(&part).unwrap();
        assert_eq!(figures.timeouts, None, "nobody knows");
        assert!(
            figures.notes.iter().any(|note| note.contains("a part of them is missing here")),
            "{figures:?}"
        );
    }
}
