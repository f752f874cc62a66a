//! One experiment at a time: a server that knows, a load, and the two sides of it.

use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use loadgen::truth::{ByPath, Findings, Truth};
use report::document::{Document, Run};
use report::histogram::{Distribution, Percentile};
use rustix::process::{Pid, Signal, kill_process};

/// A millisecond in nanoseconds.
pub(crate) const MS: u64 = 1_000_000;
/// How much later than it should an answer may come because the machine was busy.
pub(crate) const LATE: u64 = 150 * MS;
/// How much earlier a figure may be: half a bucket, and the gap between two arrivals.
pub(crate) const EARLY: u64 = 8 * MS;

static ALONE: Mutex<()> = Mutex::new(());

/// A server. Whoever makes one has the machine to itself: by [`alone`], or by `undisturbed`, which has it.
pub(crate) struct Lab {
    truth: Truth,
    path: &'static str,
}

/// What came of an experiment.
pub(crate) struct Sides {
    pub(crate) run: Run,
    pub(crate) truth: Findings,
    /// What a report would warn of.
    pub(crate) text: String,
    /// Whether the program believes its own figures: `ok`, or something else.
    pub(crate) verdict: String,
}

/// The program while it runs. Dropping it kills it.
pub(crate) struct Load(Option<Child>);

/// The right to use the machine: waits until nobody else experiments.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The program.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
    // Nothing is kept where a person's runs are.
    command.stdin(Stdio::null()).env_remove("XDG_STATE_HOME").env_remove("HOME");
    command
}

impl Lab {
    /// Starts a server that does what `path` says.
    pub(crate) fn new(path: &'static str) -> Self {
        let script = ByPath::new(1, None).unwrap();
        let truth = Truth::start(move |turn| script.behaviour(turn)).unwrap();
        Self { truth, path }
    }

    pub(crate) fn truth(&self) -> &Truth {
        &self.truth
    }

    /// Starts the program with these words, separated by spaces.
    pub(crate) fn start(&self, words: &str) -> Load {
        let mut command = program();
        command.args(words.split(' ')).args(["-o", "json"]).arg(self.truth.url(self.path));
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        Load(Some(command.spawn().unwrap()))
    }

    /// Waits for the end of a load and of the server.
    pub(crate) fn finish(self, mut load: Load) -> Sides {
        let output = load.0.take().unwrap().wait_with_output().unwrap();
        let json = String::from_utf8(output.stdout).unwrap();
        let document = report::store::parse("stdout".as_ref(), &json).unwrap();
        let text = {
            let summary = report::summary::Summary::of(&document);
            let warnings = report::warning::of(&document, &summary);
            warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        let Document::Run(run) = document else { panic!("no run: {json}") };
        assert!(run.account.balances(), "{:?}", run.account);
        let verdict = json.split("\"verdict\": \"").nth(1).and_then(|rest| rest.split('"').next());
        Sides { run: *run, truth: self.truth.finish(), text, verdict: verdict.unwrap().to_owned() }
    }

    /// Loads the server to the end.
    pub(crate) fn load(self, words: &str) -> Sides {
        let load = self.start(words);
        self.finish(load)
    }
}

impl Load {
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = self.0.as_ref().unwrap().id();
        kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), signal).unwrap();
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The value at a percentile, answered and given up together, as reports have it.
pub(crate) fn at(run: &Run, percent: f64) -> u64 {
    let mut all = run.latencies.answered.to_histogram().unwrap();
    all.merge(&run.latencies.censored.to_histogram().unwrap());
    all.value_at(Percentile::from_percent(percent).unwrap()).unwrap()
}

/// The value at a percentile of one distribution.
pub(crate) fn of(distribution: &Distribution, percent: f64) -> u64 {
    let percentile = Percentile::from_percent(percent).unwrap();
    distribution.to_histogram().unwrap().value_at(percentile).unwrap()
}

/// Not earlier than it must be, and not much later.
pub(crate) fn assert_near(what: &str, ns: u64, expected_ms: u64) {
    let expected = expected_ms * MS;
    assert!(
        (expected.saturating_sub(EARLY)..=expected + LATE).contains(&ns),
        "{what}: {:.1} ms, expected {expected_ms} ms",
        ns as f64 / MS as f64
    );
}
