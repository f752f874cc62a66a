//! How it lives and dies.

use std::time::Duration;

use clap::Args;

use super::value::Time;
use super::{ConfigError, Settings};

/// What may be typed.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Life cycle")]
pub struct LifeArgs {
    /// How long requests in flight may take to finish after SIGTERM or Ctrl-C [default: 25s]
    #[arg(long, value_name = "TIME", env = "TARGET_DRAIN_TIMEOUT")]
    pub drain_timeout: Option<Time>,

    /// How long idle connections may bring one request more meanwhile [default: 1s, or half of the drain timeout]
    #[arg(long, value_name = "TIME", env = "TARGET_DRAIN_IDLE")]
    pub drain_idle: Option<Time>,
}

/// What is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// How long requests in flight may take to finish after SIGTERM or SIGINT, before they are cut off.
    pub drain_timeout: Duration,
    /// How long connections without a request may bring one more meanwhile, before they are closed; no longer than
    /// `drain_timeout`.
    pub drain_idle: Duration,
}

impl Life {
    pub(super) fn resolve(args: &LifeArgs) -> Result<Self, ConfigError> {
        let drain_timeout = args.drain_timeout.map_or(Duration::from_secs(25), |time| time.0);
        // Idle connections alone shall not make a drain fail.
        let drain_idle = Duration::from_secs(1).min(drain_timeout / 2);
        let drain_idle = args.drain_idle.map_or(drain_idle, |time| time.0);
        if drain_idle > drain_timeout {
            return Err(ConfigError::Contradiction(format!(
                "--drain-idle {} is longer than --drain-timeout {}, which bounds it",
                Time(drain_idle),
                Time(drain_timeout)
            )));
        }
        Ok(Self { drain_timeout, drain_idle })
    }

    pub(super) fn tell(&self, settings: &mut Settings) {
        let Self { drain_timeout, drain_idle } = self;
        settings.add("drain-timeout", Time(*drain_timeout));
        settings.add("drain-idle", Time(*drain_idle));
    }
}
