//! What should the reader distrust? Values with numbers and advice; formats decide how to show them.

use std::fmt;

use crate::condition::{self, Condition};
use crate::document::{Account, Document, Ended, FailureKind, Merged, Named, Run, Series};
use crate::histogram::Percentile;
use crate::share::{self, Uneven};
use crate::summary::{STREAMS_KEY, Summary};
use crate::units::{count, counted, nanos, one_line};
use crate::verdict::{self, Reason, Verdict};

/// One thing to know before believing the numbers. Its text is a sentence without a full stop.
#[derive(Debug, Clone, PartialEq)]
pub enum Warning {
    /// A rule of the accounting is broken: the program or the document is wrong.
    Unbalanced {
        /// The rule.
        rule: &'static str,
        /// What its left side comes to.
        left: u64,
        /// What its right side comes to.
        right: u64,
    },
    /// The run did not carry out its plan.
    Interrupted {
        /// How it ended.
        ended: Ended,
        /// When measuring stopped.
        after_ns: u64,
        /// When it was to stop, where that was planned.
        planned_ns: Option<u64>,
    },
    /// Not one request was answered.
    NothingAnswered {
        /// How many were sent.
        sent: u64,
    },
    /// The database does not hold what was acknowledged, or holds what was not sent, or is damaged.
    VerificationFailed {
        /// Rows found.
        rows: u64,
        /// Good answers counted.
        acknowledged: u64,
        /// Requests sent.
        sent: u64,
        /// Rows that the instances say they committed, where they do.
        committed: Option<u64>,
        /// What the integrity check said.
        integrity: String,
    },
    /// Requests were given up, so the upper quantiles are lower bounds.
    Censored {
        /// The lowest reported percentile that is a lower bound. `None` when only slowest and average are.
        first: Option<Percentile>,
        /// Requests that timed out.
        timeouts: u64,
        /// Requests unfinished when the drain ended.
        aborted: u64,
        /// Requests that fell due and were never sent, in the open model.
        unsent: u64,
        /// Requests sent.
        sent: u64,
        /// The shortest time that one of them had waited.
        shortest_ns: u64,
        /// The longest.
        longest_ns: u64,
    },
    /// Requests fell due and were never begun.
    Unsent {
        /// How many.
        unsent: u64,
        /// How many fell due.
        scheduled: u64,
    },
    /// Connections, or slots of connections that carry several requests at a time, sent requests and never got an answer.
    NeverAnswered {
        /// How many.
        never: u64,
        /// How many there were.
        slots: u64,
        /// What one is called.
        slot: &'static str,
    },
    /// Requests failed.
    Failures {
        /// How.
        kind: FailureKind,
        /// How many.
        failed: u64,
        /// Requests sent.
        sent: u64,
        /// When the first one ended.
        first_ns: u64,
        /// When the last one ended.
        last_ns: u64,
    },
    /// Answers failed a check.
    ChecksFailed {
        /// The check, as it was written.
        check: String,
        /// How many failed it.
        failed: u64,
        /// Complete answers.
        answered: u64,
        /// Why the first of them did.
        reason: Option<String>,
    },
    /// Percentiles that the sample cannot support.
    Thin {
        /// The lowest of them, of those that hey's block prints.
        first: Percentile,
        /// How many samples there are.
        samples: u64,
    },
    /// Less was sent in the window than fell due, because the connections were busy.
    RateMissed {
        /// Sent inside the window.
        in_time: u64,
        /// Fell due.
        scheduled: u64,
        /// How many of the others were never sent at all.
        unsent: u64,
    },
    /// What the instances say they answered and what the generator counted cannot both be true.
    Disagreement {
        /// Requests that all instances say they answered.
        told: u64,
        /// Good answers counted: at least so many.
        ok: u64,
        /// Requests sent: at most so many.
        sent: u64,
    },
    /// Instances shared the load unevenly.
    Uneven(Uneven),
    /// The machine was not fit for measuring.
    Machine(Condition),
    /// Something speaks against the generator.
    Generator(Reason),
    /// Something speaks against one of several generators.
    Part {
        /// Which one, from 1.
        number: usize,
        /// The label of its machine.
        machine: String,
        /// What its own document says of it.
        verdict: Verdict,
        /// Why, in clauses.
        reasons: Vec<String>,
    },
    /// The run was too short for answers that take so long.
    Short {
        /// Mean latency.
        average_ns: u64,
        /// The length that the rate is divided by.
        measured_ns: u64,
    },
}

