//! What only a person at a terminal is told: the course of the run in one line, and a command to try next.

use crate::defaults;
use crate::document::{Ended, Run, Series};
use crate::format::View;
use crate::summary::{Model, RATE_PER_CONNECTION_KEY, STREAMS_KEY};
use crate::units::{count, nanos};
use crate::verdict::{self, Verdict};
use crate::warning;

/// Fewer intervals than this have no course.
const FEWEST_POINTS: usize = 5;
/// More columns than this say no more.
const WIDEST: usize = 60;
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Of the rate that a closed run reached, the share at which to look at latencies: below the knee of the usual curve.
const SHARE_OF_RATE: f64 = 0.7;

/// Requests per second and p99 over time, in one line of so many columns.
pub(super) fn course(run: &Run, width: usize) -> Option<String> {
    let Series { interval_ms, answered, p99_us, .. } = &run.series;
    let whole = run.window.measured_ns.checked_div(interval_ms.checked_mul(1_000_000)?)?;
    // Only whole intervals: the drain and a last piece would look like a fall.
    let points = usize::try_from(whole).ok()?.min(answered.len()).min(p99_us.len());
    if points < FEWEST_POINTS {
        return None;
    }
    let (answered, p99_us) = (&answered[..points], &p99_us[..points]);
    let most = answered.iter().max()?.saturating_mul(1000) / interval_ms;
    let (rate_to, p99_to) = (count(most), nanos(p99_us.iter().max()?.saturating_mul(1000)));
    let columns = width.saturating_sub("req/s  up to , p99  up to ".len() + rate_to.len() + p99_to.len()) / 2;
    let columns = columns.clamp(FEWEST_POINTS, WIDEST);
    let mean = |part: &[u64]| part.iter().sum::<u64>() / part.len() as u64;
    let worst = |part: &[u64]| part.iter().copied().max().unwrap_or(0);
    let (rate, p99) = (bars(answered, columns, mean), bars(p99_us, columns, worst));
    Some(format!("req/s {rate} up to {rate_to}, p99 {p99} up to {p99_to}"))
}

/// One column for each point, or for several of them where they are too many.
fn bars(points: &[u64], columns: usize, of: impl Fn(&[u64]) -> u64) -> String {
    let values: Vec<u64> = points.chunks(points.len().div_ceil(columns)).map(of).collect();
    let highest = values.iter().copied().max().unwrap_or(0).max(1);
    let level = |&value: &u64| {
        let step = (u128::from(value) * 7 + u128::from(highest) / 2) / u128::from(highest);
        LEVELS[usize::try_from(step).unwrap_or(0).min(7)]
    };
    values.iter().map(level).collect()
}

/// One thing to try next, where the run suggests one.
pub(super) fn next(view: &View<'_>, run: &Run) -> Option<String> {
    let account = &run.account;
    if account.answered() == 0 || run.ended != Ended::Completed || !warning::is_valid(run) {
        return None;
    }
    let (slots, never) = (run.connections.slots, run.connections.never_answered);
    let are_connections = !run.config.contains_key(STREAMS_KEY);
    if are_connections && never > 0 && never < slots && account.timeout + account.aborted > 0 {
        return Some(format!("next: {}", again(run, "", &[("-c", &(slots - never).to_string())])));
    }
    if warning::verdict(view.warnings) != Verdict::Ok {
        // An embedded target is started by the generator, and would be pinned with it.
        let is_external = run.config.get("target.kind").is_none_or(|kind| kind == "external");
        let can_part = verdict::shares_machine(run) && is_external && run.machine.cpus_total > 1;
        // The last CPU, because interrupts and everything else like the first.
        let cpu = run.machine.cpus_total - u64::from(can_part);
        return can_part.then(|| {
            let taskset = format!("taskset -c {cpu} ");
            format!("next: {} (and the target on the other CPUs)", again(run, &taskset, &[]))
        });
    }
    let is_paced = run.config.contains_key(RATE_PER_CONNECTION_KEY);
    let rate = view.summary.rate().map(|rate| rounded(rate * SHARE_OF_RATE)).filter(|&rate| rate > 0)?;
    (view.summary.model == Some(Model::Closed) && !is_paced && account.errors() == 0)
        .then(|| format!("next: {}", again(run, "", &[("--rate", &rate.to_string()), ("-z", "10s")])))
}

/// The same load with other values of some options: as a command where it can be told from the document, else in words.
fn again(run: &Run, before: &str, changes: &[(&str, &str)]) -> String {
    let changed: Vec<String> = changes.iter().map(|(flag, value)| format!("{flag} {value}")).collect();
    let Some(url) = plain_url(run) else {
        let with = if changed.is_empty() { String::new() } else { format!(" with {}", changed.join(" ")) };
        return if before.is_empty() {
            format!("the same{with}")
        } else {
            format!("the same{with} under `{}`", before.trim())
        };
    };
    let kept = [
        ("--rate", "load.rate"),
        ("-n", "load.requests"),
        ("-z", "load.duration"),
        ("-c", "load.connections"),
    ];
    let is_changed = |flag: &str| changes.iter().any(|(changed, _)| *changed == flag);
    let has_duration = is_changed("-z");
    let kept = kept.iter().filter(|(flag, _)| !(is_changed(flag) || has_duration && *flag == "-n"));
    let kept: Vec<String> =
        kept.filter_map(|(flag, key)| Some(format!("{flag} {}", run.config.get(*key)?))).collect();
    format!("{before}loadgen {} {url}", [changed, kept].concat().join(" "))
}

/// The URL, as a shell takes it, of a load that no other option shaped than those that [`again`] repeats.
fn plain_url(run: &Run) -> Option<String> {
    const REPEATED: [&str; 5] =
        ["load.url", "load.rate", "load.requests", "load.duration", "load.connections"];
    /// What follows from those.
    const FOLLOWS: [&str; 4] = ["load.model", "load.seed", "load.workers", "load.engine"];
    let is_plain = |(key, value): (&String, &String)| {
        let (key, value) = (key.as_str(), value.as_str());
        REPEATED.contains(&key)
            || FOLLOWS.contains(&key)
            || (key, value) == ("target.kind", "external")
            || defaults::is_default(key, value)
    };
    let url = run.config.get("load.url").filter(|url| !url.contains("***") && !url.contains('\''))?;
    let is_bare = url.chars().all(|c| c.is_ascii_alphanumeric() || "/:.-_~%,+=@".contains(c));
    run.config.iter().all(is_plain).then(|| if is_bare { url.clone() } else { format!("'{url}'") })
}

/// To two significant digits, downwards.
fn rounded(rate: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is not negative")]
    let whole = rate as u64;
    let mut unit = 1;
    while whole / unit >= 100 {
        unit *= 10;
    }
    whole / unit * unit
}
