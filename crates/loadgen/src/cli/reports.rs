//! `--junit` and `--markdown`: what came of all runs, in files that are whole at any moment.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, ensure};
use report::document::Document;
use report::os::why_not_written;
use report::runs::{Entry, Outcome, Runs};
use report::{format, store};

use super::args::ReportFiles;

/// Why a run of which nothing else is known was not made.
const NOT_YET: &str = "it was not begun";

/// One way to tell of runs.
type Render = fn(&Runs) -> String;

/// The files, and what is in them. They are written anew after every run, so that they hold what there is whatever happens.
#[derive(Debug)]
pub(super) struct Reports<'a> {
    files: Vec<(&'a Path, Render)>,
    runs: Runs,
    /// How many runs have come to something.
    done: usize,
}

impl<'a> Reports<'a> {
    /// Makes sure that the files can be written, before anything is measured. `turns`: scenario and variant of each run.
    pub(super) fn new(
        options: &'a ReportFiles,
        turns: impl Iterator<Item = (String, String)>,
    ) -> anyhow::Result<Self> {
        let both: [(&str, &Option<PathBuf>, Render); 2] = [
            ("--junit", &options.junit, format::junit),
            ("--markdown", &options.markdown, format::pull_request),
        ];
        ensure!(
            options.junit.is_none() || options.junit != options.markdown,
            "--junit and --markdown need a file each"
        );
        let mut files = Vec::new();
        for (flag, path, render) in both {
            if let Some(path) = path {
                check(path).with_context(|| format!("cannot write {flag} to {}", path.display()))?;
                files.push((path.as_path(), render));
            }
        }
        let outcome = || Outcome::NotBegun(NOT_YET.to_owned());
        let entries =
            turns.map(|(scenario, variant)| Entry { scenario, variant, outcome: outcome() }).collect();
        Ok(Self { files, runs: Runs { entries }, done: 0 })
    }

    /// The next run has come to this.
    pub(super) fn next(&mut self, document: &Document, objection: Option<&str>) {
        if let Document::Run(run) = document {
            let objection = objection.map(str::to_owned);
            self.put(Outcome::Made { run: run.clone(), objection });
        }
    }

    /// The next run could not be made.
    pub(super) fn failed(&mut self, why: &str) {
        self.put(Outcome::Failed(why.to_owned()));
    }

    /// No further run is made.
    pub(super) fn leave(&mut self, why: &str) {
        for entry in self.runs.entries.iter_mut().skip(self.done) {
            entry.outcome = Outcome::NotBegun(why.to_owned());
        }
    }

    fn put(&mut self, outcome: Outcome) {
        if let Some(entry) = self.runs.entries.get_mut(self.done) {
            entry.outcome = outcome;
        }
        self.done += 1;
    }

    /// Writes the files.
    pub(super) fn write(&self) -> Result<(), store::StoreError> {
        self.files.iter().try_for_each(|(path, render)| store::write_text(path, &render(&self.runs)))
    }
}

/// Whether a file can be put there; one that is there stays as it is.
fn check(path: &Path) -> anyhow::Result<()> {
    ensure!(!path.is_dir(), "it is a folder");
    // What is no file is written into: a pipe, `/dev/stderr`.
    if path.exists() && !path.is_file() {
        return Ok(());
    }
    // Where the file behind a link is, its neighbours are.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let made = fs::create_dir_all(folder).and_then(|()| tempfile::NamedTempFile::new_in(folder));
    made.map_err(|error| anyhow!(why_not_written(&error)))?;
    Ok(())
}
