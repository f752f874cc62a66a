//! What the processes of a target used while it was loaded.

use serde::{Deserialize, Serialize};

/// What one instance used, with all processes that it started, in equal intervals from time zero until the load was over.
///
/// Columns of one length, but for those of which the system tells nothing: they are empty. An instance that ended earlier has
/// shorter ones. CPU time and bytes are those of the interval; what is counted at a moment (memory, threads, files) is the
/// largest of the values at the ends of its seconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Length of an interval: one second, or what several neighbours have together where there were too many
    /// ([`Usage::MOST_POINTS`]). The last one may be shorter.
    pub interval_ms: u64,
    /// How long it was watched.
    pub watched_ns: u64,
    /// CPU time in its own code. The system counts in ticks, of which most have 100 a second.
    pub cpu_user_ms: Vec<u64>,
    /// CPU time in the kernel on its behalf.
    pub cpu_system_ms: Vec<u64>,
    /// Memory in use (resident set). Pages that several of its processes share count once for each.
    pub rss_kib: Vec<u64>,
    /// Threads.
    pub threads: Vec<u64>,
    /// Open file descriptors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<u64>,
    /// Written towards a disk (`write_bytes` of `/proc/PID/io`): counted when a page becomes dirty, not when the disk has it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub written_kib: Vec<u64>,
    /// The most processes it had at the end of a second.
    pub processes: u64,
    /// Seconds after time zero at which another process was found in the place of one that had gone; the first
    /// [`Usage::MOST_RESTARTS`] of them. The columns go on with the new one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restarts_s: Vec<u64>,
    /// CPUs that its processes may use, in the kernel's list format: `0-3,6`. Absent where the system does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<String>,
}

impl Usage {
    /// The most intervals of one instance.
    pub const MOST_POINTS: usize = 240;
    /// The most intervals of all instances together: with many, each has fewer. Eight have two minutes by the second.
    pub const MOST_POINTS_IN_ALL: usize = 1000;
    /// The most restarts that are told of one instance.
    pub const MOST_RESTARTS: usize = 16;

    /// CPU time, user and system.
    pub fn cpu_ms(&self) -> u64 {
        self.cpu_user_ms.iter().chain(&self.cpu_system_ms).sum()
    }
}