/// The warnings of a document, gravest first. Published figures have none: their `notes` say what is known.
pub fn of(document: &Document, summary: &Summary) -> Vec<Warning> {
    match document {
        Document::Run(run) => of_run(run, summary),
        Document::Figures(_) => Vec::new(),
    }
}

/// Whether a run can be believed at all: every request counted once, and every part of the document of one mind.
pub fn is_valid(run: &Run) -> bool {
    imbalances(run).is_empty()
}

/// What the warnings together say about the generator.
pub fn verdict(warnings: &[Warning]) -> Verdict {
    warnings.iter().map(Warning::verdict).max().unwrap_or(Verdict::Ok)
}

/// Why a strict reader does not take this run, in one sentence: the generator was the limit, or the rate was not
/// reached (less than 99% of the requests due were sent inside the window). `None`: nothing against it.
pub fn objection(run: &Run, summary: &Summary, warnings: &[Warning]) -> Option<String> {
    let limited = warnings.iter().find(|warning| warning.verdict() == Verdict::ClientLimited);
    if let Some(limited) = limited {
        return Some(limited.line());
    }
    let (in_time, scheduled) =
        verdict::sent_in_time(run, summary).filter(|&sent| verdict::misses_rate(sent))?;
    let (in_time, scheduled) = (count(in_time), counted(scheduled, "request"));
    Some(format!("the rate was not reached: {in_time} of {scheduled} that fell due were sent in time"))
}

impl Warning {
    /// Whether the run must not be used at all.
    pub fn is_grave(&self) -> bool {
        matches!(self, Self::Unbalanced { .. })
    }

    /// What this one says about the generator.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Failures { kind: FailureKind::ClientFiles | FailureKind::ClientPorts, .. } => {
                Verdict::ClientLimited
            }
            Self::Generator(reason) => reason.verdict,
            Self::Part { verdict, .. } => *verdict,
            _ => Verdict::Ok,
        }
    }

    /// The whole of it on one line: what it casts doubt on, what happened, what to do.
    pub fn line(&self) -> String {
        let label = match self.verdict() {
            Verdict::Ok if self.is_grave() => "not valid: ".to_owned(),
            Verdict::Ok => String::new(),
            verdict => format!("{}: ", verdict.name()),
        };
        match self.advice() {
            Some(advice) => format!("{label}{self}: {advice}"),
            None => format!("{label}{self}"),
        }
    }

    /// What to do about it, where there is something to do.
    pub fn advice(&self) -> Option<String> {
        match self {
            Self::Unbalanced { .. } => {
                Some("do not use this run: it is a bug in loadgen or an edited document".into())
            }
            Self::NothingAnswered { sent: 1.. } => {
                Some("check that the target runs and the URL is right".into())
            }
            Self::Unsent { .. } | Self::RateMissed { .. } => {
                Some("lower the rate, or give more connections".into())
            }
            Self::NeverAnswered { never, slots, slot } => {
                let limit = slots.saturating_sub(*never);
                let what =
                    if *slot == CONNECTION { "a connection limit" } else { "a limit of requests at a time" };
                (limit > 0).then(|| format!("look for {what} near {}", count(limit)))
            }
            Self::Failures { kind, .. } => failure_advice(*kind).map(Into::into),
            Self::Thin { .. } | Self::Short { .. } => Some("run longer".into()),
            Self::Generator(reason) => Some(reason.advice().into()),
            Self::Machine(condition) => Some(condition.advice().into()),
            Self::Uneven(uneven) => Some(uneven.advice().into()),
            Self::Disagreement { .. } => {
                Some("see whether others load it too, or whether something between them answers".into())
            }
            Self::Interrupted { .. }
            | Self::Part { .. }
            | Self::NothingAnswered { .. }
            | Self::ChecksFailed { .. }
            | Self::VerificationFailed { .. }
            | Self::Censored { .. } => None,
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unbalanced { rule, left, right } => {
                write!(
                    f,
                    "the account does not balance: {rule}, but {} is not {}",
                    count(*left),
                    count(*right)
                )
            }
            Self::Interrupted { ended, after_ns, planned_ns } => {
                write!(f, "{} after {}", why(*ended), nanos(*after_ns))?;
                planned_ns.map_or(Ok(()), |planned| write!(f, " of {}", nanos(planned)))
            }
            Self::NothingAnswered { sent: 0 } => {
                f.write_str("nothing was sent: no request fell due in this time")
            }
            Self::NothingAnswered { sent } => {
                write!(f, "not one of {} was answered", counted(*sent, "request"))
            }
            Self::VerificationFailed { .. } => self.fmt_verification(f),
            Self::Censored { .. } => self.fmt_censored(f),
            Self::Unsent { unsent, scheduled } => {
                let (unsent, of) = (count(*unsent), counted(*scheduled, "request"));
                write!(f, "{unsent} of {of} that fell due were never sent")
            }
            Self::NeverAnswered { never, slots, slot } => {
                let verb = if *never == 1 { "was" } else { "were" };
                write!(f, "{} of {} {verb} never answered", count(*never), counted(*slots, slot))
            }
            Self::Failures { kind, failed, sent, first_ns, last_ns } => {
                write!(f, "{} of {} failed", count(*failed), counted(*sent, "request"))?;
                match (failed == sent, *failed == 1 || first_ns == last_ns) {
                    // Where everything failed, there is nothing to be gained by knowing when.
                    (true, _) => {}
                    (false, true) => write!(f, ", {} into the run", nanos(*first_ns))?,
                    (false, false) => {
                        write!(f, ", {} to {} into the run", nanos(*first_ns), nanos(*last_ns))?;
                    }
                }
                f.write_str(": ")?;
                f.write_str(kind.meaning())
            }
            Self::ChecksFailed { check, failed, answered, reason } => {
                let (failed, of) = (count(*failed), counted(*answered, "answer"));
                write!(f, "{failed} of {of} failed the check `{}`", one_line(check))?;
                reason.as_ref().map_or(Ok(()), |reason| write!(f, "; the first: {}", one_line(reason)))
            }
            Self::Thin { first, samples } => {
                let highest = Percentile::P99;
                let verb = if *first == highest { "rests" } else { "and above rest" };
                let needs = count(highest.samples_needed());
                let subject = if *first == highest { "it".to_owned() } else { highest.to_string() };
                write!(f, "{first} {verb} on {}; {subject} needs {needs}", counted(*samples, "sample"))
            }
            Self::Generator(reason) => reason.fmt(f),
            Self::Part { number, machine, reasons, .. } => {
                write!(f, "generator {number} ({}): {}", one_line(machine), reasons.join("; "))
            }
            Self::Machine(condition) => condition.fmt(f),
            Self::Uneven(uneven) => uneven.fmt(f),
            Self::Disagreement { told, ok, sent } => fmt_disagreement(f, [*told, *ok, *sent]),
            Self::RateMissed { in_time, scheduled, unsent } => {
                fmt_rate_missed(f, [*in_time, *scheduled, *unsent])
            }
            Self::Short { average_ns, measured_ns } => fmt_short(f, *average_ns, *measured_ns),
        }
    }
}

