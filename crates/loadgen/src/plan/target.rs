//! What is loaded.

use std::num::NonZeroU16;
use std::time::Duration;

use url::Url;

use super::PlanError;
use super::request::parse_url;
use crate::options::{Store, Synchronous, TargetOptions};

/// As many as the server itself starts.
pub(super) const MOST_INSTANCES: u16 = 256;

/// Stands for host and port of a target that is not started yet.
const PLACEHOLDER: &str = "http://target/";

/// What is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A server that runs already, at the load's URL.
    External,
    /// The embedded server, started for the run. The load's URL gets its host and port when it listens.
    Embedded(Embedded),
}

/// Settings of the embedded server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is documented at its namesake in TargetOptions")]
pub struct Embedded {
    pub instances: NonZeroU16,
    pub store: Store,
    pub threads: u16,
    pub max_connections: u32,
    pub backlog: u16,
    pub synchronous: Synchronous,
    pub busy_timeout: Duration,
}

impl Target {
    pub(super) fn resolve(options: TargetOptions) -> Result<(Self, Url), PlanError> {
        let TargetOptions {
            url,
            path,
            instances,
            store,
            threads,
            max_connections,
            backlog,
            synchronous,
            busy_timeout,
        } = options;
        if let Some(url) = url {
            let started = [
                ("path", path.is_some()),
                ("instances", instances.is_some()),
                ("store", store.is_some()),
                ("threads", threads.is_some()),
                ("max_connections", max_connections.is_some()),
                ("backlog", backlog.is_some()),
                ("synchronous", synchronous.is_some()),
                ("busy_timeout", busy_timeout.is_some()),
            ];
            if let Some((option, _)) = started.iter().find(|(_, is_set)| *is_set) {
                return Err(PlanError::NotStarted(option));
            }
            return Ok((Self::External, parse_url(&url)?));
        }
        let path = path.unwrap_or_else(|| "/".to_owned());
        if !path.starts_with('/') {
            return Err(PlanError::Path(path));
        }
        let url = parse_url(PLACEHOLDER)?.join(&path).map_err(|_| PlanError::Path(path))?;
        let instances = instances.unwrap_or(NonZeroU16::MIN);
        if instances.get() > MOST_INSTANCES {
            return Err(PlanError::TooManyInstances);
        }
        let embedded = Embedded {
            instances,
            store: store.unwrap_or(Store::Pool),
            threads: threads.map_or(4, NonZeroU16::get),
            max_connections: max_connections.unwrap_or(0),
            backlog: backlog.map_or(1024, NonZeroU16::get),
            synchronous: synchronous.unwrap_or(Synchronous::Normal),
            busy_timeout: busy_timeout.map_or(Duration::from_secs(10), |span| span.0),
        };
        Ok((Self::Embedded(embedded), url))
    }
}

impl Embedded {
    /// The settings of one instance as flags of `loadgen serve`, without their dashes.
    pub fn settings(&self) -> [(&'static str, String); 6] {
        let store = match self.store {
            Store::Pool => "pool",
            Store::None => "none",
        };
        let synchronous = match self.synchronous {
            Synchronous::Normal => "normal",
            Synchronous::Full => "full",
            Synchronous::Off => "off",
        };
        [
            ("store", store.to_owned()),
            ("threads", self.threads.to_string()),
            ("max-connections", self.max_connections.to_string()),
            ("backlog", self.backlog.to_string()),
            ("synchronous", synchronous.to_owned()),
            ("busy-timeout", format!("{}ms", self.busy_timeout.as_millis())),
        ]
    }
}
