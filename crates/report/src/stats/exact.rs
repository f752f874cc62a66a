//! How likely is it by chance alone? Exact tests: every arrangement is counted, nothing is approximated.

/// Beyond so many values together, counting every arrangement of two samples takes too long.
const MOST_VALUES: usize = 100;
/// Beyond so many pairs, trying all combinations of signs takes too long.
const MOST_PAIRS: usize = 20;

/// The two-sided p of the Mann-Whitney test: how likely a random split of all values has rank sums as uneven. Equal values
/// share their ranks. `None` for an empty sample, and for more values than can be counted out.
pub fn mann_whitney(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.is_empty() || b.is_empty() || a.len() + b.len() > MOST_VALUES {
        return None;
    }
    let ranks = doubled_ranks(a, b);
    let total: usize = ranks.iter().sum();
    let observed: usize = ranks[..a.len()].iter().sum();
    let counts = splits(&ranks, a.len());
    // A sum lies as far out as the observed one when it is as far from the mean, total * share of a.
    let all = a.len() + b.len();
    let distance = |sum: usize| (sum * all).abs_diff(total * a.len());
    let far = counts.iter().enumerate().filter(|&(sum, _)| distance(sum) >= distance(observed));
    Some(far.map(|(_, count)| count).sum::<f64>() / counts.iter().sum::<f64>())
}

/// Twice the rank of every value among all, those of `a` first: whole numbers also where equal values share a rank.
fn doubled_ranks(a: &[f64], b: &[f64]) -> Vec<usize> {
    let all: Vec<f64> = a.iter().chain(b).copied().collect();
    let count = |test: &dyn Fn(f64) -> bool| all.iter().filter(|&&other| test(other)).count();
    all.iter().map(|&value| count(&|other| other < value) + count(&|other| other <= value) + 1).collect()
}

/// How many ways there are to choose so many of the ranks, by their sum. Exact up to 2^53 ways, then to sixteen digits.
fn splits(ranks: &[usize], chosen: usize) -> Vec<f64> {
    let most: usize = ranks.iter().sum();
    let mut ways = vec![vec![0.0; most + 1]; chosen + 1];
    ways[0][0] = 1.0;
    for &rank in ranks {
        for size in (1..=chosen).rev() {
            let (fewer, with) = ways.split_at_mut(size);
            for sum in rank..=most {
                with[0][sum] += fewer[size - 1][sum - rank];
            }
        }
    }
    ways.swap_remove(chosen)
}

/// How many of the smallest values of U lie outside an interval of confidence 1 - alpha. `None` when not even the smallest
/// does, or when there are too many to be counted out.
pub(super) fn rank_sums_outside(a: usize, b: usize, alpha: f64) -> Option<usize> {
    if a == 0 || b == 0 || a + b > MOST_VALUES {
        return None;
    }
    let ranks: Vec<usize> = (1..=a + b).collect();
    let counts = splits(&ranks, a);
    let all: f64 = counts.iter().sum();
    let smallest = a * (a + 1) / 2;
    let mut below = 0.0;
    let fits = |&u: &usize| {
        below += counts.get(smallest + u).copied().unwrap_or(0.0);
        2.0 * below / all <= alpha
    };
    (0..=a * b / 2).take_while(fits).last()
}

/// The two-sided p of paired differences: how likely their sum is as far from zero when every sign is a coin's. `None` for no
/// differences, and for more than can be tried out.
pub fn sign_flips(differences: &[f64]) -> Option<f64> {
    if differences.is_empty() || differences.len() > MOST_PAIRS {
        return None;
    }
    let observed: f64 = differences.iter().sum::<f64>().abs();
    // Sums of the same numbers in another order differ in their last digits.
    let least = observed - differences.iter().map(|difference| difference.abs()).sum::<f64>() * 1e-12;
    let combinations = 1_u32 << differences.len();
    let flipped = |signs: u32| {
        let signed = differences.iter().enumerate();
        signed
            .map(|(place, difference)| if signs >> place & 1 == 1 { -difference } else { *difference })
            .sum::<f64>()
    };
    let far = (0..combinations).filter(|&signs| flipped(signs).abs() >= least).count();
    Some(far as f64 / f64::from(combinations))
}

/// The smallest p that [`mann_whitney`] can give for samples of these sizes without equal values.
pub fn least_mann_whitney(a: usize, b: usize) -> f64 {
    let ways = (1..=b).fold(1.0, |ways, k| ways * (a + k) as f64 / k as f64);
    (2.0 / ways).min(1.0)
}

