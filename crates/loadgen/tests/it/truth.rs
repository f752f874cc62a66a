//! The server that knows the answer, as a program, and the self-test.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::helper::Place;

#[test]
fn it_does_what_the_path_says_and_tells_what_it_counted() {
    let (there, here) = (Place::new(), Place::new());
    let (server, url) = there.truth_server(&["--seed", "3"]);
    for (path, code) in [("bytes/500/chunked", 0), ("status/503/bytes/20", 0), ("hang-up", 3)] {
        let ended = here.run(&["-n", "10", "-c", "2", &format!("{url}{path}")]);
        assert_eq!(ended.code, code, "{path}: {ended:?}");
    }
    server.signal(Signal::TERM);
    let ended = server.wait();
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    let told: Value = serde_json::from_str(ended.stdout.lines().nth(1).unwrap()).unwrap();
    let [requests, answers, accepted, body] =
        ["requests", "answers", "accepted", "body_written"].map(|name| told[name].as_u64().unwrap());
    assert_eq!((requests, answers, accepted, body), (30, 20, 14, 10 * 520));
    assert_eq!(told["statuses"], json!({"200": 10, "503": 10}));
}

#[test]
fn one_path_may_count_for_all() {
    let (there, here) = (Place::new(), Place::new());
    let (_server, url) = there.truth_server(&["--always", "/status/418"]);
    let ended = here.run(&["-n", "3", "-c", "1", &format!("{url}bytes/5")]);
    assert!(ended.stdout.contains("[418]\t3 responses"), "{ended:?}");
    let ended = Place::new().run(&["truth-server", "--always", "/stutter"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""));
    assert!(ended.stderr.contains("`stutter` is nothing that the truth server does"), "{ended:?}");
    ended.assert_calm();
}

#[test]
fn a_taken_port_is_told() {
    let place = Place::new();
    let (_server, url) = place.truth_server(&[]);
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let ended = Place::new().run(&["truth-server", "--listen", address]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stderr.starts_with(&format!("loadgen: cannot listen on {address}: ")), "{ended:?}");
}

#[test]
fn a_self_test_can_be_ended() {
    let place = Place::new();
    let mut running = place.start(&["selftest"]);
    running.until("a first check", |running| running.stdout().contains("pass  ").then_some(()));
    running.signal(Signal::INT);
    let ended = running.wait();
    assert_eq!(ended.code, 130, "{ended:?}");
    assert!(!ended.stdout.contains("FAIL"), "what was cut short says nothing: {ended:?}");
    assert!(!ended.stdout.contains("checks passed"), "{ended:?}");
}
