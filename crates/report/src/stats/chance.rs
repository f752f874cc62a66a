//! Which values do the normal and the t distribution take? The only user of statrs.
//!
//! Of statrs only distributions are used: its exact Mann-Whitney test (0.19) is wrong for samples of equal size.

use statrs::distribution::{Binomial, ContinuousCDF, DiscreteCDF, Normal, StudentsT};

/// The value below which a t-distributed number stays with this probability. NaN for degrees of freedom that are none.
pub(super) fn t_quantile(probability: f64, freedom: f64) -> f64 {
    StudentsT::new(0.0, 1.0, freedom).map_or(f64::NAN, |t| t.inverse_cdf(probability))
}

/// How likely a t-distributed number lies as far from zero, or further.
pub(super) fn t_two_sided(t: f64, freedom: f64) -> f64 {
    StudentsT::new(0.0, 1.0, freedom).map_or(f64::NAN, |dist| 2.0 * dist.cdf(-t.abs()))
}

/// As [`t_quantile`], for the standard normal distribution.
pub(super) fn normal_quantile(probability: f64) -> f64 {
    Normal::standard().inverse_cdf(probability)
}

/// As [`t_two_sided`], for the standard normal distribution.
pub(super) fn normal_two_sided(z: f64) -> f64 {
    2.0 * Normal::standard().cdf(-z.abs())
}

/// How likely of so many fair coins at most `heads` show heads.
pub(super) fn coins_at_most(heads: u64, coins: u64) -> f64 {
    Binomial::new(0.5, coins).map_or(f64::NAN, |binomial| binomial.cdf(heads))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_the_tables() {
        // As R's qt and qnorm print them.
        let t = [
            (0.975, 1.0, 12.706_204_736),
            (0.975, 2.0, 4.302_652_730),
            (0.975, 4.0, 2.776_445_105),
            (0.975, 9.0, 2.262_157_163),
            (0.975, 30.0, 2.042_272_456),
            (0.95, 4.0, 2.131_846_786),
            (0.80, 4.0, 0.940_964_577),
        ];
        for (probability, freedom, expected) in t {
            let quantile = t_quantile(probability, freedom);
            assert!((quantile - expected).abs() < 1e-6, "{probability} {freedom}: {quantile}");
            let back = t_two_sided(quantile, freedom);
            assert!((back - 2.0 * (1.0 - probability)).abs() < 1e-9, "{back}");
        }
        assert!((normal_quantile(0.975) - 1.959_963_985).abs() < 1e-8);
        assert!((normal_two_sided(1.959_963_985) - 0.05).abs() < 1e-9);
        assert!((coins_at_most(1, 6) - 7.0 / 64.0).abs() < 1e-12);
        assert!(t_quantile(0.975, 0.0).is_nan());
    }
}
