//! Does anybody answer at all? Asked by commands that would measure for minutes before they found out that nobody does.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use super::{Aside, Interrupt, RunError, allow_files, dialer, load};
use crate::clock::{RealTimer, Timer as _, nanos};
use crate::fleet::Attention;
use crate::plan::{Load, Model, Plan, Route, Stop, Target, masked};
use crate::preflight::{self, PreflightError};
use crate::recorder::Interval;
use crate::usage::Roster;

/// How many requests are sent, each time until one does not fail. One is enough for a server that answers; where some requests
/// fail, so many in a row do not.
const REQUESTS: [u64; 2] = [1, 9];
/// A request that has no answer by then may still be answered: what comes of it is left to the run.
const TO_ANSWER: Duration = Duration::from_secs(4);
/// A connection that is not made within so much of it is none. Three seconds: a lost packet is sent again after one.
const TO_CONNECT: f64 = 0.75;
/// No further request is sent then.
const LONGEST: Duration = Duration::from_secs(10);

/// Sends a few of a plan's requests, one after the other, to a server that runs already. One that the plan starts is asked by
/// whoever starts it.
///
/// # Errors
/// When every one of them failed, or the load could not begin.
pub fn ask(plan: &Plan, interrupt: &Interrupt) -> Result<(), RunError> {
    if plan.target != Target::External {
        return Ok(());
    }
    allow_files(&plan.load)?;
    let mut dialer = dialer(&few(&plan.load, 1)).map_err(PreflightError::Setup)?;
    let source = Arc::new(plan.source(None));
    preflight::look(&plan.load, &source.origins(), &mut dialer, &interrupt.cancel)?;
    let (dialer, aside) = (Arc::new(dialer), Aside { rows: None, roster: Roster::default() });
    let (timer, mut why) = (RealTimer::start(), String::new());
    for requests in REQUESTS {
        let few = Plan { load: few(&plan.load, requests), ..plan.clone() };
        let attend = |_: &[_], _: &_| {
            let goes_on = interrupt.signal().is_none() && timer.now() < nanos(LONGEST);
            if goes_on { Attention::Continue } else { Attention::Stop }
        };
        let (outcome, _) = load(&few, &source, Arc::clone(&dialer), &aside, attend)?;
        if let Some(signal) = interrupt.signal() {
            return Err(RunError::Interrupted(signal));
        }
        let Interval { counts, failures, .. } = &outcome.collector.total;
        if counts.ok + counts.http_error + counts.timeout > 0 {
            return Ok(());
        }
        let Some((kind, record)) = failures.iter().next() else { return Ok(()) };
        let (meaning, sample) = (kind.meaning(), &record.sample);
        why = if meaning == sample { sample.clone() } else { format!("{meaning} ({sample})") };
    }
    Err(PreflightError::Silent { url: masked(&plan.load.url), why }.into())
}

/// So many requests of a load, over one connection.
fn few(load: &Load, requests: u64) -> Load {
    let to_answer = load.timeout.unwrap_or(TO_ANSWER).min(TO_ANSWER);
    let to_connect = to_answer.mul_f64(TO_CONNECT);
    let to_connect = load.route.connect_timeout.unwrap_or(to_connect).min(to_connect);
    Load {
        warmup: Duration::ZERO,
        connections: NonZeroUsize::MIN,
        workers: NonZeroUsize::MIN,
        stop: Stop::Requests(requests),
        model: Model::Closed { rate_per_connection: None },
        timeout: Some(to_answer),
        route: Route { connect_timeout: Some(to_connect), ..load.route.clone() },
        // A redirect is an answer.
        redirects: 0,
        ..load.clone()
    }
}
