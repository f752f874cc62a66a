//! Several processes, one port, one database.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use supervise::{Address, SocketSpec, Spec};

use crate::helper::{Client, PATIENCE, PROGRAM, Server, finish, get, post, run, runs, send_signal, until};

fn group(instances: u16, database: &std::path::Path) -> supervise::Group {
    let http = SocketSpec::together("http", Address::Tcp("127.0.0.1:0".parse().unwrap()));
    let mut spec = Spec::new(PROGRAM, vec![http]);
    spec.instances = instances.try_into().unwrap();
    spec.args = vec!["--database".into(), database.into()];
    spec.ready_timeout = PATIENCE;
    spec.stop_timeout = PATIENCE;
    supervise::start(&spec).unwrap()
}

#[test]
fn four_instances_record_every_answer_exactly_once() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("requests.db");
    let group = group(4, &database);
    let address = group.address("http").unwrap().tcp().unwrap();
    std::thread::scope(|scope| {
        for worker in 0..16 {
            scope.spawn(move || {
                let mut client = Client::connect(address);
                for n in 0..50 {
                    let body = format!("{worker}/{n}");
                    let answer = client.ask(&post(&format!("/{body}"), &body));
                    assert_eq!((answer.status, answer.body), (200, body));
                }
            });
        }
    });
    let exits = group.stop();
    let rows =
        |text: &str| -> target_server::Counts { serde_json::from_str(text.lines().last().unwrap()).unwrap() };
    assert!(exits.iter().all(|exit| exit.status == supervise::Status::Code(0)), "{exits:?}");
    assert_eq!(exits.iter().map(|exit| rows(&exit.stdout).rows).sum::<u64>(), 800);
    let reader = rusqlite::Connection::open(&database).unwrap();
    let distinct: i64 =
        reader.query_row("SELECT count(DISTINCT path) FROM requests", [], |row| row.get(0)).unwrap();
    let all: i64 = reader.query_row("SELECT count(*) FROM requests", [], |row| row.get(0)).unwrap();
    assert_eq!((all, distinct), (800, 800));
}

#[test]
fn eight_instances_may_create_the_database_at_once() {
    for _ in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        let group = group(8, &folder.path().join("requests.db"));
        assert!(group.stop().iter().all(|exit| exit.status == supervise::Status::Code(0)));
    }
}

#[test]
fn the_parent_adds_up_and_ends_cleanly() {
    let mut server = Server::start(&["--instances", "3"]);
    assert_eq!(server.children().len(), 3);
    for _ in 0..30 {
        assert_eq!(server.connect().ask(&get("/")).status, 200);
    }
    let ended = server.stop();
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    assert_eq!((&ended.counts["accepted"], &ended.counts["rows"]), (&30.into(), &30.into()));
    assert_eq!(ended.counts["instances"].as_array().unwrap().len(), 3);
    assert_eq!((&ended.counts["processes"], &ended.counts["untold"]), (&3.into(), &0.into()));
    assert_eq!(server.rows(), 30);
}

/// Raises a flag also when a test fails, so that nobody waits for it for ever.
struct Raise<'a>(&'a AtomicBool);

impl Drop for Raise<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_killed_instance_is_reported_and_the_others_go_on() {
    let mut server = Server::start(&["--instances", "3"]);
    let answers = AtomicU64::new(0);
    let served = || answers.load(Ordering::Relaxed);
    let stop = AtomicBool::new(false);
    let victim = server.children()[1];
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    // A client of the killed instance loses its connection and takes another.
                    let mut client = Client::connect(server.address);
                    while !stop.load(Ordering::Relaxed) && client.try_ask(&get("/")).is_some() {
                        answers.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        let _clients_leave_in_the_end = Raise(&stop);
        until("some load", || (served() > 200).then_some(()));
        send_signal(victim, "KILL");
        until("the report", || server.stderr().contains("ended with").then_some(()));
        let so_far = served();
        until("more load", || (served() > so_far + 200).then_some(()));
    });
    until("the restart", || server.stderr().contains("serves again").then_some(()));
    let successor = server.children().into_iter().max().unwrap();
    assert_eq!(
        server.stderr(),
        format!(
            "target-server: instance 2 (process {victim}) ended with signal 9 (SIGKILL); it is restarted; \
             what it did is missing from the totals\n\
             target-server: instance 2 (process {successor}) serves again\n"
        )
    );
    let ended = server.stop();
    assert_eq!(ended.code, Some(1), "the end of one was not clean");
    assert_eq!((&ended.counts["processes"], &ended.counts["untold"]), (&4.into(), &1.into()));
    let rows = server.rows();
    assert!(rows >= served() && rows <= served() + 6, "{rows} rows, {} answers", served());
    let events = server.printed().into_iter().map(|line| serde_json::from_str(&line).unwrap());
    let events: Vec<serde_json::Value> = events.collect();
    let named = |name: &str| events.iter().filter(|event| event["event"] == name).collect::<Vec<_>>();
    assert_eq!(named("drain-begun").len(), 3, "what instances print is printed");
    assert_eq!(named("stopped").len(), 1, "but what they did is for the totals");
    let (ends, restarts) = (named("instance-ended"), named("instance-ready"));
    assert_eq!((ends.len(), &ends[0]["instance"], &ends[0]["pid"]), (1, &"2".into(), &victim.into()));
    assert_eq!((restarts.len(), &restarts[0]["pid"]), (1, &successor.into()));
}

