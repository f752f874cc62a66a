//! The whole path: a target is started, loaded, checked, stopped, and a document is filed; whatever happens meanwhile.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;

use report::defaults::is_default;
use report::document::{Ended as How, FailureKind, Run};
use rustix::process::Signal;

use crate::helper::{Place, failures, send_signal, until};

/// Bytes of database that show that the load goes on: more than an empty one has.
const LOADED: u64 = 400_000;

fn place_with(scenario: &str) -> Place {
    Place::with("test.toml", scenario)
}

/// Nothing is left of a run: no process, no file but the results.
fn assert_clean(place: &Place) {
    place.assert_clean();
    assert_eq!(place.names(), ["results", "test.toml"]);
}

fn assert_verified(run: &Run) {
    let verification = run.verification.as_ref().unwrap();
    assert!(verification.holds(), "{verification:?}");
    assert_eq!((verification.acknowledged, verification.sent), (run.account.ok, run.account.sent));
}

#[test]
fn a_scenario_from_end_to_end() {
    let place = place_with("[target]\ninstances = 2\n[load]\nduration = \"1s\"\nconnections = 8\n");
    let ended = place.replay().wait();
    assert_eq!(ended.code, 0, "{ended:?}");
    ended.assert_hey();
    ended.assert_calm();
    let run = place.document();
    assert_verified(&run);
    assert_clean(&place);
    assert_eq!((run.name.as_str(), run.ended, run.machine.label.as_str()), ("test", How::Completed, "here"));
    assert_eq!((run.account.ok, run.account.errors()), (run.account.sent, 0));
    assert_eq!(run.verification.unwrap().rows, run.account.ok);
    assert_eq!(run.instances.len(), 2);
    let sum = |of: fn(&report::document::Instance) -> Option<u64>| -> u64 {
        run.instances.iter().map(|instance| of(instance).unwrap()).sum()
    };
    assert_eq!((sum(|i| i.answered), sum(|i| i.rows)), (run.account.ok, run.account.ok));
    assert!(run.instances.iter().all(|instance| instance.ended == "stopped"), "{:?}", run.instances);
    let file = ended.stderr.lines().find_map(|line| line.strip_prefix("wrote ")).unwrap();
    assert!(Path::new(file).starts_with("results/here/test"), "{file}");

    // What was shown can be shown again, and stands in the comparison.
    let shown = place.run(&["report", file]);
    assert_eq!((shown.code, &shown.stdout), (0, &ended.stdout));
    let compared = place.run(&["compare", "results"]);
    assert!(compared.code == 0 && compared.stdout.contains("test"), "{compared:?}");
    assert!(compared.stdout.contains("here"), "{compared:?}");
}

#[test]
fn every_request_of_a_number_is_one_row() {
    let place = place_with("[target]\ninstances = 3\n[load]\nrequests = 1003\nconnections = 7\n");
    let ended = place.replay().wait();
    assert_eq!(ended.code, 0, "{ended:?}");
    let run = place.document();
    assert_eq!((run.account.sent, run.account.ok, run.account.errors()), (1003, 1003, 0));
    assert_eq!(run.verification.unwrap().rows, 1003);
    assert_clean(&place);
}

#[test]
fn a_target_that_misbehaves_on_purpose_is_called_one() {
    let place = place_with("[target]\nfaults = \"status=503\"\n[load]\nrequests = 20\nconnections = 2\n");
    // What is somebody else's in the environment does not reach the target.
    let ended =
        place.command(&["run", "test.toml", "--results", "results"]).env("TARGET_OF_ANOTHER", "x").output();
    let ended = ended.unwrap();
    let said = String::from_utf8(ended.stdout).unwrap();
    assert!(
        said.contains("\nthe target misbehaves on purpose: status=503, suffered by 20 requests\n"),
        "{said}"
    );
    let run = place.document();
    assert_eq!((&*run.config["target.faults"], run.verification.unwrap().rows), ("status=503", 0));
    assert_clean(&place);
}

