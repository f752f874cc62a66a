//! When do requests arrive that do not wait for answers? The schedules of the open model, fixed before the run.
//!
//! The arrival rate is given in stages of constant rate. Its integral L(t) is the number of requests due by t, so the
//! i-th request is due where L reaches a given number: at `i - 1/2` for uniform arrivals, at a random one for Poisson.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Deserializer};

use crate::clock::Nanos;
use crate::schedule::Release;

/// How arrivals are spread around their rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// As independent users arrive: exponential gaps. They queue now and then at any load, as in life.
    Poisson,
    /// Evenly. It hides the queueing that random arrivals cause, and repeats best.
    Uniform,
    /// Evenly, so many at once.
    Burst(NonZeroU32),
}

/// Why a text names no arrival process.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a way to arrive: write poisson, uniform or burst:10")]
pub struct ArrivalError(String);

impl FromStr for Arrival {
    type Err = ArrivalError;

    fn from_str(text: &str) -> Result<Self, ArrivalError> {
        match (text, text.strip_prefix("burst:").map(str::parse)) {
            ("poisson", _) => Ok(Self::Poisson),
            ("uniform", _) => Ok(Self::Uniform),
            (_, Some(Ok(size))) => Ok(Self::Burst(size)),
            _ => Err(ArrivalError(text.to_owned())),
        }
    }
}

impl fmt::Display for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Poisson => f.write_str("poisson"),
            Self::Uniform => f.write_str("uniform"),
            Self::Burst(size) => write!(f, "burst:{size}"),
        }
    }
}

impl<'de> Deserialize<'de> for Arrival {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A stretch of constant rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    /// How long.
    pub length: Nanos,
    /// Requests per second; 0 is a pause.
    pub rate: f64,
}

/// The number of requests due by the end of the last stage, rounded.
pub fn number(stages: &[Stage]) -> u64 {
    let sum: f64 = stages.iter().map(requests).sum();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a plan bounds rate and duration"
    )]
    let number = sum.round() as u64;
    number
}

/// The due times of all requests, in order, as many as [`number`] says. The same seed gives the same times.
pub fn releases(stages: &[Stage], arrival: Arrival, seed: u64) -> Box<dyn Iterator<Item = Release> + Send> {
    let number = number(stages);
    let mut inverse = Inverse::new(stages.to_vec());
    // L is a fraction of a request off the whole number of requests; all of them are to fit.
    let scale = stages.iter().map(requests).sum::<f64>() / number.max(1) as f64;
    match arrival {
        Arrival::Uniform => Box::new((0..number).map(move |i| inverse.at((i as f64 + 0.5) * scale))),
        Arrival::Burst(size) => {
            let size = u64::from(size.get());
            let burst = move |i: u64| {
                let first = i - i % size;
                let last = (first + size).min(number);
                (first + last) as f64 / 2.0
            };
            Box::new((0..number).map(move |i| inverse.at(burst(i) * scale)))
        }
        Arrival::Poisson => {
            // A Poisson process that is known to have this number of arrivals: N gaps of N + 1, scaled to the whole.
            // The sum of all gaps is needed before the first one is used, so the seed is run through twice.
            let sum: f64 =
                Exponential::new(seed).take(usize::try_from(number + 1).unwrap_or(usize::MAX)).sum();
            let whole = number as f64 * scale;
            let mut reached = 0.0;
            let gaps = Exponential::new(seed).take(usize::try_from(number).unwrap_or(usize::MAX));
            Box::new(gaps.map(move |gap| {
                reached += gap;
                inverse.at(reached / sum * whole)
            }))
        }
    }
}

fn requests(stage: &Stage) -> f64 {
    stage.rate * (stage.length as f64 / 1e9)
}

/// Finds the moment at which L reaches a number; numbers must not fall from one call to the next.
struct Inverse {
    stages: Vec<Stage>,
    /// The stage in which the last moment lay, when it begins, and how many requests were due before it.
    current: usize,
    begin: Nanos,
    before: f64,
}

impl Inverse {
    fn new(stages: Vec<Stage>) -> Self {
        Self { stages, current: 0, begin: 0, before: 0.0 }
    }

    fn at(&mut self, number: f64) -> Release {
        while let Some(stage) = self.stages.get(self.current) {
            let within = requests(stage);
            let is_last = self.current + 1 == self.stages.len();
            if number <= self.before + within && stage.rate > 0.0 || is_last {
                let seconds = if stage.rate > 0.0 { (number - self.before) / stage.rate } else { 0.0 };
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "never negative, because numbers do not fall, and bounded by the stage"
                )]
                let offset = (seconds * 1e9) as u64;
                // Within the stage, even where rounding would leave it: nothing falls due after the end.
                return Release::At(self.begin + offset.min(stage.length.saturating_sub(1)));
            }
            self.before += within;
            self.begin += stage.length;
            self.current += 1;
        }
        Release::At(self.begin)
    }
}

