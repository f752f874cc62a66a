//! What is a run? The types of the stored documents.
//!
//! A document holds what was measured, and nothing that can be derived from it ([`crate::summary`] derives).
//! Units stand in field names. Times are nanoseconds since the run's time zero unless a name says otherwise.

mod answers;
mod block;
mod conditions;
mod merged;
mod sum;
mod target;
mod usage;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::answers::{AssertionRecord, CheckExample, CheckRecord, HeaderValues, Named, Warmup};
pub use self::block::{Arm, Block};
pub use self::conditions::Conditions;
pub use self::merged::{Merged, Part};
pub use self::target::{Front, Instance, Told, ToldBatches, ToldTime, Verification};
pub use self::usage::Usage;
use crate::histogram::Distribution;

/// Schema name of a [`Run`]; the number rises when an old reader would misread a new document.
pub const RUN_SCHEMA: &str = "loadgen.run/1";
/// Schema name of [`Figures`].
pub const FIGURES_SCHEMA: &str = "loadgen.figures/1";

/// One stored document. The `schema` field of the JSON object says which one it is.
#[derive(Debug, Clone, PartialEq)]
pub enum Document {
    /// Measured here.
    Run(Box<Run>),
    /// Published or imported: only what the source said.
    Figures(Box<Figures>),
}

impl Document {
    /// The scenario's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Run(run) => &run.name,
            Self::Figures(figures) => &figures.name,
        }
    }

    /// The name under which results of its machine are filed.
    pub fn machine_label(&self) -> &str {
        match self {
            Self::Run(run) => &run.machine.label,
            Self::Figures(figures) => &figures.machine.label,
        }
    }

    /// The configuration as flat keys; of figures, what is known of it.
    pub fn config(&self) -> &BTreeMap<String, String> {
        match self {
            Self::Run(run) => &run.config,
            Self::Figures(figures) => &figures.config,
        }
    }
}

/// Writes the record itself: its `schema` says which one it is. [`crate::store`] reads.
impl Serialize for Document {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Run(run) => run.serialize(serializer),
            Self::Figures(figures) => figures.serialize(serializer),
        }
    }
}

/// The record of one execution of one plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Always [`RUN_SCHEMA`].
    pub schema: String,
    /// Unique among the documents of one machine: start time and process.
    pub id: String,
    /// The scenario's name, or that of `--name`, else `load` for a plain load test.
    pub name: String,
    /// Its place in a comparison of two arms. Absent where it was not made for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<Block>,
    /// What the person who ran it calls it, by name. Absent when there are none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// Wall-clock time of time zero, RFC 3339 in UTC.
    pub started_at: String,
    /// How it came to its end.
    pub ended: Ended,
    /// The whole plan as flat typed keys (`load.connections` = `100`), secrets as `***`.
    pub config: BTreeMap<String, String>,
    /// What the scenario's file alone would have made of it, where the command line said something else: by the keys of
    /// `config`. Absent when nothing was overridden.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub overridden: BTreeMap<String, Overridden>,
    /// Hash of `config` without seed and number of workers, ports and names of files: repeats of one plan share it.
    pub plan_key: String,
    /// Where the generator ran.
    pub machine: Machine,
    /// Program and library versions by name.
    pub versions: BTreeMap<String, String>,
    /// The stretch of time that counts.
    pub window: Window,
    /// Every request, counted once.
    pub account: Account,
    /// Answered requests by status code.
    pub status: BTreeMap<u16, u64>,
    /// Requests that failed, by kind.
    pub failures: BTreeMap<FailureKind, FailureRecord>,
    /// Durations of answered, unanswered and failed requests.
    pub latencies: Latencies,
    /// Bytes that crossed the connections.
    pub bytes: Bytes,
    /// What the connections did.
    pub connections: Connections,
    /// The run second by second.
    pub series: Series,
    /// One entry per worker thread of the generator.
    pub workers: Vec<Worker>,
    /// What its machine did to the generator meanwhile. Absent in documents of before it was watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<Generator>,
    /// What its machine was like. Absent in documents older than this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conditions: Option<Conditions>,
    /// One entry per server process, where the target was started by the run. Empty otherwise.
    pub instances: Vec<Instance>,
    /// The reverse proxy in front of them. Absent where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub front: Option<Front>,
    /// Whether the target kept what it acknowledged. Absent where nothing could be checked.
    pub verification: Option<Verification>,
    /// Redirects that were followed inside requests. Absent when there were none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub redirects: u64,
    /// The load before time zero. Absent when there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warmup: Option<Warmup>,
    /// The requests of a mix by name. Absent when there was no mix.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<Named>,
    /// What was checked of the answers. Absent when nothing was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckRecord>,
    /// What was asserted of it. Absent when nothing was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assertions: Vec<AssertionRecord>,
    /// Answers by the value of a header field. Absent when nobody asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_values: Option<HeaderValues>,
    /// What the server and the generator agreed upon, where there was something to agree upon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negotiated: Option<Negotiated>,
    /// Whether the address that was loaded is one of the generator's own machine. Absent where nobody knows, as behind a
    /// proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_machine: Option<bool>,
    /// The generators, where several measured it together. Absent where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged: Option<Box<Merged>>,
    /// What nobody could know from the numbers later: a limit raised, an instance that died.
    pub notes: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands the field over so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A value of the plan that is not the one that the scenario's file alone would have given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overridden {
    /// By the file alone. Absent where its plan had no such key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// In this run, as in `config`. Absent where its plan has no such key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<String>,
    /// Whether nobody typed it: it follows from something else that was typed. Absent where it was typed, and in documents older
    /// than this field.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub follows: bool,
}

