//! How are connections taken, bounded and drained?
//!
//! A loop of our own, because `axum::serve` has neither a header timeout nor a connection limit.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::Service as _;

use crate::app::Peer;
use crate::stats::Stats;

/// What [`Service::header_timeout`] is unless a test needs another one: as long as waitress keeps an idle connection.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(120);

/// How long we wait before we try again after the machine refused a connection, mostly for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What connections are served with.
#[derive(Clone, Debug)]
pub struct Service {
    /// What answers.
    pub router: Router,
    /// How many connections are open at once; further ones stay in the kernel's queue, neither accepted nor refused.
    /// 0 is no limit.
    pub max_connections: usize,
    /// How many header lines a request may have (431 beyond). hyper's default is 100, which real clients exceed.
    pub max_headers: usize,
    /// How long a connection may take to send the head of its next request, and so also how long it may be idle.
    pub header_timeout: Duration,
    /// Where connections are counted.
    pub stats: Arc<Stats>,
}

/// Accepts and serves connections until `stop` is ready, then lets every request in flight finish and returns when the
/// last connection is closed. Idle connections are closed at once.
pub async fn serve(listener: TcpListener, service: Service, stop: impl Future<Output = ()>) {
    let builder = connection_builder(&service);
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(match service.max_connections {
        0 => Semaphore::MAX_PERMITS,
        limit => limit.min(Semaphore::MAX_PERMITS),
    }));
    tokio::pin!(stop);
    loop {
        let next = next_connection(&listener, &room, &service.stats);
        let (stream, peer, permit) = tokio::select! {
            biased;
            () = &mut stop => break,
            connection = next => connection,
        };
        // Not to delay small answers is all this is for; a connection that refuses is as good as closed.
        let _ = stream.set_nodelay(true);
        let router = service.router.clone();
        let peer = Peer::from(peer);
        let answer = service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(peer);
            router.clone().call(request)
        });
        let connection = graceful.watch(builder.serve_connection(TokioIo::new(stream), answer));
        tokio::spawn(async move {
            // A broken connection is the client's affair: hyper has answered where it could.
            let _ = connection.await;
            drop(permit);
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

fn connection_builder(service: &Service) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(service.header_timeout)
        .max_headers(service.max_headers);
    builder
}

/// Waits for room first and only then for a connection: who does not fit stays in the kernel's queue.
async fn next_connection(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
    stats: &Stats,
) -> (TcpStream, SocketAddr, Option<OwnedSemaphorePermit>) {
    let permit = Arc::clone(room).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                stats.accepted();
                return (stream, peer, permit);
            }
            Err(error) => {
                stats.accept_error();
                if !concerns_one_connection(&error) {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// Whether the client was at fault and the next connection may well be accepted.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::app::{App, app};
    use crate::store::Store;

    #[tokio::test]
    async fn a_client_that_never_finishes_its_head_is_let_go() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stats = Arc::new(Stats::default());
        let router = app(App { store: Store::None, stats: Arc::clone(&stats), max_body: 0 });
        let header_timeout = Duration::from_millis(20);
        let service = Service { router, max_connections: 0, max_headers: 100, header_timeout, stats };
        let serving = tokio::spawn(serve(listener, service, std::future::pending()));
        for beginning in ["", "GET / HTTP/1.1\r\nHost:"] {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(beginning.as_bytes()).await.unwrap();
            let mut rest = Vec::new();
            let end = tokio::time::timeout(Duration::from_secs(10), client.read_to_end(&mut rest));
            assert_eq!(end.await.expect("the end").unwrap(), 0);
        }
        serving.abort();
    }
}
