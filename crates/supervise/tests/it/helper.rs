//! Programs to supervise: small shell scripts, and this test binary itself where a script cannot do it.

use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use supervise::{Ready, Spec};

/// Upper bound of every wait in these tests; nothing waits that long unless it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn anywhere() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// A shell script that is ready as soon as it is started.
pub(crate) fn script(text: &str) -> Spec {
    let mut spec = Spec::new("/bin/sh", anywhere());
    spec.args = vec!["-c".into(), text.into()];
    spec.ready = Ready::Started;
    spec.ready_timeout = PATIENCE;
    spec.stop_timeout = PATIENCE;
    spec
}

/// This binary, running [`server_that_notifies`].
pub(crate) fn notifier() -> Spec {
    let mut spec = Spec::new(std::env::current_exe().unwrap(), anywhere());
    spec.args =
        ["--exact", "helper::server_that_notifies", "--ignored", "--nocapture"].map(Into::into).into();
    spec.ready_timeout = PATIENCE;
    spec.stop_timeout = PATIENCE;
    spec
}

#[test]
#[ignore = "not a test: started by the others as a server"]
#[expect(clippy::disallowed_methods, reason = "a server reads its environment")]
fn server_that_notifies() {
    let expected = std::env::var("SUPERVISE_PARENT_PID").unwrap().parse().unwrap();
    supervise::child::die_with_parent(expected).unwrap();
    let (socket, path) = (UnixDatagram::unbound().unwrap(), std::env::var_os("NOTIFY_SOCKET").unwrap());
    // More than the kernel queues for a reader that does not read.
    for n in 0..100 {
        socket.send_to(format!("STATUS={n}\n").as_bytes(), &path).unwrap();
    }
    socket.send_to(b"READY=1\n", &path).unwrap();
    for n in 0..100 {
        socket.send_to(format!("STATUS={n} later\n").as_bytes(), &path).unwrap();
    }
    if std::env::var_os("LEAVE").is_some() {
        return;
    }
    loop {
        std::thread::park();
    }
}

/// Looks again and again until `found` has something.
#[expect(clippy::disallowed_methods, reason = "an upper bound for a wait")]
pub(crate) fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(thing) = found() {
            return thing;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether the process runs (a zombie does not).
pub(crate) fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}