impl Warning {
    fn fmt_verification(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::VerificationFailed { rows, acknowledged, sent, committed, integrity } = self else {
            return Ok(());
        };
        f.write_str("verification failed: ")?;
        if integrity != "ok" {
            return write!(f, "the database's integrity check says: {}", one_line(integrity));
        }
        let (rows_text, good) = (counted(*rows, "row"), counted(*acknowledged, "good answer"));
        if rows < acknowledged {
            return write!(f, "{rows_text} for {good}: {} acknowledged and lost", count(acknowledged - rows));
        }
        if rows > sent {
            return write!(f, "{rows_text} for {}: more than were sent", counted(*sent, "request"));
        }
        let committed = count(committed.unwrap_or(0));
        write!(f, "{rows_text} in the database, and the instances say they committed {committed}")
    }

    fn fmt_censored(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Censored { first, timeouts, aborted, unsent, sent, shortest_ns, longest_ns } = self else {
            return Ok(());
        };
        match first {
            Some(first) => write!(f, "{first} and above are lower bounds: ")?,
            None => f.write_str("slowest and average are lower bounds: ")?,
        }
        let (shortest, longest) = (nanos(*shortest_ns), nanos(*longest_ns));
        let waited = if shortest == longest { longest } else { format!("{shortest} to {longest}") };
        if *unsent > 0 {
            let parts =
                [(*timeouts, "timed out"), (*aborted, "unfinished at the end"), (*unsent, "never sent")];
            let parts: Vec<_> = parts
                .iter()
                .filter(|part| part.0 > 0)
                .map(|part| format!("{} {}", count(part.0), part.1))
                .collect();
            let due = counted(sent + unsent, "request");
            return write!(f, "of {due} that fell due, {}, after waiting {waited}", parts.join(", "));
        }
        write!(f, "{} of {} ", count(timeouts + aborted), counted(*sent, "request"))?;
        match (timeouts, aborted) {
            (_, 0) => f.write_str("timed out at ")?,
            (0, _) => f.write_str("were unfinished at the end, after ")?,
            _ => write!(
                f,
                "timed out or were unfinished at the end ({} and {}), after ",
                count(*timeouts),
                count(*aborted)
            )?,
        }
        f.write_str(&waited)
    }
}

