//! Which rate does a server carry? Which one is tried next, and what do the trials say together. Pure.
//!
//! As the IETF's `MLRsearch` has it: short trials while the answer is far away, long ones near it, and a pair of rates as the result, of which the
//! lower was seen to pass and the higher to fail. One trial proves little, so what counts in the end is decided by most of three.

use std::time::Duration;

/// Rates are doubled, or halved, until the answer lies between two of them. More halvings end at a thousandth of the first rate.
const MOST_HALVINGS: u32 = 10;
/// How often the pair moves as a whole, when longer trials contradict shorter ones.
const MOST_STEPS: u32 = 5;
/// The interval at which longer trials begin is so many times what is asked for.
const COARSE: f64 = 2.5;
/// Trials of a vote. Two alike decide it.
const VOTES: u32 = 3;
/// So many requests beyond the percentile make a trial as long as it must be; and a first one.
const BEYOND: (f64, f64) = (100.0, 20.0);

/// How far the search goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// The first rate, in requests per second.
    pub from: f64,
    /// How long a trial near the answer is; the first ones are a sixth of it, those after them half.
    pub trial: Duration,
    /// How close the two rates shall come, as a share.
    pub precision: f64,
    /// One request in so many lies beyond the highest percentile that is asked for. `None`: none is.
    pub one_in: Option<f64>,
    /// Trials, at most.
    pub most_trials: usize,
    /// Time of all trials together, at most.
    pub most_time: Duration,
}

/// What a trial is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Twice the rate, or half of it, until one passes and one fails.
    Doubling,
    /// The middle of the two, with one trial each.
    Halving,
    /// The middle, or the upper rate, with most of three trials.
    Narrowing,
    /// The lower rate, with most of three trials.
    Confirming,
}

impl Phase {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Doubling => "doubling",
            Self::Halving => "halving",
            Self::Narrowing => "narrowing",
            Self::Confirming => "confirming",
        }
    }
}

/// One run at one rate.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// What it is for.
    pub phase: Phase,
    /// Requests per second.
    pub rate: f64,
    /// How long.
    pub length: Duration,
}

/// What a trial says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The objective was met.
    Pass,
    /// It was not.
    Fail,
    /// Nothing of the server: the generator was the limit.
    Void,
}

/// Why the search is over.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// The two rates are as close as they shall be, and both are confirmed.
    Found,
    /// At this rate the generator was the limit twice.
    Generator(f64),
    /// At the last rate, low as it was, the objective was not met.
    NothingPasses,
    /// The pair moved as often as it may, and longer trials still contradicted.
    Unsteady,
    /// As many trials were made as may be.
    Trials,
    /// The next trial would have taken more time than there is.
    Time,
}

/// What is known in the end.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The highest rate that passed. `None`: none did.
    pub passes: Option<f64>,
    /// The lowest rate that failed above it. `None`: none did.
    pub fails: Option<f64>,
    /// Why it is over. Only with [`End::Found`] both rates are confirmed.
    pub end: End,
}

/// Searches. `make` makes a trial.
///
/// # Errors
/// That of `make`, which ends the search.
pub fn search<E>(limits: &Limits, make: impl FnMut(&Trial) -> Result<Outcome, E>) -> Result<Found, E> {
    let mut search = Search { limits, make, trials: 0, spent: Duration::ZERO, low: None, high: None };
    let end = match search.run() {
        Ok(end) | Err(Stop::Over(end)) => end,
        Err(Stop::Error(error)) => return Err(error),
    };
    Ok(Found { passes: search.low, fails: search.high, end })
}

/// Why no further trial is made.
enum Stop<E> {
    Over(End),
    Error(E),
}

struct Search<'a, F> {
    limits: &'a Limits,
    make: F,
    trials: usize,
    spent: Duration,
    low: Option<f64>,
    high: Option<f64>,
}

