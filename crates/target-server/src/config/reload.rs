//! What can change while it runs: read again from a file at SIGHUP.

use std::str::FromStr;

use clap::ValueEnum;

use crate::faults::Faults;
use crate::log::Level;

/// Settings that a file changes, as far as it names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The least that an event must matter.
    pub log_level: Option<Level>,
    /// The faults of the whole server.
    pub faults: Option<Faults>,
}

/// Why a file changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangesError {
    /// A line that is no setting.
    #[error("line {0} is not like `log-level = debug`")]
    Line(usize),
    /// A setting that cannot change, or that there is not.
    #[error("line {line}: {name:?} cannot be changed while the server runs; log-level and faults can")]
    Unknown {
        /// Its number, from 1.
        line: usize,
        /// The setting.
        name: String,
    },
    /// A value that is none.
    #[error("line {line}: {reason}")]
    Value {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}

impl FromStr for Changes {
    type Err = ChangesError;

    /// Lines `name = value`; empty ones and those that begin with `#` say nothing. The last of several wins.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut changes = Self::default();
        for (line, words) in (1..).zip(text.lines().map(str::trim)) {
            if words.is_empty() || words.starts_with('#') {
                continue;
            }
            let (name, value) = words.split_once('=').ok_or(ChangesError::Line(line))?;
            let (name, value) = (name.trim(), value.trim());
            let wrong = |reason: String| ChangesError::Value { line, reason };
            match name {
                "log-level" => {
                    let level = Level::from_str(value, false);
                    let reason =
                        |_| wrong(format!("{value:?} is no level; there are error, warn, info and debug"));
                    changes.log_level = Some(level.map_err(reason)?);
                }
                "faults" => {
                    let faults = value.parse::<Faults>();
                    changes.faults = Some(faults.map_err(|error| wrong(error.to_string()))?);
                }
                _ => return Err(ChangesError::Unknown { line, name: name.to_owned() }),
            }
        }
        Ok(changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_what_changes() {
        let text = "# at night\n\nlog-level = debug\nfaults = delay=1ms:5&close=2\n";
        let changes: Changes = text.parse().unwrap();
        assert_eq!(changes.log_level, Some(Level::Debug));
        assert_eq!(changes.faults.map(|faults| faults.to_string()).as_deref(), Some("delay=1ms:5&close=2"));
        assert_eq!("faults =".parse(), Ok(Changes { faults: Some(Faults::default()), log_level: None }));
        assert_eq!("".parse(), Ok(Changes::default()));
    }

    #[test]
    fn what_it_cannot_say_is_one_sentence() {
        for (text, said) in [
            ("log-level", "line 1 is not like `log-level = debug`"),
            (
                "\nthreads = 3",
                "line 2: \"threads\" cannot be changed while the server runs; log-level and faults can",
            ),
            ("log-level = loud", "line 1: \"loud\" is no level; there are error, warn, info and debug"),
            (
                "faults = delay",
                "line 1: the fault delay= is not understood: a time is like 150us, 20ms or 2s",
            ),
        ] {
            assert_eq!(text.parse::<Changes>().unwrap_err().to_string(), said);
        }
    }
}
