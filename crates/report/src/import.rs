//! What did another tool measure? Its output as [`Figures`]: only what it says, and what a reader must know of it.
//!
//! Lines are known by their labels, never by their place: versions differ in what they print. A duration that is printed as nought
//! lies below what the tool can print, and is left out.

mod ab;
mod bombardier;
mod fortio;
mod h2load;
mod hey;
mod json;
mod k6;
mod oha;
mod text;
mod vegeta;
mod wrk;

use std::collections::BTreeMap;

use crate::document::{FIGURES_SCHEMA, Figures, FiguresMachine};
use crate::summary::{RATE_KEY, STAGES_KEY};

/// Keys of a schedule. Latencies of whoever has one are response times, counted from when requests were due. All tools that are
/// read count from when one was sent, so nobody may say that they had one: loadgen alone counts from there, and its report says so.
pub const SCHEDULE_KEYS: [&str; 2] = [RATE_KEY, STAGES_KEY];

/// Why a text is no output that can be imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// Of no tool that is known.
    #[error(
        "is not the output of hey, ab, wrk, h2load, vegeta or bombardier, nor the JSON of vegeta (report -type=json), k6 (--summary-export), \
         fortio (-json), bombardier (-o json) or oha (--output-format json)"
    )]
    Unknown,
    /// Of a tool that is known, in a form that holds no figures, or not enough: what to do instead.
    #[error("{0}")]
    Form(&'static str),
    /// It ends too early, or a line of it cannot be read.
    #[error(
        "looks like the output of {tool}, but has no `{label}` that can be read; it is cut off or changed"
    )]
    Missing {
        /// Whose output it looks like.
        tool: &'static str,
        /// What is missing.
        label: &'static str,
    },
}

/// Reads the output of a tool, whichever it is. Name, source and machine are left to whoever knows them.
///
/// # Errors
/// When it is none of a known tool, or cut off.
pub fn read(text: &str) -> Result<Figures, ImportError> {
    let text = bombardier::json_in(text).unwrap_or(text);
    if text.trim_start().starts_with('{') { json::read(text) } else { text::read(text) }
}

fn blank(tool: &str) -> Figures {
    Figures {
        schema: FIGURES_SCHEMA.into(),
        name: String::new(),
        source: String::new(),
        tool: tool.into(),
        machine: FiguresMachine::default(),
        config: BTreeMap::new(),
        rps: None,
        rps_qualifier: None,
        status: BTreeMap::new(),
        timeouts: None,
        total_s: None,
        slowest_s: None,
        fastest_s: None,
        average_s: None,
        percentiles_s: BTreeMap::new(),
        notes: Vec::new(),
    }
}

/// A number that can be told: finite, not negative.
fn number(text: &str) -> Option<f64> {
    text.trim().parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0)
}

/// A duration that the tool could print: more than nought.
fn duration(seconds: Option<f64>) -> Option<f64> {
    seconds.filter(|seconds| *seconds > 0.0 && seconds.is_finite())
}

/// A number with its point so many places further left: 2.45 ms are 0.00245 s, where a division gives 0.0024500000000000004.
fn shifted(number: f64, places: u32) -> f64 {
    format!("{number}e-{places}").parse().unwrap_or(f64::NAN)
}

/// A duration as tools print it, in seconds: `2.21ms`, `1m0.5s`. `None` for a unit which the tool never prints: of `77.12ms` may be
/// left `77.12m`.
fn time(text: &str, units: &[&str]) -> Option<f64> {
    let mut rest = text.trim();
    let mut seconds = None;
    while !rest.is_empty() {
        let (digits, tail) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let (unit, tail) = tail.split_at(tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len()));
        let number = number(digits).filter(|_| units.contains(&unit))?;
        let part = match unit {
            "ns" => shifted(number, 9),
            // A micro sign, and a Greek letter that looks like it.
            "us" | "\u{b5}s" | "\u{3bc}s" => shifted(number, 6),
            "ms" => shifted(number, 3),
            "s" => number,
            "m" => number * 60.0,
            "h" => number * 3600.0,
            _ => return None,
        };
        seconds = Some(seconds.unwrap_or(0.0) + part);
        rest = tail;
    }
    seconds
}

/// A URL as documents keep it: its password as `***`.
fn url(text: &str) -> String {
    let masked = || {
        let (scheme, rest) = text.split_once("://")?;
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (user, host) = authority.rsplit_once('@')?;
        let (user, _) = user.split_once(':')?;
        Some(format!("{scheme}://{user}:***@{host}{path}"))
    };
    masked().unwrap_or_else(|| text.to_owned())
}

/// Whether a message is of a timeout. Programs in Go have many words for it: `context deadline exceeded`, `i/o timeout`, `request
/// canceled (Client.Timeout exceeded ...)`. Before the reason may stand `Get "URL": `, which has any words in it.
fn is_timeout(message: &str) -> bool {
    let reason = message.rsplit_once("\": ").map_or(message, |(_, reason)| reason).to_lowercase();
    ["deadline exceeded", "timed out", "timeout"].iter().any(|word| reason.contains(word))
}

/// The sum of counts that are as large as somebody wrote them.
fn sum<'a>(counts: impl IntoIterator<Item = &'a u64>) -> u128 {
    counts.into_iter().map(|&count| u128::from(count)).sum()
}

/// What follows a label at the beginning of a line, the first such line.
fn after<'a>(text: &'a str, label: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.trim_start().strip_prefix(label)).map(str::trim)
}

/// A percentage as documents name it: `99`, `99.9`. `None` where there is no such percentile.
fn percentile(text: &str) -> Option<String> {
    let percent = number(text).filter(|percent| *percent > 0.0 && *percent < 100.0)?;
    Some(percent.to_string())
}