impl<E, F: FnMut(&Trial) -> Result<Outcome, E>> Search<'_, F> {
    fn run(&mut self) -> Result<End, Stop<E>> {
        let (mut low, mut high) = self.double()?;
        while high > low * (1.0 + COARSE * self.limits.precision) {
            let middle = f64::midpoint(low, high);
            let passes = self.single(Phase::Halving, middle)?;
            (low, high) = self.pair(if passes { (middle, high) } else { (low, middle) });
        }
        // A rate that failed in a short trial may pass in longer ones.
        let mut is_firm = false;
        for _ in 0..MOST_STEPS {
            while high > low * (1.0 + self.limits.precision) {
                let middle = f64::midpoint(low, high);
                let passes = self.vote(Phase::Narrowing, middle)?;
                is_firm |= !passes;
                (low, high) = self.pair(if passes { (middle, high) } else { (low, middle) });
            }
            if is_firm || !self.vote(Phase::Narrowing, high)? {
                return self.confirm(low);
            }
            (low, high) = self.pair((high, high * (1.0 + COARSE * self.limits.precision)));
        }
        Ok(End::Unsteady)
    }

    /// Two rates of which the lower passes and the upper, twice as high at most, fails.
    fn double(&mut self) -> Result<(f64, f64), Stop<E>> {
        let mut rate = self.limits.from;
        if self.single(Phase::Doubling, rate)? {
            loop {
                self.low = Some(rate);
                if !self.single(Phase::Doubling, rate * 2.0)? {
                    return Ok(self.pair((rate, rate * 2.0)));
                }
                rate *= 2.0;
            }
        }
        for _ in 0..MOST_HALVINGS {
            self.high = Some(rate);
            if self.single(Phase::Doubling, rate / 2.0)? {
                return Ok(self.pair((rate / 2.0, rate)));
            }
            rate /= 2.0;
        }
        self.high = Some(rate);
        Err(Stop::Over(End::NothingPasses))
    }

    /// Goes down from the lower rate until one is confirmed.
    fn confirm(&mut self, mut low: f64) -> Result<End, Stop<E>> {
        for _ in 0..=MOST_STEPS {
            if self.vote(Phase::Confirming, low)? {
                self.low = Some(low);
                return Ok(End::Found);
            }
            (self.low, self.high) = (None, Some(low));
            low *= 1.0 - self.limits.precision;
        }
        Ok(End::Unsteady)
    }

    fn pair(&mut self, pair: (f64, f64)) -> (f64, f64) {
        (self.low, self.high) = (Some(pair.0), Some(pair.1));
        pair
    }

    /// What most of three trials say.
    fn vote(&mut self, phase: Phase, rate: f64) -> Result<bool, Stop<E>> {
        let (mut passes, mut fails) = (0, 0);
        while passes.max(fails) <= VOTES / 2 {
            if self.single(phase, rate)? { passes += 1 } else { fails += 1 }
        }
        Ok(passes > fails)
    }

    /// What one trial says. One that says nothing is made once more.
    fn single(&mut self, phase: Phase, rate: f64) -> Result<bool, Stop<E>> {
        for _ in 0..2 {
            let trial = Trial { phase, rate, length: self.limits.length(phase, rate) };
            if self.trials == self.limits.most_trials {
                return Err(Stop::Over(End::Trials));
            }
            if self.spent.saturating_add(trial.length) > self.limits.most_time {
                return Err(Stop::Over(End::Time));
            }
            self.trials += 1;
            self.spent += trial.length;
            match (self.make)(&trial).map_err(Stop::Error)? {
                Outcome::Pass => return Ok(true),
                Outcome::Fail => return Ok(false),
                Outcome::Void => {}
            }
        }
        Err(Stop::Over(End::Generator(rate)))
    }
}

impl Limits {
    /// How long a trial is: with requests enough beyond the percentile.
    fn length(&self, phase: Phase, rate: f64) -> Duration {
        let (share, beyond) = match phase {
            Phase::Doubling => (6, BEYOND.1),
            Phase::Halving => (2, BEYOND.0),
            Phase::Narrowing | Phase::Confirming => (1, BEYOND.0),
        };
        let needed = self.one_in.map_or(0.0, |one_in| beyond * one_in / rate);
        (self.trial / share).max(Duration::try_from_secs_f64(needed).unwrap_or(Duration::MAX))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn limits() -> Limits {
        Limits {
            from: 100.0,
            trial: Duration::from_mins(1),
            precision: 0.02,
            one_in: Some(100.0),
            most_trials: 60,
            most_time: Duration::from_hours(1),
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

    /// An M/M/1 queue of 1,000 requests a second, under Poisson arrivals: whether 99 of 100 are answered within 20 ms.
    fn queue(trial: &Trial, chance: &mut Chance) -> Outcome {
        let (mut now, mut free) = (0.0, 0.0_f64);
        let (mut all, mut slow) = (0_u32, 0_u32);
        loop {
            now += chance.exponential(1.0 / trial.rate);
            if now > trial.length.as_secs_f64() {
                return if slow * 100 <= all { Outcome::Pass } else { Outcome::Fail };
            }
            free = free.max(now) + chance.exponential(0.001);
            all += 1;
            slow += u32::from(free - now > 0.02);
        }
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
        for capacity in [0.5, 60.0, 99.9, 100.0, 769.7, 123_456.0] {
            let found = found(&Limits { one_in: None, ..limits() }, up_to(capacity));
            let (passes, fails) = (found.passes.unwrap(), found.fails.unwrap());
            assert!(
                passes <= capacity && capacity < fails && fails <= passes * 1.021,
                "{capacity}: {found:?}"
            );
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
        assert_eq!(
            timed,
            Found { passes: Some(200.0), fails: None, end: End::Time },
            "20, 10 and no 10 s more"
        );
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
    fn trials_are_long_enough_for_their_percentile() {
        let length = |phase, rate| limits().length(phase, rate).as_secs();
        assert_eq!((length(Phase::Doubling, 1000.0), length(Phase::Halving, 1000.0)), (10, 30));
        assert_eq!((length(Phase::Confirming, 1000.0), length(Phase::Confirming, 50.0)), (60, 200));
    }
}
