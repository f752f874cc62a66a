//! Was the generator in the way? Its own health, judged from what was measured beside the requests.
//!
//! Each limit says where it comes from. "Proposed" ones are those of this project's methodology; "measured" ones were
//! moved or added, because `scripts/verdict-check` on a two-CPU guest said so. At 500 requests a second, generator and
//! target on a CPU each, a quiet worker waits for a CPU 0.01% to 0.3% of the time, 0.5% to 6% of the time it has work, and
//! its lag has a p99 of 0.05 to 0.3 ms; beside a busy loop 0.9% to 3%, 36% to 48%, and 0.5 to 3.2 ms.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::cpus::Cpus;
use crate::document::{Generator, Run, Worker};
use crate::histogram::Percentile;
use crate::summary::{Model, RATE_PER_CONNECTION_KEY, Summary};
use crate::units::{count, counted, nanos, share};

/// Two limits for one signal: what is above the first is suspect, above the second client-limited.
#[derive(Debug, Clone, Copy)]
struct Limits {
    suspect: f64,
    limited: f64,
}

/// Share of the time that a worker was ready to run and waited for a CPU. Proposed: 2% and 5%.
const STARVED: Limits = Limits { suspect: 0.02, limited: 0.05 };
/// The same of the time that it had work, waiting and computing. Measured: a generator that computes little waits for
/// less than 2% of the run beside a busy loop, and what it waits is its p99 all the same.
const CONTENDED: Limits = Limits { suspect: 0.2, limited: f64::INFINITY };
/// Share of the time that a worker computed. Proposed for a runtime: 80% and 95%.
const BUSY: Limits = Limits { suspect: 0.8, limited: 0.95 };
/// CPU time of the process by what it may use. Proposed: 70% and 85%.
const PROCESS: Limits = Limits { suspect: 0.7, limited: 0.85 };
/// Share of the time that the control group was not allowed to run. Proposed: anything, and 1%; a quota that cuts
/// in once for a moment is below [`NOTHING_NS`].
const THROTTLED: Limits = Limits { suspect: 0.0, limited: 0.01 };
/// Share of the CPUs' time that the hypervisor gave to others. Proposed: 1% and 5%.
const STOLEN: Limits = Limits { suspect: 0.01, limited: 0.05 };
/// Share of the time that some task of the machine waited for a CPU. Proposed: 10%, never client-limited: it does not
/// say who waited. So it counts only where the system does not tell how long the workers did.
const PRESSED: Limits = Limits { suspect: 0.1, limited: f64::INFINITY };
/// Share of the requests due that were not sent inside the window, though connections were free. Proposed: 0.5% and 1%.
const BEHIND: Limits = Limits { suspect: 0.005, limited: 0.01 };
/// Share of the connections' time that no request took (Little's law: connections = rate x (latency + idle time)).
/// Proposed: 2% and 10%.
const IDLE: Limits = Limits { suspect: 0.02, limited: 0.1 };

/// Less waiting than this, in all, is how a thread begins, and says nothing of a short run. Measured: up to 15 ms.
const WAITED_NS: u64 = 25_000_000;
/// Less of any other time than this, in all, says nothing. Also the longest gap that is no pause. Measured: schedulers and
/// hypervisors take some milliseconds at a time.
const NOTHING_NS: u64 = 100_000_000;
/// Lag below this is how timers are. Proposed: "above 1 ms, or above 5% of the median response"; measured: against a
/// target that answers in 0.1 ms the second alone is always true, so both must be.
const LAG_NS: u64 = 1_000_000;
/// The same for the sleeping thread. Proposed: 2 ms.
const HICCUP_NS: u64 = 2_000_000;
/// A lateness of less than this share of the median response does not show. Proposed.
const OF_MEDIAN: f64 = 0.05;
/// One of more than this share of the upper quantile makes it. Proposed.
const OF_TAIL: f64 = 0.1;
/// Idle time of a connection between two requests below which it is the cost of recording. Measured: 1 us, in a debug
/// build 15 us; with one connection to a fast target that alone is some percent.
const IDLE_NS: f64 = 50_000.0;
/// Of a shorter run the beginning, when connections are still being made, is too large a part for Little's law.
const SHORTEST_NS: u64 = 1_000_000_000;

/// Whether the numbers describe the target, or the generator in front of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Nothing says that the generator was in the way.
    Ok,
    /// It may have been.
    Suspect,
    /// It was.
    ClientLimited,
}

