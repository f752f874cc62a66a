//! `loadgen compare --fail-on`: what a continuous integration sees.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::helper::{Ended, Place};

/// Files `prefix-0.json` to `prefix-4.json`: runs that took so many seconds for what they answered.
fn runs(place: &Place, prefix: &str, seconds: f64, change: impl Fn(&mut Value)) {
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../report/tests/fixtures/good.json");
    let text = std::fs::read_to_string(fixture).unwrap();
    std::fs::create_dir_all(place.folder.path().join(prefix)).unwrap();
    for (number, factor) in [1.0, 1.003, 0.997, 1.002, 0.998].into_iter().enumerate() {
        let mut run: Value = serde_json::from_str(&text).unwrap();
        run["id"] = json!(format!("{prefix}-{number}"));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive duration")]
        let measured_ns = (seconds * factor * 1e9) as u64;
        run["window"]["measured_ns"] = json!(measured_ns);
        change(&mut run);
        place.file(&format!("{prefix}/{number}.json"), &run.to_string());
    }
}

fn gate(place: &Place, candidate: &str, further: &[&str]) -> Ended {
    let words = ["compare", "--baseline", "base", "--candidate", candidate, "--metrics", "rps"];
    let ended = place.run(&words.iter().chain(further).copied().collect::<Vec<_>>());
    ended.assert_calm();
    ended
}

#[test]
fn the_exit_code_is_the_gate() {
    let place = Place::new();
    runs(&place, "base", 10.0, |_| {});
    runs(&place, "slow", 12.0, |_| {});
    runs(&place, "slightly", 10.2, |_| {});
    runs(&place, "fast", 9.0, |_| {});
    runs(&place, "elsewhere", 9.0, |run| run["machine"]["fingerprint"] = json!("ffff"));
    runs(&place, "other", 9.0, |run| run["name"] = json!("other"));
    for (candidate, word, code) in [
        ("slow", "regressed", 1),
        ("slightly", "regressed", 0),
        ("slightly", "worse", 1),
        ("fast", "inconclusive", 0),
        ("elsewhere", "regressed", 4),
        ("other", "regressed", 4),
        ("base", "regressed", 4),
    ] {
        let ended = gate(&place, candidate, &["--fail-on", word]);
        assert_eq!(ended.code, code, "{candidate} {word}: {ended:?}");
        assert_eq!(ended.stderr.contains("loadgen: gate: "), code != 0, "{ended:?}");
    }
    let same = gate(&place, "base", &["--fail-on", "regressed"]).stderr;
    assert!(same.contains("the candidate is the baseline: 5 documents on both sides"), "{same}");
    assert_eq!(gate(&place, "slow", &[]).code, 0, "without --fail-on nothing is held");
    let ended =
        gate(&place, "slow", &["--fail-on", "regressed", "--junit", "out/gate.xml", "-o", "markdown"]);
    let xml = std::fs::read_to_string(place.folder.path().join("out/gate.xml")).unwrap();
    assert!(xml.contains("<failure message=\"x0.8"), "{xml}");
    assert!(ended.stdout.contains("| regressed |"), "{ended:?}");
    for (path, word) in [("out/gate.md", ""), ("out/gate.xml", "need a file each")] {
        let files = ["--fail-on", "regressed", "--junit", "out/gate.xml", "--markdown", path];
        let ended = gate(&place, "slow", &files);
        assert_eq!(
            (ended.code, ended.stderr.contains(word)),
            (if word.is_empty() { 1 } else { 2 }, true),
            "{ended:?}"
        );
    }
    let markdown = std::fs::read_to_string(place.folder.path().join("out/gate.md")).unwrap();
    assert!(
        markdown.starts_with("### loadgen compare: the gate is closed by 1 of 2 comparisons\n"),
        "{markdown}"
    );
    let no_gate = place.run(&["compare", "base", "--markdown", "out/gate.md"]);
    assert!(no_gate.code == 2 && no_gate.stderr.contains("--fail-on"), "{no_gate:?}");
    let elsewhere = place.run(&["compare", "base", "--metrics", "cost", "--price", "nowhere=4"]);
    assert!(elsewhere.code == 2 && elsewhere.stderr.contains("there are test-2cpu-4gb"), "{elsewhere:?}");
    let priced = place.run(&["compare", "base", "--metrics", "cost", "--price", "test-2cpu-4gb=2.63"]);
    assert!(priced.code == 0 && priced.stdout.contains("2.63 a month"), "{priced:?}");
    runs(&place, "tagged", 12.0, |run| run["tags"] = json!({"version": "1.3"}));
    for (label, code) in [("version=1.3", 0), ("version=1.4", 2), ("nowhere", 2)] {
        let words = ["compare", "base", "tagged", "--baseline", label, "--metrics", "rps", "-o", "json"];
        let ended = place.run(&words);
        assert_eq!(ended.code, code, "{ended:?}");
        assert_eq!(ended.stdout.contains("\"improved\""), code == 0, "{ended:?}");
        assert_eq!(ended.stderr.contains("no such file, and no run of that machine"), code == 2, "{ended:?}");
    }
    runs(&place, "moved", 12.0, |run| run["machine"]["label"] = json!("laptop"));
    let labelled =
        place.run(&["compare", "base", "moved", "--baseline", "laptop", "--metrics", "rps", "-o", "json"]);
    let json: Value = serde_json::from_str(&labelled.stdout).unwrap_or_else(|e| panic!("{e}: {labelled:?}"));
    assert_eq!(json["notes"], json!([]), "no run stands on both sides");
    let row = |row: &Value| (row["machine"].as_str().map(str::to_owned), row["baseline"] == true);
    let rows: BTreeSet<_> = json["rows"].as_array().unwrap().iter().map(row).collect();
    let expected = [("laptop", true), ("test-2cpu-4gb", false)];
    assert_eq!(rows, expected.map(|(machine, is_base)| (Some(machine.to_owned()), is_base)).into());
    let lone = place.run(&["compare", "base", "--fail-on", "regressed"]);
    assert!(lone.code == 2 && lone.stderr.contains("--baseline"), "{lone:?}");
}

