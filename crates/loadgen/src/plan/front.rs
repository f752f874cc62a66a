//! A reverse proxy in front of the instances, started and stopped with them.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::time::Duration;

use report::units::counted;

use super::command::{
    ADDRESS, CommandError, INSTANCE, PATIENCE, PORT, SCRATCH, SOCKET, fits, is_empty, shell, shown, variables,
};
use crate::options::{FrontOptions, ReadyWhen};
use crate::quantity::Span;

/// The path of the file with the front's configuration.
pub(crate) const CONFIG: &str = "{config}";

/// What begins a placeholder for the unix socket of one instance, before its number and a closing brace.
const SOCKET_OF: &str = "{socket.";

/// The placeholder for the unix socket of an instance.
pub(crate) fn socket_of(number: u16) -> String {
    format!("{SOCKET_OF}{number}}}")
}

/// A reverse proxy in front of the instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Front {
    /// Program and arguments, placeholders in them; at least one.
    pub words: Vec<String>,
    /// Its configuration, placeholders in it, a line for each instance where they need one. `None`: it needs no file.
    pub config: Option<String>,
    /// Variables on top of the inherited environment, placeholders in their values.
    pub env: BTreeMap<String, String>,
    /// When it is loaded.
    pub ready: ReadyWhen,
    /// How long it may take until then.
    pub ready_timeout: Duration,
    /// How long it may take to end after SIGTERM, before it is killed.
    pub stop_timeout: Duration,
    /// Program and arguments of which the first line says what it is. `None`: it is not asked.
    pub version: Option<Vec<String>>,
    /// The package that has the program, named when it is missing.
    pub package: Option<String>,
}

impl Front {
    /// `instances`: how many are behind it.
    pub(super) fn resolve(options: FrontOptions, instances: NonZeroU16) -> Result<Self, CommandError> {
        let front = Self {
            words: options.command,
            config: options.config.map(|config| for_each(&config, instances)),
            env: options.env,
            ready: options.ready.unwrap_or_else(|| ReadyWhen::Answers("/".to_owned())),
            ready_timeout: options.ready_timeout.map_or(PATIENCE, |span| span.0),
            stop_timeout: options.stop_timeout.map_or(PATIENCE, |span| span.0),
            version: options.version,
            package: options.package,
        };
        front.check(instances).map(|()| front)
    }

    fn check(&self, instances: NonZeroU16) -> Result<(), CommandError> {
        if is_empty(&self.words) {
            return Err(CommandError::Empty("front.command"));
        }
        if self.version.as_deref().is_some_and(is_empty) {
            return Err(CommandError::Empty("front.version"));
        }
        variables(&self.env)?;
        let known = [PORT, ADDRESS, SCRATCH, CONFIG];
        for (key, text) in self.texts() {
            fits(key, text, if key == "front.config" { &known[..3] } else { &known }, None)?;
            no_further(text, instances)?;
        }
        self.version.iter().flatten().try_for_each(|word| fits("front.version", word, &[], None))?;
        let is_told = |what: &str| self.texts().any(|(_, text)| text.contains(what));
        if !is_told(PORT) && !is_told(ADDRESS) {
            return Err(CommandError::NowhereFront);
        }
        match (self.config.is_some(), is_told(CONFIG)) {
            (true, false) => return Err(CommandError::Unread),
            (false, true) => return Err(CommandError::NoConfig),
            _ => {}
        }
        match (1..=instances.get()).find(|number| !is_told(&socket_of(*number))) {
            Some(left) => Err(CommandError::Left(left)),
            None => Ok(()),
        }
    }

