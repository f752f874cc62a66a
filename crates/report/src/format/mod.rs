//! How does one run look? One file per format, one list of formats, one argument.

mod answers;
mod gate;
mod hey;
mod json;
mod junit;
mod markdown;
mod pull_request;

pub use self::gate::pull_request_of_gate;
pub use self::junit::{junit, junit_of_gate};
pub use self::pull_request::pull_request;
use crate::document::{Document, Run};
use crate::histogram::Percentile;
use crate::summary::{Latency, Quantile, Summary};
use crate::units::{count, nanos, one_line};
use crate::warning::Warning;

/// Everything a format may look at.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// What was measured or published.
    pub document: &'a Document,
    /// [`Summary::of`] it.
    pub summary: &'a Summary,
    /// [`crate::warning::of`] it.
    pub warnings: &'a [Warning],
    /// The percentiles that were asked for. Empty: those of [`Percentile::REPORTED`].
    pub percentiles: &'a [Percentile],
    /// Where it is shown.
    pub style: Style,
}

impl View<'_> {
    /// The percentiles to be shown, whether or not the sample supports them.
    fn quantiles(&self) -> impl Iterator<Item = &Quantile> {
        self.quantiles_of(&self.summary.latency)
    }

    /// The same of a part of the requests.
    fn quantiles_of<'a>(&'a self, latency: &'a Latency) -> impl Iterator<Item = &'a Quantile> {
        let wanted = if self.percentiles.is_empty() { &Percentile::REPORTED[..] } else { self.percentiles };
        // Published figures know what their source printed, and nobody chose among those.
        let is_figures = matches!(self.document, Document::Figures(_)) && self.percentiles.is_empty();
        latency.quantiles.iter().filter(move |quantile| is_figures || wanted.contains(&quantile.percentile))
    }

    /// Those that were asked for and that cannot be told, with the reason.
    fn unknown(&self) -> impl Iterator<Item = String> {
        let latency = &self.summary.latency;
        self.percentiles.iter().filter_map(|percentile| match latency.at(*percentile) {
            Some(quantile) if quantile.is_supported => None,
            Some(_) => Some(format!("{percentile} needs {} samples", count(percentile.samples_needed()))),
            None => Some(format!("{percentile} is not known")),
        })
    }

    /// What to know about a run beside its numbers, in whole lines: how far to believe them, and what happened.
    pub fn notes(&self) -> Vec<String> {
        hey::notes(self)
    }
}

/// A quantile for a person: `>= 20 s`.
fn bounded(quantile: &Quantile) -> String {
    format!("{}{}", if quantile.is_lower_bound { ">= " } else { "" }, nanos(quantile.value_ns))
}

/// The value at a percentile for a table: `113.4 ms`, `>= 20 s`, or `-` where the sample does not support it.
pub fn cell(latency: &Latency, percentile: Percentile) -> String {
    let quantile = latency.at(percentile).filter(|quantile| quantile.is_supported);
    quantile.map_or_else(|| "-".to_owned(), bounded)
}

/// The tags of a run in one line.
fn tags(run: &Run) -> Option<String> {
    let tags: Vec<_> = run.tags.iter().map(|(key, value)| one_line(&format!("{key}={value}"))).collect();
    (!tags.is_empty()).then(|| tags.join(", "))
}

/// Where output is shown. The default is a file: 100 columns, no colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Columns.
    pub width: usize,
    /// Whether escape sequences for colour are welcome.
    pub colour: bool,
    /// Whether a person sees it at once.
    pub terminal: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self { width: 100, colour: false, terminal: false }
    }
}

/// One way to show a run.
#[derive(Debug, Clone, Copy)]
pub struct Format {
    /// What is typed to get it.
    pub name: &'static str,
    /// One line for help texts.
    pub help: &'static str,
    /// The whole text, newline at its end.
    pub render: fn(&View<'_>) -> String,
}

/// Every format. Command line, help and tests take their lists from here.
pub const ALL: &[Format] = &[
    Format { name: "hey", help: "hey's report, then what to know about it", render: hey::render },
    Format { name: "json", help: "the run document with a block of derived numbers", render: json::render },
    Format { name: "markdown", help: "a short table for a pull request", render: markdown::render },
];

/// The format of a name.
pub fn find(name: &str) -> Option<&'static Format> {
    ALL.iter().find(|format| format.name == name)
}
