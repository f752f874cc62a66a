//! How it misbehaves on purpose.

use clap::Args;

use super::Settings;
use super::value::whole;
use crate::faults::Faults as Grammar;

/// What seeds the draws of faults that concern some requests only, unless another is given.
const SEED: u64 = 1;

/// What may be typed.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Faults")]
pub struct FaultArgs {
    /// How to misbehave, like 'delay=150us:10,2ms:5&status=503:1&close=2' [default: not at all]
    ///
    /// Each key has one value for all requests, or values with the percentage of requests that get each: delay=TIME,
    /// status=CODE, size=SIZE (of the answer), drip=TIME (the body in pieces over that time).
    ///
    /// These have a percentage: close (after the answer), reset (RST instead of it), truncate (half the body, then the
    /// end), never (no answer).
    ///
    /// These concern everybody: delay-per-inflight=TIME (for each request in flight), hiccup=200ms/10s (all answers wait
    /// so long, so often), freeze=2s@5s (once, from then on).
    ///
    /// Requests that get a status of 400 or more, or no answer at all, keep no row.
    #[arg(long, value_name = "FAULTS", env = "TARGET_FAULTS")]
    pub faults: Option<Grammar>,

    /// Let requests ask for faults in their query or in X-Fault, and PUT /-/faults change them
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", env = "TARGET_ALLOW_FAULTS")]
    pub allow_faults: Option<bool>,

    /// What faults are drawn from: the same seed and order of requests give the same faults [default: 1]
    #[arg(long, value_name = "N", value_parser = whole(0..=u64::MAX), env = "TARGET_SEED")]
    pub seed: Option<u64>,
}

/// What is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    /// Those of the whole server.
    pub faults: Grammar,
    /// Whether requests may ask for more, and the admin paths may change them.
    pub allowed: bool,
    /// What they are drawn from.
    pub seed: u64,
}

impl Faults {
    pub(super) fn resolve(args: &FaultArgs) -> Self {
        Self {
            faults: args.faults.clone().unwrap_or_default(),
            allowed: args.allow_faults.unwrap_or(false),
            seed: args.seed.unwrap_or(SEED),
        }
    }

    pub(super) fn tell(&self, settings: &mut Settings) {
        let Self { faults, allowed, seed } = self;
        settings.add("faults", faults);
        settings.add("allow-faults", allowed);
        settings.add("seed", seed);
    }
}