#[test]
fn a_reader_that_has_gone_loses_no_document() {
    let place = place_with("[load]\nrequests = 20\nconnections = 2\n");
    let mut command = place.command(&["run", "test.toml", "--results", "results"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(place.document().account.ok, 20);
    assert_clean(&place);
}

#[test]
fn no_room_for_the_target() {
    let place = place_with("[load]\nrequests = 20\n");
    let output = place.command(&["run", "test.toml"]).env("TMPDIR", "missing").output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0), "{stderr}");
    assert!(stderr.contains("set TMPDIR"), "{stderr}");
    assert!(place.documents().is_empty());
}

#[test]
fn several_scenarios_end_in_a_comparison() {
    let place = place_with("[load]\nrequests = 50\nconnections = 2\n");
    place.file("other.toml", "[target]\nstore = \"none\"\n[load]\nrequests = 50\n[run]\nrepeats = 2\n");
    let ended = place.run(&["run", "test.toml", "other.toml", "-c", "4", "--results", "results"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let runs = place.documents();
    let names: Vec<_> = runs.iter().map(|run| run.name.as_str()).collect();
    assert_eq!(names, ["other", "other", "test"]);
    assert!(runs.iter().all(|run| run.config["load.connections"] == "4"), "the command line wins");
    assert!(runs.iter().all(|run| run.verification.is_some() == (run.name == "test")));
    let table = ended.stdout.rsplit("Status code distribution").next().unwrap();
    assert!(table.contains("other") && table.contains("test"), "{table}");
}

#[test]
fn an_instance_killed_in_mid_run() {
    let place = place_with(
        "[target]\ninstances = 4\n[load]\nduration = \"3s\"\nconnections = 24\ntimeout = \"2s\"\n",
    );
    let mut running = place.replay();
    running.until("the load", |_| (place.database_bytes() > LOADED).then_some(()));
    let targets = place.targets();
    assert_eq!(targets.len(), 4);
    send_signal(targets[1], Signal::KILL);
    let ended = running.wait();
    assert_eq!(ended.code, 0, "{ended:?}");
    ended.assert_hey();
    let run = place.document();
    assert_verified(&run);
    assert_clean(&place);
    assert_eq!(run.ended, How::Completed);
    let closed = [FailureKind::Reset, FailureKind::Closed, FailureKind::ClosedIdle, FailureKind::Truncated];
    let of_the_kill: u64 = closed.iter().map(|kind| failures(&run, *kind)).sum();
    // A connection whose next request was not written yet is replaced, and nothing is lost.
    let felt = of_the_kill + run.connections.reopened;
    assert!(run.account.ok > 0 && felt > 0, "{:?} {:?}", run.account, run.failures);
    let died: Vec<_> = run.instances.iter().filter(|instance| instance.ended.contains("died")).collect();
    assert_eq!((run.instances.len(), died.len()), (4, 1), "{:?}", run.instances);
    assert!(died[0].ended.contains('9'), "{:?}", died[0]);
    assert!(run.notes.iter().any(|note| note.contains("died")), "{:?}", run.notes);
    assert!(ended.stderr.contains("died"), "{}", ended.stderr);
}

#[test]
fn all_instances_killed_in_mid_run() {
    let place = place_with("[target]\ninstances = 2\n[load]\nduration = \"60s\"\nconnections = 8\n");
    let mut running = place.replay();
    running.until("the load", |_| (place.database_bytes() > LOADED).then_some(()));
    for target in place.targets() {
        send_signal(target, Signal::KILL);
    }
    let ended = running.wait();
    assert_eq!(ended.code, 3, "{ended:?}");
    let run = place.document();
    assert_eq!(run.ended, How::TargetLost);
    assert_verified(&run);
    assert_clean(&place);
}

#[test]
fn a_signal_in_mid_run() {
    for (signal, code, how) in [(Signal::TERM, 143, How::Sigterm), (Signal::INT, 130, How::Sigint)] {
        let place = place_with("[target]\ninstances = 2\n[load]\nduration = \"60s\"\nconnections = 8\n");
        let mut running = place.replay();
        running.until("the load", |_| (place.database_bytes() > LOADED).then_some(()));
        running.signal(signal);
        let ended = running.wait();
        assert_eq!(ended.code, code, "{ended:?}");
        ended.assert_hey();
        let run = place.document();
        assert_eq!(run.ended, how);
        assert_verified(&run);
        assert!(run.account.ok > 0);
        assert_clean(&place);
    }
}

#[test]
fn a_second_signal_leaves_no_process() {
    let place = place_with("[target]\ninstances = 2\n[load]\nduration = \"60s\"\nconnections = 8\n");
    let mut running = place.replay();
    running.until("the load", |_| (place.database_bytes() > LOADED).then_some(()));
    running.signal(Signal::TERM);
    running.signal(Signal::INT);
    running.wait();
    until("the targets' end", || place.targets().is_empty().then_some(()));
}

#[test]
fn a_generator_killed_outright_leaves_no_process() {
    let place = place_with("[target]\ninstances = 3\n[load]\nduration = \"60s\"\nconnections = 8\n");
    let mut running = place.replay();
    running.until("the load", |_| (place.database_bytes() > LOADED).then_some(()));
    assert_eq!(place.targets().len(), 3);
    running.signal(Signal::KILL);
    assert_eq!(running.wait().code, 137);
    until("the targets' end", || place.targets().is_empty().then_some(()));
}

#[test]
fn the_scenarios_of_the_repository_resolve() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
    let place = Place::new();
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "toml") {
            continue;
        }
        let ended = place.run(&["plan", path.to_str().unwrap()]);
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{}", path.display());
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(ended.stdout.starts_with(&format!("# {name} (plan ")), "{}", ended.stdout);
        assert!(ended.stdout.contains("\ntarget.instances = "), "{}", ended.stdout);
        assert_eq!(loadgen::scenario::library::find(name).unwrap(), std::fs::read_to_string(&path).unwrap());
        seen += 1;
    }
    assert_eq!(seen, loadgen::scenario::library::LIBRARY.len());
    let list = place.run(&["scenarios"]);
    let mut lines = list.stdout.lines().filter_map(|line| line.strip_prefix("starvation "));
    assert!(lines.next().unwrap().trim_start().starts_with("98 usable connections"), "{list:?}");
    let shown = place.run(&["scenarios", "show", "quick"]);
    assert_eq!(Some(shown.stdout.as_str()), loadgen::scenario::library::find("quick"));
    let plan = place.run(&["plan", "quick"]);
    assert!(plan.stdout.starts_with("# quick (plan "), "{plan:?}");
    let unknown = place.run(&["run", "quik"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.stderr.contains("there is no scenario `quik`"), "{unknown:?}");
    assert_eq!((place.names(), place.left_behind()), (vec![], vec![]), "a plan writes nothing");
}

