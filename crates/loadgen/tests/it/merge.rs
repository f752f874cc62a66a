//! `loadgen merge`: two real generators at one server.

use loadgen::truth::{Answer, Truth};

use crate::helper::Place;

#[test]
fn two_generators_are_one_run() {
    let truth = Truth::start(|_| Answer::ok(10).into()).unwrap();
    let url = truth.url("/");
    let places = [Place::new(), Place::new()];
    let words = ["-z", "3s", "-c", "2", "-q", "50", "-o", "json", &url];
    let running: Vec<_> = places.iter().map(|place| place.start(&words)).collect();
    let ended: Vec<_> = running.into_iter().map(crate::helper::Running::wait).collect();
    let answers = truth.finish().counts.answers;
    let [here, _] = &places;
    for (name, ended) in ["a.json", "b.json"].iter().zip(&ended) {
        assert_eq!(ended.code, 0, "{ended:?}");
        here.file(name, &ended.stdout);
    }
    let merged = here.run(&["merge", "a.json", "b.json"]);
    assert_eq!((merged.code, merged.stderr.as_str()), (0, ""), "{merged:?}");
    let run = merged.document();
    assert_eq!(run.account.answered(), answers, "{:?}", run.account);
    let rate = run.merged.as_ref().and_then(|merged| merged.rate()).unwrap();
    assert!((100.0..=230.0).contains(&rate), "four connections, 50 requests a second each: {rate}");
    here.file("both.json", &merged.stdout);
    let shown = here.run(&["report", "both.json"]);
    assert!(shown.stdout.contains("merged of 2 generators"), "{shown:?}");
}

#[test]
fn what_cannot_be_merged_is_refused() {
    let place = Place::new();
    let truth = Truth::start(|_| Answer::ok(10).into()).unwrap();
    let url = truth.url("/");
    for requests in ["3", "5"] {
        assert_eq!(place.run(&["-n", requests, "-c", "1", &url]).code, 0);
    }
    for (words, word) in [
        (&["merge", "last"][..], "nothing to merge"),
        (&["merge", "last", "last"], "named twice"),
        (&["merge", "last", "last~1"], "load.requests"),
    ] {
        let refused = place.run(words);
        refused.assert_calm();
        assert!(refused.code == 2 && refused.stdout.is_empty(), "{refused:?}");
        assert!(refused.stderr.contains(word) && refused.stderr.lines().count() == 1, "{refused:?}");
    }
}
