//! The server stalls, or the generator does: who was due meanwhile waits, and the percentiles say so.

use std::thread::sleep;
use std::time::Duration;

use rustix::process::Signal;

use crate::lab::{LATE, Lab, MS, Sides, assert_near, at, of};
use crate::undisturbed::undisturbed;

/// T = 4 s, S = 0.8 s, R = 1,000/s.
fn assert_a_stall_of_800_ms_in_4_s(sides: &Sides) {
    let Sides { run, truth, .. } = sides;
    assert_eq!((run.account.scheduled, run.account.ok, truth.counts.answers), (4000, 4000, 4000));
    assert_near("p95", at(run, 95.0), 600);
    assert_near("p99", at(run, 99.0), 760);
    assert_near("p99.9", at(run, 99.9), 796);
    assert_near("slowest", run.latencies.answered.max_ns, 800);
    let mean = run.latencies.answered.mean_ns().unwrap() / 1e6;
    assert!((76.0..110.0).contains(&mean), "mean {mean} ms, expected 80 ms");
}

#[test]
fn of_the_server_is_in_the_response_time_of_all_who_were_due() {
    undisturbed(|| {
        let sides = Lab::new("/freeze/1500ms/800ms").load("--rate 1000 --arrival uniform -z 4s -c 100");
        assert_a_stall_of_800_ms_in_4_s(&sides);
        // The service time knows only the hundred that were under way, 2.5 % of all: one for each of the stall's first 100 ms.
        let service = &sides.run.latencies.service;
        assert!(of(service, 95.0) < 100 * MS, "{}", of(service, 95.0));
        assert_near("p99 of the service time", of(service, 99.0), 760);
        // The generator was not the cause.
        assert!(of(&sides.run.latencies.lag, 99.0) < 50 * MS, "{}", of(&sides.run.latencies.lag, 99.0));
    });
}

#[test]
fn of_the_generator_is_charged_to_the_response_time_and_named_as_lag() {
    undisturbed(|| {
        let lab = Lab::new("/");
        let load = lab.start("--rate 1000 --arrival uniform -z 4s -c 100");
        // Well inside the run, wherever it began.
        while lab.truth().counts().requests < 1000 {
            sleep(Duration::from_millis(2));
        }
        load.signal(Signal::STOP);
        sleep(Duration::from_millis(800));
        load.signal(Signal::CONT);
        let sides = lab.finish(load);
        assert_a_stall_of_800_ms_in_4_s(&sides);
        let latencies = &sides.run.latencies;
        assert!(latencies.lag.max_ns > 700 * MS, "{}", latencies.lag.max_ns);
        // Who was late because of the generator was not because of the server.
        assert!(of(&latencies.service, 99.0) < 100 * MS, "{}", of(&latencies.service, 99.0));
    });
}

#[test]
fn beyond_the_end_is_waited_for() {
    undisturbed(|| {
        // From 3.6 s to 4.4 s of a run of 4 s: those due in the last 0.4 s waited 0.8 to 0.4 s.
        let sides = Lab::new("/freeze/3600ms/800ms").load("--rate 1000 --arrival uniform -z 4s -c 100");
        let run = &sides.run;
        assert_eq!((run.account.ok, run.account.unsent, sides.truth.counts.answers), (4000, 0, 4000));
        // R_q = S - (1 - q) T as long as q lies above the share that was due before it, 0.9.
        assert_near("p99", at(run, 99.0), 760);
        assert_near("p95", at(run, 95.0), 600);
        let mean = run.latencies.answered.mean_ns().unwrap() / 1e6;
        // 400 of 4,000 waited 0.6 s on average.
        assert!((57.0..85.0).contains(&mean), "mean {mean} ms, expected 60 ms");
        assert_near("the end of the run", run.window.wall_ns, 4400);
    });
}

#[test]
fn beyond_the_end_is_told_where_it_is_not_waited_for() {
    undisturbed(|| {
        let words = "--rate 1000 --arrival uniform -z 4s -c 100 --drain 0s";
        let Sides { run, text, .. } = Lab::new("/freeze/3600ms/800ms").load(words);
        let lost = run.account.aborted + run.account.unsent;
        assert_eq!(run.account.aborted, 100, "as many as there are connections were under way");
        // All that were due in the stall; a few more where the machine was busy.
        assert!((395..=560).contains(&lost), "{:?}", run.account);
        assert_eq!(run.latencies.censored.count, lost);
        assert!((4_000 * MS..4_000 * MS + LATE).contains(&run.window.wall_ns), "{:?}", run.window);
        assert!(text.contains("lower bound"), "{text}");
    });
}

#[test]
fn in_the_closed_model_hides_itself_but_for_one_request_per_connection() {
    undisturbed(|| {
        let Sides { run, .. } = Lab::new("/delay/5ms/freeze/1500ms/800ms").load("-z 4s -c 10");
        assert!(run.account.ok > 2000, "{:?}", run.account);
        assert!(of(&run.latencies.answered, 99.0) < 100 * MS, "{}", of(&run.latencies.answered, 99.0));
        assert_near("slowest", run.latencies.answered.max_ns, 795);
    });
}
