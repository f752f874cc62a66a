//! How is one connection served, from its first byte to its last?

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::StatusCode;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};

use super::answer::Desk;
use super::farewell::{self, Words};
use super::line::{Line, Phase};
use super::patience::{Due, Patience};
use super::wire::Wire;
use super::{Service, Stage};
use crate::listener::{Peer, Stream};
use crate::stats::{Closed, Refused};

/// Bytes that hyper may read ahead on a connection, unless a head may be larger. This is its own default.
const READ_AHEAD: usize = 8192 + 4096 * 100;

/// Header lines that hyper takes when it is not told otherwise.
const FREE_HEADERS: usize = 100;

/// How connections are talked on, the same for all of them.
#[derive(Clone, Debug)]
pub(super) struct Manners {
    http: http1::Builder,
    desk: Arc<Desk>,
    patience: Patience,
    nodelay: bool,
}

/// Why a connection is not talked on any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// hyper is done with it: the last answer is given, the client has left or the connection broke.
    Over(Closed),
    /// hyper is done with it, because what came was no request.
    Refused(Refused),
    /// A handler hung up.
    HungUp,
    /// The client kept us waiting.
    Late(Due),
    /// It is idle, and the server stops.
    Stopped,
}

impl Manners {
    pub(super) fn new(service: &Service) -> Self {
        let mut http = http1::Builder::new();
        // hyper's own timer would count from the end of the last answer on, so we keep the time ourselves. Its pipelined
        // flush would hold back an answer until the next request, half of which has come, is complete.
        http.header_read_timeout(None)
            .max_header_size(service.max_head)
            .max_buf_size(service.max_head.max(READ_AHEAD))
            .title_case_headers(service.dress.title_case);
        // Only without a number of its own does hyper parse in memory that it need not prepare for every request.
        if service.max_headers != FREE_HEADERS {
            http.max_headers(service.max_headers);
        }
        let desk = Desk {
            router: service.router.clone(),
            dress: service.dress.clone(),
            keepalive_requests: service.keepalive_requests,
            stats: Arc::clone(&service.stats),
        };
        Self { http, desk: Arc::new(desk), patience: service.patience, nodelay: service.nodelay }
    }

    /// Serves one connection until it ends, as long as `stage` allows.
    pub(super) fn talk(
        &self,
        stream: Stream,
        peer: Peer,
        stage: watch::Receiver<Stage>,
    ) -> impl Future<Output = ()> + Send + 'static {
        stream.set_nodelay(self.nodelay);
        let line = Arc::new(Line::new(stream, peer));
        let Self { http, desk, patience, .. } = self.clone();
        async move {
            // Held to the end of this: until then the drain waits.
            let _present = stage.clone();
            let end = converse(&http, &desk, &line, patience, stage).await;
            match end {
                End::Refused(why) => desk.stats.refused(why),
                _ => desk.stats.closed(why(end)),
            }
            // Whoever still holds the line holds no socket.
            let stream = line.socket().take();
            if let Some(stream) = stream {
                part(end, &desk, &line, stream).await;
            }
        }
    }
}

/// Lets hyper read and answer until something ends the connection.
async fn converse(
    http: &http1::Builder,
    desk: &Arc<Desk>,
    line: &Arc<Line>,
    patience: Patience,
    mut stage: watch::Receiver<Stage>,
) -> End {
    let present = stage.clone();
    let answer = service_fn(|request| {
        let present = present.clone();
        Arc::clone(desk).answer(request, Arc::clone(line), move || *present.borrow())
    });
    let connection = http.serve_connection(TokioIo::new(Wire(Arc::clone(line))), answer);
    tokio::pin!(connection);
    let mut alarm = Alarm::new(line, patience);
    loop {
        let closing = *stage.borrow_and_update() == Stage::Closing;
        tokio::select! {
            biased;
            outcome = connection.as_mut() => return of_hyper(outcome),
            () = line.wants_end() => {
                return if line.is_left() { End::Over(Closed::Error) } else { End::HungUp };
            }
            // Asked only after hyper has looked whether something has come.
            () = idle(line), if closing => return End::Stopped,
            Ok(()) = stage.changed() => {}
            () = alarm.rings() => {
                if let Some(due) = alarm.due(line) {
                    return End::Late(due);
                }
            }
        }
    }
}

