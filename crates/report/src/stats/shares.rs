//! Do two shares differ: errors of requests?

use statrs::function::gamma::ln_gamma;

use super::Interval;
use super::chance::{normal_quantile, normal_two_sided};

/// Beyond so many counted things, the exact test takes too long, and the normal approximation is as good.
const MOST_COUNTED: u64 = 100_000;

/// The two-sided p of Fisher's exact test that a share is the same: of `a.1` things `a.0` count, of `b.1` things `b.0`. Very
/// large counts are approximated. One for samples of nothing.
pub fn fisher(a: (u64, u64), b: (u64, u64)) -> f64 {
    let counted = a.0 + b.0;
    if a.1 == 0 || b.1 == 0 {
        return 1.0;
    }
    if counted > MOST_COUNTED {
        return two_proportions(a, b);
    }
    let ln_choose = |n: u64, k: u64| {
        let ln_factorial = |n: u64| ln_gamma(n as f64 + 1.0);
        ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k)
    };
    let ways =
        |of_a: u64| ln_choose(a.1, of_a) + ln_choose(b.1, counted - of_a) - ln_choose(a.1 + b.1, counted);
    let observed = ways(a.0);
    // Logarithms of large factorials are good to nine digits or so.
    let possible = counted.saturating_sub(b.1)..=counted.min(a.1);
    let p: f64 = possible.map(ways).filter(|&ln| ln <= observed + 1e-7).map(f64::exp).sum();
    p.min(1.0)
}

fn two_proportions(a: (u64, u64), b: (u64, u64)) -> f64 {
    let (n, m) = (a.1 as f64, b.1 as f64);
    let pooled = (a.0 + b.0) as f64 / (n + m);
    let error = (pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m)).sqrt();
    let difference = b.0 as f64 / m - a.0 as f64 / n;
    if error > 0.0 { normal_two_sided(difference / error) } else { 1.0 }
}

/// By how much the share of `b` exceeds that of `a`, with this confidence (Agresti and Caffo: good down to no counts at all).
pub fn difference_interval(a: (u64, u64), b: (u64, u64), confidence: f64) -> Interval {
    let share = |(counted, all): (u64, u64)| (counted as f64 + 1.0) / (all as f64 + 2.0);
    let variance = |of: (u64, u64)| share(of) * (1.0 - share(of)) / (of.1 as f64 + 2.0);
    let middle = share(b) - share(a);
    let reach = normal_quantile(f64::midpoint(1.0, confidence)) * (variance(a) + variance(b)).sqrt();
    Interval { low: middle - reach, high: middle + reach }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_the_books() {
        // R: fisher.test(matrix(c(3, 1, 1, 3), 2)) 0.4857; (c(10, 2, 3, 15)) 0.0005367; (c(8, 2, 1, 5)) 0.03497.
        for (a, b, expected) in [
            ((3, 4), (1, 4), 0.485_714_286),
            ((10, 12), (3, 18), 0.000_536_724),
            ((8, 10), (1, 6), 0.034_965_035),
            ((0, 1_000), (0, 1_000), 1.0),
            ((5, 10), (5, 10), 1.0),
            ((0, 0), (5, 10), 1.0),
        ] {
            assert!((fisher(a, b) - expected).abs() < 1e-6, "{a:?} {b:?}: {}", fisher(a, b));
            assert!((fisher(b, a) - expected).abs() < 1e-6, "the other way round");
        }
    }

    #[test]
    fn large_counts_are_approximated_alike() {
        let exact = fisher((49_700, 1_000_000), (50_300, 1_000_000));
        let near = two_proportions((49_700, 1_000_000), (50_300, 1_000_000));
        assert!((exact - near).abs() < 0.002 && (0.04..0.06).contains(&exact), "{exact} {near}");
        assert!(fisher((60_000, 1_000_000), (70_000, 1_000_000)) < 1e-9);
    }

    #[test]
    fn differences_of_shares() {
        let none = difference_interval((0, 30_000), (0, 30_000), 0.90);
        assert!(none.high < 0.001 && none.low > -0.001, "{none:?}");
        let few = difference_interval((0, 100), (0, 100), 0.90);
        assert!(few.high > 0.01, "{few:?}: a hundred requests cannot show one in a thousand");
    }
}
