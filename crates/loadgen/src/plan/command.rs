//! Another server than the embedded one, started for the run.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::time::Duration;

use report::cpus::Cpus;

use super::front::{CONFIG, Front};
use super::masked;
use crate::options::{ReadyWhen, Sockets, TargetOptions};
use crate::quantity::Span;
use crate::source::is_secret;

/// How long instances may take to be ready, and to end.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// What [`Command`] is started with where a word has this: its port.
pub(crate) const PORT: &str = "{port}";
/// Host and port.
pub(crate) const ADDRESS: &str = "{address}";
/// The path of the instance's own unix socket.
pub(crate) const SOCKET: &str = "{socket}";
/// The number of the instance, from 1.
pub(crate) const INSTANCE: &str = "{instance}";
/// A folder that is made for the run and removed after it.
pub(crate) const SCRATCH: &str = "{scratch}";

const PLACEHOLDERS: [&str; 6] = [PORT, ADDRESS, SOCKET, INSTANCE, SCRATCH, CONFIG];

/// Another server than the embedded one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Program and arguments, placeholders in them; at least one.
    pub words: Vec<String>,
    /// Variables on top of the inherited environment, placeholders in their values.
    pub env: BTreeMap<String, String>,
    /// How many processes.
    pub instances: NonZeroU16,
    /// CPUs that they run on. `None`: all.
    pub cpus: Option<Cpus>,
    /// Who listens, and where.
    pub sockets: Sockets,
    /// When an instance is loaded.
    pub ready: ReadyWhen,
    /// How long all may take until then.
    pub ready_timeout: Duration,
    /// How long all may take to end after SIGTERM, before they are killed.
    pub stop_timeout: Duration,
    /// The SQLite file that is held against the account, `{scratch}` in its path. `None`: nothing is.
    pub database: Option<String>,
    /// Program and arguments of which the first line says what the server is. `None`: it is not asked.
    pub version: Option<Vec<String>>,
    /// The package that has the program, named when it is missing.
    pub package: Option<String>,
    /// What stands in front of its instances. `None`: nothing.
    pub front: Option<Front>,
}

/// Why a command cannot be started like this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum CommandError {
    #[error(
        "`{0}` is empty: write a program and its arguments, like [\"my-server\", \"--port\", \"{{port}}\"]"
    )]
    Empty(&'static str),
    #[error(
        "`{0}` is a setting of `loadgen serve`, and `command` starts another server: leave one of them out"
    )]
    Setting(String),
    #[error("`{0}` is about a server that `command` starts: give a `command` too, or leave it out")]
    NoCommand(&'static str),
    #[error("`{0}` is no placeholder: did you mean `{1}`?")]
    Unknown(String, &'static str),
    #[error("`{placeholder}` in `{key}` would stand for nothing{}", socket(.sockets.as_ref()))]
    Nothing { placeholder: &'static str, key: &'static str, sockets: Option<Sockets> },
    #[error(
        "nothing tells the command where to listen: write {0} into `command` or `env`, or pass it a socket with `sockets = \"passed\"`"
    )]
    Nowhere(&'static str),
    #[error(
        "nothing tells the front where to listen: write `{{port}}` or `{{address}}` into its `config`, `command` or `env`"
    )]
    NowhereFront,
    #[error("`{0}` is no name for a variable of the environment")]
    Variable(String),
    #[error("`{0}` holds a zero byte, which no command can be told")]
    Zero(&'static str),
    #[error(
        "behind a `front`, instances listen at unix sockets of their own: write `sockets = \"unix\"` and tell the command of `{{socket}}`"
    )]
    NotBehind,
    #[error(
        "the front is not told of instance {0}: write `{{socket.{0}}}` into it, or a line with `{{socket}}` into `front.config`, which stands there \
         once for each instance"
    )]
    Left(u16),
    #[error("`{{socket.{0}}}` would stand for nothing: there {1}")]
    NoInstance(String, String),
    #[error("`{{config}}` would stand for nothing: give the front a `config`")]
    NoConfig,
    #[error(
        "nothing tells the front of its `config`: write `{{config}}` into `front.command` or `front.env`"
    )]
    Unread,
}

fn socket(sockets: Option<&Sockets>) -> String {
    sockets.map(|sockets| format!(" with `sockets = \"{}\"`", sockets.name())).unwrap_or_default()
}

impl Command {
    /// `instances`: how many, already known to be a sensible number.
    pub(super) fn resolve(options: TargetOptions, instances: NonZeroU16) -> Result<Self, CommandError> {
        if let Some(setting) = options.settings().into_keys().next() {
            return Err(CommandError::Setting(setting));
        }
        let command = Self {
            words: options.command.unwrap_or_default(),
            env: options.env,
            instances,
            cpus: options.cpus,
            sockets: options.sockets.unwrap_or_default(),
            ready: options.ready.unwrap_or_else(|| ReadyWhen::Answers("/".to_owned())),
            ready_timeout: options.ready_timeout.map_or(PATIENCE, |span| span.0),
            stop_timeout: options.stop_timeout.map_or(PATIENCE, |span| span.0),
            database: options.database,
            version: options.version,
            package: options.package,
            front: None,
        };
        command.check().map(|()| command)
    }

    /// The same with this in front of it.
    pub(super) fn behind(self, front: Option<Front>) -> Result<Self, CommandError> {
        if front.is_some() && self.sockets != Sockets::Unix {
            return Err(CommandError::NotBehind);
        }
        Ok(Self { front, ..self })
    }

