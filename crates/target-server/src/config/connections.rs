//! How many connections, and how long.

use std::fmt;
use std::time::Duration;

use clap::Args;

use super::listen::Listen;
use super::profile::Profile;
use super::value::{Time, whole};
use super::{ConfigError, Settings, refuse_unless};
use crate::accept::patience::Patience;

/// What is left of waitress's limit of 100 when its listener and its wake-up trigger, which it counts too, are taken away.
const USABLE_IN_WAITRESS: usize = 98;

/// Far more than a process can have: each connection is a descriptor (`fs.nr_open`).
const MOST_CONNECTIONS: usize = 1 << 30;

/// What becomes of connections beyond the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Overload {
    /// They stay in the kernel's queue, neither accepted nor refused, as with waitress
    Queue,
    /// They are answered 503 and closed
    Reject,
    /// They are closed at once
    Close,
}

impl fmt::Display for Overload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Queue => "queue",
            Self::Reject => "reject",
            Self::Close => "close",
        })
    }
}

/// What may be typed.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Connections")]
pub struct ConnectionArgs {
    /// Open connections per instance [default: 0, no limit; waitress: 98]
    #[arg(long, value_name = "N", value_parser = whole(0..=MOST_CONNECTIONS), env = "TARGET_MAX_CONNECTIONS")]
    pub max_connections: Option<usize>,

    /// What becomes of connections beyond the limit [default: queue]
    #[arg(long, value_enum, value_name = "HOW", env = "TARGET_OVERLOAD")]
    pub overload: Option<Overload>,

    /// How long the head of a request may take from its first byte on; 408 beyond, 0 for ever [default: 10s; waitress: 0]
    #[arg(long, value_name = "TIME", env = "TARGET_HEADER_TIMEOUT")]
    pub header_timeout: Option<Time>,

    /// How long a client may neither send nor take anything while it is waited for; 0 for ever [default: 120s]
    ///
    /// A connection without a request is closed, one whose request is half sent answered 408, and one that does not take
    /// its answer reset.
    #[arg(long, value_name = "TIME", env = "TARGET_IDLE_TIMEOUT")]
    pub idle_timeout: Option<Time>,

    /// How long a request may take from the end of its head to its answer; 0 for ever [default: 0]
    ///
    /// Beyond it is answered 408 if its body is not there yet, and 503 otherwise.
    #[arg(long, value_name = "TIME", env = "TARGET_REQUEST_TIMEOUT")]
    pub request_timeout: Option<Time>,

    /// Requests that a connection may carry before it is closed [default: 0, no limit]
    #[arg(long, value_name = "N", value_parser = whole(0..=u32::MAX), env = "TARGET_KEEPALIVE_REQUESTS")]
    pub keepalive_requests: Option<u32>,

    /// Whether small answers leave at once, without waiting for more (TCP_NODELAY) [default: true]
    #[arg(long, value_name = "BOOL", env = "TARGET_NODELAY")]
    pub nodelay: Option<bool>,
}

/// What is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connections {
    /// How many may be open at once. 0 is no limit.
    pub max: usize,
    /// What becomes of those beyond it.
    pub overload: Overload,
    /// How long clients are waited for.
    pub patience: Patience,
    /// How many requests each may carry. 0 is no limit.
    pub keepalive_requests: u32,
    /// Whether small answers leave at once.
    pub nodelay: bool,
}

impl Connections {
    pub(super) fn resolve(
        args: &ConnectionArgs,
        profile: Profile,
        listen: &Listen,
    ) -> Result<Self, ConfigError> {
        refuse_unless(listen.has_tcp(), "nodelay", args.nodelay.as_ref(), "unix sockets alone")?;
        let (max, header) = match profile {
            Profile::Waitress => (USABLE_IN_WAITRESS, 0),
            Profile::Plain | Profile::Fast => (0, 10),
        };
        let max = args.max_connections.unwrap_or(max);
        if max == 0 && args.overload.is_some() {
            return Err(ConfigError::Contradiction(
                "--overload says what becomes of connections beyond --max-connections, but there is no limit; \
                 give one, or leave out --overload"
                    .into(),
            ));
        }
        let time = |typed: Option<Time>, seconds| typed.map_or(Duration::from_secs(seconds), |time| time.0);
        Ok(Self {
            max,
            overload: args.overload.unwrap_or(Overload::Queue),
            patience: Patience {
                header: time(args.header_timeout, header),
                idle: time(args.idle_timeout, 120),
                request: time(args.request_timeout, 0),
            },
            keepalive_requests: args.keepalive_requests.unwrap_or(0),
            nodelay: args.nodelay.unwrap_or(true),
        })
    }

    pub(super) fn tell(&self, listen: &Listen, settings: &mut Settings) {
        let Self { max, overload, patience: Patience { header, idle, request }, keepalive_requests, nodelay } =
            self;
        settings.add("max-connections", max);
        if *max > 0 {
            settings.add("overload", overload);
        }
        settings.add("header-timeout", Time(*header));
        settings.add("idle-timeout", Time(*idle));
        settings.add("request-timeout", Time(*request));
        settings.add("keepalive-requests", keepalive_requests);
        if listen.has_tcp() {
            settings.add("nodelay", nodelay);
        }
    }
}
