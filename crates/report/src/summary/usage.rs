//! What the target used of its machine, in single numbers.

use super::ratio;
use crate::cpus::Cpus;
use crate::document::{Instance, Run, Usage};
use crate::verdict;

const MS: f64 = 1e6;
const KIB: u64 = 1024;

/// What the processes of the target used from time zero until the load was over, all instances together. What stands in front
/// of them is told apart, and in no other figure.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetUse {
    /// CPUs that it kept busy, on average.
    pub cpus: f64,
    /// CPU time by requests answered, in microseconds. `None` where none was.
    pub cpu_us_per_request: Option<f64>,
    /// The most memory that it had at the end of a second (resident set; shared pages count for each process).
    pub rss_bytes: u64,
    /// The most threads that it had then.
    pub threads: u64,
    /// The most open files. `None` where the system did not tell of all instances.
    pub files: Option<u64>,
    /// Bytes written towards a disk, per second. `None` where the system did not tell of all instances.
    pub written_per_second: Option<f64>,
    /// The same by requests answered.
    pub written_per_request: Option<f64>,
    /// CPUs that what stands in front of the instances kept busy. `None` where there is nothing, or it was not watched.
    pub front_cpus: Option<f64>,
    /// CPUs that the generator kept busy meanwhile. `None` where the system did not tell.
    pub generator_cpus: Option<f64>,
    /// Share of that time in which some task of the machine waited for a CPU, 0 to 1. `None` where the system did not tell.
    pub cpu_pressure: Option<f64>,
    /// CPUs of the machine that both ran on.
    pub machine_cpus: u64,
    /// Those that the target could use. `None` where nobody knows.
    pub target_set: Option<Cpus>,
    /// Those that the generator could use. `None` where nobody knows.
    pub generator_set: Option<Cpus>,
    /// Those that both could use. `None` where there are none, or nobody knows.
    pub shared_set: Option<Cpus>,
    /// Times at which another process was found in the place of one that had gone.
    pub restarts: u64,
    /// Each instance, in the order of their numbers.
    pub instances: Vec<InstanceUse>,
}

/// What the processes of one instance used.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceUse {
    /// Counted from 1.
    pub number: u64,
    /// CPUs that it kept busy, on average.
    pub cpus: f64,
    /// CPU time by requests it answered, in microseconds: of all requests those that are its share by what the instances say
    /// they answered since their start. `None` where they do not say.
    pub cpu_us_per_request: Option<f64>,
    /// The most memory that it had at the end of a second.
    pub rss_bytes: u64,
}

impl TargetUse {
    /// `None` where no instance was watched.
    pub(super) fn of(run: &Run) -> Option<Self> {
        let watched: Vec<(&Instance, &Usage)> =
            run.instances.iter().filter_map(|one| Some((one, one.usage.as_deref()?))).collect();
        let watched_ns = watched.iter().map(|(_, usage)| usage.watched_ns).max().filter(|&ns| ns > 0)?;
        let usages = || watched.iter().map(|(_, usage)| *usage);
        let most_of = |of: fn(&Usage) -> &Vec<u64>| most(&usages().map(of).collect::<Vec<_>>());
        let cpu_ms: u64 = usages().map(Usage::cpu_ms).sum();
        let requests = run.account.answered();
        let is_told = |of: fn(&Usage) -> &Vec<u64>| usages().all(|usage| !of(usage).is_empty());
        let written = is_told(|usage| &usage.written_kib)
            .then(|| usages().flat_map(|usage| &usage.written_kib).sum::<u64>() * KIB);
        let files = is_told(|usage| &usage.files).then(|| most_of(|usage| &usage.files));
        let front = run.front.as_ref().and_then(|front| front.usage.as_ref());
        let front = front.filter(|usage| usage.watched_ns > 0);
        let generator = run.generator.as_ref();
        let told: Option<u64> = run.instances.iter().map(|instance| instance.answered).sum();
        let instance = |(instance, usage): &(&Instance, &Usage)| {
            let part = told.and_then(|told| ratio(instance.answered?, told));
            let own = part.map(|part| part * requests as f64).filter(|&own| own >= 1.0);
            InstanceUse {
                number: instance.number,
                cpus: cpus(usage.cpu_ms(), watched_ns),
                cpu_us_per_request: own.map(|own| usage.cpu_ms() as f64 * 1e3 / own),
                rss_bytes: most(&[&usage.rss_kib]) * KIB,
            }
        };
        Some(Self {
            cpus: cpus(cpu_ms, watched_ns),
            cpu_us_per_request: ratio(cpu_ms * 1000, requests),
            rss_bytes: most_of(|usage| &usage.rss_kib) * KIB,
            threads: most_of(|usage| &usage.threads),
            files,
            written_per_second: written.map(|bytes| bytes as f64 / (watched_ns as f64 / 1e9)),
            written_per_request: written.and_then(|bytes| ratio(bytes, requests)),
            front_cpus: front.map(|usage| cpus(usage.cpu_ms(), usage.watched_ns)),
            generator_cpus: generator.and_then(|own| ratio(own.cpu_ns?, own.watched_ns)),
            cpu_pressure: generator.and_then(|own| ratio(own.pressure_ns?, own.watched_ns)),
            machine_cpus: run.machine.cpus_total,
            target_set: verdict::target_cpus(run),
            generator_set: verdict::generator_cpus(run),
            shared_set: verdict::shared_cpus(run),
            restarts: usages().map(|usage| usage.restarts_s.len() as u64).sum(),
            instances: watched.iter().map(instance).collect(),
        })
    }
}

fn cpus(cpu_ms: u64, watched_ns: u64) -> f64 {
    cpu_ms as f64 * MS / watched_ns as f64
}

/// The largest sum of the columns at one moment.
fn most(columns: &[&Vec<u64>]) -> u64 {
    let points = columns.iter().map(|column| column.len()).max().unwrap_or(0);
    let at = |point| columns.iter().map(|column| column.get(point).copied().unwrap_or(0)).sum();
    (0..points).map(at).max().unwrap_or(0)
}
