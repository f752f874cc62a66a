//! Are the numbers right on this machine, and how exact can they be here?
//!
//! Each check loads a [`Truth`] server, in this process and over real sockets, and holds the document against what the
//! server knows. Checks with tolerances in time get a second chance, and more while others take the machine's CPUs: a busy
//! machine may miss some, a wrong program misses all.

mod attempts;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use report::document::Run;
use report::histogram::{Distribution, Histogram, Percentile};
use report::units;

use crate::arrival::Arrival;
use crate::clock::{Nanos, RealTimer, SECOND, Timer as _, nanos};
use crate::launch::Program;
use crate::machine;
use crate::options::LoadOptions;
use crate::plan::{Plan, Surroundings};
use crate::quantity::{Rate, Span, Timeout};
use crate::run::{self, Context, Interrupt, Nobody, Signal};
use crate::truth::{ByPath, Findings, Truth};

const MS: Nanos = SECOND / 1000;
/// How late an answer may be on a busy machine before a check fails.
const LATE: Nanos = 150 * MS;
/// How long the machine is watched for pauses.
const WATCHED: Duration = Duration::from_secs(1);
/// How long a watching thread sleeps each time.
const NAP: Duration = Duration::from_millis(1);

/// What a check found: what was seen, or what is wrong.
pub type Verdict = Result<String, String>;

/// One check.
#[derive(Clone, Copy)]
pub struct Check {
    /// What holds when it passes, for a person.
    pub claim: &'static str,
    is_timed: bool,
    body: fn(&Bench) -> Verdict,
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Check").field("claim", &self.claim).finish_non_exhaustive()
    }
}

/// All checks, in the order in which they run.
pub const CHECKS: [Check; 7] = [
    Check {
        claim: "every request is counted once, whatever became of it",
        is_timed: false,
        body: every_request_is_counted_once,
    },
    Check { claim: "bytes are those that the server wrote and read", is_timed: false, body: bytes_agree },
    Check {
        claim: "a body that is cut short is a failure, not an answer",
        is_timed: false,
        body: cut_bodies_are_failures,
    },
    Check {
        claim: "a timeout counts at the time it had waited",
        is_timed: true,
        body: timeouts_are_in_the_distribution,
    },
    Check {
        claim: "at a fixed rate a stall of the server is seen by everybody who was due in it",
        is_timed: true,
        body: a_stall_is_seen_by_all,
    },
    Check {
        claim: "latencies are those that the server caused",
        is_timed: true,
        body: latencies_are_the_servers,
    },
    Check { claim: "a schedule is sent whole and on time", is_timed: true, body: a_schedule_is_kept },
];

impl Check {
    /// Runs it.
    ///
    /// # Errors
    /// When the claim does not hold, with what was seen instead.
    pub fn run(&self, bench: &Bench) -> Verdict {
        if !self.is_timed {
            return (self.body)(bench);
        }
        let attempt = || attempts::watched(|| (self.body)(bench));
        attempts::repeated(attempt, || bench.interrupt.signal().is_some())
    }
}

/// Where checks run.
#[derive(Debug, Default)]
pub struct Bench {
    /// How a person ends it early.
    pub interrupt: Interrupt,
}

/// How exact this machine lets the numbers be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Floor {
    /// CPU time of the generator per request, with kept connections and empty answers, in nanoseconds. `None`: the
    /// system does not tell.
    pub cpu_per_request_ns: Option<f64>,
    /// Requests per second that were answered on one worker, server on the same machine.
    pub requests_per_second: f64,
    /// The generator's lateness at 1,000 requests a second: median and 99th percentile, in nanoseconds.
    pub lag_ns: [Nanos; 2],
    /// How late a thread that sleeps a millisecond wakes: 99th percentile and the latest, in nanoseconds.
    pub pause_ns: [Nanos; 2],
}

/// A run and what the server says about it.
struct Sides {
    run: Run,
    truth: Findings,
}

impl Bench {
    /// The signal that ended it early.
    pub fn interrupted(&self) -> Option<Signal> {
        self.interrupt.signal()
    }

    /// Loads a server that does what `path` says.
    fn load(&self, path: &str, options: LoadOptions) -> Result<Sides, String> {
        let script = ByPath::new(7, None).map_err(|error| error.to_string())?;
        let truth = Truth::start(move |turn| script.behaviour(turn))
            .map_err(|error| format!("the truth server does not start: {error}"))?;
        let around =
            Surroundings { cpus: machine::cpus_allowed(), seed: 7, settle: None, allowed: machine::cpus };
        let plan =
            Plan::of_url(truth.url(path).as_str(), options, around).map_err(|error| error.to_string())?;
        let program =
            Program { path: PathBuf::new(), leading: Vec::new(), variables: Vec::new(), search: Vec::new() };
        let context = Context {
            program: &program,
            machine: None,
            interrupt: &self.interrupt,
            versions: BTreeMap::new(),
            tags: BTreeMap::new(),
            rows: None,
        };
        let run = run::run(&plan, &context, &mut Nobody).map_err(|error| error.to_string())?;
        let sides = Sides { run, truth: truth.finish() };
        let account = &sides.run.account;
        ensure(account.balances(), || format!("the account does not balance: {account:?}"))?;
        Ok(sides)
    }

