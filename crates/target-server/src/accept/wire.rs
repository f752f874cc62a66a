//! What goes over a connection, and when?

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::line::Line;
use crate::listener::Stream;

/// The socket of a connection as hyper has it: it notes what happens.
#[derive(Debug)]
pub(super) struct Wire(pub(super) Arc<Line>);

impl Wire {
    fn with<T>(&self, act: impl FnOnce(Pin<&mut Stream>) -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match &mut *self.0.socket() {
            Some(stream) => act(Pin::new(stream)),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn note(&self, outcome: &Poll<io::Result<usize>>) {
        match outcome {
            Poll::Ready(Ok(written)) if *written > 0 => self.0.has_written(),
            Poll::Ready(_) => {}
            Poll::Pending => self.0.is_blocked(),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = self.with(|stream| stream.poll_read(context, buffer));
        if buffer.filled().len() > before {
            self.0.has_read(&buffer.filled()[before..]);
        }
        outcome
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = self.with(|stream| stream.poll_write(context, bytes));
        self.note(&outcome);
        outcome
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = self.with(|stream| stream.poll_write_vectored(context, slices));
        self.note(&outcome);
        outcome
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = self.with(|stream| stream.poll_flush(context));
        if matches!(outcome, Poll::Ready(Ok(()))) {
            // hyper asks for this when it has nothing left to write.
            self.0.has_flushed();
        }
        outcome
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_shutdown(context))
    }
}
