//! Chance that can be repeated: every number is a function of a seed and of the number of the request.

use std::sync::Mutex;
use std::time::Duration;

use super::lock;
use crate::clock::{Nanos, nanos};

/// A seed and what is drawn from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chance(pub u64);

impl Chance {
    /// A number in [0, 1) for request `number`; the same each time. (`SplitMix64`, Steele, Lea and Flood 2014.)
    pub fn uniform(self, number: u64) -> f64 {
        let step = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0.wrapping_mul(0xD134_2543_DE82_EF95).wrapping_add(step);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        // The upper 53 bits are as many as a double holds exactly.
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A duration of exponential distribution with that mean, for request `number`.
    pub fn exponential(self, number: u64, mean: Duration) -> Duration {
        mean.mul_f64(-(1.0 - self.uniform(number)).ln())
    }
}

/// One server for all connections, first come, first served: who comes while it is busy waits for those before.
#[derive(Debug, Default)]
pub struct Queue {
    /// When it has served everybody who came so far.
    free_at: Mutex<Nanos>,
}

impl Queue {
    /// Somebody comes at `at` and takes `service`. How long until he is served?
    pub fn enter(&self, at: Nanos, service: Duration) -> Duration {
        let mut free_at = lock(&self.free_at);
        *free_at = (*free_at).max(at) + nanos(service);
        Duration::from_nanos(*free_at - at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_repeated_and_spread_evenly() {
        let chance = Chance(7);
        let draws: Vec<f64> = (0..20_000).map(|number| chance.uniform(number)).collect();
        assert_eq!(draws[5].to_bits(), Chance(7).uniform(5).to_bits());
        assert_ne!(draws[5].to_bits(), Chance(8).uniform(5).to_bits());
        // Each tenth holds a tenth, within five standard deviations.
        for tenth in 0..10 {
            let low = f64::from(tenth) / 10.0;
            let inside = draws.iter().filter(|&&draw| draw >= low && draw < low + 0.1).count();
            assert!((1788..=2212).contains(&inside), "{tenth}: {inside}");
        }
        let mean = Duration::from_millis(10);
        let total: Duration = (0..20_000).map(|number| chance.exponential(number, mean)).sum();
        assert!((total.as_secs_f64() / 20_000.0 - 0.01).abs() < 0.000_36, "{total:?}");
    }

    #[test]
    fn a_queue_serves_one_after_the_other() {
        let queue = Queue::default();
        let ms = Duration::from_millis;
        let waits = [(0, 10), (2_000_000, 10), (40_000_000, 5)].map(|(at, time)| queue.enter(at, ms(time)));
        assert_eq!(waits, [ms(10), ms(18), ms(5)]);
    }
}
