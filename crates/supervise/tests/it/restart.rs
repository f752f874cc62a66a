//! What ends by itself is started again.

use std::net::TcpStream;
use std::time::Duration;

use supervise::{Event, Group, Next, Reason, Restart, RollError, Status, start};

use crate::helper::{address, answer, answerer, ask, event, kill, next_exit, notifier, script, until};

/// What was done about the next end.
fn next_end(group: &mut Group) -> (u16, Next) {
    event(group, "an end", |event| match event {
        Event::Ended { exit, next } => Some((exit.instance, next)),
        _ => None,
    })
}

fn ready_again(group: &mut Group) -> u32 {
    event(group, "the restart", |event| match event {
        Event::Ready { pid, .. } => Some(pid),
        _ => None,
    })
}

#[test]
fn a_crash_loses_nothing_that_waits_in_the_queue() {
    let mut group = start(&answerer(1)).unwrap();
    let address = address(&group);
    let victim = group.instances()[0].pid();
    assert_eq!(ask(address), Some((1, victim)));
    kill(victim);
    // Nobody drives the group now, so nobody has been started again: these wait in the kernel's queue.
    until("the end", || (!crate::helper::runs(victim)).then_some(()));
    let waiting: Vec<TcpStream> = (0..5).map(|_| TcpStream::connect(address).unwrap()).collect();
    let (exit, next) = event(&mut group, "the end", |event| match event {
        Event::Ended { exit, next } => Some((exit, next)),
        _ => None,
    });
    assert_eq!((exit.pid, exit.reason, exit.status), (victim, Reason::Itself, Status::Signal(9)));
    assert!(exit.was_ready);
    assert_eq!(next, Next::RestartNow);
    let successor = ready_again(&mut group);
    assert_eq!(group.instances()[0].pid(), successor);
    for connection in waiting {
        assert_eq!(answer(connection), Some((1, successor)));
    }
    let exits = group.stop();
    assert_eq!(exits.len(), 1);
    assert_eq!((exits[0].pid, exits[0].status), (successor, Status::Code(0)));
}

#[test]
fn who_fails_again_waits_longer_and_is_sent_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let flag = folder.path().join("fail");
    let mut spec = answerer(2);
    spec.env.push(("FAIL_IF".into(), flag.clone().into()));
    let mut group = start(&spec).unwrap();
    let address = address(&group);
    let other = group.instances()[1].pid();
    std::fs::write(&flag, "").unwrap();
    kill(group.instances()[0].pid());
    let ends: Vec<(u16, Next)> = (0..5).map(|_| next_end(&mut group)).collect();
    let after = |millis| Next::RestartAfter(Duration::from_millis(millis));
    let expected = [Next::RestartNow, after(100), after(200), after(400), after(400)];
    assert_eq!(ends, expected.map(|next| (1, next)));
    // Its socket is closed while it waits: the kernel gives everybody to the other.
    for _ in 0..20 {
        assert_eq!(ask(address), Some((2, other)));
    }
    assert_eq!(group.running(), 1);
    std::fs::remove_file(&flag).unwrap();
    let back = ready_again(&mut group);
    until("it is sent connections again", || ask(address).filter(|answer| *answer == (1, back)));
    group.stop();
}

#[test]
fn health_is_rewarded() {
    let mut spec = answerer(1);
    let Restart::Always(backoff) = &mut spec.restart else { panic!("it is restarted") };
    backoff.healthy = Duration::ZERO;
    let mut group = start(&spec).unwrap();
    for _ in 0..3 {
        kill(group.instances()[0].pid());
        assert_eq!(next_end(&mut group), (1, Next::RestartNow));
        ready_again(&mut group);
    }
}

#[test]
fn who_is_not_ready_in_time_after_a_restart_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let flag = folder.path().join("not ready");
    let mut spec = answerer(1);
    spec.env.push(("NOT_READY_IF".into(), flag.clone().into()));
    spec.ready_timeout = Duration::from_secs(1);
    let mut group = start(&spec).unwrap();
    std::fs::write(&flag, "").unwrap();
    kill(group.instances()[0].pid());
    assert_eq!(next_exit(&mut group).reason, Reason::Itself);
    let exit = next_exit(&mut group);
    assert_eq!((exit.reason, exit.was_ready), (Reason::Late, false));
}

#[test]
fn an_instance_whose_watchdog_messages_stay_away_is_killed_and_restarted() {
    let mut spec = notifier();
    spec.restart = answerer(1).restart;
    spec.watchdog = Some(Duration::from_millis(400));
    spec.env.push(("PINGS".into(), "8".into()));
    let mut group = start(&spec).unwrap();
    let first = group.instances()[0].pid();
    assert_eq!(next_exit(&mut group).reason, Reason::Silent);
    assert_ne!(ready_again(&mut group), first);
    until("its last status", || {
        group.check();
        (group.instances()[0].description() == Some("99 later")).then_some(())
    });
}

#[test]
fn who_never_sends_watchdog_messages_is_not_watched() {
    let mut spec = notifier();
    spec.watchdog = Some(Duration::from_millis(1));
    let mut group = start(&spec).unwrap();
    assert!(group.wait(Duration::from_millis(50)).is_empty());
    assert!(group.wait(Duration::from_millis(50)).is_empty());
    assert_eq!(group.running(), 1);
}

#[test]
fn nothing_is_restarted_unasked_nor_while_everything_ends() {
    let mut group = start(&script("exec sleep 60")).unwrap();
    assert_eq!(group.roll(), Err(RollError::NotKept));
    kill(group.instances()[0].pid());
    assert_eq!(next_end(&mut group), (1, Next::Nothing));

    let mut group = start(&answerer(2)).unwrap();
    let address = address(&group);
    group.terminate();
    assert_eq!(group.roll(), Err(RollError::Stopping));
    // Nobody has been buried yet, and no copy of a socket is left in the group.
    until("nobody listens any more", || TcpStream::connect(address).err());
    assert_eq!(group.running(), 2);
    let ends = [next_end_of_each(&mut group)].concat();
    assert_eq!(ends, [(1, Next::Nothing), (2, Next::Nothing)]);
    assert!(group.wait(Duration::from_secs(3600)).is_empty(), "nothing runs, nothing is waited for");
}

fn next_end_of_each(group: &mut Group) -> Vec<(u16, Next)> {
    let mut ends = Vec::new();
    while group.running() > 0 {
        ends.extend(group.wait(Duration::from_secs(10)).into_iter().filter_map(|event| match event {
            Event::Ended { exit, next } => Some((exit.instance, next)),
            _ => None,
        }));
    }
    ends.sort_unstable_by_key(|end| end.0);
    ends
}
