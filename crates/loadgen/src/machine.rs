//! Where am I? What the system says about this machine, and about threads and processes on it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::thread;

use report::cpus::Cpus;
use report::document::Machine;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::hash::fnv1a;

/// Descriptors that the program needs beside its connections.
const SPARE_FILES: u64 = 64;

/// CPU time and time spent waiting for a CPU of the calling thread, in nanoseconds, where the system tells.
pub fn thread_cpu() -> Option<(u64, u64)> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let mut fields = text.split_ascii_whitespace().map(str::parse);
    Some((fields.next()?.ok()?, fields.next()?.ok()?))
}

/// CPU time of a process, user and system, in nanoseconds, where the system tells.
pub fn process_cpu(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses and may hold anything; the rest begins after the last one.
    let (_, fields) = text.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    let per_second = rustix::param::clock_ticks_per_second();
    Some(ticks * 1_000_000_000 / per_second.max(1))
}

/// CPUs that this process may use: affinity and cgroup quota.
pub fn cpus_allowed() -> NonZeroUsize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// CPUs that the calling thread may use, where the system tells.
pub fn cpus() -> Option<Cpus> {
    let set = sched_getaffinity(None).ok()?;
    Cpus::of((0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).filter_map(|cpu| u32::try_from(cpu).ok()))
}

/// The calling thread, and what it starts, runs on certain CPUs until this value is dropped.
#[derive(Debug)]
pub struct Pinned {
    /// Where it ran before. `None`: it runs where it did.
    before: Option<CpuSet>,
}

/// Has the calling thread run on these CPUs; `None`: where it runs already.
///
/// # Errors
/// When the system does not let it.
pub fn pin(cpus: Option<&Cpus>) -> io::Result<Pinned> {
    let Some(cpus) = cpus else { return Ok(Pinned { before: None }) };
    let before = sched_getaffinity(None)?;
    let mut set = CpuSet::new();
    // Others are refused when a plan is made.
    let numbers = cpus.numbers().filter_map(|cpu| usize::try_from(cpu).ok());
    numbers.filter(|&cpu| cpu < CpuSet::MAX_CPU).for_each(|cpu| set.set(cpu));
    sched_setaffinity(None, &set)?;
    Ok(Pinned { before: Some(before) })
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // It could run there before; if not any more, it stays where it is.
            let _ = sched_setaffinity(None, before);
        }
    }
}

/// What the system has counted so far against this process, in nanoseconds, where it tells.
#[derive(Debug, Clone, Copy, Default)]
pub struct CpuUse {
    /// CPU time of this process, user and system.
    pub process_ns: Option<u64>,
    /// Time for which its control group (version 2), or one above it, was not allowed to run: the longest.
    pub throttled_ns: Option<u64>,
    /// Time that the hypervisor gave to others: the mean of the CPUs that this process may use.
    pub stolen_ns: Option<u64>,
    /// CPU time of all programs of the machine and of its kernel, interrupts apart.
    pub machine_ns: Option<u64>,
    /// Time in which some task of the machine waited for a CPU.
    pub pressure_ns: Option<u64>,
}

impl CpuUse {
    /// As of now.
    pub fn now() -> Self {
        let stat = fs::read_to_string("/proc/stat").ok();
        Self {
            process_ns: process_cpu(std::process::id()),
            throttled_ns: throttled(),
            stolen_ns: stat.as_deref().and_then(|text| stolen(text, is_allowed())),
            machine_ns: stat.as_deref().and_then(busy),
            pressure_ns: fs::read_to_string("/proc/pressure/cpu").ok().and_then(|text| pressure(&text)),
        }
    }
}

/// CPUs that this process may use, in thousandths: those of its affinity or, where smaller, the quota of its control
/// group (version 2).
pub fn cpus_milli() -> u64 {
    let affinity = sched_getaffinity(None).map_or(0, |set| u64::from(set.count()));
    let affinity = if affinity == 0 { cpus_allowed().get() as u64 } else { affinity } * 1000;
    let quotas = control_groups()
        .into_iter()
        .filter_map(|folder| quota_milli(&fs::read_to_string(folder.join("cpu.max")).ok()?));
    quotas.fold(affinity, u64::min).max(1)
}

/// Whether this process may use the CPU of a number.
fn is_allowed() -> impl Fn(usize) -> bool {
    let set = sched_getaffinity(None).ok();
    move |cpu| set.is_none_or(|set| cpu < CpuSet::MAX_CPU && set.is_set(cpu))
}

/// The folders of this process's control group (version 2) and of those above it.
fn control_groups() -> Vec<PathBuf> {
    const ROOTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
    let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let Some(path) = text.lines().find_map(|line| line.strip_prefix("0::/")) else { return Vec::new() };
    let above = |root: &str| {
        let folder = Path::new(root).join(path);
        let folders: Vec<PathBuf> = folder.ancestors().map(Path::to_owned).collect();
        folders.into_iter().take_while(|folder| folder.starts_with("/sys/fs/cgroup")).collect::<Vec<_>>()
    };
    ROOTS.iter().flat_map(|root| above(root)).collect()
}

