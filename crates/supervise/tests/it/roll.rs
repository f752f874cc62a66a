//! One instance after the other is replaced, and nobody notices.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use supervise::{Event, Group, Next, Reason, RollError, StartError, Status, start};

use crate::helper::{address, answerer, ask, event, kill, program, runs, until};

fn pids(group: &Group) -> Vec<u32> {
    group.instances().iter().map(|instance| instance.pid()).collect()
}

/// Drives the group until the roll is over. The ends on the way, and why it stopped.
fn over(group: &mut Group) -> (Vec<(u16, u32, Next)>, Option<StartError>) {
    let mut ends = Vec::new();
    let error = event(group, "the end of the roll", |event| match event {
        Event::Ended { exit, next } => {
            ends.push((exit.instance, exit.pid, next));
            None
        }
        Event::Rolled => Some(None),
        Event::RollStopped { error, .. } => Some(Some(error)),
        _ => None,
    });
    (ends, error)
}

struct Raise<'a>(&'a AtomicBool);

impl Drop for Raise<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn all_are_replaced_and_no_connection_is_lost() {
    let mut group = start(&answerer(3)).unwrap();
    let (address, old) = (address(&group), pids(&group));
    let (answered, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    // A panic here would leave the others waiting; the sum tells.
                    match ask(address) {
                        Some(_) => answered.fetch_add(1, Ordering::Relaxed),
                        None => answered.fetch_add(1 << 32, Ordering::Relaxed),
                    };
                }
            });
        }
        // Also when an assertion fails: nobody waits for clients that never stop.
        let _clients_leave_in_the_end = Raise(&stop);
        until("some load", || (answered.load(Ordering::Relaxed) > 100).then_some(()));
        group.roll().unwrap();
        group.check();
        assert_eq!(group.roll(), Err(RollError::Underway));
        let (ends, error) = over(&mut group);
        assert!(error.is_none(), "{error:?}");
        let expected = (1..).zip(&old).map(|(number, pid)| (number, *pid, Next::Replaced));
        assert_eq!(ends, expected.collect::<Vec<_>>(), "one after the other");
    });
    let lost = answered.load(Ordering::Relaxed) >> 32;
    assert_eq!(lost, 0, "connections lost");
    assert!(pids(&group).iter().all(|pid| !old.contains(pid)));
    assert!(old.iter().all(|pid| !runs(*pid)));
    assert_eq!(group.running(), 3);
    group.roll().expect("the next one may begin");
}

#[test]
fn a_successor_that_fails_leaves_everything_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let flag = folder.path().join("fail");
    let mut spec = answerer(2);
    spec.env.push(("FAIL_IF".into(), flag.clone().into()));
    let mut group = start(&spec).unwrap();
    let old = pids(&group);
    std::fs::write(&flag, "").unwrap();
    group.roll().unwrap();
    let (ends, error) = over(&mut group);
    assert!(matches!(error, Some(StartError::Ended(exit)) if exit.stderr.contains("told to fail")));
    assert!(matches!(ends[..], [(1, _, Next::PredecessorStays)]), "{ends:?}");
    assert_eq!(pids(&group), old);
    let address = address(&group);
    (0..20).for_each(|_| assert!(ask(address).is_some_and(|(_, pid)| old.contains(&pid))));

    // And a later one may succeed.
    std::fs::remove_file(&flag).unwrap();
    group.roll().unwrap();
    assert!(over(&mut group).1.is_none());
}

#[test]
fn a_successor_that_is_never_ready_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let flag = folder.path().join("not ready");
    let mut spec = answerer(2);
    spec.ready_timeout = Duration::from_secs(2);
    spec.env.push(("NOT_READY_IF".into(), flag.clone().into()));
    let mut group = start(&spec).unwrap();
    let old = pids(&group);
    std::fs::write(&flag, "").unwrap();
    group.roll().unwrap();
    let (ends, error) = over(&mut group);
    assert!(matches!(error, Some(StartError::NotReady { instance: 1, .. })), "{error:?}");
    assert!(!runs(ends[0].1));
    assert_eq!(pids(&group), old);
    assert_eq!(group.running(), 2);
}

