//! A connection to a server, whatever it consists of.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use report::document::FailureKind;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

use crate::engine::Failure;

/// What the system gives.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A socket, with or without TLS on it.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
}

impl Stream {
    /// Who is at the other end, in words, and how it is spoken to.
    pub(crate) fn peer(&self) -> Option<String> {
        let (socket, tls) = match self {
            Self::Plain(socket) => (socket, None),
            Self::Tls(tls) => (tls.get_ref().0, Some(tls.get_ref().1)),
        };
        let address = match socket {
            Socket::Tcp(tcp) => tcp.peer_addr().ok()?.to_string(),
            Socket::Unix(unix) => unix.peer_addr().ok()?.as_pathname()?.display().to_string(),
        };
        let Some(tls) = tls else { return Some(address) };
        let version = tls.protocol_version().and_then(|version| version.as_str());
        let cipher = tls.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite()));
        let agreed = tls.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
        let facts = [version.map(str::to_owned), cipher, agreed];
        Some(std::iter::once(address).chain(facts.into_iter().flatten()).collect::<Vec<_>>().join(", "))
    }

    /// What the peer has against a fresh connection, if it says so within this time.
    pub(crate) async fn objection(&mut self, within: Duration) -> Option<Failure> {
        let mut byte = [0];
        let said = tokio::time::timeout(within, self.read(&mut byte)).await;
        let error = said.ok()?.err()?;
        let failure = Failure::transfer(&error, "after the TLS handshake");
        (failure.kind == FailureKind::Tls).then_some(failure)
    }

    /// Whether the peer closed it, or said something unasked, while it lay idle. Asks the runtime, not the kernel: it
    /// costs no system call unless something came in.
    pub(crate) fn is_stale(&mut self) -> bool {
        let mut byte = [0];
        let nothing_came = match self {
            Self::Plain(Socket::Tcp(tcp)) => is_blocked(&tcp.try_read(&mut byte)),
            Self::Plain(Socket::Unix(unix)) => is_blocked(&unix.try_read(&mut byte)),
            // What comes in unasked may be the session tickets of TLS, which only TLS can tell from an answer.
            Self::Tls(tls) => {
                let mut context = Context::from_waker(Waker::noop());
                Pin::new(tls).poll_read(&mut context, &mut ReadBuf::new(&mut byte)).is_pending()
            }
        };
        !nothing_came
    }
}

fn is_blocked(read: &io::Result<usize>) -> bool {
    matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

macro_rules! each {
    ($kind:ident { $($variant:ident),* }, $this:expr, $stream:ident => $call:expr) => {
        match $this.get_mut() { $( $kind::$variant($stream) => { let $stream = Pin::new($stream); $call } )* }
    };
}

macro_rules! delegate {
    ($kind:ident { $($variant:ident),* }) => {
        impl AsyncRead for $kind {
            fn poll_read(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                space: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                each!($kind { $($variant),* }, self, stream => stream.poll_read(context, space))
            }
        }

        impl AsyncWrite for $kind {
            fn poll_write(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                each!($kind { $($variant),* }, self, stream => stream.poll_write(context, bytes))
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                slices: &[io::IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                each!($kind { $($variant),* }, self, stream => stream.poll_write_vectored(context, slices))
            }

            fn is_write_vectored(&self) -> bool {
                match self { $( Self::$variant(stream) => stream.is_write_vectored() ),* }
            }

            fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
                each!($kind { $($variant),* }, self, stream => stream.poll_flush(context))
            }

            fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
                each!($kind { $($variant),* }, self, stream => stream.poll_shutdown(context))
            }
        }
    };
}

delegate!(Socket { Tcp, Unix });
delegate!(Stream { Plain, Tls });
