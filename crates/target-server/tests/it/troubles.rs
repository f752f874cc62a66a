//! What goes wrong is told when it begins and when it is over, and readiness tells it meanwhile.

use std::process::Command;

use rusqlite::Connection;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::Value;

use crate::helper::{Client, PROGRAM, Server, get, until};
use crate::needs;

/// The status of `/-/readyz` and what it says.
fn readiness(client: &mut Client) -> (u16, String) {
    let answer = client.ask(&get("/-/readyz"));
    (answer.status, answer.body)
}

/// Events of this beginning, as soon as there are so many, or at the end all of them.
fn told(server: &Server, name: &str) -> Vec<Value> {
    let lines = server.printed();
    let events = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.filter(|event| event["event"].as_str().unwrap().starts_with(name)).collect()
}

/// The next event of this name.
fn next(server: &mut Server, name: &str) -> Value {
    loop {
        let event = server.event();
        if event["event"] == name {
            return event;
        }
    }
}

fn lock(server: &Server) -> Connection {
    let connection = Connection::open(server.database()).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    connection
}

#[test]
fn a_database_that_is_gone_is_told_and_so_is_its_return() {
    let mut server = Server::start(&["--admin-on-main"]);
    let mut client = server.connect();
    assert_eq!(client.ask(&get("/")).status, 200);
    assert_eq!(readiness(&mut client), (200, "serving\n".into()));
    let aside = server.folder.path().join("aside.db");
    std::fs::rename(server.database(), &aside).unwrap();
    // Nobody needs to fail first.
    let (status, said) = readiness(&mut client);
    let sentence = format!(
        "requests could not be recorded: the database {} or its log was deleted or replaced; start the server anew",
        server.database().display()
    );
    assert_eq!((status, said), (503, format!("{sentence}\n")));
    let stats: Value = serde_json::from_str(&client.ask(&get("/-/stats")).body).unwrap();
    assert_eq!((&stats["ready"], &stats["not_ready"]), (&false.into(), &sentence.clone().into()));
    assert_eq!(stats["troubles"], serde_json::json!(["database-gone"]));
    let metrics = client.ask(&get("/-/metrics")).body;
    for line in
        ["target_ready 0", "target_trouble{kind=\"database-gone\"} 1", "target_trouble{kind=\"disk-full\"} 0"]
    {
        assert!(metrics.lines().any(|told| told == line), "{line}");
    }
    for _ in 0..7 {
        assert_eq!(client.ask(&get("/")).status, 500);
    }
    std::fs::rename(aside, server.database()).unwrap();
    until("it is ready again, though nobody asks for anything else", || {
        (readiness(&mut client).0 == 200).then_some(())
    });
    let ended = next(&mut server, "database-gone-ended");
    assert_eq!((&ended["level"], &ended["hit"], &ended["well"]), (&"info".into(), &7.into(), &true.into()));
    assert_eq!(ended["message"], "the database is where it was again; 7 rows were not recorded");
    assert_eq!(client.ask(&get("/")).status, 200);
    let stats: Value = serde_json::from_str(&client.ask(&get("/-/stats")).body).unwrap();
    assert_eq!((&stats["ready"], &stats["not_ready"]), (&true.into(), &Value::Null));
    assert_eq!(stats["troubles"], serde_json::json!([]));
    drop(client);
    server.stop();
    let told = told(&server, "database-gone");
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!((&told[0]["level"], &told[0]["message"]), (&"error".into(), &sentence.into()));
}

#[test]
fn what_still_goes_wrong_at_the_end_is_told_then() {
    let mut server = Server::start(&["--admin-on-main"]);
    let mut client = server.connect();
    assert_eq!(client.ask(&get("/")).status, 200);
    std::fs::remove_file(server.database()).unwrap();
    // Nobody needs to ask for anything.
    assert_eq!(next(&mut server, "database-gone")["level"], "error");
    assert_eq!(client.ask(&get("/")).status, 500);
    drop(client);
    server.stop();
    let told = told(&server, "database-gone");
    assert_eq!(told.len(), 2, "{told:?}");
    let ended = &told[1];
    assert_eq!((&ended["level"], &ended["hit"], &ended["well"]), (&"error".into(), &1.into(), &false.into()));
    let said = ended["message"].as_str().unwrap();
    assert!(
        said.starts_with("until the server's end: ") && said.ends_with("; 1 row was not recorded"),
        "{said}"
    );
    assert_eq!(
        server.printed().last().and_then(|line| serde_json::from_str::<Value>(line).ok()).unwrap()["event"],
        "stopped"
    );
}

fn limit_files(server: &Server, bytes: Option<u64>) {
    let pid = Pid::from_raw(server.pid().try_into().unwrap());
    prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
}

