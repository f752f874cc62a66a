//! What becomes of a request that a fault befalls?

use axum::body::Body;
use axum::response::Response;
use http::header::CONNECTION;
use http::{HeaderValue, StatusCode};

use super::answer::{Logged, dress, is_bodyless, log, said};
use super::{App, Asked, Outcome, sentence};
use crate::clock;
use crate::faults::{Content, Drawn, Fate, Kind, MAX_DELAY, Paced};
use crate::stats::{Unanswered, Underway};

/// Waits as long as the answer shall wait.
pub(super) async fn wait(app: &App, fate: &Fate, underway: &mut Underway) {
    let drawn = &fate.drawn;
    let crowd = u32::try_from(app.stats.in_flight()).unwrap_or(u32::MAX);
    let crowd = drawn.delay_per_inflight.saturating_mul(crowd);
    if !drawn.delay.is_zero() {
        underway.suffers(Kind::Delay);
    }
    if !crowd.is_zero() {
        underway.suffers(Kind::DelayPerInflight);
    }
    clock::sleep(drawn.delay.saturating_add(crowd).min(MAX_DELAY)).await;
    let mut seen = None;
    while let Some((end, kind)) = fate.frozen(clock::now()) {
        if seen.replace(kind) != Some(kind) {
            underway.suffers(kind);
        }
        clock::sleep(end.saturating_duration_since(clock::now())).await;
    }
}

/// Gives no answer, until the client leaves or the server drains.
pub(super) async fn never(app: &App, asked: &Asked, mut underway: Underway) -> Response {
    underway.suffers(Kind::Never);
    underway.otherwise(Unanswered::Never);
    app.phases.drains().await;
    if let Some(client) = &asked.client {
        client.close();
    }
    // The connection is dropped, and with it this and what is counted when it is.
    std::future::pending().await
}

/// Resets the connection in place of an answer.
pub(super) async fn reset(asked: &Asked, mut underway: Underway) -> Response {
    underway.suffers(Kind::Reset);
    underway.otherwise(Unanswered::Reset);
    if let Some(client) = &asked.client {
        client.reset();
    }
    std::future::pending().await
}

/// The answer, as far as it is given.
pub(super) fn give(
    app: &App,
    asked: &Asked,
    drawn: &Drawn,
    outcome: Outcome,
    mut underway: Underway,
) -> Response {
    let whole = outcome.is_ok();
    let (mut status, mut content, kept) = said(outcome);
    // A request that could not be served is told so, whatever it would have got.
    if whole {
        if let Some(other) = drawn.status.filter(|other| *other != status) {
            underway.suffers(Kind::Status);
            status = other;
            if status.as_u16() >= 400 {
                content = sentence(&format!("status {} by a fault", status.as_u16()));
            }
        }
        if let Some(size) = drawn.size {
            underway.suffers(Kind::Size);
            content = Content::Filler(size);
        }
        if status == StatusCode::NO_CONTENT {
            content = Content::Filler(0);
        }
    }
    if drawn.close {
        underway.suffers(Kind::Close);
    }
    let (number, size, time) = (underway.number(), content.len(), underway.age());
    log(app, asked, &Logged { number, status, size, time, kept });
    let body = if content.is_empty() || is_bodyless(&asked.method, status) {
        underway.answered(status);
        Body::new(Paced::unread(content))
    } else {
        Body::new(paced(asked, drawn, content, status, underway))
    };
    let mut response = dress(app, asked, status, body, kept);
    if drawn.close {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// A body that takes its time, or ends before its end.
fn paced(
    asked: &Asked,
    drawn: &Drawn,
    content: Content,
    status: StatusCode,
    mut underway: Underway,
) -> Paced {
    if !drawn.drip.is_zero() {
        underway.suffers(Kind::Drip);
    }
    if !drawn.truncate {
        return Paced::new(content, drawn.drip, status, underway);
    }
    underway.suffers(Kind::Truncate);
    underway.otherwise(Unanswered::Truncated);
    Paced::new(content, drawn.drip, status, underway).cut(asked.client.clone())
}
