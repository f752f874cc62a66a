//! Bad configuration of every kind: one clear sentence and exit code 2, before anything listens or any file is made.

use std::process::Command;

use crate::helper::{Client, PROGRAM, Server, finish, get};

/// What the program says of its words and its environment, `--print-config` or not: the same.
fn refused(flags: &[&str], environment: &[(&str, &str)]) -> String {
    let said = [flags.to_vec(), [flags, &["--print-config"]].concat()].map(|flags| {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(PROGRAM);
        command.args(flags).envs(environment.iter().copied()).current_dir(folder.path());
        let output = finish(&mut command);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert_eq!(folder.path().read_dir().unwrap().count(), 0, "{said}");
        said.strip_prefix("target-server: ").unwrap().trim_end().to_owned()
    });
    assert_eq!(said[0], said[1]);
    said[0].clone()
}

#[test]
fn settings_that_cannot_be_meant_together() {
    for (line, said) in [
        (
            "--busy fixed:20s --busy-timeout 1s",
            "--busy fixed:20s pauses longer than --busy-timeout 1s allows; give a shorter pause or a longer timeout",
        ),
        (
            "--nodelay false --listen unix:x",
            "--nodelay has no meaning with unix sockets alone; leave one of them out",
        ),
        (
            "--listen 127.0.0.1:8001 --listen :8001",
            "--listen 127.0.0.1:8001 and --listen 0.0.0.0:8001 are one place in part; leave one of them out",
        ),
        (
            "--listen unix:x-%i --instances 2",
            "%i in --listen unix:x-%i has no meaning: all instances share the socket; choose a path without it",
        ),
        (
            "--listen unix:x.2 --admin unix:x --instances 2",
            "--admin unix:x of instance 2 is --listen unix:x.2; keep them apart",
        ),
        (
            "--database :memory:",
            "the database :memory: cannot use write-ahead logging: its journal mode stays \"memory\"",
        ),
        ("--database /", "cannot use the database /: it is a folder; choose another file"),
        ("--database missing/x", "cannot open the database missing/x: the folder missing does not exist"),
    ] {
        let flags: Vec<&str> = line.split(' ').collect();
        assert_eq!(refused(&flags, &[]), said, "{line}");
    }
}

#[test]
fn a_pause_fits_into_its_timeout_where_nobody_typed_it() {
    for timeout in ["0", "500us"] {
        let output = finish(Command::new(PROGRAM).args([
            "--profile=fast",
            "--busy-timeout",
            timeout,
            "--print-config",
        ]));
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(told["busy"], "sqlite");
    }
}

#[test]
fn printing_and_inspecting_at_once() {
    let output = finish(Command::new(PROGRAM).args(["--print-config", "--inspect"]));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("cannot be used with"), "{said}");
}

#[test]
fn a_path_that_no_socket_can_have() {
    let long = format!("unix:{}", "x".repeat(108));
    let fits = format!("unix:{}", "x".repeat(107));
    let length = "its path has 108 bytes, but that of a socket can have 107";
    assert_eq!(refused(&["--listen", &long], &[]), format!("cannot listen on {long}: {length}"));
    assert_eq!(refused(&["--admin", &long], &[]), format!("cannot listen on {long}: {length}"));
    let said = refused(&["--admin", &fits, "--instances", "2"], &[]);
    assert!(said.ends_with("its path has 109 bytes, but that of a socket can have 107"), "{said}");
}

#[test]
fn a_path_where_no_socket_can_be() {
    for flag in ["--listen", "--admin"] {
        let said = refused(&[flag, "unix:missing/x", "--store", "none"], &[]);
        assert_eq!(said, "cannot listen on unix:missing/x: its folder does not exist; create it first");
        let said = refused(&[flag, "unix:/dev/null", "--store", "none"], &[]);
        assert!(
            said.starts_with("cannot listen on unix:/dev/null: something that is not a socket lies there"),
            "{said}"
        );
    }
}

#[test]
fn a_file_to_reload_from_that_says_nothing_useful() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("settings");
    let file = path.to_str().unwrap();
    for instances in ["1", "2"] {
        let flags = ["--store", "none", "--reload-from", file, "--instances", instances];
        let said = refused(&flags, &[]);
        assert!(said.starts_with(&format!("--reload-from {file}: No such file")), "{said}");
    }
    std::fs::write(&path, "threads = 3\n").unwrap();
    let said = refused(&["--store", "none", "--reload-from", file], &[]);
    assert!(
        said.starts_with(&format!("--reload-from {file}: line 1: \"threads\" cannot be changed")),
        "{said}"
    );
}

