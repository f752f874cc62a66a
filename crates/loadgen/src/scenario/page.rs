//! Where in a file is what is wrong? Its text, its keys with their places, and faults that name both.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use super::Scenario;
use crate::source::is_secret;

/// A scenario file as it was read.
#[derive(Debug, Clone)]
pub struct Page {
    /// Its path, or the name of a scenario of the library.
    pub path: PathBuf,
    text: String,
}

/// What is wrong at a place of a file: one sentence, and the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    path: PathBuf,
    /// From 1, and what it says; absent where the fault is of the file as a whole.
    line: Option<(usize, String)>,
    sentence: String,
}

/// `s.toml:12: SENTENCE`, and the line below.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.line {
            Some((number, text)) => {
                write!(f, "{path}:{number}: {}\n{number:>5} | {text}", self.sentence)
            }
            None => write!(f, "{path}: {}", self.sentence),
        }
    }
}

impl std::error::Error for Fault {}

impl Fault {
    /// What is wrong, without its place.
    pub fn sentence(&self) -> &str {
        &self.sentence
    }
}

impl Page {
    pub(super) fn new(path: &Path, text: String) -> Self {
        Self { path: path.to_owned(), text }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Its keys and values, each with its place.
    pub(super) fn table(&self) -> Result<DeTable<'_>, Fault> {
        let parsed = DeTable::parse(&self.text);
        parsed.map(Spanned::into_inner).map_err(|error| {
            let message = report::units::one_line(error.message());
            let twice =
                error.span().filter(|_| message == "duplicate key").and_then(|key| self.text.get(key));
            let twice = twice.map(|key| format!(" `{key}`")).unwrap_or_default();
            self.fault(error.span(), format!("this is no TOML: {message}{twice}"))
        })
    }

    /// A fault at a place of the text.
    pub(super) fn fault(&self, place: Option<Range<usize>>, sentence: String) -> Fault {
        let line = place.map(|place| {
            let before = self.text.get(..place.start).unwrap_or(&self.text);
            let number = before.matches('\n').count() + 1;
            (number, shown(self.text.lines().nth(number - 1).unwrap_or_default().trim_end()))
        });
        Fault { path: self.path.clone(), line, sentence }
    }

    /// What a value could not be read as, with its key.
    pub(super) fn unreadable(&self, table: &DeTable<'_>, error: &toml::de::Error) -> Fault {
        let around = error.span().and_then(|span| value_around(table, &span, ""));
        let message = error.message();
        let Some(around) = around else { return self.fault(error.span(), message.to_owned()) };
        let place = around.unreadable_item().or_else(|| error.span());
        self.fault(place, format!("{}: {message}", named(around.key, &around.section)))
    }

    /// What is wrong with the values of the file together: at the first key that the sentence names, by its own name or its flag's,
    /// or at the text that it quotes.
    pub fn together(&self, sentence: &str) -> Fault {
        let table = self.table().ok();
        let place = table.and_then(|table| words(sentence).find_map(|word| find(&table, &word)));
        self.fault(place, sentence.to_owned())
    }
}

/// A line as it is printed. Errors end up in the logs of a CI: where its words speak of a secret, only what is before the value is
/// shown. It may be no TOML, so nothing but its words can be known.
fn shown(line: &str) -> String {
    let lower = line.to_ascii_lowercase();
    let mut words = lower.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_')));
    // `-u` is curl's.
    let is_login = |word: &str| matches!(word, "auth" | "--user") || word.starts_with("-u");
    let is_key = |word: &str| word.ends_with("_key") || word.ends_with("pass") || word.ends_with("passwd");
    let speaks = words.any(|word| is_login(word) || is_key(word) || is_secret(word));
    let authority =
        |rest: &str| rest.split(['/', '"', '\'', ' ']).next().is_some_and(|host| host.contains('@'));
    if !speaks && !line.split("://").skip(1).any(authority) {
        return line.to_owned();
    }
    let before = line.find(['=', ':']).map_or("", |end| &line[..=end]);
    format!("{before} ***").trim_start().to_owned()
}

