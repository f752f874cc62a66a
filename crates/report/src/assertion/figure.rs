//! Which figures can be asserted, in which unit, and what each of them was in a run.

use std::fmt;
use std::str::FromStr;

use super::{AssertionError, Measured};
use crate::document::Run;
use crate::histogram::Percentile;
use crate::summary::{Quantile, Summary};
use crate::units::{count, nanos, rate, share, whole};
use crate::verdict::Verdict;
use crate::warning;

/// One figure of a run.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Figure {
    /// A figure with a name and nothing more.
    Plain(&'static Plain),
    /// A percentile of the latency.
    At(Percentile),
    /// Answers with one status; a share of all answers when the bound is one.
    Status(u16),
    /// The share of an instance, or of a value of the counted header.
    Share(Part),
}

/// Whose share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Most,
    Least,
    /// That of a value, or an instance by its number.
    Of(String),
}

/// What a figure is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Count,
    Number,
    Time,
    Share,
    /// A count, or a share of all where the bound has a percent sign.
    CountOrShare,
    Word,
}

/// A value in the unit of its kind.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Count(u64),
    Number(f64),
    /// In nanoseconds.
    Time(f64),
    /// From 0 to 1.
    Share(f64),
    /// A count, and of how many.
    Part(u64, u64),
    Word(&'static str),
}

/// A figure that needs no more than its name.
#[derive(Debug)]
pub(super) struct Plain {
    name: &'static str,
    kind: Kind,
    of: fn(&Run, &Summary) -> Option<Value>,
}

impl PartialEq for Plain {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// All of them, in the order in which they are listed to a person.
static PLAIN: [Plain; 21] = [
    Plain { name: "rps", kind: Kind::Number, of: |_, summary| summary.rate().map(Value::Number) },
    Plain {
        name: "errors",
        kind: Kind::CountOrShare,
        of: |run, summary| Some(Value::Part(summary.errors?, run.account.sent)),
    },
    Plain { name: "error_rate", kind: Kind::Share, of: |_, summary| summary.error_rate.map(Value::Share) },
    Plain { name: "timeouts", kind: Kind::Count, of: |run, _| Some(Value::Count(run.account.timeout)) },
    Plain { name: "http_errors", kind: Kind::Count, of: |run, _| Some(Value::Count(run.account.http_error)) },
    Plain { name: "failed", kind: Kind::Count, of: |run, _| Some(Value::Count(run.account.failed)) },
    Plain { name: "aborted", kind: Kind::Count, of: |run, _| Some(Value::Count(run.account.aborted)) },
    Plain {
        name: "check_failed",
        kind: Kind::Count,
        of: |run, _| Some(Value::Count(run.account.check_failed)),
    },
    Plain { name: "sent", kind: Kind::Count, of: |run, _| Some(Value::Count(run.account.sent)) },
    Plain { name: "unsent", kind: Kind::Count, of: |run, _| Some(Value::Count(run.account.unsent)) },
    Plain { name: "answered", kind: Kind::Count, of: |run, _| Some(Value::Count(run.account.answered())) },
    Plain { name: "ok", kind: Kind::Count, of: |run, _| Some(Value::Count(run.account.ok)) },
    Plain {
        name: "rows",
        kind: Kind::Count,
        of: |run, _| Some(Value::Count(run.verification.as_ref()?.rows)),
    },
    Plain { name: "fastest", kind: Kind::Time, of: |_, summary| time(summary.latency.fastest_ns) },
    Plain { name: "average", kind: Kind::Time, of: |_, summary| summary.latency.average_ns.map(Value::Time) },
    Plain { name: "slowest", kind: Kind::Time, of: |_, summary| time(summary.latency.slowest_ns) },
    Plain {
        name: "target.cpu_us_per_request",
        kind: Kind::Number,
        of: |_, summary| summary.usage.as_ref()?.cpu_us_per_request.map(Value::Number),
    },
    Plain {
        name: "target.cpus",
        kind: Kind::Number,
        of: |_, summary| Some(Value::Number(summary.usage.as_ref()?.cpus)),
    },
    Plain {
        name: "target.rss_mb",
        kind: Kind::Number,
        of: |_, summary| Some(Value::Number(summary.usage.as_ref()?.rss_bytes as f64 / 1e6)),
    },
    Plain {
        name: "target.written_bytes_per_request",
        kind: Kind::Number,
        of: |_, summary| summary.usage.as_ref()?.written_per_request.map(Value::Number),
    },
    Plain {
        name: "verdict",
        kind: Kind::Word,
        of: |run, summary| {
            let document = crate::document::Document::Run(Box::new(run.clone()));
            Some(Value::Word(warning::verdict(&warning::of(&document, summary)).name()))
        },
    },
];

fn time(ns: Option<u64>) -> Option<Value> {
    ns.map(|ns| Value::Time(ns as f64))
}

impl FromStr for Figure {
    type Err = AssertionError;

