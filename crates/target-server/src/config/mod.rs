//! What may be typed, and what is meant by it?
//!
//! Settings come in groups, one file each, and every group is told three times in its file: what may be typed (all of it
//! optional), what is meant (final: nothing is defaulted later), and how that is typed again, for other instances and for
//! people. What nobody typed is as the profile has it.

pub mod admin;
pub mod connections;
pub mod endpoint;
pub mod faults;
pub mod http;
pub mod life;
pub mod listen;
pub mod profile;
pub mod reload;
pub mod store;
pub mod value;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{OsStr, Resettable};
use clap::{Args, FromArgMatches};

use self::admin::{Admin, AdminArgs};
use self::connections::{ConnectionArgs, Connections};
use self::faults::{FaultArgs, Faults};
use self::http::{Http, HttpArgs};
use self::life::{Life, LifeArgs};
use self::listen::{Listen, ListenArgs};
use self::profile::Profile;
use self::store::{Store, StoreArgs};

/// The arguments of a server, shared by `target-server` and `loadgen serve`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct ServeArgs {
    /// The defaults of what is not given
    ///
    /// Every setting can be given in the environment too, by the name that stands with it; what is typed wins. Any other
    /// variable that begins with TARGET_ is taken for a misspelt one and refused.
    #[arg(long, value_enum, value_name = "NAME", default_value = "plain", env = "TARGET_PROFILE")]
    pub profile: Profile,

    #[command(flatten)]
    pub(crate) listen: ListenArgs,

    #[command(flatten)]
    pub(crate) connections: ConnectionArgs,

    #[command(flatten)]
    pub(crate) http: HttpArgs,

    #[command(flatten)]
    pub(crate) store: StoreArgs,

    #[command(flatten)]
    pub(crate) life: LifeArgs,

    #[command(flatten)]
    pub(crate) admin: AdminArgs,

    #[command(flatten)]
    pub(crate) faults: FaultArgs,

    /// Print the settings as JSON, spelled as on the command line, and exit; what a start would refuse is refused
    #[arg(long)]
    pub print_config: bool,

    /// Print the number of rows and the health of the database as JSON, and exit
    #[arg(long, conflicts_with = "print_config")]
    pub inspect: bool,
}

/// Settings that belong to one run and not to what is measured: where it listens, where files lie.
pub const OF_A_RUN: [&str; 11] = [
    "listen",
    "reuse-port",
    "unix-mode",
    "instances",
    "instance",
    "admin",
    "admin-mode",
    "reload-from",
    "database",
    "print-config",
    "inspect",
];

impl ServeArgs {
    /// What the words of a command line say, whatever the environment says.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn of_words(words: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let deaf = |arg: clap::Arg| arg.env(Resettable::<OsStr>::Reset);
        let command = Self::augment_args(clap::Command::new("serve").no_binary_name(true)).mut_args(deaf);
        Self::from_arg_matches(&command.try_get_matches_from(words)?)
    }

    /// The database that `--inspect` looks into.
    pub(crate) fn inspected(&self) -> PathBuf {
        store::path(&self.store)
    }
}

/// What a server shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where unset values came from.
    pub profile: Profile,
    /// Where connections come from.
    pub listen: Listen,
    /// How many there may be, and how long.
    pub connections: Connections,
    /// What requests may be, and what answers look like.
    pub http: Http,
    /// How requests are recorded.
    pub store: Store,
    /// How it lives and dies.
    pub life: Life,
    /// Who may look inside, and what is told.
    pub admin: Admin,
    /// How it misbehaves on purpose.
    pub faults: Faults,
}

/// Why what was typed cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A setting of something else than what was chosen.
    #[error("--{flag} has no meaning with {with}; leave one of them out")]
    Meaningless {
        /// Its name without the dashes.
        flag: &'static str,
        /// What it does not go with.
        with: String,
    },
    /// Values that contradict each other.
    #[error("{0}")]
    Contradiction(String),
}

impl Config {
    /// What is meant by what was typed.
    ///
    /// # Errors
    /// When settings contradict each other, or one would be ignored.
    pub fn resolve(args: &ServeArgs) -> Result<Self, ConfigError> {
        let profile = args.profile;
        let listen = Listen::resolve(&args.listen)?;
        Ok(Self {
            profile,
            admin: Admin::resolve(&args.admin, &listen)?,
            faults: Faults::resolve(&args.faults),
            connections: Connections::resolve(&args.connections, profile, &listen)?,
            listen,
            http: Http::resolve(&args.http, profile),
            store: Store::resolve(&args.store, profile)?,
            life: Life::resolve(&args.life)?,
        })
    }

