//! A place of its own for each test, and the program run in it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use report::document::{Arm, Document, FailureKind, Run};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// Upper bound of every wait; nothing waits that long unless it fails.
const PATIENCE: Duration = Duration::from_secs(40);

/// The formats' headings, in hey's order.
const HEADINGS: [&str; 6] = [
    "\nSummary:\n",
    "\nResponse time histogram:\n",
    "\nLatency distribution:\n",
    "\nDetails (average, fastest, slowest):\n",
    "\nStatus code distribution:\n",
    "\nError distribution:\n",
];

/// Folders that nobody else uses.
#[derive(Debug)]
pub(crate) struct Place {
    /// Where the program is run.
    pub(crate) folder: TempDir,
    /// Its TMPDIR.
    scratch: TempDir,
    /// Its `XDG_STATE_HOME`.
    state: TempDir,
    /// Its stdout and stderr.
    output: TempDir,
}

/// How the program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Exit code; a signal's number plus 128.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The program while it runs. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    output: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        let [folder, scratch, state, output] = [(); 4].map(|()| tempfile::tempdir().unwrap());
        Self { folder, scratch, state, output }
    }

    /// A place with a file.
    pub(crate) fn with(name: &str, content: &str) -> Self {
        let place = Self::new();
        place.file(name, content);
        place
    }

    /// Puts a file there.
    pub(crate) fn file(&self, name: &str, content: &str) {
        fs::write(self.folder.path().join(name), content).unwrap();
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        self.command_of(env!("CARGO_BIN_EXE_loadgen"), words)
    }

    /// The same of another program, which starts ours.
    pub(crate) fn command_of(&self, program: &str, words: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(words).current_dir(&self.folder).env("TMPDIR", self.scratch.path());
        // Nothing is kept where a person's runs are.
        command.env("XDG_STATE_HOME", self.state.path());
        // What a person's environment may hold must not change what is tested.
        command.env_remove("RUST_BACKTRACE").env_remove("LISTEN_FDS").stdin(Stdio::null());
        command
    }

    /// Starts the program. One at a time in one place.
    pub(crate) fn start(&self, words: &[&str]) -> Running {
        let output = self.output.path().to_owned();
        let file = |name| File::create(output.join(name)).unwrap();
        let child = self.command(words).stdout(file("stdout")).stderr(file("stderr")).spawn().unwrap();
        Running { child, output }
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Ended {
        self.start(words).wait()
    }

    /// Replays its scenario `test.toml`. Documents go to its folder `results/here/test`.
    pub(crate) fn replay(&self) -> Running {
        self.start(&["run", "test.toml", "--results", "results", "--machine", "here"])
    }

    /// Starts a server that answers as its paths say, with these words more, and says where it is.
    pub(crate) fn truth_server(&self, words: &[&str]) -> (Running, String) {
        let mut server = self.start(&[&["truth-server", "--listen", "127.0.0.1:0"], words].concat());
        let url = server.until("the server listens", |server| {
            let said = server.stdout();
            said.strip_prefix("truth server on ")?.strip_suffix('\n').map(str::to_owned)
        });
        (server, url)
    }

    /// The one run document under its folder `results`.
    pub(crate) fn document(&self) -> Run {
        let [run] = <[Run; 1]>::try_from(self.documents()).unwrap();
        run
    }

    /// All documents under its folder `results`.
    pub(crate) fn documents(&self) -> Vec<Run> {
        let found = report::store::find(&[self.folder.path().join("results")]).unwrap();
        assert_eq!(found.skipped, Vec::<PathBuf>::new());
        found.documents.iter().map(|path| run_of(report::store::open(path).unwrap())).collect()
    }

    /// The same where the folder may be missing.
    pub(crate) fn documents_if_any(&self) -> Vec<Run> {
        if self.folder.path().join("results").exists() { self.documents() } else { Vec::new() }
    }

    /// Where it keeps documents of plain runs.
    pub(crate) fn history(&self) -> PathBuf {
        self.state.path().join("loadgen")
    }

    /// Its TMPDIR.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.scratch.path().to_owned()
    }

    /// Files and folders in it, without what they hold.
    pub(crate) fn names(&self) -> Vec<String> {
        names(self.folder.path())
    }

    /// What a program left in its TMPDIR.
    pub(crate) fn left_behind(&self) -> Vec<String> {
        names(self.scratch.path())
    }

    /// Bytes of the databases of the targets that the program runs, their logs included.
    pub(crate) fn database_bytes(&self) -> u64 {
        let folders = fs::read_dir(self.scratch.path()).unwrap().filter_map(Result::ok);
        let files = folders.filter_map(|folder| fs::read_dir(folder.path()).ok()).flatten();
        files.filter_map(|file| file.ok()?.metadata().ok()).map(|data| data.len()).sum()
    }

    /// Processes of targets that the program runs, or has left: their command lines name its TMPDIR.
    pub(crate) fn targets(&self) -> Vec<u32> {
        let mark = self.scratch.path().to_str().unwrap();
        let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        numbers
            .filter(|pid| {
                let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                String::from_utf8_lossy(&line).contains(mark)
            })
            .collect()
    }

    /// Neither a process nor a scratch file is left of what ran there.
    pub(crate) fn assert_clean(&self) {
        assert_eq!(self.targets(), Vec::<u32>::new(), "a process was left");
        assert_eq!(self.left_behind(), Vec::<String>::new(), "a file was left");
    }

    /// What was to be loaded did not come up: that is this sentence, and nothing is left.
    pub(crate) fn assert_not_loaded(&self, ended: &Ended, complaint: &str) {
        assert_eq!((ended.code, ended.stdout.as_str()), (3, ""), "{ended:?}");
        assert!(ended.stderr.contains(complaint), "{complaint}: {}", ended.stderr);
        ended.assert_calm();
        assert!(self.documents().is_empty());
        self.assert_clean();
    }
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        send_signal(self.pid(), signal);
    }

    /// What it has said on stdout so far.
    pub(crate) fn stdout(&self) -> String {
        fs::read_to_string(self.output.join("stdout")).unwrap()
    }

    /// What it has said on stderr so far.
    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(self.output.join("stderr")).unwrap()
    }

    /// Looks again and again until `found` has something; fails at once when the program ends before.
    pub(crate) fn until<T>(&mut self, what: &str, mut found: impl FnMut(&Self) -> Option<T>) -> T {
        until(what, || {
            let thing = found(self);
            let ended = self.child.try_wait().unwrap();
            assert!(
                thing.is_some() || ended.is_none(),
                "it ended before {what}: {ended:?} {}",
                self.stderr()
            );
            thing
        })
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Ended {
        let status = patiently(|| self.child.try_wait().unwrap());
        let status = status.unwrap_or_else(|| panic!("it does not end: {}", self.stderr()));
        let stdout = fs::read_to_string(self.output.join("stdout")).unwrap();
        Ended { code: code(status), stdout, stderr: self.stderr() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// The document that `-o json` printed.
    pub(crate) fn document(&self) -> Run {
        run_of(
            report::store::parse(Path::new("stdout"), &self.stdout)
                .unwrap_or_else(|e| panic!("{e}: {self:?}")),
        )
    }

    /// What `loadgen capacity -o json` said, where the generator was left alone. On a busy machine it may have been its own limit:
    /// that is told as it must be.
    pub(crate) fn capacity(&self) -> Option<Value> {
        let json: Value =
            serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        assert_eq!(json["schema"], "loadgen.capacity/1");
        let trials = json["trials"].as_array().unwrap();
        for trial in trials {
            assert_eq!(trial["why"].is_null(), trial["outcome"] == "passes", "{trial}");
        }
        if json["end"] != "generator-limit" {
            return Some(json);
        }
        assert_eq!((self.code, &json["confirmed"]), (4, &false.into()), "{json:#}");
        assert_eq!(trials.last().unwrap()["outcome"], "void", "{json:#}");
        None
    }

    /// Nothing on stderr that only a programmer understands.
    pub(crate) fn assert_calm(&self) {
        for sign in ["panicked", "RUST_BACKTRACE", "Error {", "Os {", "Some(", "unwrap"] {
            assert!(!self.stderr.contains(sign), "{self:?}");
        }
    }

    /// hey's layout is whole.
    pub(crate) fn assert_hey(&self) {
        let text = &self.stdout;
        let places: Vec<_> = HEADINGS.iter().map(|heading| text.find(heading)).collect();
        // The last one is there only when there were errors.
        let there = places.iter().flatten().count();
        assert!(there >= HEADINGS.len() - 1, "{places:?} {text}");
        assert!(places[..there].is_sorted() && places[0] == Some(0), "{places:?} {text}");
        let block = &text[places[2].unwrap()..places[3].unwrap()];
        assert_eq!(block.lines().filter(|line| line.contains("% in ")).count(), 7, "{block}");
    }
}

fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

pub(crate) fn run_of(document: Document) -> Run {
    let Document::Run(run) = document else { panic!("a document of another kind: {document:?}") };
    assert!(run.account.balances(), "{:?}", run.account);
    *run
}

/// The runs of the blocks in order of their start. On a busy machine there may be others, in whose place they were made.
pub(crate) fn runs_of_blocks(place: &Place) -> Vec<Run> {
    let mut runs = place.documents();
    runs.retain(|run| run.block.is_some());
    runs.sort_by(|one, other| one.started_at.cmp(&other.started_at));
    runs
}

pub(crate) fn arms(runs: &[Run]) -> Vec<(u64, Arm)> {
    runs.iter().map(|run| run.block.as_ref().map(|block| (block.number, block.arm)).unwrap()).collect()
}

/// Each block has one run of each, one block after the other.
pub(crate) fn assert_blocks(runs: &[Run], blocks: u64) {
    let mut arms = arms(runs);
    assert!(arms.is_sorted_by_key(|(number, _)| *number), "{arms:?}");
    arms.sort();
    let expected: Vec<_> = (1..=blocks).flat_map(|number| [(number, Arm::A), (number, Arm::B)]).collect();
    assert_eq!(arms, expected);
    let batches: BTreeSet<_> = runs.iter().filter_map(|run| Some(&run.block.as_ref()?.batch)).collect();
    assert_eq!(batches.len(), 1, "{batches:?}");
}

/// How often the run failed in that way.
pub(crate) fn failures(run: &Run, kind: FailureKind) -> u64 {
    run.failures.get(&kind).map_or(0, |record| record.count)
}

pub(crate) fn send_signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Looks again and again until `found` has something.
pub(crate) fn until<T>(what: &str, found: impl FnMut() -> Option<T>) -> T {
    patiently(found).unwrap_or_else(|| panic!("waited in vain: {what}"))
}

fn patiently<T>(mut found: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = now() + PATIENCE;
    loop {
        let thing = found();
        if thing.is_some() || now() >= deadline {
            return thing;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[expect(clippy::disallowed_methods, reason = "bounds of waits, and how long a program took to end")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
