//! Does anybody answer at all? Asked by commands that would measure for minutes before they found out that nobody does.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use super::{Aside, Interrupt, RunError, allow_files, dialer, load};
use crate::fleet::Attention;
use crate::plan::{Load, Model, Plan, Stop, Target, masked};
use crate::preflight::{self, PreflightError};
use crate::usage::Roster;

/// How many requests are sent, each time until one does not fail. One is enough for a server that answers; where some requests
/// fail, so many in a row do not.
const REQUESTS: [u64; 2] = [1, 9];
/// A request that has no answer by then may still be answered: what comes of it is left to the run.
const PATIENCE: Duration = Duration::from_secs(1);

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
    let mut dialer = dialer(&plan.load).map_err(PreflightError::Setup)?;
    let source = Arc::new(plan.source(None));
    preflight::look(&plan.load, &source.origins(), &mut dialer, &interrupt.cancel)?;
    let (dialer, aside) = (Arc::new(dialer), Aside { rows: None, roster: Roster::default() });
    let mut why = String::new();
    for requests in REQUESTS {
        let few = Plan { load: few(&plan.load, requests), ..plan.clone() };
        let attend = |_: &[_], _: &_| match interrupt.signal() {
            Some(_) => Attention::Stop,
            None => Attention::Continue,
        };
        let (outcome, _) = load(&few, &source, Arc::clone(&dialer), &aside, attend)?;
        if let Some(signal) = interrupt.signal() {
            return Err(RunError::Interrupted(signal));
        }
        let total = &outcome.collector.total;
        match total.failures.iter().next() {
            Some((kind, record)) if total.counts.failed == requests => {
                let (meaning, sample) = (kind.meaning(), &record.sample);
                why = if meaning == sample { sample.clone() } else { format!("{meaning} ({sample})") };
            }
            _ => return Ok(()),
        }
    }
    Err(PreflightError::Silent { url: masked(&plan.load.url), why }.into())
}

/// So many requests of a load, over one connection.
fn few(load: &Load, requests: u64) -> Load {
    Load {
        warmup: Duration::ZERO,
        connections: NonZeroUsize::MIN,
        workers: NonZeroUsize::MIN,
        stop: Stop::Requests(requests),
        model: Model::Closed { rate_per_connection: None },
        timeout: Some(load.timeout.unwrap_or(PATIENCE).min(PATIENCE)),
        // A redirect is an answer.
        redirects: 0,
        ..load.clone()
    }
}
