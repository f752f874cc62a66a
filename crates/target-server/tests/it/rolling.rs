//! A rolling restart is noticed by nobody.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::helper::{Answer, Client, Server, get, runs, until};

/// Asks for an answer on a connection of its own.
const ONCE: &str = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\nload";

/// Asks on a connection that may carry more.
const MORE: &str = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nload";

/// What clients saw.
#[derive(Debug, Default)]
struct Seen {
    answered: AtomicU64,
    lost: AtomicU64,
}

/// Keeps clients busy that send `request` again and again, each on the connection it has until an answer says that this is
/// closed, while `meanwhile` happens.
fn under_load(server: &Server, request: &str, meanwhile: impl FnOnce(&Seen)) -> Seen {
    let (seen, stop) = (Seen::default(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let mut client = Client::connect(server.address);
                    while !stop.load(Ordering::Relaxed) {
                        let answer = client.try_ask(request);
                        let whole = |answer: &Answer| (answer.status, &*answer.body) == (200, "load");
                        let counter =
                            if answer.as_ref().is_some_and(whole) { &seen.answered } else { &seen.lost };
                        counter.fetch_add(1, Ordering::Relaxed);
                        let closed =
                            |answer: Answer| answer.headers.iter().any(|line| line == "connection: close");
                        if answer.is_none_or(closed) {
                            break;
                        }
                    }
                }
            });
        }
        // Also when `meanwhile` fails: nobody waits for clients that never stop.
        let _clients_leave_in_the_end = Raise(&stop);
        until("some load", || (seen.answered.load(Ordering::Relaxed) > 200).then_some(()));
        meanwhile(&seen);
    });
    seen
}

struct Raise<'a>(&'a AtomicBool);

impl Drop for Raise<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn said(server: &Server, words: &str) {
    until(words, || server.stderr().contains(words).then_some(()));
}

/// Replaces all instances while clients send `request`.
fn roll(request: &str) {
    let mut server = Server::start(&["--instances", "4"]);
    let old = server.children();
    let seen = under_load(&server, request, |seen| {
        server.signal("USR2");
        said(&server, "rolling restart: done");
        let so_far = seen.answered.load(Ordering::Relaxed);
        until("load on the new ones", || {
            (seen.answered.load(Ordering::Relaxed) > so_far + 200).then_some(())
        });
    });
    assert_eq!(seen.lost.into_inner(), 0, "requests lost; {}", server.stderr());
    assert!(old.iter().all(|pid| !runs(*pid)));
    assert_eq!(server.children().len(), 4);
    let ended = server.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // What the replaced ones did is part of the totals.
    let answered = seen.answered.into_inner();
    assert_eq!((&ended.counts["answered"], &ended.counts["rows"]), (&answered.into(), &answered.into()));
    assert_eq!((&ended.counts["processes"], &ended.counts["untold"]), (&8.into(), &0.into()));
    assert_eq!(server.rows(), answered);
}

#[test]
fn no_request_on_a_connection_of_its_own_is_lost() {
    roll(ONCE);
}

#[test]
fn no_request_on_a_kept_connection_is_lost() {
    roll(MORE);
}

#[test]
fn a_second_request_for_a_roll_is_refused_and_a_stop_ends_it() {
    let mut server = Server::start(&["--instances", "3", "--store", "none"]);
    // An unfinished request keeps its instance, and so the roll, where it is.
    let mut busy = Vec::new();
    until("a client of every instance", || {
        let mut client = server.connect();
        client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n");
        assert_eq!(client.answer().status, 100);
        busy.push(client);
        (busy.len() == 30).then_some(())
    });
    server.signal("USR2");
    said(&server, "rolling restart: the new instance 1");
    server.signal("USR2");
    said(&server, "a rolling restart is under way already; this request is ignored");
    assert_eq!(server.children().len(), 4, "three, and the predecessor of the first");
    let all = server.children();
    server.signal("TERM");
    for client in &mut busy {
        assert_eq!(client.ask("x").body, "x");
    }
    let ended = server.wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!((&ended.counts["answered"], &ended.counts["processes"]), (&30.into(), &4.into()));
    assert!(all.iter().all(|pid| !runs(*pid)));
}

#[test]
fn one_server_alone_says_that_it_cannot_be_rolled_and_goes_on() {
    let mut server = Server::start(&["--store", "none"]);
    server.signal("USR2");
    server.read_until("roll-refused");
    assert_eq!(server.connect().ask(&get("/")).status, 200);
    assert_eq!(server.stop().code, Some(0));
}
