//! How is an answer put together?

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, RETRY_AFTER};
use http::{HeaderValue, Method, StatusCode};

use super::{App, Asked, Outcome, Told, sentence};
use crate::accept::client::Client;
use crate::faults::Content;
use crate::log::{Event, Level};
use crate::stats::Underway;
use crate::store::Kept;
use crate::words::counted;

/// The field by which a request asks to be told something: `Prefer: instance, server-timing` (RFC 7240).
const PREFER: HeaderName = HeaderName::from_static("prefer");

const INSTANCE: HeaderName = HeaderName::from_static("x-instance");

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// What a request is told beside its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    instance: bool,
    timing: bool,
}

impl Wanted {
    pub(super) fn of(told: &Told, headers: &HeaderMap) -> Self {
        let mut wanted = Self { instance: told.instance_header, timing: told.server_timing };
        for value in headers.get_all(PREFER) {
            for word in value.as_bytes().split(|byte| *byte == b',') {
                let word = word.trim_ascii();
                wanted.instance |= word.eq_ignore_ascii_case(b"instance");
                wanted.timing |= word.eq_ignore_ascii_case(b"server-timing");
            }
        }
        wanted
    }
}

/// The answer to a request that nothing befell.
pub(super) fn give(app: &App, asked: &Asked, outcome: Outcome, underway: Underway) -> Response {
    let (status, content, kept) = said(outcome);
    let size = content.len();
    let body = match content {
        Content::Bytes(bytes) => Body::from(bytes),
        Content::Filler(_) => Body::empty(),
    };
    let response = dress(app, asked, status, body, kept);
    let number = underway.number();
    let time = underway.answered(status);
    log(app, asked, &Logged { number, status, size, time, kept });
    response
}

/// What is said to an outcome.
pub(super) fn said(outcome: Outcome) -> (StatusCode, Content, Option<Kept>) {
    match outcome {
        Ok((body, kept)) => (StatusCode::OK, Content::Bytes(body), kept),
        Err((status, reason)) => (status, sentence(&reason), None),
    }
}

/// An answer with the fields that it needs.
pub(super) fn dress(
    app: &App,
    asked: &Asked,
    status: StatusCode,
    body: Body,
    kept: Option<Kept>,
) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if asked.wanted.instance {
        headers.insert(INSTANCE, app.told.instance.clone());
    }
    if let Some(timing) = kept.filter(|_| asked.wanted.timing).and_then(timing) {
        headers.insert(SERVER_TIMING, timing);
    }
    response
}

/// Where the time went, in milliseconds.
fn timing(kept: Kept) -> Option<HeaderValue> {
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let Kept { queue, lock, commit } = kept;
    let text = format!("queue;dur={:.3}, lock;dur={:.3}, commit;dur={:.3}", ms(queue), ms(lock), ms(commit));
    HeaderValue::try_from(text).ok()
}

/// Whether the answer has no body on the wire, whatever it says about one.
pub(super) fn is_bodyless(method: &Method, status: StatusCode) -> bool {
    *method == Method::HEAD || [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status)
}

/// What is logged of one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Logged {
    /// Which one it is since the start or the last reset, from 1.
    pub(super) number: u64,
    pub(super) status: StatusCode,
    pub(super) size: u64,
    pub(super) time: Duration,
    pub(super) kept: Option<Kept>,
}

/// Says something of every so manyth request.
pub(super) fn log(app: &App, asked: &Asked, logged: &Logged) {
    let told = &app.told;
    if told.log_sample == 0 || !logged.number.is_multiple_of(told.log_sample) || !told.log.tells(Level::Info)
    {
        return;
    }
    let ms = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
    let path = asked.uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str);
    let client = asked.client.as_ref().map_or_else(String::new, |Client { peer, .. }| peer.to_string());
    let (method, status) = (asked.method.as_str(), logged.status.as_u16());
    let size = counted(logged.size, "byte", "bytes");
    let sentence = format!("{client} {method} {path} {status} {size} in {} ms", ms(logged.time));
    let mut event = Event::new("request", sentence)
        .with("number", logged.number)
        .with("client", client)
        .with("method", method)
        .with("path", path)
        .with("status", status)
        .with("bytes", logged.size)
        .with("service_ms", ms(logged.time));
    if let Some(kept) = logged.kept {
        event = event
            .with("queue_ms", ms(kept.queue))
            .with("lock_ms", ms(kept.lock))
            .with("commit_ms", ms(kept.commit));
    }
    told.log.tell(Level::Info, event);
}