#[test]
fn an_instance_that_leaves_on_its_own_is_restarted_too() {
    let mut server = Server::start(&["--instances", "2", "--store", "none"]);
    let leaver = server.children()[0];
    send_signal(leaver, "TERM");
    until("the restart", || server.stderr().contains("serves again").then_some(()));
    assert!(
        server.stderr().starts_with(&format!(
            "target-server: instance 1 (process {leaver}) ended with exit code 0; it is restarted\n"
        )),
        "{}",
        server.stderr()
    );
    assert_eq!(server.connect().ask(&get("/")).status, 200);
    assert_eq!(server.stop().code, Some(1), "not every process lived until the end");
}

#[test]
fn a_hangup_is_passed_on_and_ends_nobody() {
    let mut server = Server::start(&["--instances", "2", "--store", "none"]);
    let children = server.children();
    server.signal("HUP");
    let mut heard: Vec<String> = Vec::new();
    while heard.len() < 2 {
        let event: serde_json::Value = serde_json::from_str(&server.read_until("reload")).unwrap();
        heard.push(event["instance"].as_str().unwrap().to_owned());
    }
    heard.sort();
    assert_eq!(heard, ["1", "2"]);
    assert_eq!(server.children(), children);
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn all_instances_may_be_killed_at_once_and_no_waiting_client_notices() {
    let mut server = Server::start(&["--instances", "2", "--store", "none"]);
    let old = server.children();
    for instance in &old {
        send_signal(*instance, "KILL");
    }
    until("both are dead", || old.iter().all(|instance| !runs(*instance)).then_some(()));
    for _ in 0..10 {
        assert_eq!(server.connect().ask(&get("/")).status, 200);
    }
    let ended = server.stop();
    assert_eq!(ended.code, Some(1));
    assert_eq!((&ended.counts["answered"], &ended.counts["untold"]), (&10.into(), &2.into()));
}

#[test]
fn a_stop_under_load_loses_no_request() {
    for store in ["pool", "group"] {
        let flags = ["--instances", "3", "--store", store, "--drain-idle", "10s"];
        let mut server = Server::start(&flags);
        let answers = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..9 {
                scope.spawn(|| {
                    let mut client = server.connect();
                    loop {
                        let answer = client.try_ask(&post("/", "load")).expect("an answer to every request");
                        assert_eq!((answer.status, &*answer.body), (200, "load"));
                        answers.fetch_add(1, Ordering::Relaxed);
                        if answer.headers.contains(&"connection: close".to_owned()) {
                            break;
                        }
                    }
                });
            }
            until("some load", || (answers.load(Ordering::Relaxed) > 300).then_some(()));
            server.signal("TERM");
        });
        let ended = server.wait();
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
        let answers = answers.into_inner();
        assert_eq!((&ended.counts["answered"], &ended.counts["rows"]), (&answers.into(), &answers.into()));
        assert_eq!(server.rows(), answers);
    }
}

#[test]
fn killing_the_parent_leaves_no_orphan() {
    let mut server = Server::start(&["--instances", "2", "--store", "none"]);
    let children = server.children();
    assert_eq!(children.len(), 2);
    assert!(children.iter().all(|child| runs(*child)));
    server.signal("KILL");
    assert_eq!(server.wait().code, None);
    until("both instances are gone", || children.iter().all(|child| !runs(*child)).then_some(()));
}

#[test]
fn an_instance_whose_parent_is_gone_refuses_to_start() {
    let mut command = std::process::Command::new(PROGRAM);
    command.args(["--store", "none", "--listen", "127.0.0.1:0"]).env("SUPERVISE_PARENT_PID", "1");
    let output = finish(&mut command);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.starts_with("target-server: process 1, which started this server, is not its parent"),
        "{said}"
    );
}

#[test]
fn a_second_signal_reaches_the_instances_as_well() {
    let mut server = Server::start(&["--instances", "2", "--drain-timeout", "60m", "--busy-timeout", "60m"]);
    let lock = rusqlite::Connection::open(server.database()).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.answer().status, 100);
    client.send("x");
    let children = server.children();
    server.signal("INT");
    until("nothing listens any more", || std::net::TcpStream::connect(server.address).err());
    // What comes sooner is taken for the same one.
    std::thread::sleep(Duration::from_millis(150));
    server.signal("INT");
    let ended = server.wait();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("requests were cut off by a second signal"), "{}", ended.stderr);
    let told = ["cut_off", "unanswered", "untold"].map(|name| ended.counts[name].as_u64());
    assert_eq!(told, [Some(1), Some(1), Some(0)]);
    assert!(children.iter().all(|child| !runs(*child)));
}

#[test]
fn a_third_signal_kills_who_does_not_hear() {
    let mut server = Server::start(&["--store", "none", "--instances", "2", "--drain-timeout", "60m"]);
    send_signal(server.children()[0], "STOP");
    server.signal("INT");
    crate::shutdown::again_until_it_ends(&server, "INT");
    let ended = server.wait();
    assert_eq!((ended.code, &ended.counts["untold"]), (Some(1), &1.into()), "{ended:?}");
    assert!(ended.stderr.contains("had to be killed"), "{}", ended.stderr);
}

#[test]
fn an_inspection_may_run_beside_the_server() {
    let server = Server::start(&["--instances", "2"]);
    server.connect().ask(&get("/"));
    let database = server.database();
    let output = run(&["--inspect", "--database", database.to_str().unwrap()]);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "{\"rows\":1,\"integrity\":\"ok\"}\n");
    assert_eq!(output.status.code(), Some(0));
}