#[test]
fn an_instance_that_dies_before_its_successor_is_ready_is_not_started_twice() {
    let folder = tempfile::tempdir().unwrap();
    let flag = folder.path().join("not ready");
    let mut spec = answerer(1);
    spec.env.push(("NOT_READY_IF".into(), flag.clone().into()));
    let mut group = start(&spec).unwrap();
    let (address, old) = (address(&group), pids(&group));
    std::fs::write(&flag, "").unwrap();
    group.roll().unwrap();
    group.check();
    assert_eq!(group.running(), 2);
    kill(old[0]);
    let next = event(&mut group, "the end", |event| match event {
        Event::Ended { exit, next } => Some((exit.reason, next)),
        _ => None,
    });
    assert_eq!(next, (Reason::Itself, Next::Replaced));
    assert_eq!(group.running(), 1);
    std::fs::remove_file(&flag).unwrap();
    assert!(over(&mut group).1.is_none());
    assert_eq!(ask(address), Some((1, pids(&group)[0])));
}

#[test]
fn an_instance_that_died_is_restarted_when_its_successor_fails_too() {
    let folder = tempfile::tempdir().unwrap();
    let hold = folder.path().join("hold");
    let mut spec = answerer(1);
    spec.env.push(("NOT_READY_IF".into(), hold.clone().into()));
    let mut group = start(&spec).unwrap();
    let old = pids(&group)[0];
    std::fs::write(&hold, "").unwrap();
    group.roll().unwrap();
    group.check();
    let successor = until("the successor", || {
        let list = std::fs::read_to_string("/proc/thread-self/children").unwrap();
        list.split_whitespace().map(|pid| pid.parse().unwrap()).find(|pid| *pid != old)
    });
    kill(old);
    let next = event(&mut group, "its end", |event| match event {
        Event::Ended { exit, next } => Some((exit.pid, next)),
        _ => None,
    });
    assert_eq!(next, (old, Next::Replaced));
    kill(successor);
    std::fs::remove_file(&hold).unwrap();
    let (ends, error) = over(&mut group);
    assert!(matches!(error, Some(StartError::Ended(_))), "{error:?}");
    assert_eq!(ends, [(1, successor, Next::PredecessorStays)]);
    let back = event(&mut group, "the restart", |event| match event {
        Event::Ready { pid, .. } => Some(pid),
        _ => None,
    });
    assert_eq!(ask(address(&group)), Some((1, back)));
}

#[test]
fn all_end_cleanly_in_the_middle_of_a_roll() {
    let folder = tempfile::tempdir().unwrap();
    let flag = folder.path().join("not ready");
    let mut spec = answerer(2);
    spec.env.push(("NOT_READY_IF".into(), flag.clone().into()));
    let mut group = start(&spec).unwrap();
    std::fs::write(&flag, "").unwrap();
    group.roll().unwrap();
    group.check();
    assert_eq!(group.running(), 3);
    let exits = group.stop();
    assert_eq!(exits.iter().map(|exit| exit.instance).collect::<Vec<_>>(), [1, 1, 2]);
    let served: Vec<_> = exits.iter().filter(|exit| exit.was_ready).collect();
    assert!(
        served.iter().all(|exit| (exit.status, exit.reason) == (Status::Code(0), Reason::Asked)),
        "{exits:?}"
    );
    assert_eq!(served.len(), 2);
    assert!(exits.iter().all(|exit| !runs(exit.pid)));
}

#[test]
fn killing_the_supervisor_in_a_roll_leaves_no_orphan() {
    let folder = tempfile::tempdir().unwrap();
    let spec = program("supervisor_that_rolls");
    let mut parent = Command::new(&spec.program)
        .args(&spec.args)
        // The parent-death signal is tied to the thread that starts a process: the main thread, with one test thread.
        .arg("--test-threads=1")
        .env("FLAG", folder.path().join("flag"))
        .env("TMPDIR", folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let tasks = format!("/proc/{}/task", parent.id());
    let children = || -> Vec<u32> {
        let threads = std::fs::read_dir(&tasks).into_iter().flatten().flatten();
        let lists = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
        lists
            .flat_map(|list| list.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>())
            .collect()
    };
    let all = until("two instances and a successor", || Some(children()).filter(|all| all.len() == 3));
    // The successor has been told apart from a shell that is still to become it.
    until("the successor is past its start", || {
        let name = std::fs::read_to_string(format!("/proc/{}/comm", all[2])).ok()?;
        (name.trim() != "sh").then_some(())
    });
    parent.kill().unwrap();
    parent.wait().unwrap();
    until("all are gone", || all.iter().all(|pid| !runs(*pid)).then_some(()));
}
