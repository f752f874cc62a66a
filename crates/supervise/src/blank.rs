//! What stands in a command for something that is known at the start only.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::Address;
use crate::listen::Places;

/// What a text in the arguments or the environment of an instance stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blank {
    /// The number of the instance, from 1.
    Number,
    /// The port of its socket of this name.
    Port(String),
    /// Address and port of its socket of this name.
    Address(String),
    /// The path of its unix socket of this name.
    Path(String),
}

/// What the blanks of instance `number` stand for. One that does not fit its socket stands for nothing, and stays as it is.
pub(crate) fn values(blanks: &[(String, Blank)], places: &Places, number: u16) -> Vec<(String, OsString)> {
    let address = |name: &str| places.addresses(name, number).into_iter().next();
    let tcp = |name: &str| address(name).and_then(|address| address.tcp());
    let value = |blank: &Blank| -> Option<OsString> {
        Some(match blank {
            Blank::Number => number.to_string().into(),
            Blank::Port(name) => tcp(name)?.port().to_string().into(),
            Blank::Address(name) => tcp(name)?.to_string().into(),
            Blank::Path(name) => match address(name)? {
                Address::Unix(path) => path.into(),
                Address::Tcp(_) => return None,
            },
        })
    };
    blanks.iter().filter_map(|(text, blank)| Some((text.clone(), value(blank)?))).collect()
}

/// The word with its blanks filled, in one go: what is filled in is not read again.
pub(crate) fn fill(word: &OsStr, known: &[(String, OsString)]) -> OsString {
    let mut rest = word.as_bytes();
    let mut filled = Vec::new();
    while let Some((first, others)) = rest.split_first() {
        let found = known.iter().find(|(text, _)| !text.is_empty() && rest.starts_with(text.as_bytes()));
        if let Some((text, value)) = found {
            filled.extend(value.as_bytes());
            rest = &rest[text.len()..];
        } else {
            filled.push(*first);
            rest = others;
        }
    }
    OsString::from_vec(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_are_filled_wherever_they_stand_and_once() {
        let known = [("{a}".to_owned(), "{b}".into()), ("{b}".to_owned(), "2".into())];
        let filled = |word: &str| fill(OsStr::new(word), &known).into_string().unwrap();
        assert_eq!(filled("{a}"), "{b}");
        assert_eq!(filled("x{b}{b}y{b"), "x22y{b");
        assert_eq!(filled("{c} ${b} {}"), "{c} $2 {}");
        assert_eq!(filled(""), "");
    }
}
