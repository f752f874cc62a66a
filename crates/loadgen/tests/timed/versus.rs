//! Two things in interleaved blocks, where time decides.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Duration;

use loadgen::truth::{Answer, Truth};
use rustix::process::Signal;
use serde_json::Value;

use crate::helper::{Ended, Place, arms, assert_blocks, runs_of_blocks, until};
use crate::needs;
use crate::undisturbed::undisturbed;

/// Whether the generator was the limit in so many runs that the comparison ended, which is told as it must be. So it is where a
/// hypervisor takes CPUs away all the time, and nothing else can be seen there.
fn was_the_limit(ended: &Ended) -> bool {
    let is_told = ended.stderr.contains("\nloadgen: the generator was the limit in ");
    if is_told {
        assert_eq!(ended.code, 4, "{ended:?}");
        needs::leave_out("the generator was the limit in too many runs");
    }
    is_told
}

#[test]
fn what_is_slower_has_regressed() {
    let there = Place::new();
    let (_server, url) = there.truth_server(&[]);
    let [quick, slow] = ["delay/20ms", "delay/30ms"].map(|path| format!("{url}{path}"));
    let versus = |pair: [&str; 2], more: &[&str]| {
        let words = ["-c", "2", "--block-duration", "400ms", "-o", "json", "--metrics", "mean"];
        Place::new().run(&[&["versus", pair[0], pair[1]][..], &words, more].concat())
    };
    for (pair, code, verdict) in [([&*quick, &*slow], 1, "regressed"), ([&*slow, &*quick], 0, "improved")] {
        undisturbed(|| {
            let ended = versus(pair, &["--blocks", "4"]);
            if was_the_limit(&ended) {
                return;
            }
            assert_eq!(ended.code, code, "{ended:?}");
            let json: Value = serde_json::from_str(&ended.stdout).unwrap();
            let of = |metric: &str| {
                json["differences"].as_array().unwrap().iter().find(|it| it["metric"] == metric)
            };
            let mean = of("mean").unwrap();
            assert_eq!((&mean["verdict"], &mean["design"]), (&verdict.into(), &"paired".into()), "{json:#}");
            assert!(of("errors").is_some(), "errors are judged unasked: {json:#}");
            assert_eq!(json["rows"][0]["baseline"], true);
        });
    }
    undisturbed(|| {
        let ended = versus([&quick, &slow], &["--blocks", "2", "--fail-on", "never"]);
        assert!(was_the_limit(&ended) || ended.code == 0, "{ended:?}");
    });
}

#[test]
fn a_run_whose_generator_was_the_limit_is_made_again() {
    undisturbed(|| {
        let here = Place::new();
        let truth = Truth::start(|_| Answer::ok(10).after(Duration::from_millis(2)).into()).unwrap();
        let url = truth.url("/");
        let words =
            ["versus", &url, &url, "-c", "2", "--blocks", "2", "--block-duration", "1s", "--warmup", "0s"];
        let running = here.start(&[&words[..], &["--fail-on", "never"]].concat());
        until("answers", || (truth.counts().answers > 50).then_some(()));
        // As a hypervisor would that takes the CPUs away.
        running.signal(Signal::STOP);
        thread::sleep(Duration::from_secs(1));
        running.signal(Signal::CONT);
        let ended = running.wait();
        if was_the_limit(&ended) {
            return;
        }
        assert_eq!(ended.code, 0, "{ended:?}");
        let told = "loadgen: the generator was the limit: the run is made once more";
        // One, and more on a busy machine.
        let void = ended.stderr.matches(told).count();
        assert!(void > 0, "{ended:?}");
        let none: Vec<_> = here.documents().into_iter().filter(|run| run.block.is_none()).collect();
        assert_eq!((none.len(), runs_of_blocks(&here).len()), (void, 4));
        let note = "the generator was the limit: no run of block ";
        assert!(none.iter().all(|run| run.notes.iter().any(|it| it.starts_with(note))), "{none:?}");
        let heading = ended.stdout.lines().nth(2).unwrap();
        let blocks = heading.strip_prefix("2 of 2 blocks, the order within each by chance; ").unwrap();
        let told: Vec<String> = (0..=void)
            .map(|a| format!("{a} of A and {} of B are void: the generator was the limit", void - a))
            .collect();
        assert!(told.iter().any(|told| told == blocks), "{heading}");
    });
}

#[test]
fn a_seed_gives_the_order_and_each_block_its_arrivals() {
    undisturbed(|| {
        let (there, here, again) = (Place::new(), Place::new(), Place::new());
        let (_server, url) = there.truth_server(&[]);
        let words =
            ["versus", &url, &url, "-c", "4", "--rate", "100", "--blocks", "6", "--block-duration", "150ms"];
        for place in [&here, &again] {
            let ended = place.run(&[&words[..], &["--seed", "5"]].concat());
            if was_the_limit(&ended) {
                return;
            }
            assert!(ended.stdout.contains("6 of 6 blocks"), "{ended:?}");
        }
        let made = runs_of_blocks(&here);
        assert_blocks(&made, 6);
        assert_eq!(arms(&made), arms(&runs_of_blocks(&again)));
        // Five seconds at least, but no longer than the load itself.
        assert!(made.iter().all(|run| run.config["load.warmup"] == "150ms"), "{:?}", made[0].config);
        let order: BTreeSet<_> = arms(&made).chunks(2).map(|block| block[0].1).collect();
        assert_eq!(order.len(), 2, "each of them comes first at times");
        let mut seeds: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
        for run in &made {
            seeds
                .entry(run.block.as_ref().unwrap().number)
                .or_default()
                .insert(run.config["load.seed"].clone());
        }
        assert!(seeds.values().all(|seeds| seeds.len() == 1), "{seeds:?}");
        assert_eq!(seeds.values().collect::<BTreeSet<_>>().len(), 6, "{seeds:?}");
    });
}
