//! `loadgen capacity`: the highest rate that meets an objective, as a pair of rates that passes and fails.

mod args;
mod show;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use report::assertion::Assertion;
use report::document::{Document, Ended, Run, Verification};
use report::histogram::Percentile;
use report::summary::Summary;
use report::units;
use report::verdict::Verdict;
use report::warning;

pub(super) use self::args::CapacityCommand;
use super::bench::{self, Bench, Parts, shown};
use super::exit::Exit;
use super::load::{surroundings, versions};
use super::{output, replay};
use crate::arrival;
use crate::capacity::{self, End, Found, Limits, Outcome, Trial};
use crate::options::LoadOptions;
use crate::plan::{Model, Plan, Surroundings};
use crate::quantity::{Rate, Span};
use crate::run;
use crate::scenario::{AssertOptions, Page, Read, Scenario, Variant};
use crate::schedule::Release;

pub(super) fn run(command: &CapacityCommand) -> anyhow::Result<Exit> {
    let CapacityCommand { load, from, trial, .. } = command;
    let is_paced = load.rate.is_some() || load.stages.is_some() || load.rate_per_connection.is_some();
    let is_timed = load.duration.is_some() || load.requests.is_some();
    ensure!(
        !is_paced && !is_timed,
        "capacity chooses rates and durations itself: say the first rate with --from, and how long a trial is with --trial"
    );
    let subject = Subject::read(command)?;
    // What cannot be planned is told before the first trial.
    let first = subject.plan((from.0, trial.0, Duration::ZERO), 0)?;
    run::dialer(&first.load).with_context(|| command.what.clone())?;
    let bench = Bench::new(&command.filing, &[&first.name])?;
    bench.ask(&first)?;
    let parts = Parts { program: super::this_program()?, versions: versions(), tags: command.tags.by_key() };
    let pause = command.cooldown.map_or(Duration::ZERO, |span| span.0);
    let seed = load.seed.unwrap_or(surroundings().seed);
    let mut survey = Survey { bench, subject: &subject, parts, pause, seed, made: Vec::new() };
    let found = capacity::search(&limits(&subject), |trial| survey.trial(trial));
    let (found, exit) = match found {
        Ok(found) => {
            let exit = exit(&found);
            (Some(found), exit)
        }
        Err(Broken::Interrupted(exit)) => (None, exit),
        Err(Broken::Error(error)) => {
            // What was measured before is told all the same.
            if !survey.made.is_empty() {
                output::tell(show::trials(&survey.made).text().trim_end());
            }
            return Err(error);
        }
    };
    let what = shown(&command.what);
    let answer = show::Answer { what: &what, objective: &command.slo.0, found, trials: &survey.made };
    output::show(&answer.write(command.format.output)).context(Exit::Invalid)?;
    Ok(exit)
}

fn limits(subject: &Subject<'_>) -> Limits {
    let Subject { command, scenario, .. } = subject;
    let percentiles = command.slo.0.iter().flat_map(Assertion::percentiles);
    Limits {
        from: command.from.0,
        trial: command.trial.0,
        warmup: command.load.warmup.or(scenario.load.warmup).map(|span| span.0),
        precision: command.precision.0,
        one_in: percentiles.max().map(|percentile: Percentile| 100.0 / (100.0 - percentile.percent())),
        most_trials: command.most_trials as usize,
        most_time: command.most_time.0,
    }
}

fn exit(found: &Found) -> Exit {
    match found.end {
        End::Found => Exit::Done,
        End::NothingPasses => Exit::Broken,
        End::Generator(_) | End::Unsteady | End::Trials | End::Time => Exit::Invalid,
    }
}

/// What is loaded, at one rate after the other.
struct Subject<'a> {
    command: &'a CapacityCommand,
    page: Page,
    scenario: Scenario,
}

impl<'a> Subject<'a> {
    fn read(command: &'a CapacityCommand) -> anyhow::Result<Self> {
        let what = &command.what;
        let Read { page, mut scenarios } = bench::read(what, &[])?;
        let number = scenarios.len();
        match scenarios.pop() {
            // The objective is what is asserted of each trial.
            Some((scenario, _)) if scenarios.is_empty() => Ok(Self {
                command,
                page,
                scenario: Scenario { assert: AssertOptions::default(), ..scenario },
            }),
            _ => bail!("{what} has {number} combinations in [matrix], and the capacity of one is searched"),
        }
    }

    /// A trial at this rate, so long, after a warm-up.
    fn plan(&self, (rate, length, warmup): (f64, Duration, Duration), seed: u64) -> anyhow::Result<Plan> {
        let load = LoadOptions {
            rate: Some(Rate(rate)),
            duration: Some(Span(length)),
            warmup: Some(Span(warmup)),
            seed: Some(seed),
            ..self.command.load.clone()
        };
        let around = Surroundings { seed, ..surroundings() };
        let plan = replay::plan(self.scenario.clone(), self.command.target.clone(), load, around);
        let plan = plan.map_err(|error| {
            replay::misfit(&error, &self.page, self.scenario.clone(), &Variant::default())
        })?;
        Ok(plan.asserting(self.command.slo.0.iter().cloned()))
    }
}

