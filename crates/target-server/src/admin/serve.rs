//! The socket for the operator: few connections, and nothing ever waits for them.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;

use super::Admin;
use crate::listener::Listener;

/// How many connections are open at once; further ones wait in the kernel's queue.
const MOST_CONNECTIONS: usize = 64;

/// How long a connection may take for the head of its next request, and so how long it may be idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long we wait before we try again after the machine refused a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Answers on this socket for as long as it is polled.
pub async fn serve(listener: Listener, admin: Arc<Admin>) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    loop {
        let permit = Arc::clone(&room).acquire_owned().await;
        let Ok((stream, _)) = poll_fn(|context| listener.poll_accept(context)).await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let admin = Arc::clone(&admin);
        let answer = service_fn(move |request: hyper::Request<Incoming>| {
            let admin = Arc::clone(&admin);
            async move { Ok::<_, std::convert::Infallible>(admin.answer(request).await) }
        });
        let connection = http.serve_connection(TokioIo::new(stream), answer);
        tokio::spawn(async move {
            // A broken connection is the operator's affair.
            let _ = connection.await;
            drop(permit);
        });
    }
}