fn of_run(run: &Run, summary: &Summary) -> Vec<Warning> {
    let mut warnings = imbalances(run);
    if run.ended != Ended::Completed {
        let (ended, after_ns) = (run.ended, run.window.measured_ns);
        warnings.push(Warning::Interrupted { ended, after_ns, planned_ns: run.window.planned_ns });
    }
    if run.account.answered() == 0 {
        warnings.push(Warning::NothingAnswered { sent: run.account.sent });
    }
    warnings.extend(verification(run));
    warnings.extend(disagreement(run));
    match &run.merged {
        Some(merged) => warnings.extend(against_parts(merged)),
        None => warnings.extend(verdict::reasons(run, summary).into_iter().map(Warning::Generator)),
    }
    warnings.extend(censored(run, summary));
    warnings.extend(unsent(run, summary));
    // Where each got a request or two, that some had no answer is chance.
    if run.connections.never_answered > 0 && run.connections.most_answers >= TELLING_ANSWERS {
        let (never, slots) = (run.connections.never_answered, run.connections.slots);
        warnings.push(Warning::NeverAnswered { never, slots, slot: slot_name(run) });
    }
    warnings.extend(checks(run));
    warnings.extend(failures(run));
    warnings.extend(share::uneven(run).map(Warning::Uneven));
    warnings.extend(short(run, summary));
    warnings.extend(thin(summary));
    warnings.extend(condition::of(run).into_iter().map(Warning::Machine));
    warnings
}

/// What the documents of several generators say of them: their health is not in the merged one.
fn against_parts(merged: &Merged) -> impl Iterator<Item = Warning> {
    let doubtful = merged.parts.iter().zip(1..).filter(|(part, _)| part.verdict != Verdict::Ok);
    doubtful.map(|(part, number)| Warning::Part {
        number,
        machine: part.machine.clone(),
        verdict: part.verdict,
        reasons: part.reasons.clone(),
    })
}

/// So many answers on one connection make it telling that another one had none.
const TELLING_ANSWERS: u64 = 5;
const CONNECTION: &str = "connection";

/// What a slot is: a connection, or one of the requests at a time that a connection carries.
pub(crate) fn slot_name(run: &Run) -> &'static str {
    if run.config.contains_key(STREAMS_KEY) { "request slot" } else { CONNECTION }
}

/// The rules of `crates/README.md`: every request counted once, and every part of the document agrees with the whole.
pub(crate) fn imbalances(run: &Run) -> Vec<Warning> {
    let account = &run.account;
    let ended = account.answered() + account.failed + account.timeout + account.aborted;
    let given_up = account.timeout + account.aborted;
    // In the open model what was never sent is in the distribution too.
    let censored = match run.latencies.censored.count {
        count if count == given_up + account.unsent => given_up,
        count => count,
    };
    let mut rules = vec![
        ("scheduled = sent + unsent", account.scheduled, account.sent + account.unsent),
        ("sent = ok + http_error + failed + timeout + aborted", account.sent, ended),
        ("answers by status = ok + http_error", run.status.values().sum(), account.answered()),
        (
            "answers of 400 and above = http_error",
            run.status.range(400..).map(|s| s.1).sum(),
            account.http_error,
        ),
        ("failures by kind = failed", run.failures.values().map(|f| f.count).sum(), account.failed),
        ("samples of answered latency = ok + http_error", run.latencies.answered.count, account.answered()),
        ("samples of censored latency = timeout + aborted", censored, given_up),
        ("samples of failed latency = failed", run.latencies.failed.count, account.failed),
    ];
    if run.series != Series::default() {
        let series = &run.series;
        rules.extend([
            ("answered in the series = ok + http_error", series.answered.iter().sum(), account.answered()),
            (
                "unanswered in the series = failed + timeout + aborted",
                series.unanswered.iter().sum(),
                account.failed + given_up,
            ),
            ("errors in the series = http_error", series.http_error.iter().sum(), account.http_error),
        ]);
    }
    if !run.workers.is_empty() {
        let workers = &run.workers;
        rules.extend([
            ("sent by the workers = sent", workers.iter().map(|w| w.sent).sum(), account.sent),
            (
                "answered to the workers = ok + http_error",
                workers.iter().map(|w| w.answered).sum(),
                account.answered(),
            ),
        ]);
    }
    rules.extend(parts(run));
    let broken = rules.into_iter().filter(|(_, left, right)| left != right);
    let mut warnings: Vec<_> =
        broken.map(|(rule, left, right)| Warning::Unbalanced { rule, left, right }).collect();
    if account.answered_in_window > account.answered() {
        let (left, right) = (account.answered_in_window, account.answered());
        warnings.push(Warning::Unbalanced {
            rule: "answered_in_window is part of ok + http_error",
            left,
            right,
        });
    }
    warnings
}

