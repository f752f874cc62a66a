//! Where am I? What the system says about this machine, and about threads and processes on it.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::thread;

use report::document::Machine;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

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
    fn a_limit_too_low_is_told_with_both_numbers() {
        assert_eq!(allow_connections(1), Ok(None));
        let (needed, allowed) = allow_connections(usize::MAX / 2).unwrap_err();
        assert!(needed > allowed);
    }
}
