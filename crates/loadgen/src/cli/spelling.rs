//! How did hey's users spell it? Go's flags take one dash or two; clap takes one for letters and two for words.
//!
//! Without this, `-disable-keepalive` would be read as `-d isable-keepalive` and quietly send a body.

use std::ffi::OsString;

use clap::{ArgAction, CommandFactory};

use super::args::Arguments;

/// Turns `-word` into `--word` where the word is a flag's long name, and leaves everything else alone.
pub(super) fn as_clap_wants(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let command = Arguments::command();
    let known = |word: &str| {
        let commands = std::iter::once(&command).chain(command.get_subcommands());
        let is_long = |arg: &clap::Arg| {
            arg.get_long() == Some(word)
                || arg.get_all_aliases().is_some_and(|aliases| aliases.contains(&word))
        };
        commands.flat_map(clap::Command::get_arguments).any(is_long)
    };
    let takes_value = |word: &str| {
        let letter = word.strip_prefix('-').filter(|rest| rest.chars().count() == 1);
        letter.is_some_and(|letter| {
            let found = command.get_arguments().find(|arg| arg.get_short() == letter.chars().next());
            found.is_some_and(|arg| matches!(arg.get_action(), ArgAction::Set | ArgAction::Append))
        })
    };
    let mut previous_takes_value = false;
    let mut only_values = false;
    let mut result = Vec::new();
    for word in words {
        let text = word.to_str().unwrap_or_default();
        let long = text.strip_prefix('-').filter(|rest| !rest.starts_with('-') && rest.len() > 1);
        let name = long.and_then(|rest| rest.split('=').next()).filter(|name| name.len() > 1);
        // A number may follow its letter at once. What else is longer than a letter is a word, known or not: as a letter
        // with a value, `-debug` would be a body.
        let is_number = name.is_some_and(|name| name.as_bytes()[1].is_ascii_digit());
        let is_flag = name.is_some_and(|name| known(name) || !is_number);
        let rewrite = is_flag && !previous_takes_value && !only_values;
        only_values |= text == "--";
        previous_takes_value = !previous_takes_value && takes_value(text);
        result.push(if rewrite { format!("-{text}").into() } else { word });
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(line: &str) -> String {
        let words = as_clap_wants(line.split(' ').map(OsString::from));
        words.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn words_get_their_second_dash() {
        assert_eq!(spelled("loadgen -disable-keepalive -n 5 URL"), "loadgen --disable-keepalive -n 5 URL");
        assert_eq!(spelled("loadgen -host=x -duration 10s"), "loadgen --host=x --duration 10s");
        assert_eq!(spelled("loadgen -z 10s --c 5 -t=20"), "loadgen -z 10s --c 5 -t=20");
    }

    #[test]
    fn unknown_words_are_no_letters_with_values() {
        assert_eq!(spelled("loadgen -debug -more -h2 URL"), "loadgen --debug --more --h2 URL");
    }

    #[test]
    fn values_are_left_alone() {
        assert_eq!(spelled("loadgen -d -host URL"), "loadgen -d -host URL");
        assert_eq!(spelled("loadgen -n5 -z10s -t=20"), "loadgen -n5 -z10s -t=20");
        assert_eq!(spelled("loadgen -- -host"), "loadgen -- -host");
    }
}