/// A key as a sentence names it: `duration` of `[load]`.
pub(super) fn named(key: &str, section: &str) -> String {
    if section.is_empty() { format!("`{key}`") } else { format!("`{key}` of [{section}]") }
}

/// The name of a table in a table.
pub(super) fn below(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

/// A value with its key.
struct Around<'a> {
    section: String,
    key: &'a str,
    value: &'a Spanned<DeValue<'a>>,
}

impl Around<'_> {
    /// Of a list, which may go over many lines, the item that cannot be read: found out by reading each alone.
    fn unreadable_item(&self) -> Option<Range<usize>> {
        let cannot_be_read = |text: &str| {
            let list = Value::Array(vec![Value::String(text.to_owned())]);
            let section = Table::from_iter([(self.key.to_owned(), list)]);
            let file = Table::from_iter([(self.section.clone(), Value::Table(section))]);
            file.try_into::<Scenario>().is_err()
        };
        let mut items = self.value.get_ref().as_array()?.iter();
        items.find(|item| item.get_ref().as_str().is_some_and(cannot_be_read)).map(Spanned::span)
    }
}

/// The value at this place.
fn value_around<'a>(table: &'a DeTable<'a>, span: &Range<usize>, section: &str) -> Option<Around<'a>> {
    table.iter().find_map(|(key, value)| {
        // The place of a table is its header; its keys may lie anywhere.
        if let DeValue::Table(inner) = value.get_ref() {
            return value_around(inner, span, &below(section, key.get_ref()));
        }
        let own = value.span();
        let encloses = own.start <= span.start && span.end <= own.end;
        encloses.then(|| Around { section: section.to_owned(), key: key.get_ref(), value })
    })
}

/// What a sentence quotes, and the flags that it names.
fn words(sentence: &str) -> impl Iterator<Item = String> {
    let quoted = sentence.split('`').skip(1).step_by(2).map(str::to_owned);
    let flags = sentence.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    let flags = flags.filter_map(|word| Some(word.strip_prefix("--")?.replace('-', "_")));
    quoted.chain(flags).filter(|word| !word.is_empty()).collect::<Vec<_>>().into_iter()
}

/// The place of a key with this name, or else of a text with this in it.
fn find(table: &DeTable<'_>, word: &str) -> Option<Range<usize>> {
    let key = table.iter().find_map(|(key, value)| match value.get_ref() {
        DeValue::Table(inner) => find(inner, word),
        _ => (key.get_ref() == word).then(|| key.span()),
    });
    key.or_else(|| table.values().find_map(|value| text_with(value, word)))
}

fn text_with(value: &Spanned<DeValue<'_>>, word: &str) -> Option<Range<usize>> {
    match value.get_ref() {
        DeValue::String(text) if text.contains(word) => Some(value.span()),
        DeValue::Array(list) => list.iter().find_map(|item| text_with(item, word)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_a_secret_is_shown_without_it() {
        for (line, expected) in [
            (r#"auth = "me:hunter2"#, "auth = ***"),
            (r#"headers = ["Authorization: Bearer hunter2"]"#, "headers = ***"),
            (r#"  "X-Api-Key: hunter2","#, r#""X-Api-Key: ***"#),
            (r#"env = { DB_PASSWORD = "hunter2" }"#, "env = ***"),
            (r#"env = { SIGNING_KEY = "hunter2" }"#, "env = ***"),
            (r#"url = "http://me:hunter2@host/"#, "url = ***"),
            (r#"curl = "curl -u me:hunter2 http://host/"#, "curl = ***"),
            (r#"curl = "curl -ume:hunter2 http://host/"#, "curl = ***"),
            ("cookie hunter2", "***"),
        ] {
            assert_eq!(shown(line), expected);
        }
        for line in [
            "conections = 100",
            r#"url = "http://host/a@b""#,
            r#"key = "client.pem""#,
            r#"headers = ["X-A: 1"]"#,
            "",
        ] {
            assert_eq!(shown(line), line);
        }
    }
}
