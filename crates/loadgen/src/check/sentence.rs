//! Reads a check: `status == 200`, `status in 2xx`, `header content-type contains json`, `body matches ^\[`.
//!
//! ```text
//! check   = "status" numbers | "body" "size" numbers | "header" NAME words | "body" words
//! numbers = ("==" | "!=" | "<" | "<=" | ">" | ">=") N | ["not"] "in" RANGE {"," RANGE}
//! RANGE   = N | N ".." N | N "xx"             both ends included; 2xx is 200..299
//! words   = ("==" | "!=") TEXT | ["not"] ("contains" TEXT | "matches" REGEX) | "exists" | "missing"
//! TEXT    = the rest of the line, or in double quotes with the escapes \" \\ \n \r \t
//! ```

use regex::bytes::{Regex, RegexBuilder};

use super::{Comparison, Numbers, Rule, Words};

/// Compiled patterns of checks may take so much memory, each.
const PATTERN_LIMIT: usize = 1024 * 1024;

/// Why a sentence is no check. The messages say how to write one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum CheckError {
    #[error("a check begins with `status`, `header NAME`, `body` or `body size`, like \"status == 200\"")]
    Subject,
    #[error("`header` wants the name of a field, like \"header content-type contains json\"")]
    Name,
    #[error(
        "`{found}` is no condition on {subject}: write ==, !=, <, <=, >, >= with a number, or `in` with ranges like 200..299,304"
    )]
    Numbers { subject: &'static str, found: String },
    #[error(
        "`{found}` is no condition on a {subject}: write ==, !=, contains, matches, `not contains` or `not matches` with a text{more}"
    )]
    Words { subject: &'static str, found: String, more: &'static str },
    #[error("`{0}` is no whole number")]
    Number(String),
    #[error("`{0}` is no range: write one like 200..299, 304 or 2xx")]
    Range(String),
    #[error("`{0}` has nothing behind it to compare with")]
    Nothing(String),
    #[error("`{0}` stands behind a condition that takes nothing more")]
    TooMuch(String),
    #[error("the text {0} does not end with its quotation mark, or goes on behind it")]
    Quotes(String),
    #[error("the pattern is no regular expression: {0}")]
    Pattern(String),
}

pub(super) fn read(text: &str) -> Result<Rule, CheckError> {
    let (subject, rest) = word(text);
    match subject {
        "status" => Ok(Rule::Status(numbers("the status", rest)?)),
        "header" => {
            let (name, rest) = word(rest);
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            if name.is_empty() || !name.bytes().all(is_name) {
                return Err(CheckError::Name);
            }
            Ok(Rule::Header(name.to_owned(), words("header", rest)?))
        }
        "body" => match word(rest) {
            ("size", rest) => Ok(Rule::BodySize(numbers("the size of a body", rest)?)),
            _ => Ok(Rule::Body(words("body", rest)?)),
        },
        _ => Err(CheckError::Subject),
    }
}

/// The next word, and what is behind it. A sign of comparison is a word without a space after it, too.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim();
    let signs = text.len() - text.trim_start_matches(['=', '!', '<', '>']).len();
    let end = if signs > 0 {
        signs
    } else {
        text.find(|c: char| c.is_whitespace() || "=!<>".contains(c)).unwrap_or(text.len())
    };
    (&text[..end], text[end..].trim_start())
}

fn numbers(subject: &'static str, text: &str) -> Result<Numbers, CheckError> {
    let (sign, rest) = word(text);
    let comparison = match sign {
        "==" | "=" => Comparison::Equal,
        "!=" => Comparison::Unequal,
        "<" => Comparison::Less,
        "<=" => Comparison::AtMost,
        ">" => Comparison::Greater,
        ">=" => Comparison::AtLeast,
        "in" => return ranges(sign, rest).map(Numbers::In),
        "not" if word(rest).0 == "in" => return ranges("not in", word(rest).1).map(Numbers::NotIn),
        // `status 2xx`, as people write it.
        first if first.starts_with(|c: char| c.is_ascii_digit()) => return ranges("", text).map(Numbers::In),
        _ => return Err(CheckError::Numbers { subject, found: text.trim().to_owned() }),
    };
    if rest.is_empty() {
        return Err(CheckError::Nothing(sign.to_owned()));
    }
    Ok(Numbers::Is(comparison, number(rest)?))
}