#[test]
fn a_database_that_cannot_be_written_is_told() {
    for store in ["pool", "group"] {
        let mut deaf = Command::new("/bin/sh");
        deaf.args(["-c", r#"trap "" XFSZ; exec "$0" "$@""#, PROGRAM]);
        let mut server = Server::start_by(deaf, &["--admin-on-main", "--store", store]);
        let mut client = server.connect();
        assert_eq!(client.ask(&get("/")).status, 200);
        limit_files(&server, Some(1));
        for _ in 0..3 {
            assert_eq!(client.ask(&get("/")).status, 500);
        }
        let (status, said) = readiness(&mut client);
        assert_eq!((status, &*said), (503, "requests could not be recorded: disk I/O error\n"));
        // Attempts to commit go on failing.
        std::thread::sleep(std::time::Duration::from_millis(1500));
        assert_eq!(readiness(&mut client).0, 503);
        limit_files(&server, None);
        until("it is ready again", || (readiness(&mut client).0 == 200).then_some(()));
        let ended = next(&mut server, "database-failing-ended");
        assert_eq!((&ended["hit"], &ended["well"]), (&3.into(), &true.into()));
        assert_eq!(client.ask(&get("/")).status, 200);
        drop(client);
        server.stop();
        assert_eq!(told(&server, "database-failing").len(), 2);
        assert_eq!(server.rows(), 2, "attempts leave no row");
    }
}

/// Puts a small file system of its own where the database is to lie, half of it used up by ballast.
const SMALL_DISK: &str = r#"mount -t tmpfs -o size=600k none "$TMPDIR" &&
    head -c 300000 /dev/zero > "$TMPDIR/ballast" && exec "$0" "$@""#;

#[test]
fn a_disk_without_room_is_told() {
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "/bin/sh", "-c", SMALL_DISK]);
        command
    };
    let folder = tempfile::tempdir().unwrap();
    let able = unshare().arg("true").env("TMPDIR", folder.path()).status();
    if !able.is_ok_and(|status| status.success()) {
        needs::leave_out("this machine lets nobody mount a file system of his own");
        return;
    }
    let mut command = unshare();
    command.arg(PROGRAM);
    let mut server = Server::start_by(command, &["--admin-on-main"]);
    let mut client = server.connect();
    let long = get(&format!("/{}", "x".repeat(8000)));
    let failed = until("the disk is full", || {
        let answer = client.ask(&long);
        (answer.status != 200).then_some(answer)
    });
    let said = "requests could not be recorded: database or disk is full";
    assert_eq!(
        (failed.status, &*failed.body),
        (500, &*format!("{}\n", said.replace("requests", "the request")))
    );
    assert_eq!(client.ask(&long).status, 500);
    assert_eq!(readiness(&mut client), (503, format!("{said}\n")));
    let inside = format!("/proc/{}/root{}", server.pid(), server.folder.path().join("ballast").display());
    std::fs::remove_file(inside).unwrap();
    until("it is ready again", || (readiness(&mut client).0 == 200).then_some(()));
    let ended = next(&mut server, "disk-full-ended");
    assert_eq!(ended["message"], "the disk has room again; 2 rows were not recorded");
    assert_eq!(client.ask(&long).status, 200);
    drop(client);
    server.stop();
    let told = told(&server, "disk-full");
    assert_eq!((told.len(), &told[0]["message"]), (2, &said.into()));
}

#[test]
fn a_lock_that_others_keep_is_told() {
    let mut server = Server::start(&["--admin-on-main", "--busy-timeout", "30ms"]);
    let mut client = server.connect();
    let lock = lock(&server);
    for _ in 0..3 {
        assert_eq!(client.ask(&get("/")).status, 500);
    }
    until("an attempt has failed too", || (readiness(&mut client).0 == 503).then_some(()));
    lock.execute_batch("ROLLBACK").unwrap();
    until("it is ready again", || (readiness(&mut client).0 == 200).then_some(()));
    let ended = next(&mut server, "busy-timeout-ended");
    assert_eq!((&ended["hit"], &ended["level"]), (&3.into(), &"info".into()));
    assert_eq!(ended["message"], "the database is no longer locked by others; 3 rows were given up");
    drop(client);
    server.stop();
    let told = told(&server, "busy-timeout");
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[0]["message"], "requests could not be recorded: database is locked");
}

#[test]
fn a_row_that_the_database_does_not_take_is_no_reason_to_be_unready() {
    let mut server = Server::start(&["--admin-on-main"]);
    let mut client = server.connect();
    Connection::open(server.database())
        .unwrap()
        .execute_batch(
            "CREATE TRIGGER picky BEFORE INSERT ON requests WHEN NEW.path = '/bad'
             BEGIN SELECT RAISE(FAIL, 'no thanks'); END",
        )
        .unwrap();
    assert_eq!(client.ask(&get("/bad")).status, 500);
    assert_eq!(readiness(&mut client).0, 200);
    assert_eq!(next(&mut server, "row-refused-ended")["hit"], 1);
    Connection::open(server.database()).unwrap().execute_batch("DROP TABLE requests").unwrap();
    assert_eq!(client.ask(&get("/")).status, 500);
    until("nothing can be recorded", || (readiness(&mut client).0 == 503).then_some(()));
}

