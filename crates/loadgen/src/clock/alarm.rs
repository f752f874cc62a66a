//! Waking up at the right moment: one timerfd per worker.
//!
//! The runtime's own timers tick once a millisecond and wake one to one and a half milliseconds late, which a
//! schedule of arrivals would carry into every latency. A timerfd wakes some 50 to 90 microseconds late and costs
//! nothing while it waits; spinning is no better where there is no CPU to spare for it.

use std::cell::RefCell;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

/// Wakes tasks of one worker at given moments.
pub trait Alarm: 'static {
    /// Waits until the moment: never less, and as little more as can be.
    fn at(&self, moment: Instant) -> impl Future<Output = ()>;
}

/// An [`Alarm`] by the kernel's timer file.
#[derive(Debug, Clone)]
pub struct Timerfd(Rc<Shared>);

#[derive(Debug)]
struct Shared {
    file: AsyncFd<OwnedFd>,
    waiting: RefCell<BinaryHeap<Reverse<Waiting>>>,
}

/// A task that waits. Ordered by its moment alone.
#[derive(Debug)]
struct Waiting {
    moment: Instant,
    waker: Waker,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.moment == other.moment
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        self.moment.cmp(&other.moment)
    }
}

impl Timerfd {
    /// A timer file, not yet in use.
    ///
    /// # Errors
    /// When the system has no more files to give.
    pub fn file() -> io::Result<OwnedFd> {
        Ok(timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?)
    }

    /// An alarm by a timer file. Call it inside the runtime of those who will wait.
    ///
    /// # Errors
    /// When the runtime cannot watch the file.
    pub fn new(file: OwnedFd) -> io::Result<Self> {
        #[expect(
            deprecated,
            reason = "its successor is unsafe for files that change under it; an OwnedFd does not"
        )]
        let file = AsyncFd::new(file)?;
        Ok(Self(Rc::new(Shared { file, waiting: RefCell::default() })))
    }

    /// Wakes who waits, as long as it is polled: spawn it beside the tasks that wait.
    ///
    /// # Errors
    /// When the timer file fails, which it does not.
    pub async fn ring(self) -> io::Result<()> {
        let shared = &self.0;
        loop {
            let mut ready = shared.file.readable().await?;
            // Reading takes the expiration; when somebody set the timer anew meanwhile there is none to be read.
            let mut expirations = [0; 8];
            match ready.try_io(|file| Ok(rustix::io::read(file, &mut expirations)?)) {
                Ok(Err(error)) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
            shared.wake_due();
            shared.set()?;
        }
    }
}

impl Shared {
    fn wake_due(&self) {
        let now = now();
        let mut waiting = self.waiting.borrow_mut();
        while waiting.peek().is_some_and(|Reverse(first)| first.moment <= now) {
            if let Some(Reverse(first)) = waiting.pop() {
                first.waker.wake();
            }
        }
    }

    /// Sets the timer to the first moment that somebody waits for.
    fn set(&self) -> io::Result<()> {
        let first = self.waiting.borrow().peek().map(|Reverse(first)| first.moment);
        let Some(first) = first else { return Ok(()) };
        // Zero would switch it off.
        let left = first.saturating_duration_since(now()).max(Duration::from_nanos(1));
        let seconds = i64::try_from(left.as_secs()).unwrap_or(i64::MAX);
        let once = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec { tv_sec: seconds, tv_nsec: left.subsec_nanos().into() },
        };
        timerfd_settime(&self.file, TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }

    /// Remembers a task, and sets the timer when nobody waits for an earlier moment.
    fn enter(&self, moment: Instant, waker: &Waker) {
        let mut waiting = self.waiting.borrow_mut();
        let is_first = waiting.peek().is_none_or(|Reverse(first)| moment < first.moment);
        waiting.push(Reverse(Waiting { moment, waker: waker.clone() }));
        drop(waiting);
        if is_first && self.set().is_err() {
            // It cannot be set: better now than never.
            waker.wake_by_ref();
        }
    }
}

impl Alarm for Timerfd {
    async fn at(&self, moment: Instant) {
        let mut is_entered = false;
        poll_fn(|context| {
            if now() >= moment {
                return Poll::Ready(());
            }
            // A task that is polled for another reason is entered already; one woken at its moment is done.
            if !is_entered {
                self.0.enter(moment, context.waker());
                is_entered = true;
            }
            Poll::Pending
        })
        .await;
    }
}

#[expect(clippy::disallowed_methods, reason = "the clock room")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{RealTimer, SECOND, Timer};

    #[tokio::test]
    async fn everybody_is_woken_in_time_and_in_order() {
        let timer = RealTimer::start();
        let alarm = Timerfd::new(Timerfd::file().unwrap()).unwrap();
        let woken = RefCell::new(Vec::new());
        let wait = |millis: u64| {
            let (alarm, woken) = (&alarm, &woken);
            async move {
                alarm.at(timer.instant(millis * 1_000_000)).await;
                woken.borrow_mut().push((millis, timer.now()));
            }
        };
        let all = async { tokio::join!(wait(600), wait(200), wait(400), wait(200), wait(0)) };
        tokio::select! {
            _ = all => {}
            failed = alarm.clone().ring() => panic!("{failed:?}"),
        }
        let woken = woken.into_inner();
        assert_eq!(woken.iter().map(|(millis, _)| *millis).collect::<Vec<_>>(), [0, 200, 200, 400, 600]);
        // Never early; late by less than a loaded machine could make it.
        assert!(woken.iter().all(|(millis, at)| (millis * 1_000_000..5 * SECOND).contains(at)), "{woken:?}");
    }

    #[tokio::test]
    async fn who_no_longer_waits_harms_nobody() {
        let timer = RealTimer::start();
        let alarm = Timerfd::new(Timerfd::file().unwrap()).unwrap();
        let wait = async {
            tokio::select! {
                biased;
                () = alarm.at(timer.instant(500_000_000)) => panic!("the other one comes first"),
                () = alarm.at(timer.instant(1_000_000)) => {}
            }
            alarm.at(timer.instant(600_000_000)).await;
        };
        tokio::select! {
            () = wait => {}
            failed = alarm.clone().ring() => panic!("{failed:?}"),
        }
        assert!(timer.now() >= 600_000_000);
    }
}