    /// Every setting by its flag's name, spelled as on the command line.
    pub fn settings(&self) -> Settings {
        let Self { profile, listen, connections, http, store, life, admin, faults } = self;
        let mut settings = Settings::default();
        settings.add("profile", profile);
        listen.tell(&mut settings);
        connections.tell(listen, &mut settings);
        http.tell(&mut settings);
        store.tell(&mut settings);
        life.tell(&mut settings);
        admin.tell(&mut settings);
        faults.tell(&mut settings);
        settings
    }

    /// The same as words to be typed, for one of several instances: it does not depend on the environment, and is given
    /// its sockets.
    pub(crate) fn for_one_instance(&self) -> Vec<OsString> {
        let is_typed =
            |name: &str| !listen::OF_THE_PARENT.contains(&name) && !self.store.is_mere_default(name);
        self.settings().words(is_typed)
    }
}

/// Settings in the order of `--help`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings(Vec<(&'static str, OsString)>);

impl Settings {
    /// One more, as it is displayed.
    fn add(&mut self, name: &'static str, value: impl std::fmt::Display) {
        self.0.push((name, value.to_string().into()));
    }

    /// One more, which may be no text.
    fn add_path(&mut self, name: &'static str, value: impl Into<OsString>) {
        self.0.push((name, value.into()));
    }

    /// Name and value of those that say what is measured, not where.
    pub fn of_a_plan(self) -> impl Iterator<Item = (String, String)> {
        let lasting = self.0.into_iter().filter(|(name, _)| !OF_A_RUN.contains(name));
        lasting.map(|(name, value)| (name.to_owned(), value.to_string_lossy().into_owned()))
    }

    /// As words of a command line, those of which the name is wanted. Each is one word, whatever the value begins with.
    fn words(&self, wanted: impl Fn(&str) -> bool) -> Vec<OsString> {
        let word = |(name, value): &(&str, OsString)| {
            let mut word = OsString::from(format!("--{name}="));
            word.push(value);
            word
        };
        self.0.iter().filter(|(name, _)| wanted(name)).map(word).collect()
    }

    /// As a JSON object. What can be given several times is a list.
    pub fn to_json(&self) -> serde_json::Value {
        let mut object = serde_json::Map::new();
        for (name, value) in &self.0 {
            let value = value.to_string_lossy().into_owned().into();
            if listen::REPEATED.contains(name) {
                let list = object.entry(*name).or_insert_with(|| serde_json::Value::Array(Vec::new()));
                list.as_array_mut().into_iter().for_each(|list| list.push(serde_json::Value::clone(&value)));
            } else {
                object.insert((*name).to_owned(), value);
            }
        }
        object.into()
    }
}

/// The environment variables that stand for flags.
pub fn variables() -> Vec<OsString> {
    let command = ServeArgs::augment_args(clap::Command::new("serve"));
    command.get_arguments().filter_map(|arg| arg.get_env().map(ToOwned::to_owned)).collect()
}

