//! Who may look inside, and what is told without being asked.

use std::path::PathBuf;

use clap::Args;

use super::endpoint::Endpoint;
use super::listen::Listen;
use super::value::{Mode, whole};
use super::{ConfigError, Settings};
use crate::log::{Format, Level};

/// What may be typed.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Admin and logs")]
pub struct AdminArgs {
    /// Where /-/healthz, /-/readyz, /-/metrics, /-/stats, /-/reset and /-/faults are served: ADDRESS:PORT or unix:PATH
    ///
    /// Whoever can connect there can read and change everything: nothing protects it but the place. %i in PATH is the
    /// number of the instance. A socket passed by a service manager by the name admin wins over this.
    #[arg(long, value_name = "PLACE", env = "TARGET_ADMIN")]
    pub admin: Option<Endpoint>,

    /// Who may connect to a unix socket of --admin, as an octal file mode; --unix-mode is for the others [default: 600]
    #[arg(long, value_name = "MODE", env = "TARGET_ADMIN_MODE")]
    pub admin_mode: Option<Mode>,

    /// Serve these paths where requests are taken, too; otherwise they are paths like any other there
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", env = "TARGET_ADMIN_ON_MAIN")]
    pub admin_on_main: Option<bool>,

    /// Name of this instance [default: its number among several, else its process id]
    #[arg(long, value_name = "NAME", value_parser = name, env = "TARGET_INSTANCE")]
    pub instance: Option<String>,

    /// Say X-Instance in every answer; a request with the header "Prefer: instance" is told anyway
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", env = "TARGET_INSTANCE_HEADER")]
    pub instance_header: Option<bool>,

    /// Say Server-Timing in every answer: queue, lock and commit; a request with the header "Prefer: server-timing" is told anyway
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", env = "TARGET_SERVER_TIMING")]
    pub server_timing: Option<bool>,

    /// File with lines like "log-level = debug" or "faults = close=2", put in force at SIGHUP (not at the start); without it
    /// SIGHUP ends what was started in a terminal
    #[arg(long, value_name = "FILE", env = "TARGET_RELOAD_FROM")]
    pub reload_from: Option<PathBuf>,

    /// How much is said on stdout [default: info]
    #[arg(long, value_enum, value_name = "LEVEL", env = "TARGET_LOG_LEVEL")]
    pub log_level: Option<Level>,

    /// How it is said [default: auto]
    #[arg(long, value_enum, value_name = "FORMAT", env = "TARGET_LOG_FORMAT")]
    pub log_format: Option<Format>,

    /// Say something of every Nth request; 0 of none [default: 0]
    #[arg(long, value_name = "N", value_parser = whole(0..=u64::MAX), env = "TARGET_LOG_SAMPLE")]
    pub log_sample: Option<u64>,
}

/// What is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Where the admin paths are served, unless a socket is passed for them.
    pub endpoint: Option<Endpoint>,
    /// File mode of that place, when it is a unix socket.
    pub mode: Mode,
    /// Whether they are served on the main sockets too.
    pub on_main: bool,
    /// The name of the instance, where one was given.
    pub instance: Option<String>,
    /// Whether every answer names it.
    pub instance_header: bool,
    /// Whether every answer says where its time went.
    pub server_timing: bool,
    /// The file that SIGHUP reads.
    pub reload_from: Option<PathBuf>,
    /// The least that an event must matter.
    pub log_level: Level,
    /// How events are told.
    pub log_format: Format,
    /// Every how manyth request is told. 0 is none.
    pub log_sample: u64,
}

/// Refuses an operator's place that is one of those for requests: whoever connects there would be answered by chance.
fn keep_apart(admin: &Endpoint, listen: &Listen) -> Result<(), ConfigError> {
    let count = listen.instances.get();
    let mut last = None;
    if let Endpoint::Tcp(address) = admin
        && address.port() != 0
    {
        last = address.port().checked_add(count - 1);
        if last.is_none() {
            return Err(ConfigError::Contradiction(format!(
                "--admin {admin} takes one port for each instance, and there are no {count} from there on"
            )));
        }
    }
    for number in 1..=count {
        let place = admin.of_instance(number, count)?;
        let Some(met) = listen.endpoints.iter().find(|endpoint| endpoint.meets(&place)) else { continue };
        let takes = last.map(|last| format!(" takes one port for each instance, up to {last},"));
        return Err(ConfigError::Contradiction(match takes {
            Some(takes) => {
                format!("--admin {admin}{takes} and --listen {met} is among them; keep them apart")
            }
            None if place == *admin => format!("--admin and --listen are both {met}; keep them apart"),
            None => format!("--admin {admin} of instance {number} is --listen {met}; keep them apart"),
        }));
    }
    Ok(())
}

impl Admin {
    pub(super) fn resolve(args: &AdminArgs, listen: &Listen) -> Result<Self, ConfigError> {
        if listen.instances.get() > 1 && args.instance.is_some() {
            return Err(ConfigError::Contradiction(
                "several instances have a number each; leave out --instance or --instances".into(),
            ));
        }
        if let Some(admin) = &args.admin {
            keep_apart(admin, listen)?;
        }
        if args.admin_mode.is_some() && !matches!(args.admin, Some(Endpoint::Unix(_))) {
            return Err(ConfigError::Contradiction(
                "--admin-mode is for a unix socket; give --admin unix:PATH, or leave it out".into(),
            ));
        }
        Ok(Self {
            endpoint: args.admin.clone(),
            // Whoever gets in there can change everything, so it is never as open as the sockets for requests by itself.
            mode: args.admin_mode.unwrap_or(Mode(0o600)),
            on_main: args.admin_on_main.unwrap_or(false),
            instance: args.instance.clone(),
            instance_header: args.instance_header.unwrap_or(false),
            server_timing: args.server_timing.unwrap_or(false),
            reload_from: args.reload_from.clone(),
            log_level: args.log_level.unwrap_or_default(),
            log_format: args.log_format.unwrap_or_default(),
            log_sample: args.log_sample.unwrap_or(0),
        })
    }

    pub(super) fn tell(&self, settings: &mut Settings) {
        let Self {
            endpoint,
            mode,
            on_main,
            instance,
            instance_header,
            server_timing,
            reload_from,
            log_level,
            log_format,
            log_sample,
        } = self;
        if let Some(endpoint) = endpoint {
            settings.add("admin", endpoint);
            if matches!(endpoint, Endpoint::Unix(_)) {
                settings.add("admin-mode", mode);
            }
        }
        settings.add("admin-on-main", on_main);
        if let Some(instance) = instance {
            settings.add("instance", instance);
        }
        settings.add("instance-header", instance_header);
        settings.add("server-timing", server_timing);
        if let Some(file) = reload_from {
            settings.add_path("reload-from", file);
        }
        settings.add("log-level", log_level);
        settings.add("log-format", log_format);
        settings.add("log-sample", log_sample);
    }
}

/// A name that fits into a header.
fn name(text: &str) -> Result<String, &'static str> {
    let fits = !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| text.to_owned()).ok_or("a name has 1 to 64 printable ASCII characters and no spaces")
}
