//! In which order are the runs of a series made?

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use schemars::JsonSchema;
use serde::Deserialize;

/// In which order the runs of a series are made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// All of them once, then all of them again: what drifts meanwhile meets all alike
    #[default]
    Interleaved,
    /// All repeats of one, then all of the next
    Sequential,
    /// As interleaved, each round in an order of its own that a seed decides
    Random,
}

impl Order {
    /// `rounds` runs of each of `plans`, as numbers of plans from 0. A seed gives the same order every time.
    pub fn of(self, plans: usize, rounds: usize, seed: u64) -> Vec<usize> {
        let round = || 0..plans;
        match self {
            Self::Interleaved => (0..rounds).flat_map(|_| round()).collect(),
            Self::Sequential => round().flat_map(|plan| std::iter::repeat_n(plan, rounds)).collect(),
            Self::Random => {
                let mut chance = ChaCha8Rng::seed_from_u64(seed);
                (0..rounds).flat_map(|_| shuffled(round().collect(), &mut chance)).collect()
            }
        }
    }
}

/// Fisher and Yates: every order is equally likely, but for a remainder of 2^-64.
fn shuffled(mut plans: Vec<usize>, chance: &mut ChaCha8Rng) -> Vec<usize> {
    for place in (1..plans.len()).rev() {
        let other = usize::try_from(chance.next_u64() % (place as u64 + 1)).unwrap_or(place);
        plans.swap(place, other);
    }
    plans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_plan_has_its_runs_in_the_order_that_was_asked_for() {
        assert_eq!(Order::Interleaved.of(3, 2, 1), [0, 1, 2, 0, 1, 2]);
        assert_eq!(Order::Sequential.of(3, 2, 1), [0, 0, 1, 1, 2, 2]);
        let random = Order::Random.of(50, 4, 1);
        assert_eq!(random, Order::Random.of(50, 4, 1));
        assert_ne!(random, Order::Random.of(50, 4, 2));
        for round in random.chunks(50) {
            assert_ne!(round, (0..50).collect::<Vec<_>>());
            let mut sorted = round.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..50).collect::<Vec<_>>());
        }
    }
}
