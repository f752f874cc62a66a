//! How often a check is tried whose tolerances are times, on a machine that others use, too.

use report::document::Generator;
use report::units;

use super::{MS, Verdict};
use crate::clock::{Nanos, RealTimer, Timer as _};
use crate::health::Watch;

/// How often a check is tried that has tolerances in time.
const ATTEMPTS: u32 = 2;
/// How often it is while the machine is disturbed.
const ATTEMPTS_DISTURBED: u32 = 5;
/// Who sleeps for 10 ms wakes sooner than that after them, also beside a load.
const LONG_PAUSE: Nanos = 20 * MS;
/// The share of the CPUs' time that a hypervisor may give to others before it counts.
const MUCH_STOLEN: f64 = 0.01;

/// A verdict, and what disturbed the machine while it was found.
pub(super) fn watched(check: impl FnOnce() -> Verdict) -> (Verdict, Option<String>) {
    let timer = RealTimer::start();
    let watch = Watch::start(timer, timer.now());
    let verdict = check();
    (verdict, disturbance(&watch.finish(0)))
}

/// The verdict of the attempts, each with what disturbed the machine meanwhile.
pub(super) fn repeated(
    attempt: impl Fn() -> (Verdict, Option<String>),
    is_over: impl Fn() -> bool,
) -> Verdict {
    let mut first = None;
    let mut number = 1;
    loop {
        let (verdict, disturbance) = attempt();
        let most = if disturbance.is_some() { ATTEMPTS_DISTURBED } else { ATTEMPTS };
        match (verdict, disturbance) {
            (Ok(seen), _) => {
                let earlier = first.map(|first| format!(" (at attempt {number}; at the first: {first})"));
                return Ok(seen + &earlier.unwrap_or_default());
            }
            (Err(wrong), _) if number < most && !is_over() => first = first.or(Some(wrong)),
            (Err(wrong), Some(what)) => {
                return Err(format!("{wrong}, while {what}: try again when the machine is left alone"));
            }
            (Err(wrong), None) => return Err(wrong),
        }
        number += 1;
    }
}

/// What others did to the machine meanwhile, in words, if it was much.
fn disturbance(generator: &Generator) -> Option<String> {
    let stolen = generator.stolen_ns.unwrap_or(0) as f64 / generator.watched_ns.max(1) as f64;
    let pause = generator.hiccup.max_ns;
    (stolen > MUCH_STOLEN || pause > LONG_PAUSE).then(|| {
        format!(
            "a sleeping thread woke {} late and the hypervisor gave {:.1}% of the CPU time to others",
            units::nanos(pause),
            100.0 * stolen
        )
    })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Attempts that fail as often as told, on a machine that is disturbed as often as told; and how many there were.
    fn tried(failures: u32, disturbances: u32) -> (Verdict, u32) {
        let attempts = Cell::new(0);
        let attempt = || {
            attempts.set(attempts.get() + 1);
            let verdict =
                if attempts.get() <= failures { Err("late".to_owned()) } else { Ok("in time".to_owned()) };
            (verdict, (attempts.get() <= disturbances).then(|| "others worked".to_owned()))
        };
        (repeated(attempt, || false), attempts.get())
    }

    #[test]
    fn a_timed_check_gets_a_second_chance_and_more_on_a_disturbed_machine() {
        let passed = |words: &str| Ok(words.to_owned());
        assert_eq!(tried(0, 0), (passed("in time"), 1));
        assert_eq!(tried(1, 0), (passed("in time (at attempt 2; at the first: late)"), 2));
        assert_eq!(tried(2, 0), (Err("late".to_owned()), 2));
        assert_eq!(tried(4, 4), (passed("in time (at attempt 5; at the first: late)"), 5));
        let told = "late, while others worked: try again when the machine is left alone";
        assert_eq!(tried(9, 9), (Err(told.to_owned()), 5));
        assert_eq!(tried(9, 3), (Err("late".to_owned()), 4), "left alone in the end, and wrong all the same");
    }
}
