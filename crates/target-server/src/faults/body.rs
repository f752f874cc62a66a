//! Bodies of answers that are larger, slower or shorter than they say.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};

use crate::accept::client::Client;
use crate::clock;
use crate::stats::Underway;

/// Of which made-up bodies are made.
static FILLER: [u8; 64 * 1024] = [b'x'; 64 * 1024];

/// In how many pieces a body drips at most. Before each there is the same pause.
const PIECES: u64 = 10;

/// What a body says.
#[derive(Clone, Debug)]
pub enum Content {
    /// This.
    Bytes(Bytes),
    /// So many bytes of nothing in particular.
    Filler(u64),
}

impl Content {
    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Filler(left) => *left,
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shorten(&mut self, length: u64) {
        match self {
            Self::Bytes(bytes) => bytes.truncate(usize::try_from(length).unwrap_or(usize::MAX)),
            Self::Filler(left) => *left = length.min(*left),
        }
    }

    /// Takes at most so many bytes off its front, and at least one while there are any.
    fn take(&mut self, most: u64) -> Bytes {
        let most = usize::try_from(most.max(1)).unwrap_or(usize::MAX);
        match self {
            Self::Bytes(bytes) => bytes.split_to(most.min(bytes.len())),
            Self::Filler(left) => {
                let length = most.min(FILLER.len()).min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= length as u64;
                Bytes::from_static(&FILLER[..length])
            }
        }
    }
}

/// A body at its own pace, or cut in the middle. Its request is answered when the last byte has been handed over.
#[derive(Debug)]
pub(crate) struct Paced {
    content: Content,
    /// How many bytes are announced beyond the content.
    missing: u64,
    drip: Option<Drip>,
    status: StatusCode,
    underway: Option<Underway>,
    /// Who is hung up on where the content ends too early.
    client: Option<Client>,
}

struct Drip {
    piece: u64,
    pause: Duration,
    /// Until the next piece may go.
    wait: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Of the present piece.
    left: u64,
}

impl std::fmt::Debug for Drip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Drip").field("piece", &self.piece).field("left", &self.left).finish_non_exhaustive()
    }
}

impl Paced {
    /// All of `content` over this time, in pieces; at once when it is zero.
    pub(crate) fn new(content: Content, over: Duration, status: StatusCode, underway: Underway) -> Self {
        let drip = (!over.is_zero() && !content.is_empty()).then(|| {
            let piece = content.len().div_ceil(PIECES);
            let pieces = content.len().div_ceil(piece);
            let pause = over / u32::try_from(pieces).unwrap_or(1);
            Drip { piece, pause, wait: Box::pin(clock::sleep(pause)), left: 0 }
        });
        Self { content, missing: 0, drip, status, underway: Some(underway), client: None }
    }

    /// A body of which only the length is told.
    pub(crate) fn unread(content: Content) -> Self {
        Self { content, missing: 0, drip: None, status: StatusCode::OK, underway: None, client: None }
    }

    /// Announces all of it, but gives only the first half, and then hangs up.
    pub(crate) fn cut(mut self, client: Option<Client>) -> Self {
        let half = self.content.len() / 2;
        self.missing = self.content.len() - half;
        self.content.shorten(half);
        self.client = client;
        self
    }

    fn end(&self) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.missing == 0 {
            return Poll::Ready(None);
        }
        if let Some(client) = &self.client {
            client.close();
        }
        Poll::Pending
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        if this.content.is_empty() {
            return this.end();
        }
        let mut most = u64::MAX;
        if let Some(drip) = &mut this.drip {
            if drip.left == 0 {
                ready!(drip.wait.as_mut().poll(context));
                drip.wait = Box::pin(clock::sleep(drip.pause));
                drip.left = drip.piece;
            }
            most = drip.left;
        }
        let piece = this.content.take(most);
        if let Some(drip) = &mut this.drip {
            drip.left = drip.left.saturating_sub(piece.len() as u64);
        }
        if this.is_end_stream()
            && let Some(underway) = this.underway.take()
        {
            underway.answered(this.status);
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_empty() && self.missing == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.content.len() + self.missing)
    }
}
