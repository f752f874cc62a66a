//! Two things in interleaved blocks. Where time decides what is said of them: `tests/timed/versus.rs`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use report::document::Arm;
use rustix::process::Signal;

use crate::helper::{Place, assert_blocks, runs_of_blocks};

#[test]
fn what_cannot_be_judged_is_no_pass() {
    let (there, here) = (Place::new(), Place::new());
    let (_server, url) = there.truth_server(&[]);
    let words = ["versus", &url, "--a-set", "load.connections=1", "--b-set", "load.connections=2"];
    let short = ["--blocks", "2", "--block-duration", "100ms"];
    for (fail_on, code) in [("regressed", 4), ("inconclusive", 4), ("never", 0)] {
        let ended = here.run(&[&words[..], &short, &["--fail-on", fail_on]].concat());
        assert_eq!(ended.code, code, "{ended:?}");
        assert!(ended.stdout.contains("another load: load.connections"), "{ended:?}");
    }
}

#[test]
fn each_run_of_two_settings_has_a_fresh_target() {
    let place = Place::with(
        "s.toml",
        "[load]\nrequests = 40\nconnections = 2\n[matrix]\n\"target.instances\" = [1, 2]\n[assert]\nas_written = [\"ok == 1\"]\n",
    );
    let words = ["versus", "s.toml", "--a-set", "target.instances=1", "--b-set", "target.instances=2"];
    let ended = place.run(&[&words[..], &["--blocks", "2", "--tag", "why=test"]].concat());
    assert!(matches!(ended.code, 0 | 1), "{ended:?}");
    assert!(
        ended
            .stdout
            .starts_with("A (baseline): s.toml, target.instances = 1\nB: s.toml, target.instances = 2\n")
    );
    assert!(ended.stderr.contains("s arm=A instances=1"), "{ended:?}");
    let made = runs_of_blocks(&place);
    assert_blocks(&made, 2);
    for run in &made {
        let instances = if run.block.as_ref().unwrap().arm == Arm::A { "1" } else { "2" };
        assert_eq!(run.config["target.instances"], instances);
        assert_eq!(run.verification.as_ref().unwrap().rows, 40, "a database of its own");
        assert!(
            run.assertions.iter().all(|it| it.skipped),
            "the file has other settings: {:?}",
            run.assertions
        );
        assert_eq!(run.tags["why"], "test");
    }
    assert_eq!(place.left_behind(), Vec::<String>::new());
}

#[test]
fn two_programs_are_told_apart() {
    let place = Place::with("s.toml", "[target]\nstore = \"none\"\n[load]\nrequests = 40\nconnections = 2\n");
    let other = place.folder.path().join("other-loadgen");
    let mut bytes = fs::read(env!("CARGO_BIN_EXE_loadgen")).unwrap();
    bytes.push(0);
    fs::write(&other, bytes).unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o755)).unwrap();
    let words = ["versus", "s.toml", "--blocks", "2", "--b-binary", "other-loadgen", "--fail-on", "never"];
    let ended = place.run(&words);
    assert_eq!(ended.code, 0, "{ended:?}");
    let made = runs_of_blocks(&place);
    assert_blocks(&made, 2);
    let programs: BTreeSet<_> = made
        .iter()
        .map(|run| (run.block.as_ref().unwrap().arm, run.versions["target_program"].clone()))
        .collect();
    let named: Vec<_> = programs.iter().map(|(arm, name)| (*arm, name.split(' ').next().unwrap())).collect();
    assert_eq!(named, [(Arm::A, "loadgen"), (Arm::B, "other-loadgen")]);
    let compared = place.run(&["compare", "results"]);
    assert!(compared.stdout.contains("target_program=other-loadgen"), "{compared:?}");

    place.file("broken", "#!/bin/sh\necho no such luck >&2\nexit 7\n");
    fs::set_permissions(place.folder.path().join("broken"), fs::Permissions::from_mode(0o755)).unwrap();
    let ended = place.run(&["versus", "s.toml", "--blocks", "2", "--b-binary", "./broken"]);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(
        ended.stderr.contains("no such luck") && ended.stderr.contains("nothing is claimed"),
        "{ended:?}"
    );
}

#[test]
fn what_was_interrupted_claims_only_what_is_complete() {
    let (there, here) = (Place::new(), Place::new());
    let (_server, url) = there.truth_server(&[]);
    let words = |time| ["versus", &url, &url, "-c", "1", "--blocks", "40", "--block-duration", time];
    let mut running = here.start(&words("150ms"));
    running
        .until("five documents", |running| (running.stderr().matches("\nwrote ").count() > 4).then_some(()));
    running.signal(Signal::INT);
    let ended = running.wait();
    assert_eq!(ended.code, 130, "{ended:?}");
    assert!(ended.stderr.contains(" of 40 blocks are complete"), "{ended:?}");
    assert!(ended.stdout.contains(" of 40 blocks, ") && ended.stdout.contains("verdict"), "{ended:?}");
    assert!(here.documents().len() >= 5);

    let place = Place::new();
    let mut running = place.start(&words("20s"));
    running.until("the first run", |running| running.stderr().contains("1/80 ").then_some(()));
    running.signal(Signal::INT);
    let ended = running.wait();
    assert_eq!((ended.code, ended.stdout.as_str()), (130, ""), "{ended:?}");
    assert!(ended.stderr.contains("0 of 40 blocks are complete\nnothing is claimed"), "{ended:?}");
}

#[test]
fn what_cannot_be_held_against_each_other_is_refused_before_anything_starts() {
    let place =
        Place::with("s.toml", "[load]\nrequests = 5\n[matrix]\n\"target.store\" = [\"pool\", \"none\"]\n");
    place.file("u.toml", "[target]\nurl = \"http://127.0.0.1:9/\"\n");
    for (words, said) in [
        (&["s.toml"][..], "say what makes two of s.toml"),
        (&["s.toml", "u.toml"], "s.toml has 2 combinations in [matrix]"),
        (&["u.toml", "--a-set", "load.conections=4"], "u.toml with load.conections = 4: `conections`"),
        (&["u.toml", "--a-set", "connections=4"], "write it like target.store=pool"),
        (&["u.toml", "--b-binary", "/bin/true"], "starts none"),
        (&["quick", "--b-binary", "./missing"], "--b-binary ./missing: there is no such file"),
        (&["u.toml", "u.toml", "--blocks", "1"], "1"),
        (&["u.toml", "nowhere"], "there is no scenario `nowhere`"),
        (&["u.toml", "u.toml", "u.toml"], "u.toml"),
        (&["u.toml", "u.toml", "--block-duration", "1s", "-n", "5"], "--block-duration"),
        (&["http://127.0.0.1:9/", "127.0.0.1:9/"], "127.0.0.1:9/"),
    ] {
        let ended = place.run(&[&["versus"], words].concat());
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{words:?} {ended:?}");
        assert!(ended.stderr.contains(said), "{words:?} {ended:?}");
        ended.assert_calm();
    }
    assert_eq!(place.names(), ["s.toml", "u.toml"]);
}

#[test]
fn a_server_that_is_not_there_ends_it() {
    let (there, here) = (Place::new(), Place::new());
    let (_server, url) = there.truth_server(&[]);
    let dead = "http://user:secret@127.0.0.1:1/";
    let ended = here.run(&["versus", &url, dead, "--block-duration", "100ms", "-c", "2"]);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.stderr.contains("127.0.0.1:1/ does not answer: connection refused"), "{ended:?}");
    assert!(!ended.stderr.contains("secret"), "{ended:?}");
    assert_eq!(here.documents_if_any().len(), 0, "not even of the one that answers");
}