impl Verdict {
    /// As it is written for people: `client-limited`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Suspect => "suspect",
            Self::ClientLimited => "client-limited",
        }
    }
}

/// What was found, in numbers. Its text is a clause without a full stop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Finding {
    /// Requests that fell due were not sent inside the window, though connections were free.
    Behind {
        /// Sent inside the window.
        in_time: u64,
        /// Fell due.
        scheduled: u64,
    },
    /// The generator sent later than it was to.
    Lag {
        /// Its lag, 99th percentile.
        lag_ns: u64,
        /// The response time it is part of, 99th percentile.
        response_ns: u64,
    },
    /// It stood still at a stretch.
    Paused {
        /// How long.
        longest_ns: u64,
    },
    /// A worker thread was ready to run and waited for a CPU.
    Starved {
        /// Which one, counted from 1: the one that waited longest.
        worker: usize,
        /// Share of the run.
        part: f64,
    },
    /// A worker thread waited for a CPU a large part of the time that it had work.
    Contended {
        /// Which one, counted from 1: the one for which it was the largest part.
        worker: usize,
        /// Share of the time that it had work.
        part: f64,
    },
    /// A worker thread computed nearly all the time.
    Busy {
        /// Which one, counted from 1: the busiest.
        worker: usize,
        /// Share of the run.
        part: f64,
    },
    /// All threads together used nearly all they may.
    Process {
        /// Share of what they may use.
        part: f64,
        /// CPUs that they may use, in thousandths.
        cpus_milli: u64,
    },
    /// The control group's quota was used up.
    Throttled {
        /// For how long.
        throttled_ns: u64,
    },
    /// The hypervisor gave the CPUs to others.
    Stolen {
        /// Share of the CPUs' time.
        part: f64,
    },
    /// Somebody on the machine waited for a CPU.
    Pressed {
        /// Share of the time.
        part: f64,
    },
    /// A thread that did nothing but sleep woke late.
    Hiccups {
        /// How late, 99th percentile.
        late_ns: u64,
    },
    /// Connections were left without a request although nothing kept the generator from sending one.
    Idle {
        /// Share of the connections' time.
        part: f64,
    },
}

/// A finding, and how grave it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reason {
    /// What was found.
    pub finding: Finding,
    /// How grave it is: never [`Verdict::Ok`].
    pub verdict: Verdict,
    /// Whether the target ran on the same CPUs and may be the cause. Then it is at most suspect: the two compete, and
    /// the figures are of both.
    pub is_shared: bool,
}

impl Reason {
    /// What to do about it.
    pub fn advice(&self) -> &'static str {
        match self.finding {
            _ if self.is_shared => "the target ran here too; give each its own CPUs",
            Finding::Busy { .. } => "use more --workers, or a second machine",
            Finding::Process { .. } => "use a larger machine, or a second one",
            Finding::Throttled { .. } => "raise the CPU quota of its container or service",
            Finding::Stolen { .. } => "repeat the run, or use a machine of its own",
            Finding::Paused { .. } => "something stopped it or its machine; repeat the run",
            Finding::Idle { .. } => "use more --workers",
            Finding::Behind { .. }
            | Finding::Lag { .. }
            | Finding::Starved { .. }
            | Finding::Contended { .. }
            | Finding::Pressed { .. }
            | Finding::Hiccups { .. } => "give the generator CPUs of its own",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.finding {
            Finding::Behind { in_time, scheduled } => write!(
                f,
                "the generator sent {} of {} in time, with connections free",
                count(in_time),
                counted(scheduled, "request")
            ),
            Finding::Lag { lag_ns, response_ns } => {
                let (lag, response) = (nanos(lag_ns), nanos(response_ns));
                write!(
                    f,
                    "the generator's own lag has a p99 of {lag}, where that of the responses is {response}"
                )
            }
            Finding::Paused { longest_ns } => {
                write!(f, "the generator stood still for {}", nanos(longest_ns))
            }
            Finding::Starved { worker, part } => {
                write!(f, "the generator's worker {worker} waited {} of the time for a CPU", share(part))
            }
            Finding::Contended { worker, part } => {
                write!(
                    f,
                    "the generator's worker {worker} waited for a CPU {} of the time that it had work",
                    share(part)
                )
            }
            Finding::Busy { worker, part } => {
                write!(f, "the generator's worker {worker} was busy {} of the time", share(part))
            }
            Finding::Process { part, cpus_milli } => {
                let cpus = cpus_milli as f64 / 1e3;
                let what =
                    if cpus_milli == 1000 { "its one CPU".to_owned() } else { format!("its {cpus} CPUs") };
                write!(f, "the generator used {} of {what}", share(part))
            }
            Finding::Throttled { throttled_ns } => {
                write!(f, "the generator's CPU quota held it up for {}", nanos(throttled_ns))
            }
            Finding::Stolen { part } => {
                write!(f, "the hypervisor gave {} of the generator's CPU time to others", share(part))
            }
            Finding::Pressed { part } => {
                write!(f, "something on this machine waited for a CPU {} of the time", share(part))
            }
            Finding::Hiccups { late_ns } => {
                write!(f, "a sleeping thread of the generator woke up to {} late at p99", nanos(late_ns))
            }
            Finding::Idle { part } => {
                write!(f, "connections were free {} of the time, and the generator sent nothing", share(part))
            }
        }
    }
}