fn number(text: &str) -> Result<u64, CheckError> {
    text.trim().parse().map_err(|_| CheckError::Number(text.trim().to_owned()))
}

fn ranges(sign: &str, text: &str) -> Result<Vec<(u64, u64)>, CheckError> {
    if text.is_empty() {
        return Err(CheckError::Nothing(sign.to_owned()));
    }
    text.split(',').map(range).collect()
}

fn range(text: &str) -> Result<(u64, u64), CheckError> {
    let text = text.trim();
    let invalid = || CheckError::Range(text.to_owned());
    if let Some(hundreds) = text.strip_suffix("xx") {
        let hundreds: u64 = hundreds.parse().map_err(|_| invalid())?;
        return if (1..=9).contains(&hundreds) {
            Ok((hundreds * 100, hundreds * 100 + 99))
        } else {
            Err(invalid())
        };
    }
    let (low, high) = text.split_once("..").unwrap_or((text, text));
    let bound = |text: &str| text.trim().parse::<u64>().map_err(|_| invalid());
    let (low, high) = (bound(low)?, bound(high)?);
    if low <= high { Ok((low, high)) } else { Err(invalid()) }
}

fn words(subject: &'static str, text: &str) -> Result<Words, CheckError> {
    let (sign, rest) = word(text);
    let (sign, rest, is_not) = match word(rest) {
        (second @ ("contains" | "matches"), rest) if sign == "not" => (second, rest, true),
        _ => (sign, rest, false),
    };
    let is_header = subject == "header";
    match sign {
        "exists" | "missing" if is_header && !rest.is_empty() => {
            return Err(CheckError::TooMuch(rest.to_owned()));
        }
        "exists" if is_header => return Ok(Words::Exists),
        "missing" if is_header => return Ok(Words::IsMissing),
        "==" | "=" | "!=" | "contains" | "matches" if rest.is_empty() => {
            return Err(CheckError::Nothing(sign.to_owned()));
        }
        _ => {}
    }
    let literal = || unquoted(rest, true).and_then(|text| pattern(&regex::escape(&text)));
    let regex = || unquoted(rest, false).and_then(|text| pattern(&text));
    Ok(match sign {
        "==" | "=" => Words::Is(unquoted(rest, true)?.into_bytes()),
        "!=" => Words::IsNot(unquoted(rest, true)?.into_bytes()),
        "contains" if is_not => Words::ContainsNot(literal()?),
        "contains" => Words::Contains(literal()?),
        "matches" if is_not => Words::MatchesNot(regex()?),
        "matches" => Words::Matches(regex()?),
        _ => {
            let more =
                if is_header { ", or `exists`, or `missing`" } else { ", or `body size` with a number" };
            return Err(CheckError::Words { subject, found: text.trim().to_owned(), more });
        }
    })
}

fn pattern(text: &str) -> Result<Regex, CheckError> {
    let built = RegexBuilder::new(text).size_limit(PATTERN_LIMIT).build();
    built.map_err(|error| {
        // Over several lines it draws where the fault is; the last one says what it is.
        let text = error.to_string();
        let last = text.lines().last().unwrap_or_default();
        CheckError::Pattern(last.strip_prefix("error: ").unwrap_or(last).to_owned())
    })
}

/// The text without its quotation marks, if it has any. In a pattern only a quotation mark is escaped: the other
/// backslashes are the pattern's own.
fn unquoted(text: &str, has_escapes: bool) -> Result<String, CheckError> {
    let Some(inside) = text.strip_prefix('"') else { return Ok(text.to_owned()) };
    let invalid = || CheckError::Quotes(text.to_owned());
    let mut result = String::new();
    let mut characters = inside.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return if characters.as_str().trim().is_empty() { Ok(result) } else { Err(invalid()) },
            '\\' => match (characters.next().ok_or_else(invalid)?, has_escapes) {
                ('"', _) => result.push('"'),
                ('\\', true) => result.push('\\'),
                ('n', true) => result.push('\n'),
                ('r', true) => result.push('\r'),
                ('t', true) => result.push('\t'),
                (other, _) => result.extend(['\\', other]),
            },
            other => result.push(other),
        }
    }
    Err(invalid())
}
