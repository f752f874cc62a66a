//! More clients than are let in.

use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use socket2::{Domain, Socket, Type};

use crate::helper::{Client, Server, get, post, until};

#[test]
fn beyond_the_limit_a_client_connects_but_waits_until_another_leaves() {
    let mut server = Server::start(&["--max-connections", "2", "--store", "none"]);
    let [mut first, mut second] = [server.connect(), server.connect()];
    for client in [&mut first, &mut second] {
        assert_eq!(client.ask(&get("/")).status, 200);
    }
    let mut third = server.connect();
    third.send(&get("/third"));
    // The others are served again and again meanwhile, by the same thread that could have accepted the third.
    for _ in 0..100 {
        assert_eq!(first.ask(&get("/")).status, 200);
        assert_eq!(second.ask(&get("/")).status, 200);
    }
    assert!(third.silent());
    drop(first);
    assert_eq!(third.answer().status, 200);
    assert_eq!(server.stop().counts["accepted"], 3);
}

#[test]
fn a_server_out_of_descriptors_goes_on_when_it_has_some_again() {
    let mut server = Server::start(&["--store", "none"]);
    let mut first = server.connect();
    assert_eq!(first.ask(&get("/")).status, 200);
    // The limit is one on descriptor numbers, so holes below it count as room.
    let listed = std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap();
    let open: Vec<u64> =
        listed.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect();
    let limit = open.iter().max().unwrap() + 2;
    limit_open_files(&server, limit);
    let room = limit - open.len() as u64;
    let mut clients: Vec<_> = (0..room).map(|_| server.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.ask(&get("/")).status, 200);
    }
    let mut waiting = server.connect();
    waiting.send(&get("/"));
    for _ in 0..100 {
        assert_eq!(first.ask(&get("/")).status, 200);
    }
    assert!(waiting.silent());
    clients.pop();
    assert_eq!(waiting.answer().status, 200);
    let counts = server.stop().counts;
    assert!(counts["accept_errors"].as_u64().unwrap() > 0, "{counts}");
    assert_eq!(counts["accepted"], room + 2);
}

fn open_files(server: &Server) -> u64 {
    std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count() as u64
}

fn limit_open_files(server: &Server, limit: u64) {
    let pid = Pid::from_raw(server.pid().try_into().unwrap());
    prlimit(pid, Resource::Nofile, Rlimit { current: Some(limit), maximum: Some(limit) }).unwrap();
}

#[test]
fn the_limit_is_told_once_when_it_is_reached_and_once_when_it_is_left() {
    let mut server = Server::start(&["--max-connections", "2", "--store", "none"]);
    let mut clients = [server.connect(), server.connect()];
    assert!(clients.iter_mut().all(|client| client.ask(&get("/")).status == 200));
    let told = server.event();
    assert_eq!(
        (&told["event"], &told["level"], &told["limit"]),
        (&"limit-reached".into(), &"warn".into(), &2.into())
    );
    let sentence =
        "the limit of 2 connections is reached: further ones wait in the kernel's queue and are not accepted";
    assert_eq!(told["message"], sentence);
    // They come and go, but there is never room for long: still the same episode.
    for _ in 0..20 {
        clients[0] = server.connect();
        assert_eq!(clients[0].ask(&get("/")).status, 200);
    }
    drop(clients);
    let told = server.event();
    assert_eq!((&told["event"], &told["level"]), (&"limit-left".into(), &"info".into()));
    assert_eq!(told["message"], "the limit of connections is no longer reached");
    let mut clients = [server.connect(), server.connect()];
    assert!(clients.iter_mut().all(|client| client.ask(&get("/")).status == 200));
    assert_eq!(server.event()["event"], "limit-reached");
    drop(clients);
    server.stop();
    let told = server.printed().iter().filter(|line| line.contains("\"limit-")).count();
    assert!((3..=4).contains(&told), "{:?}", server.printed());
}

#[test]
fn beyond_the_limit_a_client_can_be_answered_503() {
    let flags =
        ["--max-connections", "1", "--overload", "reject", "--store", "none", "--profile", "waitress"];
    let mut server = Server::start(&flags);
    let mut first = server.connect();
    assert_eq!(first.ask(&get("/")).status, 200);
    for _ in 0..3 {
        let mut second = server.connect();
        // It may have sent its request or not, and a large one as well.
        second.send(&post("/", &"x".repeat(1 << 20)));
        let answer = second.answer();
        assert_eq!(
            (answer.status, &*answer.body),
            (503, "this server takes no more than 1 connection at a time\n")
        );
        for header in
            ["retry-after: 1", "connection: close", "content-type: text/plain", "server: waitress-like"]
        {
            assert!(answer.headers.contains(&header.into()), "{answer:?}");
        }
        assert!(second.at_end());
    }
    assert_eq!(first.ask(&get("/")).status, 200);
    assert_eq!(
        server.event()["message"],
        "the limit of 1 connection is reached: further ones are answered 503"
    );
    drop(first);
    until("room", || (server.connect().try_ask(&get("/"))?.status == 200).then_some(()));
    let left = server.event();
    assert_eq!(left["event"], "limit-left");
    assert!(left["hit"].as_u64().unwrap() >= 3, "{left}");
}