/// Everything that speaks against the generator, the gravest first.
pub(crate) fn reasons(run: &Run, summary: &Summary) -> Vec<Reason> {
    let case = Case { run, summary, generator: run.generator.as_ref() };
    let found = [
        case.behind(),
        case.paused(),
        case.starved().or_else(|| case.contended()),
        case.busy(),
        case.process(),
        case.throttled(),
        case.stolen(),
        case.pressed(),
        case.lag(),
        case.hiccups(),
        case.idle(),
    ];
    let mut reasons: Vec<Reason> = found.into_iter().flatten().collect();
    // Sorting keeps the order of equals.
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.verdict));
    reasons
}

/// Of an open run, how many requests were sent inside the window, and how many fell due. `None`: nobody counted.
pub(crate) fn sent_in_time(run: &Run, summary: &Summary) -> Option<(u64, u64)> {
    let late = run.generator.as_ref()?.sent_late;
    (summary.model == Some(Model::Open))
        .then(|| (run.account.sent.saturating_sub(late), run.account.scheduled))
}

/// Whether so few were sent in time that the rate was not reached; by the share that is suspect.
pub(crate) fn is_behind((in_time, scheduled): (u64, u64)) -> bool {
    missing((in_time, scheduled)) > BEHIND.suspect
}

/// Whether the rate was missed by so much that a strict run fails: under 99% of what fell due was sent in the window.
pub(crate) fn misses_rate(sent: (u64, u64)) -> bool {
    missing(sent) > BEHIND.limited
}

fn missing((in_time, scheduled): (u64, u64)) -> f64 {
    if scheduled == 0 { 0.0 } else { 1.0 - in_time as f64 / scheduled as f64 }
}

/// Of the time by which requests were late, the larger part was the generator's own, not waiting for connections.
pub(crate) fn is_own_lateness(run: &Run) -> bool {
    run.latencies.lag.sum_ns > run.latencies.queue.sum_ns
}

/// Whether the target ran on the generator's machine: as was found out, or else as far as the configuration tells.
pub(crate) fn shares_machine(run: &Run) -> bool {
    if let Some(same) = run.same_machine {
        return same;
    }
    let url = run.config.get("load.url").map_or("", String::as_str);
    let host = url.split("://").nth(1).unwrap_or("").split('@').next_back().unwrap_or("");
    let is_embedded = run.config.get("target.kind").is_some_and(|kind| kind == "embedded");
    is_embedded || ["127.", "localhost", "[::1]", "0.0.0.0"].iter().any(|local| host.starts_with(local))
}

/// CPUs of the generator and of its target that are the same ones. Absent: there are none, the target is elsewhere, or nobody
/// knows which ones they are.
pub(crate) fn shared_cpus(run: &Run) -> Option<Cpus> {
    let (generator, target) = (generator_cpus(run)?, target_cpus(run)?);
    generator.shared_with(&target)
}

/// Whether the generator and the target may have been in each other's way: they ran on one machine, and nothing says that each
/// had CPUs of its own.
pub(crate) fn shares_cpus(run: &Run) -> bool {
    let are_known = generator_cpus(run).is_some() && target_cpus(run).is_some();
    shares_machine(run) && !(are_known && shared_cpus(run).is_none())
}

/// CPUs that the generator could use, as far as it is known.
pub(crate) fn generator_cpus(run: &Run) -> Option<Cpus> {
    run.generator.as_ref()?.cpus.as_ref()?.parse().ok()
}