fn of_hyper(outcome: hyper::Result<()>) -> End {
    match outcome {
        Ok(()) => End::Over(Closed::Done),
        Err(error) if error.is_parse() => End::Refused(reason(&error)),
        // A broken connection is the client's affair: hyper has answered where it could.
        Err(_) => End::Over(Closed::Error),
    }
}

fn reason(error: &hyper::Error) -> Refused {
    if error.is_parse_version_h2() {
        Refused::Http2
    } else if !error.is_parse_too_large() {
        Refused::Malformed
    } else if error.to_string().contains("URI") {
        // Only its words tell this from a head that is too large.
        Refused::TargetTooLong
    } else {
        Refused::HeadTooLarge
    }
}

/// Ready when no request has begun.
async fn idle(line: &Line) {
    poll_fn(|_| match line.phase() {
        // Bytes that have come but were not read are a request too; they wake this again.
        Phase::Idle if !line.socket().as_ref().is_some_and(farewell::has_bytes) => Poll::Ready(()),
        _ => Poll::Pending,
    })
    .await;
}

fn why(end: End) -> Closed {
    match end {
        End::Over(why) => why,
        End::Refused(_) => Closed::Refused,
        End::HungUp => Closed::Fault,
        End::Stopped => Closed::Done,
        End::Late(Due::Head) => Closed::HeaderTimeout,
        End::Late(Due::Idle | Due::Unread | Due::Request) => Closed::IdleTimeout,
    }
}

/// Ends a connection as its end deserves.
async fn part(end: End, desk: &Desk, line: &Line, stream: Stream) {
    match end {
        _ if line.wants_reset() => stream.will_reset(),
        // What is still in the kernel's buffers will never be read.
        End::Late(Due::Unread) => stream.will_reset(),
        End::Late(Due::Head) => {
            let sentence = "the head of the request did not come in time";
            let words = Words { status: StatusCode::REQUEST_TIMEOUT, sentence, retry_after: None };
            farewell::say(words, &desk.dress, stream).await;
        }
        End::Refused(_) => farewell::linger(stream, true).await,
        End::Over(Closed::Done) | End::HungUp => farewell::linger(stream, line.body_left()).await,
        End::Over(_) | End::Stopped | End::Late(_) => {}
    }
}

/// Looks, now and then, whether the client keeps us waiting. It is not set anew for every request: it rings as often as the
/// shortest limit is long, finds out what is due by then, and sleeps on.
#[derive(Debug)]
struct Alarm {
    patience: Patience,
    sleep: Option<(Pin<Box<Sleep>>, Duration)>,
}

impl Alarm {
    fn new(line: &Line, patience: Patience) -> Self {
        let sleep = patience.shortest().map(|shortest| {
            let moment = Instant::from_std(line.opened() + shortest);
            (Box::pin(tokio::time::sleep_until(moment)), shortest)
        });
        Self { patience, sleep }
    }

    async fn rings(&mut self) {
        match &mut self.sleep {
            Some((sleep, _)) => sleep.as_mut().await,
            None => std::future::pending().await,
        }
    }

    /// What the connection shall end for, if anything; else it is set to ring again. A request that took too long does not
    /// end the connection: it is answered so.
    fn due(&mut self, line: &Line) -> Option<Due> {
        let now = line.age();
        let mut next = None;
        match self.patience.end(line.moment()) {
            Some((end, due)) if end <= now => match due {
                Due::Request => line.expire(),
                Due::Idle | Due::Head | Due::Unread => return Some(due),
            },
            Some((end, _)) => next = Some(end),
            None => {}
        }
        if let Some((sleep, shortest)) = &mut self.sleep {
            let look = now + *shortest;
            let next = next.map_or(look, |next| next.min(look));
            sleep.as_mut().reset(Instant::from_std(line.opened() + next));
        }
        None
    }
}