/// A trial that was made.
struct Made {
    trial: Trial,
    outcome: Outcome,
    /// Why it did not pass; empty when it did.
    why: String,
    path: PathBuf,
    summary: Summary,
    verdict: Verdict,
}

/// Why the search broke off.
enum Broken {
    Interrupted(Exit),
    Error(anyhow::Error),
}

impl From<anyhow::Error> for Broken {
    fn from(error: anyhow::Error) -> Self {
        Self::Error(error)
    }
}

/// The trials of one search.
struct Survey<'a> {
    bench: Bench,
    subject: &'a Subject<'a>,
    parts: Parts,
    pause: Duration,
    seed: u64,
    made: Vec<Made>,
}

impl Survey<'_> {
    fn trial(&mut self, trial: &Trial) -> Result<Outcome, Broken> {
        let number = self.made.len();
        let pause = if number == 0 { Duration::ZERO } else { self.pause };
        if !self.bench.interrupt().sleep(pause) {
            return Err(self.interrupted());
        }
        // The warm-up takes the seed after that of the load.
        let seed = self.seed.wrapping_add(2 * number as u64);
        let plan = self.subject.plan((trial.rate, trial.length, trial.warmup), seed)?;
        let told = format!(
            "trial {}, {}: {} requests/sec for {}",
            number + 1,
            trial.phase.name(),
            units::rate(trial.rate),
            units::duration(trial.length)
        );
        output::tell(&told);
        let (run, exit) = self.bench.make(&plan, &self.parts, Some((told, None)))?;
        let document = Document::Run(Box::new(run.clone()));
        let further: Vec<_> = self.subject.command.slo.0.iter().flat_map(Assertion::percentiles).collect();
        let summary = Summary::with(&document, &further);
        let verdict = warning::verdict(&warning::of(&document, &summary));
        let (outcome, why) = judge(&plan, &run, &document, &summary);
        let is_interrupted = matches!(run.ended, Ended::Sigint | Ended::Sigterm);
        let (path, _) = self.bench.write(run)?;
        if is_interrupted {
            return Err(self.interrupted());
        }
        if number == 0 && exit == Exit::NoTarget {
            let error =
                anyhow!("{} did not answer: there is nothing to search", shown(&self.subject.command.what));
            return Err(error.context(exit).into());
        }
        output::tell(&match outcome {
            Outcome::Pass => "passes".to_owned(),
            Outcome::Fail => format!("fails: {why}"),
            Outcome::Void => format!("says nothing of the server: {why}"),
        });
        self.made.push(Made { trial: trial.clone(), outcome, why, path, summary, verdict });
        Ok(outcome)
    }

    fn interrupted(&self) -> Broken {
        Broken::Interrupted(self.bench.interrupt().into())
    }
}

/// What a run says of its rate, and why.
fn judge(plan: &Plan, run: &Run, document: &Document, summary: &Summary) -> (Outcome, String) {
    if !warning::is_valid(run) {
        return (Outcome::Void, "its account does not balance".to_owned());
    }
    let warnings = warning::of(document, summary);
    let objection = warning::objection(run, summary, &warnings);
    if warning::verdict(&warnings) == Verdict::ClientLimited {
        return (Outcome::Void, objection.unwrap_or_default());
    }
    let broken = run.assertions.iter().filter(|it| !it.holds);
    let mut reasons: Vec<String> =
        broken.map(|it| format!("{} does not hold: {}", it.assertion, it.measured)).collect();
    if run.ended == Ended::TargetLost {
        reasons.push("the target died".to_owned());
    }
    if !run.verification.as_ref().is_none_or(Verification::holds) {
        reasons.push("rows that were acknowledged are lost".to_owned());
    }
    let failed: u64 = run.checks.iter().map(|check| check.failed).sum();
    if failed > 0 {
        reasons.push(format!("{} failed a check", units::counted(failed, "answer")));
    }
    reasons.extend(objection);
    if is_growing(plan, run) {
        reasons.push("requests pile up: those in flight went on to grow in its second half".to_owned());
    }
    let outcome = if reasons.is_empty() { Outcome::Pass } else { Outcome::Fail };
    (outcome, reasons.join("; "))
}

/// Whether requests piled up, by what the schedule had due and what the document says ended, in the whole intervals of the series.
fn is_growing(plan: &Plan, run: &Run) -> bool {
    let Model::Open(open) = &plan.load.model else { return false };
    let series = &run.series;
    let interval_ns = series.interval_ms.saturating_mul(1_000_000).max(1);
    let whole = usize::try_from(run.window.measured_ns / interval_ns).unwrap_or(usize::MAX);
    let ended: Vec<u64> =
        series.answered.iter().zip(&series.unanswered).map(|(one, other)| one + other).take(whole).collect();
    let mut due = vec![0_u64; ended.len()];
    for release in arrival::releases(&open.stages, open.arrival, open.seed) {
        let Release::At(at) = release else { continue };
        if let Some(count) = usize::try_from(at / interval_ns).ok().and_then(|place| due.get_mut(place)) {
            *count += 1;
        }
    }
    capacity::is_growing(&due, &ended)
}
