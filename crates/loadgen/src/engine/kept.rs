//! What is kept of an answer for those who asked for it.

use http::{HeaderMap, StatusCode, Version};

use crate::source::Keep;

/// Head and beginning of the body of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// Status line and header fields, to the empty line. An engine that does not see them as they came writes them anew.
    pub head: Vec<u8>,
    /// The first bytes of the body, undecoded.
    pub body: Vec<u8>,
    /// Bytes of the whole body.
    pub body_bytes: u64,
    /// The most bytes of the body that are kept.
    limit: usize,
}

impl Kept {
    /// Where it is kept, if anything is to be.
    pub fn new(keep: Keep) -> Option<Box<Self>> {
        keep.head.then(|| Box::new(Self { limit: keep.body, ..Self::default() }))
    }

    /// The head, written anew: libraries do not hand it out as it came.
    pub fn write_head(&mut self, version: Version, status: StatusCode, fields: &HeaderMap) {
        self.head = format!("{version:?} {status}\r\n").into_bytes();
        for (name, value) in fields {
            self.head.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        self.head.extend(b"\r\n");
    }

    /// More of the body has come.
    pub fn add(&mut self, data: &[u8]) {
        self.body_bytes += data.len() as u64;
        let room = self.limit.saturating_sub(self.body.len());
        self.body.extend_from_slice(&data[..data.len().min(room)]);
    }

    /// The values of a header field, in their order; in whatever case its name stands.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let lines = self.head.split(|byte| *byte == b'\n').skip(1);
        lines.filter_map(move |line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            line[..colon].eq_ignore_ascii_case(name.as_bytes()).then(|| line[colon + 1..].trim_ascii())
        })
    }

    /// The value of a header field; several are joined as if they stood in one. `None`: it has none.
    pub fn value(&self, name: &str) -> Option<String> {
        let values: Vec<_> =
            self.values(name).map(|value| String::from_utf8_lossy(value).into_owned()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_whatever_their_case_and_joined() {
        let head = b"HTTP/1.1 200 OK: fine\r\nX-A: 1\r\nx-a:  2 \r\nEmpty:\r\n\r\n".to_vec();
        let kept = Kept { head, ..Kept::default() };
        assert_eq!(kept.value("x-A").as_deref(), Some("1, 2"));
        assert_eq!(kept.value("empty").as_deref(), Some(""));
        assert_eq!((kept.value("X"), kept.value("HTTP/1.1 200 OK")), (None, None));
    }

    #[test]
    fn no_more_than_the_limit_is_kept_and_everything_counted() {
        let mut kept = Kept::new(Keep { head: true, body: 5 }).unwrap();
        for data in ["abc", "def", "g"] {
            kept.add(data.as_bytes());
        }
        assert_eq!((kept.body.as_slice(), kept.body_bytes), (&b"abcde"[..], 7));
        assert!(Kept::new(Keep::default()).is_none());
    }
}