/// CPUs that any of the target's instances, or what stands in front of them, could use, where it is known of all of them.
pub(crate) fn target_cpus(run: &Run) -> Option<Cpus> {
    let usages = run.instances.iter().map(|one| one.usage.as_ref());
    let usages = usages.chain(run.front.iter().map(|front| front.usage.as_ref()));
    let of_each = usages.map(|usage| usage?.cpus.as_ref()?.parse::<Cpus>().ok());
    let of_each: Vec<Cpus> = of_each.collect::<Option<_>>()?;
    Cpus::of(of_each.iter().flat_map(Cpus::numbers))
}

struct Case<'a> {
    run: &'a Run,
    summary: &'a Summary,
    generator: Option<&'a Generator>,
}

impl Case<'_> {
    /// Names a finding whose share is beyond a limit, and which a target on the same machine may explain.
    fn judge(&self, part: f64, limits: Limits, finding: Finding) -> Option<Reason> {
        let is_shared = shares_cpus(self.run);
        let verdict = if part > limits.limited {
            Verdict::ClientLimited
        } else if part > limits.suspect {
            Verdict::Suspect
        } else {
            return None;
        };
        let verdict = if is_shared { Verdict::Suspect } else { verdict };
        Some(Reason { finding, verdict, is_shared })
    }

    /// The same for what no target explains, wherever it runs.
    fn judge_alone(&self, part: f64, limits: Limits, finding: Finding) -> Option<Reason> {
        let reason = self.judge(part, limits, finding)?;
        let verdict = if part > limits.limited { Verdict::ClientLimited } else { Verdict::Suspect };
        Some(Reason { verdict, is_shared: false, ..reason })
    }

    /// The worker that is worst by some time of it, and that time, if it is more than `nothing_ns`. Judged per worker, not
    /// per process: one starved thread is late while the others idle.
    fn worst(&self, nothing_ns: u64, time: impl Fn(&Worker) -> Option<u64>) -> Option<(usize, u64)> {
        let times =
            self.run.workers.iter().zip(1..).filter_map(|(worker, number)| Some((number, time(worker)?)));
        times
            .max_by_key(|&(number, time)| (time, std::cmp::Reverse(number)))
            .filter(|&(_, ns)| ns > nothing_ns)
    }

    fn of_wall(&self, ns: u64) -> f64 {
        part(ns, self.run.window.wall_ns)
    }

    fn behind(&self) -> Option<Reason> {
        let (in_time, scheduled) = sent_in_time(self.run, self.summary)?;
        if !is_own_lateness(self.run) {
            return None;
        }
        self.judge(missing((in_time, scheduled)), BEHIND, Finding::Behind { in_time, scheduled })
    }

    fn starved(&self) -> Option<Reason> {
        let (worker, waited) = self.worst(WAITED_NS, |worker| worker.run_queue_ns)?;
        let part = self.of_wall(waited);
        self.judge(part, STARVED, Finding::Starved { worker, part })
    }

    fn contended(&self) -> Option<Reason> {
        let parts = self.run.workers.iter().zip(1..).filter_map(|(worker, number)| {
            let (waited, computed) = (worker.run_queue_ns?, worker.cpu_ns?);
            (waited > WAITED_NS).then(|| (number, part(waited, waited + computed)))
        });
        let (worker, part) = parts.max_by(|left, right| left.1.total_cmp(&right.1))?;
        self.judge(part, CONTENDED, Finding::Contended { worker, part })
    }

    fn busy(&self) -> Option<Reason> {
        // What could not be answered is no load: a refused connection costs the generator alone.
        let is_loaded = self.run.account.answered() > 0;
        let (worker, cpu) = self.worst(NOTHING_NS, |worker| worker.cpu_ns).filter(|_| is_loaded)?;
        let part = self.of_wall(cpu);
        self.judge(part, BUSY, Finding::Busy { worker, part })
    }

    fn process(&self) -> Option<Reason> {
        let generator = self.generator.filter(|_| self.run.account.answered() > 0)?;
        let cpu = generator.cpu_ns.filter(|&cpu| cpu > NOTHING_NS)?;
        let part = part(cpu, generator.watched_ns) * 1e3 / generator.cpus_milli.max(1) as f64;
        // With as many CPUs as workers, a busy worker has said so already.
        let finding = Finding::Process { part, cpus_milli: generator.cpus_milli };
        self.judge(part, PROCESS, finding).filter(|_| self.busy().is_none())
    }

    fn throttled(&self) -> Option<Reason> {
        let generator = self.generator?;
        let throttled_ns = generator.throttled_ns.filter(|&ns| ns > NOTHING_NS / 10)?;
        self.judge(part(throttled_ns, generator.watched_ns), THROTTLED, Finding::Throttled { throttled_ns })
    }

    fn stolen(&self) -> Option<Reason> {
        let generator = self.generator?;
        let stolen = generator.stolen_ns.filter(|&ns| ns > NOTHING_NS)?;
        let part = part(stolen, generator.watched_ns);
        self.judge_alone(part, STOLEN, Finding::Stolen { part })
    }

    fn pressed(&self) -> Option<Reason> {
        let generator = self.generator?;
        let is_told = self.run.workers.iter().any(|worker| worker.run_queue_ns.is_some());
        let pressure = generator.pressure_ns.filter(|&ns| ns > NOTHING_NS && !is_told)?;
        let part = part(pressure, generator.watched_ns);
        self.judge(part, PRESSED, Finding::Pressed { part })
    }

    fn lag(&self) -> Option<Reason> {
        let lag_ns = self.summary.open?.lag_p99_ns?;
        let (median, response_ns) = (self.response(Percentile::P50)?, self.response(Percentile::P99)?);
        let finding = Finding::Lag { lag_ns, response_ns };
        let is_late = lag_ns > LAG_NS && part(lag_ns, median) > OF_MEDIAN;
        let limits = Limits { suspect: 0.0, limited: OF_TAIL };
        self.judge(part(lag_ns, response_ns), limits, finding).filter(|_| is_late)
    }

    fn hiccups(&self) -> Option<Reason> {
        let hiccup = &self.generator?.hiccup;
        let late_ns = hiccup.to_histogram().ok()?.value_at(Percentile::P99)?;
        let is_late = Percentile::P99.is_supported_by(hiccup.count)
            && late_ns > HICCUP_NS
            && part(late_ns, self.response(Percentile::P50)?) > OF_MEDIAN;
        let limits = Limits { suspect: 0.0, limited: f64::INFINITY };
        // A pause has been told, and is in every later percentile.
        self.judge(1.0, limits, Finding::Hiccups { late_ns }).filter(|_| is_late && self.paused().is_none())
    }

    /// The longest hiccup. Where the sleeping thread was not waiting for a CPU meanwhile, no other program explains it:
    /// it was stopped, or its machine was.
    fn paused(&self) -> Option<Reason> {
        let generator = self.generator?;
        let longest_ns = generator.hiccup.max_ns;
        let tail =
            self.summary.latency.quantiles.iter().rev().find(|quantile| quantile.is_supported)?.value_ns;
        if longest_ns <= NOTHING_NS || part(longest_ns, tail) <= OF_TAIL {
            return None;
        }
        let limits = Limits { suspect: 0.0, limited: 0.0 };
        let finding = Finding::Paused { longest_ns };
        if generator.hiccup_queue_ns.is_some_and(|queued| queued < longest_ns / 2) {
            return self.judge_alone(1.0, limits, finding);
        }
        self.judge(1.0, limits, finding)
    }

    /// Little's law over the window of a closed run: the connections' time that is in no request. Failed and unanswered
    /// requests take their time too, so they need no exception; requests that reach beyond the window make it smaller,
    /// so it errs towards nothing found. Runs of a number of requests have no common end, paced ones idle on purpose.
    fn idle(&self) -> Option<Reason> {
        let (run, window) = (self.run, &self.run.window);
        let is_paced = run.config.contains_key(RATE_PER_CONNECTION_KEY);
        let is_bound = window.planned_ns.is_some() && window.measured_ns >= SHORTEST_NS;
        if self.generator.is_none() || self.summary.model != Some(Model::Closed) || is_paced || !is_bound {
            return None;
        }
        let latencies = &run.latencies;
        let taken = latencies.answered.sum_ns + latencies.censored.sum_ns + latencies.failed.sum_ns;
        let there = run.connections.slots as f64 * window.measured_ns as f64;
        let idle = there - taken as f64;
        let part = idle / there;
        let is_long = idle > run.account.sent as f64 * IDLE_NS;
        self.judge(part, IDLE, Finding::Idle { part }).filter(|_| is_long)
    }

    fn response(&self, percentile: Percentile) -> Option<u64> {
        Some(self.summary.latency.at(percentile).filter(|quantile| quantile.is_supported)?.value_ns)
    }
}

fn part(ns: u64, whole_ns: u64) -> f64 {
    if whole_ns == 0 { 0.0 } else { ns as f64 / whole_ns as f64 }
}