    fn from_str(text: &str) -> Result<Self, AssertionError> {
        let wrong = |advice: String| AssertionError::Figure { word: text.to_owned(), advice };
        if let Some(plain) = PLAIN.iter().find(|plain| plain.name == text) {
            return Ok(Self::Plain(plain));
        }
        if let Some(percent) = text.strip_prefix('p').and_then(|rest| rest.parse().ok()) {
            let percentile = Percentile::from_percent(percent).map(Self::At);
            return percentile
                .ok_or_else(|| wrong("a percentile is above 0 and below 100, like p99.9".to_owned()));
        }
        match text.split_once('.') {
            Some(("status", code)) => match code.parse() {
                Ok(code @ 100..=999) => Ok(Self::Status(code)),
                _ => Err(wrong("a status is a number of three digits, like status.200".to_owned())),
            },
            Some(("share", "max")) => Ok(Self::Share(Part::Most)),
            Some(("share", "min")) => Ok(Self::Share(Part::Least)),
            Some(("share", part)) if !part.is_empty() => Ok(Self::Share(Part::Of(part.to_owned()))),
            _ => Err(wrong(advice(text))),
        }
    }
}

/// The figure that was probably meant, else all of them.
fn advice(text: &str) -> String {
    /// More letters may be shared by words that mean different things.
    const SHARED: usize = 4;
    let alike = |name: &str| name.bytes().zip(text.bytes()).take_while(|(one, other)| one == other).count();
    let nearest =
        PLAIN.iter().max_by_key(|plain| alike(plain.name)).filter(|plain| alike(plain.name) >= SHARED);
    if let Some(plain) = nearest {
        return format!("did you mean `{}`?", plain.name);
    }
    let names: Vec<_> = PLAIN.iter().map(|plain| plain.name).collect();
    format!("there are {}, percentiles like p99, status.200 and share.max", names.join(", "))
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(plain) => f.write_str(plain.name),
            Self::At(percentile) => percentile.fmt(f),
            Self::Status(code) => write!(f, "status.{code}"),
            Self::Share(Part::Most) => f.write_str("share.max"),
            Self::Share(Part::Least) => f.write_str("share.min"),
            Self::Share(Part::Of(part)) => write!(f, "share.{part}"),
        }
    }
}

impl Figure {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Plain(plain) => plain.kind,
            Self::At(_) => Kind::Time,
            Self::Status(_) => Kind::CountOrShare,
            Self::Share(_) => Kind::Share,
        }
    }

    pub(super) fn percentile(&self) -> Option<Percentile> {
        match self {
            Self::At(percentile) => Some(*percentile),
            _ => None,
        }
    }

    pub(super) fn of(&self, run: &Run, summary: &Summary) -> Measured {
        let known = |value: Option<Value>| {
            value.map_or_else(
                || Measured::Unknown("unknown: the run does not tell".to_owned()),
                Measured::Known,
            )
        };
        match self {
            // What was given up might have lasted longer.
            Self::Plain(Plain { name: "slowest" | "average", of, .. }) if summary.latency.censored > 0 => {
                of(run, summary).map_or_else(|| known(None), Measured::AtLeast)
            }
            Self::Plain(plain) => known((plain.of)(run, summary)),
            Self::At(percentile) => match summary.latency.at(*percentile) {
                Some(quantile) => at(quantile, summary),
                None => known(None),
            },
            Self::Status(code) => {
                let number = run.status.get(code).copied().unwrap_or(0);
                Measured::Known(Value::Part(number, run.account.answered()))
            }
            Self::Share(part) => part.of(run),
        }
    }
}

fn at(quantile: &Quantile, summary: &Summary) -> Measured {
    let value = Value::Time(quantile.value_ns as f64);
    match (quantile.is_supported, quantile.is_lower_bound) {
        (false, _) => Measured::Unknown(format!(
            "unknown: {} latencies are too few, it takes {}",
            count(summary.latency.count.unwrap_or(0)),
            count(quantile.percentile.samples_needed())
        )),
        (true, true) => Measured::AtLeast(value),
        (true, false) => Measured::Known(value),
    }
}