    /// Whether the generator goes to the unix sockets of its instances.
    pub(super) fn is_at_sockets(&self) -> bool {
        self.sockets == Sockets::Unix && self.front.is_none()
    }

    /// Refuses those of the command's options that were given without one.
    pub(super) fn refuse(options: &TargetOptions) -> Result<(), CommandError> {
        let given = [
            ("env", !options.env.is_empty()),
            ("sockets", options.sockets.is_some()),
            ("ready", options.ready.is_some()),
            ("ready_timeout", options.ready_timeout.is_some()),
            ("stop_timeout", options.stop_timeout.is_some()),
            ("database", options.database.is_some()),
            ("version", options.version.is_some()),
            ("package", options.package.is_some()),
        ];
        match given.into_iter().find(|(_, is_given)| *is_given) {
            Some((name, _)) => Err(CommandError::NoCommand(name)),
            None => Ok(()),
        }
    }

    fn check(&self) -> Result<(), CommandError> {
        let sockets = Some(self.sockets);
        let (place, words): (_, &[&'static str]) = match self.sockets {
            Sockets::Port => (Some("`{port}` or `{address}`"), &[PORT, ADDRESS, INSTANCE, SCRATCH]),
            Sockets::Unix => (Some("`{socket}`"), &[SOCKET, INSTANCE, SCRATCH]),
            Sockets::Passed => (None, &[PORT, ADDRESS, INSTANCE, SCRATCH]),
        };
        if is_empty(&self.words) {
            return Err(CommandError::Empty("command"));
        }
        if self.version.as_deref().is_some_and(is_empty) {
            return Err(CommandError::Empty("version"));
        }
        variables(&self.env)?;
        self.words.iter().try_for_each(|word| fits("command", word, words, sockets))?;
        self.env.values().try_for_each(|value| fits("env", value, words, sockets))?;
        self.database.iter().try_for_each(|path| fits("database", path, &[SCRATCH], None))?;
        self.version.iter().flatten().try_for_each(|word| fits("version", word, &[], None))?;
        let told = |place: &str| self.words.iter().chain(self.env.values()).any(|word| word.contains(place));
        match place {
            Some(named) if ![PORT, ADDRESS, SOCKET].into_iter().any(told) => {
                Err(CommandError::Nowhere(named))
            }
            _ => Ok(()),
        }
    }

    /// Everything as flat pairs, secrets as `***`: placeholders stay as they are.
    pub(super) fn pairs(&self) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        let mut put = |key: &str, value: String| pairs.push((format!("target.{key}"), value));
        put("kind", "command".to_owned());
        put("command", shell(&self.words));
        for (name, value) in &self.env {
            put(&format!("env.{name}"), shown(name, value));
        }
        put("instances", self.instances.to_string());
        put("sockets", self.sockets.name().to_owned());
        put("ready", self.ready.to_string());
        put("ready_timeout", Span(self.ready_timeout).to_string());
        put("stop_timeout", Span(self.stop_timeout).to_string());
        if let Some(database) = &self.database {
            put("database", database.clone());
        }
        if let Some(version) = &self.version {
            put("version", shell(version));
        }
        pairs
    }
}

/// Refuses names that no variable can have.
pub(super) fn variables(env: &BTreeMap<String, String>) -> Result<(), CommandError> {
    match env.keys().find(|name| name.is_empty() || name.contains(['=', '\0'])) {
        Some(name) => Err(CommandError::Variable(name.clone())),
        None => Ok(()),
    }
}

/// Whether there is no program in it.
pub(super) fn is_empty(words: &[String]) -> bool {
    words.first().is_none_or(String::is_empty)
}

/// Whether all placeholders in a word are among `known`. Other braces are the command's own business.
pub(super) fn fits(
    key: &'static str,
    word: &str,
    known: &[&'static str],
    sockets: Option<Sockets>,
) -> Result<(), CommandError> {
    if word.contains('\0') {
        return Err(CommandError::Zero(key));
    }
    let misplaced =
        |placeholder: &&&'static str| word.contains(**placeholder) && !known.contains(*placeholder);
    if let Some(placeholder) = PLACEHOLDERS.iter().find(misplaced) {
        return Err(CommandError::Nothing { placeholder, key, sockets });
    }
    for (start, _) in word.match_indices('{') {
        let Some(end) = word[start..].find('}') else { break };
        let text = &word[start..=start + end];
        let lower = text.to_ascii_lowercase();
        let near = known.iter().find(|name| **name != text && strsim::osa_distance(name, &lower) <= 1);
        if let Some(near) = near {
            return Err(CommandError::Unknown(text.to_owned(), near));
        }
    }
    Ok(())
}

/// The value of a variable as it may be told.
pub(super) fn shown(name: &str, value: &str) -> String {
    if is_secret(name) || name.to_ascii_lowercase().contains("key") {
        return "***".to_owned();
    }
    match url::Url::parse(value) {
        Ok(url) if url.password().is_some() => masked(&url),
        _ => value.to_owned(),
    }
}

/// Words as one would type them.
pub(super) fn shell(words: &[String]) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@%+,{}".contains(&byte);
    let quoted = words.iter().map(|word| {
        let is_plain = !word.is_empty() && word.bytes().all(plain);
        if is_plain { word.clone() } else { format!("'{}'", word.replace('\'', r"'\''")) }
    });
    quoted.collect::<Vec<_>>().join(" ")
}
