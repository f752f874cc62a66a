//! How are durations typed? As Go writes them, because hey's users type them so: `10s`, `1m30s`, `1.5h`, `250ms`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer};

/// The longest duration that may be typed: a load test of a year is a slip of the finger.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// A duration as it was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpanError {
    /// A number without a unit.
    #[error("`{0}` has no unit: did you mean `{0}s`?")]
    NoUnit(String),
    /// Not a duration at all.
    #[error("`{0}` is not a duration: write one like 10s, 1m30s or 250ms")]
    Malformed(String),
    /// More than a year.
    #[error("`{0}` is longer than a year")]
    TooLong(String),
}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let malformed = || SpanError::Malformed(text.to_owned());
        if text.is_empty() {
            return Err(malformed());
        }
        if text != "0" && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            return Err(SpanError::NoUnit(text.to_owned()));
        }
        if text == "0" {
            return Ok(Self(Duration::ZERO));
        }
        let (mut rest, mut total) = (text, 0.0_f64);
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(malformed)?;
            let (number, tail) = rest.split_at(digits);
            let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(unit_end);
            let seconds = match unit {
                "ns" => 1e-9,
                "us" | "µs" | "μs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return Err(malformed()),
            };
            total += number.parse::<f64>().map_err(|_| malformed())? * seconds;
            rest = tail;
        }
        if total > LONGEST.as_secs_f64() {
            return Err(SpanError::TooLong(text.to_owned()));
        }
        // Rounded to the nanosecond, because 0.1 s is no binary fraction.
        Duration::try_from_secs_f64((total * 1e9).round() / 1e9).map(Self).map_err(|_| malformed())
    }
}

/// Prints the shortest form that reads back as the same: `120s`, `250ms`, `1.5s`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        match nanos {
            0 => f.write_str("0s"),
            _ if nanos.is_multiple_of(1_000_000_000) => write!(f, "{}s", nanos / 1_000_000_000),
            _ if nanos > 1_000_000_000 => write!(f, "{}s", self.0.as_secs_f64()),
            _ if nanos.is_multiple_of(1_000_000) => write!(f, "{}ms", nanos / 1_000_000),
            _ if nanos.is_multiple_of(1_000) => write!(f, "{}us", nanos / 1_000),
            _ => write!(f, "{nanos}ns"),
        }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A request timeout: a duration, or as in hey a bare number of seconds. 0 is no timeout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeout(pub Option<Duration>);

impl FromStr for Timeout {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let is_bare = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let span: Span = if is_bare { format!("{text}s").parse()? } else { text.parse()? };
        Ok(Self((!span.0.is_zero()).then_some(span.0)))
    }
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(timeout) => Span(timeout).fmt(f),
            None => f.write_str("none"),
        }
    }
}

impl<'de> Deserialize<'de> for Timeout {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Requests per second as typed: `100`, `0.5`, `50k`, `100/s`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate(pub f64);

/// Why a text is no rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a rate: write requests per second like 100, 0.5 or 50k")]
pub struct RateError(String);

/// The highest rate that may be typed: no machine sends more.
const HIGHEST_RATE: f64 = 1e8;

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let number = text.strip_suffix("/s").unwrap_or(text);
        let (number, unit) = match number.strip_suffix(['k', 'K']) {
            Some(number) => (number, 1e3),
            None => (number, 1.0),
        };
        let is_plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let rate = number.parse::<f64>().ok().filter(|_| is_plain).map(|number| number * unit);
        rate.filter(|rate| *rate <= HIGHEST_RATE).map(Self).ok_or_else(|| RateError(text.to_owned()))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// In a file a rate may be a number or a text.
impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrText;
        impl Visitor<'_> for NumberOrText {
            type Value = Rate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("requests per second, like 100 or \"50k\"")
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Rate, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Rate, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Rate, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(NumberOrText)
    }
}

/// Stages of an open load as typed: `30s@100,60s@500`.
#[derive(Debug, Clone, PartialEq)]
pub struct Stages(pub Vec<(Span, Rate)>);

/// Why a text is no list of stages.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StagesError {
    /// Not of the form `time@rate`.
    #[error("`{0}` is not a stage: write stages like 30s@100,60s@500")]
    Malformed(String),
    /// Its time.
    #[error(transparent)]
    Span(#[from] SpanError),
    /// Its rate.
    #[error(transparent)]
    Rate(#[from] RateError),
}

impl FromStr for Stages {
    type Err = StagesError;

    fn from_str(text: &str) -> Result<Self, StagesError> {
        let stage = |text: &str| {
            let (span, rate) = text.split_once('@').ok_or_else(|| StagesError::Malformed(text.to_owned()))?;
            Ok((span.trim().parse()?, rate.trim().parse()?))
        };
        text.split(',').map(str::trim).map(stage).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Stages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stages: Vec<_> = self.0.iter().map(|(span, rate)| format!("{span}@{rate}")).collect();
        f.write_str(&stages.join(","))
    }
}

impl<'de> Deserialize<'de> for Stages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_go_writes_them() {
        let millis = |text: &str| text.parse::<Span>().map(|span| span.0.as_millis());
        for (text, expected) in [
            ("10s", 10_000),
            ("1m30s", 90_000),
            ("1.5h", 5_400_000),
            ("250ms", 250),
            ("0", 0),
            ("0.1s", 100),
            ("1h0m1s", 3_601_000),
        ] {
            assert_eq!(millis(text), Ok(expected), "{text}");
        }
        assert_eq!("3us".parse::<Span>().map(|span| span.0.as_nanos()), Ok(3000));
        for text in ["", "abc", "10x", "s", "-1s", "1s2", "1..5s", "1 s"] {
            assert!(matches!(millis(text), Err(SpanError::Malformed(_))), "{text}: {:?}", millis(text));
        }
        assert_eq!(millis("10"), Err(SpanError::NoUnit("10".to_owned())));
        assert!(matches!(millis("9000h"), Err(SpanError::TooLong(_))));
    }

    #[test]
    fn durations_print_as_they_can_be_typed() {
        for text in ["120s", "250ms", "1.5s", "3us", "7ns", "0s", "90.25s"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn rates_and_stages() {
        let rate = |text: &str| text.parse::<Rate>().map(|rate| rate.0);
        for (text, expected) in
            [("100", 100.0), ("0.5", 0.5), ("50k", 50_000.0), ("1.5k/s", 1500.0), ("0", 0.0)]
        {
            assert_eq!(rate(text), Ok(expected), "{text}");
        }
        for text in ["", "-1", "inf", "NaN", "1e3", "k", "10m", "999999999"] {
            assert!(rate(text).is_err(), "{text}");
        }
        let stages: Stages = "30s@100, 1m@0.5".parse().unwrap();
        assert_eq!(stages.to_string(), "30s@100,60s@0.5");
        for text in ["", "30s", "30@5", "30s@", "30s@5,", "@5"] {
            assert!(text.parse::<Stages>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_timeout_may_be_bare_seconds() {
        assert_eq!("20".parse(), Ok(Timeout(Some(Duration::from_secs(20)))));
        assert_eq!("500ms".parse(), Ok(Timeout(Some(Duration::from_millis(500)))));
        assert_eq!("0".parse(), Ok(Timeout(None)));
        assert!("-1".parse::<Timeout>().is_err());
        assert_eq!("1.5".parse(), Ok(Timeout(Some(Duration::from_millis(1500)))));
        assert!(".".parse::<Timeout>().is_err() && "1.5.".parse::<Timeout>().is_err());
    }
}