#[test]
fn what_is_no_document_is_counted_in_folders_and_refused_by_name() {
    let place = Place::new();
    runs(&place, "base", 10.0, |_| {});
    place.file("base/package.json", "{\"name\": \"x\"}");
    let table = place.run(&["compare", "base", "-o", "json"]);
    assert_eq!((table.code, table.stderr.as_str()), (0, "skipped 1 other JSON file\n"), "{table:?}");
    // What compare wrote itself is another file beside the documents.
    place.file("base/table.json", &table.stdout);
    let again = place.run(&["compare", "base", "-o", "json"]);
    assert_eq!((again.code, again.stderr.as_str()), (0, "skipped 2 other JSON files\n"), "{again:?}");
    assert_eq!(again.stdout, table.stdout);
    place.file("later.json", "{\"schema\": \"loadgen.run/99\"}");
    for (words, said) in [
        (&["compare", "base", "base/package.json"][..], "base/package.json: has no `schema`"),
        (
            &["compare", "base", "--baseline", "base/table.json"],
            "is a `loadgen.comparison/1`, and this loadgen reads",
        ),
        (&["compare", "base", "--baseline", "later.json"], "this loadgen reads up to `loadgen.run/1`"),
        (&["compare", "base", "--baseline", "./missing.json"], "missing.json: cannot be read"),
        (&["merge", "base/0.json", "later.json"], "this loadgen reads up to `loadgen.run/1`"),
        (&["merge", "base/0.json", "base/package.json"], "has no `schema`"),
        (&["import", "base/0.json"], "is a document of loadgen already"),
    ] {
        let refused = place.run(words);
        refused.assert_calm();
        assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{words:?} {refused:?}");
        assert!(refused.stderr.contains(said), "{words:?} {refused:?}");
    }
    place.file("base/later.json", "{\"schema\": \"loadgen.run/99\"}");
    let later = place.run(&["compare", "base"]);
    assert!(later.code == 2 && later.stderr.contains("base/later.json: is a `loadgen.run/99`"), "{later:?}");
}
