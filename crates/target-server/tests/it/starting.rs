//! Between the start and the first request: the database takes as long to open as the test wants.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

use crate::helper::{Client, PROGRAM, Server, finish, get, send_signal, until};

/// A server whose database is locked. Dropping it kills it.
struct Starting {
    process: Option<Child>,
    lock: rusqlite::Connection,
    /// Where requests and where the operator's will be taken.
    http: String,
    admin: SocketAddr,
    _folder: TempDir,
}

/// An address that is free at the moment.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Starting {
    fn begin(http: Option<SocketAddr>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("requests.db");
        let lock = rusqlite::Connection::open(&database).unwrap();
        lock.execute_batch("PRAGMA journal_mode = WAL; BEGIN IMMEDIATE").unwrap();
        let unix = format!("unix:{}", folder.path().join("http.sock").display());
        let http = http.map_or(unix, |address| address.to_string());
        let admin = free();
        let process = Command::new(PROGRAM)
            .args(["--listen", &http, "--admin", &admin.to_string(), "--busy-timeout", "60m", "--database"])
            .arg(&database)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let starting = Self { process: Some(process), lock, http, admin, _folder: folder };
        assert_eq!(starting.ask("/-/readyz"), 503);
        starting
    }

    /// What the operator is answered, as soon as they are.
    fn ask(&self, path: &str) -> u16 {
        until("the operator's place", || Client::try_connect(self.admin)).ask(&get(path)).status
    }

    fn unlock(&self) {
        self.lock.execute_batch("ROLLBACK").unwrap();
    }

    /// Waits for its end.
    fn end(mut self) -> Output {
        let mut process = self.process.take().unwrap();
        until("its end", || process.try_wait().unwrap());
        process.wait_with_output().unwrap()
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

#[test]
fn nobody_can_connect_but_the_operator() {
    let http = free();
    let server = Starting::begin(Some(http));
    assert!(TcpStream::connect(http).is_err());
    server.unlock();
    until("it is ready", || (server.ask("/-/readyz") == 200).then_some(()));
    assert_eq!(Client::connect(http).ask(&get("/")).status, 200);
}

#[test]
fn who_comes_to_listen_first_keeps_the_place() {
    for http in [Some(free()), None] {
        let late = Starting::begin(http);
        let mut command = Command::new(PROGRAM);
        command.args(["--store", "none", "--listen", &late.http]);
        let _first = Server::launch(tempfile::tempdir().unwrap(), &mut command);
        late.unlock();
        let place = late.http.clone();
        let output = late.end();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        let sentence = format!("target-server: cannot listen on {place}: address already in use");
        assert!(said.starts_with(&sentence), "{said}");
    }
}

#[test]
fn the_operators_place_is_taken_from_the_first_moment_on() {
    let server = Starting::begin(Some(free()));
    let output =
        finish(Command::new(PROGRAM).args(["--store", "none", "--listen", &server.admin.to_string()]));
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn who_is_told_to_stop_does_not_wait_for_the_database() {
    for signal in ["TERM", "INT"] {
        let server = Starting::begin(Some(free()));
        send_signal(server.process.as_ref().unwrap().id(), signal);
        let output = server.end();
        let [said, told] = [output.stderr, output.stdout].map(|text| String::from_utf8(text).unwrap());
        assert_eq!((output.status.code(), &*said), (Some(0), ""));
        assert!(told.lines().last().unwrap().contains(r#""event":"stopped""#), "{told}");
    }
}
