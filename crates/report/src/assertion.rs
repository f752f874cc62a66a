//! What must hold of a run? `rps >= 3000`, `p99 < 400ms`, `timeouts == 12`, `verdict != client-limited`.
//!
//! An assertion is a figure, a comparison and a bound in the figure's unit. It is judged from a document alone, so that it can
//! be judged again tomorrow. What cannot be known (a percentile that the sample does not support, rows where there was no
//! database) does not hold, and says why.

mod figure;

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use self::figure::{Figure, Kind, Value};
use crate::document::{AssertionRecord, Document, Run};
use crate::histogram::Percentile;
use crate::summary::Summary;

/// One assertion, as it was written and as it was understood.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct Assertion {
    text: String,
    left: Left,
    comparison: Comparison,
    bound: Value,
}

/// What is compared.
#[derive(Debug, Clone, PartialEq)]
enum Left {
    One(Figure),
    /// One by another of the same kind.
    Ratio(Figure, Figure),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

/// Why a text is no assertion.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssertionError {
    /// Not three words.
    #[error("`{0}` is no assertion: write a figure, a comparison and a bound, like `p99 < 400ms`")]
    Form(String),
    /// Not one of ours.
    #[error("`{word}` is no figure of a run; {advice}")]
    Figure {
        /// As it was written.
        word: String,
        /// What there is.
        advice: String,
    },
    /// Not in the figure's unit.
    #[error("`{bound}` is no bound for {figure}: write {advice}")]
    Bound {
        /// As it was written.
        bound: String,
        /// What it was to bound.
        figure: String,
        /// What would do.
        advice: &'static str,
    },
    /// Words have no order.
    #[error("{0} is a word: compare it with == or !=")]
    Order(String),
    /// The two sides of a ratio are different things.
    #[error("{0} and {1} are not of one kind, so one cannot be divided by the other")]
    Ratio(String, String),
}

impl fmt::Display for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Assertion {
    type Err = AssertionError;

    fn from_str(text: &str) -> Result<Self, AssertionError> {
        let form = || AssertionError::Form(text.trim().to_owned());
        let start = text.find(['=', '!', '<', '>']).ok_or_else(form)?;
        let (left, rest) = text.split_at(start);
        let (sign, bound) = rest.split_at(rest.find(|c| !"=!<>".contains(c)).unwrap_or(rest.len()));
        let comparison = Comparison::read(sign).ok_or_else(form)?;
        let (left, bound) = (left.trim(), bound.trim());
        if left.is_empty() || bound.is_empty() {
            return Err(form());
        }
        let left_side = Left::read(left)?;
        let bound = left_side.kind().read(bound, left)?;
        if matches!(bound, Value::Word(_)) && !matches!(comparison, Comparison::Equal | Comparison::Unequal) {
            return Err(AssertionError::Order(left.to_owned()));
        }
        let text = format!("{left} {sign} {}", text.rsplit(sign).next().unwrap_or_default().trim());
        Ok(Self { text, left: left_side, comparison, bound })
    }
}

impl TryFrom<String> for Assertion {
    type Error = AssertionError;

    fn try_from(text: String) -> Result<Self, AssertionError> {
        text.parse()
    }
}

impl Left {
    fn read(text: &str) -> Result<Self, AssertionError> {
        // A header's value may hold a slash, so a ratio is two figures, and what is not is one.
        if let Some((above, below)) = text.split_once('/')
            && let (Ok(above), Ok(below)) = (above.trim().parse::<Figure>(), below.trim().parse::<Figure>())
        {
            if above.kind().plain() == below.kind().plain() && above.kind() != Kind::Word {
                return Ok(Self::Ratio(above, below));
            }
            return Err(AssertionError::Ratio(above.to_string(), below.to_string()));
        }
        text.parse().map(Self::One)
    }

    fn kind(&self) -> Kind {
        match self {
            Self::One(figure) => figure.kind(),
            Self::Ratio(..) => Kind::Number,
        }
    }

    fn figures(&self) -> impl Iterator<Item = &Figure> {
        let (one, other) = match self {
            Self::One(figure) => (figure, None),
            Self::Ratio(above, below) => (above, Some(below)),
        };
        std::iter::once(one).chain(other)
    }
}

impl Comparison {
    fn read(sign: &str) -> Option<Self> {
        Some(match sign {
            "==" | "=" => Self::Equal,
            "!=" => Self::Unequal,
            "<" => Self::Less,
            "<=" => Self::AtMost,
            ">" => Self::Greater,
            ">=" => Self::AtLeast,
            _ => return None,
        })
    }

    fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Self::Equal => value.total_cmp(&bound).is_eq(),
            Self::Unequal => value.total_cmp(&bound).is_ne(),
            Self::Less => value < bound,
            Self::AtMost => value <= bound,
            Self::Greater => value > bound,
            Self::AtLeast => value >= bound,
        }
    }

    /// Whether it holds of a value that is known to be this large or larger. `None`: that depends on how large.
    fn holds_from(self, value: f64, bound: f64) -> Option<bool> {
        match self {
            Self::Greater | Self::AtLeast => self.holds(value, bound).then_some(true),
            Self::Less | Self::AtMost => (!self.holds(value, bound)).then_some(false),
            Self::Equal => (value > bound).then_some(false),
            Self::Unequal => (value > bound).then_some(true),
        }
    }
}

