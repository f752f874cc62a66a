//! What a script can have the server do, and the bytes that this takes.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::time::Duration;

/// The byte that bodies consist of.
const FILLING: [u8; 16 * 1024] = [b'x'; 16 * 1024];
/// The most pieces handed to the kernel at once.
const MAX_SLICES: usize = 64;

/// What the server does with one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Behaviour {
    /// Reads the request whole and answers.
    Answer(Answer),
    /// Reads the request whole and sends these bytes, whatever they are.
    Raw(Vec<u8>, End),
    /// Reads the request whole and ends the connection.
    End(End),
    /// Reads the request whole and never answers.
    Silence,
    /// Answers with what was counted, as JSON, and does not count itself.
    Counts,
}

impl From<Answer> for Behaviour {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

/// What becomes of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It stays open for the next request.
    Open,
    /// It is closed in order.
    Close,
    /// It is reset.
    Reset,
}

/// How an answer says where its body ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Framing {
    /// `Content-Length`.
    Length,
    /// In chunks of these sizes, over and over.
    Chunked {
        /// Sizes of the chunks, none of them 0.
        sizes: Vec<u64>,
        /// Whether chunks carry an extension.
        extensions: bool,
        /// Whether trailers follow the last chunk.
        trailers: bool,
    },
    /// By the end of the connection.
    UntilClose,
}

impl Framing {
    /// Chunks of these sizes, over and over, without ornaments.
    pub fn chunked(sizes: impl Into<Vec<u64>>) -> Self {
        Self::Chunked { sizes: sizes.into(), extensions: false, trailers: false }
    }
}

/// An answer and the way in which it is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    status: u16,
    version: &'static str,
    fields: String,
    body: u64,
    echo: bool,
    framing: Framing,
    interim: Vec<u16>,
    delay: Duration,
    drip: Option<Duration>,
    early: bool,
    cut: Option<(u64, End)>,
    junk: Vec<u8>,
    end: End,
}

impl Answer {
    /// 200, with a body of so many bytes.
    pub fn ok(body: u64) -> Self {
        Self { body, ..Self::status(200) }
    }

    /// This status, without a body.
    pub fn status(status: u16) -> Self {
        Self {
            status,
            version: "HTTP/1.1",
            fields: String::new(),
            body: 0,
            echo: false,
            framing: Framing::Length,
            interim: Vec::new(),
            delay: Duration::ZERO,
            drip: None,
            early: false,
            cut: None,
            junk: Vec::new(),
            end: End::Open,
        }
    }

    /// With a body of so many bytes.
    /// With a body of so many bytes.
    #[must_use]
    pub fn body(self, body: u64) -> Self {
        Self { body, ..self }
    }

    /// With that status instead.
    #[must_use]
    pub fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// With a body as long as that of the request.
    #[must_use]
    pub fn echo(self) -> Self {
        Self { echo: true, ..self }
    }

    /// Framed like this.
    #[must_use]
    pub fn framed(self, framing: Framing) -> Self {
        let end = if framing == Framing::UntilClose { End::Close } else { self.end };
        Self { framing, end, ..self }
    }

    /// With one more header field.
    #[must_use]
    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.extend([name, ": ", value, "\r\n"]);
        self
    }

    /// As HTTP/1.0, which closes unless a field says otherwise.
    #[must_use]
    pub fn version_1_0(self) -> Self {
        Self { version: "HTTP/1.0", ..self }
    }

    /// After an interim answer of this status; several may precede.
    #[must_use]
    pub fn after_interim(mut self, status: u16) -> Self {
        self.interim.push(status);
        self
    }

    /// After this pause.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// Byte by byte, with a pause before each.
    #[must_use]
    pub fn drip(self, pause: Duration) -> Self {
        Self { drip: Some(pause), ..self }
    }

    /// Before the request's body is read, which then is read and dropped until the client closes.
    #[must_use]
    pub fn early(self) -> Self {
        Self { early: true, ..self }
    }

    /// Only so many bytes of it, then that end.
    #[must_use]
    pub fn cut(self, bytes: u64, end: End) -> Self {
        Self { cut: Some((bytes, end)), ..self }
    }

    /// Followed at once by bytes that belong to nothing.
    #[must_use]
    pub fn then_junk(self, junk: impl Into<Vec<u8>>) -> Self {
        Self { junk: junk.into(), ..self }
    }

    /// Says `Connection: close` and closes.
    #[must_use]
    pub fn close(self) -> Self {
        self.field("Connection", "close").then(End::Close)
    }

    /// Then the connection ends like this, without a word about it.
    #[must_use]
    pub fn then(self, end: End) -> Self {
        Self { end, ..self }
    }

    /// How many bytes it takes on the wire, to a request with a body of so many bytes. Without `head_only`, its own
    /// body included.
    pub fn wire_length(&self, request_body: u64, head_only: bool) -> u64 {
        self.pieces(request_body, head_only).left()
    }

    pub(super) fn status_code(&self) -> u16 {
        self.status
    }

    pub(super) fn is_early(&self) -> bool {
        self.early
    }

    pub(super) fn delay(&self) -> Duration {
        self.delay
    }

    pub(super) fn pause(&self) -> Option<Duration> {
        self.drip
    }

    pub(super) fn cut_at(&self) -> Option<(u64, End)> {
        self.cut
    }

    pub(super) fn end(&self) -> End {
        self.end
    }

    pub(super) fn junk(&self) -> Pieces {
        let mut pieces = Pieces::default();
        pieces.push(Kind::Junk, self.junk.clone());
        pieces
    }

    pub(super) fn pieces(&self, request_body: u64, head_only: bool) -> Pieces {
        let mut pieces = Pieces::default();
        for status in &self.interim {
            pieces.push(Kind::Head, format!("HTTP/1.1 {status} Soon\r\nLink: </a>\r\n\r\n"));
        }
        let body = if self.echo { request_body } else { self.body };
        let bodiless = matches!(self.status, 204 | 304);
        let framing = match &self.framing {
            // 204 must not have one; 304 may, and it means nothing.
            Framing::Length if self.status == 204 => String::new(),
            Framing::Length => format!("Content-Length: {body}\r\n"),
            Framing::Chunked { .. } => "Transfer-Encoding: chunked\r\n".to_owned(),
            Framing::UntilClose => String::new(),
        };
        let Self { status, version, fields, .. } = self;
        pieces.push(Kind::Head, format!("{version} {status} Said\r\n{framing}{fields}\r\n"));
        if bodiless || head_only {
            return pieces;
        }
        match &self.framing {
            Framing::Length | Framing::UntilClose => pieces.fill(body),
            Framing::Chunked { sizes, extensions, trailers } => {
                pieces.chunk(body, sizes, if *extensions { ";name=\"value\"" } else { "" });
                let last = if *trailers { "0\r\nX-Trailer: 1\r\nX-Another: 2\r\n\r\n" } else { "0\r\n\r\n" };
                pieces.push(Kind::Head, last);
            }
        }
        pieces
    }
}

