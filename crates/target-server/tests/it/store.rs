//! What was acknowledged is there, by its content, whatever happens to the server.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rusqlite::Connection;

use crate::helper::{Client, PROGRAM, Server, get, post, run, send_signal, until};

/// What clients did: each request has a path of its own.
#[derive(Debug, Default)]
struct Load {
    sent: Mutex<BTreeSet<String>>,
    /// Those that were answered with 200.
    acknowledged: Mutex<BTreeSet<String>>,
    answers: AtomicU64,
    stop: AtomicBool,
}

impl Load {
    /// Some clients load a server until told to stop, or until nobody listens any more.
    fn run(&self, server: &Server, meanwhile: impl FnOnce()) {
        std::thread::scope(|scope| {
            for worker in 0..12 {
                scope.spawn(move || self.client(worker, server));
            }
            let _also_when_a_test_fails = Raise(&self.stop);
            meanwhile();
        });
    }

    fn client(&self, worker: usize, server: &Server) {
        let mut paths = (0..).map(|n| format!("/{worker}/{n}"));
        while !self.stop.load(Ordering::Relaxed) {
            let Some(mut client) = Client::try_connect(server.address) else { return };
            for path in paths.by_ref() {
                self.sent.lock().unwrap().insert(path.clone());
                let Some(answer) = client.try_ask(&post(&path, &path)) else { break };
                if answer.status == 200 {
                    assert_eq!(answer.body, path);
                    self.acknowledged.lock().unwrap().insert(path.clone());
                    self.answers.fetch_add(1, Ordering::Relaxed);
                }
                if self.stop.load(Ordering::Relaxed) {
                    break;
                }
                // Some leave without reading an answer.
                if worker == 0 && self.answers.load(Ordering::Relaxed).is_multiple_of(7) {
                    let path = format!("{path}/unread");
                    self.sent.lock().unwrap().insert(path.clone());
                    client.send(&get(&path));
                    break;
                }
            }
        }
    }

    fn some_more(&self) {
        let before = self.answers.load(Ordering::Relaxed);
        until("some load", || (self.answers.load(Ordering::Relaxed) > before + 300).then_some(()));
    }

    /// Whatever was acknowledged is there, nothing is there that was not sent, and nothing twice.
    fn compare(&self, server: &Server) {
        let reader = Connection::open(server.database()).unwrap();
        let mut select = reader.prepare("SELECT path FROM requests").unwrap();
        let rows = select.query_map([], |row| row.get(0)).unwrap();
        let rows: Vec<String> = rows.collect::<Result<_, _>>().unwrap();
        let kept: BTreeSet<String> = rows.iter().cloned().collect();
        assert_eq!(kept.len(), rows.len(), "rows that are there twice");
        let (sent, acknowledged) = (self.sent.lock().unwrap(), self.acknowledged.lock().unwrap());
        assert_eq!(acknowledged.difference(&kept).collect::<Vec<_>>(), [""; 0], "acknowledged but not kept");
        assert_eq!(kept.difference(&sent).collect::<Vec<_>>(), [""; 0], "kept but not sent");
        assert_eq!(server.rows(), kept.len() as u64, "what an inspection says");
    }
}

struct Raise<'a>(&'a AtomicBool);

impl Drop for Raise<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

const STORES: [&[&str]; 4] = [
    &["--store", "pool"],
    &["--store", "group"],
    &["--profile", "fast", "--synchronous", "off"],
    &["--store", "pool", "--busy", "fixed:1ms", "--checkpoint", "background", "--wal-max", "1MiB"],
];

#[test]
fn acknowledged_rows_are_there_and_none_that_nobody_sent() {
    for flags in STORES {
        let mut server = Server::start(flags);
        let load = Load::default();
        load.run(&server, || load.some_more());
        let ended = server.stop();
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
        load.compare(&server);
        assert_eq!(ended.counts["rows"], server.rows());
    }
}

#[test]
fn without_a_store_there_is_no_database() {
    let mut server = Server::start(&["--store", "none"]);
    let load = Load::default();
    load.run(&server, || load.some_more());
    assert_eq!(server.stop().counts["rows"], 0);
    assert!(!server.database().exists());
}

