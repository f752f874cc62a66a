//! How faults are typed: `delay=150us:10,2ms:5&status=503:1&close=2`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use http::StatusCode;
use percent_encoding::percent_decode_str;

use super::window::{Freeze, Hiccup};
use super::{Kind, MAX_DELAY, MAX_SIZE, MAX_TEXT, MAX_VALUES};
use crate::config::value::{Size, Time};

/// All requests, as a [`Share`].
pub(super) const WHOLE: u32 = 1_000_000;

/// A share of requests in millionths; typed as a percentage with up to four decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share(pub(super) u32);

/// Values with the share of requests that get each; the rest gets none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<T>(pub(super) Vec<(T, Share)>);

/// What a server, or what one request, has to suffer. What is absent does not happen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// How long answers wait.
    pub delay: Option<List<Duration>>,
    /// How much longer for each request in flight.
    pub delay_per_inflight: Option<Duration>,
    /// Their status.
    pub status: Option<List<StatusCode>>,
    /// Their size in bytes.
    pub size: Option<List<u64>>,
    /// How many are followed by the end of their connection.
    pub close: Option<Share>,
    /// How many are replaced by a reset of their connection.
    pub reset: Option<Share>,
    /// How many are cut in the middle.
    pub truncate: Option<Share>,
    /// How long their bodies take.
    pub drip: Option<List<Duration>>,
    /// How many are never sent.
    pub never: Option<Share>,
    /// When all wait, again and again.
    pub hiccup: Option<Hiccup>,
    /// When all wait, once.
    pub freeze: Option<Freeze>,
}

/// Why a text means no faults.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// A key that there is not.
    #[error("there is no fault {0:?}; there are {list}", list = names().join(", "))]
    Unknown(String),
    /// A value that is none of its key.
    #[error("the fault {key}={value} is not understood: {reason}")]
    Value {
        /// The key.
        key: &'static str,
        /// What was typed for it.
        value: String,
        /// What can be typed.
        reason: String,
    },
    /// The same key twice.
    #[error("the fault {0} is given twice")]
    Twice(&'static str),
    /// A key of the whole server in a request.
    #[error(
        "the fault {0} concerns the whole server: give it with --faults or PUT /-/faults, not with a request"
    )]
    Whole(&'static str),
    /// Too long a text.
    #[error("faults are at most {MAX_TEXT} bytes of text")]
    Long,
    /// A header field that is no text.
    #[error("the X-Fault field is not plain text")]
    NotText,
    /// Two header fields.
    #[error("there are several X-Fault fields; join what they say with &")]
    Several,
}

fn names() -> Vec<&'static str> {
    Kind::ALL.map(Kind::name).to_vec()
}

/// Names and values.
fn split(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let words = text.split('&').filter(|word| !word.is_empty());
    words.map(|word| word.split_once('=').unwrap_or((word, "")))
}

/// The same, as a person types them: every name must be known.
fn typed(text: &str) -> Result<Vec<(Kind, Cow<'_, str>)>, FaultError> {
    if text.len() > MAX_TEXT {
        return Err(FaultError::Long);
    }
    split(text)
        .map(|(name, value)| match Kind::of(name) {
            Some(kind) => Ok((kind, Cow::Borrowed(value))),
            None => Err(FaultError::Unknown(name.into())),
        })
        .collect()
}

impl Faults {
    /// Whether nothing happens.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What one request asks for in its header: every key must be known.
    pub(super) fn of_request(text: &str) -> Result<Self, FaultError> {
        Self::of_words(typed(text)?, false)
    }

    /// What one request asks for in its query, percent-encoded or not: keys that are no faults are somebody else's.
    pub(super) fn of_query(text: &str) -> Result<Option<Self>, FaultError> {
        let mut words = Vec::new();
        for (name, value) in split(text) {
            let Some(kind) = Kind::of(&percent_decode_str(name).decode_utf8_lossy()) else { continue };
            if value.len() > MAX_TEXT {
                return Err(FaultError::Long);
            }
            let decoded = percent_decode_str(value).decode_utf8().map_err(|_| FaultError::Value {
                key: kind.name(),
                value: value.to_owned(),
                reason: "what is percent-encoded in it is not UTF-8 text".to_owned(),
            })?;
            words.push((kind, decoded));
        }
        let faults = Self::of_words(words, false)?;
        Ok((!faults.is_empty()).then_some(faults))
    }

    /// These, and where they say nothing, the others. Windows stay those of the others.
    pub(super) fn over(self, others: &Self) -> Self {
        Self {
            delay: self.delay.or_else(|| others.delay.clone()),
            delay_per_inflight: self.delay_per_inflight.or(others.delay_per_inflight),
            status: self.status.or_else(|| others.status.clone()),
            size: self.size.or_else(|| others.size.clone()),
            close: self.close.or(others.close),
            reset: self.reset.or(others.reset),
            truncate: self.truncate.or(others.truncate),
            drip: self.drip.or_else(|| others.drip.clone()),
            never: self.never.or(others.never),
            hiccup: others.hiccup,
            freeze: others.freeze,
        }
    }

