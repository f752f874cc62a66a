//! Ends: wanted and unwanted.

use std::time::Duration;

use supervise::{Reason, State, Status, start};

use crate::helper::{kill, next_exit, notifier, runs, script, until};

#[test]
fn check_reports_each_end_once() {
    let mut spec = notifier();
    spec.instances = 2.try_into().unwrap();
    let mut group = start(&spec).unwrap();
    let victim = group.instances()[1].pid();
    kill(victim);
    let exit = next_exit(&mut group);
    assert_eq!((exit.instance, exit.pid, exit.reason), (2, victim, Reason::Itself));
    assert_eq!(exit.status, Status::Signal(9));
    assert!(group.check().is_empty());
    assert_eq!(group.running(), 1);
    assert_eq!(group.instances()[1].state(), State::Ended(Status::Signal(9)));
    let exits = group.stop();
    assert_eq!(exits.iter().map(|exit| exit.reason).collect::<Vec<_>>(), [Reason::Asked, Reason::Itself]);
}

#[test]
fn stop_lets_an_instance_finish_and_hands_over_what_it_printed() {
    let spec = script("trap 'echo bye; exit 5' TERM; echo up > /dev/stderr; while :; do sleep 0.01; done");
    let group = start(&spec).unwrap();
    until("the trap is set", || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", group.instances()[0].pid())).ok()?;
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
        (u64::from_str_radix(caught.trim(), 16).ok()? & 1 << 14 != 0).then_some(())
    });
    let exits = group.stop();
    assert_eq!((exits[0].status, exits[0].reason), (Status::Code(5), Reason::Asked));
    assert_eq!(exits[0].stdout, "bye");
}

#[test]
fn what_does_not_obey_is_killed() {
    let mut spec = script("trap '' TERM; while :; do sleep 0.01; done");
    spec.stop_timeout = Duration::from_millis(50);
    let group = start(&spec).unwrap();
    until("the trap is set", || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", group.instances()[0].pid())).ok()?;
        let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
        (u64::from_str_radix(ignored.trim(), 16).ok()? & 1 << 14 != 0).then_some(())
    });
    let exits = group.stop();
    assert_eq!((exits[0].status, exits[0].reason), (Status::Signal(9), Reason::Killed));
}

#[test]
fn dropping_the_group_kills_also_when_panicking() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let dead = std::thread::spawn(move || {
        let group = start(&script("exec sleep 60")).unwrap();
        sender.send(group.instances()[0].pid()).unwrap();
        panic!("on purpose");
    });
    dead.join().unwrap_err();
    assert!(!runs(receiver.recv().unwrap()));
}

#[test]
fn die_with_parent_refuses_a_parent_that_is_not_ours() {
    let error = supervise::child::die_with_parent(1).unwrap_err().to_string();
    assert!(error.starts_with("process 1, which started this server, is not its parent"), "{error}");
}
