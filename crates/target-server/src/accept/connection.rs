//! How is one connection served, from its first byte to its last?

use std::future::Future;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::watch;
use tower::Service as _;

use super::Service;
use super::client::Client;
use super::wire::Wire;
use crate::listener::{Peer, Stream};

/// How connections are talked on, the same for all of them.
#[derive(Clone, Debug)]
pub(super) struct Manners {
    http: http1::Builder,
    router: Router,
}

impl Manners {
    pub(super) fn new(service: &Service) -> Self {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(service.header_timeout)
            .max_headers(service.max_headers);
        Self { http, router: service.router.clone() }
    }

    /// Serves one connection until it ends. When `draining` becomes true, what is in flight is finished and nothing more.
    pub(super) fn talk(
        &self,
        stream: Stream,
        peer: Peer,
        mut draining: watch::Receiver<bool>,
    ) -> impl Future<Output = ()> + Send + 'static {
        stream.set_nodelay(true);
        let client = Client::new(peer);
        let (router, asked) = (self.router.clone(), client.clone());
        let answer = service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(asked.clone());
            router.clone().call(request)
        });
        let connection = self.http.serve_connection(TokioIo::new(Wire::new(stream, client.clone())), answer);
        async move {
            tokio::pin!(connection);
            loop {
                tokio::select! {
                    biased;
                    // A broken connection is the client's affair: hyper has answered where it could.
                    _ = connection.as_mut() => break,
                    () = client.wants_end() => break,
                    Ok(()) = draining.changed() => connection.as_mut().graceful_shutdown(),
                }
            }
        }
    }
}
