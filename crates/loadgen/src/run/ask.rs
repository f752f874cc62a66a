//! Does anybody answer at all? Asked by commands that would measure for minutes before they found out that nobody does.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use report::document::FailureKind;

use super::{Aside, Interrupt, RunError, allow_files, dialer, load};
use crate::clock::{RealTimer, Timer as _, nanos};
use crate::fleet::Attention;
use crate::plan::{Load, Model, Plan, Route, Stop, Target, masked};
use crate::preflight::{self, PreflightError};
use crate::recorder::Interval;
use crate::usage::Roster;

/// How many requests are sent: the first, and where it failed the others, one after the other. Of a server that fails nine
/// requests in ten, so many do not all fail.
const REQUESTS: [u64; 2] = [1, 99];
/// A connection that is not made within so much, as long as the open model gives it before time zero, is none; unless the plan has
/// a limit of its own.
const TO_CONNECT: Duration = Duration::from_secs(5);
/// A request that has no answer so long after that may still be answered: what comes of it is left to the run.
const TO_ANSWER: Duration = Duration::from_secs(1);
/// No further request is sent then, after the first.
const LONGEST: Duration = Duration::from_secs(3);

/// Sends a request of a plan, and more where it failed, to a server that runs already. One that the plan starts is asked by whoever
/// starts it. They are in no account.
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
        if timer.now() > nanos(LONGEST) {
            break;
        }
        let few = Plan { load: few(&plan.load, requests), ..plan.clone() };
        let attend = |_: &[_], _: &_| {
            let has_time = requests == REQUESTS[0] || timer.now() < nanos(LONGEST);
            let goes_on = interrupt.signal().is_none() && has_time;
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
        let Some((kind, record)) = failures.iter().max_by_key(|(_, record)| record.count) else { break };
        if is_our_own(*kind) {
            return Ok(());
        }
        let (meaning, sample) = (kind.meaning(), &record.sample);
        why = if meaning == sample { sample.clone() } else { format!("{meaning} ({sample})") };
    }
    if why.is_empty() {
        return Ok(());
    }
    Err(PreflightError::Silent { url: masked(&plan.load.url), why }.into())
}

/// Whether this machine failed, and not the server: the run will tell.
fn is_our_own(kind: FailureKind) -> bool {
    matches!(kind, FailureKind::ClientPorts | FailureKind::ClientFiles | FailureKind::Io)
}

/// So many requests of a load, one at a time.
fn few(load: &Load, requests: u64) -> Load {
    let to_connect = load.route.connect_timeout.unwrap_or(TO_CONNECT);
    Load {
        warmup: Duration::ZERO,
        connections: NonZeroUsize::MIN,
        workers: NonZeroUsize::MIN,
        stop: Stop::Requests(requests),
        model: Model::Closed { rate_per_connection: None },
        timeout: Some(to_connect + TO_ANSWER),
        route: Route { connect_timeout: Some(to_connect), streams: NonZeroUsize::MIN, ..load.route.clone() },
        // A redirect is an answer.
        redirects: 0,
        ..load.clone()
    }
}