/// The rules of what only some runs have: requests by name, answers by a header's value, checks.
fn parts(run: &Run) -> Vec<(&'static str, u64, u64)> {
    let account = &run.account;
    let given_up = account.timeout + account.aborted;
    let mut rules = Vec::new();
    if !run.requests.is_empty() {
        let sum = |of: fn(&Named) -> u64| run.requests.iter().map(of).sum::<u64>();
        rules.extend([
            ("sent by name = sent", sum(|named| named.sent), account.sent),
            ("ok by name = ok", sum(|named| named.ok), account.ok),
            ("http_error by name = http_error", sum(|named| named.http_error), account.http_error),
            ("check_failed by name = check_failed", sum(|named| named.check_failed), account.check_failed),
            ("failed by name = failed", sum(|named| named.failed), account.failed),
            ("given up by name = timeout + aborted", sum(|named| named.timeout + named.aborted), given_up),
            ("samples by name = ok + http_error", sum(|named| named.answered.count), account.answered()),
        ]);
    }
    if let Some(values) = &run.header_values {
        rules.push(("answers by header value = ok + http_error", values.total(), account.answered()));
    }
    // Whatever fails a check is among the answers, and counts as an error once.
    rules.push(("check_failed is part of ok", account.check_failed.max(account.ok), account.ok));
    rules
}

fn verification(run: &Run) -> Option<Warning> {
    let verification = run.verification.as_ref().filter(|verification| !verification.holds())?;
    Some(Warning::VerificationFailed {
        rows: verification.rows,
        acknowledged: verification.acknowledged,
        sent: verification.sent,
        committed: verification.committed,
        integrity: verification.integrity.clone(),
    })
}

/// Only of the embedded server: another one counts in its own way, and was probed. A request that reqwest sends again, nobody
/// sees; what an instance refuses before it has read a request, it does not count.
fn disagreement(run: &Run) -> Option<Warning> {
    let is_embedded = run.config.get("target.kind").is_some_and(|kind| kind == "embedded");
    let is_seen = run.config.get("load.engine").is_none_or(|engine| engine != "reqwest");
    // Through a front they were probed, and it may send again.
    let is_seen = is_seen && run.front.is_none();
    let told = run.instances.iter().map(|instance| instance.answered).sum::<Option<u64>>()?;
    let (sent, ok) = run.warmup.as_ref().map_or((0, 0), |warmup| (warmup.sent, warmup.ok));
    let (sent, ok) = (run.account.sent + sent + run.redirects, run.account.ok + ok);
    let is_possible = (ok..=sent).contains(&told);
    (is_embedded && is_seen && !is_possible).then_some(Warning::Disagreement { told, ok, sent })
}

/// What fell due and was not sent, or not in the window. Where the generator is to blame, its reasons say so.
fn unsent(run: &Run, summary: &Summary) -> Option<Warning> {
    let Account { unsent, scheduled, .. } = run.account;
    match verdict::sent_in_time(run, summary).filter(|&sent| verdict::is_behind(sent)) {
        Some(_) if verdict::is_own_lateness(run) => None,
        Some((in_time, scheduled)) => Some(Warning::RateMissed { in_time, scheduled, unsent }),
        None => (unsent > 0).then_some(Warning::Unsent { unsent, scheduled }),
    }
}

/// With answers that take a tenth of the run or more, those cut off by its end are a visible part of them.
const SHORT_SHARE: f64 = 0.1;

fn short(run: &Run, summary: &Summary) -> Option<Warning> {
    let (planned, average) = (run.window.planned_ns?, summary.answered_latency.as_ref()?.mean()?);
    let measured_ns = run.window.measured_ns;
    let is_closed = summary.model == Some(crate::summary::Model::Closed);
    let is_short = is_closed && planned > 0 && average > measured_ns as f64 * SHORT_SHARE;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a mean of durations is one")]
    is_short.then_some(Warning::Short { average_ns: average as u64, measured_ns })
}

