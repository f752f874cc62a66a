//! What the server did is known, request by request: the figures must be that.

use loadgen::arrival::{Arrival, Stage, releases};
use loadgen::schedule::Release;

use crate::lab::{LATE, Lab, MS, Sides, at};
use crate::undisturbed::undisturbed;

/// The largest distance between two distributions, as a share of the sample (Kolmogorov and Smirnov).
fn distance(mut one: Vec<u64>, mut other: Vec<u64>) -> f64 {
    one.sort_unstable();
    other.sort_unstable();
    let below = |values: &[u64], limit: u64| {
        values.partition_point(|value| *value <= limit) as f64 / values.len() as f64
    };
    let all = one.iter().chain(&other);
    all.map(|&value| (below(&one, value) - below(&other, value)).abs()).fold(0.0, f64::max)
}

fn gaps(times: &[u64]) -> Vec<u64> {
    times.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect()
}

#[test]
fn requests_arrive_as_the_schedule_has_them() {
    undisturbed(|| {
        let Sides { run, truth, .. } = Lab::new("/").load("--rate 500 --seed 7 -z 4s -c 50");
        let stages = [Stage { length: 4_000 * MS, rate: 500.0 }];
        let due: Vec<u64> = releases(&stages, Arrival::Poisson, 7)
            .map(|release| match release {
                Release::At(due) => due,
                Release::Now => panic!("an open schedule"),
            })
            .collect();
        let mut came: Vec<u64> = truth.served.iter().map(|served| served.at).collect();
        came.sort_unstable();
        assert_eq!((due.len() as u64, came.len() as u64), (run.account.scheduled, run.account.ok));
        let distance = distance(gaps(&due), gaps(&came));
        // Timers of a millisecond, which release whatever fell due in one bunch, make it 0.3 and more.
        assert!(distance < 0.15, "{distance}");
    });
}

#[test]
fn latencies_are_those_that_the_server_caused() {
    undisturbed(|| {
        let Sides { run, truth, .. } = Lab::new("/exp/20ms").load("--rate 500 -z 4s -c 200");
        let mut held: Vec<u64> = truth.served.iter().map(|served| served.held).collect();
        assert_eq!(held.len() as u64, run.account.ok);
        // A mean of 20 ms, within five standard deviations, so that the server is what it says.
        let mean = held.iter().sum::<u64>() as f64 / held.len() as f64 / 1e6;
        assert!((mean - 20.0).abs() < 5.0 * 20.0 / (held.len() as f64).sqrt() + 1.0, "{mean}");
        held.sort_unstable();
        // At every percentile the same, but for what the way there and back takes.
        for percent in [1.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0] {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank")]
            let rank = (percent / 100.0 * held.len() as f64).ceil() as usize;
            let (here, there) = (at(&run, percent), held[rank - 1]);
            let most = there + there / 20 + 15 * MS;
            assert!(here >= there && here <= most, "p{percent}: {here} ns here, {there} ns there");
        }
        let (here, there) = (run.latencies.answered.mean_ns().unwrap() / 1e6, mean);
        assert!(here >= there && here < there + 5.0, "means: {here} ms here, {there} ms there");
    });
}

#[test]
fn one_server_for_all_queues_as_theory_says() {
    undisturbed(|| {
        // M/M/1 with rho = 0.5: the mean is 2.5 / (1 - 0.5) = 5 ms, and most of it is queueing.
        let Sides { run, truth, .. } = Lab::new("/queue/2500us").load("--rate 200 --seed 3 -z 6s -c 100");
        let held = truth.served.iter().map(|served| served.held).sum::<u64>() as f64;
        let (here, there) =
            (run.latencies.answered.mean_ns().unwrap() / 1e6, held / truth.served.len() as f64 / 1e6);
        assert!(here >= there && here < there + 3.0, "means: {here} ms here, {there} ms there");
        assert!((3.5..8.0).contains(&there), "{there} ms, expected 5 ms: the server does not queue");
    });
}

#[test]
fn rate_times_latency_is_what_was_under_way() {
    undisturbed(|| {
        // Little's law: in the closed model as many are under way as there are connections, all the time.
        let Sides { run, .. } = Lab::new("/exp/20ms").load("-z 3s -c 20");
        let rate = run.account.answered_in_window as f64 / 3.0;
        let under_way = rate * run.latencies.answered.mean_ns().unwrap() / 1e9;
        assert!((under_way - 20.0).abs() < 0.6, "{under_way}");
    });
}

#[test]
fn a_schedule_is_sent_whole_on_time_and_not_beyond_its_end() {
    undisturbed(|| {
        for rate in [1000, 4000] {
            let Sides { run, truth, .. } =
                Lab::new("/").load(&format!("--rate {rate} --arrival uniform -z 2s -c 100"));
            assert_eq!(
                (run.account.scheduled, run.account.ok, truth.counts.answers),
                (2 * rate, 2 * rate, 2 * rate)
            );
            // Achieved inside the window, not merely some time.
            let achieved = run.account.answered_in_window as f64 / (2 * rate) as f64;
            assert!(achieved > 0.97, "{achieved} of {rate}/s");
            let last = truth.served.iter().map(|served| served.at).max().unwrap();
            assert!(last < 2_000 * MS + LATE, "{last}");
            assert!(run.window.wall_ns < 2_000 * MS + LATE, "{:?}", run.window);
        }
    });
}

#[test]
fn a_timeout_is_counted_at_its_value_wherever_it_happens() {
    undisturbed(|| {
        let Sides { run, truth, .. } =
            Lab::new("/share/0.1/silence").load("--rate 200 --arrival uniform -z 2s -c 100 -t 500ms");
        let silent = truth.counts.requests - truth.counts.answers;
        assert!(silent > 10, "{silent}");
        assert_eq!((run.account.timeout, run.account.ok), (silent, 400 - silent));
        let censored = &run.latencies.censored;
        assert_eq!(censored.count, silent);
        assert!(censored.min_ns >= 500 * MS && censored.max_ns <= 500 * MS + LATE, "{censored:?}");
        // A tenth timed out: the 99th percentile lies among them.
        assert!(at(&run, 99.0) >= 500 * MS, "{}", at(&run, 99.0));
    });
}

#[test]
fn no_request_waits_for_a_delayed_acknowledgement() {
    undisturbed(|| {
        let body = "b".repeat(3000);
        let Sides { run, .. } = Lab::new("/echo").load(&format!("-n 400 -c 4 -m POST -d {body}"));
        assert_eq!(run.account.ok, 400);
        let service = run.latencies.service.to_histogram().unwrap();
        let in_band = service.count_up_to(46 * MS) - service.count_up_to(34 * MS);
        // With Nagle's algorithm it is every one of them; a busy machine may hold one or another that long.
        assert!(in_band < 20, "{in_band} of 400 took about 40 ms");
    });
}
