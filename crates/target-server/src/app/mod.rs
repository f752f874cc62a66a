//! What is answered?

mod answer;
mod suffer;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Body as _;

use self::answer::Wanted;
use crate::accept::client::Client;
use crate::admin::Admin;
use crate::faults::{self, Content, Mischief};
use crate::log::Log;
use crate::phase::Phases;
use crate::stats::{Stats, Underway};
use crate::store::{KeepError, Kept, Row, Store};
use crate::words::counted;

/// What the answers need.
#[derive(Clone, Debug)]
pub struct App {
    /// Where rows are kept.
    pub store: Store,
    /// Where answers are counted.
    pub stats: Arc<Stats>,
    /// The largest request body in bytes (413 beyond). waitress spills large ones to files; here they are held in memory.
    pub max_body: usize,
    /// How requests are maltreated.
    pub mischief: Arc<Mischief>,
    /// Whether the server drains: then nobody is left waiting on purpose.
    pub phases: Arc<Phases>,
    /// What answers the reserved paths, where they are served among the others.
    pub admin: Option<Arc<Admin>>,
    /// What is told of requests.
    pub told: Told,
}

/// What is told of requests beside their answers' bodies.
#[derive(Clone, Debug)]
pub struct Told {
    /// The name of this instance.
    pub instance: HeaderValue,
    /// Whether every answer says it.
    pub instance_header: bool,
    /// Whether every answer says where its time went.
    pub server_timing: bool,
    /// Where requests are logged.
    pub log: Arc<Log>,
    /// Every how manyth request is logged. 0 is none.
    pub log_sample: u64,
}

/// One answer for every method and path: the row of the request is committed, then its body is echoed as `text/plain`.
/// A request whose row could not be kept is answered 500 with the reason, or 503 when too many wait already.
pub fn app(app: App) -> Router {
    Router::new().fallback(answer).with_state(Arc::new(app))
}

impl App {
    /// What answers without faults, logs or reserved paths.
    pub fn plain(store: Store, stats: Arc<Stats>, max_body: usize) -> Self {
        let told = Told {
            instance: HeaderValue::from_static("1"),
            instance_header: false,
            server_timing: false,
            log: Arc::new(Log::silent()),
            log_sample: 0,
        };
        let mischief = Arc::new(Mischief::new(faults::Faults::default(), false, 1));
        Self { store, stats, max_body, mischief, phases: Arc::default(), admin: None, told }
    }
}

/// What is known of a request when its head has been read.
#[derive(Debug)]
struct Asked {
    method: Method,
    uri: http::Uri,
    client: Option<Client>,
    wanted: Wanted,
}

/// What a request came to: what is said, and where the time of its row went, if it has one.
type Outcome = Result<(Bytes, Option<Kept>), (StatusCode, String)>;

async fn answer(State(app): State<Arc<App>>, request: Request) -> Response {
    if let Some(admin) = app.admin.as_ref().filter(|_| Admin::is_reserved(request.uri().path())) {
        return admin.answer(request).await;
    }
    let client: Option<Client> = request.extensions().get().cloned();
    let mut underway = app.stats.begin(client.clone());
    let own = if app.mischief.allowed { faults::asked(&request) } else { Ok(None) };
    let wanted = Wanted::of(&app.told, request.headers());
    let (head, body) = request.into_parts();
    let asked = Asked { method: head.method, uri: head.uri, client, wanted };
    let body = match read(body, app.max_body).await {
        Err(Unread::Left(_)) if asked.client.is_some() => return left(&asked, underway).await,
        Err(Unread::Left(reason)) => Err((StatusCode::BAD_REQUEST, reason)),
        Err(Unread::Refused(status, reason)) => Err((status, reason)),
        Ok(body) => Ok(body),
    };
    let own = match own {
        Ok(own) => own,
        Err(error) => {
            let refusal = Err((StatusCode::BAD_REQUEST, error.to_string()));
            return answer::give(&app, &asked, refusal, underway);
        }
    };
    let Some(fate) = app.mischief.next(own) else {
        let outcome = match body {
            Ok(body) => keep(&app, &asked, body).await,
            Err(refusal) => Err(refusal),
        };
        return answer::give(&app, &asked, outcome, underway);
    };
    if fate.drawn.never {
        return suffer::never(&app, &asked, underway).await;
    }
    let outcome = match body {
        Ok(body) if fate.drawn.keeps_row() => keep(&app, &asked, body).await,
        Ok(body) => Ok((body, None)),
        Err(refusal) => Err(refusal),
    };
    suffer::wait(&app, &fate, &mut underway).await;
    if fate.drawn.reset {
        return suffer::reset(&asked, underway).await;
    }
    suffer::give(&app, &asked, &fate.drawn, outcome, underway)
}

/// Keeps the row of a request that was read whole, and only then gives the body back.
async fn keep(app: &App, asked: &Asked, body: Bytes) -> Outcome {
    let row = Row {
        method: asked.method.clone(),
        uri: asked.uri.clone(),
        content_length: body.len(),
        remote_addr: asked.client.as_ref().map(|client| client.peer),
    };
    let kept = app.store.keep(row).await.map_err(|reason| (status(&reason), reason.to_string()))?;
    if matches!(app.store, Store::None) {
        return Ok((body, None));
    }
    Ok((body, Some(kept)))
}

/// A full queue may have room a moment later; everything else is the server's fault.
fn status(reason: &KeepError) -> StatusCode {
    match reason {
        KeepError::Full(_) => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// A sentence in place of a body.
fn sentence(text: &str) -> Content {
    Content::Bytes(format!("{}\n", text.replace('\n', " ")).into())
}

/// Why the body of a request was not read to its end.
#[derive(Debug)]
enum Unread {
    /// It is not taken.
    Refused(StatusCode, String),
    /// The client left before it had sent all of it.
    Left(String),
}

/// Answers nobody: the connection ends, and the request with it.
async fn left(asked: &Asked, _underway: Underway) -> Response {
    if let Some(client) = &asked.client {
        client.left_and_wait().await;
    }
    std::future::pending().await
}

async fn read(body: Body, limit: usize) -> Result<Bytes, Unread> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let too_large = || {
        let limit = counted(limit, "byte", "bytes");
        let sentence = format!("the request body is larger than {limit}");
        Unread::Refused(StatusCode::PAYLOAD_TOO_LARGE, sentence)
    };
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    match Limited::new(body, limit).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
        Err(error) => {
            let sentence = format!("the request body is broken: {error}");
            let is_wrong = is_wrong(&*error);
            Err(if is_wrong {
                Unread::Refused(StatusCode::BAD_REQUEST, sentence)
            } else {
                Unread::Left(sentence)
            })
        }
    }
}

/// Whether what came cannot be understood; otherwise no more came.
fn is_wrong(error: &(dyn std::error::Error + 'static)) -> bool {
    use std::io::ErrorKind::{InvalidData, InvalidInput};
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut kinds =
        causes.filter_map(|error| error.downcast_ref::<std::io::Error>()).map(std::io::Error::kind);
    kinds.any(|kind| matches!(kind, InvalidData | InvalidInput))
}

#[cfg(test)]
mod tests {
    use http::header::CONTENT_TYPE;
    use tower::ServiceExt;

    use super::*;

    fn plain_app() -> (Router, Arc<Stats>) {
        let stats = Arc::new(Stats::default());
        (app(App::plain(Store::None, Arc::clone(&stats), 1000)), stats)
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
