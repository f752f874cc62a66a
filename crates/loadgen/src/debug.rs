//! One exchange, and everything that is known of it: what `--debug` shows.

use std::fmt::Write as _;
use std::sync::Arc;

use report::document::CheckExample;
use report::units::{counted, nanos, printable};
use tokio::runtime::Builder;
use tokio::task::LocalSet;

use crate::check::BODY_LIMIT;
use crate::clock::{Nanos, RealTimer, SECOND, Timer};
use crate::engine::fake::{Behaviour, Fake};
use crate::engine::http1::Http1;
use crate::engine::http2::Http2;
use crate::engine::reqwest::Reqwest;
use crate::engine::{Answer, Connection, Engine, Failure, Kept, Trace};
use crate::plan::{EngineKind, Plan, masked};
use crate::preflight::PreflightError;
use crate::recorder::Phases;
use crate::redirect;
use crate::run::{RunError, dialer};
use crate::source::{Keep, Request, Source};
use crate::tally::masked_head;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Debugged {
    /// The exchange, safe to print: secrets as `***`, control characters as escapes.
    pub text: String,
    /// Whether a complete answer came.
    pub is_answered: bool,
    /// Whether the answer failed a check.
    pub has_faults: bool,
}

/// Sends the first request of a plan once, follows redirects as the plan says, and loads nothing.
///
/// # Errors
/// When the engine cannot carry the request, or there is no runtime for it.
pub fn exchange(plan: &Plan) -> Result<Debugged, RunError> {
    let source = Arc::new(plan.source(None));
    let runtime =
        Builder::new_current_thread().enable_all().build().map_err(crate::fleet::FleetError::from)?;
    let local = LocalSet::new();
    let dialer = Arc::new(dialer(&plan.load).map_err(PreflightError::Setup)?);
    Ok(match plan.load.engine {
        EngineKind::Http1 => local.block_on(&runtime, follow(plan, &source, Http1::new(dialer))),
        EngineKind::Http2 => local.block_on(&runtime, follow(plan, &source, Http2::new(dialer, 1))),
        EngineKind::Reqwest => {
            let engine = Reqwest::new(Arc::clone(&source), &plan.load.route, &dialer)?;
            local.block_on(&runtime, follow(plan, &source, engine))
        }
        EngineKind::Fake => {
            let engine = Fake::new(|_, _| Behaviour::Answer(200, SECOND / 1000));
            local.block_on(&runtime, follow(plan, &source, engine))
        }
    })
}

async fn follow<E: Engine<RealTimer>>(plan: &Plan, source: &Source, engine: E) -> Debugged {
    let keep = Keep { head: true, body: BODY_LIMIT };
    let mut request = source.request(source.choose(0)).clone().keeping(keep);
    let mut text = format!("* engine {}\n", plan.load.engine.name());
    let mut redirects = 0;
    loop {
        let hop = Hop::make(plan, &engine, &request).await;
        hop.describe(&mut text, &request, plan.load.route.protocol.is_http2());
        let next = hop.result.and_then(|mut answer| {
            let next = redirect::next(&request, &mut answer, redirects, plan.load.redirects)?;
            Ok((answer, next))
        });
        match next {
            Ok((_, Some(next))) => {
                let _ = writeln!(text, "* redirected to {}", masked(&next.url));
                redirects += 1;
                request = next;
            }
            Ok((answer, None)) => return judged(plan, &answer, text),
            Err(failure) => {
                let _ = writeln!(text, "* failed ({}): {}", failure.kind, printable(&failure.message));
                return Debugged { text, is_answered: false, has_faults: false };
            }
        }
    }
}

/// What the checks say.
fn judged(plan: &Plan, answer: &Answer, mut text: String) -> Debugged {
    let watch = &plan.load.watch;
    let faults = watch.faults(answer);
    for (number, check) in watch.checks.iter().enumerate() {
        let check = printable(&check.to_string());
        // Writing to a String cannot fail.
        let _ = match faults.iter().find(|fault| fault.0 == number) {
            Some((_, reason)) => writeln!(text, "* check `{check}` fails: {}", printable(reason)),
            None => writeln!(text, "* check `{check}` holds"),
        };
    }
    Debugged { text, is_answered: true, has_faults: !faults.is_empty() }
}

/// One request on a connection of its own.
struct Hop {
    peer: Option<String>,
    result: Result<Answer, Failure>,
    trace: Trace,
    begin: Nanos,
    end: Nanos,
}

impl Hop {
    async fn make<E: Engine<RealTimer>>(plan: &Plan, engine: &E, request: &Request) -> Self {
        let timer = RealTimer::start();
        let (mut peer, mut trace) = (None, Trace::default());
        let begin = timer.now();
        let exchange = async {
            let mut connection = engine.connect(&request.origin, &timer, &mut trace).await?;
            peer = connection.peer();
            let answer = connection.send(request, &timer, &mut trace).await;
            peer = peer.take().or(connection.peer());
            answer
        };
        let result = match plan.load.timeout {
            None => exchange.await,
            Some(timeout) => {
                let late = || {
                    let kind = report::document::FailureKind::Io;
                    Failure::new(kind, format!("no answer within {}", report::units::duration(timeout)))
                };
                tokio::time::timeout(timeout, exchange).await.unwrap_or_else(|_| Err(late()))
            }
        };
        Self { peer, result, trace, begin, end: timer.now() }
    }

    fn describe(&self, text: &mut String, request: &Request, is_http2: bool) {
        let _ = writeln!(text, "* {} {}", request.method, masked(&request.url));
        if let Some(peer) = &self.peer {
            let _ = writeln!(text, "* connected to {peer}");
        }
        if self.trace.first_write > 0 {
            if is_http2 {
                let _ = writeln!(text, "* sent over HTTP/2; the head as HTTP/1.1 would put it:");
            }
            let head = request.wire.len() - request.body.len();
            lines(text, "> ", &masked_head(&request.wire[..head]));
            body(text, "> ", &request.body, request.body.len() as u64);
        }
        if let Ok(Answer { kept: Some(kept), .. }) = &self.result {
            let Kept { head, body: data, body_bytes, .. } = &**kept;
            lines(text, "< ", &masked_head(head));
            body(text, "< ", data, *body_bytes);
        }
        let _ = writeln!(text, "* {}", self.times().join(", "));
    }

    fn times(&self) -> Vec<String> {
        let trace = &self.trace;
        let Phases { write, wait, read } = Phases::of(trace, self.result.is_ok());
        let parts = [
            ("name looked up in", trace.dns_ns),
            ("connected in", trace.connect_ns),
            ("written in", write),
            ("first byte after", wait),
            ("read in", read),
            ("all in", Some(self.end - self.begin)),
        ];
        parts.iter().filter_map(|(what, time)| Some(format!("{what} {}", nanos((*time)?)))).collect()
    }
}

fn lines(text: &mut String, mark: &str, lines: &str) {
    for line in printable(lines).lines() {
        let _ = writeln!(text, "{}", format!("{mark}{line}").trim_end());
    }
}

/// The beginning of a body.
fn body(text: &mut String, mark: &str, data: &[u8], bytes: u64) {
    let shown = &data[..data.len().min(CheckExample::BODY)];
    lines(text, mark, &String::from_utf8_lossy(shown));
    if (shown.len() as u64) < bytes {
        let _ = writeln!(text, "* ... ({} in all)", counted(bytes, "byte"));
    }
}
