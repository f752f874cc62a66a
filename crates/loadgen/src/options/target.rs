//! What is loaded, as it was typed.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU16;

use clap::Args;
use report::cpus::Cpus;
use schemars::JsonSchema;
use serde::Deserialize;

use super::at_least_one;
use crate::quantity::Span;
use crate::scenario::schema::CpuList;

/// Who listens for a command's instances.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sockets {
    /// Each listens itself, all at one port that is kept free for them (`{port}`, `{address}`): what most programs can do.
    #[default]
    Port,
    /// Each is passed a listening socket of its own as systemd does, as descriptor 3; all share one port (`SO_REUSEPORT`).
    Passed,
    /// Each listens itself at a unix socket of its own (`{socket}`).
    Unix,
}

impl Sockets {
    /// As a file says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Port => "port",
            Self::Passed => "passed",
            Self::Unix => "unix",
        }
    }
}

/// When a command's instance counts as ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadyWhen {
    /// When it says so as systemd has it (`READY=1` to `NOTIFY_SOCKET`).
    Notify,
    /// When it answers a GET of this path with a status below 500.
    Answers(String),
}

impl fmt::Display for ReadyWhen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Notify => f.write_str("notify"),
            Self::Answers(path) => f.write_str(path),
        }
    }
}

impl<'de> Deserialize<'de> for ReadyWhen {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
        match text.as_str() {
            "notify" => Ok(Self::Notify),
            path if path.starts_with('/') && printable => Ok(Self::Answers(text)),
            _ => Err(serde::de::Error::custom(format!(
                "`{text}` does not say when a server is ready: write \"notify\", or a path that it answers, like \"/\""
            ))),
        }
    }
}

/// A reverse proxy in front of the instances, which listen at unix sockets then: started after them, stopped before them, and
/// loaded in their place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FrontOptions {
    /// Program and arguments, with placeholders.
    pub command: Vec<String>,

    /// Text of its configuration, with placeholders: written to a file, for which `{config}` stands. A line with `{socket}` or
    /// `{instance}` stands there once for each instance.
    pub config: Option<String>,

    /// Variables of its environment, with placeholders.
    #[serde(default)]
    pub env: BTreeMap<String, String>,

    /// When it is loaded; `/` where it is not given.
    pub ready: Option<ReadyWhen>,

    /// How long it may take until then; 30 s where it is not given.
    pub ready_timeout: Option<Span>,

    /// How long it may take to end after SIGTERM, before it is killed; 30 s where it is not given.
    pub stop_timeout: Option<Span>,

    /// A command whose first line says what it is.
    pub version: Option<Vec<String>>,

    /// The package of a Debian system that has the program: named when it is missing.
    pub package: Option<String>,
}

/// The target that a scenario starts.
#[derive(Debug, Clone, Default, PartialEq, Args, Deserialize, JsonSchema)]
#[command(next_help_heading = "Target")]
pub struct TargetOptions {
    /// URL of a server that runs already; nothing is started then
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,

    /// Path and query that are requested of the started target [default: /]
    #[arg(long, value_name = "PATH")]
    pub path: Option<String>,

    /// Server processes that share one port and one database [default: 1]
    #[arg(long, value_name = "N", value_parser = at_least_one::<NonZeroU16>)]
    #[schemars(range(min = 1, max = 256))]
    pub instances: Option<NonZeroU16>,

    /// CPUs that the started target runs on, such as 0 or 0-1 [default: all that loadgen may use]
    #[arg(long = "target-cpus", value_name = "CPUS")]
    #[schemars(with = "Option<CpuList>")]
    pub cpus: Option<Cpus>,

    /// Another server than the embedded one: a program and its arguments, with placeholders. Looked up as a shell does: in
    /// `PATH`, or from the current folder.
    #[arg(skip)]
    pub command: Option<Vec<String>>,

    /// Variables of the command's environment, with placeholders.
    #[arg(skip)]
    #[serde(default)]
    pub env: BTreeMap<String, String>,

    /// Who listens, and where; `port` where it is not given.
    #[arg(skip)]
    pub sockets: Option<Sockets>,

    /// When the command's instances are loaded; `/` where it is not given.
    #[arg(skip)]
    pub ready: Option<ReadyWhen>,

    /// How long all instances may take until then; 30 s where it is not given.
    #[arg(skip)]
    pub ready_timeout: Option<Span>,

    /// How long they may take to end after SIGTERM, before they are killed; 30 s where it is not given.
    #[arg(skip)]
    pub stop_timeout: Option<Span>,

    /// A SQLite file with the embedded server's table, in which the command keeps a row per request: it is held against the
    /// account.
    #[arg(skip)]
    pub database: Option<String>,

    /// A command whose first line says what the server is.
    #[arg(skip)]
    pub version: Option<Vec<String>>,

    /// The package of a Debian system that has the command: named when it is missing.
    #[arg(skip)]
    pub package: Option<String>,

    /// A reverse proxy in front of the instances.
    #[arg(skip)]
    pub front: Option<FrontOptions>,

    /// A setting of the started target, such as store=none; `loadgen serve --help` lists them. May be repeated
    #[arg(long = "target", value_name = "NAME=VALUE", value_parser = setting)]
    #[serde(skip)]
    pub typed: Vec<(String, String)>,

    /// The same in a file: the flags of `loadgen serve` by name, with underscores for dashes.
    #[arg(skip)]
    #[serde(flatten)]
    #[schemars(skip)]
    pub settings: BTreeMap<String, SettingValue>,
}

/// The value of a setting, as a file may write it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum SettingValue {
    /// `true`.
    Switch(bool),
    /// `4`.
    Number(u64),
    /// `"10s"`.
    Text(String),
}

impl fmt::Display for SettingValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Switch(value) => value.fmt(f),
            Self::Number(value) => value.fmt(f),
            Self::Text(value) => value.fmt(f),
        }
    }
}

fn setting(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("it is written NAME=VALUE, like store=none")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl TargetOptions {
    /// These options, and where one is not set that of `lower`.
    #[must_use]
    pub fn over(self, lower: Self) -> Self {
        let mut settings = lower.settings();
        settings.extend(self.settings());
        let mut env = lower.env;
        env.extend(self.env);
        Self {
            url: self.url.or(lower.url),
            path: self.path.or(lower.path),
            instances: self.instances.or(lower.instances),
            cpus: self.cpus.or(lower.cpus),
            typed: settings.into_iter().collect(),
            settings: BTreeMap::new(),
            command: self.command.or(lower.command),
            env,
            sockets: self.sockets.or(lower.sockets),
            ready: self.ready.or(lower.ready),
            ready_timeout: self.ready_timeout.or(lower.ready_timeout),
            stop_timeout: self.stop_timeout.or(lower.stop_timeout),
            database: self.database.or(lower.database),
            version: self.version.or(lower.version),
            package: self.package.or(lower.package),
            front: self.front.or(lower.front),
        }
    }

    /// All settings of the started target by the names of their flags; what was typed wins over the file.
    pub fn settings(&self) -> BTreeMap<String, String> {
        let flag = |name: &str| name.replace('_', "-");
        let written = self.settings.iter().map(|(name, value)| (flag(name), value.to_string()));
        written.chain(self.typed.iter().map(|(name, value)| (flag(name), value.clone()))).collect()
    }
}
