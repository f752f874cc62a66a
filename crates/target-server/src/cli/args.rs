//! What can be typed.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::store::{Database, Synchronous};

/// How requests are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum StoreKind {
    /// One transaction per request, by a fixed number of threads
    Pool,
    /// Not at all: requests are answered without a database
    None,
}

impl StoreKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pool => "pool",
            Self::None => "none",
        }
    }
}

/// The arguments of a server, shared by `target-server` and `loadgen serve`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct ServeArgs {
    /// Address and port to listen on; port 0 chooses a free one
    ///
    /// A socket passed by a service manager (`LISTEN_FDS`) wins over this.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    /// SQLite file that keeps one row per request; created where it is missing
    #[arg(long, value_name = "FILE", default_value = "requests.db")]
    pub database: PathBuf,

    /// How requests are recorded
    #[arg(long, value_enum, value_name = "KIND", default_value = "pool")]
    pub store: StoreKind,

    /// Threads that write to the database, per instance
    #[arg(long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: u16,

    /// Open connections per instance; further ones wait in the kernel's queue. 0 is no limit
    #[arg(long, value_name = "N", default_value = "0")]
    pub max_connections: usize,

    /// Server processes that share the port and the database
    #[arg(long, value_name = "N", default_value = "1", value_parser = instances)]
    pub instances: NonZeroU16,

    /// Length of each instance's queue of connections not yet accepted
    #[arg(long, value_name = "N", default_value = "1024", value_parser = clap::value_parser!(u16).range(1..))]
    pub backlog: u16,

    /// How careful SQLite is with the disk
    #[arg(long, value_enum, value_name = "LEVEL", default_value = "normal")]
    pub synchronous: Synchronous,

    /// How long a request waits for the database's write lock before it is answered with 500
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    pub busy_timeout: Duration,

    /// How long requests in flight may take to finish after SIGTERM or Ctrl-C
    #[arg(long, value_name = "TIME", default_value = "25s", value_parser = time)]
    pub drain_timeout: Duration,

    /// Print the number of rows and the health of the database as JSON, and exit
    #[arg(long)]
    pub inspect: bool,
}

impl ServeArgs {
    pub(crate) fn database(&self) -> Database {
        let path = self.database.clone();
        Database { path, synchronous: self.synchronous, busy_timeout: self.busy_timeout }
    }

    /// The same as words to be typed, for one of several instances.
    pub(crate) fn for_one_instance(&self) -> Vec<OsString> {
        // All fields by name, so that a new flag cannot be forgotten here.
        let Self {
            listen,
            database,
            store,
            threads,
            max_connections,
            instances: _,
            backlog,
            synchronous,
            busy_timeout,
            drain_timeout,
            inspect: _,
        } = self;
        let mut words: Vec<OsString> = Vec::new();
        let mut flag = |name: &str, value: OsString| words.extend([name.into(), value]);
        flag("--listen", listen.to_string().into());
        flag("--database", database.into());
        flag("--store", store.name().into());
        flag("--threads", threads.to_string().into());
        flag("--max-connections", max_connections.to_string().into());
        flag("--backlog", backlog.to_string().into());
        flag("--synchronous", synchronous.name().into());
        flag("--busy-timeout", format!("{}ms", busy_timeout.as_millis()).into());
        flag("--drain-timeout", format!("{}ms", drain_timeout.as_millis()).into());
        words
    }
}

/// More processes than this on one machine is a slip of the finger.
const MAX_INSTANCES: u16 = 256;

fn instances(text: &str) -> Result<NonZeroU16, String> {
    let number: Option<NonZeroU16> = text.parse().ok();
    number
        .filter(|number| number.get() <= MAX_INSTANCES)
        .ok_or_else(|| format!("not a number from 1 to {MAX_INSTANCES}"))
}

/// The longest time that can be given: an hour is beyond patience.
const MAX_TIME: Duration = Duration::from_secs(3600);

/// A time like `500ms`, `10s` or `2m`.
fn time(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let millis = match unit {
        "ms" => Some(1),
        "s" => Some(1000),
        "m" => Some(60_000),
        _ => None,
    };
    let time = number.parse::<u64>().ok().zip(millis).and_then(|(number, unit)| number.checked_mul(unit));
    let time = time.map(Duration::from_millis).filter(|time| *time <= MAX_TIME);
    time.ok_or_else(|| "not a time like 500ms, 10s or 2m, one hour at most".into())
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

    fn parse<T: Into<OsString> + Clone>(words: impl IntoIterator<Item = T>) -> ServeArgs {
        let words = words.into_iter().map(Into::into);
        Typed::try_parse_from(std::iter::once(OsString::from("target-server")).chain(words)).unwrap().serve
    }

    #[test]
    fn an_instance_gets_what_was_typed_but_for_the_instances() {
        let typed = "--listen [::1]:0 --database x.db --store none --threads 7 --max-connections 98 --instances 4 \
                     --backlog 5 --synchronous full --busy-timeout 3m --drain-timeout 250ms";
        let mut typed = parse(typed.split_whitespace());
        let passed_on = parse(typed.for_one_instance());
        typed.instances = NonZeroU16::MIN;
        assert_eq!(passed_on, typed);
    }

    #[test]
    fn times_have_a_unit_and_an_end() {
        assert_eq!(time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(time("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(time("60m"), Ok(MAX_TIME));
        for wrong in ["", "10", "s", "1.5s", "-1s", "61m", "10 s", "99999999999999999999s"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }
}
