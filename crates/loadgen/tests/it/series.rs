//! Several runs of one command: what would be run, what was, what is missing, and how one goes on.

use report::document::{Ended, Overridden};
use rustix::process::Signal;

use crate::helper::Place;

/// Two plans with two runs each, in this order: 1, 2, 1, 2 instances.
const SERIES: &str = "[target]\nstore = \"none\"\n[load]\nduration = \"300ms\"\nconnections = 2\n[run]\nrepeats = 2\n\
                      cooldown = \"100ms\"\n[matrix]\n\"target.instances\" = [1, 2]\n";

fn words<'a>(more: &[&'a str]) -> Vec<&'a str> {
    ["run", "s.toml", "--machine", "here"].iter().chain(more).copied().collect()
}

fn columns(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

#[test]
fn a_dry_run_tells_every_run_in_its_order_and_starts_nothing() {
    let place = Place::with("s.toml", SERIES);
    let ended = place.run(&words(&["--dry-run", "--warmup", "200ms"]));
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    let runs: Vec<_> = ended.stdout.lines().skip(2).map(columns).collect();
    let told: Vec<_> = runs[..4].iter().map(|row| (row[0], row[2], row[3])).collect();
    let expected = [
        ("1", "instances=1", "1/2"),
        ("2", "instances=2", "1/2"),
        ("3", "instances=1", "2/2"),
        ("4", "instances=2", "2/2"),
    ];
    assert_eq!(told, expected, "{}", ended.stdout);
    assert_eq!((runs[0][4] == runs[2][4], runs[0][4] == runs[1][4]), (true, false), "plan keys");
    // Four times 500 ms, and three pauses of 100 ms.
    let last = ended.stdout.lines().last().unwrap();
    assert_eq!(last, "4 runs: 2 s, and starting and stopping targets; nothing was started");
    let plan = place.run(&["plan", "s.toml", "--warmup", "200ms"]).stdout;
    assert!(plan.contains(&format!("(plan {};", runs[0][4])), "{plan}");
    assert_eq!((place.names(), place.left_behind()), (vec!["s.toml".to_owned()], vec![]));
}

#[test]
fn several_scenarios_are_taken_in_turn_unless_they_are_sequential() {
    let place = Place::with("s.toml", SERIES);
    place.file("t.toml", "[target]\nstore = \"none\"\n[load]\nrequests = 1\n[run]\nrepeats = 3\n");
    for (more, expected) in [
        (&[][..], ["s 1/2", "s 1/2", "t 1/3", "s 2/2", "s 2/2", "t 2/3", "t 3/3"]),
        (&["--order", "sequential"], ["s 1/2", "s 2/2", "s 1/2", "s 2/2", "t 1/3", "t 2/3", "t 3/3"]),
    ] {
        let ended = place.run(&[&words(&["t.toml", "--dry-run"])[..], more].concat());
        let runs: Vec<_> = ended.stdout.lines().skip(2).take(7).map(columns).collect();
        let told: Vec<_> = runs
            .iter()
            .map(|row| format!("{} {}", row[1], row.iter().find(|word| word.contains('/')).unwrap()))
            .collect();
        assert_eq!(told, expected, "{}", ended.stdout);
    }
}

#[test]
fn every_file_is_read_before_the_first_run() {
    let place = Place::with("s.toml", SERIES);
    place.file("bad.toml", "[load]\nconections = 5\n");
    place.file("cert.toml", "[target]\nurl = \"https://127.0.0.1:9/\"\n[load]\ncacert = \"missing.pem\"\n");
    for (file, said) in [("bad.toml", "bad.toml:2: `conections`"), ("cert.toml", "missing.pem")] {
        for dry in [&["--dry-run"][..], &[]] {
            let ended = place.run(&[&words(&[file])[..], dry].concat());
            assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{ended:?}");
            assert!(ended.stderr.contains(said), "{}", ended.stderr);
        }
    }
    assert_eq!(place.names(), ["bad.toml", "cert.toml", "s.toml"], "nothing was written");
}

#[test]
fn an_interrupted_series_says_what_is_missing_and_goes_on_with_it() {
    let place = Place::with("s.toml", SERIES);
    let mut running = place.start(&words(&[]));
    // In the second run, or in the pause before it.
    running.until("the first document", |running| running.stderr().contains("\nwrote ").then_some(()));
    running.signal(Signal::INT);
    let ended = running.wait();
    assert_eq!(ended.code, 130, "{ended:?}");
    let whole = place.documents().iter().filter(|run| run.ended == Ended::Completed).count();
    assert!((1..4).contains(&whole), "{whole}");
    let missing =
        format!("{} of 4 runs are missing; the same command with --resume goes on with them:\n", 4 - whole);
    assert!(ended.stderr.contains(&missing), "{}", ended.stderr);
    assert!(ended.stderr.contains("\n  s instances=2, repeat 2 of 2\n"), "{}", ended.stderr);
    assert!(ended.stderr.contains("\ndocuments in results/here/SCENARIO\n"), "{}", ended.stderr);

    let left = place.run(&words(&["--resume", "--dry-run"])).stdout;
    assert_eq!(left.matches("is there: results/here/s/").count(), whole, "{left}");
    assert!(left.lines().last().unwrap().starts_with(&format!("{} run", 4 - whole)), "{left}");

    let ended = place.run(&words(&["--resume"]));
    assert_eq!(ended.code, 0, "{ended:?}");
    let is_there: Vec<_> =
        ended.stderr.lines().filter(|line| line.contains(": is there: results/here/s/")).collect();
    assert_eq!(
        (is_there.len(), ended.stderr.matches("\nwrote ").count()),
        (whole, 4 - whole),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("missing"), "{}", ended.stderr);
    let runs: Vec<_> = place.documents().into_iter().filter(|run| run.ended == Ended::Completed).collect();
    let of = |instances: &str| runs.iter().filter(|run| run.config["target.instances"] == instances).count();
    assert_eq!((of("1"), of("2")), (2, 2));
    // All four are in the list, one line each.
    let list = ended.stderr.split("documents in").nth(1).unwrap();
    assert_eq!(list.lines().filter(|line| line.starts_with("s instances=")).count(), 4, "{list}");
}

#[test]
fn only_a_run_of_the_same_plan_and_machine_is_there() {
    let place = Place::with("s.toml", "[target]\nstore = \"none\"\n[load]\nrequests = 20\n");
    assert_eq!(place.run(&words(&[])).code, 0);
    for (more, made) in
        [(&["--resume"][..], 0), (&["--resume", "-n", "21"], 1), (&["--resume", "--repeats", "3"], 2)]
    {
        let ended = place.run(&words(more));
        assert_eq!(
            (ended.code, ended.stderr.matches("wrote ").count()),
            (0, made),
            "{more:?} {}",
            ended.stderr
        );
    }
    let elsewhere = place.run(&["run", "s.toml", "--machine", "there", "--resume"]);
    assert_eq!(elsewhere.stderr.matches("wrote ").count(), 1, "{elsewhere:?}");
    let again = place.run(&words(&[]));
    assert_eq!(again.stderr.matches("wrote ").count(), 1, "without --resume everything is run: {again:?}");
}

#[test]
fn a_run_that_is_there_counts_for_the_exit_code() {
    let place =
        Place::with("s.toml", "[target]\nstore = \"none\"\n[load]\nrequests = 20\n[run]\nrepeats = 2\n");
    assert_eq!(place.run(&words(&["--repeats", "1"])).code, 0);
    let ended = place.run(&words(&["--repeats", "1", "--resume", "--assert", "sent == 21"]));
    assert_eq!((ended.code, ended.stderr.matches("wrote ").count()), (1, 0), "{ended:?}");
    let ended = place.run(&words(&["--resume", "--assert", "sent == 20"]));
    assert_eq!((ended.code, ended.stderr.matches("wrote ").count()), (0, 1), "{ended:?}");
}

#[test]
fn a_target_that_does_not_start_ends_the_series_with_its_list() {
    let place = Place::with("s.toml", "[target]\nstore = \"none\"\n[load]\nrequests = 20\n");
    place.file("no.toml", "[target]\ncommand = [\"no-such-server\", \"{port}\"]\n");
    let ended = place.run(&words(&["no.toml", "s.toml"]));
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.stderr.contains("2 of 3 runs are missing"), "{}", ended.stderr);
    let none = place.run(&["run", "no.toml", "s.toml", "--results", "none"]);
    assert!(none.stderr.contains("2 of 2 runs are missing") && !none.stderr.contains("verdict"), "{none:?}");
    assert!(ended.stderr.contains("\n  no, repeat 1 of 1: could not be made\n"), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("there is no program").count(), 1, "told once: {}", ended.stderr);
    let last = ended.stderr.lines().last().unwrap();
    assert!(last.contains("there is no program") && last.contains("no-such-server"), "{last}");
    assert_eq!(place.documents().len(), 1);
}

