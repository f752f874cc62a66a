//! Who decides when a request is sent, and when does the run end?

use std::time::Duration;

use super::PlanError;
use super::Surroundings;
use crate::arrival::{self, Arrival, Stage};
use crate::clock::nanos;
use crate::options::LoadOptions;
use crate::quantity::{Rate, Span, Stages};

/// hey's default.
const REQUESTS: u64 = 200;

/// Less than one request in a year is a slip of the finger.
const LOWEST_RATE: f64 = 1.0 / (366.0 * 24.0 * 3600.0);

/// A schedule of more requests than this takes too long to draw up: some 20 ns each, before the run.
pub(super) const MOST_REQUESTS: u64 = 1_000_000_000;

/// When the run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// After so many requests.
    Requests(u64),
    /// After so long.
    Duration(Duration),
}

/// Who decides when a request is sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Model {
    /// The answers: each connection sends its next request when the last is answered.
    Closed {
        /// Requests per second of one connection, at most.
        rate_per_connection: Option<f64>,
    },
    /// The clock: requests are due on a schedule, whether or not earlier ones are answered.
    Open(Open),
}

/// A schedule of the open model.
#[derive(Debug, Clone, PartialEq)]
pub struct Open {
    /// The rates, one after the other.
    pub stages: Vec<Stage>,
    /// How arrivals are spread around the rate.
    pub arrival: Arrival,
    /// What random arrivals grow from.
    pub seed: u64,
}

impl Open {
    /// How long the schedule is.
    pub fn length(&self) -> Duration {
        Duration::from_nanos(self.stages.iter().map(|stage| stage.length).sum())
    }
}

impl Model {
    pub(super) fn pairs(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Closed { rate_per_connection } => {
                let rate = rate_per_connection.map(|rate| ("load.rate_per_connection", rate.to_string()));
                std::iter::once(("load.model", "closed".to_owned())).chain(rate).collect()
            }
            Self::Open(Open { stages, arrival, seed }) => {
                let rate = match &stages[..] {
                    [stage] => ("load.rate", Rate(stage.rate).to_string()),
                    stages => {
                        let typed =
                            |stage: &Stage| (Span(Duration::from_nanos(stage.length)), Rate(stage.rate));
                        ("load.stages", Stages(stages.iter().map(typed).collect()).to_string())
                    }
                };
                let arrival = ("load.arrival", arrival.to_string());
                vec![("load.model", "open".to_owned()), rate, arrival, ("load.seed", seed.to_string())]
            }
        }
    }
}

/// Who decides when a request is sent, and when the run stops.
pub(super) fn pace(options: &LoadOptions, around: Surroundings) -> Result<(Model, Stop), PlanError> {
    let limit = options.rate_per_connection.map(|rate| rate.0).filter(|rate| *rate > 0.0);
    if limit.is_some_and(|rate| rate < LOWEST_RATE) || options.rate.is_some_and(|rate| rate.0 < LOWEST_RATE) {
        return Err(PlanError::NoRequests);
    }
    let requests = options.requests.map_or(REQUESTS, std::num::NonZeroU64::get);
    // As in hey, 0 is none.
    let duration = options.duration.filter(|span| !span.0.is_zero());
    let stages = match (&options.stages, options.rate, duration) {
        (Some(_), Some(_), _) => return Err(PlanError::Exclusive("--stages", "--rate")),
        (Some(_), _, Some(_)) => return Err(PlanError::Exclusive("--stages", "--duration")),
        (Some(_), ..) if options.requests.is_some() => {
            return Err(PlanError::Exclusive("--stages", "--requests"));
        }
        (Some(stages), None, None) => {
            stages.0.iter().map(|(span, rate)| Stage { length: nanos(span.0), rate: rate.0 }).collect()
        }
        (None, Some(rate), Some(duration)) => vec![Stage { length: nanos(duration.0), rate: rate.0 }],
        (None, Some(rate), None) => {
            let length = Duration::try_from_secs_f64(requests as f64 / rate.0).unwrap_or(Duration::MAX);
            vec![Stage { length: nanos(length), rate: rate.0 }]
        }
        (None, None, duration) => {
            if options.arrival.is_some() {
                return Err(PlanError::NeedsRate("--arrival"));
            }
            if options.seed.is_some() && options.mix.is_none() {
                return Err(PlanError::NeedsRate("--seed"));
            }
            let stop = duration.map_or(Stop::Requests(requests), |duration| Stop::Duration(duration.0));
            return Ok((Model::Closed { rate_per_connection: limit }, stop));
        }
    };
    if limit.is_some() {
        return Err(PlanError::Exclusive("--rate-per-connection (-q)", "--rate"));
    }
    match arrival::number(&stages) {
        0 => return Err(PlanError::NoRequests),
        number if number > MOST_REQUESTS => return Err(PlanError::TooManyRequests(number)),
        _ => {}
    }
    let arrival = options.arrival.unwrap_or(Arrival::Poisson);
    let open = Open { stages, arrival, seed: options.seed.unwrap_or(around.seed) };
    let stop = Stop::Duration(open.length());
    Ok((Model::Open(open), stop))
}
