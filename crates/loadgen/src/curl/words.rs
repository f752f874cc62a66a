//! Splits a command into words as bash does, as far as copied commands need it: quotes, `$'...'`, backslashes. Variables
//! and operators are not carried out: their signs stand for themselves.

use std::iter::Peekable;
use std::str::Chars;

use super::CurlError;

pub(super) fn split(text: &str) -> Result<Vec<String>, CurlError> {
    if text.contains("^\"") || text.contains("^\r\n") || text.contains("^\n") {
        return Err(CurlError::Cmd);
    }
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            ' ' | '\t' | '\n' | '\r' => words.extend(word.take()),
            '\'' => single(&mut rest, word.get_or_insert_default())?,
            '"' => double(&mut rest, word.get_or_insert_default())?,
            '$' if rest.peek() == Some(&'\'') => {
                rest.next();
                ansi(&mut rest, word.get_or_insert_default())?;
            }
            // `$"..."` is a text to be translated; as it stands, in any language we know.
            '$' if rest.peek() == Some(&'"') => {}
            '\\' => match rest.next() {
                None | Some('\n') => {}
                Some('\r') if rest.peek() == Some(&'\n') => drop(rest.next()),
                Some(c) => word.get_or_insert_default().push(c),
            },
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

fn single(rest: &mut Peekable<Chars<'_>>, word: &mut String) -> Result<(), CurlError> {
    for c in rest {
        if c == '\'' {
            return Ok(());
        }
        word.push(c);
    }
    Err(CurlError::Unclosed("'"))
}

fn double(rest: &mut Peekable<Chars<'_>>, word: &mut String) -> Result<(), CurlError> {
    while let Some(c) = rest.next() {
        match c {
            '"' => return Ok(()),
            '\\' => match rest.next() {
                Some(c @ ('$' | '`' | '"' | '\\')) => word.push(c),
                Some('\n') | None => {}
                Some(c) => word.extend(['\\', c]),
            },
            c => word.push(c),
        }
    }
    Err(CurlError::Unclosed("\""))
}

/// `$'...'`: escapes as in C. Bytes above 127 that are no text cannot be said here and become replacement characters.
fn ansi(rest: &mut Peekable<Chars<'_>>, word: &mut String) -> Result<(), CurlError> {
    let mut bytes = Vec::new();
    loop {
        match rest.next().ok_or(CurlError::Unclosed("$'"))? {
            '\'' => break,
            '\\' => escape(rest, &mut bytes)?,
            c => push(&mut bytes, c),
        }
    }
    word.push_str(&String::from_utf8_lossy(&bytes));
    Ok(())
}

fn push(bytes: &mut Vec<u8>, c: char) {
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

fn escape(rest: &mut Peekable<Chars<'_>>, bytes: &mut Vec<u8>) -> Result<(), CurlError> {
    let c = rest.next().ok_or(CurlError::Unclosed("$'"))?;
    match c {
        'n' => bytes.push(b'\n'),
        'r' => bytes.push(b'\r'),
        't' => bytes.push(b'\t'),
        'a' => bytes.push(7),
        'b' => bytes.push(8),
        'e' | 'E' => bytes.push(0x1b),
        'f' => bytes.push(0x0c),
        'v' => bytes.push(0x0b),
        '\\' | '\'' | '"' | '?' => push(bytes, c),
        'x' | 'u' | 'U' | '0'..='7' => {
            let (radix, most, first) = match c {
                'x' => (16, 2, None),
                'u' => (16, 4, None),
                'U' => (16, 8, None),
                c => (8, 3, Some(c)),
            };
            let mut digits: String = first.into_iter().collect();
            while digits.len() < most {
                let Some(digit) = rest.next_if(|c| c.is_digit(radix)) else { break };
                digits.push(digit);
            }
            let Ok(number) = u32::from_str_radix(&digits, radix) else {
                // No digit follows: it stands for itself.
                bytes.push(b'\\');
                push(bytes, c);
                return Ok(());
            };
            match (c, u8::try_from(number & 0xff)) {
                ('u' | 'U', _) | (_, Err(_)) => {
                    push(bytes, char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                (_, Ok(byte)) => bytes.push(byte),
            }
        }
        c => {
            bytes.push(b'\\');
            push(bytes, c);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A word as one of the ways in which it can be written.
    fn written(word: &str, way: u8) -> String {
        match way % 4 {
            0 => format!("'{}'", word.replace('\'', "'\\''")),
            1 => {
                let escaped =
                    word.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$").replace('`', "\\`");
                format!("\"{escaped}\"")
            }
            2 => {
                let escape = |c: char| match c {
                    '\'' | '\\' => format!("\\{c}"),
                    '\n' => "\\n".to_owned(),
                    c if c as u32 > 0xffff => format!("\\U{:08x}", c as u32),
                    c if !c.is_ascii_graphic() && c != ' ' => format!("\\u{:04x}", c as u32),
                    c => c.to_string(),
                };
                format!("$'{}'", word.chars().map(escape).collect::<String>())
            }
            // The end of a line cannot be escaped so: behind a backslash it is no character.
            _ if word.is_empty() || word.contains(['\r', '\n']) => {
                format!("'{}'", word.replace('\'', "'\\''"))
            }
            _ => word.chars().flat_map(|c| ['\\', c]).collect(),
        }
    }

    proptest! {
        #[test]
        fn words_come_back_however_they_are_written(
            words in prop::collection::vec(("[^\\x00^]{0,12}", any::<u8>()), 0..6),
            gaps in prop::collection::vec("[ \\t\\n]{1,3}|\\\\\\n | \\\\\\r\\n", 7),
        ) {
            let text: String =
                words.iter().zip(&gaps).map(|((word, way), gap)| written(word, *way) + gap).collect();
            let expected: Vec<&str> = words.iter().map(|(word, _)| word.as_str()).collect();
            prop_assert_eq!(split(&text).unwrap(), expected, "{}", text);
        }

        #[test]
        fn nothing_makes_it_stumble(text in "[ a'\"$\\\\xuU07\\n]{0,40}") {
            let _ = split(&text);
        }
    }

    #[test]
    fn as_bash_splits() {
        let cases: [(&str, &[&str]); 8] = [
            ("a  b\tc\n", &["a", "b", "c"]),
            (r#"'a b'"c d"e\ f"#, &["a bc de f"]),
            ("a \\\n  b", &["a", "b"]),
            ("a\\\nb", &["ab"]),
            (r#"'' "" x"#, &["", "", "x"]),
            (r"$'a\'b\n\x41\101\u00fc\xc3\xbc\q'", &["a'b\nAA\u{fc}\u{fc}\\q"]),
            (r#""\n\$HOME\"" $HOME http://h/?a=1&b=2"#, &["\\n$HOME\"", "$HOME", "http://h/?a=1&b=2"]),
            (r#"$"x""#, &["x"]),
        ];
        for (text, words) in cases {
            assert_eq!(split(text).unwrap(), words, "{text}");
        }
        for text in ["'a", "\"a", "$'a\\", "\"a\\\""] {
            assert!(matches!(split(text), Err(CurlError::Unclosed(_))), "{text}");
        }
        assert_eq!(split("curl ^\"http://h^\""), Err(CurlError::Cmd));
    }
}
