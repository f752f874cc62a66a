//! `last`: the documents of plain runs, kept without anybody asking, and never in the way.

use std::fs;

use loadgen::truth::{Answer, Truth};

use crate::helper::{Ended, Place};

/// A run of so many requests.
fn load(place: &Place, requests: &str, further: &[&str]) -> Ended {
    let truth = Truth::start(|_| Answer::ok(10).into()).unwrap();
    let url = truth.url("/");
    let words: Vec<&str> = ["-n", requests, "-c", "1", &url].iter().chain(further).copied().collect();
    let ended = place.run(&words);
    assert_eq!(ended.code, 0, "{ended:?}");
    ended.assert_calm();
    ended
}

fn names(place: &Place) -> Vec<String> {
    let entries = fs::read_dir(place.history()).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn the_newest_runs_are_there_by_name() {
    let place = Place::new();
    let first = load(&place, "3", &[]);
    let second = load(&place, "5", &["-o", "json"]);
    assert_eq!(place.names(), Vec::<String>::new(), "nothing in the current folder");
    assert_eq!(place.run(&["report", "last", "-o", "json"]).stdout, second.stdout);
    assert_eq!(place.run(&["report", "last~1"]).stdout, first.stdout, "the same report again");
    let compared = place.run(&["compare", "--baseline", "last~1", "last", "-o", "json"]);
    let value: serde_json::Value = serde_json::from_str(&compared.stdout).unwrap();
    let baselines: Vec<_> = value["rows"].as_array().unwrap().iter().map(|row| &row["baseline"]).collect();
    assert_eq!(baselines, [true, false], "{compared:?}");
    let both = place.run(&["compare", "last", "last~1"]);
    assert!(both.code == 0 && both.stdout.contains("load.requests=5"), "{both:?}");
    let far = place.run(&["report", "last~2"]);
    assert!(far.code == 2 && far.stderr.contains("`last~2` is too far back: 2 runs kept"), "{far:?}");
}

#[test]
fn nothing_is_kept_when_told_so_and_nothing_is_there_before() {
    let place = Place::new();
    load(&place, "1", &["--no-save"]);
    assert!(!place.history().exists());
    let none = place.run(&["report", "last"]);
    assert!(none.code == 2 && none.stderr.contains("no run is kept"), "{none:?}");
}

#[test]
fn fifty_are_kept_and_what_is_not_ours_stays() {
    let place = Place::new();
    fs::create_dir_all(place.history()).unwrap();
    for minute in 0..55 {
        fs::write(place.history().join(format!("20200101T00{minute:02}00.000Z-1.json")), "{}").unwrap();
    }
    fs::write(place.history().join("notes.json"), "mine").unwrap();
    load(&place, "1", &[]);
    let names = names(&place);
    assert_eq!(names.len(), 51, "{names:?}");
    assert_eq!(names[0], "20200101T000600.000Z-1.json", "the oldest are gone");
    assert_eq!(names[50], "notes.json");
}

#[test]
fn a_place_that_cannot_be_written_disturbs_nobody() {
    let place = Place::with("file", "");
    let truth = Truth::start(|_| Answer::ok(10).into()).unwrap();
    let url = truth.url("/");
    let file = place.folder.path().join("file");
    for (name, state, home, lines) in [
        ("a file", Some(&file), None, 1),
        ("no home", None, None, 0),
        ("a file as home", None, Some(&file), 1),
    ] {
        let mut command = place.command(&["-n", "2", "-c", "1", "--strict", &url]);
        command.env_remove("XDG_STATE_HOME").env_remove("HOME");
        command.envs(state.map(|path| ("XDG_STATE_HOME", path))).envs(home.map(|path| ("HOME", path)));
        let output = command.output().unwrap();
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{name}: {stderr}");
        assert!(stdout.contains("[200]\t2 responses"), "{name}: {stdout}");
        assert_eq!(stderr.lines().count(), lines, "{name}: {stderr}");
        assert_eq!(stderr.contains("--no-save"), lines == 1, "{name}: {stderr}");
    }
}