#[test]
fn the_document_tells_what_was_overridden() {
    let place =
        Place::with("s.toml", "[target]\nstore = \"pool\"\n[load]\nrequests = 20\ntimeout = \"5s\"\n");
    let typed = words(&["-n", "30", "--timeout", "5s", "--target", "store=none"]);
    let ended = place.run(&typed);
    assert_eq!(ended.code, 0, "{ended:?}");
    let run = place.document();
    let both = |file: &str, used: &str, follows| Overridden {
        file: Some(file.to_owned()),
        used: Some(used.to_owned()),
        follows,
    };
    assert_eq!(run.overridden["load.requests"], both("20", "30", false));
    assert_eq!(run.overridden["target.store"], both("pool", "none", false));
    assert_eq!(run.overridden["load.connections"], both("20", "30", true), "no more than requests");
    assert!(!run.overridden.contains_key("load.timeout"), "what was typed is what the file says");
    assert_eq!(run.config["load.requests"], "30");
    assert!(
        ended.stdout.contains("\ninstead of what the scenario says: requests 30 (20), store none (pool)\n"),
        "{}",
        ended.stdout
    );

    let plain = Place::with("s.toml", "[load]\nrequests = 20\n");
    assert_eq!(plain.run(&words(&[])).code, 0);
    assert!(plain.document().overridden.is_empty());

    let by_chance = Place::with("s.toml", "[load]\nrate = 200\nduration = \"1s\"\n");
    assert_eq!(by_chance.run(&words(&["-z", "200ms"])).code, 0);
    let run = by_chance.document();
    assert!(run.config.contains_key("load.seed"));
    assert!(run.overridden.contains_key("load.duration"));
    assert!(!run.overridden.contains_key("load.seed"), "nobody chose it: {:?}", run.overridden);
}
