//! The only reader of clocks here: the time of day, and the monotonic one for spans and waits.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Waits from here on are left to the runtime's timers, which are a millisecond late.
const COARSE: Duration = Duration::from_secs(1);

#[expect(clippy::disallowed_methods, reason = "the clock of this crate, which cannot see loadgen's")]
fn wall() -> SystemTime {
    SystemTime::now()
}

/// Seconds since 1970, as rows are stamped with.
pub(crate) fn unix_seconds() -> f64 {
    wall().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// The time of day as people write it, in UTC.
pub(crate) fn timestamp() -> String {
    let now = jiff::Timestamp::try_from(wall()).unwrap_or_default();
    format!("{now:.3}")
}

/// A moment that only ever grows, for measuring spans.
#[expect(clippy::disallowed_methods, reason = "the clock of this crate, which cannot see loadgen's")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Time that all CPUs together have spent on this process.
pub(crate) fn process_cpu() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

/// Waits, some 50 microseconds longer than asked.
pub(crate) async fn sleep(time: Duration) {
    if time >= COARSE || precise(time).await.is_err() {
        tokio::time::sleep(time).await;
    }
}

/// A descriptor for each wait: only requests that are delayed on purpose come here.
async fn precise(time: Duration) -> std::io::Result<()> {
    if time.is_zero() {
        return Ok(());
    }
    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
    let it_value = Timespec::try_from(time).map_err(std::io::Error::other)?;
    let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
    timerfd_settime(&timer, TimerfdTimerFlags::empty(), &once)?;
    #[expect(
        deprecated,
        reason = "its successor is unsafe for files that change under it; an OwnedFd does not"
    )]
    let timer: AsyncFd<OwnedFd> = AsyncFd::with_interest(timer, Interest::READABLE)?;
    timer.readable().await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_short_wait_is_not_rounded_to_milliseconds() {
        let mut shortest = Duration::MAX;
        for _ in 0..50 {
            let before = now();
            sleep(Duration::from_micros(150)).await;
            shortest = shortest.min(now() - before);
        }
        assert!(
            shortest >= Duration::from_micros(150) && shortest < Duration::from_millis(1),
            "{shortest:?}"
        );
    }
}
