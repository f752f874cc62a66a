//! `loadgen import`: what another tool printed stands in the same table.

use report::document::Document;

use crate::helper::Place;

fn printed(name: &str) -> String {
    let path = format!("{}/../report/tests/fixtures/imports/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_report_becomes_a_row() {
    let place = Place::with("hey.txt", &printed("hey.txt"));
    let words = ["import", "hey.txt", "--name", "front", "--machine", "web-1", "--cpus", "4"];
    let more =
        ["--source", "a blog, 2024", "--config", "load.connections=20", "--config", "target.instances=2"];
    let imported = place.run(&[&words[..], &more].concat());
    assert_eq!((imported.code, imported.stderr.as_str()), (0, ""), "{imported:?}");
    place.file("hey.json", &imported.stdout);
    let document = report::store::open(&place.folder.path().join("hey.json")).unwrap();
    let Document::Figures(figures) = document else { panic!("{document:?}") };
    assert_eq!((figures.name.as_str(), figures.machine.cpus), ("front", Some(4)));
    assert_eq!(figures.config["load.connections"], "20");
    let compared = place.run(&["compare", "hey.json", "--metrics", "rps,p50"]);
    assert!(compared.code == 0 && compared.stdout.contains("5,695.6"), "{compared:?}");
    assert!(compared.stdout.contains("a blog, 2024, with hey"), "{compared:?}");
}

/// Whose it is, the text says: each tool's report becomes a row of its own.
#[test]
fn reports_of_many_tools_stand_side_by_side() {
    let place = Place::new();
    let k6 = r#"{"metrics":{"http_reqs":{"count":90,"rate":9.5},"http_req_duration":{"avg":4.5,"med":4}}}"#;
    let vegeta = "Requests [total, rate] 9, 9.10\nDuration [total] 1s\nLatencies [50] 7.5ms\nStatus Codes [code:count] 200:9\n";
    let mut names = Vec::new();
    for (tool, printed, p50) in [
        ("hey", printed("hey.txt"), Some(0.0027)),
        ("ab", printed("ab.txt"), Some(0.002)),
        ("wrk", printed("wrk.txt"), Some(0.00221)),
        ("h2load", printed("h2load.txt"), None),
        ("k6", k6.to_owned(), Some(0.004)),
        ("vegeta", vegeta.to_owned(), Some(0.0075)),
    ] {
        place.file("printed", &printed);
        let imported = place.run(&["import", "printed", "--name", tool]);
        assert_eq!((imported.code, imported.stderr.as_str()), (0, ""), "{imported:?}");
        let name = format!("{tool}.json");
        place.file(&name, &imported.stdout);
        let document = report::store::open(&place.folder.path().join(&name)).unwrap();
        let Document::Figures(figures) = document else { panic!("{document:?}") };
        assert_eq!(
            (figures.tool.as_str(), figures.percentiles_s.get("50").copied()),
            (tool, p50),
            "{figures:?}"
        );
        names.push(name);
    }
    let words: Vec<&str> = ["compare"].into_iter().chain(names.iter().map(String::as_str)).collect();
    let compared = place.run(&words);
    assert_eq!(compared.code, 0, "{compared:?}");
    for tool in ["hey", "ab", "wrk", "h2load", "k6", "vegeta"] {
        assert!(compared.stdout.contains(&format!("the output of {tool}")), "{tool}: {}", compared.stdout);
    }
}

/// These tools count from when a request was sent: nobody can make response times of what they printed.
#[test]
fn a_schedule_that_is_told_makes_no_response_times() {
    let vegeta = "Requests [total, rate] 9000, 900.10\nDuration [total] 10s\nLatencies [50, 99] 7.5ms, 9ms\n\
                  Status Codes [code:count] 200:9000\n";
    let place = Place::with("vegeta.txt", vegeta);
    for schedule in ["load.rate=900", "load.stages=900:10s"] {
        let refused = place.run(&["import", "vegeta.txt", "--config", schedule]);
        refused.assert_calm();
        assert!(refused.code == 2 && refused.stdout.is_empty(), "{refused:?}");
        let told = refused.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.contains("count from when one was sent"), "{refused:?}");
    }
    let words = ["import", "vegeta.txt", "--config", "tool.rate=900", "--config", "load.connections=5"];
    let imported = place.run(&words);
    assert_eq!((imported.code, imported.stderr.as_str()), (0, ""), "{imported:?}");
    place.file("vegeta.json", &imported.stdout);
    let shown = place.run(&["report", "vegeta.json", "-o", "markdown"]);
    assert!(shown.stdout.contains("latency p99") && !shown.stdout.contains("response time"), "{shown:?}");
    let help = place.run(&["import", "--help"]).stdout;
    assert!(!help.contains("load.rate="), "no example is refused: {help}");
}

#[test]
fn what_is_no_report_is_refused() {
    let place = Place::with("text", "nothing of interest");
    place.file("bytes", "\u{0}");
    std::fs::write(place.folder.path().join("latin"), [0xe4, 0xf6]).unwrap();
    for (file, word) in [
        ("text", "is not the output of hey"),
        ("latin", "UTF-8"),
        ("missing", "there is no such file"),
        ("-", "stdin"),
    ] {
        let refused = place.run(&["import", file]);
        refused.assert_calm();
        assert!(refused.code == 2 && refused.stdout.is_empty(), "{refused:?}");
        assert!(refused.stderr.contains(word) && refused.stderr.lines().count() == 1, "{refused:?}");
    }
}
