//! Reads requests, by a parser of its own: strict, small, and slow.

use std::io::{self, Read};

/// The most bytes of a request's head.
const MAX_HEAD: usize = 64 * 1024;

/// Head of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// As it stood on the wire, to the empty line.
    pub text: String,
    /// `GET` and so on.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Length of the body that follows.
    pub content_length: u64,
    /// Whether the client wants the connection closed after the answer.
    pub close: bool,
    /// Whether the client speaks HTTP/1.0 and wants to be told that its connection is kept.
    pub wants_to_be_kept: bool,
}

impl Head {
    /// Understands a head. `None`: it is not one, or it announces a body in a way that is not known here.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut lines = text.strip_suffix("\r\n\r\n")?.split("\r\n");
        let words: Vec<&str> = lines.next()?.split(' ').collect();
        let [method, target, version] = words[..] else { return None };
        let mut head = Self {
            text: text.to_owned(),
            method: method.to_owned(),
            target: target.to_owned(),
            content_length: 0,
            close: match version {
                "HTTP/1.1" => false,
                "HTTP/1.0" => true,
                _ => return None,
            },
            wants_to_be_kept: false,
        };
        let mut hosts = 0;
        for line in lines {
            let (name, value) = line.split_once(": ")?;
            match name.to_ascii_lowercase().as_str() {
                "host" => hosts += 1,
                "content-length" => head.content_length = value.parse().ok()?,
                "connection" if value.eq_ignore_ascii_case("close") => head.close = true,
                "connection" if value.eq_ignore_ascii_case("keep-alive") => {
                    head.close = false;
                    head.wants_to_be_kept = version == "HTTP/1.0";
                }
                "transfer-encoding" => return None,
                _ => {}
            }
        }
        (hosts == 1 && target.starts_with('/')).then_some(head)
    }

    /// The value of a header field, by its name in any case.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.text.split("\r\n").skip(1).filter_map(|line| line.split_once(": "));
        fields.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// What came next on a connection.
pub(super) enum Next {
    /// A whole head.
    Head(Head),
    /// The end, between two requests or within one.
    End,
    /// Something that is no request.
    Malformed,
}

/// Reads a connection's requests one after the other.
pub(super) struct Reader<S> {
    stream: S,
    /// Read and not used.
    ahead: Vec<u8>,
    /// Bytes read and not yet asked for by [`Reader::take_read`].
    read: u64,
}

impl<S: Read> Reader<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, ahead: Vec::new(), read: 0 }
    }

    /// Reads to the end of a head.
    pub(super) fn head(&mut self) -> io::Result<Next> {
        loop {
            if let Some(place) = self.ahead.windows(4).position(|four| four == b"\r\n\r\n") {
                let head: Vec<u8> = self.ahead.drain(..place + 4).collect();
                return Ok(Head::parse(&head).map_or(Next::Malformed, Next::Head));
            }
            if self.ahead.len() > MAX_HEAD {
                return Ok(Next::Malformed);
            }
            if self.fill()? == 0 {
                return Ok(Next::End);
            }
        }
    }

    /// Reads a body of that length and keeps its first bytes. `None`: the connection ended within it.
    pub(super) fn body(&mut self, length: u64, keep: usize) -> io::Result<Option<Vec<u8>>> {
        let mut kept = Vec::new();
        let mut left = length;
        while left > 0 {
            if self.ahead.is_empty() && self.fill()? == 0 {
                return Ok(None);
            }
            let take = usize::try_from(left).unwrap_or(usize::MAX).min(self.ahead.len());
            let room = keep.saturating_sub(kept.len()).min(take);
            kept.extend_from_slice(&self.ahead[..room]);
            self.ahead.drain(..take);
            left -= take as u64;
        }
        Ok(Some(kept))
    }

    /// Bytes read since this was asked last, of heads and bodies alike.
    pub(super) fn take_read(&mut self) -> u64 {
        std::mem::take(&mut self.read)
    }

    /// Reads and drops everything to the end.
    pub(super) fn drain(&mut self) {
        self.ahead.clear();
        while self.fill().is_ok_and(|bytes| bytes > 0) {
            self.ahead.clear();
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut block = [0; 16 * 1024];
        let bytes = self.stream.read(&mut block)?;
        self.ahead.extend_from_slice(&block[..bytes]);
        self.read += bytes as u64;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heads(bytes: &[u8]) -> Vec<String> {
        let mut reader = Reader::new(bytes);
        let mut found = Vec::new();
        loop {
            match reader.head().unwrap() {
                Next::Head(head) => {
                    let body = reader.body(head.content_length, 3).unwrap();
                    let body = body.map(|body| String::from_utf8(body).unwrap());
                    found.push(format!("{} {} {body:?}", head.method, head.target));
                }
                Next::End => return found,
                Next::Malformed => found.push("malformed".to_owned()),
            }
        }
    }

    #[test]
    fn requests_follow_each_other() {
        let bytes = b"POST /a HTTP/1.1\r\nhost: x\r\nContent-Length: 4\r\n\r\nbodyGET /?b HTTP/1.1\r\nHost: x\r\n\r\n";
        assert_eq!(heads(bytes), ["POST /a Some(\"bod\")", "GET /?b Some(\"\")"]);
        assert_eq!(heads(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbod"), ["PUT / None"]);
    }

    #[test]
    fn what_is_no_request_is_malformed() {
        for head in [
            "GET /\r\n\r\n",
            "GET / HTTP/2\r\nHost: x\r\n\r\n",
            "GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET x HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\nA: b\r\nno colon\r\n\r\n",
        ] {
            assert_eq!(heads(head.as_bytes()), ["malformed"], "{head:?}");
        }
    }

    #[test]
    fn fields_are_found_in_any_case() {
        let head = Head::parse(b"GET / HTTP/1.1\r\nHOST: h\r\nConnection: Close\r\n\r\n").unwrap();
        assert_eq!((head.field("host"), head.field("none"), head.close), (Some("h"), None, true));
        let closes = |rest: &str| {
            Head::parse(format!("GET / HTTP/1.0\r\nHost: x\r\n{rest}\r\n").as_bytes()).unwrap().close
        };
        assert!(closes("") && !closes("Connection: keep-alive\r\n"));
    }
}