/// Independent exponential numbers of mean 1, by inversion.
struct Exponential(ChaCha8Rng);

impl Exponential {
    fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }
}

impl Iterator for Exponential {
    type Item = f64;

    fn next(&mut self) -> Option<f64> {
        // 53 random bits: a number from 0 up to, not including, 1.
        let uniform = (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        Some(-(-uniform).ln_1p())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SECOND;

    const MS: Nanos = 1_000_000;

    fn stage(seconds: u64, rate: f64) -> Stage {
        Stage { length: seconds * SECOND, rate }
    }

    fn times(stages: &[Stage], arrival: Arrival, seed: u64) -> Vec<Nanos> {
        let time = |release| match release {
            Release::At(time) => time,
            Release::Now => panic!("an open schedule knows when"),
        };
        releases(stages, arrival, seed).map(time).collect()
    }

    #[test]
    fn ways_to_arrive_are_typed_as_they_print() {
        for text in ["poisson", "uniform", "burst:10"] {
            assert_eq!(text.parse::<Arrival>().unwrap().to_string(), text);
        }
        for text in ["", "Poisson", "burst", "burst:", "burst:0", "burst:x"] {
            assert!(text.parse::<Arrival>().is_err(), "{text}");
        }
    }

    #[test]
    fn uniform_gaps_are_exact() {
        let times = times(&[stage(2, 100.0)], Arrival::Uniform, 0);
        assert_eq!(times.len(), 200);
        assert_eq!((times[0], times[1], times[199]), (5 * MS, 15 * MS, 1995 * MS));
    }

    #[test]
    fn a_fraction_of_a_request_is_spread_over_all() {
        // 3.3 requests are 3; the last one still lies within the run.
        let times = times(&[stage(1, 3.3)], Arrival::Uniform, 0);
        assert_eq!(times.len(), 3);
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]) && times[2] < SECOND);
        assert_eq!(number(&[stage(1, 0.4)]), 0);
    }

    #[test]
    fn bursts_come_at_once() {
        let times = times(&[stage(1, 10.0)], Arrival::Burst(NonZeroU32::new(4).unwrap()), 0);
        assert_eq!(times, [[200 * MS; 4].as_slice(), &[600 * MS; 4], &[900 * MS; 2]].concat());
    }

    #[test]
    fn stages_have_their_own_rates() {
        let stages = [stage(1, 10.0), stage(3, 0.0), stage(1, 100.0)];
        for (arrival, seed) in [(Arrival::Uniform, 0), (Arrival::Poisson, 1), (Arrival::Poisson, 2)] {
            let times = times(&stages, arrival, seed);
            assert_eq!(times.len(), 110);
            assert!(times.windows(2).all(|pair| pair[0] <= pair[1]));
            assert!(times.iter().all(|time| !(SECOND..4 * SECOND).contains(time)), "nothing in the pause");
            assert!(times[109] < 5 * SECOND);
        }
        let uniform = times(&stages, Arrival::Uniform, 0);
        assert_eq!((uniform[9], uniform[10]), (950 * MS, 4 * SECOND + 5 * MS));
    }

    #[test]
    fn a_seed_is_a_schedule() {
        let stages = [stage(10, 100.0)];
        let poisson = |seed| times(&stages, Arrival::Poisson, seed);
        assert_eq!(poisson(7), poisson(7));
        assert_ne!(poisson(7), poisson(8));
        assert_eq!(poisson(7).len(), 1000);
        // Pinned, because documents name seeds: a new version must not change what they mean.
        assert_eq!(poisson(1)[..3], PINNED);
    }

    const PINNED: [Nanos; 3] = [5_269_990, 6_127_540, 15_416_728];

    /// The Kolmogorov-Smirnov distance of the gaps from the exponential distribution of their mean.
    #[test]
    fn poisson_gaps_are_exponential() {
        for seed in 0..5 {
            let times = times(&[stage(20, 1000.0)], Arrival::Poisson, seed);
            let mut gaps: Vec<f64> = times.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect();
            gaps.sort_unstable_by(f64::total_cmp);
            let n = gaps.len() as f64;
            let mean = gaps.iter().sum::<f64>() / n;
            let distance = gaps.iter().enumerate().map(|(i, gap)| {
                let expected = 1.0 - (-gap / mean).exp();
                (expected - i as f64 / n).abs().max((expected - (i + 1) as f64 / n).abs())
            });
            let distance = distance.fold(0.0, f64::max);
            assert!(distance < 1.95 / n.sqrt(), "seed {seed}: {distance}");
        }
    }
}