/// `200000 100000` is two CPUs; `max 100000` is no quota.
fn quota_milli(text: &str) -> Option<u64> {
    let (quota, period) = text.trim().split_once(' ')?;
    quota.parse::<u64>().ok()?.saturating_mul(1000).checked_div(period.parse().ok()?)
}

fn throttled() -> Option<u64> {
    let texts =
        control_groups().into_iter().filter_map(|folder| fs::read_to_string(folder.join("cpu.stat")).ok());
    texts.filter_map(|text| throttled_of(&text)).max()
}

fn throttled_of(text: &str) -> Option<u64> {
    let microseconds = text.lines().find_map(|line| line.strip_prefix("throttled_usec "))?;
    Some(microseconds.trim().parse::<u64>().ok()?.saturating_mul(1000))
}

/// The eighth number of each CPU's line of `/proc/stat`, in ticks.
fn stolen(text: &str, is_allowed: impl Fn(usize) -> bool) -> Option<u64> {
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    let ticks = text.lines().filter_map(|line| {
        let (cpu, fields) = line.strip_prefix("cpu")?.split_once(' ')?;
        let cpu = cpu.parse().ok().filter(|&cpu| is_allowed(cpu));
        cpu.and_then(|_| fields.split_ascii_whitespace().nth(7)?.parse::<u64>().ok())
    });
    let times: Vec<u64> = ticks.map(|ticks| ticks.saturating_mul(1_000_000_000) / per_second).collect();
    times.iter().sum::<u64>().checked_div(times.len() as u64)
}

/// User, nice and system time of the line of all CPUs. Interrupts are left out, because processes are not charged for them
/// everywhere.
fn busy(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks = line.split_ascii_whitespace().take(3).map(str::parse::<u64>).sum::<Result<u64, _>>().ok()?;
    Some(ticks.saturating_mul(1_000_000_000) / rustix::param::clock_ticks_per_second().max(1))
}

/// The total of the line `some`, in microseconds.
fn pressure(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with("some "))?;
    Some(line.split_once("total=")?.1.trim().parse::<u64>().ok()?.saturating_mul(1000))
}

/// Raises the limit of open files for so many connections, where it is too low.
///
/// Gives what was done, for the record.
///
/// # Errors
/// When the hard limit is too low: how many files are needed and how many are allowed.
pub fn allow_connections(connections: usize) -> Result<Option<String>, (u64, u64)> {
    let needed = connections as u64 + SPARE_FILES;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(None);
    }
    let ceiling = limit.maximum.unwrap_or(needed);
    let raised = Rlimit { current: Some(ceiling), maximum: limit.maximum };
    if ceiling < needed || setrlimit(Resource::Nofile, raised).is_err() {
        return Err((needed, limit.current.unwrap_or(0)));
    }
    let from = limit.current.unwrap_or(0);
    Ok(Some(format!(
        "raised the limit of open files from {from} to {ceiling}, for {connections} connections"
    )))
}

/// Local ports that connections of this machine may take, where the system tells.
pub fn local_ports() -> Option<u64> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let mut ends = text.split_ascii_whitespace().map(str::parse::<u64>);
    let (first, last) = (ends.next()?.ok()?, ends.next()?.ok()?);
    Some((last + 1).saturating_sub(first))
}

/// Whether the ports of closed connections to that address are soon taken again: everywhere, or (as most systems
/// are set) on the loopback interface only.
pub fn reuses_ports(address: IpAddr) -> bool {
    let setting = fs::read_to_string("/proc/sys/net/ipv4/tcp_tw_reuse").unwrap_or_default();
    match setting.trim() {
        "1" => true,
        "2" => address.is_loopback(),
        _ => false,
    }
}

/// Everything about this machine that a reader of results may want. `label`: the name given by the user.
pub fn observe(label: Option<&str>) -> Machine {
    let uname = rustix::system::uname();
    let kernel_release = uname.release().to_string_lossy().into_owned();
    let mut machine = Machine {
        label: String::new(),
        fingerprint: String::new(),
        cpu_model: cpu_model().unwrap_or_else(|| "unknown".to_owned()),
        cpus_allowed: cpus_allowed().get() as u64,
        cpus_total: cpus_total(),
        memory_bytes: memory().unwrap_or(0),
        kernel: format!("{} {kernel_release}", uname.sysname().to_string_lossy()),
        architecture: uname.machine().to_string_lossy().into_owned(),
        limits: limits(),
    };
    // Rounded, because kernels keep different shares of the same memory for themselves.
    let gigabytes = (machine.memory_bytes as f64 / f64::from(1 << 30)).round();
    machine.label =
        label.map_or_else(|| format!("local-{}cpu-{gigabytes}gb", machine.cpus_allowed), str::to_owned);
    let comparable = format!(
        "{}|{}|{gigabytes}|{kernel_release}|{}",
        machine.cpu_model, machine.cpus_allowed, machine.architecture
    );
    machine.fingerprint = format!("{:016x}", fnv1a(comparable.as_bytes()));
    machine
}

