//! Nobody reads what it prints: it serves and ends all the same.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;

use crate::helper::{PROGRAM, Server, get, runs, send_signal, until};

/// Fills the pipe that is a process's stdout: whoever prints there waits.
fn fill_stdout(pid: u32) {
    let without_waiting = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap();
    let mut options = std::fs::OpenOptions::new();
    let mut pipe =
        options.write(true).custom_flags(without_waiting).open(format!("/proc/{pid}/fd/1")).unwrap();
    // Smaller and smaller, until there is no room for a single byte.
    for size in [4096, 1] {
        while pipe.write(&vec![b'\n'; size]).is_ok() {}
    }
}

/// A server whose stderr is the same pipe as its stdout.
fn one_pipe(flags: &[&str]) -> Server {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", r#"exec "$0" "$@" 2>&1"#, PROGRAM, "--store", "none"]);
    Server::start_by(command, flags)
}

#[test]
fn a_server_ends_though_its_last_words_find_no_reader() {
    let mut server = Server::start(&["--store", "none", "--log-sample", "1"]);
    fill_stdout(server.pid());
    let mut client = server.connect();
    for _ in 0..2000 {
        assert_eq!(client.ask(&get("/")).status, 200);
    }
    drop(client);
    server.signal("TERM");
    until("its end", || (!runs(server.pid())).then_some(()));
    server.stop_reading();
    let ended = server.wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stderr, "target-server: the last lines are missing on stdout: nobody reads it\n");
}

#[test]
fn a_server_ends_though_nobody_reads_its_complaint() {
    let server = one_pipe(&["--drain-timeout", "100ms"]);
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.answer().status, 100);
    fill_stdout(server.pid());
    server.signal("TERM");
    until("its end", || (!runs(server.pid())).then_some(()));
}

#[test]
fn instances_are_looked_after_though_nobody_reads() {
    let server = one_pipe(&["--instances", "2"]);
    fill_stdout(server.pid());
    let before = server.children();
    send_signal(before[0], "KILL");
    let successor = until("it is restarted", || {
        let now = server.children();
        now.iter().copied().find(|pid| !before.contains(pid))
    });
    assert!(!server.children().contains(&before[0]), "its end was collected");
    // More than may wait to be printed.
    for _ in 0..100 {
        server.signal("USR2");
    }
    server.signal("TERM");
    until("the end of all", || (!runs(server.pid())).then_some(()));
    assert!(!runs(before[1]) && !runs(successor));
}
