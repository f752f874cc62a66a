//! Where am I? What the system says about this machine and about this process.

use std::fs;

/// CPU time and time spent waiting for a CPU of the calling thread, in nanoseconds, where the system tells.
pub fn thread_cpu() -> Option<(u64, u64)> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let mut fields = text.split_ascii_whitespace().map(str::parse);
    Some((fields.next()?.ok()?, fields.next()?.ok()?))
}
