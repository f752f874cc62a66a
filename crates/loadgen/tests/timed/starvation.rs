//! The published twelve timeouts are arithmetic: a server that stops accepting at its 98th connection leaves two of a hundred
//! clients in the kernel's queue, and each of them gives up as often as its timeout fits into the run.

use report::document::{Document, Run};

use crate::lab::program;
use crate::undisturbed::undisturbed;

/// A hundred clients with patience for one second, for six seconds.
fn load(settings: &str) -> Run {
    let place = tempfile::tempdir().unwrap();
    let text = format!(
        "[target]\nprofile = \"waitress\"\n{settings}\n[load]\nduration = \"6s\"\nconnections = 100\ntimeout = \"1s\"\n"
    );
    std::fs::write(place.path().join("starvation.toml"), text).unwrap();
    let mut command = program();
    command.current_dir(&place).args(["run", "starvation.toml", "--results", "results", "-o", "json"]);
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let json = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    let Document::Run(run) = report::store::parse("stdout".as_ref(), &json).unwrap() else {
        panic!("{json}")
    };
    let kept = run.verification.as_ref().unwrap();
    assert!(kept.holds(), "{kept:?}");
    *run
}

#[test]
fn two_clients_too_many_make_twelve_timeouts() {
    undisturbed(|| {
        let run = load("");
        assert_eq!((run.account.timeout, run.connections.never_answered), (12, 2), "{:?}", run.account);
        assert_eq!((run.account.failed, run.account.http_error), (0, 0));
    });
}

#[test]
fn a_higher_limit_makes_none() {
    undisturbed(|| {
        let run = load("max_connections = 100");
        assert_eq!((run.account.timeout, run.connections.never_answered), (0, 0), "{:?}", run.account);
        assert_eq!((run.account.failed, run.account.http_error), (0, 0));
    });
}