    /// Measures what this machine allows.
    ///
    /// # Errors
    /// When a run could not be made.
    pub fn floor(&self) -> Result<Floor, String> {
        let closed = LoadOptions {
            duration: Some(Span(Duration::from_secs(2))),
            connections: 50.try_into().ok(),
            workers: 1.try_into().ok(),
            ..LoadOptions::default()
        };
        let run = self.load("/", closed)?.run;
        let answered = run.account.answered();
        ensure(answered > 0, || "not one request was answered".to_owned())?;
        let cpu: Option<u64> = run.workers.iter().map(|worker| worker.cpu_ns).sum();
        let seconds = Duration::from_nanos(run.window.measured_ns).as_secs_f64();
        let paced = self.load("/", at_rate(1000, Duration::from_secs(2), Arrival::Poisson))?.run;
        let lag = histogram(&paced.latencies.lag)?;
        Ok(Floor {
            cpu_per_request_ns: cpu.map(|cpu| cpu as f64 / answered as f64),
            requests_per_second: run.account.answered_in_window as f64 / seconds,
            lag_ns: [Percentile::P50, Percentile::P99].map(|at| lag.value_at(at).unwrap_or(0)),
            pause_ns: pauses(),
        })
    }
}

/// How late naps end, in this thread, while nothing else of ours runs.
fn pauses() -> [Nanos; 2] {
    let clock = RealTimer::start();
    let mut late = Histogram::new();
    while clock.now() < nanos(WATCHED) {
        let before = clock.now();
        thread::sleep(NAP);
        late.record((clock.now() - before).saturating_sub(nanos(NAP)));
    }
    [late.value_at(Percentile::P99).unwrap_or(0), late.max().unwrap_or(0)]
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

fn histogram(distribution: &Distribution) -> Result<Histogram, String> {
    distribution.to_histogram().map_err(|error| error.to_string())
}

fn requests(number: u64, connections: u32) -> LoadOptions {
    LoadOptions {
        requests: number.try_into().ok(),
        connections: connections.try_into().ok(),
        ..LoadOptions::default()
    }
}

fn at_rate(rate: u32, duration: Duration, arrival: Arrival) -> LoadOptions {
    LoadOptions {
        duration: Some(Span(duration)),
        connections: 100.try_into().ok(),
        rate: Some(Rate(f64::from(rate))),
        arrival: Some(arrival),
        seed: Some(7),
        ..LoadOptions::default()
    }
}

fn every_request_is_counted_once(bench: &Bench) -> Verdict {
    let path = "/bytes/100/share/0.1/status/500/share/0.1/hang-up/share/0.1/close";
    let Sides { run, truth } = bench.load(path, requests(2000, 20))?;
    let (account, counts) = (&run.account, truth.counts);
    let seen = format!(
        "{} sent and {} answered here; {} and {} there",
        account.sent,
        account.answered(),
        counts.requests,
        counts.answers
    );
    let agrees = (account.sent, account.answered()) == (counts.requests, counts.answers);
    ensure(agrees && account.sent == 2000 && account.failed > 0, || seen.clone())?;
    ensure(run.status == truth.statuses, || {
        format!("statuses here {:?}, there {:?}", run.status, truth.statuses)
    })?;
    Ok(seen)
}

fn bytes_agree(bench: &Bench) -> Verdict {
    let mut total = 0;
    for path in ["/bytes/10000", "/bytes/10000/chunked"] {
        let Sides { run, truth } = bench.load(path, requests(500, 10))?;
        let here = (run.bytes.body_read, run.bytes.head_read, run.bytes.written);
        let there = (truth.counts.body_written, truth.counts.head_written, truth.counts.read);
        ensure(here == there && here.0 == 5_000_000, || {
            format!("(body, heads, requests) here {here:?}, there {there:?}")
        })?;
        total += here.0 + here.1 + here.2;
    }
    Ok(format!("{} bytes on both sides", units::count(total)))
}

fn cut_bodies_are_failures(bench: &Bench) -> Verdict {
    let Sides { run, truth } = bench.load("/bytes/1000/share/0.2/truncate/500", requests(1000, 10))?;
    let cut = truth.counts.requests - truth.counts.answers;
    let failed = run.account.failed;
    let seen = format!("{cut} cut there, {failed} failures here");
    ensure(cut > 0 && cut == failed && run.account.answered() == truth.counts.answers, || seen.clone())?;
    Ok(seen)
}

fn timeouts_are_in_the_distribution(bench: &Bench) -> Verdict {
    let limit = Duration::from_millis(200);
    let options = LoadOptions { timeout: Some(Timeout(Some(limit))), ..requests(60, 20) };
    let Sides { run, truth } = bench.load("/share/0.3/silence", options)?;
    let silent = truth.counts.requests - truth.counts.answers;
    let censored = &run.latencies.censored;
    let seen = format!(
        "{silent} of 60 never answered there; {} timeouts here, at {} to {}",
        run.account.timeout,
        units::nanos(censored.min_ns),
        units::nanos(censored.max_ns)
    );
    let counted = silent > 0 && run.account.timeout == silent && censored.count == silent;
    let limit = nanos(limit);
    ensure(counted && censored.min_ns >= limit && censored.max_ns <= limit + LATE, || seen.clone())?;
    Ok(seen)
}

/// Requests due evenly at a rate for T, and nobody answered for S in the middle of it: whoever was due in the stall
/// waited for its end, so `R_q = S - (1 - q) T` and the mean is `S^2 / 2T`.
fn a_stall_is_seen_by_all(bench: &Bench) -> Verdict {
    let options = at_rate(500, Duration::from_secs(3), Arrival::Uniform);
    let Sides { run, .. } = bench.load("/freeze/1s/600ms", options)?;
    let latencies = histogram(&run.latencies.answered)?;
    let p99 = latencies.value_at(Percentile::P99).unwrap_or(0);
    let mean = run.latencies.answered.mean_ns().unwrap_or(0.0);
    let expected = 570 * MS;
    let seen = format!(
        "600 ms of 3 s: p99 {} where {} is true, mean {:.0} ms where 60 ms is",
        units::nanos(p99),
        units::nanos(expected),
        mean / MS as f64
    );
    let is_close = (expected - 10 * MS..=expected + LATE).contains(&p99) && (54e6..90e6).contains(&mean);
    ensure(run.account.ok == 1500 && is_close, || seen.clone())?;
    Ok(seen)
}

fn latencies_are_the_servers(bench: &Bench) -> Verdict {
    let options = at_rate(400, Duration::from_millis(2500), Arrival::Poisson);
    let Sides { run, truth } = bench.load("/exp/20ms", options)?;
    let mut held: Vec<Nanos> = truth.served.iter().map(|served| served.held).collect();
    held.sort_unstable();
    let here = histogram(&run.latencies.answered)?;
    ensure(held.len() as u64 == here.count() && !held.is_empty(), || "some are missing".to_owned())?;
    let mut parts = Vec::new();
    for percentile in [Percentile::P50, Percentile::P90, Percentile::P99] {
        let rank = usize::try_from(percentile.rank(here.count())).unwrap_or(usize::MAX);
        let true_ns = held[rank.clamp(1, held.len()) - 1];
        let ns = here.value_at(percentile).unwrap_or(0);
        let part =
            format!("p{} {} where {} is true", percentile.percent(), units::nanos(ns), units::nanos(true_ns));
        ensure(ns >= true_ns && ns <= true_ns + true_ns / 10 + 10 * MS, || part.clone())?;
        parts.push(part);
    }
    Ok(parts.join(", "))
}

fn a_schedule_is_kept(bench: &Bench) -> Verdict {
    let Sides { run, truth } = bench.load("/", at_rate(1000, Duration::from_secs(2), Arrival::Uniform))?;
    let lag = histogram(&run.latencies.lag)?.value_at(Percentile::P50).unwrap_or(0);
    let seen = format!(
        "{} of {} sent, {} came, half of them less than {} late",
        run.account.sent,
        run.account.scheduled,
        truth.counts.requests,
        units::nanos(lag)
    );
    let whole = (run.account.scheduled, run.account.sent, truth.counts.requests) == (2000, 2000, 2000);
    ensure(whole && lag < 5 * MS, || seen.clone())?;
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Time is judged by the timed tests, which run alone; here other tests run beside.
    #[test]
    fn what_does_not_depend_on_time_passes() {
        let bench = Bench::default();
        for check in CHECKS.iter().filter(|check| !check.is_timed) {
            check.run(&bench).unwrap_or_else(|wrong| panic!("{}: {wrong}", check.claim));
        }
    }

    #[test]
    fn any_other_check_gets_one_chance() {
        static TRIES: AtomicU32 = AtomicU32::new(0);
        fn wrong(_: &Bench) -> Verdict {
            TRIES.fetch_add(1, Ordering::SeqCst);
            Err("wrong".to_owned())
        }
        let check = Check { claim: "", is_timed: false, body: wrong };
        assert_eq!(
            (check.run(&Bench::default()), TRIES.load(Ordering::SeqCst)),
            (Err("wrong".to_owned()), 1)
        );
    }
}
