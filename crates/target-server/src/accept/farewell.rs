//! How does a connection end so that the client reads the last words?

use std::io;
use std::time::Duration;

use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Dress;
use crate::listener::Stream;

/// How long a client may go on sending what nobody reads before we hang up on it. To close while it sends would reset
/// the connection, and it might lose the answer that says why.
const LINGER: Duration = Duration::from_secs(2);

/// How much is thrown away at a time.
const SCRAP: usize = 16 * 1024;

/// An answer in place of hyper's, where there is no request to answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words<'a> {
    pub(super) status: StatusCode,
    pub(super) sentence: &'a str,
    /// When to come again.
    pub(super) retry_after: Option<u32>,
}

impl Words<'_> {
    fn bytes(&self, dress: &Dress) -> Vec<u8> {
        let Self { status, sentence, retry_after } = self;
        let mut fields = vec![
            ("Content-Type", "text/plain".to_owned()),
            ("Content-Length", (sentence.len() + 1).to_string()),
            ("Connection", "close".to_owned()),
        ];
        fields.extend(retry_after.map(|seconds| ("Retry-After", seconds.to_string())));
        let server = dress.server.as_ref().and_then(|server| server.to_str().ok());
        fields.extend(server.map(|server| ("Server", server.to_owned())));
        let line = |(name, value): &(&str, String)| {
            let name = if dress.title_case { (*name).to_owned() } else { name.to_ascii_lowercase() };
            format!("{name}: {value}\r\n")
        };
        let fields: String = fields.iter().map(line).collect();
        format!("HTTP/1.1 {status}\r\n{fields}\r\n{sentence}\n").into_bytes()
    }
}

/// Says this as the last words, as far as the client listens, and hangs up.
pub(super) async fn say(words: Words<'_>, dress: &Dress, mut stream: Stream) {
    let bytes = words.bytes(dress);
    if let Ok(Ok(())) = tokio::time::timeout(LINGER, stream.write_all(&bytes)).await {
        linger(stream, true).await;
    }
}

/// Hangs up, having heard the client out for a moment if it still `sends`.
pub(super) async fn linger(mut stream: Stream, sends: bool) {
    if !sends && !has_bytes(&stream) {
        return;
    }
    let hear_out = async {
        stream.shutdown().await?;
        let mut scrap = vec![0; SCRAP];
        while stream.read(&mut scrap).await? > 0 {}
        io::Result::Ok(())
    };
    // However it goes, there is nothing more to say.
    let _ = tokio::time::timeout(LINGER, hear_out).await;
}

/// Whether something has come that was not read: a request, mostly. Asks the kernel, not the runtime, which may not have
/// heard of it yet.
pub(super) fn has_bytes(stream: &Stream) -> bool {
    matches!(stream.peek(), Ok(1..))
}
