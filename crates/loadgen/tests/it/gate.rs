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
    ] {
        let ended = gate(&place, candidate, &["--fail-on", word]);
        assert_eq!(ended.code, code, "{candidate} {word}: {ended:?}");
        assert_eq!(ended.stderr.contains("loadgen: gate: "), code != 0, "{ended:?}");
    }
    assert_eq!(gate(&place, "slow", &[]).code, 0, "without --fail-on nothing is held");
    let ended =
        gate(&place, "slow", &["--fail-on", "regressed", "--junit", "out/gate.xml", "-o", "markdown"]);
    let xml = std::fs::read_to_string(place.folder.path().join("out/gate.xml")).unwrap();
    assert!(xml.contains("<failure message=\"x0.8"), "{xml}");
    assert!(ended.stdout.contains("| regressed |"), "{ended:?}");
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
