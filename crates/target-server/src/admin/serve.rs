//! The socket for the operator: few connections, and nothing ever waits for them.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::{Notify, Semaphore};

use super::Admin;
use crate::accept::incoming::refusal;
use crate::listener::Listener;
use crate::stats::Trouble;

/// What clients may take.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// How many connections are open at once; further ones wait in the kernel's queue.
    connections: usize,
    /// How long a connection stays without the head of a request. Within that time the last request is sent whole, its
    /// answer is read, and the next one begins, so that whoever stops in the middle keeps nobody out for long.
    patience: Duration,
}

const BOUNDS: Bounds = Bounds { connections: 64, patience: Duration::from_secs(30) };

/// How long we wait before we try again after the machine refused a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Answers on this socket for as long as it is polled.
pub async fn serve(listener: Listener, admin: Arc<Admin>) {
    serve_within(BOUNDS, listener, admin).await;
}

async fn serve_within(bounds: Bounds, listener: Listener, admin: Arc<Admin>) {
    let room = Arc::new(Semaphore::new(bounds.connections));
    let http = http1::Builder::new();
    loop {
        let permit = Arc::clone(&room).acquire_owned().await;
        let stream = match poll_fn(|context| listener.poll_accept(context)).await {
            Ok((stream, _)) => stream,
            Err(error) => {
                admin.stats.troubles.hit(Trouble::AcceptFailing, 1, || refusal(&error));
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (admin, asked) = (Arc::clone(&admin), Arc::new(Notify::new()));
        let asks = Arc::clone(&asked);
        let answer = service_fn(move |request: hyper::Request<Incoming>| {
            asks.notify_one();
            let admin = Arc::clone(&admin);
            async move { Ok::<_, std::convert::Infallible>(admin.answer(request).await) }
        });
        let connection = http.serve_connection(TokioIo::new(stream), answer);
        tokio::spawn(async move {
            tokio::pin!(connection);
            loop {
                tokio::select! {
                    // A broken connection is the operator's affair.
                    _ = &mut connection => break,
                    () = asked.notified() => {}
                    () = tokio::time::sleep(bounds.patience) => break,
                }
            }
            drop(permit);
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;
    use crate::config::endpoint::Endpoint;
    use crate::config::listen::Sockets;
    use crate::config::value::Mode;
    use crate::config::{Config, ServeArgs};
    use crate::faults::{Faults, Mischief};
    use crate::log::Log;
    use crate::phase::Phase;
    use crate::store::Store;

    /// Serves one connection at a time, with an answer to `/-/stats` that no socket has room for. Tells where.
    fn start(patience: Duration) -> std::net::SocketAddr {
        let sockets = Sockets { backlog: 16, reuse_port: false, unix_mode: Mode(0o600) };
        let any = Endpoint::Tcp("127.0.0.1:0".parse().unwrap());
        let places = crate::listener::reserve(&[any], sockets).unwrap();
        let listener = crate::listener::listen(places).unwrap().remove(0);
        let Endpoint::Tcp(address) = listener.endpoint().unwrap() else { unreachable!("it is TCP") };
        let admin = Arc::new(Admin { settings: "x".repeat(32 << 20).into(), ..admin() });
        tokio::spawn(serve_within(Bounds { connections: 1, patience }, listener, admin));
        address
    }

    fn admin() -> Admin {
        Admin {
            instance: "1".to_owned(),
            settings: serde_json::Value::Null,
            sockets: Vec::new(),
            stats: Arc::default(),
            mischief: Arc::new(Mischief::new(Faults::default(), true, 1)),
            phases: Arc::default(),
            log: Arc::new(Log::silent()),
            store: OnceLock::new(),
        }
    }

    async fn ask(stream: &mut TcpStream) -> String {
        stream.write_all(b"GET /-/healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut answer = vec![0; 1000];
        let reading = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut answer));
        let length = reading.await.expect("it is let in").unwrap();
        String::from_utf8(answer[..length].to_vec()).unwrap()
    }

    #[tokio::test]
    async fn who_stops_in_the_middle_keeps_nobody_out() {
        for half in [
            "",
            "GET /-/",
            "PUT /-/faults HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx",
            "GET /-/stats HTTP/1.1\r\nHost: x\r\n\r\n",
        ] {
            let address = start(Duration::from_millis(50));
            let mut idler = TcpStream::connect(address).await.unwrap();
            idler.write_all(half.as_bytes()).await.unwrap();
            let answer = ask(&mut TcpStream::connect(address).await.unwrap()).await;
            assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("alive\n"), "{half:?}: {answer}");
        }
    }

    #[tokio::test]
    async fn without_its_store_it_is_not_ready() {
        let folder = tempfile::tempdir().unwrap();
        let mut word = std::ffi::OsString::from("--database=");
        word.push(folder.path().join("x.db"));
        let config = Config::resolve(&ServeArgs::of_words([word]).unwrap()).unwrap();
        let admin = admin();
        let store = Store::open(&config.store, &admin.stats).unwrap();
        admin.store.set(store.clone()).unwrap();
        admin.phases.enter(Phase::Serving);
        let ready = async || {
            let request = hyper::Request::get("/-/readyz").body(String::new()).unwrap();
            admin.answer(request).await.status().as_u16()
        };
        assert_eq!(ready().await, 200);
        store.finish();
        assert_eq!(ready().await, 503);
    }

    #[tokio::test]
    async fn who_goes_on_asking_stays() {
        let patience = Duration::from_secs(1);
        let mut stream = TcpStream::connect(start(patience)).await.unwrap();
        for _ in 0..4 {
            assert!(ask(&mut stream).await.starts_with("HTTP/1.1 200"));
            tokio::time::sleep(patience / 3).await;
        }
    }
}
