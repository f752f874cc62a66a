//! Queues and servers of which the answer is known, in no time at all.

use std::convert::Infallible;

use super::*;

fn limits() -> Limits {
    Limits {
        from: 100.0,
        trial: Duration::from_secs(60),
        warmup: Some(Duration::ZERO),
        precision: 0.02,
        one_in: Some(100.0),
        most_trials: 60,
        most_time: Duration::from_secs(3600),
    }
}

fn found(limits: &Limits, mut make: impl FnMut(&Trial) -> Outcome) -> Found {
    search(limits, |trial| Ok::<_, Infallible>(make(trial))).unwrap()
}

fn up_to(capacity: f64) -> impl FnMut(&Trial) -> Outcome {
    move |trial| if trial.rate <= capacity { Outcome::Pass } else { Outcome::Fail }
}

/// Numbers between 0 and 1 that a seed decides (xorshift64*): quick, and good enough for a queue.
struct Chance(u64);

impl Chance {
    fn exponential(&mut self, mean: f64) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let bits = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11;
        -mean * ((bits as f64 + 0.5) / (1_u64 << 53) as f64).ln()
    }
}

/// An M/M/1 queue of 1,000 requests a second, under Poisson arrivals: whether 99 of 100 are answered within 20 ms, and requests do not
/// pile up.
fn queue(trial: &Trial, chance: &mut Chance) -> Outcome {
    let (mut now, mut free) = (0.0, 0.0_f64);
    let (mut all, mut slow) = (0_u32, 0_u32);
    let (mut due, mut ended) = (Vec::new(), Vec::new());
    loop {
        now += chance.exponential(1.0 / trial.rate);
        if now > trial.length.as_secs_f64() {
            let passes = slow * 100 <= all && !is_growing(&due, &ended);
            return if passes { Outcome::Pass } else { Outcome::Fail };
        }
        free = free.max(now) + chance.exponential(0.001);
        all += 1;
        slow += u32::from(free - now > 0.02);
        count(&mut due, now);
        count(&mut ended, free);
    }
}

/// Counts what happened in a second; none later than this one did.
fn count(seconds: &mut Vec<u64>, at: f64) {
    while seconds.len() as f64 <= at {
        seconds.push(0);
    }
    *seconds.last_mut().unwrap() += 1;
}

/// Its p99 is ln(100) / (1000 - rate), which is 20 ms at 769.7/s.
#[test]
fn the_capacity_of_a_queue_is_found() {
    const TRUTH: f64 = 1000.0 - 4.605_170_186 / 0.02;
    const SEEDS: u64 = 200;
    let one = |seed: u64| {
        let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let found = found(&limits(), |trial| queue(trial, &mut chance));
        (found.end == End::Found).then_some(found.passes.unwrap() / TRUTH)
    };
    let ratios: Vec<f64> = (1..=SEEDS).filter_map(one).collect();
    let good = ratios.iter().filter(|ratio| (0.96..=1.04).contains(*ratio)).count();
    let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
    assert!(good >= 190, "{good} of {} searches that found, mean {mean:.3}", ratios.len());
}

#[test]
fn a_certain_server_lies_between_the_two_rates() {
    for capacity in [2.0, 60.0, 99.9, 100.0, 769.7, 123_456.0] {
        let found = found(&Limits { one_in: None, most_time: Duration::MAX, ..limits() }, up_to(capacity));
        let (passes, fails) = (found.passes.unwrap(), found.fails.unwrap());
        assert!(passes <= capacity && capacity < fails && fails <= passes * 1.021, "{capacity}: {found:?}");
        assert_eq!(found.end, End::Found);
    }
}

#[test]
fn what_short_trials_said_wrongly_is_put_right() {
    // Every single trial fails beyond 680, longer ones pass up to 720; or every single one passes up to 800.
    for (single, truth) in [(680.0, 720.0), (800.0, 770.0)] {
        let found = found(&limits(), |trial| {
            let is_single = matches!(trial.phase, Phase::Doubling | Phase::Halving);
            up_to(if is_single { single } else { truth })(trial)
        });
        let (passes, fails) = (found.passes.unwrap(), found.fails.unwrap());
        assert!(passes <= truth && truth < fails && fails < passes * 1.03, "{truth}: {found:?}");
        assert_eq!(found.end, End::Found);
    }
}

#[test]
fn a_rate_that_is_not_confirmed_leaves_a_pair_that_is_as_close() {
    // What passes up to 720 passes only so far when it is to be confirmed.
    for (precision, confirmed) in [(0.02, 690.0), (0.1, 640.0)] {
        let found = found(&Limits { precision, ..limits() }, |trial| {
            up_to(if trial.phase == Phase::Confirming { confirmed } else { 720.0 })(trial)
        });
        let (passes, fails) = (found.passes.unwrap(), found.fails.unwrap());
        assert!(passes <= confirmed && confirmed < fails && found.end == End::Found, "{found:?}");
        assert!(fails <= passes * (1.0 + precision) * 1.000_001, "{precision}: {found:?}");
    }
}

