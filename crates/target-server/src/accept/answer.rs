//! How is a request handed over, and its answer taken back?

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, SERVER, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tower::Service as _;

use super::client::Client;
use super::line::{Line, Phase};
use super::{Dress, Stage};
use crate::stats::Stats;

/// What answers requests, the same for all connections.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) router: Router,
    pub(super) dress: Dress,
    /// Requests that a connection may carry; 0 is no limit.
    pub(super) keepalive_requests: u32,
    pub(super) stats: Arc<Stats>,
}

impl Desk {
    /// The answer to one request. `stage` tells whether it is the last one on its connection.
    pub(super) async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        line: Arc<Line>,
        stage: impl Fn() -> Stage,
    ) -> Result<Response<Given>, Infallible> {
        let has_body = !request.body().is_end_stream();
        let number = line.begin(has_body);
        let refusal = refusal(request.headers());
        let mut response = match refusal {
            Some((status, sentence)) => {
                self.stats.begin(None).answered(status);
                refuse(status, sentence)
            }
            None => self.ask(request, &line, has_body).await,
        };
        let last = self.keepalive_requests != 0 && number >= self.keepalive_requests;
        // A body of which something is left stands in the way of the next request.
        if last || line.body_left() || stage() != Stage::Serving {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(server) = &self.dress.server {
            response.headers_mut().insert(SERVER, server.clone());
        }
        line.answers();
        Ok(response.map(|body| Given { body, line }))
    }

    /// The application's answer, or that it took too long.
    async fn ask(&self, mut request: Request<Incoming>, line: &Arc<Line>, has_body: bool) -> Response {
        request.extensions_mut().insert(Client::new(line));
        let request = request.map(|body| {
            if has_body { Body::new(Taken { body, line: Arc::clone(line) }) } else { Body::empty() }
        });
        let mut handler = pin!(self.router.clone().call(request));
        let answer = poll_fn(|context| match handler.as_mut().poll(context) {
            Poll::Ready(Ok(response)) => Poll::Ready(Some(response)),
            Poll::Ready(Err(never)) => match never {},
            Poll::Pending if line.expired() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        if let Some(response) = answer.await {
            return response;
        }
        let (status, sentence) = match line.phase() {
            Phase::Body => (StatusCode::REQUEST_TIMEOUT, "the body of the request did not come in time"),
            _ => (StatusCode::SERVICE_UNAVAILABLE, "the request could not be answered in time"),
        };
        // The application, dropped at the end of this, counts it as answered so.
        line.refuse(status);
        refuse(status, sentence)
    }
}

/// Says no in place of the application, and that the connection ends.
fn refuse(status: StatusCode, sentence: &str) -> Response {
    let mut response = Response::new(Body::from(format!("{sentence}\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Why a request cannot be understood, although hyper understood it: it takes only the last coding for meant, but what
/// the others did to the body is not undone.
fn refusal(headers: &HeaderMap) -> Option<(StatusCode, &'static str)> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let chunked = |value: &HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
    let understood = match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(only), None) => chunked(only),
        (Some(_), Some(_)) => false,
    };
    (!understood).then_some((StatusCode::NOT_IMPLEMENTED, "of transfer codings, only chunked is understood"))
}

/// The body of a request: it notes when it is waited for.
#[derive(Debug)]
struct Taken {
    body: Incoming,
    line: Arc<Line>,
}

impl HttpBody for Taken {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        match &frame {
            Poll::Pending => self.line.awaits_body(),
            Poll::Ready(Some(Ok(frame))) => match frame.data_ref() {
                Some(bytes) => self.line.has_body(bytes, self.body.is_end_stream()),
                None => self.line.has_end_of_body(self.body.is_end_stream()),
            },
            Poll::Ready(None) => self.line.has_end_of_body(true),
            Poll::Ready(Some(Err(_))) => self.line.has_end_of_body(false),
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer: it notes when hyper has taken all of it.
#[derive(Debug)]
pub(super) struct Given {
    body: Body,
    line: Arc<Line>,
}

impl Drop for Given {
    fn drop(&mut self) {
        self.line.has_answered();
    }
}

impl HttpBody for Given {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