    /// Everything that may hold placeholders, and under which key.
    fn texts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let words = self.words.iter().map(|word| ("front.command", word.as_str()));
        let env = self.env.values().map(|value| ("front.env", value.as_str()));
        words.chain(env).chain(self.config.iter().map(|config| ("front.config", config.as_str())))
    }

    /// Everything as flat pairs, secrets as `***`: placeholders stay as they are. Of the configuration what is no comment.
    pub(super) fn pairs(&self) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        let mut put = |key: &str, value: String| pairs.push((format!("target.front.{key}"), value));
        put("command", shell(&self.words));
        if let Some(config) = &self.config {
            let lines = config.lines().map(str::trim);
            let lines: Vec<_> = lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
            put("config", lines.join(" | "));
        }
        for (name, value) in &self.env {
            put(&format!("env.{name}"), shown(name, value));
        }
        put("ready", self.ready.to_string());
        put("ready_timeout", Span(self.ready_timeout).to_string());
        put("stop_timeout", Span(self.stop_timeout).to_string());
        if let Some(version) = &self.version {
            put("version", shell(version));
        }
        pairs
    }
}

/// The text with each line that is about an instance as often as there are instances.
fn for_each(config: &str, instances: NonZeroU16) -> String {
    let mut lines = String::new();
    for line in config.split_inclusive('\n') {
        if !line.contains(SOCKET) && !line.contains(INSTANCE) {
            lines.push_str(line);
            continue;
        }
        for number in 1..=instances.get() {
            lines.push_str(&line.replace(SOCKET, &socket_of(number)).replace(INSTANCE, &number.to_string()));
            if !line.ends_with('\n') {
                lines.push('\n');
            }
        }
    }
    lines
}

/// Refuses the socket of an instance that there is not.
fn no_further(text: &str, instances: NonZeroU16) -> Result<(), CommandError> {
    for (start, _) in text.match_indices(SOCKET_OF) {
        let rest = &text[start + SOCKET_OF.len()..];
        let number = rest.split_once('}').map_or(rest, |(number, _)| number);
        let is_one = |number: u16| (1..=instances.get()).contains(&number);
        if !number.parse().is_ok_and(is_one) || number.starts_with(['0', '+']) {
            let one = if instances.get() == 1 { "is" } else { "are" };
            let there = format!("{one} {}", counted(instances.get().into(), "instance"));
            return Err(CommandError::NoInstance(number.chars().take(20).collect(), there));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn front(instances: u16, command: &[&str], config: Option<&str>) -> Result<Front, String> {
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        let options = FrontOptions { command, config: config.map(str::to_owned), ..FrontOptions::default() };
        Front::resolve(options, NonZeroU16::new(instances).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_line_about_instances_stands_once_for_each() {
        let config = "bind {address}\nserver s{instance} unix@{socket} maxconn 9\n# end";
        let front = front(2, &["proxy", "{config}"], Some(config)).unwrap();
        assert_eq!(
            front.config.as_deref(),
            Some(
                "bind {address}\nserver s1 unix@{socket.1} maxconn 9\nserver s2 unix@{socket.2} maxconn 9\n# end"
            )
        );
        let pairs: BTreeMap<_, _> = front.pairs().into_iter().collect();
        assert_eq!(
            pairs["target.front.config"],
            "bind {address} | server s1 unix@{socket.1} maxconn 9 | server s2 unix@{socket.2} maxconn 9"
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let all = "{address} {socket.1} {socket.2}";
        for (command, config, said) in [
            (&[][..], None, "`front.command` is empty: write a program"),
            (
                &["p", "{address}", "{socket.1}"],
                None,
                "the front is not told of instance 2: write `{socket.2}`",
            ),
            (&["p", all, "{socket.3}"], None, "`{socket.3}` would stand for nothing: there are 2 instances"),
            (&["p", all, "{socket.x}"], None, "`{socket.x}` would stand for nothing"),
            (&["p", all, "{config}"], None, "`{config}` would stand for nothing: give the front a `config`"),
            (&["p", all], Some("x"), "nothing tells the front of its `config`"),
            (&["p", "{socket.1}{socket.2}"], None, "nothing tells the front where to listen"),
            (&["p", all, "{prot}"], None, "`{prot}` is no placeholder: did you mean `{port}`?"),
            (&["p", all, "{socket}"], None, "`{socket}` in `front.command` would stand for nothing"),
            (
                &["p", all, "{config}"],
                Some("{config}"),
                "`{config}` in `front.config` would stand for nothing",
            ),
        ] {
            let error = front(2, command, config).unwrap_err();
            assert!(error.starts_with(said), "{command:?}: {error}");
        }
    }
}