fn censored(run: &Run, summary: &Summary) -> Option<Warning> {
    let Account { timeout, aborted, sent, .. } = run.account;
    let unsent = if run.latencies.censored.count > timeout + aborted { run.account.unsent } else { 0 };
    (timeout + aborted + unsent > 0).then(|| Warning::Censored {
        unsent,
        first: summary.latency.first_lower_bound(),
        timeouts: timeout,
        aborted,
        sent,
        shortest_ns: run.latencies.censored.min_ns,
        longest_ns: run.latencies.censored.max_ns,
    })
}

fn checks(run: &Run) -> impl Iterator<Item = Warning> {
    let failed = run.checks.iter().filter(|record| record.failed > 0);
    failed.map(|record| Warning::ChecksFailed {
        check: record.check.clone(),
        failed: record.failed,
        answered: run.account.answered(),
        reason: record.examples.first().map(|example| example.reason.clone()),
    })
}

/// The most frequent kind first.
fn failures(run: &Run) -> Vec<Warning> {
    let mut records: Vec<_> = run.failures.iter().filter(|(_, record)| record.count > 0).collect();
    records.sort_by_key(|(kind, record)| (std::cmp::Reverse(record.count), **kind));
    let failure = |(kind, record): (&FailureKind, &crate::document::FailureRecord)| Warning::Failures {
        kind: *kind,
        failed: record.count,
        sent: run.account.sent,
        first_ns: record.first_ns,
        last_ns: record.last_ns,
    };
    records.into_iter().map(failure).collect()
}

fn thin(summary: &Summary) -> Option<Warning> {
    let samples = summary.latency.count.filter(|&samples| samples > 0)?;
    let first = Percentile::HEY.into_iter().find(|percentile| !percentile.is_supported_by(samples))?;
    Some(Warning::Thin { first, samples })
}

fn fmt_short(f: &mut fmt::Formatter<'_>, average_ns: u64, measured_ns: u64) -> fmt::Result {
    let (average, measured) = (nanos(average_ns), nanos(measured_ns));
    write!(
        f,
        "Requests/sec is low: answers took {average} on average, and only those within {measured} count"
    )
}

fn fmt_rate_missed(f: &mut fmt::Formatter<'_>, [in_time, scheduled, unsent]: [u64; 3]) -> fmt::Result {
    let due = counted(scheduled, "request");
    write!(f, "the rate was not reached: {} of {due} that fell due were sent in time", count(in_time))?;
    if unsent > 0 { write!(f, ", {} never", count(unsent)) } else { Ok(()) }
}

fn fmt_disagreement(f: &mut fmt::Formatter<'_>, [told, ok, sent]: [u64; 3]) -> fmt::Result {
    let (told, ok) = (counted(told, "request"), counted(ok, "good answer"));
    write!(f, "the instances say they answered {told}, and the generator sent {} and got {ok}", count(sent))
}

fn why(ended: Ended) -> &'static str {
    match ended {
        Ended::Completed => "completed",
        Ended::Sigint => "interrupted by SIGINT (Ctrl-C)",
        Ended::Sigterm => "interrupted by SIGTERM",
        Ended::TargetLost => "stopped because every instance of the target was gone,",
        Ended::OutputLost => "stopped because its rows could not be written any more,",
    }
}

fn failure_advice(kind: FailureKind) -> Option<&'static str> {
    match kind {
        FailureKind::Dns => Some("check the host name"),
        FailureKind::ConnectRefused => Some("check that the target listens there, and did not restart"),
        FailureKind::ConnectTimeout => Some("look at the target's accept queue (`ss -ltn`)"),
        FailureKind::Tls => Some("see what it says of the certificate, or whether that port speaks TLS"),
        FailureKind::Protocol => Some("check scheme and port of the URL, or what the server sends"),
        FailureKind::ClosedIdle => Some(
            "look at the target's keep-alive timeout and its limit of requests per connection; hey sends such requests again, unseen",
        ),
        FailureKind::ClientFiles => Some("raise `ulimit -n`"),
        FailureKind::ClientPorts => Some("keep connections alive, or widen the local port range"),
        FailureKind::ConnectFailed
        | FailureKind::Reset
        | FailureKind::Closed
        | FailureKind::Truncated
        | FailureKind::Redirect
        | FailureKind::Io => None,
    }
}
