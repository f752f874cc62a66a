//! What is answered?

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Body as _;

use crate::accept::client::Client;
use crate::stats::Stats;
use crate::store::{KeepError, Row, Store};

/// What the answers need.
#[derive(Clone, Debug)]
pub struct App {
    /// Where rows are kept.
    pub store: Store,
    /// Where answers are counted.
    pub stats: Arc<Stats>,
    /// The largest request body in bytes (413 beyond). waitress spills large ones to files; here they are held in memory.
    pub max_body: usize,
}

/// One answer for every method and path: the row of the request is committed, then its body is echoed as `text/plain`.
/// A request whose row could not be kept is answered 500 with the reason, or 503 when too many wait already.
pub fn app(app: App) -> Router {
    Router::new().fallback(echo).with_state(app)
}

async fn echo(State(app): State<App>, request: Request) -> Response {
    let answer = match keep(&app, request).await {
        Ok(body) => plain(StatusCode::OK, Body::from(body)),
        Err((status, reason)) => {
            app.stats.error();
            plain(status, Body::from(format!("{}\n", reason.replace('\n', " "))))
        }
    };
    app.stats.answered();
    answer
}

/// Reads the request whole, then keeps its row, and only then gives the body back.
async fn keep(app: &App, request: Request) -> Result<Bytes, (StatusCode, String)> {
    let (head, body) = request.into_parts();
    let body = read(body, app.max_body).await?;
    let row = Row {
        method: head.method,
        uri: head.uri,
        content_length: body.len(),
        remote_addr: head.extensions.get::<Client>().map(|client| client.peer),
    };
    app.store.keep(row).await.map_err(|reason| (status(&reason), reason.to_string()))?;
    Ok(body)
}

/// A full queue may have room a moment later; everything else is the server's fault.
fn status(reason: &KeepError) -> StatusCode {
    match reason {
        KeepError::Full(_) => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

async fn read(body: Body, limit: usize) -> Result<Bytes, (StatusCode, String)> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let too_large =
        || (StatusCode::PAYLOAD_TOO_LARGE, format!("the request body is larger than {limit} bytes"));
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    match Limited::new(body, limit).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
        Err(error) => Err((StatusCode::BAD_REQUEST, format!("the request body is broken: {error}"))),
    }
}

fn plain(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

#[cfg(test)]
mod tests {
    use tower::ServiceExt;

    use super::*;

    fn plain_app() -> (Router, Arc<Stats>) {
        let stats = Arc::new(Stats::default());
        (app(App { store: Store::None, stats: Arc::clone(&stats), max_body: 1000 }), stats)
    }

    async fn ask(router: Router, request: http::Request<Body>) -> (StatusCode, HeaderValue, Bytes) {
        let response = router.oneshot(request).await.unwrap();
        let kind = response.headers()[CONTENT_TYPE].clone();
        (response.status(), kind, response.into_body().collect().await.unwrap().to_bytes())
    }

    #[tokio::test]
    async fn every_method_and_path_echoes() {
        let (router, stats) = plain_app();
        for (method, uri) in [
            ("GET", "/"),
            ("POST", "/a/b?c=d"),
            ("DELETE", "/x"),
            ("OPTIONS", "*"),
            ("BREW", "/pot"),
            ("PUT", "//"),
        ] {
            let request = http::Request::builder().method(method).uri(uri).body(Body::from("hello")).unwrap();
            let (status, kind, body) = ask(router.clone(), request).await;
            assert_eq!(
                (status.as_u16(), kind.to_str().unwrap(), &body[..]),
                (200, "text/plain", &b"hello"[..])
            );
        }
        assert_eq!((stats.counts().answered, stats.counts().errors), (6, 0));
    }

    #[tokio::test]
    async fn an_empty_body_is_echoed_as_one() {
        let (router, _) = plain_app();
        let (status, _, body) = ask(router, http::Request::new(Body::empty())).await;
        assert_eq!((status, body.len()), (StatusCode::OK, 0));
    }

    #[tokio::test]
    async fn a_body_beyond_the_limit_is_refused() {
        let (router, stats) = plain_app();
        let request = http::Request::new(Body::from(vec![b'x'; 1001]));
        let (status, _, body) = ask(router, request).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(body, "the request body is larger than 1000 bytes\n");
        assert_eq!((stats.counts().answered, stats.counts().errors), (1, 1));
    }
}
