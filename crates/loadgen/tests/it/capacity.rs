//! The highest rate that meets an objective.

use std::net::{SocketAddr, TcpStream};

use rustix::process::Signal;
use serde_json::Value;

use crate::helper::Place;

#[test]
fn what_no_rate_meets_is_told() {
    let (there, here) = (Place::new(), Place::new());
    let (_server, url) = there.truth_server(&[]);
    let words = ["capacity", &url, "-c", "2", "--from", "640", "--slo", "fastest < 1ns", "--trial", "300ms"];
    let ended = here.run(&[&words[..], &["-o", "json"]].concat());
    let Some(json) = ended.capacity() else { return };
    assert_eq!(
        (ended.code, &json["end"], &json["passes"]),
        (1, &"nothing-passes".into(), &Value::Null),
        "{json:#}"
    );
    assert_eq!(json["fails"], 10.0);
    let why = json["trials"][0]["why"].as_str().unwrap();
    assert!(why.starts_with("fastest < 1ns does not hold: "), "{why}");
}

#[test]
fn a_search_is_bounded_and_says_that_nothing_is_confirmed() {
    let place = Place::with("s.toml", "[load]\nrequests = 40\n[assert]\nalways = [\"rps > 1000000\"]\n");
    let words = ["capacity", "s.toml", "-c", "2", "--from", "20", "--slo", "errors == 0", "--trial", "200ms"];
    let ended = place.run(&[&words[..], &["--most-trials", "2", "--tag", "why=test"]].concat());
    assert_eq!(ended.code, 4, "{ended:?}");
    let runs = place.documents();
    assert_eq!(runs.len(), 2, "{ended:?}");
    for run in &runs {
        let found = run.verification.as_ref().unwrap();
        assert_eq!(found.rows, found.acknowledged, "a database of its own");
        assert_eq!(
            (run.assertions.len(), run.tags["why"].as_str()),
            (1, "test"),
            "the objective alone is asserted"
        );
    }
    // 1 s at 20 requests a second, 500 ms at 40, with a warm-up as long: at least five seconds, but no longer than the trial.
    let warmups: Vec<_> = runs.iter().map(|run| run.config["load.warmup"].clone()).collect();
    let lengths: Vec<_> = runs.iter().map(|run| run.config["load.duration"].clone()).collect();
    assert_eq!(warmups, lengths);
    let is_limited = ended.stdout.contains("generator limit reached");
    assert!(is_limited || ended.stdout.contains("as --most-trials allows"), "{ended:?}");
    assert_eq!(place.left_behind(), Vec::<String>::new());
}

#[test]
fn what_was_interrupted_claims_nothing() {
    let (there, here) = (Place::new(), Place::new());
    let (_server, url) = there.truth_server(&[]);
    let words = ["capacity", &url, "-c", "2", "--from", "50", "--slo", "errors == 0", "--trial", "100s"];
    let mut running = here.start(&words);
    running.until("the first trial", |running| {
        running.stderr().contains("trial 1, doubling: 50 ").then_some(())
    });
    running.signal(Signal::INT);
    let ended = running.wait();
    assert_eq!(ended.code, 130, "{ended:?}");
    let is_early = ended.stderr.contains("nothing was measured");
    assert!(is_early || ended.stdout.contains("interrupted: nothing is claimed"), "{ended:?}");
    assert_eq!(here.documents_if_any().len(), usize::from(!is_early));
}