impl Part {
    /// The share of answers: by the counted header where there is one, else by instance.
    fn of(&self, run: &Run) -> Measured {
        let parts: Vec<(String, u64)> = match &run.header_values {
            Some(values) => values.values.iter().map(|(value, &number)| (value.clone(), number)).collect(),
            None => run
                .instances
                .iter()
                .filter_map(|instance| Some((instance.number.to_string(), instance.answered?)))
                .collect(),
        };
        let beside = run.header_values.as_ref().map_or(0, |values| values.none + values.other);
        let all = parts.iter().map(|(_, number)| number).sum::<u64>() + beside;
        let numbers = parts.iter().map(|(_, number)| *number);
        let number = match self {
            Self::Most => numbers.max(),
            Self::Least => numbers.min(),
            // A value that never came has no share, which is known once anything came.
            Self::Of(part) => {
                parts.iter().find(|(name, _)| name == part).map(|(_, n)| *n).or((all > 0).then_some(0))
            }
        };
        match number.filter(|_| all > 0) {
            Some(number) => Measured::Known(Value::Share(number as f64 / all as f64)),
            None => Measured::Unknown(
                "unknown: neither instances were started nor a header counted (--count-header)".to_owned(),
            ),
        }
    }
}

impl Kind {
    /// Without what a bound may make of it.
    pub(super) fn plain(self) -> Self {
        if self == Self::CountOrShare { Self::Count } else { self }
    }

    /// A bound in this unit.
    pub(super) fn read(self, text: &str, figure: &str) -> Result<Value, AssertionError> {
        let number = |text: &str| {
            let digits: String = text.chars().filter(|c| !matches!(c, '_' | ',')).collect();
            digits.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0)
        };
        let part = || {
            text.strip_suffix('%').and_then(|percent| number(percent.trim())).map(|percent| percent / 100.0)
        };
        let value = match self {
            Self::Count | Self::Number => number(text).map(Value::Number),
            Self::Time => read_time(text),
            Self::Share => part().or_else(|| number(text)).map(Value::Share),
            Self::CountOrShare => part().map(Value::Share).or_else(|| number(text).map(Value::Number)),
            Self::Word => {
                let name = text.replace('_', "-");
                let all = [Verdict::Ok, Verdict::Suspect, Verdict::ClientLimited];
                all.iter().map(|verdict| verdict.name()).find(|known| *known == name).map(Value::Word)
            }
        };
        let advice = match self {
            Self::Count | Self::Number => "a number like 3000 or 0.5",
            Self::Time => "a time like 400ms, 1.5s or 20us",
            Self::Share => "a share like 0.1% or 0.001",
            Self::CountOrShare => "a number like 12 or a share like 100%",
            Self::Word => "ok, suspect or client-limited",
        };
        let (bound, figure) = (text.to_owned(), figure.to_owned());
        value.ok_or(AssertionError::Bound { bound, figure, advice })
    }
}

fn read_time(text: &str) -> Option<Value> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (digits, unit) = text.split_at(end);
    let size = match unit {
        "ns" => 1.0,
        "us" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" => 60e9,
        _ => return None,
    };
    Some(Value::Time(digits.parse::<f64>().ok()? * size))
}

impl Value {
    /// What is compared. A part is compared with a share by [`Value::against`].
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Count(number) | Self::Part(number, _) => Some(*number as f64),
            Self::Number(number) | Self::Time(number) | Self::Share(number) => Some(*number),
            Self::Word(_) => None,
        }
    }

    /// The same in the unit of a bound: of a part, its share where the bound is one.
    pub(super) fn against(self, bound: &Self) -> Self {
        match (&self, bound) {
            (Self::Part(_, 0), Self::Share(_)) => Self::Share(0.0),
            (Self::Part(number, all), Self::Share(_)) => Self::Share(*number as f64 / *all as f64),
            _ => self,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(number) | Self::Part(number, _) => f.write_str(&count(*number)),
            Self::Number(number) if *number < 100.0 => write!(f, "{number:.2}"),
            Self::Number(number) => f.write_str(&rate(*number)),
            Self::Time(ns) => f.write_str(&nanos(whole(*ns))),
            Self::Share(part) => f.write_str(&share(*part)),
            Self::Word(word) => f.write_str(word),
        }
    }
}