#[test]
fn a_target_takes_every_setting_of_the_server_and_the_plan_tells_all_of_them() {
    let place = Place::new();
    place.file("s.toml", "[target]\nprofile = \"waitress\"\nmax_connections = 7\n");
    let ended = place.run(&["plan", "s.toml", "--target", "threads=3"]);
    let said = ended.stdout;
    for line in [
        "target.profile = waitress",
        "target.max_connections = 7",
        "target.threads = 3",
        "target.busy_timeout = 10s",
    ] {
        assert!(said.lines().any(|said| said == line), "{line}: {said}");
    }
    assert!(!said.contains("target.listen") && !said.contains("target.database"), "{said}");
}

#[test]
fn a_plan_does_not_depend_on_the_environment() {
    let place = Place::new();
    place.file("s.toml", "");
    let mut command = place.command(&["plan", "s.toml"]);
    let output = command.env("TARGET_THREADS", "9").output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains("target.threads = 4\n"));
}

#[test]
fn what_goes_without_saying_is_what_an_empty_scenario_makes() {
    const CHOSEN: [&str; 6] =
        ["load.url", "load.connections", "load.requests", "load.workers", "target.kind", "target.instances"];
    let plan = Place::with("s.toml", "").run(&["plan", "s.toml"]).stdout;
    let pairs = plan.lines().skip(1).map(|line| line.split_once(" =").unwrap());
    let told: Vec<_> = pairs.filter(|(key, value)| !is_default(key, value.trim_start())).collect();
    let keys: BTreeSet<&str> = told.iter().map(|(key, _)| *key).collect();
    assert_eq!(keys, CHOSEN.into_iter().collect(), "renew report/src/defaults.rs: {told:?}");
}

