//! How many connections, and how long.

use clap::Args;

use super::Settings;
use super::profile::Profile;

/// What is left of waitress's limit of 100 when its listener and its wake-up trigger, which it counts too, are taken away.
const USABLE_IN_WAITRESS: usize = 98;

/// What may be typed.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Connections")]
pub struct ConnectionArgs {
    /// Open connections per instance; further ones wait in the kernel's queue [default: 0, no limit; waitress: 98]
    #[arg(long, value_name = "N", env = "TARGET_MAX_CONNECTIONS")]
    pub max_connections: Option<usize>,
}

/// What is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connections {
    /// How many may be open at once. 0 is no limit.
    pub max: usize,
}

impl Connections {
    pub(super) fn resolve(args: &ConnectionArgs, profile: Profile) -> Self {
        let max = match profile {
            Profile::Waitress => USABLE_IN_WAITRESS,
            Profile::Plain | Profile::Fast => 0,
        };
        Self { max: args.max_connections.unwrap_or(max) }
    }

    pub(super) fn tell(&self, settings: &mut Settings) {
        let Self { max } = self;
        settings.add("max-connections", max);
    }
}
