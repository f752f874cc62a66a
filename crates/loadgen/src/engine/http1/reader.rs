//! Reads one HTTP/1 answer from bytes as they come. Pure: no socket, no clock; the result does not depend on how
//! the bytes are split. Bodies are counted and dropped, so any size takes constant memory, but for what a request wants
//! kept of its answer.

use std::mem::MaybeUninit;

use super::chunked::Chunked;
use crate::engine::{Kept, redirects};
use crate::source::Keep;

/// The most bytes an answer's head may have, interim answers included.
pub(crate) const MAX_HEAD: usize = 64 * 1024;
/// The most header fields a head may have.
const MAX_HEADERS: usize = 256;
/// The most interim (1xx) answers before the final one.
const MAX_INTERIM: u32 = 32;
/// An unfinished head up to this size is looked at again with every read; beyond, only when a line ends.
/// That keeps a head that drips in byte by byte from costing the square of its size.
const EAGER: usize = 4 * 1024;

/// Why the bytes are not an HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProtocolError {
    #[error("the head of the answer is not HTTP: {0}")]
    Head(httparse::Error),
    #[error("the head of the answer is larger than {} KiB", MAX_HEAD / 1024)]
    HeadTooLarge,
    #[error("the answer has conflicting or unreadable Content-Length fields")]
    ContentLength,
    #[error("the chunked body is malformed: {0}")]
    Chunk(&'static str),
    #[error("the server switched protocols (101) without being asked")]
    SwitchedProtocols,
    #[error("more than {MAX_INTERIM} interim (1xx) answers")]
    Interim,
}

/// How far the answer has come.
#[derive(Debug)]
enum State {
    /// In the head; its bytes so far, where they came in more than one piece.
    Head(Vec<u8>),
    /// In a body with so many bytes to come.
    Length(u64),
    /// In a chunked body.
    Chunked(Chunked),
    /// In a body that ends when the connection does.
    UntilClose,
    /// Complete.
    Done,
}

/// What the end of the connection means for the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AtClose {
    /// It is complete.
    Complete,
    /// Nothing of it had come.
    Nothing,
    /// It is cut short.
    Truncated,
    /// What had come of it is not HTTP.
    Protocol(ProtocolError),
}

/// Reads one answer.
#[derive(Debug)]
pub(crate) struct Reader {
    state: State,
    head_request: bool,
    status: u16,
    keep_alive: bool,
    /// Where the answer redirects to, if it does.
    pub(super) location: Option<String>,
    /// What is kept of the answer, if anything is.
    pub(super) kept: Option<Box<Kept>>,
    interim: u32,
    head_bytes: u64,
    body_bytes: u64,
}

impl Reader {
    /// A reader for the answer to the next request; one to `HEAD` has no body.
    pub(crate) fn new(head_request: bool) -> Self {
        Self {
            state: State::Head(Vec::new()),
            head_request,
            status: 0,
            keep_alive: true,
            location: None,
            kept: None,
            interim: 0,
            head_bytes: 0,
            body_bytes: 0,
        }
    }

