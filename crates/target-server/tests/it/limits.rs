//! More clients than are let in.

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::helper::{Server, get};

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
    let pid = Pid::from_raw(server.pid().try_into().unwrap());
    prlimit(pid, Resource::Nofile, Rlimit { current: Some(limit), maximum: Some(limit) }).unwrap();
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