/// What bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Head or chunk framing.
    Head,
    Body,
    Junk,
}

#[derive(Debug)]
enum Piece {
    Bytes(Kind, Vec<u8>),
    /// So many bytes of body.
    Filling(u64),
}

impl Piece {
    fn slice(&self) -> &[u8] {
        match self {
            Self::Bytes(_, bytes) => bytes,
            Self::Filling(left) => {
                &FILLING[..usize::try_from(*left).map_or(FILLING.len(), |left| left.min(FILLING.len()))]
            }
        }
    }

    fn left(&self) -> u64 {
        match self {
            Self::Bytes(_, bytes) => bytes.len() as u64,
            Self::Filling(left) => *left,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Bytes(kind, _) => *kind,
            Self::Filling(_) => Kind::Body,
        }
    }
}

/// The bytes of an answer, in memory that does not grow with its body.
#[derive(Debug, Default)]
pub(super) struct Pieces(VecDeque<Piece>);

impl Pieces {
    pub(super) fn raw(bytes: &[u8]) -> Self {
        let mut pieces = Self::default();
        pieces.push(Kind::Junk, bytes);
        pieces
    }

    fn push(&mut self, kind: Kind, bytes: impl Into<Vec<u8>>) {
        self.0.push_back(Piece::Bytes(kind, bytes.into()));
    }

    fn fill(&mut self, length: u64) {
        self.0.push_back(Piece::Filling(length));
    }

    fn chunk(&mut self, mut body: u64, sizes: &[u64], extension: &str) {
        for size in sizes.iter().cycle() {
            if body == 0 {
                return;
            }
            let size = (*size).clamp(1, body);
            self.push(Kind::Head, format!("{size:x}{extension}\r\n"));
            self.fill(size);
            self.push(Kind::Head, "\r\n");
            body -= size;
        }
    }

    /// Puts `others` behind these.
    pub(super) fn append(&mut self, mut others: Self) {
        self.0.append(&mut others.0);
    }

    /// Bytes to go.
    pub(super) fn left(&self) -> u64 {
        self.0.iter().map(Piece::left).sum()
    }

    /// What comes next, at most so many bytes of it.
    pub(super) fn slices(&self, mut limit: u64) -> Vec<IoSlice<'_>> {
        let mut slices = Vec::new();
        for piece in self.0.iter().take(MAX_SLICES) {
            let bytes = piece.slice();
            let take = usize::try_from(limit).unwrap_or(usize::MAX).min(bytes.len());
            if take > 0 {
                slices.push(IoSlice::new(&bytes[..take]));
            }
            limit -= take as u64;
            // What is behind a piece that is not taken whole does not come next.
            if (take as u64) < piece.left() {
                break;
            }
        }
        slices
    }

    /// So many bytes are gone. Says what they were.
    pub(super) fn advance(&mut self, mut bytes: usize) -> Vec<(Kind, u64)> {
        let mut gone = Vec::new();
        while let Some(first) = self.0.front_mut() {
            let left = first.left();
            let take = left.min(bytes as u64);
            if bytes == 0 && left > 0 {
                break;
            }
            gone.push((first.kind(), take));
            bytes -= usize::try_from(take).unwrap_or(bytes);
            if take == left {
                self.0.pop_front();
                continue;
            }
            match first {
                Piece::Bytes(_, rest) => drop(rest.drain(..usize::try_from(take).unwrap_or(rest.len()))),
                Piece::Filling(rest) => *rest -= take,
            }
        }
        gone
    }
}