/// How a run came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// The plan was carried out.
    Completed,
    /// SIGINT (Ctrl-C) stopped it early.
    Sigint,
    /// SIGTERM stopped it early.
    Sigterm,
    /// Every instance of the target was gone.
    TargetLost,
    /// Whoever read the rows of its requests had gone, or they could not be written any more.
    OutputLost,
}

/// The stretch of time that a run's numbers describe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The planned length T, absent when the run was bounded by a number of requests alone.
    pub planned_ns: Option<u64>,
    /// The length that rates are divided by: T, or the time to the stop signal, or (bounded by a number) `wall_ns`.
    pub measured_ns: u64,
    /// From time zero to the end of the last request, drain included.
    pub wall_ns: u64,
    /// How long after the window unfinished requests were waited for, at most.
    pub drain_limit_ns: u64,
}

/// Every request counted once: `scheduled = sent + unsent`, `sent = ok + http_error + failed + timeout + aborted`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Requests that fell due.
    pub scheduled: u64,
    /// Requests that were begun, whether or not a connection came about.
    pub sent: u64,
    /// Requests that fell due and were never begun.
    pub unsent: u64,
    /// Answered with a status below 400.
    pub ok: u64,
    /// Answered with a status of 400 or above.
    pub http_error: u64,
    /// Ended by a failure of one of the [`FailureKind`]s.
    pub failed: u64,
    /// Not answered within the request timeout.
    pub timeout: u64,
    /// Unfinished when the drain ended.
    pub aborted: u64,
    /// Of the answered ones, those whose end lies inside the window.
    pub answered_in_window: u64,
    /// Of `ok`, answers that failed a check: errors although their status is good. Absent when there were none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub check_failed: u64,
}

impl Account {
    /// Requests that got a complete answer, whatever its status.
    pub fn answered(&self) -> u64 {
        self.ok + self.http_error
    }

    /// Everything that was not a good answer: HTTP errors, answers that failed a check, failures, timeouts and aborted
    /// requests.
    pub fn errors(&self) -> u64 {
        self.http_error + self.check_failed + self.failed + self.timeout + self.aborted
    }