    fn of_words(words: Vec<(Kind, Cow<'_, str>)>, whole: bool) -> Result<Self, FaultError> {
        let mut faults = Self::default();
        let mut seen = Vec::new();
        for (kind, value) in words {
            if !whole && !kind.of_one_request() {
                return Err(FaultError::Whole(kind.name()));
            }
            if seen.contains(&kind) {
                return Err(FaultError::Twice(kind.name()));
            }
            seen.push(kind);
            faults.set(kind, &value).map_err(|reason| FaultError::Value {
                key: kind.name(),
                value: value.into_owned(),
                reason,
            })?;
        }
        Ok(faults)
    }

    fn set(&mut self, kind: Kind, value: &str) -> Result<(), String> {
        match kind {
            Kind::Delay => self.delay = Some(list(value, time)?),
            Kind::DelayPerInflight => self.delay_per_inflight = Some(time(value)?),
            Kind::Status => self.status = Some(list(value, status)?),
            Kind::Size => self.size = Some(list(value, size)?),
            Kind::Close => self.close = Some(value.parse()?),
            Kind::Hiccup => self.hiccup = Some(hiccup(value)?),
            Kind::Freeze => self.freeze = Some(freeze(value)?),
            Kind::Reset => self.reset = Some(value.parse()?),
            Kind::Truncate => self.truncate = Some(value.parse()?),
            Kind::Drip => self.drip = Some(list(value, time)?),
            Kind::Never => self.never = Some(value.parse()?),
        }
        Ok(())
    }
}

impl FromStr for Faults {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::of_words(typed(text)?, true)
    }
}

impl fmt::Display for Faults {
    /// As it is typed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times = |list: &List<Duration>| list.spelled(|time| Time(*time).to_string());
        let words = [
            (Kind::Delay, self.delay.as_ref().map(times)),
            (Kind::DelayPerInflight, self.delay_per_inflight.map(|time| Time(time).to_string())),
            (
                Kind::Status,
                self.status.as_ref().map(|list| list.spelled(|status| status.as_u16().to_string())),
            ),
            (Kind::Size, self.size.as_ref().map(|list| list.spelled(|size| Size(*size).to_string()))),
            (Kind::Close, self.close.as_ref().map(ToString::to_string)),
            (Kind::Hiccup, self.hiccup.map(|it| format!("{}/{}", Time(it.length), Time(it.period)))),
            (Kind::Freeze, self.freeze.map(|it| format!("{}@{}", Time(it.length), Time(it.start)))),
            (Kind::Reset, self.reset.as_ref().map(ToString::to_string)),
            (Kind::Truncate, self.truncate.as_ref().map(ToString::to_string)),
            (Kind::Drip, self.drip.as_ref().map(times)),
            (Kind::Never, self.never.as_ref().map(ToString::to_string)),
        ];
        let words = words.into_iter().filter_map(|(kind, value)| Some(format!("{}={}", kind.name(), value?)));
        f.write_str(&words.collect::<Vec<_>>().join("&"))
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let share = || {
            let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
            let digits =
                |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u32>().ok());
            let decimals = (1..=4).contains(&decimals.len()).then(|| format!("{decimals:0<4}"))?;
            let millionths = digits(whole)??.checked_mul(10_000)?.checked_add(digits(&decimals)??)?;
            (millionths <= WHOLE).then_some(Self(millionths))
        };
        share().ok_or_else(|| "a percentage is 0 to 100, with at most four decimals".into())
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 10_000, self.0 % 10_000);
        match rest {
            0 => write!(f, "{whole}"),
            rest => write!(f, "{whole}.{}", format!("{rest:04}").trim_end_matches('0')),
        }
    }
}

impl<T> List<T> {
    fn spelled(&self, value: impl Fn(&T) -> String) -> String {
        if let [(it, Share(WHOLE))] = &*self.0 {
            return value(it);
        }
        let words = self.0.iter().map(|(it, share)| format!("{}:{share}", value(it)));
        words.collect::<Vec<_>>().join(",")
    }
}

