//! The first SIGINT or SIGTERM ends a run early with everything measured, the second ends the program at once.

use std::time::Duration;

use loadgen::truth::{Answer, Behaviour, Truth};
use report::document::Ended as How;
use rustix::process::Signal;

use crate::helper::{Place, Running, now, until};

fn quick() -> Truth {
    Truth::start(|_| Answer::ok(10).after(Duration::from_millis(2)).into()).unwrap()
}

/// Waits until the load goes on.
fn loaded(truth: &Truth) {
    until("answers", || (truth.counts().answers > 20).then_some(()));
}

#[test]
fn the_first_one_ends_the_run_with_a_whole_report() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let (place, truth) = (Place::new(), quick());
        let running = place.start(&["-z", "60s", "-c", "4", &truth.url("/")]);
        loaded(&truth);
        let before = now();
        running.signal(signal);
        let ended = running.wait();
        assert!(before.elapsed() < Duration::from_secs(3), "it took {:?}", before.elapsed());
        assert_eq!(ended.code, code, "{ended:?}");
        ended.assert_hey();
        ended.assert_calm();
        assert!(ended.stdout.contains("\n  [200]\t"), "{}", ended.stdout);
        assert!(ended.stderr.contains("ending early"), "{}", ended.stderr);
    }
}

#[test]
fn its_document_says_how_it_ended() {
    for (signal, how) in [(Signal::INT, How::Sigint), (Signal::TERM, How::Sigterm)] {
        let (place, truth) = (Place::new(), quick());
        let running = place.start(&["-z", "60s", "-c", "4", "-o", "json", &truth.url("/")]);
        loaded(&truth);
        running.signal(signal);
        let run = running.wait().document();
        assert_eq!(run.ended, how);
        assert!(run.window.measured_ns < 60_000_000_000 && run.window.measured_ns <= run.window.wall_ns);
        let counts = truth.finish().counts;
        assert_eq!((counts.answers, counts.accepted), (run.account.ok, run.connections.opened));
    }
}

#[test]
fn requests_that_are_never_answered_do_not_hold_it_up() {
    let place = Place::new();
    let truth = Truth::start(|_| Behaviour::Silence).unwrap();
    let running = place.start(&["-n", "100", "-c", "3", "-o", "json", &truth.url("/")]);
    until("requests", || (truth.counts().requests == 3).then_some(()));
    let before = now();
    running.signal(Signal::INT);
    let ended = running.wait();
    assert!(before.elapsed() < Duration::from_secs(3), "it took {:?}", before.elapsed());
    assert_eq!(ended.code, 130, "{ended:?}");
    let run = ended.document();
    assert_eq!((run.account.sent, run.account.aborted, run.account.ok), (3, 3, 0));
    assert_eq!(run.latencies.censored.count, 3);
}

fn told(running: &mut Running) {
    running.until("that it was told", |running| running.stderr().contains("ending early").then_some(()));
}

#[test]
fn the_second_one_ends_the_program_at_once() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let place = Place::new();
        // Requests under way would be waited for.
        let truth = Truth::start(|_| Behaviour::Silence).unwrap();
        let mut running = place.start(&["-z", "60s", "-c", "3", &truth.url("/")]);
        until("requests", || (truth.counts().requests == 3).then_some(()));
        running.signal(signal);
        told(&mut running);
        running.signal(signal);
        let ended = running.wait();
        assert_eq!((ended.code, ended.stdout.as_str()), (code, ""), "{ended:?}");
    }
}

#[test]
fn the_second_one_leaves_neither_targets_nor_their_files() {
    let place = Place::new();
    // One of two connections is never accepted, so the run cannot end at once by itself.
    place.file("test.toml", "[target]\nmax_connections = 1\n[load]\nduration = \"60s\"\nconnections = 2\n");
    let mut running = place.start(&["run", "test.toml"]);
    running.until("rows", |_| (place.database_bytes() > 100_000).then_some(()));
    running.signal(Signal::TERM);
    told(&mut running);
    running.signal(Signal::TERM);
    assert_eq!(running.wait().code, 143);
    until("that no target is left", || place.targets().is_empty().then_some(()));
    assert_eq!((place.left_behind(), place.documents().len()), (vec![], 0));
}

#[test]
fn a_signal_before_the_load_is_no_failure_of_the_target() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let place = Place::new();
        place.file("test.toml", "[target]\ninstances = 4\n[load]\nduration = \"60s\"\n");
        let mut running = place.start(&["run", "test.toml"]);
        running.until("that the target starts", |_| (!place.targets().is_empty()).then_some(()));
        running.signal(signal);
        let ended = running.wait();
        assert_eq!(ended.code, code, "{ended:?}");
        ended.assert_calm();
        // It may have come so late that the load had begun: then there is a whole document.
        let (documents, begun) = (place.documents().len(), !ended.stdout.is_empty());
        assert_eq!(documents, usize::from(begun), "{ended:?}");
        assert!(begun || ended.stderr.contains("nothing was measured"), "{ended:?}");
        assert_eq!((place.targets(), place.left_behind()), (vec![], vec![]));
    }
}
