//! How does throughput grow with size, and where does that end? The Universal Scalability Law.
//!
//! `X(N) = lambda N / (1 + sigma (N - 1) + kappa N (N - 1))`: `lambda` is what one carries, `sigma` the share that waits for
//! each other, `kappa` what each costs every other. Fitted as `N/X = a + b (N - 1) + c N (N - 1)`, which is linear, with weights
//! `(X/N)^2`: every run counts by its relative error. Coefficients below zero mean nothing, and are held at zero.

use super::Interval;
use super::chance::normal_quantile;

/// Fewer sizes determine nothing.
pub const LEAST_SIZES: usize = 4;
/// Fewer runs of a size do not tell how far chance reaches.
pub const LEAST_RUNS: usize = 3;
/// Nothing is predicted beyond so many times the largest size measured.
pub const FURTHEST: f64 = 2.0;
/// A crosstalk whose interval begins lower is none that could be shown.
const NO_CROSSTALK: f64 = 1e-9;
/// Repetitions of the fit with values as chance could have made them.
const DRAWS: usize = 2_000;

/// Runs of one size.
#[derive(Debug, Clone, PartialEq)]
pub struct Size {
    /// How many instances, CPUs or connections.
    pub size: f64,
    /// The throughput of each run.
    pub throughputs: Vec<f64>,
}

/// The law's three coefficients.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Law {
    /// Throughput of size one.
    pub lambda: f64,
    /// Contention: 0 is none.
    pub sigma: f64,
    /// Crosstalk: 0 is none.
    pub kappa: f64,
}

/// A law with what chance may have to do with it: 95% intervals.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// The best one.
    pub law: Law,
    /// Of the throughput of size one.
    pub lambda: Interval,
    /// Of the contention.
    pub sigma: Interval,
    /// Of the crosstalk: where it holds 0, there is no evidence of a peak.
    pub kappa: Interval,
    /// The largest size measured.
    pub largest: f64,
}

/// Why there is no law.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Too few sizes.
    #[error("the scalability law takes {LEAST_SIZES} different sizes, and there are {0}")]
    Sizes(usize),
    /// Too few runs.
    #[error("the scalability law takes {LEAST_RUNS} runs of each size, and one has {0}")]
    Runs(usize),
    /// A size or a throughput that is not positive, or values that no law fits.
    #[error("no scalability law fits these values")]
    Values,
}

impl Law {
    /// The throughput of a size.
    pub fn throughput(&self, size: f64) -> f64 {
        self.lambda * size / (1.0 + self.sigma * (size - 1.0) + self.kappa * size * (size - 1.0))
    }

    /// The size of the largest throughput, one at least: 1 where every further one takes more than it brings. `None` where there is
    /// no end to it.
    pub fn peak(&self) -> Option<f64> {
        if self.sigma > 1.0 {
            return Some(1.0);
        }
        (self.kappa > 0.0).then(|| ((1.0 - self.sigma) / self.kappa).sqrt().max(1.0))
    }

    /// The best law for points of size and throughput. `None` for fewer than three, and for values that are not positive.
    pub fn of(points: &[(f64, f64)]) -> Option<Self> {
        let is_good =
            points.iter().all(|&(size, x)| size > 0.0 && x > 0.0 && size.is_finite() && x.is_finite());
        if points.len() < 3 || !is_good {
            return None;
        }
        // The coefficients that may be other than zero: all, then fewer. The best of those that none is negative in.
        let fits =
            [[true, true], [true, false], [false, true], [false, false]].map(|free| fitted(points, free));
        let allowed = fits.into_iter().flatten().filter(|(law, _)| law.sigma >= 0.0 && law.kappa >= 0.0);
        allowed.min_by(|left, right| left.1.total_cmp(&right.1)).map(|(law, _)| law)
    }
}

/// The best law with some coefficients held at zero, and its weighted sum of squares.
fn fitted(points: &[(f64, f64)], [sigma, kappa]: [bool; 2]) -> Option<(Law, f64)> {
    let row = |size: f64| {
        [1.0, if sigma { size - 1.0 } else { 0.0 }, if kappa { size * (size - 1.0) } else { 0.0 }]
    };
    let mut matrix = [[0.0; 4]; 3];
    for &(size, x) in points {
        let (terms, weight, y) = (row(size), (x / size).powi(2), size / x);
        for (line, term) in matrix.iter_mut().zip(terms) {
            for (cell, other) in line.iter_mut().zip(terms.into_iter().chain([y])) {
                *cell += weight * term * other;
            }
        }
    }
    for (place, is_free) in [(1, sigma), (2, kappa)] {
        if !is_free {
            matrix[place][place] = 1.0;
        }
    }
    let [a, b, c] = solved(matrix)?;
    if a <= 0.0 {
        return None;
    }
    let error = |&(size, x): &(f64, f64)| {
        let residual =
            size / x - row(size).iter().zip([a, b, c]).map(|(term, factor)| term * factor).sum::<f64>();
        (x / size * residual).powi(2)
    };
    Some((Law { lambda: 1.0 / a, sigma: b / a, kappa: c / a }, points.iter().map(error).sum()))
}

