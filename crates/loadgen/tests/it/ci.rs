//! `--junit` and `--markdown`: files that tell of every run, however the series ends.

use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;

use crate::helper::{Ended, Place};

const FILES: [&str; 6] = ["--results", "results", "--junit", "out/j.xml", "--markdown", "out/m.md"];

fn replay(place: &Place, words: &[&str]) -> Ended {
    place.run(&[&["run"], words, &FILES].concat())
}

fn read(place: &Place, name: &str) -> String {
    std::fs::read_to_string(place.folder.path().join(name)).unwrap()
}

/// Only whole files are there.
fn assert_whole(place: &Place) {
    let xml = read(place, "out/j.xml");
    assert!(xml.starts_with("<?xml") && xml.ends_with("</testsuites>\n"), "{xml}");
    let mut names: Vec<_> = std::fs::read_dir(place.folder.path().join("out")).unwrap().collect();
    names.sort_by_key(|entry| entry.as_ref().unwrap().file_name());
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn the_scenario_of_ci_is_told_in_both() {
    let place = Place::new();
    let ended = replay(&place, &["ci", "-z", "300ms"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let (xml, markdown) = (read(&place, "out/j.xml"), read(&place, "out/m.md"));
    assert_whole(&place);
    assert!(
        xml.contains("<testsuite name=\"ci\" tests=\"32\" failures=\"0\" errors=\"0\" skipped=\"0\""),
        "{xml}"
    );
    assert!(xml.contains("name=\"assert rows / ok == 1\" classname=\"ci [target.store = &quot;group&quot;, target.instances = 2] #1\""));
    assert!(markdown.starts_with("### loadgen: 4 runs, all well\n"), "{markdown}");
    assert_eq!(place.documents().len(), 4);
}

#[test]
fn what_fails_is_told_first_and_what_was_not_made_too() {
    let place = Place::with("good.toml", "[target]\nstore = \"none\"\n[load]\nrequests = 50\n");
    place.file("bad.toml", "[target]\ncommand = [\"sh\", \"-c\", \"exit 7\", \"{port}\"]\n");
    let ended = replay(&place, &["good.toml", "bad.toml", "good.toml", "--assert", "sent == 51"]);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert_whole(&place);
    let (xml, markdown) = (read(&place, "out/j.xml"), read(&place, "out/m.md"));
    let start =
        "### loadgen: 3 runs, 2 of them failed, 1 not made\n\n- **good**: assert sent == 51: 50\n- **bad**: ";
    assert!(markdown.starts_with(start), "{markdown}");
    assert!(xml.contains("<failure message=\"50\" type=\"measured\">"), "{xml}");
    assert!(
        xml.contains("<error message=\"the target could not be started: instance 1 ended with exit code 7")
    );
    assert!(xml.contains("<skipped message=\"an earlier run could not be made\"/>"), "{xml}");
}

#[test]
fn an_interrupted_series_is_told_whole() {
    for signal in [Signal::TERM, Signal::KILL] {
        let place = Place::with("short.toml", "[target]\nstore = \"none\"\n[load]\nrequests = 50\n");
        place.file("long.toml", "[load]\nduration = \"60s\"\n");
        let words = [&["run", "short.toml", "long.toml", "short.toml"], &FILES[..]].concat();
        let mut running = place.start(&words);
        running.until("the load", |_| (place.database_bytes() > 400_000).then_some(()));
        running.signal(signal);
        let ended = running.wait();
        assert_whole(&place);
        let xml = read(&place, "out/j.xml");
        if signal == Signal::TERM {
            assert_eq!(ended.code, 143);
            assert!(xml.contains("<failure message=\"cut short by SIGTERM after "), "{xml}");
            assert!(xml.contains("<skipped message=\"the series was interrupted before it\"/>"), "{xml}");
        } else {
            assert!(xml.contains("<skipped message=\"it was not begun\"/>"), "what was done is there: {xml}");
        }
        assert!(xml.contains("classname=\"short #1\" time=\"0."), "{xml}");
    }
}

#[test]
fn where_they_cannot_be_written_nothing_is_started() {
    let place = Place::with("s.toml", "[load]\nrequests = 50\n");
    place.file("file", "");
    std::fs::create_dir(place.folder.path().join("folder")).unwrap();
    for (flag, path, why) in [
        ("--junit", "file/j.xml", "cannot write --junit to file/j.xml: "),
        ("--markdown", "folder", "cannot write --markdown to folder: it is a folder"),
        ("--junit", "/proc/j.xml", "cannot write --junit to /proc/j.xml: "),
    ] {
        let ended = place.run(&["run", "s.toml", flag, path]);
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.stderr.contains(why) && ended.stdout.is_empty(), "{ended:?}");
    }
    let ended = place.run(&["run", "s.toml", "--junit", "x", "--markdown", "x"]);
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("--junit and --markdown need a file each"), "{ended:?}");
    assert!(place.documents().is_empty() && place.left_behind().is_empty());
}

#[test]
fn a_file_that_is_there_is_replaced() {
    let place = Place::with("s.toml", "[target]\nstore = \"none\"\n[load]\nrequests = 50\n");
    place.file("m.md", &"old\n".repeat(10_000));
    let file = place.folder.path().join("m.md");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o444)).unwrap();
    let ended = place.run(&["run", "s.toml", "--results", "results", "--markdown", "m.md"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(read(&place, "m.md").starts_with("### loadgen: 1 run, all well\n"));
}
