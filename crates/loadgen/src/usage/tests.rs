use std::process::{Child, Command, Stdio};

use super::*;

/// A shell that computes without an end.
fn busy() -> Child {
    let script = "while :; do :; done";
    Command::new("sh").args(["-c", script]).stdout(Stdio::null()).spawn().unwrap()
}

fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

fn roster(pids: impl IntoIterator<Item = u32>) -> Roster {
    let roster = Roster::default();
    roster.set((1..).zip(pids).collect());
    roster
}

fn wait_until(timer: RealTimer, at: Nanos) {
    while timer.now() < at {
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn each_second_has_what_was_used_in_it_from_time_zero_on() {
    let child = busy();
    let timer = RealTimer::start();
    let zero = SECOND / 2;
    let watch = Watch::start(timer, zero, &roster([child.id()]));
    wait_until(timer, zero + SECOND * 5 / 2);
    let usage = watch.finish().remove(&1).unwrap();
    end(child);
    assert_eq!(usage.interval_ms, 1000);
    assert_eq!([usage.cpu_user_ms.len(), usage.rss_kib.len(), usage.threads.len()], [3; 3], "{usage:?}");
    assert!(usage.watched_ns >= 2 * SECOND && usage.watched_ns < 20 * SECOND, "{usage:?}");
    let (cpu, watched) = (usage.cpu_ms(), usage.watched_ns / 1_000_000);
    assert!(cpu > 100 && cpu <= watched + 50, "one thread computes on one CPU at most: {usage:?}");
    assert!(usage.rss_kib.iter().all(|&kib| kib > 100) && usage.threads == [1; 3], "{usage:?}");
    assert!(usage.files.iter().all(|&files| files >= 3) && usage.processes == 1, "{usage:?}");
    assert!(usage.cpus.is_some() && usage.restarts_s.is_empty(), "{usage:?}");
}

#[test]
fn another_process_in_the_place_of_an_instance_goes_on_in_its_row() {
    let (first, second, other) = (busy(), busy(), busy());
    let timer = RealTimer::start();
    let roster = roster([first.id(), other.id()]);
    let watch = Watch::start(timer, 0, &roster);
    wait_until(timer, SECOND * 3 / 2);
    end(first);
    roster.set([(1, second.id()), (2, other.id())].into());
    wait_until(timer, SECOND * 7 / 2);
    let usages = watch.finish();
    end(second);
    end(other);
    assert_eq!(usages[&1].restarts_s, [1], "{usages:?}");
    assert_eq!((usages[&1].threads.as_slice(), &usages[&2].restarts_s), ([1; 4].as_slice(), &vec![]));
    assert!(usages[&1].cpu_user_ms[3..] != [0], "{usages:?}");
}

#[test]
fn the_row_of_an_instance_that_died_ends() {
    let (first, other) = (busy(), busy());
    let timer = RealTimer::start();
    let watch = Watch::start(timer, 0, &roster([first.id(), other.id()]));
    wait_until(timer, SECOND * 3 / 2);
    end(first);
    wait_until(timer, SECOND * 7 / 2);
    let usages = watch.finish();
    end(other);
    assert_eq!([&usages[&1], &usages[&2]].map(|usage| usage.threads.len()), [1, 4], "{usages:?}");
}

#[test]
fn nothing_is_told_of_nothing() {
    assert!(Watch::start(RealTimer::start(), 0, &Roster::default()).finish().is_empty());
    let child = busy();
    let warming_up = Watch::start(RealTimer::start(), 3600 * SECOND, &roster([child.id()]));
    assert!(warming_up.finish().is_empty(), "it ended before time zero");
    end(child);
}
