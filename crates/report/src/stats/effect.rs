//! By which factor do two sets of runs differ?

use super::chance::{normal_quantile, t_quantile, t_two_sided};
use super::{ALPHA, Interval, exact};

/// The chance to see a difference of the size that is called detectable.
const POWER: f64 = 0.80;

/// A standard error of logarithms that is smaller comes from rounding, not from runs that differ.
const NO_SPREAD: f64 = 1e-9;

/// How the runs were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Design {
    /// Interleaved: each run of one has its neighbour of the other, and what the machine did meanwhile is common to both.
    Paired,
    /// One set after the other.
    Unpaired,
}

/// The candidate's values by the base's, with what chance may have to do with it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effect {
    /// The ratio of their geometric means.
    pub ratio: f64,
    /// How the runs were made.
    pub design: Design,
    /// How likely chance alone makes a ratio as far from one: by the t test on logarithms.
    pub p: f64,
    /// The same by an exact test, paired or not. `None` where there are too many runs to count it out.
    pub exact_p: Option<f64>,
    /// The smallest value that the exact test could have had.
    pub least_exact_p: f64,
    /// Logarithm of the ratio.
    log_ratio: f64,
    /// Standard error of it.
    error: f64,
    /// Degrees of freedom.
    freedom: f64,
    /// Standard deviation of one difference of two runs.
    deviation: f64,
}

impl Effect {
    /// From values in order of their start: of a paired design, those at the same place belong together.
    ///
    /// `None` when there are fewer than two runs of either, when a value is not positive, or when the values of
    /// neither vary at all: then nothing tells how far chance reaches.
    pub fn of(base: &[f64], candidate: &[f64], design: Design) -> Option<Self> {
        let is_good = |values: &[f64]| values.len() > 1 && values.iter().all(|v| *v > 0.0 && v.is_finite());
        if !is_good(base) || !is_good(candidate) {
            return None;
        }
        let logs = |values: &[f64]| values.iter().map(|value| value.ln()).collect::<Vec<_>>();
        let (base, candidate) = (logs(base), logs(candidate));
        match design {
            Design::Paired if base.len() == candidate.len() => Self::paired(&base, &candidate),
            Design::Paired => None,
            Design::Unpaired => Self::welch(&base, &candidate),
        }
    }

    fn paired(base: &[f64], candidate: &[f64]) -> Option<Self> {
        let differences: Vec<f64> =
            candidate.iter().zip(base).map(|(candidate, base)| candidate - base).collect();
        let (mean, variance) = moments(&differences);
        let runs = differences.len() as f64;
        let spread =
            Spread { error: (variance / runs).sqrt(), freedom: runs - 1.0, deviation: variance.sqrt() };
        let exact = (exact::sign_flips(&differences), exact::least_sign_flips(differences.len()));
        Self::with(mean, spread, Design::Paired, exact)
    }

    fn welch(base: &[f64], candidate: &[f64]) -> Option<Self> {
        let ((base_mean, base_variance), (mean, variance)) = (moments(base), moments(candidate));
        let parts = [(base_variance, base.len() as f64), (variance, candidate.len() as f64)];
        let squared: f64 = parts.iter().map(|(variance, runs)| variance / runs).sum();
        // Satterthwaite's degrees of freedom.
        let freedom = squared.powi(2)
            / parts.iter().map(|(variance, runs)| (variance / runs).powi(2) / (runs - 1.0)).sum::<f64>();
        let spread = Spread { error: squared.sqrt(), freedom, deviation: (base_variance + variance).sqrt() };
        let exact =
            (exact::mann_whitney(base, candidate), exact::least_mann_whitney(base.len(), candidate.len()));
        Self::with(mean - base_mean, spread, Design::Unpaired, exact)
    }

    fn with(
        log_ratio: f64,
        spread: Spread,
        design: Design,
        (exact_p, least_exact_p): (Option<f64>, f64),
    ) -> Option<Self> {
        let Spread { error, freedom, deviation } = spread;
        (error > NO_SPREAD && freedom > 0.0).then(|| Self {
            ratio: log_ratio.exp(),
            design,
            p: t_two_sided(log_ratio / error, freedom),
            exact_p,
            least_exact_p,
            log_ratio,
            error,
            freedom,
            deviation,
        })
    }