    /// Whether every request is accounted for exactly once.
    pub fn balances(&self) -> bool {
        self.scheduled == self.sent + self.unsent
            && self.sent == self.answered() + self.failed + self.timeout + self.aborted
            && self.answered_in_window <= self.answered()
            && self.check_failed <= self.ok
    }
}

/// How a request can fail before it is answered completely. A closed set: documents are keyed by it, never by text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// The host name could not be resolved.
    Dns,
    /// Nobody listens there.
    ConnectRefused,
    /// The connection was not established in time.
    ConnectTimeout,
    /// Any other reason for which no connection came about.
    ConnectFailed,
    /// The TLS handshake failed.
    Tls,
    /// The peer reset the connection.
    Reset,
    /// The peer closed a fresh connection without answering.
    Closed,
    /// The peer closed a kept-alive connection while the next request was on its way.
    ClosedIdle,
    /// The peer closed in the middle of an answer.
    Truncated,
    /// The answer was not HTTP.
    Protocol,
    /// A redirect could not be followed.
    Redirect,
    /// This side ran out of file descriptors.
    ClientFiles,
    /// This side ran out of local ports.
    ClientPorts,
    /// An input/output error of another kind.
    Io,
}

impl FailureKind {
    /// Every kind, in the order in which reports list them.
    pub const ALL: [Self; 14] = [
        Self::Dns,
        Self::ConnectRefused,
        Self::ConnectTimeout,
        Self::ConnectFailed,
        Self::Tls,
        Self::Reset,
        Self::Closed,
        Self::ClosedIdle,
        Self::Truncated,
        Self::Protocol,
        Self::Redirect,
        Self::ClientFiles,
        Self::ClientPorts,
        Self::Io,
    ];

    /// The key used in documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::ConnectRefused => "connect-refused",
            Self::ConnectTimeout => "connect-timeout",
            Self::ConnectFailed => "connect-failed",
            Self::Tls => "tls",
            Self::Reset => "reset",
            Self::Closed => "closed",
            Self::ClosedIdle => "closed-idle",
            Self::Truncated => "truncated",
            Self::Protocol => "protocol",
            Self::Redirect => "redirect",
            Self::ClientFiles => "client-files",
            Self::ClientPorts => "client-ports",
            Self::Io => "io",
        }
    }

    /// What happened, for a person.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Dns => "the host name could not be resolved",
            Self::ConnectRefused => "connection refused: nothing listens at that address",
            Self::ConnectTimeout => "no connection within the time allowed",
            Self::ConnectFailed => "no connection could be made",
            Self::Tls => "the TLS handshake failed",
            Self::Reset => "the server reset the connection",
            Self::Closed => "the server closed the connection without answering",
            Self::ClosedIdle => "the server closed a kept-alive connection as the next request was sent",
            Self::Truncated => "the server closed the connection in the middle of an answer",
            Self::Protocol => "the answer was not valid HTTP",
            Self::Redirect => "a redirect could not be followed",
            Self::ClientFiles => "this machine ran out of file descriptors (raise `ulimit -n`)",
            Self::ClientPorts => "this machine ran out of local ports",
            Self::Io => "an input/output error",
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The failures of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailureRecord {
    /// How many.
    pub count: u64,
    /// When the first one ended.
    pub first_ns: u64,
    /// When the last one ended.
    pub last_ns: u64,
    /// The message of the first one, for a person.
    pub sample: String,
}

/// Durations. Each has a histogram of 3 significant digits and exact count, minimum, maximum and sum.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latencies {
    /// Answered requests. Closed model: from the start of the connection's turn; open model: from the due time.
    pub answered: Distribution,
    /// Requests that timed out or were aborted, at the time they had waited: lower bounds of their latency.
    pub censored: Distribution,
    /// Requests that failed, until they failed. Not part of the latency distribution.
    pub failed: Distribution,
    /// Answered requests, from the first byte written to the last byte read.
    pub service: Distribution,
    /// Establishing a connection (name look-up, dial, TLS), for the requests that had to.
    pub connect: Distribution,
    /// Name look-up alone.
    pub dns: Distribution,
    /// Writing the request.
    pub write: Distribution,
    /// From the last byte written to the first byte read.
    pub wait: Distribution,
    /// From the first byte read to the last.
    pub read: Distribution,
    /// Open model: how long requests waited for a free connection after they were due. Absent in the closed model.
    #[serde(default, skip_serializing_if = "Distribution::is_empty")]
    pub queue: Distribution,
    /// The generator's own lateness: wake-up minus due time, where a connection was free before it was due or would
    /// have been had the generator not been late already.
    pub lag: Distribution,
}

