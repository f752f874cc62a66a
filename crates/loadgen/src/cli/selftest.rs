//! `loadgen selftest`: are the numbers right on this machine, and how exact can they be?

use report::units;

use super::exit::Exit;
use super::load::interrupt_on_signals;
use super::output;
use crate::selftest::{Bench, CHECKS, Floor};

pub(super) fn run() -> anyhow::Result<Exit> {
    let bench = Bench { interrupt: interrupt_on_signals()? };
    let mut failed = 0;
    for check in &CHECKS {
        let verdict = check.run(&bench);
        // What a signal cut short says nothing.
        if let Some(signal) = bench.interrupted() {
            return Ok(signal.into());
        }
        let (word, found) = match verdict {
            Ok(seen) => ("pass", seen),
            Err(wrong) => {
                failed += 1;
                ("FAIL", wrong)
            }
        };
        output::show(&format!("{word}  {}\n      {found}\n", check.claim))?;
    }
    let floor = bench.floor();
    if let Some(signal) = bench.interrupted() {
        return Ok(signal.into());
    }
    match floor {
        Ok(floor) => output::show(&text(&floor))?,
        Err(error) => anyhow::bail!("the floor could not be measured: {error}"),
    }
    let number = CHECKS.len();
    if failed > 0 {
        output::show(&format!(
            "\n{failed} of {number} checks failed: do not believe what loadgen prints on this machine\n"
        ))?;
        return Ok(Exit::Broken);
    }
    output::show(&format!("\nall {number} checks passed\n"))?;
    Ok(Exit::Done)
}

/// What this machine allows, in words.
fn text(floor: &Floor) -> String {
    let Floor { cpu_per_request_ns, requests_per_second, lag_ns, pause_ns } = *floor;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate, rounded for a person"
    )]
    let rounded = |rate: f64| units::count(rate.round() as u64);
    let cpu = cpu_per_request_ns.map_or_else(
        || "the system does not tell".to_owned(),
        |ns| format!("{:.1} us of CPU, so at most {} requests/s per core", ns / 1e3, rounded(1e9 / ns)),
    );
    let [lag, pause] = [lag_ns, pause_ns].map(|[low, high]| [units::nanos(low), units::nanos(high)]);
    format!(
        "\nOn this machine, now:\n  \
         cost of a request   {cpu}\n  \
         one worker          {} requests/s, with a server beside it\n  \
         lateness at 1,000/s {} at the median, {} at p99: differences below that are not seen\n  \
         pauses              a thread that sleeps 1 ms wakes {} late at p99, {} at worst\n",
        rounded(requests_per_second),
        lag[0],
        lag[1],
        pause[0],
        pause[1],
    )
}
