//! Was the machine fit for measuring? What is not known is nothing to be said.

use std::fmt;

use crate::document::{Conditions, Run};
use crate::units::{counted, memory};
use crate::verdict;

/// The governor under which the clock stays where it is.
const FIXED: &str = "performance";
/// Share of the machine's CPUs that other programs may use. As for pressure in [`crate::verdict`].
const OTHERS: f64 = 0.1;
/// Less CPU time of others than this, in all, is how a system is.
const NOTHING_NS: u64 = 100_000_000;
/// Load average before, per CPU, above which a machine is not idle.
const LOAD: f64 = 0.5;

/// One thing about the machine that makes figures vary. Its text is a clause without a full stop.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// The clock of the CPUs goes up and down.
    Clock {
        /// What decides on it, where that is not one that keeps it.
        governor: Option<String>,
        /// Whether it may go beyond the nominal one.
        has_turbo: bool,
    },
    /// CPUs were slowed down because they were too hot.
    Hot {
        /// How often.
        times: u64,
    },
    /// Memory was short.
    Swap {
        /// Read from and written to swap space meanwhile.
        bytes: u64,
        /// In use before.
        used: u64,
    },
    /// Other programs than the generator and the target computed meanwhile.
    Others {
        /// CPUs that they kept busy, in thousandths.
        milli: u64,
        /// CPUs of the machine.
        cpus: u64,
    },
    /// The machine was not idle before, and nobody knows whether it was meanwhile.
    Load {
        /// The load average, in thousandths.
        milli: u64,
        /// CPUs of the machine.
        cpus: u64,
    },
}

/// All that is known to speak against the machine.
pub(crate) fn of(run: &Run) -> Vec<Condition> {
    let none = Conditions::default();
    let conditions = run.conditions.as_ref().unwrap_or(&none);
    let governor = conditions.governors.iter().find(|name| *name != FIXED).cloned();
    let has_turbo = conditions.turbo == Some(true);
    let cpus = run.machine.cpus_total;
    let swapped = conditions.swapped_bytes.filter(|&bytes| bytes > 0);
    let found = [
        conditions.hot.filter(|&times| times > 0).map(|times| Condition::Hot { times }),
        swapped.map(|bytes| Condition::Swap { bytes, used: conditions.swap_used_bytes.unwrap_or(0) }),
        match others_milli(run) {
            Some(milli) => {
                (milli as f64 > OTHERS * 1e3 * cpus as f64).then_some(Condition::Others { milli, cpus })
            }
            None => conditions
                .load_milli
                .filter(|&milli| milli as f64 > LOAD * 1e3 * cpus as f64)
                .map(|milli| Condition::Load { milli, cpus }),
        },
        (governor.is_some() || has_turbo).then_some(Condition::Clock { governor, has_turbo }),
    ];
    found.into_iter().flatten().collect()
}

/// CPUs that neither the generator nor the target kept busy, in thousandths. `None` where one of them was not watched.
fn others_milli(run: &Run) -> Option<u64> {
    let generator = run.generator.as_ref().filter(|own| own.watched_ns > 0)?;
    let target_ns: u64 = if run.instances.is_empty() {
        // One that was not started here is not watched, and counts for nothing only where it runs elsewhere.
        (!verdict::shares_machine(run)).then_some(0)?
    } else {
        let usages = run.instances.iter().map(|one| one.usage.as_ref());
        // What stands in front of the instances is no other program.
        let usages = usages.chain(run.front.iter().map(|front| front.usage.as_ref()));
        usages.map(|usage| Some(usage?.cpu_ms() * 1_000_000)).sum::<Option<u64>>()?
    };
    let others = generator.machine_cpu_ns?.saturating_sub(generator.cpu_ns?).saturating_sub(target_ns);
    let others = if others > NOTHING_NS { others } else { 0 };
    Some(others.saturating_mul(1000) / generator.watched_ns)
}

impl Condition {
    /// What to do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Clock { .. } => {
                "compare only with runs made alike; `cpupower frequency-set -g performance`, and turbo off, keep the clock still"
            }
            Self::Hot { .. } => "let it cool down, and run for less long or with less load",
            Self::Swap { .. } => "end what takes the memory, or take a machine with more of it",
            Self::Others { .. } => "end other programs, or repeat the run",
            Self::Load { .. } => "wait until the machine is idle; what ran just before is in it, too",
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clock { governor, has_turbo } => {
                let governor = governor.as_ref().map(|name| format!("the governor is {name}"));
                let turbo = has_turbo.then(|| "turbo is on".to_owned());
                let why: Vec<String> = governor.into_iter().chain(turbo).collect();
                write!(f, "the clock of the CPUs is not fixed: {}", why.join(", "))
            }
            Self::Hot { times } => {
                write!(f, "CPUs were too hot and slowed down {} during the run", counted(*times, "time"))
            }
            Self::Swap { bytes, used } => {
                write!(f, "{} went to or came from swap during the run", memory(*bytes))?;
                if *used > 0 { write!(f, "; {} of it was in use before", memory(*used)) } else { Ok(()) }
            }
            Self::Others { milli, cpus } => {
                let busy = *milli as f64 / 1e3;
                write!(f, "other programs kept {busy:.2} of the machine's {} busy", counted(*cpus, "CPU"))
            }
            Self::Load { milli, cpus } => {
                let load = *milli as f64 / 1e3;
                write!(f, "the load average was {load:.2} before the run, on {}", counted(*cpus, "CPU"))
            }
        }
    }
}