impl Latencies {
    /// All of them with the names of their fields.
    pub fn named(&self) -> [(&'static str, &Distribution); 11] {
        [
            ("answered", &self.answered),
            ("censored", &self.censored),
            ("failed", &self.failed),
            ("service", &self.service),
            ("connect", &self.connect),
            ("dns", &self.dns),
            ("write", &self.write),
            ("wait", &self.wait),
            ("read", &self.read),
            ("queue", &self.queue),
            ("lag", &self.lag),
        ]
    }
}

/// Bytes of requests and answers as they crossed the connections (TLS and TCP overhead apart).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bytes {
    /// Written: request heads and bodies.
    pub written: u64,
    /// Read: heads of answers, chunk framing included. Zero where the engine cannot see them.
    pub head_read: u64,
    /// Read: bodies of answers, undecoded.
    pub body_read: u64,
    /// Of these, the bodies of answers that never became complete. Absent when there were none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unanswered_body_read: u64,
}

/// What the connections did. A *slot* is one of the `-c N` places; over a run it can use several connections.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connections {
    /// The places of the plan (`-c N`).
    pub slots: u64,
    /// Connections established.
    pub opened: u64,
    /// Requests that went over a connection that had carried one before.
    pub reused: u64,
    /// Kept-alive connections found closed before a byte was written, and replaced.
    pub reopened: u64,
    /// Slots that sent requests and never got a single answer.
    pub never_answered: u64,
    /// The fewest answers any one slot got.
    pub fewest_answers: u64,
    /// The most answers any one slot got.
    pub most_answers: u64,
}

/// The run in equal intervals, one second each until there are more than [`Series::LIMIT`]; then neighbours merge.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// Length of an interval; the last one may be shorter.
    pub interval_ms: u64,
    /// Requests answered in the interval (by their end).
    pub answered: Vec<u64>,
    /// Requests that ended otherwise: failed, timed out or aborted.
    pub unanswered: Vec<u64>,
    /// Answers of 400 and above.
    pub http_error: Vec<u64>,
    /// Median latency of the answered requests; 0 where there were none.
    pub p50_us: Vec<u64>,
    /// 90th percentile.
    pub p90_us: Vec<u64>,
    /// 99th percentile.
    pub p99_us: Vec<u64>,
    /// Largest latency, exact.
    pub max_us: Vec<u64>,
}

impl Series {
    /// The most intervals a document holds.
    pub const LIMIT: usize = 3600;
}

/// What a connection spoke, as found out before the load.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Negotiated {
    /// `http/1.1`, `h2` (over TLS) or `h2c` (over plain TCP).
    pub protocol: String,
    /// The version of TLS, as `TLSv1_3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_version: Option<String>,
    /// The cipher suite, as `TLS13_AES_256_GCM_SHA384`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cipher: Option<String>,
    /// HTTP/2: how many requests at a time the server allowed on one connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_streams: Option<u64>,
}

/// One worker thread of the generator.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Worker {
    /// Slots it drove.
    pub slots: u64,
    /// Requests it sent.
    pub sent: u64,
    /// Requests it got answered.
    pub answered: u64,
    /// CPU time it used, user and system. Absent where the system does not tell.
    pub cpu_ns: Option<u64>,
    /// Time it was ready to run and waited for a CPU. Absent where the system does not tell.
    pub run_queue_ns: Option<u64>,
}

