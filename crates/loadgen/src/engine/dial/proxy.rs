//! A tunnel through an HTTP proxy (RFC 9110, section 9.3.6).

use std::io;

use report::document::FailureKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::address::ProxyUrl;
use crate::engine::Failure;

/// A proxy that says more than this before it opens the tunnel is not one.
const LONGEST_HEAD: usize = 16 * 1024;

/// Asks the proxy on the other end of `socket` for a tunnel to `authority` (host and port).
pub(super) async fn tunnel(socket: &mut TcpStream, proxy: &ProxyUrl, authority: &str) -> Result<(), Failure> {
    let authorization =
        proxy.authorization().map(|value| format!("Proxy-Authorization: {value}\r\n")).unwrap_or_default();
    let request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{authorization}\r\n");
    socket.write_all(request.as_bytes()).await.map_err(failed)?;
    let head = head(socket).await?;
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut fields);
    match response.parse(&head) {
        Ok(_) if response.code.is_some_and(|status| (200..300).contains(&status)) => Ok(()),
        Ok(_) if response.code == Some(407) => {
            Err(refused("the proxy wants a user and a password: give them as http://user:password@host:port"))
        }
        Ok(_) => {
            let (status, reason) = (response.code.unwrap_or(0), response.reason.unwrap_or_default());
            Err(refused(format!("the proxy refused the tunnel: {status} {reason}").trim_end()))
        }
        Err(error) => Err(refused(&format!("the proxy's answer is not HTTP: {error}"))),
    }
}

/// The head of the proxy's answer, to its empty line; what follows stays in the socket, for it comes from the server.
async fn head(socket: &mut TcpStream) -> Result<Vec<u8>, Failure> {
    const END: &[u8] = b"\r\n\r\n";
    let mut head = Vec::with_capacity(256);
    let mut next = [0; 1024];
    loop {
        let seen = socket.peek(&mut next).await.map_err(failed)?;
        if seen == 0 {
            return Err(refused("the proxy closed the connection without answering"));
        }
        let known = head.len();
        head.extend_from_slice(&next[..seen]);
        let end = head.windows(END.len()).position(|window| window == END).map(|start| start + END.len());
        let taken = end.unwrap_or(head.len()) - known;
        head.truncate(known + taken);
        socket.read_exact(&mut next[..taken]).await.map_err(failed)?;
        if end.is_some() {
            return Ok(head);
        }
        if head.len() > LONGEST_HEAD {
            return Err(refused("the proxy's answer has no end"));
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as map_err gives it")]
fn failed(error: io::Error) -> Failure {
    Failure::transfer(&error, "asking the proxy for a tunnel")
}

fn refused(why: &str) -> Failure {
    Failure::new(FailureKind::ConnectFailed, why)
}
