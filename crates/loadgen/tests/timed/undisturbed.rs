//! Experiments with time, on machines that others use, too.
//!
//! A hypervisor that takes a CPU away for a tenth of a second makes an experiment fail in which everything is right. It is tried
//! again then, when the machine has calmed down, and only then: what fails on a machine that was left alone fails at once, and
//! what is broken fails every time.

use std::fs;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::helper::now;
use crate::lab::alone;

/// How often an experiment is tried at most.
const ATTEMPTS: u32 = 6;
/// How long the watch sleeps between two looks.
const NAP: Duration = Duration::from_millis(1);
/// A thread that sleeps wakes sooner than that, also beside an experiment that keeps every CPU busy.
const LONG_PAUSE: Duration = Duration::from_millis(20);
/// The share of the machine that others may take before they are heard of.
const MUCH_STOLEN: f64 = 0.01;
/// How long the machine is looked at before it counts as calm.
const CALM: Duration = Duration::from_secs(1);
/// How many such times are waited for at most, before the next attempt.
const LOOKS: u32 = 30;

/// Runs an experiment, which panics when something is wrong, while no other one runs: again, where it failed while the machine was
/// disturbed.
pub(crate) fn undisturbed(experiment: impl Fn()) {
    let _alone = alone();
    let watch = || {
        let watch = Watch::start();
        move || watch.stop()
    };
    attempt(experiment, watch, |what| {
        let thread = thread::current();
        // Not by a macro: what those print is shown of failed tests alone.
        let name = thread.name().unwrap_or("a test");
        let _ = writeln!(std::io::stderr(), "AGAIN {name}: it failed while {what}");
        wait_for_calm();
    });
}

/// `watch` begins a watch, whose end tells what disturbed the machine meanwhile, if anything; `before_next` is told of it.
fn attempt<W: FnOnce() -> Option<String>>(
    experiment: impl Fn(),
    watch: impl Fn() -> W,
    before_next: impl Fn(&str),
) {
    for attempts_left in (0..ATTEMPTS).rev() {
        let disturbance = watch();
        let Err(failure) = catch_unwind(AssertUnwindSafe(&experiment)) else { return };
        match disturbance() {
            Some(what) if attempts_left > 0 => before_next(&what),
            _ => resume_unwind(failure),
        }
    }
}

fn wait_for_calm() {
    let is_disturbed = || {
        let watch = Watch::start();
        thread::sleep(CALM);
        watch.stop().is_some()
    };
    for _ in 0..LOOKS {
        if !is_disturbed() {
            return;
        }
    }
}

/// Looks at the machine for as long as an experiment lasts.
struct Watch {
    is_over: Arc<AtomicBool>,
    longest_pause: JoinHandle<Duration>,
    before: Ticks,
}

impl Watch {
    fn start() -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let is_watched = Arc::clone(&is_over);
        let longest_pause = thread::spawn(move || {
            let mut longest = Duration::ZERO;
            while !is_watched.load(Ordering::Relaxed) {
                let before = now();
                thread::sleep(NAP);
                longest = longest.max(before.elapsed().saturating_sub(NAP));
            }
            longest
        });
        Self { is_over, longest_pause, before: Ticks::now() }
    }

    fn stop(self) -> Option<String> {
        self.is_over.store(true, Ordering::Relaxed);
        let pause = self.longest_pause.join().unwrap();
        let stolen = Ticks::now().stolen_since(&self.before);
        let is_disturbed = pause > LONG_PAUSE || stolen > MUCH_STOLEN;
        is_disturbed.then(|| {
            format!(
                "a sleeping thread woke {pause:.0?} late and others took {:.1}% of the CPUs",
                stolen * 100.0
            )
        })
    }
}

/// The time of all CPUs, in the kernel's ticks.
struct Ticks {
    stolen: u64,
    all: u64,
}

impl Ticks {
    fn now() -> Self {
        let text = fs::read_to_string("/proc/stat").unwrap();
        let fields = text.strip_prefix("cpu ").unwrap().lines().next().unwrap().split_ascii_whitespace();
        // The time of guests, which follows, is part of the user's.
        let times: Vec<u64> = fields.take(8).map(|field| field.parse().unwrap()).collect();
        Self { stolen: times[7], all: times.iter().sum() }
    }

    fn stolen_since(&self, before: &Self) -> f64 {
        self.stolen.saturating_sub(before.stolen) as f64 / self.all.saturating_sub(before.all).max(1) as f64
    }
}

/// Tries an experiment that fails as often as told, on a machine that is disturbed as often as told.
fn tried(failures: u32, disturbances: u32) -> (bool, u32) {
    let attempts = std::cell::Cell::new(0);
    let experiment = || {
        attempts.set(attempts.get() + 1);
        assert!(attempts.get() > failures, "as told");
    };
    let watch = || || (attempts.get() <= disturbances).then(|| "it was tried".to_owned());
    let result = catch_unwind(AssertUnwindSafe(|| attempt(experiment, watch, |_| ())));
    (result.is_ok(), attempts.get())
}

#[test]
fn only_what_failed_on_a_disturbed_machine_is_tried_again() {
    assert_eq!(tried(0, 0), (true, 1));
    assert_eq!(tried(1, 0), (false, 1));
    assert_eq!(tried(2, 2), (true, 3));
    assert_eq!(tried(2, 1), (false, 2));
    assert_eq!(tried(u32::MAX, u32::MAX), (false, ATTEMPTS));
}