    /// Where the true ratio lies with this confidence, such as 0.95.
    pub fn interval(&self, confidence: f64) -> Interval {
        let reach = t_quantile(f64::midpoint(1.0, confidence), self.freedom) * self.error;
        Interval { low: (self.log_ratio - reach).exp(), high: (self.log_ratio + reach).exp() }
    }

    /// The smallest change, as a share, that so many runs with this spread would show in four of five cases.
    pub fn detectable(&self) -> f64 {
        let quantiles = t_quantile(1.0 - ALPHA / 2.0, self.freedom) + t_quantile(POWER, self.freedom);
        (quantiles * self.error).exp() - 1.0
    }

    /// How many runs of each it would take to show a change by this share in four of five cases.
    pub fn runs_needed(&self, change: f64) -> f64 {
        let quantiles = normal_quantile(1.0 - ALPHA / 2.0) + normal_quantile(POWER);
        // The normal quantiles stand for those of t, which two more runs make up for.
        (quantiles * self.deviation / change.ln_1p()).powi(2).ceil() + 2.0
    }

    /// Whether the exact test could have contradicted the t test, and does.
    pub fn is_contradicted(&self) -> bool {
        self.least_exact_p < ALPHA && self.exact_p.is_some_and(|exact| (exact < ALPHA) != (self.p < ALPHA))
    }
}

#[derive(Clone, Copy)]
struct Spread {
    error: f64,
    freedom: f64,
    deviation: f64,
}

/// Mean and sample variance of at least two values.
fn moments(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    (mean, values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0))
}

