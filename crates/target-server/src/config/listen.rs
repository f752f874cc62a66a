//! Where connections come from.

use std::net::Ipv4Addr;
use std::num::NonZeroU16;

use clap::Args;

use super::endpoint::{Endpoint, NUMBER};
use super::value::{Mode, whole};
use super::{ConfigError, Settings, refuse_unless};

/// Settings that concern the parent of several instances alone: it listens and starts them.
pub(super) const OF_THE_PARENT: [&str; 6] =
    ["listen", "instances", "reuse-port", "unix-mode", "admin", "admin-mode"];

/// Settings that can be given several times.
pub(super) const REPEATED: [&str; 1] = ["listen"];

/// More processes than this on one machine is a slip of the finger.
const MAX_INSTANCES: u16 = 256;

/// What may be typed.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Listening")]
pub struct ListenArgs {
    /// Where to listen: ADDRESS:PORT, :PORT (every IPv4 address) or unix:PATH; can be repeated [default: 127.0.0.1:8080]
    ///
    /// Several places may also be separated by commas. Port 0 chooses a free one. Sockets passed by a service manager
    /// (LISTEN_FDS) win over this; where there are several, LISTEN_FDNAMES calls them http and admin.
    #[arg(long, value_name = "PLACE", value_delimiter = ',', env = "TARGET_LISTEN")]
    pub listen: Vec<Endpoint>,

    /// Join those who already listen on the same port, who must allow it, instead of refusing to start
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", env = "TARGET_REUSE_PORT")]
    pub reuse_port: Option<bool>,

    /// Who may connect to unix sockets of --listen, as an octal file mode [default: 600]
    #[arg(long, value_name = "MODE", env = "TARGET_UNIX_MODE")]
    pub unix_mode: Option<Mode>,

    /// Server processes that share the port and the database [default: 1]
    #[arg(long, value_name = "N", value_parser = instances, env = "TARGET_INSTANCES")]
    pub instances: Option<NonZeroU16>,

    /// Length of each socket's queue of connections not yet accepted [default: 1024]
    #[arg(long, value_name = "N", value_parser = whole(1..=u16::MAX), env = "TARGET_BACKLOG")]
    pub backlog: Option<u16>,
}

/// What is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Where, unless sockets are passed: at least one place, and no two that meet.
    pub endpoints: Vec<Endpoint>,
    /// How many processes, 1 to 256.
    pub instances: NonZeroU16,
    /// How sockets of our own are made.
    pub sockets: Sockets,
}

/// How sockets of our own are made. Those that are passed in are taken as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sockets {
    /// Length of the kernel's queue of connections not yet accepted, for each socket (`net.core.somaxconn` caps it).
    pub backlog: u16,
    /// Whether a port on which others listen already is joined (`SO_REUSEPORT`). Otherwise it is an error.
    pub reuse_port: bool,
    /// File mode of unix sockets.
    pub unix_mode: Mode,
}

impl Listen {
    pub(super) fn resolve(args: &ListenArgs) -> Result<Self, ConfigError> {
        let endpoints = match args.listen.as_slice() {
            [] => vec![Endpoint::Tcp((Ipv4Addr::LOCALHOST, 8080).into())],
            several => several.to_vec(),
        };
        refuse_overlaps(&endpoints)?;
        endpoints.iter().try_for_each(refuse_number)?;
        let has_unix = endpoints.iter().any(is_unix);
        let has_tcp = !endpoints.iter().all(is_unix);
        refuse_unless(has_unix, "unix-mode", args.unix_mode.as_ref(), "TCP alone")?;
        refuse_unless(has_tcp, "reuse-port", args.reuse_port.as_ref(), "unix sockets alone")?;
        let meant = Self {
            endpoints,
            instances: args.instances.unwrap_or(NonZeroU16::MIN),
            sockets: Sockets {
                backlog: args.backlog.unwrap_or(1024),
                reuse_port: args.reuse_port.unwrap_or(false),
                unix_mode: args.unix_mode.unwrap_or(Mode(0o600)),
            },
        };
        if meant.instances.get() > 1 {
            // Of its own accord a group shares its port among its instances, and with nobody else.
            let joins = args.reuse_port.filter(|joins| *joins);
            refuse_unless(false, "reuse-port", joins.as_ref(), "--instances")?;
        }
        Ok(meant)
    }

    /// Whether one of the places is TCP.
    pub(super) fn has_tcp(&self) -> bool {
        !self.endpoints.iter().all(is_unix)
    }

    pub(super) fn tell(&self, settings: &mut Settings) {
        let Self { endpoints, instances, sockets: Sockets { backlog, reuse_port, unix_mode } } = self;
        for endpoint in endpoints {
            settings.add("listen", endpoint);
        }
        if self.has_tcp() {
            settings.add("reuse-port", reuse_port);
        }
        if endpoints.iter().any(is_unix) {
            settings.add("unix-mode", unix_mode);
        }
        settings.add("instances", instances);
        settings.add("backlog", backlog);
    }
}

fn is_unix(endpoint: &Endpoint) -> bool {
    matches!(endpoint, Endpoint::Unix(_))
}

/// Where two places meet, the kernel would choose for each connection which of them gets it.
fn refuse_overlaps(endpoints: &[Endpoint]) -> Result<(), ConfigError> {
    for (n, endpoint) in endpoints.iter().enumerate() {
        let Some(other) = endpoints[..n].iter().find(|other| other.meets(endpoint)) else { continue };
        return Err(ConfigError::Contradiction(if other == endpoint {
            format!("--listen {endpoint} is given twice; leave one of them out")
        } else {
            format!("--listen {other} and --listen {endpoint} are one place in part; leave one of them out")
        }));
    }
    Ok(())
}

/// Of several instances all accept from the same socket, so there is no number to put into its path.
fn refuse_number(endpoint: &Endpoint) -> Result<(), ConfigError> {
    match endpoint {
        Endpoint::Unix(path) if path.to_string_lossy().contains(NUMBER) => {
            Err(ConfigError::Contradiction(format!(
                "%i in --listen {endpoint} has no meaning: all instances share the socket; choose a path without it"
            )))
        }
        _ => endpoint.fits(),
    }
}

fn instances(text: &str) -> Result<NonZeroU16, String> {
    let number: Option<NonZeroU16> = text.parse().ok();
    number
        .filter(|number| number.get() <= MAX_INSTANCES)
        .ok_or_else(|| format!("not a whole number from 1 to {MAX_INSTANCES}"))
}