/// The smallest p that [`sign_flips`] can give for so many pairs.
pub fn least_sign_flips(pairs: usize) -> f64 {
    0.5_f64.powi(i32::try_from(pairs).unwrap_or(i32::MAX).saturating_sub(1)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(left: f64, right: f64) {
        assert!((left - right).abs() < 1e-9, "{left} is not {right}");
    }

    fn apart(left: u32, right: u32) -> f64 {
        let lower: Vec<f64> = (0..left).map(f64::from).collect();
        let upper: Vec<f64> = (0..right).map(|place| 100.0 + f64::from(place)).collect();
        let p = mann_whitney(&lower, &upper).unwrap();
        near(p, mann_whitney(&upper, &lower).unwrap());
        near(p, least_mann_whitney(lower.len(), upper.len()));
        p
    }

    #[test]
    fn separated_samples() {
        for (n, m, expected) in [
            (3, 3, 0.1),
            (4, 4, 0.028_571_428_571),
            (5, 5, 2.0 / 252.0),
            (6, 6, 0.002_164_502_165),
            (4, 5, 2.0 / 126.0),
            (1, 1, 1.0),
            (20, 20, 2.0 / 137_846_528_820.0),
        ] {
            near(apart(n, m), expected);
        }
    }

    #[test]
    fn samples_that_overlap() {
        // The numbers of arrangements with U at most 0, 1, 2, 3: 1, 2, 4, 7 (every book's table).
        let p = |u: usize| {
            let places: [&[f64]; 4] =
                [&[1.0, 2.0, 3.0, 4.0], &[1.0, 2.0, 3.0, 5.0], &[1.0, 2.0, 3.0, 6.0], &[1.0, 2.0, 3.0, 7.0]];
            let a = places[u];
            let b: Vec<f64> = (1..=8).map(f64::from).filter(|value| !a.contains(value)).collect();
            mann_whitney(a, &b).unwrap()
        };
        for (u, ways) in [(0, 1.0), (1, 2.0), (2, 4.0), (3, 7.0)] {
            near(p(u), 2.0 * ways / 70.0);
        }
    }

    /// Every split is tried, and its ranks are counted as one would by hand.
    fn by_hand(a: &[f64], b: &[f64]) -> f64 {
        let all: Vec<f64> = a.iter().chain(b).copied().collect();
        let rank = |value: f64| {
            let below = all.iter().filter(|&&other| other < value).count() as f64;
            let equal = all.iter().filter(|&&other| (other - value).abs() < 1e-12).count() as f64;
            below + f64::midpoint(equal, 1.0)
        };
        let ranks: Vec<f64> = all.iter().map(|&value| rank(value)).collect();
        let mean = ranks.iter().sum::<f64>() * a.len() as f64 / all.len() as f64;
        let observed = (ranks[..a.len()].iter().sum::<f64>() - mean).abs();
        let chosen = (0_u32..1 << all.len()).filter(|set| set.count_ones() as usize == a.len());
        let (mut far, mut count) = (0.0, 0.0);
        for set in chosen {
            let sum: f64 =
                (0..all.len()).filter(|place| set >> place & 1 == 1).map(|place| ranks[place]).sum();
            count += 1.0;
            if (sum - mean).abs() >= observed - 1e-9 {
                far += 1.0;
            }
        }
        far / count
    }

    #[test]
    fn equal_values_share_their_ranks() {
        let cases: [(&[f64], &[f64]); 4] = [
            (&[1.0, 1.0, 2.0, 3.0], &[2.0, 3.0, 3.0, 4.0, 5.0]),
            (&[1.0, 1.0, 1.0], &[1.0, 1.0, 1.0]),
            (&[1.0, 2.0, 2.0, 9.0, 9.0], &[2.0, 9.0]),
            (&[5.0, 6.0, 7.0], &[1.0, 5.0, 5.0, 5.0]),
        ];
        for (a, b) in cases {
            near(mann_whitney(a, b).unwrap(), by_hand(a, b));
        }
        near(mann_whitney(&[1.0; 5], &[1.0; 5]).unwrap(), 1.0);
    }

    #[test]
    fn signs() {
        near(sign_flips(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap(), 0.0625);
        near(sign_flips(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap(), 0.03125);
        // Only without its sign is the smallest one as far out: 4 of 32.
        near(sign_flips(&[-1.0, 2.0, 3.0, 4.0, 5.0]).unwrap(), 4.0 / 32.0);
        near(sign_flips(&[1.0, -1.0]).unwrap(), 1.0);
        assert_eq!((sign_flips(&[]), sign_flips(&[1.0; 21])), (None, None));
        near(least_sign_flips(5), 0.0625);
    }

    #[test]
    fn what_cannot_be_counted_out_is_not_guessed() {
        assert_eq!(mann_whitney(&[], &[1.0]), None);
        assert_eq!(mann_whitney(&[1.0; 51], &[1.0; 50]), None);
        // Two-sided 5%: the tables of critical values of U.
        let outside = |a, b| rank_sums_outside(a, b, 0.05);
        assert_eq!(
            [outside(3, 3), outside(4, 4), outside(5, 5), outside(6, 6), outside(10, 10), outside(5, 8)],
            [None, Some(0), Some(2), Some(5), Some(23), Some(6)]
        );
    }
}