#[test]
fn a_generator_at_its_limit_is_no_server() {
    let mut voids = 0;
    let found = found(&limits(), |trial| {
        voids += u32::from(trial.rate > 500.0);
        if trial.rate > 500.0 { Outcome::Void } else { Outcome::Pass }
    });
    assert_eq!(found, Found { passes: Some(400.0), fails: None, end: End::Generator(800.0) });
    assert_eq!(voids, 2);
    let mut is_first = true;
    let once = search(&limits(), |trial| {
        let void = std::mem::take(&mut is_first);
        Ok::<_, Infallible>(if void { Outcome::Void } else { up_to(300.0)(trial) })
    });
    assert_eq!(once.unwrap().end, End::Found, "one void trial is made again");
}

#[test]
fn every_search_ends() {
    assert_eq!(found(&limits(), |_| Outcome::Pass).end, End::Trials);
    let short = Limits { most_time: Duration::from_secs(35), ..limits() };
    let timed = found(&short, |_| Outcome::Pass);
    assert_eq!(timed, Found { passes: Some(200.0), fails: None, end: End::Time }, "20, 10 and no 10 s more");
    // Warmed up for five seconds each, it is one trial less.
    let warmed = found(&Limits { warmup: None, ..short }, |_| Outcome::Pass);
    assert_eq!(warmed, Found { passes: Some(100.0), fails: None, end: End::Time });
    let nothing = found(&Limits { one_in: None, ..limits() }, |_| Outcome::Fail);
    assert_eq!((nothing.passes, nothing.end), (None, End::NothingPasses));
    let fickle = found(&Limits { most_trials: 1000, most_time: Duration::MAX, ..limits() }, |trial| {
        let passes = matches!(trial.phase, Phase::Doubling | Phase::Halving) && trial.rate < 700.0;
        if passes { Outcome::Pass } else { Outcome::Fail }
    });
    assert_eq!((fickle.passes, fickle.end), (None, End::Unsteady));
    let error = search(&limits(), |_| Err::<Outcome, _>("no target"));
    assert_eq!(error, Err("no target"));
}

#[test]
fn what_piles_up_is_seen() {
    // A hundred fall due in each of ten seconds, and so many of them end.
    let grows = |ended: [u64; 10]| is_growing(&[100; 10], &ended);
    assert!(grows([80; 10]), "a server for 80 requests a second under 100");
    assert!(grows([98, 97, 99, 98, 97, 99, 98, 98, 97, 99]), "one that is nearly fast enough");
    assert!(!grows([100; 10]) && !grows([90, 110, 90, 110, 90, 110, 90, 110, 90, 110]), "what is late comes");
    assert!(!grows([50, 50, 50, 50, 50, 100, 100, 100, 100, 100]), "what piled up first, and then no more");
    assert!(!grows([100, 100, 100, 100, 100, 100, 100, 100, 100, 60]), "a stall at the end");
    assert!(!grows([120; 10]), "what falls");
    assert!(is_growing(&[10_000; 10], &[9_980; 10]) && !is_growing(&[10_000; 10], &[9_995; 10]));
    assert!(!is_growing(&[100; 7], &[80; 7]) && !is_growing(&[], &[]), "too short to tell");
    assert!(is_growing(&[100; 10], &[80; 8]), "the last seconds are not whole");
}

#[test]
fn what_was_not_tried_is_not_known_to_fail() {
    // Longer trials pass above the rate that failed in a short one, until time is up.
    let most_time = Duration::from_secs(15 * 60);
    let timed = found(&Limits { most_time, ..limits() }, |trial| {
        let is_single = matches!(trial.phase, Phase::Doubling | Phase::Halving);
        up_to(if is_single { 690.0 } else { 1e6 })(trial)
    });
    assert_eq!((timed.fails, timed.end), (None, End::Time));
}

#[test]
fn trials_are_long_enough_for_their_percentile() {
    let length = |phase, rate| limits().length(phase, rate).as_secs();
    assert_eq!((length(Phase::Doubling, 1000.0), length(Phase::Halving, 1000.0)), (10, 30));
    assert_eq!((length(Phase::Confirming, 1000.0), length(Phase::Confirming, 50.0)), (60, 200));
    let none = Limits { one_in: None, ..limits() };
    assert_eq!(none.length(Phase::Doubling, 0.5).as_secs(), 40, "some requests are due in any");
}
