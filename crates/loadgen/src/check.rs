//! What must hold of every answer? `--check`, and what it takes to look.
//!
//! A check is a sentence: what is looked at, and what must hold of it. `check/sentence.rs` reads it; here it is judged.

mod sentence;

use std::fmt;
use std::str::FromStr;

use regex::bytes::Regex;
use report::document::CheckExample;
use serde::Deserialize;

pub use self::sentence::CheckError;
use crate::engine::{Answer, Kept};
use crate::source::{Keep, is_secret};

/// The most bytes of a body that checks look at. An answer with a larger one fails every check of its body.
pub const BODY_LIMIT: usize = 1024 * 1024;

/// One check, as it was written and as it was understood.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Check {
    text: String,
    rule: Rule,
}

impl PartialEq for Check {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Check {
    type Err = CheckError;

    fn from_str(text: &str) -> Result<Self, CheckError> {
        Ok(Self { text: text.trim().to_owned(), rule: sentence::read(text)? })
    }
}

impl TryFrom<String> for Check {
    type Error = CheckError;

    fn try_from(text: String) -> Result<Self, CheckError> {
        text.parse()
    }
}

/// What is looked at, and what must hold of it.
#[derive(Debug, Clone)]
enum Rule {
    Status(Numbers),
    /// A field by its name.
    Header(String, Words),
    Body(Words),
    BodySize(Numbers),
}

/// What must hold of a number.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Numbers {
    Is(Comparison, u64),
    /// In one of these stretches, both ends included.
    In(Vec<(u64, u64)>),
    NotIn(Vec<(u64, u64)>),
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

impl Numbers {
    fn holds(&self, number: u64) -> bool {
        let within =
            |stretches: &[(u64, u64)]| stretches.iter().any(|(low, high)| (*low..=*high).contains(&number));
        match self {
            Self::Is(comparison, bound) => match comparison {
                Comparison::Equal => number == *bound,
                Comparison::Unequal => number != *bound,
                Comparison::Less => number < *bound,
                Comparison::AtMost => number <= *bound,
                Comparison::Greater => number > *bound,
                Comparison::AtLeast => number >= *bound,
            },
            Self::In(stretches) => within(stretches),
            Self::NotIn(stretches) => !within(stretches),
        }
    }
}

/// What must hold of a text.
#[derive(Debug, Clone)]
enum Words {
    Is(Vec<u8>),
    IsNot(Vec<u8>),
    /// The pattern that finds the text.
    Contains(Regex),
    ContainsNot(Regex),
    Matches(Regex),
    MatchesNot(Regex),
    Exists,
    IsMissing,
}

impl Words {
    /// Why it does not hold, if it does not. `what`: the text's name in a sentence.
    fn fault(&self, text: &[u8], what: &str) -> Option<String> {
        let (holds, fault) = match self {
            Self::Is(expected) => (text == expected, "is another one"),
            Self::IsNot(unwanted) => (text != unwanted, "is that"),
            Self::Contains(pattern) => (pattern.is_match(text), "does not contain it"),
            Self::ContainsNot(pattern) => (!pattern.is_match(text), "contains it"),
            Self::Matches(pattern) => (pattern.is_match(text), "does not match"),
            Self::MatchesNot(pattern) => (!pattern.is_match(text), "matches"),
            Self::Exists => (true, ""),
            Self::IsMissing => (false, "is there"),
        };
        (!holds).then(|| format!("{what} {fault}"))
    }

    /// Whether it holds of a text that is not there.
    fn holds_of_nothing(&self) -> bool {
        matches!(self, Self::IsMissing | Self::IsNot(_) | Self::ContainsNot(_) | Self::MatchesNot(_))
    }
}

impl Check {
    /// Whether it looks at the body: then answers are not asked for in compressed form.
    pub fn looks_at_body(&self) -> bool {
        matches!(self.rule, Rule::Body(_) | Rule::BodySize(_))
    }

    /// Why an answer fails the check, if it does.
    fn fault(&self, status: u16, kept: &Kept) -> Option<String> {
        match &self.rule {
            Rule::Status(numbers) => {
                (!numbers.holds(status.into())).then(|| format!("the status is {status}"))
            }
            Rule::Header(name, words) => match kept.value(name) {
                Some(value) => {
                    let shown = if is_secret(name) { "***".to_owned() } else { shortened(&value) };
                    words.fault(value.as_bytes(), &format!("the field {name} is `{shown}` and"))
                }
                None if words.holds_of_nothing() => None,
                None => Some(format!("the answer has no field {name}")),
            },
            Rule::Body(words) => encoded(kept).or_else(|| {
                if kept.body_bytes > BODY_LIMIT as u64 {
                    let limit = BODY_LIMIT / 1024 / 1024;
                    let size = kept.body_bytes;
                    return Some(format!(
                        "the body has {size} bytes, and checks look at {limit} MiB at most"
                    ));
                }
                words.fault(&kept.body, "the body")
            }),
            Rule::BodySize(numbers) => {
                let size = kept.body_bytes;
                encoded(kept).or_else(|| (!numbers.holds(size)).then(|| format!("the body has {size} bytes")))
            }
        }
    }
}

/// An encoded body says nothing: it was not asked for, and is not decoded.
fn encoded(kept: &Kept) -> Option<String> {
    let coding = kept.value("content-encoding").filter(|coding| !coding.eq_ignore_ascii_case("identity"))?;
    Some(format!("the body came encoded ({}), which was not asked for", shortened(&coding)))
}

/// As much of a text as an error message can hold.
fn shortened(text: &str) -> String {
    /// Characters.
    const MOST: usize = 80;
    let shown: String = text.chars().take(MOST).collect();
    if shown.len() < text.len() { format!("{shown}...") } else { shown }
}

/// What is looked at in every answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Watch {
    /// What must hold.
    pub checks: Vec<Check>,
    /// By which field answers are counted.
    pub count_header: Option<String>,
}

impl Watch {
    /// What must be kept of answers to look at it.
    pub fn keep(&self) -> Keep {
        let looks_at_body = self.checks.iter().any(|check| matches!(check.rule, Rule::Body(_)));
        let body = match (looks_at_body, self.checks.is_empty()) {
            (true, _) => BODY_LIMIT,
            // For the examples.
            (false, false) => CheckExample::BODY,
            (false, true) => 0,
        };
        Keep { head: !self.checks.is_empty() || self.count_header.is_some(), body }
    }

    /// The checks that an answer fails, by number, and why.
    pub fn faults(&self, answer: &Answer) -> Vec<(usize, String)> {
        let Some(kept) = &answer.kept else { return Vec::new() };
        let faults = self.checks.iter().enumerate();
        faults.filter_map(|(number, check)| Some((number, check.fault(answer.status, kept)?))).collect()
    }
}

#[cfg(test)]
#[path = "check/tests.rs"]
mod tests;