/// Three linear equations, by elimination with the largest pivot.
fn solved(mut rows: [[f64; 4]; 3]) -> Option<[f64; 3]> {
    for column in 0..3 {
        let pivot = (column..3).max_by(|&l, &r| rows[l][column].abs().total_cmp(&rows[r][column].abs()))?;
        rows.swap(column, pivot);
        if rows[column][column].abs() < f64::MIN_POSITIVE {
            return None;
        }
        let above = rows[column];
        for (_, row) in rows.iter_mut().enumerate().filter(|(place, _)| *place != column) {
            let factor = row[column] / above[column];
            row.iter_mut().zip(above).for_each(|(cell, other)| *cell -= factor * other);
        }
    }
    let solution = [0, 1, 2].map(|place| rows[place][3] / rows[place][place]);
    solution.iter().all(|value| value.is_finite()).then_some(solution)
}

/// Fits the law to runs of several sizes.
///
/// # Errors
/// With fewer than [`LEAST_SIZES`] different sizes or [`LEAST_RUNS`] runs of each, and for values that no law fits.
pub fn fit(sizes: &[Size]) -> Result<Fit, Refusal> {
    let mut different: Vec<f64> = sizes.iter().map(|size| size.size).collect();
    different.sort_by(f64::total_cmp);
    different.dedup();
    if different.len() < LEAST_SIZES || different.len() < sizes.len() {
        return Err(Refusal::Sizes(different.len()));
    }
    if let Some(few) = sizes.iter().map(|size| size.throughputs.len()).find(|&runs| runs < LEAST_RUNS) {
        return Err(Refusal::Runs(few));
    }
    let means: Vec<(f64, f64, f64)> = sizes.iter().map(in_logarithms).collect();
    let law = Law::of(&points(&means, || 0.0)).ok_or(Refusal::Values)?;
    // The same numbers every time: one document renders to one text.
    let mut state = 31_u64;
    let draws: Vec<Law> =
        (0..DRAWS).filter_map(|_| Law::of(&points(&means, || normal(&mut state)))).collect();
    let interval = |of: fn(&Law) -> f64| {
        let mut values: Vec<f64> = draws.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        let outside = values.len() / 40;
        Some(Interval { low: *values.get(outside)?, high: *values.get(values.len() - 1 - outside)? })
    };
    let all = (interval(|law| law.lambda), interval(|law| law.sigma), interval(|law| law.kappa));
    let (Some(lambda), Some(sigma), Some(kappa)) = all else { return Err(Refusal::Values) };
    Ok(Fit { law, lambda, sigma, kappa, largest: *different.last().ok_or(Refusal::Values)? })
}

impl Fit {
    /// Whether chance does not explain that throughput falls in the end.
    pub fn has_peak(&self) -> bool {
        self.kappa.low > NO_CROSSTALK || self.sigma.low > 1.0
    }

    /// The throughput of a size. `None` beyond [`FURTHEST`] times the largest measured.
    pub fn predicted(&self, size: f64) -> Option<f64> {
        (size > 0.0 && size <= FURTHEST * self.largest).then(|| self.law.throughput(size))
    }
}

/// Size, mean of the logarithms of its throughputs, and the standard error of that mean.
fn in_logarithms(size: &Size) -> (f64, f64, f64) {
    let logs: Vec<f64> = size.throughputs.iter().map(|x| x.ln()).collect();
    let runs = logs.len() as f64;
    let mean = logs.iter().sum::<f64>() / runs;
    let variance = logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / (runs - 1.0);
    (size.size, mean, (variance / runs).sqrt())
}

fn points(means: &[(f64, f64, f64)], mut chance: impl FnMut() -> f64) -> Vec<(f64, f64)> {
    means.iter().map(|&(size, mean, error)| (size, (mean + error * chance()).exp())).collect()
}