    /// The same, and this is kept of the answer.
    pub(crate) fn keeping(self, keep: Keep) -> Self {
        Self { kept: Kept::new(keep), ..self }
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Status of the final answer, once its head was read.
    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    /// Whether the server keeps the connection open, once the answer is complete.
    pub(crate) fn keep_alive(&self) -> bool {
        self.keep_alive
    }

    /// Bytes of heads and of chunk framing.
    pub(crate) fn head_bytes(&self) -> u64 {
        self.head_bytes
    }

    /// Bytes of the body, framing apart.
    pub(crate) fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    /// Takes the next bytes, and says how many of them belong to the answer: fewer than given only when it is done.
    /// `known`: a head that came before, of any answer.
    pub(crate) fn feed(&mut self, mut input: &[u8], known: &mut KnownHead) -> Result<usize, ProtocolError> {
        let given = input.len();
        while !input.is_empty() {
            let used = match &mut self.state {
                State::Head(_) => self.feed_head(input, known)?,
                State::Length(left) => {
                    let used = input.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= used as u64;
                    self.body_bytes += used as u64;
                    if let Some(kept) = &mut self.kept {
                        kept.add(&input[..used]);
                    }
                    if *left == 0 {
                        self.state = State::Done;
                    }
                    used
                }
                State::Chunked(chunked) => {
                    let fed = match &mut self.kept {
                        None => chunked.feed(input, |_| ()),
                        Some(kept) => chunked.feed(input, |data| kept.add(data)),
                    };
                    let (used, data) = fed.map_err(ProtocolError::Chunk)?;
                    self.body_bytes += data as u64;
                    self.head_bytes += (used - data) as u64;
                    if chunked.is_done() {
                        self.state = State::Done;
                    }
                    used
                }
                State::UntilClose => {
                    self.body_bytes += input.len() as u64;
                    if let Some(kept) = &mut self.kept {
                        kept.add(input);
                    }
                    input.len()
                }
                State::Done => break,
            };
            input = &input[used..];
        }
        Ok(given - input.len())
    }

    /// The peer closed: what became of the answer?
    pub(crate) fn close(&mut self) -> AtClose {
        match &self.state {
            State::Done => AtClose::Complete,
            State::UntilClose => {
                self.state = State::Done;
                self.keep_alive = false;
                AtClose::Complete
            }
            State::Head(buffered) if buffered.is_empty() && self.interim == 0 => AtClose::Nothing,
            State::Head(buffered) => match parse(buffered) {
                Err(error) => AtClose::Protocol(error),
                Ok(_) => AtClose::Truncated,
            },
            State::Length(_) | State::Chunked(_) => AtClose::Truncated,
        }
    }

    fn feed_head(&mut self, input: &[u8], known: &mut KnownHead) -> Result<usize, ProtocolError> {
        let State::Head(buffered) = &mut self.state else { return Ok(0) };
        let before = buffered.len();
        let head = if before == 0 {
            known.or_parse(input)?
        } else {
            let room = (MAX_HEAD + 1).saturating_sub(before);
            buffered.extend_from_slice(&input[..input.len().min(room)]);
            if buffered.len() <= EAGER || input.contains(&b'\n') { parse(buffered)? } else { None }
        };
        let Some(head) = head else {
            if before == 0 {
                buffered.extend_from_slice(&input[..input.len().min(MAX_HEAD + 1)]);
            }
            if buffered.len() > MAX_HEAD {
                return Err(ProtocolError::HeadTooLarge);
            }
            return Ok(input.len());
        };
        let used = head.length - before;
        self.head_bytes += head.length as u64;
        if self.head_bytes > MAX_HEAD as u64 {
            return Err(ProtocolError::HeadTooLarge);
        }
        if let Some(kept) = &mut self.kept {
            // Of interim answers nothing stays: the next head takes the place of theirs.
            let bytes = if before == 0 { input } else { buffered };
            kept.head.clear();
            kept.head.extend_from_slice(&bytes[..head.length]);
        }
        self.begin_body(head)?;
        Ok(used)
    }

    fn begin_body(&mut self, head: Head) -> Result<(), ProtocolError> {
        self.state = match head.status {
            101 => return Err(ProtocolError::SwitchedProtocols),
            100..200 => {
                self.interim += 1;
                if self.interim > MAX_INTERIM {
                    return Err(ProtocolError::Interim);
                }
                State::Head(Vec::new())
            }
            204 | 304 => State::Done,
            _ if self.head_request => State::Done,
            _ => match head.body {
                Body::Length(0) => State::Done,
                Body::Length(length) => State::Length(length),
                Body::Chunked => State::Chunked(Chunked::new()),
                Body::UntilClose => State::UntilClose,
            },
        };
        if head.status >= 200 {
            self.status = head.status;
            self.keep_alive = head.keep_alive;
            self.location = head.location;
        }
        Ok(())
    }
}

/// What a head says.
struct Head {
    status: u16,
    length: usize,
    keep_alive: bool,
    body: Body,
    location: Option<String>,
}

/// The head that was parsed last. Within a second a server mostly says the same, byte for byte, and the same bytes mean
/// the same: comparing them takes much less time than parsing.
#[derive(Debug, Default)]
pub(crate) struct KnownHead {
    bytes: Vec<u8>,
    /// What they mean. Without a location, which would have to be copied anyway.
    meaning: Option<(u16, bool, Body)>,
}

impl KnownHead {
    /// As [`parse`], of bytes at the beginning of a head.
    fn or_parse(&mut self, input: &[u8]) -> Result<Option<Head>, ProtocolError> {
        if let Some((status, keep_alive, body)) = self.meaning
            && input.starts_with(&self.bytes)
        {
            return Ok(Some(Head { status, length: self.bytes.len(), keep_alive, body, location: None }));
        }
        let head = parse(input)?;
        if let Some(Head { status, length, keep_alive, body, location: None }) = head {
            self.bytes.clear();
            self.bytes.extend_from_slice(&input[..length]);
            self.meaning = Some((status, keep_alive, body));
        }
        Ok(head)
    }
}

/// Where the body ends.
#[derive(Debug, Clone, Copy)]
enum Body {
    Length(u64),
    Chunked,
    UntilClose,
}

/// Parses a head; `None` when it is not complete yet.
fn parse(bytes: &[u8]) -> Result<Option<Head>, ProtocolError> {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut []);
    let parser = httparse::ParserConfig::default();
    let parsed = parser.parse_response_with_uninit_headers(&mut response, bytes, &mut fields);
    let length = match parsed.map_err(ProtocolError::Head)? {
        httparse::Status::Partial => return Ok(None),
        httparse::Status::Complete(length) => length,
    };
    let mut keep_alive = response.version == Some(1);
    let (mut closes, mut content_length) = (false, None);
    let mut transfer_coding: Option<&[u8]> = None;
    let status = response.code.unwrap_or_default();
    let mut location = None;
    for field in response.headers.iter() {
        if field.name.eq_ignore_ascii_case("content-length") {
            let length = parse_length(field.value).ok_or(ProtocolError::ContentLength)?;
            if content_length.is_some_and(|known| known != length) {
                return Err(ProtocolError::ContentLength);
            }
            content_length = Some(length);
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
            transfer_coding = Some(field.value);
        } else if field.name.eq_ignore_ascii_case("connection") {
            closes |= has_token(field.value, b"close");
            keep_alive |= has_token(field.value, b"keep-alive");
        } else if redirects(status) && field.name.eq_ignore_ascii_case("location") {
            location = Some(String::from_utf8_lossy(field.value).into_owned());
        }
    }
    let body = match (transfer_coding, content_length) {
        (Some(coding), length) => {
            // Length and coding together is how requests are smuggled: believe the coding, trust no more than this.
            keep_alive &= length.is_none();
            let last = coding.rsplit(|byte| *byte == b',').next().unwrap_or_default();
            if last.trim_ascii().eq_ignore_ascii_case(b"chunked") { Body::Chunked } else { Body::UntilClose }
        }
        (None, Some(length)) => Body::Length(length),
        (None, None) => Body::UntilClose,
    };
    keep_alive &= !closes;
    Ok(Some(Head { status, length, keep_alive, body, location }))
}

fn parse_length(value: &[u8]) -> Option<u64> {
    let value = value.trim_ascii();
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

fn has_token(list: &[u8], token: &[u8]) -> bool {
    list.split(|byte| *byte == b',').any(|item| item.trim_ascii().eq_ignore_ascii_case(token))
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