/// Refuses what was typed for something else than what was chosen.
fn refuse_unless<T>(
    meant: bool,
    flag: &'static str,
    typed: Option<&T>,
    with: &str,
) -> Result<(), ConfigError> {
    match typed {
        Some(_) if !meant => Err(ConfigError::Meaningless { flag, with: with.to_owned() }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Typed {
        #[command(flatten)]
        serve: ServeArgs,
    }

    fn resolve<T: Into<OsString>>(words: impl IntoIterator<Item = T>) -> Result<Config, String> {
        let words = words.into_iter().map(Into::into);
        let typed = Typed::try_parse_from(std::iter::once(OsString::from("target-server")).chain(words));
        Config::resolve(&typed.map_err(|error| error.to_string())?.serve).map_err(|error| error.to_string())
    }

    /// Command lines that set every setting there is, each to something else than any profile has.
    const EVERYTHING: [&str; 11] = [
        "--max-connections 97 --overload reject --backlog 5 --drain-timeout 250ms --drain-idle 20ms",
        "--header-timeout 7s --idle-timeout 8s --request-timeout 9s --keepalive-requests 3 --nodelay false",
        "--max-body 1KiB --max-head 2KiB --max-headers 3 --title-case true --server x",
        "--title-case false --server=",
        "--admin-on-main true --instance x --instance-header true --server-timing true",
        "--reload-from f --log-level debug --log-format plain --log-sample 9 --faults delay=1ms:5&close=2 --allow-faults true --seed 8",
        "--store pool --database x.db --threads 7 --synchronous full --busy-timeout 3m",
        "--store group --batch-max 99 --queue-max 7 --busy fixed:3ms --autoincrement true",
        "--store pool --checkpoint background --wal-max 3MiB --autoincrement false --busy sqlite",
        "--store none",
        "--admin unix:x --admin-mode 660",
    ];

    #[test]
    fn every_setting_there_is_is_among_them() {
        let elsewhere = ["profile", "print-config", "inspect"];
        let words: Vec<&str> = EVERYTHING.iter().flat_map(|line| line.split(' ')).collect();
        let is_set = |flag: &str| {
            let dashed = format!("--{flag}");
            words.iter().any(|word| word.split('=').next() == Some(&dashed))
        };
        let command = ServeArgs::augment_args(clap::Command::new("serve"));
        let flags: Vec<&str> = command.get_arguments().filter_map(clap::Arg::get_long).collect();
        assert!(flags.len() > 30, "{flags:?}");
        for flag in flags {
            let otherwise = listen::OF_THE_PARENT.contains(&flag) || elsewhere.contains(&flag);
            assert!(is_set(flag) || otherwise, "--{flag} is in EVERYTHING, or an instance is not told it");
        }
    }

    #[test]
    fn an_instance_means_what_its_parent_means() {
        for line in EVERYTHING {
            // Some lines have no meaning with the store of some profile.
            let all = ["plain", "waitress", "fast"];
            let meanings = all.map(|profile| resolve(line.split(' ').chain(["--profile", profile])).ok());
            assert!(meanings.iter().any(Option::is_some), "{line}");
            for mut meant in meanings.into_iter().flatten() {
                let instance = resolve(meant.for_one_instance());
                // It is given its socket.
                (meant.admin.endpoint, meant.admin.mode) = (None, value::Mode(0o600));
                assert_eq!(instance, Ok(meant), "{line}");
            }
        }
    }

    #[test]
    fn nothing_of_a_database_can_be_meant_without_one() {
        for setting in [
            "database x",
            "threads 3",
            "batch-max 3",
            "queue-max 3",
            "synchronous off",
            "busy sqlite",
            "busy-timeout 1s",
            "checkpoint auto",
            "wal-max 3MiB",
            "autoincrement true",
        ] {
            let said = resolve(format!("--store none --{setting}").split(' ')).unwrap_err();
            assert!(said.contains("has no meaning with --store none"), "{said}");
        }
    }

    #[test]
    fn a_profile_has_its_own_store() {
        let of = |profile: &str| {
            let told = resolve(["--profile", profile]).unwrap().settings().to_json();
            ["store", "busy", "autoincrement", "checkpoint"].map(|name| told[name].to_string())
        };
        assert_eq!(of("plain"), ["\"pool\"", "\"sqlite\"", "\"true\"", "\"auto\""]);
        assert_eq!(of("waitress"), of("plain"));
        assert_eq!(of("fast"), ["\"group\"", "\"fixed:1ms\"", "\"false\"", "\"auto\""]);
    }

    #[test]
    fn a_mere_default_is_not_demanded_of_the_instances() {
        let words = |line: &str| resolve(line.split(' ')).unwrap().for_one_instance();
        let typed = |words: &[OsString]| words.contains(&"--autoincrement=true".into());
        assert!(!typed(&words("--store pool")));
        assert!(typed(&words("--autoincrement true")));
    }

    #[test]
    fn settings_are_told_as_they_are_typed() {
        let config = resolve(["--listen", "127.0.0.1:0", "--busy-timeout", "1500ms"]).unwrap();
        let told = config.settings().to_json();
        assert_eq!((&told["listen"], &told["busy-timeout"]), (&["127.0.0.1:0"].into(), &"1500ms".into()));
    }

    #[test]
    fn what_would_be_ignored_is_refused() {
        for (line, said) in [
            ("--store none --threads 3", "--threads has no meaning with --store none; leave one of them out"),
            (
                "--profile fast --threads 3",
                "--threads has no meaning with --store group; leave one of them out",
            ),
            ("--batch-max 3", "--batch-max has no meaning with --store pool; leave one of them out"),
            ("--wal-max 3MiB", "--wal-max has no meaning with --checkpoint auto; leave one of them out"),
            (
                "--listen 127.0.0.1:8002 --admin 127.0.0.1:8001 --instances 2",
                "--admin 127.0.0.1:8001 takes one port for each instance, up to 8002, and --listen 127.0.0.1:8002 is \
                 among them; keep them apart",
            ),
            (
                "--listen :8001 --admin 127.0.0.1:8001",
                "--admin 127.0.0.1:8001 takes one port for each instance, up to 8001, and --listen 0.0.0.0:8001 is \
                 among them; keep them apart",
            ),
            ("--listen unix:x --admin unix:x", "--admin and --listen are both unix:x; keep them apart"),
            (
                "--admin 127.0.0.1:65535 --instances 2",
                "--admin 127.0.0.1:65535 takes one port for each instance, and there are no 2 from there on",
            ),
            (
                "--checkpoint background --wal-max 1023KiB",
                "--wal-max 1023KiB is too small; give 1MiB or more",
            ),
        ] {
            assert_eq!(resolve(line.split(' ')), Err(said.to_owned()), "{line}");
        }
    }
}
