//! The search for the highest rate, against a server of which it is known.

use serde_json::Value;

use crate::helper::Place;
use crate::undisturbed::undisturbed;

/// Two connections with 10 ms each carry 200 requests a second; what falls due beyond that is late.
#[test]
fn what_two_connections_carry_is_found() {
    undisturbed(|| {
        let (there, here) = (Place::new(), Place::new());
        let (_server, url) = there.truth_server(&[]);
        let url = format!("{url}delay/10ms");
        let words =
            ["capacity", &url, "-c", "2", "--from", "60", "--slo", "errors<1%", "--arrival", "uniform"];
        let limits =
            ["--trial", "600ms", "--precision", "10%", "--most-time", "30s", "--warmup", "0s", "-o", "json"];
        let ended = here.run(&[&words[..], &limits].concat());
        let documents = here.documents();
        let Some(json) = ended.capacity() else { return };
        assert_eq!(
            (ended.code, &json["end"], &json["confirmed"]),
            (0, &"found".into(), &true.into()),
            "{json:#}"
        );
        let [passes, fails] = ["passes", "fails"].map(|key| json[key].as_f64().unwrap());
        assert!((100.0..205.0).contains(&passes) && fails > passes && fails <= passes * 1.101, "{json:#}");
        let trials = json["trials"].as_array().unwrap();
        assert_eq!(documents.len(), trials.len(), "each trial has a document");
        let rates: Vec<_> = trials.iter().map(|trial| trial["rate"].as_f64().unwrap()).collect();
        assert!(rates.starts_with(&[60.0, 120.0]), "{rates:?}");
        let confirming: Vec<_> = trials.iter().filter(|trial| trial["phase"] == "confirming").collect();
        assert!(confirming.len() >= 2 && confirming.last().unwrap()["rate"] == passes, "{json:#}");
        let is_late = |trial: &&Value| {
            trial["why"].as_str().is_some_and(|why| why.contains("the rate was not reached"))
        };
        assert!(trials.iter().any(|trial| is_late(&trial)), "{json:#}");
    });
}