#[test]
fn who_is_turned_away_is_waited_for_at_the_end() {
    let flags = ["--max-connections", "1", "--overload", "reject", "--store", "none", "--drain-idle", "0"];
    let mut server = Server::start(&flags);
    let mut first = server.connect();
    assert_eq!(first.ask(&get("/")).status, 200);
    let mut second = server.connect();
    // It sends on, as most clients do before they read.
    second.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8388608\r\n\r\n");
    assert_eq!(server.event()["event"], "limit-reached");
    server.signal("TERM");
    assert!(first.at_end());
    assert_eq!(server.event()["event"], "drain-begun");
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(10));
        assert!(second.try_send(&[b'x'; 1000]), "it is heard out");
    }
    assert_eq!(second.answer().status, 503);
    drop(second);
    let ended = server.wait();
    assert_eq!((ended.code, &ended.counts["turned_away"]), (Some(0), &1.into()));
}

#[test]
fn beyond_the_limit_a_client_can_be_hung_up_on() {
    let mut server = Server::start(&["--max-connections", "1", "--overload", "close", "--store", "none"]);
    let mut first = server.connect();
    assert_eq!(first.ask(&get("/")).status, 200);
    assert!(server.connect().try_ask(&get("/")).is_none());
    assert_eq!(first.ask(&get("/")).status, 200);
    drop(first);
    until("room", || (server.connect().try_ask(&get("/"))?.status == 200).then_some(()));
    assert_eq!(
        server.event()["message"],
        "the limit of 1 connection is reached: further ones are closed at once"
    );
    let left = server.event();
    assert!(left["message"].as_str().unwrap().ends_with(" turned away"), "{left}");
}

#[test]
fn how_to_turn_away_without_a_limit_is_no_setting() {
    let output = crate::helper::run(&["--overload", "reject"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("but there is no limit; give one, or leave out --overload"), "{said}");
}

/// Many clients at once that find no descriptor left at the server.
#[test]
fn a_crowd_that_uses_up_the_descriptors_is_survived() {
    let mut server = Server::start(&["--store", "none"]);
    let mut first = server.connect();
    assert_eq!(first.ask(&get("/")).status, 200);
    limit_open_files(&server, open_files(&server) + 20);
    let mut crowd: Vec<_> = (0..300).map(|_| server.connect()).collect();
    for client in &mut crowd {
        client.send(&get("/"));
    }
    for _ in 0..100 {
        assert_eq!(first.ask(&get("/")).status, 200);
    }
    let served = |crowd: &[Client]| crowd.iter().filter(|client| !client.silent()).count();
    until("some are in", || (served(&crowd) >= 10).then_some(()));
    assert!(served(&crowd) <= 25);
    drop(crowd);
    assert_eq!(server.connect().ask(&get("/")).status, 200);
    assert_eq!(first.ask(&get("/")).status, 200);
    let counts = server.stop().counts;
    assert!(counts["accept_errors"].as_u64().unwrap() > 0, "{counts}");
}

/// How many threads storm.
const STORMERS: usize = 4;

/// What the system says of an attempt that is not over at once.
const IN_PROGRESS: i32 = rustix::io::Errno::INPROGRESS.raw_os_error();

/// Connection attempts of each.
const ATTEMPTS: usize = 25_000;

#[test]
fn a_hundred_thousand_attempts_to_connect_are_survived() {
    let mut server = Server::start(&["--store", "none"]);
    let address = server.address.into();
    let mut steady = server.connect();
    std::thread::scope(|scope| {
        let storm = || {
            for _ in 0..ATTEMPTS {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
                // A reset at the end leaves no port behind, and an attempt for which there is no room is given up.
                socket.set_linger(Some(Duration::ZERO)).unwrap();
                socket.set_nonblocking(true).unwrap();
                match socket.connect(&address) {
                    Ok(()) => {}
                    Err(error) if error.raw_os_error() == Some(IN_PROGRESS) => {}
                    Err(error) => panic!("no attempt reaches the server's kernel: {error}"),
                }
            }
        };
        let stormers: Vec<_> = (0..STORMERS).map(|_| scope.spawn(storm)).collect();
        while stormers.iter().any(|stormer| !stormer.is_finished()) {
            assert_eq!(steady.ask(&get("/")).status, 200, "who is in is served meanwhile");
        }
    });
    assert_eq!(server.connect().ask(&get("/")).status, 200, "and newcomers again afterwards");
    until("nothing is left of it", || (open_files(&server) < 50).then_some(()));
    let ended = server.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.counts["accepted"].as_u64().unwrap() > 1000, "{ended:?}");
}
