//! Ready or not.

use std::sync::atomic::Ordering;
use std::time::Duration;

use supervise::{Ready, Spec, StartError, State, start};

use crate::helper::{anywhere, next_exit, notifier, runs, script, until};

#[test]
fn ready_means_every_instance_said_so() {
    let mut spec = notifier();
    spec.instances = 3.try_into().unwrap();
    let mut group = start(&spec).unwrap();
    assert!(group.instances().iter().all(|instance| instance.state() == State::Ready));
    assert!(group.check().is_empty());
    let exits = group.stop();
    assert_eq!(exits.iter().map(|exit| exit.instance).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(exits.iter().all(|exit| exit.reason == supervise::Reason::Asked), "{exits:?}");
}

#[test]
fn a_ready_instance_may_go_on_talking() {
    let mut spec = notifier();
    spec.env.push(("LEAVE".into(), "1".into()));
    let mut group = match start(&spec) {
        Ok(group) => group,
        // It may have left before anybody looked.
        Err(StartError::Ended(exit)) => return assert_eq!(exit.status, supervise::Status::Code(0)),
        Err(error) => panic!("{error}"),
    };
    let exit = next_exit(&mut group);
    assert_eq!(exit.status, supervise::Status::Code(0));
}

#[test]
fn an_instance_that_ends_first_is_the_error_with_its_last_words() {
    let mut spec = script("for n in $(seq 30); do echo line $n >&2; done; exit 3");
    spec.ready = Ready::Notify;
    let error = start(&spec).unwrap_err().to_string();
    assert!(
        error.starts_with("instance 1 ended with exit code 3 before it was ready; it said:\nline 11\n"),
        "{error}"
    );
    assert!(error.ends_with("\nline 30"), "{error}");
}

#[test]
fn a_missing_program_is_named() {
    let error = start(&Spec::new("no-such-program-here", anywhere())).unwrap_err().to_string();
    assert!(error.starts_with("instance 1 ended with exit code 127"), "{error}");
    assert!(error.contains("no-such-program-here"), "{error}");
}

#[test]
fn patience_ends_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let note = folder.path().join("pid");
    let mut spec = script(&format!(
        "echo $$ > {0}.new; mv {0}.new {0}; echo waiting >&2; exec sleep 60",
        note.display()
    ));
    spec.ready = Ready::Notify;
    // Long enough for the script to write its note, or the last assertion below has nothing to look at.
    spec.ready_timeout = Duration::from_millis(500);
    let error = start(&spec).unwrap_err();
    assert!(matches!(error, StartError::NotReady { instance: 1, .. }));
    assert_eq!(error.to_string(), "instance 1 was not ready within 500ms; it said:\nwaiting");
    let pid = std::fs::read_to_string(note).unwrap().trim().parse().unwrap();
    assert!(!runs(pid));
}

#[test]
fn a_start_can_be_cancelled() {
    let mut spec = script("exec sleep 60");
    spec.ready = Ready::Notify;
    spec.cancel.store(true, Ordering::Relaxed);
    assert!(matches!(start(&spec).unwrap_err(), StartError::Cancelled));
}

#[test]
fn helpers_of_an_instance_end_with_it() {
    let mut group = start(&script("sleep 60 & wait")).unwrap();
    let pid = group.instances()[0].pid();
    let children = format!("/proc/{pid}/task/{pid}/children");
    let helper = until("the helper", || {
        let list = std::fs::read_to_string(&children).ok()?;
        list.split_whitespace().next()?.parse::<u32>().ok()
    });
    group.terminate();
    next_exit(&mut group);
    until("the helper's end", || (!runs(helper)).then_some(()));
}
