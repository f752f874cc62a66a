//! Where is the middle of a few values, and how sure is that?

use super::chance::coins_at_most;
use super::{ALPHA, Interval, exact};

/// The median: of an even number, the mean of the middle two. `None` of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    Some(f64::midpoint(sorted[last / 2], sorted[sorted.len() / 2]))
}

/// The 95% interval of the median by order statistics, which assumes nothing about the values but their independence.
/// `None` for fewer than six.
pub fn median_interval(values: &[f64]) -> Option<Interval> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = u64::try_from(sorted.len()).ok()?;
    let outside = (0..n / 2).take_while(|&heads| 2.0 * coins_at_most(heads, n) <= ALPHA).last()?;
    let place = usize::try_from(outside).ok()?;
    Some(Interval { low: *sorted.get(place)?, high: *sorted.get(sorted.len() - 1 - place)? })
}

/// The mean of ratios. `None` of nothing, and where a value is not positive.
pub fn geometric_mean(values: &[f64]) -> Option<f64> {
    let is_good = !values.is_empty() && values.iter().all(|&value| value > 0.0 && value.is_finite());
    is_good.then(|| (values.iter().map(|value| value.ln()).sum::<f64>() / values.len() as f64).exp())
}

/// How much the values of `b` exceed those of `a`: the median of all differences, and its 95% interval by the exact
/// rank test. No interval where the samples are too small for one, or too large to be counted out.
pub fn hodges_lehmann(a: &[f64], b: &[f64]) -> Option<(f64, Option<Interval>)> {
    let mut differences: Vec<f64> = b.iter().flat_map(|b| a.iter().map(move |a| b - a)).collect();
    differences.sort_by(f64::total_cmp);
    let middle = median(&differences)?;
    let outside = exact::rank_sums_outside(a.len(), b.len(), ALPHA);
    let interval =
        outside.map(|u| Interval { low: differences[u], high: differences[differences.len() - 1 - u] });
    Some((middle, interval))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn intervals_of_medians_begin_with_six() {
        let of = |n: u32| median_interval(&(1..=n).map(f64::from).collect::<Vec<_>>());
        let interval = |low, high| Some(Interval { low, high });
        assert_eq!((of(0), of(1), of(5)), (None, None, None));
        // The tables of order statistics.
        assert_eq!(
            (of(6), of(8), of(9), of(20)),
            (interval(1.0, 6.0), interval(1.0, 8.0), interval(2.0, 8.0), interval(6.0, 15.0))
        );
    }

    #[test]
    fn geometric_means() {
        assert!((geometric_mean(&[2.0, 8.0]).unwrap() - 4.0).abs() < 1e-12);
        assert_eq!((geometric_mean(&[]), geometric_mean(&[1.0, 0.0])), (None, None));
    }

    #[test]
    fn shifts() {
        let a: Vec<f64> = (1..=5).map(f64::from).collect();
        let b: Vec<f64> = (1..=5).map(|n| f64::from(n) * 10.0).collect();
        let (shift, interval) = hodges_lehmann(&a, &b).unwrap();
        // For five and five, u = 2: the third smallest and the third largest of 25 differences.
        assert_eq!((shift, interval), (27.0, Some(Interval { low: 7.0, high: 47.0 })));
        assert_eq!(
            hodges_lehmann(&a[..3], &b[..3]).unwrap().1,
            None,
            "three and three can never be told apart"
        );
        assert_eq!(hodges_lehmann(&[], &b), None);
    }
}
