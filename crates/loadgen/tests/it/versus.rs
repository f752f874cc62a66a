//! Two things in interleaved blocks.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::Duration;

use loadgen::truth::{Answer, Truth};
use report::document::{Arm, Run};
use rustix::process::Signal;
use serde_json::Value;

use crate::helper::{Ended, Place, until};
use crate::undisturbed::undisturbed;

/// The runs of the blocks in order of their start. On a busy machine there may be others, in whose place they were made.
fn runs(place: &Place) -> Vec<Run> {
    let mut runs = place.documents();
    runs.retain(|run| run.block.is_some());
    runs.sort_by(|one, other| one.started_at.cmp(&other.started_at));
    runs
}

fn arms(runs: &[Run]) -> Vec<(u64, Arm)> {
    runs.iter().map(|run| run.block.as_ref().map(|block| (block.number, block.arm)).unwrap()).collect()
}

/// Each block has one run of each, one block after the other.
fn assert_blocks(runs: &[Run], blocks: u64) {
    let mut arms = arms(runs);
    assert!(arms.is_sorted_by_key(|(number, _)| *number), "{arms:?}");
    arms.sort();
    let expected: Vec<_> = (1..=blocks).flat_map(|number| [(number, Arm::A), (number, Arm::B)]).collect();
    assert_eq!(arms, expected);
    let batches: BTreeSet<_> = runs.iter().filter_map(|run| Some(&run.block.as_ref()?.batch)).collect();
    assert_eq!(batches.len(), 1, "{batches:?}");
}

/// Whether the generator was the limit in so many runs that the comparison ended, as on a machine that others keep busy. That is told
/// as it must be.
fn was_the_limit(ended: &Ended) -> bool {
    let is_told = ended.stderr.contains("\nloadgen: the generator was the limit in ");
    assert!(!is_told || ended.code == 4, "{ended:?}");
    is_told
}

#[test]
fn what_is_slower_has_regressed() {
    let there = Place::new();
    let (_server, url) = there.truth_server(&[]);
    let [quick, slow] = ["delay/20ms", "delay/30ms"].map(|path| format!("{url}{path}"));
    let versus = |pair: [&str; 2], more: &[&str]| {
        let words = ["-c", "2", "--block-duration", "400ms", "-o", "json", "--metrics", "mean"];
        Place::new().run(&[&["versus", pair[0], pair[1]][..], &words, more].concat())
    };
    for (pair, code, verdict) in [([&*quick, &*slow], 1, "regressed"), ([&*slow, &*quick], 0, "improved")] {
        undisturbed(|| {
            let ended = versus(pair, &["--blocks", "4"]);
            if was_the_limit(&ended) {
                return;
            }
            assert_eq!(ended.code, code, "{ended:?}");
            let json: Value = serde_json::from_str(&ended.stdout).unwrap();
            let of = |metric: &str| {
                json["differences"].as_array().unwrap().iter().find(|it| it["metric"] == metric)
            };
            let mean = of("mean").unwrap();
            assert_eq!((&mean["verdict"], &mean["design"]), (&verdict.into(), &"paired".into()), "{json:#}");
            assert!(of("errors").is_some(), "errors are judged unasked: {json:#}");
            assert_eq!(json["rows"][0]["baseline"], true);
        });
    }
    let ended = versus([&quick, &slow], &["--blocks", "2", "--fail-on", "never"]);
    assert!(ended.code == 0 || was_the_limit(&ended), "{ended:?}");
}

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
fn a_run_whose_generator_was_the_limit_is_made_again() {
    let here = Place::new();
    let truth = Truth::start(|_| Answer::ok(10).after(Duration::from_millis(2)).into()).unwrap();
    let url = truth.url("/");
    let words =
        ["versus", &url, &url, "-c", "2", "--blocks", "2", "--block-duration", "1s", "--warmup", "0s"];
    let running = here.start(&[&words[..], &["--fail-on", "never"]].concat());
    until("answers", || (truth.counts().answers > 50).then_some(()));
    // As a hypervisor would that takes the CPUs away.
    running.signal(Signal::STOP);
    thread::sleep(Duration::from_secs(1));
    running.signal(Signal::CONT);
    let ended = running.wait();
    let told = "loadgen: the generator was the limit: the run is made once more";
    let void = ended.stderr.matches(told).count();
    assert!(void > 0, "{ended:?}");
    let runs = here.documents();
    let (none, some): (Vec<_>, Vec<_>) = runs.iter().partition(|run| run.block.is_none());
    assert!(none.iter().all(|run| run.notes.iter().any(|note| note.contains("no run of block"))), "{none:?}");
    if was_the_limit(&ended) {
        return;
    }
    assert_eq!((ended.code, none.len(), some.len()), (0, void, 4), "{ended:?}");
    let heading = ended.stdout.lines().nth(2).unwrap();
    let again = heading.strip_prefix(
        "2 of 2 blocks, the order within each by chance; made again, because the generator was the limit: ",
    );
    let (a, b) =
        again.and_then(|it| it.strip_suffix(" of B")).and_then(|it| it.split_once(" of A, ")).unwrap();
    assert_eq!(a.parse::<usize>().unwrap() + b.parse::<usize>().unwrap(), void, "{heading}");
}

#[test]
fn a_seed_gives_the_order_and_each_block_its_arrivals() {
    undisturbed(|| {
        let (there, here, again) = (Place::new(), Place::new(), Place::new());
        let (_server, url) = there.truth_server(&[]);
        let words =
            ["versus", &url, &url, "-c", "4", "--rate", "100", "--blocks", "6", "--block-duration", "150ms"];
        for place in [&here, &again] {
            let ended = place.run(&[&words[..], &["--seed", "5"]].concat());
            assert!(ended.stdout.contains("6 of 6 blocks"), "{ended:?}");
        }
        let made = runs(&here);
        assert_blocks(&made, 6);
        assert_eq!(arms(&made), arms(&runs(&again)));
        // Five seconds at least, but no longer than the load itself.
        assert!(made.iter().all(|run| run.config["load.warmup"] == "150ms"), "{:?}", made[0].config);
        let order: BTreeSet<_> = arms(&made).chunks(2).map(|block| block[0].1).collect();
        assert_eq!(order.len(), 2, "each of them comes first at times");
        let mut seeds: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
        for run in &made {
            seeds
                .entry(run.block.as_ref().unwrap().number)
                .or_default()
                .insert(run.config["load.seed"].clone());
        }
        assert!(seeds.values().all(|seeds| seeds.len() == 1), "{seeds:?}");
        assert_eq!(seeds.values().collect::<BTreeSet<_>>().len(), 6, "{seeds:?}");
    });
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
    let made = runs(&place);
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
    let made = runs(&place);
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
    assert!(ended.stderr.contains("127.0.0.1:1/ did not answer"), "{ended:?}");
    assert!(!ended.stderr.contains("secret"), "{ended:?}");
    assert!(here.documents().len() <= 2, "one of each at most");
}