#[test]
fn a_number_of_passed_sockets_that_is_none() {
    for wrong in ["abc", "-1", "", "2000000000"] {
        let said = refused(&["--listen", "127.0.0.1:0"], &[("LISTEN_FDS", wrong)]);
        let start = format!("LISTEN_FDS is {wrong:?}, but it is to be the number of passed sockets");
        assert!(said.starts_with(&start), "{said}");
    }
    let said = refused(&["--listen", "127.0.0.1:0"], &[("LISTEN_FDS", "1"), ("LISTEN_PID", "me")]);
    assert!(said.starts_with("LISTEN_PID is \"me\", but it is to be a process id"), "{said}");
}

#[test]
fn variables_are_named_where_the_value_comes_from_them() {
    let help = "; --help shows what there is";
    for (name, value, said) in [
        ("TARGET_STORE", "x", "invalid value 'x' for TARGET_STORE [possible values: pool, group, none]"),
        (
            "TARGET_BUSY_TIMEOUT",
            "10",
            "invalid value '10' for TARGET_BUSY_TIMEOUT: not a time like 500ms, 10s or 2m, one hour at most",
        ),
        ("TARGET_STORE", "", "TARGET_STORE is set to nothing; give it a value, or unset it"),
        ("TARGET_THREADS", "", "TARGET_THREADS is set to nothing; give it a value, or unset it"),
    ] {
        assert_eq!(refused(&[], &[(name, value)]), format!("{said}{help}"));
    }
    // What is typed wins, and is what is wrong then.
    let said = refused(&["--store=y"], &[("TARGET_STORE", "x")]);
    assert!(said.starts_with("invalid value 'y' for '--store <KIND>'"), "{said}");
}

#[test]
fn a_variable_that_would_be_ignored() {
    let taken = "(a variable that begins with TARGET_ is taken for a setting)";
    for (name, advice) in [
        ("TARGET_STOER", "set TARGET_STORE"),
        ("TARGET_LOGLEVEL", "set TARGET_LOG_LEVEL"),
        ("TARGET_OF_ANOTHER", "unset it"),
    ] {
        assert_eq!(refused(&[], &[(name, "x")]), format!("there is no setting {name}: {advice} {taken}"));
    }
    // What only ends so is somebody else's.
    let mut command = Command::new(PROGRAM);
    command.env("MY_TARGET_STOER", "x").arg("--print-config");
    assert_eq!(finish(&mut command).status.code(), Some(0));
}

#[test]
fn a_negative_value_is_called_one() {
    for (flag, value) in [("--threads", "-1"), ("--header-timeout", "-1s")] {
        let said = refused(&[flag, value], &[]);
        let sentence = format!(
            "invalid value '{value}' for '{flag}': no setting is negative; --help shows what there is"
        );
        assert_eq!(said, sentence);
    }
}

#[test]
fn too_few_open_files() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("requests.db");
    for more in ["--threads=4", "--instances=3"] {
        let mut command = Command::new("/bin/sh");
        command.args([
            "-c",
            r#"ulimit -n 12; exec "$0" "$@""#,
            PROGRAM,
            "--listen",
            "127.0.0.1:0",
            more,
            "--database",
        ]);
        let output = finish(command.arg(&database));
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.starts_with("target-server: at most 12 files may be open (ulimit -n)"), "{said}");
        assert!(!database.exists());
    }
}

#[test]
fn so_many_open_files_are_enough() {
    for (limit, more) in [(35, "--threads=4"), (67, "--threads=20"), (41, "--instances=2")] {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &format!(r#"ulimit -n {limit}; exec "$0" "$@""#), PROGRAM]);
        let server = Server::start_by(command, &[more]);
        assert_eq!(server.connect().ask(&get("/")).status, 200, "{more}");
    }
}

#[test]
fn one_alone_fills_its_number_into_the_operators_path() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("admin-%i");
    let server = Server::start(&["--store", "none", "--admin", &format!("unix:{}", place.display())]);
    let path = folder.path().join("admin-1");
    assert_eq!(server.admin.as_deref(), Some(&*format!("unix:{}", path.display())));
    assert_eq!(Client::connect_unix(&path).ask(&get("/-/readyz")).status, 200);
}
