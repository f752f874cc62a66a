//! Reads a chunked body from bytes as they come.

/// The most hexadecimal digits of a chunk's size: 2^60 is more than any body.
const MAX_DIGITS: u32 = 15;
/// The most bytes of one chunk extension, or of all trailers together.
const MAX_EXTRA: u32 = 16 * 1024;

/// What the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Size,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// First byte of a trailer line, or of the empty line that ends the body.
    LineStart,
    Trailer,
    TrailerLf,
    EndLf,
    Done,
}

/// Where in a chunked body one is.
#[derive(Debug)]
pub(crate) struct Chunked {
    next: Next,
    size: u64,
    digits: u32,
    extra: u32,
}

impl Chunked {
    pub(crate) fn new() -> Self {
        Self { next: Next::Size, size: 0, digits: 0, extra: 0 }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.next == Next::Done
    }

    /// Takes the next bytes. Gives how many belong to the body, and how many of those are data; the data go to `sink`.
    pub(crate) fn feed(
        &mut self,
        input: &[u8],
        mut sink: impl FnMut(&[u8]),
    ) -> Result<(usize, usize), &'static str> {
        let (mut used, mut data) = (0, 0);
        while used < input.len() && self.next != Next::Done {
            if self.next == Next::Data {
                let take = (input.len() - used).min(usize::try_from(self.size).unwrap_or(usize::MAX));
                self.size -= take as u64;
                sink(&input[used..used + take]);
                used += take;
                data += take;
                if self.size == 0 {
                    self.next = Next::DataCr;
                }
            } else {
                self.next = self.step(input[used])?;
                used += 1;
            }
        }
        Ok((used, data))
    }

    fn step(&mut self, byte: u8) -> Result<Next, &'static str> {
        match (self.next, byte) {
            (Next::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => self.digit(byte),
            (Next::Size, _) if self.digits == 0 => Err("a chunk begins without a size"),
            (Next::Size | Next::Extension, b'\r') => Ok(Next::SizeLf),
            (Next::Size, b';' | b' ' | b'\t') => Ok(Next::Extension),
            (Next::Size, _) => Err("a chunk's size is not hexadecimal"),
            (Next::Extension, b'\n') => Err("a chunk's extension holds a bare line feed"),
            (Next::Extension, _) => self.count_extra("a chunk's extension is too long", Next::Extension),
            (Next::SizeLf, b'\n') => {
                let after = if self.size == 0 { Next::LineStart } else { Next::Data };
                (self.digits, self.extra) = (0, 0);
                Ok(after)
            }
            (Next::DataCr, b'\r') => Ok(Next::DataLf),
            (Next::DataLf, b'\n') => Ok(Next::Size),
            (Next::LineStart, b'\r') => Ok(Next::EndLf),
            (Next::EndLf, b'\n') => Ok(Next::Done),
            (Next::Trailer, b'\r') => Ok(Next::TrailerLf),
            (Next::LineStart | Next::Trailer, b'\n') => Err("a trailer holds a bare line feed"),
            (Next::LineStart | Next::Trailer, _) => {
                self.count_extra("the trailers are too long", Next::Trailer)
            }
            (Next::TrailerLf, b'\n') => Ok(Next::LineStart),
            (Next::SizeLf | Next::TrailerLf | Next::EndLf, _) => Err("a line does not end with CR LF"),
            (Next::Data | Next::DataCr | Next::DataLf | Next::Done, _) => {
                Err("a chunk is longer than its size says")
            }
        }
    }

    fn digit(&mut self, byte: u8) -> Result<Next, &'static str> {
        self.digits += 1;
        if self.digits > MAX_DIGITS {
            return Err("a chunk's size has too many digits");
        }
        let value = char::from(byte).to_digit(16).unwrap_or_default();
        self.size = self.size * 16 + u64::from(value);
        Ok(Next::Size)
    }

    fn count_extra(&mut self, too_long: &'static str, next: Next) -> Result<Next, &'static str> {
        self.extra += 1;
        if self.extra > MAX_EXTRA { Err(too_long) } else { Ok(next) }
    }
}
