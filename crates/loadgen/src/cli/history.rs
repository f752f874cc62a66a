//! The newest plain runs: where their documents are kept, and what `last` and `last~1` mean.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use report::document::{Document, Run};
use report::os::why;
use report::store::{self, StoreError};
use report::units::counted;

/// So many are kept; older ones are removed.
const KEPT: usize = 50;
/// The name of the newest.
const LAST: &str = "last";
/// What the file of one ends in.
const ENDING: &str = ".json";

/// Where documents are kept. `None` where the environment names no place.
#[expect(clippy::disallowed_methods, reason = "the cli room reads the environment")]
pub(super) fn folder() -> Option<PathBuf> {
    choose(std::env::var_os("XDG_STATE_HOME"), std::env::var_os("HOME"))
}

/// By the XDG Base Directory Specification: a path that is not absolute counts as none.
fn choose(state: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let absolute = |path: Option<OsString>| path.map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute(state).or_else(|| Some(absolute(home)?.join(".local/state")))?;
    Some(state.join("loadgen"))
}

/// Keeps a document for `last`, and no more than the newest. Without a place for it nothing is kept.
///
/// # Errors
/// When it cannot be written. What is old and cannot be removed is left for the next time.
pub(super) fn keep(document: &Document) -> Result<(), StoreError> {
    let (Some(folder), Document::Run(run)) = (folder(), document) else { return Ok(()) };
    store::write(&folder.join(name_of(run)), document)?;
    let names = names(&folder).unwrap_or_default();
    for old in names.iter().rev().skip(KEPT) {
        // Another run may have removed it meanwhile.
        let _ = fs::remove_file(folder.join(old));
    }
    Ok(())
}

/// Names sort by time: `20261121T184512.345Z-4711.json`.
fn name_of(run: &Run) -> String {
    let process = run.id.rsplit('-').next().unwrap_or(&run.id);
    format!("{}-{process}{ENDING}", run.started_at.replace(['-', ':'], ""))
}

/// The files that [`keep`] made, oldest first.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = fs::read_dir(folder)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = entries.filter(|name| is_ours(name)).collect();
    names.sort();
    Ok(names)
}

/// Whatever else lies there stays.
fn is_ours(name: &str) -> bool {
    let Some((time, process)) = name.strip_suffix(ENDING).and_then(|stem| stem.split_once('-')) else {
        return false;
    };
    let is_time = |c: char| c.is_ascii_digit() || matches!(c, 'T' | 'Z' | '.');
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    time.contains('T') && time.chars().all(is_time) && is_number(process)
}

/// Paths, with the files of `last` and `last~N` in place of these words.
pub(super) fn resolve(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    paths.iter().map(|path| back(path).map_or_else(|| Ok(path.clone()), kept)).collect()
}

/// Whether it is one of these words.
pub(super) fn is_word(path: &Path) -> bool {
    back(path).is_some()
}

/// `last` is 0 runs back, `last~1` is 1.
fn back(path: &Path) -> Option<usize> {
    let rest = path.to_str()?.strip_prefix(LAST)?;
    if rest.is_empty() {
        return Some(0);
    }
    let digits = rest.strip_prefix('~')?;
    digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

fn kept(back: usize) -> anyhow::Result<PathBuf> {
    let folder =
        folder().context("`last` is in the folder that XDG_STATE_HOME or HOME names, and neither does")?;
    let names = match names(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            bail!("{}: cannot be read: {}", folder.display(), why(&error));
        }
        names => names.unwrap_or_default(),
    };
    match names.iter().rev().nth(back) {
        Some(name) => Ok(folder.join(name)),
        None if names.is_empty() => {
            bail!("no run is kept in {} yet: `loadgen URL` keeps one", folder.display())
        }
        None => bail!(
            "`{LAST}~{back}` is too far back: {} kept in {}, `{LAST}` is the newest",
            counted(names.len() as u64, "run"),
            folder.display()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_where_the_specification_says() {
        let choose = |state: Option<&str>, home: Option<&str>| {
            super::choose(state.map(Into::into), home.map(Into::into)).map(|path| path.display().to_string())
        };
        assert_eq!(choose(Some("/state"), Some("/home")).as_deref(), Some("/state/loadgen"));
        for none in [None, Some(""), Some("relative")] {
            assert_eq!(choose(none, Some("/home")).as_deref(), Some("/home/.local/state/loadgen"));
            assert_eq!(choose(none, none), None);
        }
    }

    #[test]
    fn words_for_runs() {
        let back = |word: &str| super::back(Path::new(word));
        assert_eq!((back("last"), back("last~0"), back("last~12")), (Some(0), Some(0), Some(12)));
        for path in ["./last", "last.json", "last~", "last~x", "last~+1", "lasting", "results/last", ""] {
            assert_eq!(back(path), None, "{path}");
        }
    }

    #[test]
    fn only_our_files_are_counted() {
        assert!(is_ours("20261121T184512.345Z-4711.json"));
        for name in
            ["notes.json", "20261121T184512.345Z-.json", "x-1.json", "20261121T184512.345Z-4711.json~"]
        {
            assert!(!is_ours(name), "{name}");
        }
    }
}