#[test]
fn a_kill_in_the_middle_of_load_loses_nothing_acknowledged() {
    for flags in STORES {
        let flags: Vec<_> = ["--instances", "4"].iter().chain(flags).copied().collect();
        let mut server = Server::start(&flags);
        let load = Load::default();
        load.run(&server, || {
            load.some_more();
            send_signal(server.children()[2], "KILL");
            load.some_more();
        });
        assert_eq!(server.stop().code, Some(1), "one did not live until the end");
        load.compare(&server);
    }
}

#[test]
fn a_kill_of_all_loses_nothing_acknowledged() {
    for flags in STORES {
        let mut server = Server::start(flags);
        let load = Load::default();
        load.run(&server, || {
            load.some_more();
            server.signal("KILL");
        });
        assert_eq!(server.wait().code, None);
        load.compare(&server);
    }
}

#[test]
fn a_full_disk_is_a_500_and_nothing_acknowledged_is_lost() {
    for flags in STORES {
        // Files may not grow beyond 200 blocks of 512 bytes, and who tries is told instead of killed.
        let mut limited = Command::new("/bin/sh");
        limited.args(["-c", r#"trap "" XFSZ; ulimit -f 200; exec "$0" "$@""#, PROGRAM]);
        let mut server = Server::start_by(limited, flags);
        let load = Load::default();
        load.run(&server, || {
            let mut client = server.connect();
            let failed = until("the disk is full", || {
                let answer = client.ask(&get(&format!("/{}", "x".repeat(2000))));
                (answer.status != 200).then_some(answer)
            });
            assert_eq!(failed.status, 500);
            assert!(failed.body.starts_with("the request could not be recorded: "), "{}", failed.body);
        });
        let filled = "DELETE FROM requests WHERE length(path) > 2000";
        assert_eq!(server.stop().code, Some(0));
        Connection::open(server.database()).unwrap().execute_batch(filled).unwrap();
        load.compare(&server);
    }
}

#[test]
fn a_database_deleted_under_the_server_is_a_500_that_says_so() {
    for flags in STORES {
        let server = Server::start(flags);
        let mut client = server.connect();
        assert_eq!(client.ask(&get("/")).status, 200);
        std::fs::remove_file(server.database()).unwrap();
        let answer = client.ask(&get("/"));
        let path = server.database();
        let said = format!(
            "the request could not be recorded: the database {} or its log was deleted or replaced; start the server anew\n",
            path.display()
        );
        assert_eq!((answer.status, answer.body), (500, said));
        let inspection = run(&["--inspect", "--database", path.to_str().unwrap()]);
        assert_eq!(inspection.status.code(), Some(2));
        assert!(String::from_utf8(inspection.stderr).unwrap().contains("there is no database"));
    }
}

/// Whoever was answered 2xx has a row; of a 500 nobody knows.
#[test]
fn a_log_deleted_under_the_server_leaves_rows_between_the_answers_and_the_requests() {
    for flags in STORES {
        let mut server = Server::start(flags);
        let mut client = server.connect();
        let mut well = 0;
        for n in 0..6 {
            well += u64::from(client.ask(&get("/")).status == 200);
            if n == 2 {
                std::fs::remove_file(server.database().with_extension("db-wal")).unwrap();
            }
        }
        drop(client);
        assert_eq!(well, 3, "the others were answered 500");
        let ended = server.stop();
        let rows = server.rows();
        assert!((well..=6).contains(&rows) && ended.counts["rows"] == well, "{rows} rows, {ended:?}");
    }
}

#[test]
fn a_full_queue_is_a_503_that_asks_to_come_again() {
    let mut server = Server::start(&["--threads", "1", "--queue-max", "2"]);
    let lock = Connection::open(server.database()).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut clients: Vec<_> = (0..10).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(&get("/"));
    }
    // One is taken up and two wait; the others are answered at once.
    let answered = || clients.iter().filter(|client| !client.silent()).count();
    until("refusals", || (answered() >= 7).then_some(()));
    lock.execute_batch("ROLLBACK").unwrap();
    let answers: Vec<_> = clients.iter_mut().map(Client::answer).collect();
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 503).collect();
    assert!((7..=8).contains(&refused.len()), "{answers:?}");
    assert!(refused[0].headers.contains(&"retry-after: 1".to_owned()), "{refused:?}");
    assert_eq!(
        refused[0].body,
        "the request could not be recorded: 2 others wait for the database already\n"
    );
    let ended = server.stop();
    assert_eq!((ended.code, &ended.counts["errors"]), (Some(0), &refused.len().into()));
    assert_eq!(server.rows(), 10 - refused.len() as u64);
}
