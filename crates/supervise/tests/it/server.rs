//! Not tests: programs that the tests start, by naming one of these to this binary.

#![expect(clippy::disallowed_methods, reason = "servers read their environment")]

use std::ffi::OsString;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use supervise::child::{INSTANCE, PARENT_PID, die_with_parent};
use supervise::{Event, start};

use crate::helper::{answerer, event};

/// How long a server may not notice that it is to end.
const LOOK_EVERY: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };

fn guard() {
    die_with_parent(std::env::var(PARENT_PID).unwrap().parse().unwrap()).unwrap();
}

fn notify(words: &str) {
    let path = std::env::var_os("NOTIFY_SOCKET").unwrap();
    UnixDatagram::unbound().unwrap().send_to(words.as_bytes(), path).unwrap();
}

/// Whether the variable names a file that is there.
fn flagged(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|path| PathBuf::from(path).exists())
}

#[test]
#[ignore = "not a test: a server that talks to its supervisor"]
fn server_that_notifies() {
    guard();
    // More than the kernel queues for a reader that does not read.
    (0..100).for_each(|n| notify(&format!("STATUS={n}\n")));
    notify("READY=1\n");
    (0..100).for_each(|n| notify(&format!("STATUS={n} later\n")));
    if std::env::var_os("LEAVE").is_some() {
        return;
    }
    if let Some(pings) = std::env::var_os("PINGS") {
        let usec: u64 = std::env::var("WATCHDOG_USEC").unwrap().parse().unwrap();
        for _ in 0..pings.to_str().unwrap().parse().unwrap() {
            notify("WATCHDOG=1");
            std::thread::sleep(Duration::from_micros(usec / 4));
        }
    }
    loop {
        std::thread::park();
    }
}

#[test]
#[ignore = "not a test: a server that tells everybody who it is, until SIGTERM"]
fn server_that_answers() {
    guard();
    assert!(!flagged("FAIL_IF"), "told to fail");
    let [end, hup] = [signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP].map(|signal| {
        let flag = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(signal, Arc::clone(&flag)).unwrap();
        flag
    });
    while flagged("NOT_READY_IF") && !end.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(5));
    }
    if end.load(Ordering::Relaxed) {
        return;
    }
    let listener: TcpListener = listenfd::ListenFd::from_env().take_tcp_listener(0).unwrap().unwrap();
    listener.set_nonblocking(true).unwrap();
    notify("READY=1");
    let number: OsString = std::env::var_os(INSTANCE).unwrap();
    while !end.load(Ordering::Relaxed) {
        if hup.swap(false, Ordering::Relaxed) {
            println!("hup");
        }
        let _ = poll(&mut [PollFd::new(&listener, PollFlags::IN)], Some(&LOOK_EVERY));
        // Somebody else who has the same socket may have been faster.
        if let Ok((mut connection, _)) = listener.accept() {
            let _ = write!(connection, "{} {}", number.to_str().unwrap(), std::process::id());
        }
    }
    println!("bye");
}

#[test]
#[ignore = "not a test: a supervisor that begins a rolling restart whose successor never gets ready"]
fn supervisor_that_rolls() {
    let flag = PathBuf::from(std::env::var_os("FLAG").unwrap());
    let mut spec = answerer(2);
    spec.env.push(("NOT_READY_IF".into(), flag.clone().into()));
    let mut group = start(&spec).unwrap();
    std::fs::write(&flag, "").unwrap();
    group.roll().unwrap();
    event(&mut group, "that never comes", |event| matches!(event, Event::Rolled).then_some(()));
}
