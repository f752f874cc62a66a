//! What happens to one request: drawn from the lists, the same again with the same seed.

use std::time::Duration;

use http::StatusCode;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::grammar::{Faults, List, Share, WHOLE};

/// What happens to one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each happens or does not, whatever the others do")]
pub struct Drawn {
    /// Its answer waits so long.
    pub delay: Duration,
    /// It waits so much longer for each request in flight, itself included.
    pub delay_per_inflight: Duration,
    /// The status of its answer instead of 200.
    pub status: Option<StatusCode>,
    /// The size of its answer instead of its own body, in bytes.
    pub size: Option<u64>,
    /// Its connection is closed after the answer, which says so.
    pub close: bool,
    /// Its connection is reset instead of the answer.
    pub reset: bool,
    /// Half the body of its answer is sent, then the connection is closed.
    pub truncate: bool,
    /// The body of its answer takes so long.
    pub drip: Duration,
    /// It is never answered.
    pub never: bool,
}

impl Drawn {
    /// What happens to request `number` under these faults. It depends on the seed and that number alone, and each key
    /// has its own draw.
    pub fn draw(faults: &Faults, seed: u64, number: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(number);
        let mut draw = || {
            // The upper half of the product is evenly spread over the millionths.
            let scaled = (u64::from(rng.next_u32()) * u64::from(WHOLE)) >> 32;
            u32::try_from(scaled).unwrap_or(0)
        };
        // In this order for ever: a seed stands in notes and scripts.
        Self {
            delay: pick(faults.delay.as_ref(), draw()).unwrap_or_default(),
            status: pick(faults.status.as_ref(), draw()),
            size: pick(faults.size.as_ref(), draw()),
            close: hit(faults.close, draw()),
            reset: hit(faults.reset, draw()),
            truncate: hit(faults.truncate, draw()),
            drip: pick(faults.drip.as_ref(), draw()).unwrap_or_default(),
            never: hit(faults.never, draw()),
            delay_per_inflight: faults.delay_per_inflight.unwrap_or_default(),
        }
    }

    /// Whether a row is kept: not of a request that is refused or left waiting.
    pub fn keeps_row(&self) -> bool {
        !self.never && self.status.is_none_or(|status| status.as_u16() < 400)
    }
}

fn pick<T: Copy>(list: Option<&List<T>>, at: u32) -> Option<T> {
    let mut below = 0;
    list?.0.iter().find_map(|(value, share)| {
        below += share.0;
        (at < below).then_some(*value)
    })
}

fn hit(share: Option<Share>, at: u32) -> bool {
    share.is_some_and(|share| at < share.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(text: &str, seed: u64) -> Vec<Drawn> {
        let faults = text.parse().unwrap();
        (0..10_000).map(|number| Drawn::draw(&faults, seed, number)).collect()
    }

    fn share(of: &[Drawn], like: impl Fn(&Drawn) -> bool) -> f64 {
        of.iter().filter(|drawn| like(drawn)).count() as f64 / of.len() as f64
    }

    #[test]
    fn shares_are_those_that_were_asked_for() {
        let all = draws("delay=150us:10,2ms:5&status=503:1&close=2&never=100", 7);
        for (expected, like) in [
            (0.10, (|drawn| drawn.delay == Duration::from_micros(150)) as fn(&Drawn) -> bool),
            (0.05, |drawn| drawn.delay == Duration::from_millis(2)),
            (0.85, |drawn| drawn.delay.is_zero()),
            (0.01, |drawn| drawn.status == Some(StatusCode::SERVICE_UNAVAILABLE)),
            (0.02, |drawn| drawn.close),
            (1.0, |drawn| drawn.never),
            (0.0, |drawn| drawn.reset),
            // Independent of each other.
            (0.10 * 0.02, |drawn| drawn.close && drawn.delay == Duration::from_micros(150)),
        ] {
            let found = share(&all, like);
            // Five standard deviations.
            let margin = 5.0 * (expected * (1.0 - expected) / all.len() as f64).sqrt();
            assert!((found - expected).abs() <= margin, "{found} instead of {expected}");
        }
    }

    #[test]
    fn every_key_draws_evenly_from_the_first_requests_on() {
        let text = "delay=1ms:1&status=503:1&size=1:1&close=1&reset=1&truncate=1&drip=1ms:1&never=1";
        let hits = [1, 2, 3, 4, 5, 6, 7, 8].map(|seed| draws(text, seed)).concat();
        let keys: [fn(&Drawn) -> bool; 8] = [
            |drawn| !drawn.delay.is_zero(),
            |drawn| drawn.status.is_some(),
            |drawn| drawn.size.is_some(),
            |drawn| drawn.close,
            |drawn| drawn.reset,
            |drawn| drawn.truncate,
            |drawn| !drawn.drip.is_zero(),
            |drawn| drawn.never,
        ];
        for key in keys {
            let found = share(&hits, key);
            assert!((found - 0.01).abs() < 0.002, "{found}");
        }
    }

    #[test]
    fn a_seed_repeats_and_another_differs() {
        let text = "delay=1ms:50&reset=50";
        assert_eq!(draws(text, 7), draws(text, 7));
        assert_ne!(draws(text, 7), draws(text, 8));
        // A value that stands in notes: what seed 7 does must never change.
        let first: String =
            draws(text, 7)[..20].iter().map(|drawn| if drawn.reset { 'r' } else { '.' }).collect();
        assert_eq!(first, "r.r.rr..rrrr..rrrr.r");
    }

    #[test]
    fn rows_are_kept_of_what_is_answered_in_the_end() {
        let keeps = |text: &str| Drawn::draw(&text.parse().unwrap(), 1, 0).keeps_row();
        for kept in ["status=201", "delay=1s", "close=100", "reset=100", "truncate=100", "drip=1s", "size=1"]
        {
            assert!(keeps(kept), "{kept}");
        }
        for lost in ["status=400", "status=503", "never=100"] {
            assert!(!keeps(lost), "{lost}");
        }
    }
}
