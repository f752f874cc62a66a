//! Did the instances share the load as evenly as chance lets them?
//!
//! The kernel gives each connection to one of the sockets of a shared port by a hash of its addresses (`SO_REUSEPORT`). Over `n`
//! connections and `k` instances the numbers are multinomial: an instance's share has the mean `p = 1/k` and the standard
//! deviation `sqrt(p * (1 - p) / n)`. Requests follow their connections, so `n` counts connections, however many requests there
//! were: with few of them, very uneven is usual.

use std::fmt;

use crate::document::Run;
use crate::units::{count, counted, share};

/// Further from the mean than so many standard deviations is not chance: that happens to one instance in 16,000.
const DEVIATIONS: f64 = 4.0;

/// One instance had much more or less than its share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Uneven {
    /// Which one, counted from 1: the one that is furthest off.
    pub number: u64,
    /// How many instances there were.
    pub instances: u64,
    /// Its share of the requests, from 0 to 1.
    pub requests: f64,
    /// Connections that it took.
    pub own: u64,
    /// Connections of all instances.
    pub all: u64,
    /// What may be behind it.
    pub cause: Cause,
}

/// Why requests were shared unevenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// So were the connections, more than by chance.
    Connections,
    /// Connections were not: requests on them took longer, or less long, than elsewhere.
    Speed,
    /// It had no connection at all, by chance.
    LeftOut,
}

/// What one instance did.
struct Part {
    number: u64,
    requests: f64,
    connections: f64,
    own: u64,
}

/// The key of who listens for a command's instances.
const SOCKETS_KEY: &str = "target.sockets";

/// Whether the kernel chooses an instance for each connection. At sockets of their own they are dealt out in turn, and a front
/// deals them out in its own way.
fn is_hashed(run: &Run) -> bool {
    run.front.is_none() && run.config.get(SOCKETS_KEY).is_none_or(|sockets| sockets != "unix")
}

/// The instance that is furthest from its share, where that is more than chance, or one without any connection.
pub(crate) fn uneven(run: &Run) -> Option<Uneven> {
    let told = run.instances.iter().filter(|instance| instance.ended == "stopped");
    let told: Vec<(u64, u64, u64)> =
        told.filter_map(|one| Some((one.number, one.answered?, one.accepted?))).collect();
    // Of one that died, the others had the rest.
    let is_whole = told.len() == run.instances.len() && told.len() > 1;
    let answered: u64 = told.iter().map(|(_, answered, _)| answered).sum();
    let all: u64 = told.iter().map(|(_, _, accepted)| accepted).sum();
    if !is_whole || answered == 0 || all == 0 || !is_hashed(run) {
        return None;
    }
    let part = |&(number, requests, own): &(u64, u64, u64)| {
        let (requests, connections) = (requests as f64 / answered as f64, own as f64 / all as f64);
        Part { number, requests, connections, own }
    };
    let parts: Vec<Part> = told.iter().map(part).collect();
    let instances = parts.len() as u64;
    let found = |part: &Part, cause| {
        let Part { number, requests, own, .. } = *part;
        Uneven { number, instances, requests, own, all, cause }
    };
    let off = |part: &Part| (part.requests - mean(instances)).abs();
    // Of two, both are equally far off: the one that did more is named.
    let further = |one: &&Part, other: &&Part| {
        off(one).total_cmp(&off(other)).then(one.requests.total_cmp(&other.requests))
    };
    let most = parts.iter().max_by(further)?;
    let limit = DEVIATIONS * deviation(instances, all);
    if off(most) > limit {
        let is_by_connections = (most.connections - mean(instances)).abs() > limit;
        return Some(found(most, if is_by_connections { Cause::Connections } else { Cause::Speed }));
    }
    parts.iter().find(|part| part.own == 0).map(|part| found(part, Cause::LeftOut))
}

fn mean(instances: u64) -> f64 {
    1.0 / instances as f64
}

/// The standard deviation of one instance's share of so many connections.
fn deviation(instances: u64, connections: u64) -> f64 {
    let mean = mean(instances);
    (mean * (1.0 - mean) / connections as f64).sqrt()
}

/// How many connections each of the instances has by chance: `25 +- 4.3`.
fn by_chance(instances: u64, connections: u64) -> String {
    let connections_f64 = connections as f64;
    let spread = deviation(instances, connections) * connections_f64;
    format!("{:.0} +- {spread:.1}", mean(instances) * connections_f64)
}

impl Uneven {
    /// What to do about it.
    pub fn advice(&self) -> &'static str {
        match self.cause {
            Cause::Connections => "see whether instances were late, full, or slow to accept",
            Cause::Speed => "compare the CPU and the times of the instances",
            Cause::LeftOut => "use more connections than a few for each instance",
        }
    }
}

impl fmt::Display for Uneven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, instances, requests, own, all, cause } = *self;
        let connections = counted(all, "connection");
        if cause == Cause::LeftOut {
            // Each is left out with (1 - 1/k)^n; for small chances, that of any is their sum.
            let one = (1.0 - mean(instances)).powf(all as f64);
            let any = (one * instances as f64).min(1.0);
            return write!(
                f,
                "instance {number} got none of {connections}: the kernel hashes them over {instances} instances, and leaves one out in \
                 about {} of such runs",
                share(any)
            );
        }
        write!(
            f,
            "instance {number} answered {} of the requests, where each of {instances} has {}",
            share(requests),
            share(mean(instances))
        )?;
        let chance = by_chance(instances, all);
        match cause {
            Cause::Connections => {
                write!(f, ": it took {} of {connections}, and by chance each has {chance}", count(own))
            }
            Cause::Speed | Cause::LeftOut => write!(
                f,
                ", over {} of {connections}, which is not unusual ({chance} by chance): its answers took another time than those of others",
                count(own)
            ),
        }
    }
}