/// The next standard normal number of a generator that gives the same ones for ever (`SplitMix64`).
fn normal(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let uniform = ((mixed ^ (mixed >> 31)) >> 11) as f64 + 0.5;
    normal_quantile(uniform / (1_u64 << 53) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The measurements that usl4j and usl-rs are tested with.
    const KNOWN: [f64; 32] = [
        955.16, 1878.91, 2688.01, 3548.68, 4315.54, 5130.43, 5931.37, 6531.08, 7219.8, 7867.61, 8278.71,
        8646.7, 9047.84, 9426.55, 9645.37, 9897.24, 10097.6, 10240.5, 10532.39, 10798.52, 11151.43, 11518.63,
        11806.0, 12089.37, 12075.41, 12177.29, 12211.41, 12158.93, 12155.27, 12118.04, 12140.4, 12074.39,
    ];

    fn near(left: f64, right: f64, share: f64) {
        assert!((left / right - 1.0).abs() < share, "{left} is not {right}");
    }

    #[test]
    fn golden_values() {
        let points: Vec<(f64, f64)> = (1_u32..).map(f64::from).zip(KNOWN).collect();
        let law = Law::of(&points).unwrap();
        near(law.sigma, 0.020_28, 1e-3);
        near(law.kappa, 8.958e-4, 1e-3);
        near(law.lambda, 960.05, 1e-4);
        near(law.peak().unwrap(), 33.07, 1e-2);
    }

    fn sizes(law: Law, factors: &[f64]) -> Vec<Size> {
        let throughputs = |size| factors.iter().map(|factor| factor * law.throughput(size)).collect();
        [1.0, 2.0, 4.0, 8.0].map(|size| Size { size, throughputs: throughputs(size) }).into()
    }

    #[test]
    fn a_law_is_found_again_with_what_chance_leaves_of_it() {
        let truth = Law { lambda: 1_000.0, sigma: 0.05, kappa: 0.02 };
        let fit = fit(&sizes(truth, &[1.0, 1.01, 0.99])).unwrap();
        near(fit.law.lambda, 1_000.0, 1e-3);
        near(fit.law.sigma, 0.05, 1e-2);
        near(fit.law.kappa, 0.02, 1e-2);
        assert!(
            fit.sigma.contains(0.05) && fit.kappa.contains(0.02) && fit.lambda.contains(1_000.0),
            "{fit:?}"
        );
        assert!(fit.kappa.low > 0.0, "there is evidence of a peak: {fit:?}");
        near(fit.law.peak().unwrap(), (0.95_f64 / 0.02).sqrt(), 1e-2);
        assert!(fit.predicted(16.0).is_some() && fit.predicted(16.1).is_none());
    }

    #[test]
    fn where_more_carry_less_from_the_beginning_one_is_the_peak() {
        // By hand: contention 1.2 and crosstalk 0.5 carry 1,000, 625 and 377 with one, two and four.
        let truth = Law { lambda: 1_000.0, sigma: 1.2, kappa: 0.5 };
        near(truth.throughput(2.0), 2_000.0 / 3.2, 1e-12);
        let fit = fit(&sizes(truth, &[1.0, 1.01, 0.99])).unwrap();
        near(fit.law.sigma, 1.2, 1e-2);
        assert_eq!((fit.law.peak(), fit.has_peak()), (Some(1.0), true), "{fit:?}");
        // The formula's peak lies below one, where there is nothing.
        let steep = Law { lambda: 1_000.0, sigma: 0.0, kappa: 4.0 };
        assert_eq!(steep.peak(), Some(1.0));
        let flat = Law { lambda: 1_000.0, sigma: 1.0, kappa: 0.0 };
        assert_eq!(flat.peak(), None, "it neither rises nor falls");
    }

    #[test]
    fn nothing_is_below_zero() {
        // Better than linear: neither contention nor crosstalk.
        let points = [(1.0, 100.0), (2.0, 210.0), (4.0, 450.0), (8.0, 1_000.0)];
        let law = Law::of(&points).unwrap();
        assert!(law.sigma.abs() < 1e-12 && law.kappa.abs() < 1e-12 && law.peak().is_none(), "{law:?}");
        let amdahl = Law { lambda: 100.0, sigma: 0.1, kappa: 0.0 };
        let fit = fit(&sizes(amdahl, &[1.0, 1.05, 0.95])).unwrap();
        assert!(fit.kappa.low <= 0.0 && fit.kappa.high > 0.0, "no evidence of a peak: {fit:?}");
    }

    #[test]
    fn too_little_is_refused() {
        let law = Law { lambda: 1_000.0, sigma: 0.05, kappa: 0.0 };
        let enough = sizes(law, &[1.0, 1.01, 0.99]);
        assert_eq!(fit(&enough[..3]), Err(Refusal::Sizes(3)));
        let twice = [enough[0].clone(), enough[0].clone(), enough[1].clone(), enough[2].clone()];
        assert_eq!(fit(&twice), Err(Refusal::Sizes(3)));
        assert_eq!(fit(&sizes(law, &[1.0, 1.01])), Err(Refusal::Runs(2)));
        assert_eq!(fit(&sizes(law, &[1.0, 1.01, 0.0])), Err(Refusal::Values));
        assert!(Refusal::Sizes(3).to_string().contains("4 different sizes"));
    }
}
