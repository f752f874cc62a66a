//! `loadgen versus`: two things in interleaved blocks, and what can be said of the difference.

mod args;
mod arms;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::bail;
use report::compare::{Comparison, Gate, Metric, Passage};
use report::document::{Arm, Block, Document, Ended, Run};
use report::histogram::Percentile;
use report::summary::Summary;
use report::verdict::Verdict;
use report::warning;

pub(super) use self::args::VersusCommand;
use self::arms::Side;
use super::args::CompareFormat;
use super::bench::Bench;
use super::exit::Exit;
use super::list::{self, Kept};
use super::load::surroundings;
use super::output;
use super::replay::headline;
use crate::clock::{self, RealTimer, Timer as _};
use crate::scenario::Order;
use crate::series::{Forecast, Turn, about};

/// What is compared when nobody says otherwise.
const METRICS: [Metric; 4] =
    [Metric::Rps, Metric::Latency(Percentile::P50), Metric::Latency(Percentile::P99), Metric::Errors];
/// Fewer complete blocks show no spread to judge by.
const FEWEST_BLOCKS: usize = 2;
/// How often a run is made at most whose generator was in the way. Times in which a hypervisor takes the CPUs away last longer
/// than a run; a generator that is too weak for the load is no better the fourth time.
const ATTEMPTS: u32 = 4;

pub(super) fn run(command: &VersusCommand) -> anyhow::Result<Exit> {
    let mut sides = arms::sides(command)?;
    for side in &mut sides {
        side.parts.tags = command.tags.by_key();
    }
    let seed = command.load.seed.unwrap_or(surroundings().seed);
    let turns = turns(command, &sides, seed)?;
    let names: Vec<&str> = turns.iter().take(2).map(|(_, turn)| turn.plan.name.as_str()).collect();
    let bench = Bench::new(&command.filing, &names)?;
    for (_, turn) in turns.iter().take(2) {
        bench.ask(&turn.plan)?;
    }
    let batch = format!("{}-{}", clock::timestamp(clock::wall()).compact, std::process::id());
    let kept = turns.iter().map(|_| None).collect();
    let mut duel = Duel {
        bench,
        sides: &sides,
        turns,
        kept,
        void: BTreeMap::new(),
        batch,
        forecast: Forecast::default(),
        exit: Exit::Done,
    };
    let outcome = duel.run();
    duel.tell_runs();
    let judged = duel.judge(command)?;
    if let Some(why) = outcome? {
        let runs: usize = duel.void.get(why).into_iter().flatten().sum();
        output::tell(&format!("loadgen: {why} in {runs} runs: nothing more can be said of the target"));
    }
    Ok(duel.exit.max(judged))
}

/// Every run in its order, with the place of its side.
fn turns(command: &VersusCommand, sides: &[Side; 2], seed: u64) -> anyhow::Result<Vec<(usize, Turn)>> {
    let blocks = command.blocks as usize;
    let order = Order::Random.of(sides.len(), blocks, seed);
    let turn = |(place, side): (usize, usize)| {
        let block = u64::try_from(place / sides.len())?;
        let Side { variant, .. } = &sides[side];
        // The warm-up takes the seed after that of the load.
        let plan = sides[side].plan(seed.wrapping_add(2 * block))?;
        let repeat = (u32::try_from(block + 1)?, command.blocks);
        let pause = command.cooldown.map_or(Duration::ZERO, |span| span.0);
        let overridden = BTreeMap::new();
        anyhow::Ok((side, Turn { plan, variant: variant.clone(), repeat, pause, overridden }))
    };
    order.into_iter().enumerate().map(turn).collect()
}

/// The runs of one comparison.
struct Duel<'a> {
    bench: Bench,
    sides: &'a [Side; 2],
    turns: Vec<(usize, Turn)>,
    /// For each run its document, when it has one.
    kept: Vec<Option<Kept>>,
    /// How many runs of each side were none of a block, and why.
    void: BTreeMap<&'static str, [usize; 2]>,
    batch: String,
    forecast: Forecast,
    exit: Exit,
}

