//! Which rate does a server carry? Which one is tried next, and what do the trials say together. Pure.
//!
//! As the IETF's `MLRsearch` has it: short trials while the answer is far away, long ones near it, and a pair of rates as the
//! result, of which the lower was seen to pass and the higher to fail. One trial proves little, so what counts in the end is
//! decided by most of three.

use std::time::Duration;

use report::stats::Trend;

use crate::series::warmup_of;

/// Rates are doubled, or halved, until the answer lies between two of them. So many halvings end at a sixty-fourth of the first rate.
const MOST_HALVINGS: u32 = 6;
/// How often the pair moves as a whole, when longer trials contradict shorter ones.
const MOST_STEPS: u32 = 5;
/// The interval at which longer trials begin is so many times what is asked for.
const COARSE: f64 = 2.5;
/// Trials of a vote. Two alike decide it.
const VOTES: u32 = 3;
/// A trial is so long that this many requests lie beyond the percentile, or fall due at all where none is asked for.
const BEYOND: f64 = 100.0;
/// The same of the first trials.
const BEYOND_AT_FIRST: f64 = 20.0;

/// Requests pile up when chance alone would have so many more wait in the end less often than this.
const BY_CHANCE: f64 = 0.01;
/// Less growth than this is how machines vary, as a share of what falls due: that of a server overloaded by a thousandth.
const NO_GROWTH: f64 = 0.001;
/// Fewer intervals tell no growth: half of them are looked at.
const FEWEST_INTERVALS: usize = 8;

/// How far the search goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// The first rate, in requests per second.
    pub from: f64,
    /// How long a trial near the answer is; the first ones are a sixth of it, those after them half.
    pub trial: Duration,
    /// How long each is warmed up. `None`: as its length asks for.
    pub warmup: Option<Duration>,
    /// How close the two rates shall come, as a share.
    pub precision: f64,
    /// One request in so many lies beyond the highest percentile that is asked for. `None`: none is.
    pub one_in: Option<f64>,
    /// Trials, at most.
    pub most_trials: usize,
    /// Time of all trials together, at most, warm-ups included.
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
    /// How long, warm-up not included.
    pub length: Duration,
    /// How long the same rate is sent before.
    pub warmup: Duration,
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

/// Whether requests pile up at the server: whether those in flight, due and not ended yet, went on to become more through the second
/// half of a trial. `due` and `ended`: how many did so in each of its equal intervals.
pub fn is_growing(due: &[u64], ended: &[u64]) -> bool {
    let intervals = due.len().min(ended.len());
    if intervals < FEWEST_INTERVALS {
        return false;
    }
    let (mut sum_due, mut sum_ended) = (0_u64, 0_u64);
    let in_flight: Vec<f64> = due
        .iter()
        .zip(ended)
        .map(|(due, ended)| {
            (sum_due, sum_ended) = (sum_due + due, sum_ended + ended);
            sum_due as f64 - sum_ended as f64
        })
        .collect();
    let second = intervals / 2;
    let mean_due = due[second..intervals].iter().sum::<u64>() as f64 / (intervals - second) as f64;
    let grows = |trend: Trend| trend.p < BY_CHANCE && trend.slope > mean_due * NO_GROWTH;
    Trend::of(&in_flight[second..]).is_some_and(grows)
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
            *(if passes { &mut low } else { &mut high }) = middle;
            self.know(middle, passes);
        }
        let mut is_firm = false;
        for _ in 0..MOST_STEPS {
            while high > low * (1.0 + self.limits.precision) {
                let middle = f64::midpoint(low, high);
                let passes = self.vote(Phase::Narrowing, middle)?;
                is_firm |= !passes;
                *(if passes { &mut low } else { &mut high }) = middle;
                self.know(middle, passes);
            }
            // A rate that failed in a short trial may pass in longer ones.
            if is_firm || !self.vote(Phase::Narrowing, high)? {
                self.high = Some(high);
                return self.confirm(low);
            }
            (self.low, self.high) = (Some(high), None);
            (low, high) = (high, high * (1.0 + COARSE * self.limits.precision));
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
                    self.high = Some(rate * 2.0);
                    return Ok((rate, rate * 2.0));
                }
                rate *= 2.0;
            }
        }
        for _ in 0..MOST_HALVINGS {
            self.high = Some(rate);
            if self.single(Phase::Doubling, rate / 2.0)? {
                self.low = Some(rate / 2.0);
                return Ok((rate / 2.0, rate));
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
            low /= 1.0 + self.limits.precision;
        }
        Ok(End::Unsteady)
    }

    fn know(&mut self, rate: f64, passes: bool) {
        *(if passes { &mut self.low } else { &mut self.high }) = Some(rate);
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
            let length = self.limits.length(phase, rate);
            let warmup = self.limits.warmup.unwrap_or_else(|| warmup_of(length));
            let trial = Trial { phase, rate, length, warmup };
            if self.trials == self.limits.most_trials {
                return Err(Stop::Over(End::Trials));
            }
            let spent = self.spent.saturating_add(length).saturating_add(warmup);
            if spent > self.limits.most_time {
                return Err(Stop::Over(End::Time));
            }
            self.trials += 1;
            self.spent = spent;
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
            Phase::Doubling => (6, BEYOND_AT_FIRST),
            Phase::Halving => (2, BEYOND),
            Phase::Narrowing | Phase::Confirming => (1, BEYOND),
        };
        let needed = beyond * self.one_in.unwrap_or(1.0) / rate;
        (self.trial / share).max(Duration::try_from_secs_f64(needed).unwrap_or(Duration::MAX))
    }
}

#[cfg(test)]
mod tests;
