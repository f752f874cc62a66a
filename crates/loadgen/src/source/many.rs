//! Which request does a release carry? One, or those of a mix, chosen by the release's number alone.

use std::sync::Arc;

use super::{Origin, POOLED_ORIGINS, Request};

/// Everything that a run may send.
#[derive(Debug)]
pub struct Source {
    entries: Box<[Entry]>,
    /// `None`: there is only one request.
    choice: Option<Choice>,
    names: Box<[String]>,
}

/// One request of a mix.
#[derive(Debug)]
pub struct Entry {
    /// The request.
    pub request: Request,
    /// How often it is sent, beside the others; from 1 on.
    pub weight: u32,
    /// Under which of the names it is counted.
    pub name: u16,
}

impl Source {
    /// Always the same request, counted under no name.
    pub fn one(request: Request) -> Self {
        let entry = Entry { request, weight: 1, name: 0 };
        Self { entries: [entry].into(), choice: None, names: Box::default() }
    }

    /// Requests by weight, in an order that grows from the seed, counted under names. At least one request and one name.
    pub fn many(entries: Vec<Entry>, names: Vec<String>, seed: u64) -> Self {
        let choice = Choice::new(entries.iter().map(|entry| u64::from(entry.weight)), seed);
        Self { entries: entries.into(), choice: Some(choice), names: names.into() }
    }

    /// The place of the request that the release of this number carries, whoever takes it.
    pub fn choose(&self, number: u64) -> usize {
        self.choice.as_ref().map_or(0, |choice| choice.choose(number))
    }

    /// The request at a place.
    pub fn request(&self, place: usize) -> &Request {
        &self.entries[place].request
    }

    /// The number of the name under which the request at a place is counted.
    pub fn name(&self, place: usize) -> usize {
        self.entries[place].name.into()
    }

    /// Names under which requests are counted. Empty: they are not told apart.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// All requests.
    pub fn requests(&self) -> impl ExactSizeIterator<Item = &Request> {
        self.entries.iter().map(|entry| &entry.request)
    }

    /// Where the requests lead, in their order; no more than connections are kept to.
    pub fn origins(&self) -> Vec<&Arc<Origin>> {
        let mut origins: Vec<&Arc<Origin>> = Vec::new();
        for request in self.requests() {
            if origins.len() < POOLED_ORIGINS && !origins.contains(&&request.origin) {
                origins.push(&request.origin);
            }
        }
        origins
    }

    /// Where the connection of a slot leads that is opened before time zero: slots are spread as requests are.
    pub fn origin(&self, slot: usize) -> &Arc<Origin> {
        &self.request(self.choose(slot as u64)).origin
    }
}

/// Draws by weight without remembering anything: the releases come in blocks as long as the sum of the weights, in
/// each block every request has its exact share, and the order within a block is a permutation that grows from the
/// seed and the block's number. So the share is exact over every whole block, and any release can be asked for alone.
#[derive(Debug)]
struct Choice {
    seed: u64,
    /// Length of a block.
    block: u64,
    /// Where each request's share of the block ends. Empty: all shares are 1.
    ends: Box<[u64]>,
}

/// Rounds of the permutation. Four would do for long blocks; in short ones some orders would come too often.
const ROUNDS: u64 = 10;

impl Choice {
    fn new(weights: impl Iterator<Item = u64> + Clone, seed: u64) -> Self {
        // Shorter blocks keep the shares sooner.
        let divisor = weights.clone().fold(0, greatest_common_divisor).max(1);
        let mut block = 0;
        let ends: Vec<u64> = weights
            .map(|weight| {
                block += weight / divisor;
                block
            })
            .collect();
        let are_even = block == ends.len() as u64;
        Self { seed, block, ends: if are_even { Box::default() } else { ends.into() } }
    }

    fn choose(&self, number: u64) -> usize {
        let key = scramble(self.seed ^ scramble(number / self.block));
        let place = permute(number % self.block, self.block, key);
        if self.ends.is_empty() {
            return usize::try_from(place).unwrap_or(usize::MAX);
        }
        self.ends.partition_point(|end| *end <= place)
    }
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// Takes each number below `size` to another one below it, and no two to the same: a Feistel network over the next power
/// of four, walked until it comes back into range, which takes fewer than four steps on average.
fn permute(number: u64, size: u64, key: u64) -> u64 {
    let half = (u64::BITS - size.saturating_sub(1).leading_zeros()).div_ceil(2);
    let mask = (1_u64 << half) - 1;
    let mut number = number;
    loop {
        let (mut left, mut right) = (number >> half, number & mask);
        for round in 0..ROUNDS {
            (left, right) = (right, left ^ (scramble(key.wrapping_add(round) ^ (right << 8)) & mask));
        }
        number = left << half | right;
        if number < size {
            return number;
        }
    }
}

/// The finishing function of `SplitMix64` (Steele, Lea, Flood 2014).
fn scramble(number: u64) -> u64 {
    let mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counts(weights: &[u64], seed: u64, numbers: std::ops::Range<u64>) -> Vec<u64> {
        let choice = Choice::new(weights.iter().copied(), seed);
        let mut counts = vec![0; weights.len()];
        numbers.for_each(|number| counts[choice.choose(number)] += 1);
        counts
    }

    proptest! {
        #[test]
        fn every_block_has_the_exact_shares(
            weights in prop::collection::vec(1_u64..30, 1..20), seed: u64, block in 0_u64..1000,
        ) {
            let sum: u64 = weights.iter().sum();
            prop_assert_eq!(&counts(&weights, seed, block * sum..(block + 1) * sum), &weights);
        }
    }

    #[test]
    fn common_factors_are_taken_out() {
        assert_eq!(counts(&[600, 300, 100], 7, 0..10), [6, 3, 1]);
        assert_eq!(counts(&[1_000_000; 3], 7, 0..3), [1, 1, 1]);
    }

    #[test]
    fn a_seed_repeats_its_order_and_another_has_another() {
        let order = |seed| {
            let choice = Choice::new([5, 3, 2].into_iter(), seed);
            (0..100).map(|number| choice.choose(number)).collect::<Vec<_>>()
        };
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
        assert_ne!(order(1)[..10], order(1)[10..20], "blocks differ from each other");
    }

    #[test]
    fn what_follows_what_is_not_fixed() {
        // Of ten even requests, each is followed by each of the others about equally often.
        let choice = Choice::new([1; 10].into_iter(), 3);
        let mut follows = [[0_u32; 10]; 10];
        for number in 0..100_000 {
            follows[choice.choose(number)][choice.choose(number + 1)] += 1;
        }
        for (first, row) in follows.iter().enumerate() {
            for (second, count) in row.iter().enumerate().filter(|(second, _)| *second != first) {
                assert!((970..1230).contains(count), "{first} then {second}: {count}");
            }
        }
    }
}