/// One value for all, or values with percentages that do not exceed the whole.
fn list<T>(text: &str, value: impl Fn(&str) -> Result<T, String>) -> Result<List<T>, String> {
    if !text.contains([',', ':']) {
        return Ok(List(vec![(value(text)?, Share(WHOLE))]));
    }
    let mut values = Vec::new();
    let mut sum = 0;
    for word in text.split(',') {
        let (word, share) =
            word.split_once(':').ok_or("each value of a list needs its percentage, like 150us:10,2ms:5")?;
        let share: Share = share.parse()?;
        sum += share.0;
        values.push((value(word)?, share));
        if sum > WHOLE || values.len() > MAX_VALUES {
            return Err(format!("a list has at most {MAX_VALUES} values, and 100 percent of them together"));
        }
    }
    Ok(List(values))
}

fn time(text: &str) -> Result<Duration, String> {
    let time: Time = text.parse().map_err(|_| "a time is like 150us, 20ms or 2s")?;
    Some(time.0).filter(|time| *time <= MAX_DELAY).ok_or_else(|| format!("the longest time is {MAX_DELAY:?}"))
}

fn size(text: &str) -> Result<u64, String> {
    let size: Size = text.parse()?;
    Some(size.0)
        .filter(|size| *size <= MAX_SIZE)
        .ok_or_else(|| format!("the largest size is {}", Size(MAX_SIZE)))
}

fn status(text: &str) -> Result<StatusCode, String> {
    let code = text.parse().ok().filter(|code| (200..600).contains(code)).map(StatusCode::from_u16);
    code.and_then(Result::ok).ok_or_else(|| "a status is 200 to 599".into())
}

fn hiccup(text: &str) -> Result<Hiccup, String> {
    let (length, period) = text.split_once('/').ok_or("a hiccup is like 200ms/10s: so long, so often")?;
    let period: Time = period.parse()?;
    let hiccup = Hiccup { length: time(length)?, period: period.0 };
    let shorter = hiccup.length < hiccup.period;
    shorter.then_some(hiccup).ok_or_else(|| "a hiccup is shorter than the time from one to the next".into())
}

fn freeze(text: &str) -> Result<Freeze, String> {
    let (length, start) = text.split_once('@').ok_or("a freeze is like 2s@5s: so long, from then on")?;
    let start: Time = start.parse()?;
    Ok(Freeze { length: time(length)?, start: start.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_told_as_it_is_typed() {
        for text in [
            "",
            "delay=150us:10,2ms:5&status=503:1&close=2",
            "delay=1ms:100,2ms:0&status=503:0,200:100&size=0:0",
            "delay=1s&delay-per-inflight=1ms&status=200:50,503:50&size=0:1,64KiB:2.5&close=0.0001&hiccup=200ms/10s\
             &freeze=2s@5s&reset=100&truncate=12.34&drip=3s:7&never=1",
        ] {
            let faults: Faults = text.parse().unwrap();
            assert_eq!(faults.to_string(), text);
            assert_eq!(faults.is_empty(), text.is_empty());
        }
    }

    #[test]
    fn what_cannot_be_meant_is_one_sentence() {
        for (text, said) in [
            (
                "slow=1",
                "there is no fault \"slow\"; there are delay, delay-per-inflight, status, size, close, hiccup, freeze, reset, truncate, drip, never",
            ),
            ("delay", "the fault delay= is not understood: a time is like 150us, 20ms or 2s"),
            ("delay=61s", "the fault delay=61s is not understood: the longest time is 60s"),
            (
                "delay=1ms,2ms",
                "the fault delay=1ms,2ms is not understood: each value of a list needs its percentage, like 150us:10,2ms:5",
            ),
            (
                "delay=1ms:60,2ms:41",
                "the fault delay=1ms:60,2ms:41 is not understood: a list has at most 32 values, and 100 percent of them together",
            ),
            ("status=199", "the fault status=199 is not understood: a status is 200 to 599"),
            ("size=65MiB", "the fault size=65MiB is not understood: the largest size is 64MiB"),
            (
                "close=101",
                "the fault close=101 is not understood: a percentage is 0 to 100, with at most four decimals",
            ),
            (
                "close=1.23456",
                "the fault close=1.23456 is not understood: a percentage is 0 to 100, with at most four decimals",
            ),
            (
                "close=-1",
                "the fault close=-1 is not understood: a percentage is 0 to 100, with at most four decimals",
            ),
            (
                "hiccup=1s",
                "the fault hiccup=1s is not understood: a hiccup is like 200ms/10s: so long, so often",
            ),
            (
                "hiccup=1s/1s",
                "the fault hiccup=1s/1s is not understood: a hiccup is shorter than the time from one to the next",
            ),
            (
                "freeze=1s",
                "the fault freeze=1s is not understood: a freeze is like 2s@5s: so long, from then on",
            ),
            ("never=1&never=2", "the fault never is given twice"),
        ] {
            assert_eq!(text.parse::<Faults>().unwrap_err().to_string(), said);
        }
        assert_eq!("delay=1ms&".repeat(300).parse::<Faults>(), Err(FaultError::Long));
    }
}