#[test]
fn a_full_queue_is_told_once() {
    let mut server = Server::start(&["--threads", "1", "--queue-max", "1"]);
    let lock = lock(&server);
    let mut clients: Vec<_> = (0..10).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(&get("/"));
    }
    let begun = next(&mut server, "queue-full");
    assert_eq!(begun["message"], "requests are answered 503: 1 row waits for the database already");
    lock.execute_batch("ROLLBACK").unwrap();
    let refused =
        clients.iter_mut().filter_map(|client| (client.answer().status == 503).then_some(())).count();
    let ended = next(&mut server, "queue-full-ended");
    assert_eq!((&ended["hit"], &ended["level"]), (&refused.into(), &"info".into()));
    drop(clients);
    server.stop();
    assert_eq!(told(&server, "queue-full").len(), 2);
}

#[test]
fn a_server_out_of_descriptors_says_so_once() {
    let mut server = Server::start(&["--store", "none"]);
    let mut first = server.connect();
    assert_eq!(first.ask(&get("/")).status, 200);
    let open = std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count() as u64;
    let pid = Pid::from_raw(server.pid().try_into().unwrap());
    prlimit(pid, Resource::Nofile, Rlimit { current: Some(open), maximum: Some(open + 1000) }).unwrap();
    let mut crowd: Vec<_> = (0..20).map(|_| server.connect()).collect();
    let begun = next(&mut server, "accept-failing");
    // The words in between are those of the C library.
    let said = begun["message"].as_str().unwrap();
    assert!(said.starts_with("connections cannot be accepted: "), "{said}");
    assert!(said.ends_with(" (os error 24); raise the limit of open files (ulimit -n)"), "{said}");
    assert_eq!(begun["level"], "error");
    // It tries again all the time.
    std::thread::sleep(std::time::Duration::from_millis(300));
    prlimit(pid, Resource::Nofile, Rlimit { current: Some(open + 1000), maximum: Some(open + 1000) })
        .unwrap();
    assert!(crowd.iter_mut().all(|client| client.ask(&get("/")).status == 200));
    let ended = next(&mut server, "accept-failing-ended");
    assert!(ended["hit"].as_u64().unwrap() > 1 && ended["well"] == true, "{ended}");
    drop((crowd, first));
    server.stop();
    assert_eq!(told(&server, "accept-failing").len(), 2);
}

#[test]
fn checkpoints_that_fail_are_told_once() {
    let flags = ["--checkpoint", "background", "--wal-max", "1MiB"];
    let mut server = Server::start(&flags);
    let mut client = server.connect();
    assert_eq!(client.ask(&get("/")).status, 200);
    let reader = Connection::open(server.database()).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM requests").unwrap();
    let long = get(&format!("/{}", "x".repeat(8000)));
    let log = server.database().with_extension("db-wal");
    until("the log is longer than it may be", || {
        assert_eq!(client.ask(&long).status, 200);
        (std::fs::metadata(&log).unwrap().len() > 1 << 20).then_some(())
    });
    let begun = next(&mut server, "checkpoint-failing");
    let said = "the write-ahead log cannot be moved into the database: database is locked";
    assert_eq!((&begun["level"], &begun["message"]), (&"warn".into(), &said.into()));
    reader.execute_batch("COMMIT").unwrap();
    let ended = next(&mut server, "checkpoint-failing-ended");
    assert!(ended["hit"].as_u64().unwrap() >= 1 && ended["level"] == "info", "{ended}");
    drop(client);
    server.stop();
    assert_eq!(told(&server, "checkpoint-failing").len(), 2);
}

#[test]
fn a_limit_that_is_reached_again_and_again_is_told_once() {
    let mut server = Server::start(&["--store", "none", "--max-connections", "12"]);
    for _ in 0..10 {
        let mut all: Vec<_> = (0..12).map(|_| server.connect()).collect();
        assert!(all.iter_mut().all(|client| client.ask(&get("/")).status == 200));
        drop(all);
        // Most have left when these come.
        for _ in 0..12 {
            assert_eq!(server.connect().ask(&get("/")).status, 200);
        }
    }
    let left = next(&mut server, "limit-left");
    assert_eq!((&left["level"], &left["limit"], &left["hit"]), (&"info".into(), &12.into(), &0.into()));
    server.stop();
    assert_eq!(told(&server, "limit-").len(), 2, "{:?}", server.printed());
}
