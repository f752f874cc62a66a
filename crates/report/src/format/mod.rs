//! How does one run look? One file per format, one list of formats, one argument.

mod answers;
mod hey;
mod json;
mod markdown;

use crate::document::Document;
use crate::summary::Summary;
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
    /// Where it is shown.
    pub style: Style,
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