#[test]
fn what_cannot_be_searched_is_refused_before_anything_starts() {
    let place = Place::with("m.toml", "[matrix]\n\"target.store\" = [\"pool\", \"none\"]\n");
    let slo = ["--slo", "p99 < 1s"];
    for (words, said) in [
        (&["m.toml"][..], "m.toml has 2 combinations in [matrix]"),
        (&["nowhere"], "there is no scenario `nowhere`"),
        (&["quick", "--rate", "50"], "say the first rate with --from"),
        (&["quick", "-z", "5s"], "how long a trial is with --trial"),
        (&["quick", "--from", "0"], "not one request falls due"),
        (&["quick", "--precision", "2"], "from 0.1% to 50%"),
        (&["127.0.0.1:9/"], "127.0.0.1:9/"),
    ] {
        let ended = place.run(&[&["capacity"][..], words, &slo].concat());
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{words:?} {ended:?}");
        assert!(ended.stderr.contains(said), "{words:?} {ended:?}");
        ended.assert_calm();
    }
    for (words, said) in [(&["quick"][..], "--slo"), (&["quick", "--slo", "p99<20"], "a time like 400ms")] {
        let ended = place.run(&[&["capacity"][..], words].concat());
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.stderr.contains(said), "{words:?} {ended:?}");
    }
    assert_eq!(place.names(), ["m.toml"]);
}

/// With trials of the default length: none is made.
#[test]
fn a_server_that_does_not_answer_is_told_before_the_first_trial() {
    let (there, here) = (Place::new(), Place::new());
    let (_server, url) = there.truth_server(&[]);
    let reset = format!("{url}reset");
    let garbage = format!("{url}garbage");
    // Its queue of connections is full, so that nobody gets through.
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let _first = TcpStream::connect(address).unwrap();
    let deaf = format!("http://{address}/");
    for (what, said) in [
        (deaf.as_str(), "no connection within"),
        ("http://user:secret@127.0.0.1:1/", "nothing listens at that address"),
        (&reset, "the server reset the connection"),
        (&garbage, "the answer was not valid HTTP"),
    ] {
        let ended = here.run(&["capacity", what, "-t", "1", "--slo", "errors == 0"]);
        assert_eq!((ended.code, ended.stdout.as_str()), (3, ""), "{what} {ended:?}");
        assert!(ended.stderr.contains(" does not answer: "), "{what} {ended:?}");
        assert!(ended.stderr.contains(said) && !ended.stderr.contains("trial"), "{what} {ended:?}");
        assert!(!ended.stderr.contains("secret"), "{ended:?}");
        ended.assert_calm();
    }
    assert_eq!(here.documents_if_any().len(), 0);
}

/// What fails at times is searched: the objective says whether that is well.
#[test]
fn a_server_that_answers_at_all_is_tried() {
    let (there, here) = (Place::new(), Place::new());
    let (_server, url) = there.truth_server(&[]);
    for path in ["share/0.5/reset", "status/500/share/0.5/reset", "silence"] {
        let what = format!("{url}{path}");
        let words = ["capacity", &what, "-c", "2", "-t", "1", "--from", "20", "--slo", "errors < 1%"];
        let mut running = here.start(&[&words[..], &["--trial", "100s"]].concat());
        running.until("the first trial", |running| {
            running.stderr().contains("trial 1, doubling: 20 ").then_some(())
        });
        running.signal(Signal::INT);
        assert_eq!(running.wait().code, 130, "{what}");
    }
}

/// A connection with 10 ms carries 100 requests a second. Of 120 due, what is left over becomes more and more.
#[test]
fn what_piles_up_is_told() {
    let (there, here) = (Place::new(), Place::new());
    let (_server, url) = there.truth_server(&[]);
    let url = format!("{url}delay/10ms");
    let words =
        ["capacity", &url, "-c", "1", "--from", "120", "--slo", "errors < 50%", "--arrival", "uniform"];
    let mut running = here.start(&[&words[..], &["--trial", "48s", "--warmup", "0s"]].concat());
    let told = running.until("the first trial", |running| {
        let stderr = running.stderr();
        let is_over =
            ["\nfails: ", "\nsays nothing of the server: "].iter().any(|word| stderr.contains(word));
        is_over.then_some(stderr)
    });
    running.signal(Signal::INT);
    let ended = running.wait();
    assert_eq!(ended.code, 130, "{ended:?}");
    // On a busy machine the generator may have been its own limit.
    assert!(told.contains("requests pile up: those in flight") || told.contains("says nothing"), "{told}");
}