impl Duel<'_> {
    /// Makes all runs. Gives why it ended before: one was void in every attempt, or as many were void as there are runs.
    fn run(&mut self) -> anyhow::Result<Option<&'static str>> {
        for index in 0..self.turns.len() {
            for attempt in 1..=ATTEMPTS {
                let is_first = index == 0 && attempt == 1;
                if !is_first && !self.bench.interrupt().sleep(self.turns[index].1.pause) {
                    self.exit = self.exit.max(self.bench.interrupt().into());
                    return Ok(None);
                }
                let Some(why) = self.make(index)? else { break };
                self.void.entry(why).or_default()[self.turns[index].0] += 1;
                if attempt == ATTEMPTS || self.void.values().flatten().sum::<usize>() >= self.turns.len() {
                    self.exit = Exit::Invalid;
                    return Ok(Some(why));
                }
                output::tell(&format!("loadgen: {why}: the run is made once more"));
            }
        }
        Ok(None)
    }

    /// Makes a run and writes its document. Gives why it is no run of a block, if it is none.
    fn make(&mut self, index: usize) -> anyhow::Result<Option<&'static str>> {
        let (side, turn) = &self.turns[index];
        let (side, count) = (&self.sides[*side], self.turns.len());
        let mut left: Vec<Turn> = self.turns[index..].iter().map(|(_, turn)| turn.clone()).collect();
        left[0].pause = Duration::ZERO;
        let left = self.forecast.of(&left);
        let (block, blocks) = turn.repeat;
        let told = left.map(|left| format!("; about {} left", about(left))).unwrap_or_default();
        output::tell(&format!("{}/{count} {}{told}", index + 1, headline(turn)));
        let text = format!("run {} of {count}: {}, block {block} of {blocks}", index + 1, side.arm.name());
        let start = RealTimer::start();
        let (mut run, exit) = self.bench.make(&turn.plan, &side.parts, Some((text, left)))?;
        self.forecast.ran(turn, Duration::from_nanos(start.now()));
        let is_whole = run.ended == Ended::Completed;
        let void = is_whole.then(|| void(&run)).flatten();
        match void {
            None => {
                run.block =
                    Some(Block { batch: self.batch.clone(), number: u64::from(block), arm: side.arm });
            }
            Some(why) => run.notes.push(format!("{why}: no run of block {block}")),
        }
        let (path, document) = self.bench.write(run)?;
        if void.is_some() {
            return Ok(void);
        }
        self.exit = self.exit.max(exit);
        self.kept[index] = Some(Kept { path, document, is_whole });
        if exit == Exit::NoTarget {
            bail!(
                anyhow::anyhow!("{} did not answer: there is nothing to compare", side.label).context(exit)
            );
        }
        Ok(None)
    }

    /// What became of each run, in a line each.
    fn tell_runs(&self) {
        let turns: Vec<Turn> = self.turns.iter().map(|(_, turn)| turn.clone()).collect();
        if self.kept.iter().any(Option::is_some) {
            let width = output::stderr_width().unwrap_or(usize::MAX);
            output::tell(format!("\n{}", list::results(&turns, &self.kept, width)).trim_end());
        }
    }

    /// The documents of complete blocks, of each side.
    fn complete(&self) -> [Vec<Document>; 2] {
        let mut sides = [Vec::new(), Vec::new()];
        for block in self.kept.chunks(self.sides.len()) {
            if !block.iter().all(|kept| kept.as_ref().is_some_and(|kept| kept.is_whole)) {
                continue;
            }
            for Kept { document, .. } in block.iter().flatten() {
                let Document::Run(run) = document else { continue };
                let place = usize::from(run.block.as_ref().is_some_and(|block| block.arm == Arm::B));
                sides[place].push(document.clone());
            }
        }
        sides
    }

    /// How many runs the blocks do not have, as the end of a sentence; nothing, where there are none.
    fn void(&self) -> String {
        let told = |(why, [a, b]): (&&str, &[usize; 2])| format!("; {a} of A and {b} of B are void: {why}");
        self.void.iter().map(told).collect()
    }

    /// Shows what can be said, and what it means for the shell.
    fn judge(&self, command: &VersusCommand) -> anyhow::Result<Exit> {
        let [mut a, mut b] = self.complete();
        let (complete, blocks) = (a.len(), command.blocks as usize);
        // The heading of a text says it.
        let is_data = matches!(command.format.output, CompareFormat::Csv | CompareFormat::Json);
        if complete < blocks || is_data && !self.void.is_empty() {
            output::tell(&format!("{complete} of {blocks} blocks are complete{}", self.void()));
        }
        if complete < FEWEST_BLOCKS {
            output::tell("nothing is claimed of fewer than 2 complete blocks");
            return Ok(Exit::Done);
        }
        name_alike(&mut a, &mut b);
        let metrics = if command.metrics.is_empty() { &METRICS } else { command.metrics.as_slice() };
        let mut comparison = Comparison::with(a, b, metrics);
        comparison.tolerances = command.tolerance.iter().map(|it| (it.metric, it.change)).collect();
        let [a, b] = self.sides;
        let heading = format!(
            "A (baseline): {}\nB: {}\n{complete} of {blocks} blocks, the order within each by chance{}\n\n",
            a.label,
            b.label,
            self.void()
        );
        output::show(&match command.format.output {
            CompareFormat::Text => heading + &comparison.text(output::page()),
            CompareFormat::Markdown => {
                heading.trim_end().replace('\n', "\n\n") + "\n\n" + &comparison.markdown()
            }
            CompareFormat::Csv => comparison.csv(),
            CompareFormat::Json => comparison.json(),
        })?;
        Ok(match command.fail_on.gate().map(|fail_on| Gate::of(&comparison, fail_on).passage()) {
            None | Some(Passage::Open) => Exit::Done,
            Some(Passage::Closed) => Exit::Broken,
            Some(Passage::Unknown) => Exit::Invalid,
        })
    }
}

/// Why a run tells nothing of its target, if it does not.
fn void(run: &Run) -> Option<&'static str> {
    if !warning::is_valid(run) {
        return Some("the account of the run does not balance");
    }
    let document = Document::Run(Box::new(run.clone()));
    let warnings = warning::of(&document, &Summary::of(&document));
    (warning::verdict(&warnings) == Verdict::ClientLimited).then_some("the generator was the limit")
}

/// What is compared has one name: that of both, or the two of them.
fn name_alike(a: &mut [Document], b: &mut [Document]) {
    let [Some(one), Some(other)] = [a.first(), b.first()].map(|it| it.map(Document::name)) else { return };
    let name = if one == other { one.to_owned() } else { format!("{one} / {other}") };
    for document in a.iter_mut().chain(b) {
        if let Document::Run(run) = document {
            run.name.clone_from(&name);
        }
    }
}
