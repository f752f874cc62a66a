//! Where connections come from.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;

use clap::Args;

use super::Settings;

/// Settings that concern the parent of several instances alone: it listens and starts them.
pub(super) const OF_THE_PARENT: [&str; 2] = ["listen", "instances"];

/// Settings that can be given several times.
pub(super) const REPEATED: [&str; 1] = ["listen"];

/// More processes than this on one machine is a slip of the finger.
const MAX_INSTANCES: u16 = 256;

/// What may be typed.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Listening")]
pub struct ListenArgs {
    /// Address and port to listen on [default: 127.0.0.1:8080]; port 0 chooses a free one
    ///
    /// A socket passed by a service manager (`LISTEN_FDS`) wins over this.
    #[arg(long, value_name = "ADDRESS:PORT", env = "TARGET_LISTEN")]
    pub listen: Option<SocketAddr>,

    /// Server processes that share the port and the database [default: 1]
    #[arg(long, value_name = "N", value_parser = instances, env = "TARGET_INSTANCES")]
    pub instances: Option<NonZeroU16>,

    /// Length of each instance's queue of connections not yet accepted [default: 1024]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), env = "TARGET_BACKLOG")]
    pub backlog: Option<u16>,
}

/// What is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Where, unless sockets are passed.
    pub address: SocketAddr,
    /// How many processes, 1 to 256.
    pub instances: NonZeroU16,
    /// Length of the kernel's queue of connections not yet accepted, for each socket (`net.core.somaxconn` caps it).
    pub backlog: u16,
}

impl Listen {
    pub(super) fn resolve(args: &ListenArgs) -> Self {
        Self {
            address: args.listen.unwrap_or_else(|| (Ipv4Addr::LOCALHOST, 8080).into()),
            instances: args.instances.unwrap_or(NonZeroU16::MIN),
            backlog: args.backlog.unwrap_or(1024),
        }
    }

    pub(super) fn tell(&self, settings: &mut Settings) {
        let Self { address, instances, backlog } = self;
        settings.add("listen", address);
        settings.add("instances", instances);
        settings.add("backlog", backlog);
    }
}

fn instances(text: &str) -> Result<NonZeroU16, String> {
    let number: Option<NonZeroU16> = text.parse().ok();
    number
        .filter(|number| number.get() <= MAX_INSTANCES)
        .ok_or_else(|| format!("not a number from 1 to {MAX_INSTANCES}"))
}