#[test]
fn assertions_are_judged_told_and_decide_the_exit_code() {
    let place = Place::new();
    place.file(
        "s.toml",
        "[target]\nstore = \"none\"\n[load]\nrequests = 100\nconnections = 2\n\
         [assert]\nalways = [\"errors == 0\", \"status.200 == 100%\", \"p50 < 20s\"]\nas_written = [\"sent == 100\"]\n",
    );
    let ended = place.run(&["run", "s.toml"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    for line in [
        "assert errors == 0: holds: 0\n",
        "assert status.200 == 100%: holds: 100%\n",
        "assert sent == 100: holds: 100\n",
    ] {
        assert!(ended.stdout.contains(line), "{line}: {}", ended.stdout);
    }
    let ended = place.run(&["run", "s.toml", "-n", "50", "--assert", "sent == 51"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stdout.contains("assert sent == 51: FAILED: 50\n"), "{}", ended.stdout);
    let skipped = "assert sent == 100: not judged: it is for the load and the target as the file has them\n";
    assert!(ended.stdout.contains(skipped), "{}", ended.stdout);
    let refused = place.run(&["run", "s.toml", "--assert", "timeout == 3"]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("did you mean `timeouts`?"), "{}", refused.stderr);
}

#[test]
fn a_matrix_runs_every_combination_as_often_as_asked() {
    let place = Place::new();
    place.file(
        "m.toml",
        "[target]\nstore = \"none\"\n[load]\nrequests = 20\nconnections = 1\n[run]\nrepeats = 2\n\
         [matrix]\n\"target.instances\" = [1, 2]\n\"load.connections\" = [1, 2]\n",
    );
    let plans = place.run(&["plan", "m.toml"]);
    assert_eq!(plans.stdout.matches("\ntarget.instances = ").count(), 4, "{plans:?}");
    assert!(plans.stdout.contains("; target.instances = 2, load.connections = 1)\n"), "{}", plans.stdout);
    let ended = place.run(&["run", "m.toml", "--results", "results", "--cooldown", "10ms"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stderr.contains(
        "2/8 m: 20 requests, 2 connections, 1 instance; target.instances = 1, load.connections = 2; repeat 1 of 2"
    ));
    assert!(ended.stderr.contains("5/8 m: 20 requests, 1 connection, 1 instance;"), "{}", ended.stderr);
    let mut runs: Vec<_> = place
        .documents()
        .into_iter()
        .map(|run| (run.config["target.instances"].clone(), run.config["load.connections"].clone()))
        .collect();
    runs.sort();
    let each = [("1", "1"), ("1", "2"), ("2", "1"), ("2", "2")];
    let twice: Vec<_> = each
        .iter()
        .flat_map(|(i, c)| [((*i).to_owned(), (*c).to_owned()), ((*i).to_owned(), (*c).to_owned())])
        .collect();
    assert_eq!(runs, twice);
    let sequential = place.run(&["run", "m.toml", "--results", "results", "--order", "sequential"]);
    assert!(
        sequential.stderr.contains("2/8 m: 20 requests, 1 connection, 1 instance;"),
        "{}",
        sequential.stderr
    );
}

#[test]
fn a_strict_replay_keeps_its_document() {
    let place = Place::new();
    place.file(
        "test.toml",
        "[load]\nduration = \"300ms\"\nrate = 200000\nconnections = 1\ndrain = \"50ms\"\n",
    );
    let lax = place.run(&["run", "test.toml", "--results", "lax"]);
    assert_eq!(lax.code, 0, "{lax:?}");
    let strict = place.run(&["run", "--strict", "test.toml"]);
    assert_eq!(strict.code, 4, "{strict:?}");
    assert!(strict.stderr.contains("loadgen: --strict: "), "{}", strict.stderr);
    assert!(place.document().generator.is_some());
}
