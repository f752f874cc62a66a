//! How fit is this machine for measuring? Looked at before and after the load.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use report::document::Conditions;

use crate::machine;

/// Counters before the load.
#[derive(Debug)]
pub struct Before {
    conditions: Conditions,
    swapped_pages: Option<u64>,
    hot: Option<u64>,
}

/// Looks before the load.
pub fn before() -> Before {
    let system = Path::new("/sys/devices/system/cpu");
    let conditions = Conditions {
        governors: governors(system),
        turbo: turbo(system),
        load_milli: read("/proc/loadavg").and_then(|text| load_milli(&text)),
        swap_used_bytes: read("/proc/meminfo").and_then(|text| swap_used(&text)),
        ..Conditions::default()
    };
    Before { conditions, swapped_pages: swapped(), hot: hot(system) }
}

impl Before {
    /// Looks again after the load, and gives what is known.
    pub fn after(self) -> Conditions {
        let page = rustix::param::page_size() as u64;
        let passed = |after: Option<u64>, before: Option<u64>| Some(after?.saturating_sub(before?));
        Conditions {
            swapped_bytes: passed(swapped(), self.swapped_pages).map(|pages| pages * page),
            hot: passed(hot(Path::new("/sys/devices/system/cpu")), self.hot),
            ..self.conditions
        }
    }
}

fn read(path: impl AsRef<Path>) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// Of the CPUs that this process may use. Virtual machines have none.
fn governors(system: &Path) -> Vec<String> {
    let cpus = machine::cpus().into_iter().flat_map(|cpus| cpus.numbers().collect::<Vec<_>>());
    let names = cpus.filter_map(|cpu| read(system.join(format!("cpu{cpu}/cpufreq/scaling_governor"))));
    let names: BTreeSet<String> = names.map(|name| name.trim().to_owned()).collect();
    names.into_iter().collect()
}

/// Two kinds of drivers tell it in two ways.
fn turbo(system: &Path) -> Option<bool> {
    let is = |file: &str, word: &str| read(system.join(file)).map(|text| text.trim() == word);
    is("intel_pstate/no_turbo", "0").or_else(|| is("cpufreq/boost", "1"))
}

fn load_milli(text: &str) -> Option<u64> {
    let load: f64 = text.split_ascii_whitespace().next()?.parse().ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be a small positive number"
    )]
    (0.0..1e9).contains(&load).then_some((load * 1e3).round() as u64)
}

fn swap_used(text: &str) -> Option<u64> {
    let kib = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_ascii_whitespace().next()?.parse::<u64>().ok()
    };
    Some(kib("SwapTotal:")?.saturating_sub(kib("SwapFree:")?) * 1024)
}

/// Pages that went to swap space or came from it since the machine was started.
fn swapped() -> Option<u64> {
    swapped_of(&read("/proc/vmstat")?)
}

fn swapped_of(text: &str) -> Option<u64> {
    let number =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name))?.trim().parse::<u64>().ok();
    Some(number("pswpin ")? + number("pswpout ")?)
}

/// How often CPUs were slowed down for their heat since the machine was started. Only some tell.
fn hot(system: &Path) -> Option<u64> {
    let folders = fs::read_dir(system).ok()?.filter_map(Result::ok).map(|entry| entry.path());
    let counts = folders.filter_map(|cpu| read(cpu.join("thermal_throttle/core_throttle_count")));
    let counts: Vec<u64> = counts.filter_map(|text| text.trim().parse().ok()).collect();
    (!counts.is_empty()).then(|| counts.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_the_system_are_read_as_they_are_written() {
        assert_eq!(load_milli("4.02 2.73 2.16 5/132 5668\n"), Some(4020));
        assert_eq!((load_milli(""), load_milli("-1"), load_milli("NaN")), (None, None, None));
        let memory = "MemTotal: 9 kB\nSwapCached:  7 kB\nSwapTotal:   2048 kB\nSwapFree:    1024 kB\n";
        assert_eq!((swap_used(memory), swap_used("MemTotal: 9 kB\n")), (Some(1 << 20), None));
        let pages = "pgpgin 5\npswpin 3\npswpout 4\nswap_ra 9\n";
        assert_eq!((swapped_of(pages), swapped_of("pswpin 3\n")), (Some(7), None));
    }

    /// As the kernel lays it out, for the first of the CPUs that the test may use.
    fn system(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let first = machine::cpus().unwrap().numbers().next().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path.replace("cpuN", &format!("cpu{first}")));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    #[test]
    fn the_clock_and_the_heat_of_cpus_are_told_where_they_are_known() {
        let intel = system(&[
            ("cpuN/cpufreq/scaling_governor", "powersave\n"),
            ("intel_pstate/no_turbo", "0\n"),
            ("cpuN/thermal_throttle/core_throttle_count", "3\n"),
            ("cpu99/thermal_throttle/core_throttle_count", "4\n"),
        ]);
        assert_eq!(governors(intel.path()), ["powersave"]);
        assert_eq!((turbo(intel.path()), hot(intel.path())), (Some(true), Some(7)));
        let amd = system(&[("cpufreq/boost", "0\n")]);
        assert_eq!((governors(amd.path()), turbo(amd.path()), hot(amd.path())), (vec![], Some(false), None));
        assert_eq!(turbo(system(&[("intel_pstate/no_turbo", "1\n")]).path()), Some(false));
        assert_eq!(turbo(system(&[]).path()), None);
    }

    #[test]
    fn this_machine_is_looked_at() {
        let conditions = before().after();
        assert!(conditions.load_milli.is_some() && conditions.swap_used_bytes.is_some(), "{conditions:?}");
    }
}
