//! What is loaded.

use std::collections::BTreeMap;
use std::num::NonZeroU16;

use report::cpus::Cpus;
use url::Url;

use super::command::Command;
use super::front::Front;
use super::request::parse_url;
use super::{PlanError, Surroundings};
use crate::options::TargetOptions;

/// As many as the server itself starts.
pub(super) const MOST_INSTANCES: u16 = 256;

/// Stands for host and port of a target that is not started yet.
const PLACEHOLDER: &str = "http://target/";

/// Gives all settings of the embedded server, by the names of its flags, when some are given; or says why it cannot.
pub type Settle = fn(&BTreeMap<String, String>) -> Result<BTreeMap<String, String>, String>;

/// What is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A server that runs already, at the load's URL.
    External,
    /// The embedded server, started for the run. The load's URL gets its host and port when it listens.
    Embedded(Embedded),
    /// Another server, started for the run.
    Command(Command),
}

/// The embedded server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Embedded {
    /// How many processes.
    pub instances: NonZeroU16,
    /// CPUs that they run on. `None`: all.
    pub cpus: Option<Cpus>,
    /// Its settings, all of them, by the names of its flags: but for those that a run chooses by itself, such as where it
    /// listens and where its database lies.
    pub settings: BTreeMap<String, String>,
    /// What stands in front of it. `None`: nothing.
    pub front: Option<Front>,
}

impl Target {
    pub(super) fn resolve(options: TargetOptions, around: Surroundings) -> Result<(Self, Url), PlanError> {
        let settings = options.settings();
        if options.command.is_none() {
            Command::refuse(&options)?;
        }
        let is_command = options.command.is_some();
        let front = options.front.clone();
        let (path, instances) = (options.path.clone(), options.instances);
        if let Some(url) = &options.url {
            if is_command {
                return Err(PlanError::Exclusive("`url`", "`command`"));
            }
            let named = [
                ("path", path.is_some()),
                ("instances", instances.is_some()),
                ("cpus", options.cpus.is_some()),
                ("front", front.is_some()),
            ];
            let named = named.iter().find(|(_, is_set)| *is_set).map(|(name, _)| (*name).to_owned());
            return match named.or_else(|| settings.into_keys().next()) {
                Some(option) => Err(PlanError::NotStarted(option)),
                None => Ok((Self::External, parse_url(url)?)),
            };
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
        if let Some(cpus) = &options.cpus {
            allowed("target.cpus", cpus, around)?;
        }
        let front = front.map(|front| Front::resolve(front, instances)).transpose()?;
        if is_command {
            let command = Command::resolve(options, instances)?.behind(front)?;
            let mut url = url;
            if command.is_at_sockets() {
                // What curl calls a server at a unix socket, too.
                let _ = url.set_host(Some("localhost"));
            }
            return Ok((Self::Command(command), url));
        }
        let cpus = options.cpus;
        let settings = match around.settle {
            Some(settle) => settle(&settings).map_err(PlanError::Setting)?,
            None => settings,
        };
        Ok((Self::Embedded(Embedded { instances, cpus, settings, front }), url))
    }
}

/// Refuses CPUs that this process may not use.
pub(super) fn allowed(key: &'static str, cpus: &Cpus, around: Surroundings) -> Result<(), PlanError> {
    let Some(allowed) = (around.allowed)() else { return Ok(()) };
    match cpus.first_missing_in(&allowed) {
        Some(cpu) => Err(PlanError::Cpu { key, cpus: cpus.clone(), cpu, allowed }),
        None => Ok(()),
    }
}

impl Target {
    /// CPUs that it is started on. `None`: all, or it is not started here.
    pub fn cpus(&self) -> Option<&Cpus> {
        match self {
            Self::External => None,
            Self::Embedded(embedded) => embedded.cpus.as_ref(),
            Self::Command(command) => command.cpus.as_ref(),
        }
    }

    /// What stands in front of its instances, if something does.
    pub fn front(&self) -> Option<&Front> {
        match self {
            Self::External => None,
            Self::Embedded(embedded) => embedded.front.as_ref(),
            Self::Command(command) => command.front.as_ref(),
        }
    }

    /// The target's part of [`super::Plan::pairs`], but for the URL.
    pub(super) fn pairs(&self) -> Vec<(String, String)> {
        let cpus = self.cpus().map(|cpus| ("target.cpus".to_owned(), cpus.to_string()));
        let own = match self {
            Self::External => vec![("target.kind".to_owned(), "external".to_owned())],
            Self::Command(command) => command.pairs(),
            Self::Embedded(embedded) => embedded.pairs(),
        };
        let front = self.front().into_iter().flat_map(Front::pairs);
        cpus.into_iter().chain(own).chain(front).collect()
    }
}

impl Embedded {
    /// Length of each instance's queue of connections not yet accepted, which its parent has to know.
    pub fn backlog(&self) -> Option<u16> {
        self.settings.get("backlog")?.parse().ok()
    }

    /// Whether it keeps rows.
    pub fn has_database(&self) -> bool {
        self.settings.get("store").is_none_or(|store| store != "none")
    }

    fn pairs(&self) -> Vec<(String, String)> {
        let own = [("kind", "embedded".to_owned()), ("instances", self.instances.to_string())];
        let settings = self.settings.iter().map(|(name, value)| (name.replace('-', "_"), value.clone()));
        let own = own.map(|(key, value)| (key.to_owned(), value)).into_iter();
        own.chain(settings).map(|(key, value)| (format!("target.{key}"), value)).collect()
    }
}
