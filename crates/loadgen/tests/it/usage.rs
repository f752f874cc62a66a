//! What the processes of the target used, and on which CPUs.

use report::cpus::Cpus;
use report::document::{Run, Usage};
use rustix::thread::{CpuSet, sched_getaffinity};

use crate::helper::{Ended, Place};
use crate::needs;

fn usages(run: &Run) -> Vec<&Usage> {
    run.instances.iter().map(|instance| instance.usage.as_deref().expect("it was watched")).collect()
}

#[test]
fn what_each_instance_used_is_in_the_document_second_by_second() {
    let load = "[target]\ninstances = 2\n[load]\nduration = \"3s\"\nconnections = 8\nwarmup = \"1s\"\n";
    let place = Place::with("test.toml", load);
    let ended = place.run(&["run", "test.toml", "--results", "results"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let run = place.document();
    let wall_ms = run.window.wall_ns / 1_000_000;
    for usage in usages(&run) {
        assert_eq!((usage.interval_ms, usage.processes), (run.series.interval_ms, 1));
        let seconds = usage.cpu_user_ms.len();
        assert!(seconds.abs_diff(run.series.answered.len()) <= 1, "{usage:?} {:?}", run.series);
        assert!(usage.cpu_ms() > 0 && usage.cpu_ms() < wall_ms * run.machine.cpus_total + 100, "{usage:?}");
        assert!(usage.watched_ns.abs_diff(run.window.wall_ns) < 2_000_000_000, "{usage:?} {wall_ms}");
        assert!(usage.threads.iter().all(|&threads| threads >= 4), "{usage:?}");
        assert!(usage.files.iter().all(|&files| files >= 8), "{usage:?}");
        assert!(usage.rss_kib.iter().all(|&kib| kib > 1000), "{usage:?}");
    }
    assert!(ended.stdout.contains("\nCPUs busy, of "), "{ended:?}");
    assert!(ended.stdout.contains(" a request), generator "), "{ended:?}");
}

#[test]
fn what_a_command_has_started_is_part_of_its_instance() {
    let place = Place::new();
    let program = env!("CARGO_BIN_EXE_loadgen");
    // The shell stays, and hands on what ends it.
    let script = r#""$0" serve --store=none --listen="$1" & trap "kill $!" TERM; wait; wait"#;
    place.file(
        "test.toml",
        &format!(
            "[target]\ncommand = [\"sh\", \"-c\", '{script}', {program:?}, \"{{address}}\"]\n\
             [load]\nduration = \"2s\"\nconnections = 4\n"
        ),
    );
    let ended = place.run(&["run", "test.toml", "--results", "results"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let run = place.document();
    let [usage] = usages(&run)[..] else { panic!("{:?}", run.instances) };
    assert_eq!(usage.processes, 2, "a shell and a server: {usage:?}");
    assert!(usage.cpu_ms() > 100, "a shell that waits uses nothing: {usage:?}");
    assert!(usage.threads.iter().all(|&threads| threads >= 3), "{usage:?}");
}

#[test]
fn the_generator_and_the_target_run_where_they_are_told() {
    let allowed = sched_getaffinity(None).unwrap();
    let cpus: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu)).collect();
    let [first, .., last] = cpus[..] else {
        needs::leave_out("with one CPU, they cannot be told apart");
        return;
    };
    let place = Place::with(
        "test.toml",
        &format!(
            "[target]\ninstances = 2\ncpus = \"{first}\"\n[load]\ncpu_set = \"{last}\"\nrequests = 2000\nconnections = 40\n"
        ),
    );
    let ended = place.run(&["run", "test.toml", "--repeats", "2", "--results", "results"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    for run in place.documents() {
        assert!(
            usages(&run).iter().all(|usage| usage.cpus == Some(first.to_string())),
            "{:?}",
            run.instances
        );
        let generator = run.generator.as_ref().unwrap();
        assert_eq!((generator.cpus.as_ref(), generator.cpus_milli), (Some(&last.to_string()), 1000));
        assert_eq!((run.config["target.cpus"].as_str(), run.workers.len()), (first.to_string().as_str(), 1));
        assert_eq!(run.machine.cpus_allowed, cpus.len() as u64, "the machine is the same");
    }
    for said in [format!(" on CPU {first} ("), format!(" on CPU {last}; the target had ")] {
        assert!(ended.stdout.contains(&said), "{said}: {ended:?}");
    }
    let together = place.run(&["run", "test.toml", "--cpu-set", &first.to_string(), "--results", "other"]);
    assert_eq!(together.code, 0, "{together:?}");
    assert!(!together.stdout.contains(" on CPU "), "both on one: {together:?}");
}

#[test]
fn cpus_that_are_not_there_are_refused_before_anything_starts() {
    let place = Place::with("test.toml", "[target]\ncpus = \"0-8191\"\n");
    let scenario = place.run(&["run", "test.toml", "--results", "results"]);
    assert_eq!(scenario.code, 2, "{scenario:?}");
    assert!(scenario.stderr.contains("target.cpus is 0-8191, and loadgen may use the CPUs "), "{scenario:?}");
    let allowed = scenario.stderr.split("may use the CPUs ").nth(1).unwrap().split(' ').next().unwrap();
    assert!(allowed.parse::<Cpus>().is_ok(), "{scenario:?}");
    let load = place.run(&["--cpu-set", "8191", "http://127.0.0.1:1/"]);
    assert_eq!(load.code, 2, "{load:?}");
    assert!(
        load.stderr.contains("load.cpu_set is 8191, and ") && load.stderr.contains("not CPU 8191"),
        "{load:?}"
    );
    let typed = place.run(&["--cpu-set", "2;3", "http://127.0.0.1:1/"]);
    assert_eq!(typed.code, 2, "{typed:?}");
    assert!(typed.stderr.contains("`2;3` is no set of CPUs: write their numbers"), "{typed:?}");
    assert_eq!(place.names(), ["test.toml"], "nothing was made");
}

/// Two instances for a second after half a second of warm-up, with these faults.
fn faulty(faults: &str) -> (Ended, Run) {
    let place = Place::with(
        "test.toml",
        &format!(
            "[target]\ninstances = 2\n{faults}\n[load]\nduration = \"1s\"\nwarmup = \"500ms\"\nconnections = 8\n"
        ),
    );
    let ended = place.run(&["run", "test.toml", "--results", "results"]);
    let run = place.document();
    (ended, run)
}

#[test]
fn what_instances_say_they_did_is_held_against_the_account() {
    let (ended, run) = faulty("");
    assert_eq!(ended.code, 0, "{ended:?}");
    let (verification, warmup) = (run.verification.as_ref().unwrap(), run.warmup.as_ref().unwrap());
    let all = run.account.ok + warmup.ok;
    assert_eq!((run.account.sent + warmup.sent, warmup.ok > 0), (all, true), "nothing failed");
    assert_eq!((verification.rows, verification.committed), (all, Some(all)), "{verification:?}");
    assert_eq!(
        (verification.acknowledged, verification.sent),
        (all, all),
        "so there is no room between them"
    );
    let answered: u64 = run.instances.iter().map(|instance| instance.answered.unwrap()).sum();
    assert_eq!(answered, all);
    assert!(!ended.stdout.contains("the instances say they answered"), "{ended:?}");
}

#[test]
fn answers_that_never_arrive_are_no_disagreement() {
    let (ended, run) = faulty("faults = \"reset=5\"");
    let verification = run.verification.as_ref().unwrap();
    assert!(run.account.failed > 0 && verification.holds(), "{verification:?} {:?}", run.account);
    assert_eq!(verification.committed, Some(verification.rows), "whatever became of the answers");
    assert!(!ended.stdout.contains("the instances say they answered"), "{ended:?}");
}
