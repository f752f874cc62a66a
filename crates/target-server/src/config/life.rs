//! How it lives and dies.

use std::time::Duration;

use clap::Args;

use super::Settings;
use super::value::Time;

/// What may be typed.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Life cycle")]
pub struct LifeArgs {
    /// How long requests in flight may take to finish after SIGTERM or Ctrl-C [default: 25s]
    #[arg(long, value_name = "TIME", env = "TARGET_DRAIN_TIMEOUT")]
    pub drain_timeout: Option<Time>,
}

/// What is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// How long requests in flight may take to finish after SIGTERM or SIGINT, before they are cut off.
    pub drain_timeout: Duration,
}

impl Life {
    pub(super) fn resolve(args: &LifeArgs) -> Self {
        Self { drain_timeout: args.drain_timeout.map_or(Duration::from_secs(25), |time| time.0) }
    }

    pub(super) fn tell(&self, settings: &mut Settings) {
        let Self { drain_timeout } = self;
        settings.add("drain-timeout", Time(*drain_timeout));
    }
}