/// What the machine did to the generator from time zero until the last worker was done, and what the generator owes.
/// What the system does not tell is absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generator {
    /// How long it was watched.
    pub watched_ns: u64,
    /// Requests that were begun after the window's end, having fallen due inside it. Zero in the closed model.
    pub sent_late: u64,
    /// CPUs that it could use, in thousandths: its affinity or, where smaller, the quota of its control group.
    pub cpus_milli: u64,
    /// CPUs that it ran on, in the kernel's list format: `0-3,6`. Absent where the system does not tell, and in documents older
    /// than this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<String>,
    /// CPU time of the whole process, user and system.
    pub cpu_ns: Option<u64>,
    /// Time for which its control group (version 2) was not allowed to run.
    pub throttled_ns: Option<u64>,
    /// Time that the hypervisor gave to others: the mean of the CPUs of its affinity.
    pub stolen_ns: Option<u64>,
    /// CPU time of all programs of the machine and of its kernel, interrupts apart. Absent also in documents older than this
    /// field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_cpu_ns: Option<u64>,
    /// Time in which some task of the machine, whichever, waited for a CPU.
    pub pressure_ns: Option<u64>,
    /// How much later than asked a thread woke that did nothing but sleep. A stall counts once for each sleep it
    /// would have covered, so that its share is that of the time.
    pub hiccup: Distribution,
    /// Of that lateness, what that thread spent ready to run and waiting for a CPU.
    pub hiccup_queue_ns: Option<u64>,
}

/// Where something ran.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// The name under which results are filed.
    pub label: String,
    /// Hash of what makes two machines comparable: CPU model, CPUs allowed, memory, kernel release, architecture.
    pub fingerprint: String,
    /// Model name of the processor.
    pub cpu_model: String,
    /// CPUs the generator was allowed to use.
    pub cpus_allowed: u64,
    /// CPUs of the machine.
    pub cpus_total: u64,
    /// Memory of the machine.
    pub memory_bytes: u64,
    /// Kernel name and release.
    pub kernel: String,
    /// Processor architecture.
    pub architecture: String,
    /// Limits that shape a load test, by name (`open_files`, `somaxconn`, `local_ports`, `clock_source`).
    pub limits: BTreeMap<String, String>,
}

/// Published or imported figures: only what the source said. What it did not say is absent, never zero.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figures {
    /// Always [`FIGURES_SCHEMA`].
    pub schema: String,
    /// The scenario whose rows these figures stand beside.
    pub name: String,
    /// Where the figures come from: title, site, date.
    pub source: String,
    /// The tool that measured them.
    pub tool: String,
    /// Where it ran, as far as the source says.
    pub machine: FiguresMachine,
    /// What is known of the configuration, in the keys of [`Run::config`].
    #[serde(default)]
    pub config: BTreeMap<String, String>,
    /// Requests per second, as the tool printed them.
    pub rps: Option<f64>,
    /// In what sense `rps` is rough: `about`, `more than`. Absent for an exact figure.
    pub rps_qualifier: Option<String>,
    /// Answers by status code.
    #[serde(default)]
    pub status: BTreeMap<u16, u64>,
    /// Requests that timed out.
    pub timeouts: Option<u64>,
    /// Whole length of the run.
    pub total_s: Option<f64>,
    /// Largest latency the tool printed.
    pub slowest_s: Option<f64>,
    /// Smallest latency.
    pub fastest_s: Option<f64>,
    /// Mean latency.
    pub average_s: Option<f64>,
    /// Percentiles as printed: percentage (`99`) to seconds.
    #[serde(default)]
    pub percentiles_s: BTreeMap<String, f64>,
    /// What a reader must know to read the figures rightly.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// The machine of published figures.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FiguresMachine {
    /// The name under which results are filed, e.g. `published-2vcpu-4gb`.
    pub label: String,
    /// CPUs, where the source says.
    pub cpus: Option<u64>,
    /// Memory, where the source says.
    pub memory_bytes: Option<u64>,
    /// Price per month, as the source says it.
    pub price_per_month: Option<String>,
}
