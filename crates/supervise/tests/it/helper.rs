//! Programs to supervise: small shell scripts, and this test binary itself where a script cannot do it.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use supervise::{Address, Backoff, Event, Exit, Group, Ready, Restart, SocketSpec, Spec};

/// Upper bound of every wait in these tests; nothing waits that long unless it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A shared port that the kernel chooses.
pub(crate) fn anywhere() -> Vec<SocketSpec> {
    vec![SocketSpec::together("http", Address::Tcp("127.0.0.1:0".parse().unwrap()))]
}

/// Where the group's socket named `http` listens.
pub(crate) fn address(group: &Group) -> SocketAddr {
    group.address("http").unwrap().tcp().unwrap()
}

/// Drives the group until `found` recognises an event. What happens before is dropped.
pub(crate) fn event<T>(group: &mut Group, what: &str, mut found: impl FnMut(Event) -> Option<T>) -> T {
    until(what, || group.wait(Duration::from_millis(100)).into_iter().find_map(&mut found))
}

/// Drives the group until a process ends.
pub(crate) fn next_exit(group: &mut Group) -> Exit {
    event(group, "an end", |event| match event {
        Event::Ended { exit, .. } => Some(exit),
        _ => None,
    })
}

pub(crate) fn kill(pid: u32) {
    assert!(std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
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

/// This binary, running the server of that name in `server.rs`.
pub(crate) fn program(name: &str) -> Spec {
    let mut spec = Spec::new(std::env::current_exe().unwrap(), anywhere());
    spec.args = ["--exact", &format!("server::{name}"), "--ignored", "--nocapture"].map(Into::into).into();
    spec.ready_timeout = PATIENCE;
    spec.stop_timeout = PATIENCE;
    spec
}

/// A server that says `READY=1` and much else, and serves nobody.
pub(crate) fn notifier() -> Spec {
    program("server_that_notifies")
}

/// A server that answers every connection, restarted when it dies, with waits short enough for tests.
pub(crate) fn answerer(instances: u16) -> Spec {
    let mut spec = program("server_that_answers");
    spec.instances = instances.try_into().unwrap();
    spec.restart = Restart::Always(Backoff {
        first: Duration::from_millis(100),
        longest: Duration::from_millis(400),
        healthy: Duration::from_secs(3600),
    });
    spec
}

/// What the server at `address` answers: number and process id of the instance. `None` when it does not.
pub(crate) fn ask(address: SocketAddr) -> Option<(u16, u32)> {
    answer(TcpStream::connect(address).ok()?)
}

/// The same, by a connection that was made before.
pub(crate) fn answer(mut connection: TcpStream) -> Option<(u16, u32)> {
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut text = String::new();
    connection.read_to_string(&mut text).ok()?;
    let (number, pid) = text.split_once(' ')?;
    Some((number.parse().ok()?, pid.parse().ok()?))
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
