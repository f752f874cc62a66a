//! What instances print reaches whoever asks for it.

use std::time::Duration;

use supervise::{Group, Line, Lines, Signal, Stream, start};

use crate::helper::{answerer, kill, next_exit, script, until};

fn texts(lines: &[Line], stream: Stream) -> Vec<&str> {
    lines.iter().filter(|line| line.stream == stream).map(|line| line.text.as_str()).collect()
}

#[test]
fn every_line_arrives_once_and_the_last_need_not_be_whole() {
    let mut spec = script("echo one; echo two >&2; seq 20000; printf half; exec sleep 60");
    spec.lines = true;
    let mut group = start(&spec).unwrap();
    let pid = group.instances()[0].pid();
    let mut all = Vec::new();
    let mut take = |group: &mut Group| {
        group.wait(Duration::from_millis(20));
        let Lines { lines, lost, .. } = group.lines();
        assert_eq!(lost, 0);
        all.extend(lines);
        all.len()
    };
    until("all whole lines", || (take(&mut group) == 20_002).then_some(()));
    let printed = format!("/proc/{pid}/fd/1");
    until("the half line", || {
        let bytes = std::fs::read(&printed).ok()?;
        bytes.ends_with(b"half").then_some(())
    });
    assert_eq!(take(&mut group), 20_002, "it is not whole yet");
    kill(pid);
    until("the end", || (take(&mut group) == 20_003).then_some(()));
    let numbers: Vec<String> = (1..=20_000).map(|n| n.to_string()).collect();
    let expected: Vec<&str> =
        std::iter::once("one").chain(numbers.iter().map(String::as_str)).chain(["half"]).collect();
    assert_eq!(texts(&all, Stream::Stdout), expected);
    assert_eq!(texts(&all, Stream::Stderr), ["two"]);
    assert!(all.iter().all(|line| line.instance == 1 && line.pid == pid));
}

#[test]
fn without_a_taker_lines_are_not_collected() {
    let mut group = start(&script("echo one; exec sleep 60")).unwrap();
    group.wait(Duration::from_millis(20));
    assert!(group.lines().lines.is_empty());
    kill(group.instances()[0].pid());
    next_exit(&mut group);
    assert!(group.lines().lines.is_empty());
}

#[test]
fn what_nobody_takes_in_time_is_counted() {
    // 1 KiB a line, 24 MiB of them: more than may wait.
    let mut spec = script("yes $(printf '%01023d' 0) | head -n 24576; exec sleep 60");
    spec.lines = true;
    let mut group = start(&spec).unwrap();
    let printed = 24 * 1024 * 1024;
    let size = format!("/proc/{}/fd/1", group.instances()[0].pid());
    until("all is printed", || {
        group.check();
        (std::fs::metadata(&size).ok()?.len() == printed).then_some(())
    });
    let mut got = 0;
    let mut lost = 0;
    until("all is accounted for", || {
        group.check();
        let lines = group.lines();
        got += lines.lines.iter().map(|line| line.text.len() as u64 + 1).sum::<u64>();
        lost += lines.lost;
        (got + lost == printed).then_some(())
    });
    assert!(lost > 0, "24 MiB do not fit");
}

#[test]
fn signals_reach_every_instance_that_can_hear_them() {
    let mut spec = answerer(2);
    spec.lines = true;
    let mut group = start(&spec).unwrap();
    group.signal(Signal::HUP);
    let mut heard = Vec::new();
    until("both have heard", || {
        group.check();
        heard.extend(
            group.lines().lines.into_iter().filter(|line| line.text == "hup").map(|line| line.instance),
        );
        heard.sort_unstable();
        (heard == [1, 2]).then_some(())
    });

    // Who has just been started would be ended by the signal: it gets it when it is ready.
    kill(group.instances()[0].pid());
    next_exit(&mut group);
    let successor = group.instances()[0].pid();
    group.signal(Signal::HUP);
    until("the successor has heard", || {
        assert!(group.check().iter().all(|event| !matches!(event, supervise::Event::Ended { .. })));
        group.lines().lines.iter().any(|line| line.text == "hup" && line.pid == successor).then_some(())
    });
}
