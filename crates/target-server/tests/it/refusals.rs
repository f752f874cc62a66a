//! What cannot be served is refused with a sentence and exit code 2, before anything listens.

use std::net::TcpListener;
use std::process::Command;

use crate::helper::{PROGRAM, Server, finish, run};

fn refused(flags: &[&str]) -> String {
    let output = run(flags);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(output.stdout.is_empty());
    stderr
}

#[test]
fn a_port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let sentence = format!(
        "cannot listen on {address}: address already in use; stop the other server or choose another port"
    );
    for instances in ["1", "2"] {
        let said = refused(&["--listen", &address, "--store", "none", "--instances", instances]);
        assert!(said.starts_with(&format!("target-server: {sentence}")), "{said}");
    }
}

#[test]
fn a_port_in_use_that_is_for_the_operator() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = refused(&["--listen", "127.0.0.1:0", "--admin", &address, "--store", "none"]);
    assert!(said.ends_with("stop the other server or choose another port\n"), "{said}");
}

#[test]
fn a_port_shared_by_another_group_of_ours() {
    let server = Server::start(&["--instances", "2", "--store", "none"]);
    for instances in ["1", "2"] {
        let said =
            refused(&["--listen", &server.address.to_string(), "--store", "none", "--instances", instances]);
        assert!(said.contains("address already in use"), "{said}");
    }
}

#[test]
fn a_place_for_the_operator_in_use_leaves_no_database_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("requests.db");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for instances in ["1", "2"] {
        let flags = ["--listen", "127.0.0.1:0", "--admin", &address, "--instances", instances];
        let said = refused(&[flags.as_slice(), &["--database", path.to_str().unwrap()]].concat());
        let start = format!("target-server: cannot listen on {address}: address already in use");
        assert!(said.starts_with(&start), "{said}");
        assert!(!path.exists());
    }
}

#[test]
fn a_database_without_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing/requests.db");
    let path = path.to_str().unwrap();
    for instances in ["1", "2"] {
        let said = refused(&["--listen", "127.0.0.1:0", "--database", path, "--instances", instances]);
        let missing = folder.path().join("missing");
        assert_eq!(
            said,
            format!(
                "target-server: cannot open the database {path}: the folder {} does not exist\n",
                missing.display()
            )
        );
    }
}

#[test]
fn a_database_that_cannot_be_one() {
    let folder = tempfile::tempdir().unwrap();
    let not_ours = folder.path().join("text");
    std::fs::write(&not_ours, "just some text, long enough to be looked at as a database".repeat(100))
        .unwrap();
    for path in [folder.path(), &not_ours, "/proc/requests.db".as_ref()] {
        let said = refused(&["--listen", "127.0.0.1:0", "--database", path.to_str().unwrap()]);
        let start = format!("target-server: cannot use the database {}: ", path.display());
        assert!(said.starts_with(&start), "{said}");
    }
    let said = refused(&["--listen", "127.0.0.1:0", "--database", ":memory:"]);
    assert!(said.contains("cannot use write-ahead logging: its journal mode stays \"memory\""), "{said}");
}

#[test]
fn numbers_out_of_range() {
    for flags in [
        ["--threads", "0"],
        ["--threads", "257"],
        ["--instances", "0"],
        ["--instances", "257"],
        ["--backlog", "0"],
        ["--max-connections", "1e3"],
        ["--queue-max", "4294967296"],
        ["--seed", "four"],
        ["--busy-timeout", "10"],
        ["--listen", "8080"],
    ] {
        let said = refused(&flags);
        assert!(said.contains(&format!("invalid value '{}' for '{}", flags[1], flags[0])), "{said}");
    }
    let said = refused(&["--threads", "four"]);
    assert!(said.contains(": not a whole number from 1 to 256;"), "{said}");
}

#[test]
fn an_inspection_of_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("requests.db");
    let said = refused(&["--inspect", "--database", path.to_str().unwrap()]);
    assert_eq!(said, format!("target-server: there is no database {}\n", path.display()));
    assert!(!path.exists(), "and it is not created either");
    std::fs::write(&path, "").unwrap();
    let said = refused(&["--inspect", "--database", path.to_str().unwrap()]);
    assert!(said.contains("no such table: requests"), "{said}");
}

#[test]
fn settings_come_from_the_environment_too_and_what_was_typed_wins() {
    let settings = |flags: &[&str]| -> serde_json::Value {
        let mut command = Command::new(PROGRAM);
        command.env("TARGET_THREADS", "7").env("TARGET_BACKLOG", "9").arg("--print-config").args(flags);
        serde_json::from_slice(&finish(&mut command).stdout).unwrap()
    };
    let meant = settings(&["--threads", "5"]);
    assert_eq!((&meant["threads"], &meant["backlog"]), (&"5".into(), &"9".into()));
    let mut wrong = Command::new(PROGRAM);
    wrong.env("TARGET_STORE", "nonsense");
    assert_eq!(finish(&mut wrong).status.code(), Some(2));
}

#[test]
fn what_would_be_ignored() {
    let said = refused(&["--store", "none", "--threads", "3"]);
    assert_eq!(said, "target-server: --threads has no meaning with --store none; leave one of them out\n");
}

#[test]
fn what_cannot_be_read_is_one_sentence() {
    let said = refused(&["--thread", "3"]);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("target-server: unexpected argument '--thread' found"), "{said}");
}
