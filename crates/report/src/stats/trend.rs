//! Do values in their order go up?

use super::chance::t_two_sided;

/// A line through equally distant values, by least squares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trend {
    /// How much it rises from one value to the next.
    pub slope: f64,
    /// How likely chance alone makes it rise so steeply. Above one half where it falls.
    pub p: f64,
}

impl Trend {
    /// `None` for fewer than three values: a line through two is always exact.
    pub fn of(values: &[f64]) -> Option<Self> {
        let count = values.len() as f64;
        let freedom = count - 2.0;
        if freedom < 1.0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / count;
        let from_middle = |place: usize| place as f64 - (count - 1.0) / 2.0;
        let points: Vec<(f64, f64)> =
            values.iter().enumerate().map(|(place, value)| (from_middle(place), value - mean)).collect();
        let across: f64 = points.iter().map(|(x, _)| x * x).sum();
        let slope = points.iter().map(|(x, y)| x * y).sum::<f64>() / across;
        let left: f64 = points.iter().map(|(x, y)| (y - slope * x).powi(2)).sum();
        let error = (left / freedom / across).sqrt();
        // All on one line: a level one says nothing, any other everything.
        let two_sided = if error > 0.0 {
            t_two_sided(slope / error, freedom)
        } else if slope.abs() > 0.0 {
            0.0
        } else {
            1.0
        };
        Some(Self { slope, p: if slope > 0.0 { two_sided / 2.0 } else { 1.0 - two_sided / 2.0 } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_values() {
        // By hand: slope 9/10, residuals -0.2, -0.1, 0, 1.1, -0.8, t 3.5762 with 3 degrees of freedom.
        let trend = Trend::of(&[1.0, 2.0, 3.0, 5.0, 4.0]).unwrap();
        assert!((trend.slope - 0.9).abs() < 1e-12, "{trend:?}");
        assert!((trend.p - 0.018_693).abs() < 1e-6, "{trend:?}");
        let falling = Trend::of(&[4.0, 5.0, 3.0, 2.0, 1.0]).unwrap();
        assert!((falling.slope + 0.9).abs() < 1e-12 && (falling.p - 0.981_307).abs() < 1e-6, "{falling:?}");
    }

    #[test]
    fn lines_are_certain_and_two_values_say_nothing() {
        assert_eq!(Trend::of(&[1.0, 2.0]), None);
        let p = |values: &[f64]| Trend::of(values).map(|trend| trend.p);
        assert_eq!(p(&[0.0, 2.0, 4.0]), Some(0.0));
        assert_eq!(p(&[3.0; 9]), Some(0.5));
    }
}