/// Holm's correction: the more is asked at once, the more often chance says yes to something. Each p becomes what must lie
/// below the level; their order stays.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&left, &right| p[left].total_cmp(&p[right]));
    let mut corrected = vec![1.0; p.len()];
    let mut least: f64 = 0.0;
    for (rank, place) in order.into_iter().enumerate() {
        least = least.max((p[place] * (p.len() - rank) as f64).min(1.0));
        corrected[place] = least;
    }
    corrected
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(left: f64, right: f64, within: f64) {
        assert!((left - right).abs() < within, "{left} is not {right}");
    }

    /// A generator of random numbers that will give the same ones for ever (`SplitMix64`).
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
        }

        fn normal(&mut self) -> f64 {
            let (u, v) = (1.0 - self.next(), self.next());
            (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
        }
    }

    type Noise = fn(&mut Random) -> f64;
    /// Normal; a tenth of slow outliers; two states of the machine.
    const NOISES: [(&str, Noise); 3] = [
        ("normal", |random| 0.02 * random.normal()),
        ("outliers", |random| 0.02 * random.normal() + if random.next() < 0.1 { 0.1 } else { 0.0 }),
        ("bimodal", |random| 0.01 * random.normal() + if random.next() < 0.5 { 0.04 } else { 0.0 }),
    ];

    /// In which share of so many experiments the interval holds the true ratio, 1.05.
    fn coverage(noise: Noise, runs: usize, design: Design, experiments: u32) -> f64 {
        let mut random = Random(27);
        let mut draw = |by: f64| (0..runs).map(|_| by * noise(&mut random).exp()).collect::<Vec<f64>>();
        let held = (0..experiments).filter(|_| {
            let (base, candidate) = (draw(100.0), draw(105.0));
            Effect::of(&base, &candidate, design).unwrap().interval(0.95).contains(1.05)
        });
        held.count() as f64 / f64::from(experiments)
    }

    #[test]
    fn an_interval_holds_the_truth_as_often_as_it_says() {
        for (name, noise) in NOISES {
            let paired = coverage(noise, 5, Design::Paired, 10_000);
            assert!((0.94..=0.975).contains(&paired), "{name}, paired: {paired}");
            for (runs, experiments) in [(3, 2_000), (5, 2_000), (10, 500)] {
                let welch = coverage(noise, runs, Design::Unpaired, experiments);
                assert!((0.925..=0.985).contains(&welch), "{name}, {runs} each: {welch}");
            }
        }
    }

    #[test]
    fn a_detectable_change_is_detected_four_times_in_five() {
        let mut random = Random(80);
        let mut seen = 0.0;
        // With a spread that is known to be 2%, five runs each detect 2.09 of it.
        let change: f64 = 2.09 * 0.02;
        for _ in 0..2_000 {
            let mut draw =
                |by: f64| (0..5).map(|_| by * (0.02 * random.normal()).exp()).collect::<Vec<f64>>();
            let (base, candidate) = (draw(1.0), draw(change.exp()));
            if Effect::of(&base, &candidate, Design::Unpaired).unwrap().p < 0.05 {
                seen += 1.0;
            }
        }
        near(seen / 2_000.0, 0.80, 0.03);
    }

    #[test]
    fn golden_values() {
        // t.test(log(b) - log(a)) and t.test(log(b), log(a)) by hand: the logarithms are whole hundredths.
        let of = |logs: [f64; 5]| logs.map(|log| (log / 100.0).exp());
        let (base, candidate) = (of([1.0, 2.0, 3.0, 4.0, 5.0]), of([3.0, 5.0, 4.0, 8.0, 10.0]));
        let paired = Effect::of(&base, &candidate, Design::Paired).unwrap();
        // Differences 2, 3, 1, 4, 5: mean 3, sd sqrt(2.5), error sqrt(0.5).
        near(paired.ratio, 0.03_f64.exp(), 1e-12);
        near(paired.interval(0.95).low, (0.03 - 2.776_445_105 * 0.005_f64.sqrt() / 10.0).exp(), 1e-9);
        near(paired.interval(0.90).high, (0.03 + 2.131_846_786 * 0.005_f64.sqrt() / 10.0).exp(), 1e-9);
        near(paired.p, 0.013_256_9, 1e-4);
        near(paired.exact_p.unwrap(), 0.0625, 1e-12);
        assert!(!paired.is_contradicted(), "five pairs can give no less than 0.0625");
        // 1.66 of the standard deviation of a difference.
        near(paired.detectable(), (1.662_5 * 0.025_f64.sqrt() / 10.0).exp_m1(), 1e-5);

        let welch = Effect::of(&base, &candidate, Design::Unpaired).unwrap();
        // Variances 2.5 and 8.5 by 5: error sqrt(2.2), freedom 2.2^2 / ((0.5^2 + 1.7^2) / 4) = 6.1656.
        near(welch.freedom, 4.84 * 4.0 / (0.5_f64.powi(2) + 1.7_f64.powi(2)), 1e-9);
        near(welch.error, 0.022_f64.sqrt() / 10.0, 1e-12);
        near(welch.ratio, 0.03_f64.exp(), 1e-12);
    }

    #[test]
    fn runs_that_a_change_needs() {
        // Differences whose standard deviation is 2, 5 and 10 hundredths.
        for (deviation, change, runs) in
            [(0.02, 0.05, 4.0), (0.05, 0.05, 11.0), (0.10, 0.10, 11.0), (0.10, 0.05, 35.0)]
        {
            let part = deviation / 2.0_f64.sqrt();
            let (base, candidate) = ([1.0, 1.0], [part.exp(), (-part).exp()]);
            let effect = Effect::of(&base, &candidate, Design::Paired).unwrap();
            near(effect.deviation, deviation, 1e-12);
            near(effect.runs_needed(change), runs, 1e-9);
        }
    }

    #[test]
    fn nothing_is_said_without_runs_to_say_it_from() {
        let two = [1.0, 2.0];
        for (base, candidate) in
            [(&two[..1], &two[..]), (&two, &[]), (&two, &[0.0, 1.0]), (&two, &[f64::NAN, 1.0])]
        {
            assert_eq!(Effect::of(base, candidate, Design::Unpaired), None);
        }
        for (base, candidate) in [([1.0; 5], [2.0; 5]), ([3_000.0; 5], [2_500.000_1; 5])] {
            assert_eq!(Effect::of(&base, &candidate, Design::Unpaired), None, "no spread to judge by");
        }
        assert_eq!(Effect::of(&two, &[1.0, 2.0, 3.0], Design::Paired), None, "no pairs");
    }

    #[test]
    fn holm_corrects_step_by_step() {
        let corrected = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (corrected, expected) in corrected.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            near(*corrected, expected, 1e-12);
        }
        assert_eq!(holm(&[]), Vec::<f64>::new());
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
    }
}
