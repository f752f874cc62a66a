//! What was typed, or set in the environment, and cannot be read: one sentence.

use std::ffi::{OsStr, OsString};

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::ServeError;
use crate::config;

/// How the names of the variables begin that stand for flags. Whatever begins so is taken for one.
const PREFIX: &str = "TARGET_";

/// Another name that is less alike than this, from 0 to 1, is no advice.
const ALIKE: f64 = 0.8;

/// What the shell has handed over.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    /// The words of the command line, the program first.
    words: Vec<OsString>,
    /// The variables of the environment that are taken for settings, in the order of their names.
    variables: Vec<(String, OsString)>,
}

impl Heard {
    pub(super) fn current() -> Self {
        let ours = |(name, value): (OsString, OsString)| {
            let name = name.into_string().ok().filter(|name| name.starts_with(PREFIX))?;
            Some((name, value))
        };
        let mut variables: Vec<_> = std::env::vars_os().filter_map(ours).collect();
        variables.sort();
        Self { words: std::env::args_os().collect(), variables }
    }

    /// The names of the variables.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().map(|(name, _)| name.as_str())
    }

    /// Refuses variables that are no settings: mostly they are misspelt, and would be ignored.
    pub(super) fn refuse_unknown(&self) -> Result<(), ServeError> {
        let known: Vec<String> =
            config::variables().iter().filter_map(|name| name.to_str().map(Into::into)).collect();
        let Some(name) = self.names().find(|name| !known.iter().any(|known| known == name)) else {
            return Ok(());
        };
        let alike = |known: &&String| strsim::jaro_winkler(&known[PREFIX.len()..], &name[PREFIX.len()..]);
        let nearest = known.iter().max_by(|one, other| alike(one).total_cmp(&alike(other)));
        let advice = match nearest.filter(|nearest| alike(nearest) >= ALIKE) {
            Some(nearest) => format!("set {nearest}"),
            None => "unset it".to_owned(),
        };
        Err(ServeError::Variable { name: name.to_owned(), advice })
    }

    /// What is wrong with what the parser complains about, as one sentence without its usage lines.
    pub(super) fn sentence(&self, message: &clap::Error) -> String {
        let named = self.misread(message);
        named.unwrap_or_else(|| {
            let text = message.to_string();
            let mut parts = text.split("\n\n").map(one_line);
            let first = parts.next().unwrap_or_default();
            let sentence = first.strip_prefix("error: ").unwrap_or(&first).to_owned();
            let sentence = self.named_by_its_variable(&sentence, message);
            let tip = parts.find_map(|part| part.strip_prefix("tip: ").map(ToOwned::to_owned));
            // There is nothing to be typed after a lone `--`.
            match tip.filter(|tip| !tip.contains(" '-- ")) {
                Some(tip) => format!("{sentence}; {tip}"),
                None => sentence,
            }
        })
    }

    /// A sentence of our own where that of the parser does not name the cause.
    fn misread(&self, message: &clap::Error) -> Option<String> {
        match message.kind() {
            ErrorKind::UnknownArgument => {
                // It takes a negative number for flags of one letter each.
                let word = argument(message)?;
                let digits =
                    word.strip_prefix('-').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
                digits?;
                let at = self.words.iter().position(|typed| typed.to_string_lossy().starts_with(word))?;
                let (flag, value) = (self.words.get(at.checked_sub(1)?)?, self.words.get(at)?);
                let (flag, value) = (flag.to_str().filter(|flag| flag.starts_with('-'))?, value.to_str()?);
                Some(format!("invalid value '{value}' for '{flag}': no setting is negative"))
            }
            ErrorKind::InvalidUtf8 => {
                let strange = |(_, value): &&(String, OsString)| value.to_str().is_none();
                let (name, _) = self.variables.iter().find(strange)?;
                Some(format!("the value of {name} is not UTF-8 text"))
            }
            _ => {
                let name = self.variable(message)?;
                let (_, value) = self.variables.iter().find(|(set, _)| *set == name)?;
                value.is_empty().then(|| format!("{name} is set to nothing; give it a value, or unset it"))
            }
        }
    }

    /// The same sentence about the variable, if the value comes from there.
    fn named_by_its_variable(&self, sentence: &str, message: &clap::Error) -> String {
        match (argument(message), self.variable(message)) {
            (Some(flag), Some(name)) => sentence.replacen(&format!("'{flag}'"), &name, 1),
            _ => sentence.to_owned(),
        }
    }

    /// The variable that a value comes from: what is typed wins over it.
    fn variable(&self, message: &clap::Error) -> Option<String> {
        let flag = argument(message)?.trim_start_matches('-');
        let flag = flag.split([' ', '[', '=']).next()?;
        let is_typed = |word: &OsStr| {
            let word = word.to_string_lossy();
            word.starts_with('-') && word.trim_start_matches('-').split('=').next() == Some(flag)
        };
        if self.words.iter().any(|word| is_typed(word)) {
            return None;
        }
        let name = format!("{PREFIX}{}", flag.replace('-', "_").to_uppercase());
        self.names().find(|set| *set == name).map(ToOwned::to_owned)
    }
}

/// The argument that the parser complains about, as it calls it: `--threads <N>`.
fn argument(message: &clap::Error) -> Option<&str> {
    match message.get(ContextKind::InvalidArg)? {
        ContextValue::String(argument) => Some(argument),
        _ => None,
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
