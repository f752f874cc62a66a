//! How are connections taken, bounded and drained?
//!
//! A loop of our own, because `axum::serve` has neither a header timeout nor a connection limit.

pub mod client;
mod connection;
mod incoming;
mod wire;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::sync::{Semaphore, watch};

use self::connection::Manners;
use self::incoming::Incoming;
use crate::listener::Listener;
use crate::log::Log;
use crate::phase::Phases;
use crate::stats::Stats;

/// What [`Service::header_timeout`] is unless a test needs another one: as long as waitress keeps an idle connection.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(120);

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
    /// Where it is said that they are too many.
    pub log: Arc<Log>,
    /// Where it is known whether we drain.
    pub phases: Arc<Phases>,
}

/// Accepts and serves connections until `stop` is ready, then lets every request in flight finish and returns when the
/// last connection is closed. Idle connections are closed at once.
///
/// All `listeners` share one limit. They are closed when `stop` is ready; whoever else holds a passed socket can go on
/// accepting from it.
pub async fn serve(listeners: Vec<Listener>, service: Service, stop: impl Future<Output = ()>) {
    let (draining, _) = watch::channel(false);
    let manners = Manners::new(&service);
    let room = Arc::new(Semaphore::new(match service.max_connections {
        0 => Semaphore::MAX_PERMITS,
        limit => limit.min(Semaphore::MAX_PERMITS),
    }));
    let mut incoming = Incoming::new(listeners, Arc::clone(&service.stats));
    tokio::pin!(stop);
    loop {
        let next = async {
            // Room first and only then a connection: who does not fit stays in the kernel's queue.
            let permit = Arc::clone(&room).acquire_owned().await;
            (incoming.next().await, permit)
        };
        let ((stream, peer), permit) = tokio::select! {
            biased;
            () = &mut stop => break,
            connection = next => connection,
        };
        let talk = manners.talk(stream, peer, draining.subscribe());
        tokio::spawn(async move {
            talk.await;
            drop(permit);
        });
    }
    drop(incoming);
    draining.send_replace(true);
    draining.closed().await;
}

#[cfg(test)]
mod tests {
    use std::io;

    use axum::Extension;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::client::Client;
    use super::*;

    #[tokio::test]
    async fn a_handler_can_hang_up() {
        let reset = async |Extension(client): Extension<Client>| client.reset_and_wait().await;
        let close = async |Extension(client): Extension<Client>| client.close_and_wait().await;
        let router = Router::new().route("/reset", get(reset)).route("/close", get(close));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stats = Arc::default();
        let service = Service {
            router,
            max_connections: 0,
            max_headers: 100,
            header_timeout: HEADER_TIMEOUT,
            stats,
            log: Arc::new(Log::silent()),
            phases: Arc::default(),
        };
        let serving = tokio::spawn(serve(vec![Listener::Tcp(listener)], service, std::future::pending()));
        let outcome = async |path: &str| {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes()).await.unwrap();
            let mut rest = Vec::new();
            let end = tokio::time::timeout(Duration::from_secs(10), client.read_to_end(&mut rest));
            end.await.expect("the end").map_err(|error| error.kind())
        };
        assert_eq!(outcome("/reset").await, Err(io::ErrorKind::ConnectionReset));
        assert_eq!(outcome("/close").await, Ok(0));
        serving.abort();
    }
}