fn cpu_model() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn cpus_total() -> u64 {
    let online = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let count = online.lines().filter(|line| line.starts_with("processor")).count();
    if count == 0 { cpus_allowed().get() as u64 } else { count as u64 }
}

fn memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
    let kib: u64 = line.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

fn limits() -> BTreeMap<String, String> {
    let files = [
        ("somaxconn", "/proc/sys/net/core/somaxconn"),
        ("local_ports", "/proc/sys/net/ipv4/ip_local_port_range"),
        ("clock_source", "/sys/devices/system/clocksource/clocksource0/current_clocksource"),
    ];
    let mut limits: BTreeMap<_, _> = files
        .iter()
        .filter_map(|(name, path)| {
            let text = fs::read_to_string(path).ok()?;
            Some(((*name).to_owned(), text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")))
        })
        .collect();
    let files = getrlimit(Resource::Nofile).current;
    limits.insert("open_files".to_owned(), files.map_or_else(|| "unlimited".to_owned(), |n| n.to_string()));
    limits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_described() {
        let machine = observe(None);
        assert!(machine.cpus_allowed >= 1 && machine.cpus_total >= machine.cpus_allowed);
        assert!(machine.memory_bytes > 1_000_000);
        assert!(machine.label.starts_with("local-"), "{}", machine.label);
        assert_eq!(observe(Some("named")).label, "named");
        assert_eq!(observe(Some("named")).fingerprint, machine.fingerprint, "a label is not a property");
    }

    #[test]
    fn cpu_time_is_told() {
        let before = process_cpu(std::process::id()).unwrap();
        let mut sum = 0_u64;
        // Until the clock tick: bounded, because a process that computes gets ticks.
        while process_cpu(std::process::id()).unwrap() == before {
            sum = (0..100_000).fold(sum, u64::wrapping_add);
        }
        assert!(thread_cpu().unwrap().0 > 0, "{sum}");
        assert_eq!(process_cpu(u32::MAX), None);
    }

    #[test]
    fn the_files_of_the_system_are_read_as_they_are_written() {
        assert_eq!(quota_milli("200000 100000\n"), Some(2000));
        assert_eq!(quota_milli("50000 100000\n"), Some(500));
        assert_eq!((quota_milli("max 100000\n"), quota_milli("1 0"), quota_milli("")), (None, None, None));
        let stat = "usage_usec 9\nnr_periods 3\nnr_throttled 2\nthrottled_usec 1500\n";
        assert_eq!((throttled_of(stat), throttled_of("usage_usec 9\n")), (Some(1_500_000), None));
        let ticks = 1_000_000_000 / rustix::param::clock_ticks_per_second();
        let stat =
            "cpu  9 9 9 9 9 9 9 60 0 0\ncpu0 1 2 3 4 5 6 7 20 0 0\ncpu1 1 2 3 4 5 6 7 40 0 0\nintr 5\n";
        assert_eq!(stolen(stat, |_| true), Some(30 * ticks));
        assert_eq!(stolen(stat, |cpu| cpu == 1), Some(40 * ticks));
        assert_eq!(stolen("intr 5\n", |_| true), None);
        assert_eq!((busy(stat), busy("intr 5\n")), (Some(27 * ticks), None));
        let psi = "some avg10=0.13 avg60=1.40 avg300=1.16 total=17\nfull avg10=0.00 total=3\n";
        assert_eq!((pressure(psi), pressure("")), (Some(17_000), None));
    }

    #[test]
    fn a_thread_and_what_it_starts_runs_where_it_is_told_until_it_is_not() {
        let before = cpus().unwrap();
        let last = Cpus::of(before.numbers().last()).unwrap();
        let pinned = pin(Some(&last)).unwrap();
        assert_eq!((cpus(), cpus_milli() <= 1000), (Some(last.clone()), true));
        assert_eq!(thread::spawn(cpus).join().unwrap(), Some(last));
        drop(pinned);
        assert_eq!(cpus(), Some(before.clone()));
        drop(pin(None).unwrap());
        assert_eq!(cpus(), Some(before));
        assert!(pin("8191".parse().ok().as_ref()).is_err());
    }

    #[test]
    fn the_quota_is_at_most_the_affinity() {
        let cpus = cpus_milli();
        assert!(cpus > 0 && cpus <= 1000 * cpus_total().max(1), "{cpus}");
    }

    #[test]
    fn a_limit_too_low_is_told_with_both_numbers() {
        assert_eq!(allow_connections(1), Ok(None));
        let (needed, allowed) = allow_connections(usize::MAX / 2).unwrap_err();
        assert!(needed > allowed);
    }
}
