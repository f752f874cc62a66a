//! How are connections taken, bounded and drained?
//!
//! A loop of our own, because `axum::serve` has neither timeouts nor a connection limit.

mod answer;
pub mod client;
mod connection;
mod farewell;
pub(crate) mod incoming;
mod limit;
mod line;
pub mod patience;
mod wire;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use http::HeaderValue;
use tokio::sync::watch;

use self::connection::Manners;
use self::incoming::Incoming;
use self::limit::{Door, Place};
use self::patience::Patience;
use crate::config::connections::{Connections, Overload};
use crate::config::http::Http;
use crate::listener::{Listener, Peer, Stream};
use crate::log::Log;
use crate::phase::Phases;
use crate::stats::Stats;

/// What connections are served with.
#[derive(Clone, Debug)]
pub struct Service {
    /// What answers.
    pub router: Router,
    /// How many connections are open at once. 0 is no limit.
    pub max_connections: usize,
    /// What becomes of those beyond it.
    pub overload: Overload,
    /// How long clients are waited for.
    pub patience: Patience,
    /// How many requests a connection may carry; the last one's answer says that it is closed. 0 is no limit.
    pub keepalive_requests: u32,
    /// Whether small answers leave at once (`TCP_NODELAY`).
    pub nodelay: bool,
    /// How many header lines a request may have (431 beyond). hyper's default is 100, which real clients exceed.
    pub max_headers: usize,
    /// How long the head of a request may be in bytes (431 beyond).
    pub max_head: usize,
    /// How answers look.
    pub dress: Dress,
    /// Where connections are counted.
    pub stats: Arc<Stats>,
    /// Where it is said what happens.
    pub log: Arc<Log>,
    /// Where it is known whether the server drains.
    pub phases: Arc<Phases>,
}

/// How answers look.
#[derive(Clone, Debug, Default)]
pub struct Dress {
    /// Whether names of headers are spelled `Like-This`; in lower case otherwise.
    pub title_case: bool,
    /// What the `Server` header says; absent when there is none.
    pub server: Option<HeaderValue>,
}

impl Service {
    /// `router` behind the limits that are configured. Nobody is told of anything.
    pub fn new(router: Router, connections: &Connections, http: &Http, stats: Arc<Stats>) -> Self {
        let Connections { max, overload, patience, keepalive_requests, nodelay } = *connections;
        let dress = Dress { title_case: http.title_case, server: http.server.clone() };
        Self {
            router,
            max_connections: max,
            overload,
            patience,
            keepalive_requests,
            nodelay,
            max_headers: http.max_headers.into(),
            max_head: http.max_head,
            dress,
            stats,
            log: Arc::new(Log::silent()),
            phases: Arc::default(),
        }
    }
}

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It has not begun.
    Serving,
    /// No connection is accepted any more. Those that are open may bring one request more, and learn with its answer that
    /// the connection is closed.
    LastRequests,
    /// Connections without a request are closed.
    Closing,
}

/// Accepts and serves connections until `stop` is ready, then lets every request in flight finish and returns when the
/// last connection is closed. Idle connections may bring one more request during `drain_idle`, and are closed then.
///
/// All `listeners` share one limit. When `stop` is ready, what waits in their queues is still accepted, as far as the limit
/// allows; then we close them, but never shut them down: whoever else holds a passed socket goes on accepting from it.
pub async fn serve(
    listeners: Vec<Listener>,
    service: Service,
    stop: impl Future<Output = ()>,
    drain_idle: Duration,
) {
    let (stage, _) = watch::channel(Stage::Serving);
    let manners = Manners::new(&service);
    let door = Door::new(&service, &stage);
    let mut incoming = Incoming::new(listeners, Arc::clone(&service.stats));
    let talk = |stream: Stream, peer: Peer, place: Option<Place>| {
        let talk = manners.talk(stream, peer, stage.subscribe());
        tokio::spawn(async move {
            talk.await;
            drop(place);
        });
    };
    tokio::pin!(stop);
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            (stream, peer, place) = door.next(&mut incoming) => talk(stream, peer, place),
        }
    }
    // The runtime hears of what has come last when it gets its turn.
    tokio::task::yield_now().await;
    // It rations what a task may do in one turn; the rest of the queue would be reset.
    tokio::task::coop::unconstrained(async {
        while let Some(place) = door.place() {
            let Some((stream, peer)) = incoming.queued() else { break };
            talk(stream, peer, Some(place));
        }
    })
    .await;
    drop(incoming);
    stage.send_replace(Stage::LastRequests);
    tokio::select! {
        () = stage.closed() => {}
        () = tokio::time::sleep(drain_idle) => {}
    }
    stage.send_replace(Stage::Closing);
    stage.closed().await;
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
    use crate::config::{Config, ServeArgs};

    #[tokio::test]
    async fn a_handler_can_hang_up() {
        let reset = async |Extension(client): Extension<Client>| client.reset_and_wait().await;
        let close = async |Extension(client): Extension<Client>| client.close_and_wait().await;
        let router = Router::new().route("/reset", get(reset)).route("/close", get(close));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let config = Config::resolve(&ServeArgs::default()).unwrap();
        let service = Service::new(router, &config.connections, &config.http, Arc::default());
        let listeners = vec![Listener::Tcp(listener)];
        let serving = tokio::spawn(serve(listeners, service, std::future::pending(), Duration::ZERO));
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
