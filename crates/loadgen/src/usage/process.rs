//! What does the system say of a process and of those that it started?

use std::collections::BTreeMap;
use std::fs;

use report::cpus::Cpus;

/// The most processes of one instance that are looked at; of further ones nothing is told.
const MOST_PROCESSES: usize = 256;

/// What an instance has at the moment, in all its processes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Reading {
    /// The process that was asked for, the one from which the others come.
    pub(super) root: u32,
    pub(super) rss_pages: u64,
    pub(super) threads: u64,
    /// `None` where one of the processes does not let us look.
    pub(super) files: Option<u64>,
    pub(super) processes: BTreeMap<u32, Process>,
}

/// What one process has used since its start. What its children have used is added by the kernel when it waits for their end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Process {
    /// When it was started, in ticks since the machine was: its id alone may be taken again.
    pub(super) began: u64,
    pub(super) used: Used,
}

/// What was used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Used {
    pub(super) user_ticks: u64,
    pub(super) system_ticks: u64,
    /// Bytes. `None` where the system does not let us look.
    pub(super) written: Option<u64>,
}

impl Reading {
    /// Of a process and all that come from it. `None`: it is gone.
    pub(super) fn of(root: u32) -> Option<Self> {
        let mut all = Self { root, files: Some(0), ..Self::default() };
        let mut rest = vec![root];
        while let Some(pid) = rest.pop().filter(|_| all.processes.len() < MOST_PROCESSES) {
            // One that ended a moment ago is no part of it any more.
            let Some(stat) = read(pid, "stat").and_then(|text| Stat::of(&text)) else { continue };
            all.rss_pages += stat.rss_pages;
            all.threads += stat.threads;
            all.files = all.files.zip(files(pid)).map(|(all, files)| all + files);
            let written = read(pid, "io").and_then(|text| written_of(&text));
            let used = Used { user_ticks: stat.user_ticks, system_ticks: stat.system_ticks, written };
            all.processes.insert(pid, Process { began: stat.began, used });
            rest.extend(children(pid).into_iter().filter(|child| !all.processes.contains_key(child)));
        }
        all.processes.contains_key(&root).then_some(all)
    }

    fn has(&self, pid: u32, began: u64) -> bool {
        self.processes.get(&pid).is_some_and(|process| process.began == began)
    }

    /// Whether it is the process that it was then, and not another one in its place.
    pub(super) fn is_same_as(&self, before: &Self) -> bool {
        before
            .processes
            .get(&before.root)
            .is_some_and(|root| self.root == before.root && self.has(before.root, root.began))
    }

    /// Whether a process has gone since, and another one has come.
    pub(super) fn has_restarted_since(&self, before: &Self) -> bool {
        let has_other = |one: &Self, other: &Self| {
            one.processes.iter().any(|(&pid, process)| !other.has(pid, process.began))
        };
        has_other(self, before) && has_other(before, self)
    }

    /// What was used since.
    ///
    /// What is new has used everything since then. What is gone was, in most cases, waited for by a process that is here:
    /// then that one's figures have grown by all that it ever used, of which a part was counted before.
    pub(super) fn used_since(&self, before: &Self) -> Used {
        let is_same = self.is_same_as(before);
        let difference = |of: fn(&Used) -> u64| {
            let grown = self.processes.iter().map(|(&pid, process)| {
                let then = before.processes.get(&pid).filter(|then| then.began == process.began);
                of(&process.used).saturating_sub(then.map_or(0, |then| of(&then.used)))
            });
            let gone = before.processes.iter().filter(|(pid, process)| !self.has(**pid, process.began));
            let counted: u64 = gone.filter(|_| is_same).map(|(_, process)| of(&process.used)).sum();
            grown.sum::<u64>().saturating_sub(counted)
        };
        let is_told = self.processes.values().any(|process| process.used.written.is_some());
        Used {
            user_ticks: difference(|used| used.user_ticks),
            system_ticks: difference(|used| used.system_ticks),
            written: is_told.then(|| difference(|used| used.written.unwrap_or(0))),
        }
    }

    /// CPUs that these processes may use, all together.
    pub(super) fn cpus(&self) -> Option<Cpus> {
        let lists = self.processes.keys().filter_map(|&pid| allowed_of(&read(pid, "status")?));
        Cpus::of(lists.flat_map(|list| list.numbers().collect::<Vec<_>>()))
    }
}

/// Of one line of `/proc/PID/stat` what counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    user_ticks: u64,
    system_ticks: u64,
    threads: u64,
    began: u64,
    rss_pages: u64,
}

impl Stat {
    /// The second field is the program's name in parentheses and may hold anything; the third begins after the last one.
    fn of(text: &str) -> Option<Self> {
        let (_, fields) = text.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        // By the numbers of proc_pid_stat(5), which count from 1.
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Self {
            user_ticks: number(14)? + number(16)?,
            system_ticks: number(15)? + number(17)?,
            threads: number(20)?,
            began: number(22)?,
            rss_pages: number(24)?,
        })
    }
}

fn read(pid: u32, file: &str) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/{file}")).ok()
}

/// Processes that any of its threads started. A kernel without these files tells of none.
fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let texts = threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("children")).ok());
    let pids = |text: String| text.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect();
    texts.flat_map(|text| -> Vec<u32> { pids(text) }).collect()
}