/// What a figure of a run was.
#[derive(Debug, Clone, PartialEq)]
enum Measured {
    Known(Value),
    /// At least this: requests were given up.
    AtLeast(Value),
    /// Why it is not known.
    Unknown(String),
}

impl Assertion {
    /// Judges a run.
    pub fn judge(&self, run: &Run) -> AssertionRecord {
        let further: Vec<Percentile> = self.percentiles().collect();
        let document = Document::Run(Box::new(run.clone()));
        let summary = Summary::with(&document, &further);
        let measured = match &self.left {
            Left::One(figure) => match figure.of(run, &summary) {
                Measured::Known(value) => Measured::Known(value.against(&self.bound)),
                other => other,
            },
            Left::Ratio(above, below) => ratio(above.of(run, &summary), below.of(run, &summary)),
        };
        let holds = match &measured {
            Measured::Known(value) => Some(match (value, &self.bound) {
                (Value::Word(word), Value::Word(bound)) => {
                    (word == bound) == (self.comparison == Comparison::Equal)
                }
                (value, bound) => {
                    value.number().zip(bound.number()).is_some_and(|(v, b)| self.comparison.holds(v, b))
                }
            }),
            Measured::AtLeast(value) => {
                value.number().zip(self.bound.number()).and_then(|(v, b)| self.comparison.holds_from(v, b))
            }
            Measured::Unknown(_) => None,
        };
        let measured = match measured {
            Measured::Known(value) => value.to_string(),
            Measured::AtLeast(value) => format!(">= {value}"),
            Measured::Unknown(why) => why,
        };
        AssertionRecord {
            assertion: self.text.clone(),
            measured,
            holds: holds.unwrap_or(false),
            skipped: false,
        }
    }

    /// The percentiles that it needs.
    pub fn percentiles(&self) -> impl Iterator<Item = Percentile> {
        self.left.figures().filter_map(Figure::percentile)
    }

    /// The record of an assertion that was not judged, and why.
    pub fn skip(&self, why: &str) -> AssertionRecord {
        AssertionRecord { assertion: self.text.clone(), measured: why.to_owned(), holds: true, skipped: true }
    }
}

fn ratio(above: Measured, below: Measured) -> Measured {
    match (above, below) {
        (Measured::Known(above), Measured::Known(below)) => match (above.number(), below.number()) {
            (Some(above), Some(below)) if below > 0.0 => Measured::Known(Value::Number(above / below)),
            _ => Measured::Unknown("unknown: it would be divided by zero".to_owned()),
        },
        (Measured::Unknown(why), _) | (_, Measured::Unknown(why)) => Measured::Unknown(why),
        _ => Measured::Unknown("unknown: one side is only a lower bound".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        text.parse::<Assertion>().unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_assertion_is_refused_with_what_would_be() {
        for (text, said) in [
            ("rps", "`rps` is no assertion: write a figure, a comparison and a bound, like `p99 < 400ms`"),
            (
                "rps => 3",
                "`rps => 3` is no assertion: write a figure, a comparison and a bound, like `p99 < 400ms`",
            ),
            (
                "p99 <",
                "`p99 <` is no assertion: write a figure, a comparison and a bound, like `p99 < 400ms`",
            ),
            ("p99 < 400", "`400` is no bound for p99: write a time like 400ms, 1.5s or 20us"),
            ("p101 < 1s", "`p101` is no figure of a run; a percentile is above 0 and below 100, like p99.9"),
            ("rps > 10%", "`10%` is no bound for rps: write a number like 3000 or 0.5"),
            ("verdict > ok", "verdict is a word: compare it with == or !="),
            ("verdict == good", "`good` is no bound for verdict: write ok, suspect or client-limited"),
            ("rps / p99 > 1", "rps and p99 are not of one kind, so one cannot be divided by the other"),
        ] {
            assert_eq!(error(text), said);
        }
        assert!(error("timeout == 12").contains("did you mean `timeouts`?"), "{}", error("timeout == 12"));
    }

    #[test]
    fn lower_bounds_decide_what_they_can() {
        use Comparison::{AtLeast, AtMost, Equal, Greater, Less, Unequal};
        for (comparison, value, bound, expected) in [
            (Less, 5.0, 4.0, Some(false)),
            (Less, 3.0, 4.0, None),
            (AtMost, 5.0, 4.0, Some(false)),
            (Greater, 5.0, 4.0, Some(true)),
            (AtLeast, 3.0, 4.0, None),
            (Equal, 5.0, 4.0, Some(false)),
            (Equal, 3.0, 4.0, None),
            (Unequal, 5.0, 4.0, Some(true)),
        ] {
            assert_eq!(comparison.holds_from(value, bound), expected, "{comparison:?} {value} {bound}");
        }
    }
}