/// How many descriptors are open. From Linux 6.2 on that is the folder's size; before, they must be counted.
fn files(pid: u32) -> Option<u64> {
    let folder = format!("/proc/{pid}/fd");
    match fs::metadata(&folder).ok()?.len() {
        0 => fs::read_dir(folder).ok().map(|entries| entries.count() as u64),
        files => Some(files),
    }
}

fn written_of(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("write_bytes: "))?.trim().parse().ok()
}

fn allowed_of(text: &str) -> Option<Cpus> {
    text.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{RealTimer, SECOND, Timer};

    fn reading(root: u32, processes: &[(u32, u64, u64)]) -> Reading {
        let process = |&(pid, began, ticks): &(u32, u64, u64)| {
            let used = Used { user_ticks: ticks, system_ticks: 2 * ticks, written: Some(4096 * ticks) };
            (pid, Process { began, used })
        };
        Reading { root, processes: processes.iter().map(process).collect(), ..Reading::default() }
    }

    fn ticks(after: &Reading, before: &Reading) -> u64 {
        let used = after.used_since(before);
        assert_eq!((used.system_ticks, used.written), (2 * used.user_ticks, Some(4096 * used.user_ticks)));
        used.user_ticks
    }

    #[test]
    fn what_is_used_is_counted_once_whoever_comes_and_goes() {
        let before = reading(7, &[(7, 1, 100), (8, 1, 50)]);
        assert_eq!(ticks(&reading(7, &[(7, 1, 110), (8, 1, 55)]), &before), 15);
        assert_eq!(ticks(&reading(7, &[(7, 1, 110), (8, 1, 55), (9, 4, 3)]), &before), 18, "a new child");
        let waited = reading(7, &[(7, 1, 110 + 53)]);
        assert_eq!(
            ticks(&waited, &before),
            13,
            "3 in its last moments: the kernel gave all 53 to its parent"
        );
        assert_eq!(ticks(&reading(7, &[(7, 1, 110)]), &before), 0, "nobody waited: no less than nothing");
        let other = reading(7, &[(7, 1, 110 + 53), (8, 9, 4)]);
        assert_eq!(ticks(&other, &before), 17, "its id was taken again");
    }

    #[test]
    fn another_process_in_its_place_begins_at_nothing() {
        let before = reading(7, &[(7, 1, 100), (8, 1, 50)]);
        let after = reading(20, &[(20, 5, 6)]);
        assert_eq!((ticks(&after, &before), after.is_same_as(&before)), (6, false));
        let same_id = reading(7, &[(7, 5, 6)]);
        assert_eq!((ticks(&same_id, &before), same_id.is_same_as(&before)), (6, false));
        assert!(reading(7, &[(7, 1, 100)]).is_same_as(&before));
    }

    #[test]
    fn a_restart_is_one_that_went_and_one_that_came() {
        let before = reading(7, &[(7, 1, 0), (8, 1, 0)]);
        for (after, expected) in [
            (reading(7, &[(7, 1, 0), (9, 2, 0)]), true),
            (reading(7, &[(7, 1, 0), (8, 2, 0)]), true),
            (reading(20, &[(20, 2, 0)]), true),
            (reading(7, &[(7, 1, 0)]), false),
            (reading(7, &[(7, 1, 0), (8, 1, 0), (9, 2, 0)]), false),
        ] {
            assert_eq!(after.has_restarted_since(&before), expected, "{after:?}");
        }
    }

    #[test]
    fn the_files_of_the_system_are_read_as_they_are_written() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 5 0 777 8192 66 1 2 3";
        let expected = Stat { user_ticks: 40, system_ticks: 60, threads: 5, began: 777, rss_pages: 66 };
        assert_eq!(Stat::of(stat), Some(expected));
        assert_eq!((Stat::of(""), Stat::of("42 (a) S 1")), (None, None));
        let io = "rchar: 1\nwrite_bytes: 8192\ncancelled_write_bytes: 9\n";
        assert_eq!((written_of(io), written_of("rchar: 1\n")), (Some(8192), None));
        let status = "Name:\ta\nCpus_allowed:\tb\nCpus_allowed_list:\t0-1,3\n";
        assert_eq!(allowed_of(status).unwrap().to_string(), "0-1,3");
    }

    #[test]
    fn a_process_is_read_with_its_children() {
        let mut shell = std::process::Command::new("sh")
            .args(["-c", "sleep 60 & wait"])
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let timer = RealTimer::start();
        let mut seen = Reading::of(shell.id()).unwrap();
        while seen.processes.len() < 2 && timer.now() < 20 * SECOND {
            seen = Reading::of(shell.id()).unwrap();
        }
        assert!(seen.threads == 2 && seen.rss_pages > 0 && seen.files.unwrap() >= 6, "{seen:?}");
        assert!(seen.cpus().is_some());
        let child = seen.processes.keys().copied().find(|&pid| pid != shell.id()).unwrap();
        let child = rustix::process::Pid::from_raw(i32::try_from(child).unwrap()).unwrap();
        rustix::process::kill_process(child, rustix::process::Signal::KILL).unwrap();
        shell.wait().unwrap();
        assert_eq!(Reading::of(shell.id()), None);
    }
}
