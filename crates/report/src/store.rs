//! How are documents read and written?

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::document::{Document, FIGURES_SCHEMA, RUN_SCHEMA, Run};
use crate::histogram::DistributionError;
use crate::json;
use crate::os::{Unreadable, read_text, why_not_written};

/// The schemas this program reads.
const KNOWN: [&str; 2] = [RUN_SCHEMA, FIGURES_SCHEMA];
/// What is longer is no document: one of an hour has 200 KB.
pub const MOST_BYTES: u64 = 64 << 20;
/// What every schema of ours begins with.
const OURS: &str = "loadgen.";

/// Why a document could not be read or written. Each message names the file and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file or folder cannot be read.
    #[error("{path}: cannot be read: {source}")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: Unreadable,
    },
    /// A folder where a document was to be.
    #[error("{path}: is a folder; name a file in it, or see all its documents with `loadgen compare {path}`")]
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// Nothing is in the file.
    #[error("{path}: is empty; what was to write it did not come to its end")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A pattern that fits nothing, or is none.
    #[error("{path}: {reason}; name documents, or folders of them")]
    Pattern {
        /// The pattern.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file cannot be written.
    #[error("{path}: cannot be written: {why}; make room there, or choose another place")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Damaged, or no JSON at all.
    #[error("{path}: is not a whole JSON object ({source}); name a file that loadgen wrote")]
    NotJson {
        /// The file.
        path: PathBuf,
        /// Where reading stopped.
        source: serde_json::Error,
    },
    /// JSON of something else.
    #[error("{path}: has no `schema`, so it is no document of loadgen; name a file that loadgen wrote")]
    NoSchema {
        /// The file.
        path: PathBuf,
    },
    /// A document of a later version.
    #[error(
        "{path}: is a `{schema}`, and this loadgen reads up to `{known}`; read it with the version that wrote it"
    )]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// Its schema.
        schema: String,
        /// The highest number of that schema read here.
        known: &'static str,
    },
    /// A document of another kind.
    #[error("{path}: is a `{schema}`, and this loadgen reads {}", KNOWN.map(|known| format!("`{known}`")).join(" and "))]
    UnknownSchema {
        /// The file.
        path: PathBuf,
        /// Its schema.
        schema: String,
    },
    /// The schema is known and the content does not follow it.
    #[error("{path}: says it is a `{schema}`, but it is not: {source}; it was edited or damaged")]
    Shape {
        /// The file.
        path: PathBuf,
        /// Its schema.
        schema: String,
        /// The first difference.
        source: serde_json::Error,
    },
    /// A histogram cannot be read.
    #[error("{path}: `latencies.{name}` is damaged: {source}; measure again")]
    Histogram {
        /// The file.
        path: PathBuf,
        /// The field of [`crate::document::Latencies`], or whose it is.
        name: String,
        /// What is wrong with it.
        source: DistributionError,
    },
}

/// What [`find`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Files that say they are documents of ours, sorted, each once.
    pub documents: Vec<PathBuf>,
    /// Other `.json` files in the folders, sorted.
    pub skipped: Vec<PathBuf>,
}

/// What is looked at before anything else: which document is it?
#[derive(Deserialize)]
struct Head {
    schema: Option<String>,
    /// Derived numbers that the `json` format adds. Computed anew, never read.
    summary: Option<IgnoredAny>,
}

/// Reads a document and checks that its histograms can be read.
///
/// # Errors
/// When the file cannot be read or is no document that this program knows.
pub fn open(path: &Path) -> Result<Document, StoreError> {
    let text = read_text(path, MOST_BYTES).map_err(|source| match source {
        Unreadable::Folder => StoreError::Folder { path: path.to_owned() },
        source => StoreError::Read { path: path.to_owned(), source },
    })?;
    if text.trim().is_empty() {
        return Err(StoreError::Empty { path: path.to_owned() });
    }
    parse(path, &text)
}

/// Reads a document from its text. `path` is for messages.
///
/// # Errors
/// When the text is no document that this program knows.
pub fn parse(path: &Path, text: &str) -> Result<Document, StoreError> {
    let head: Head =
        serde_json::from_str(text).map_err(|source| StoreError::NotJson { path: path.to_owned(), source })?;
    let Some(schema) = head.schema else { return Err(StoreError::NoSchema { path: path.to_owned() }) };
    let has_summary = head.summary.is_some();
    let shape = |source| StoreError::Shape { path: path.to_owned(), schema: schema.clone(), source };
    match schema.as_str() {
        RUN_SCHEMA => {
            let run: Run = from_text(text, has_summary).map_err(shape)?;
            check_histograms(path, &run)?;
            Ok(Document::Run(Box::new(run)))
        }
        FIGURES_SCHEMA => Ok(Document::Figures(Box::new(from_text(text, has_summary).map_err(shape)?))),
        _ => Err(unreadable(path, schema)),
    }
}

/// The document as text: what [`write()`] puts into the file.
pub fn to_json(document: &Document) -> String {
    json::to_text(document)
}

/// Writes a document so that its file is never half-written: under a temporary name in the same folder, then renamed.
///
/// Missing folders are created. An existing file is replaced; what is no file (a pipe, `/dev/null`) is written into.
///
/// # Errors
/// When a folder or the file cannot be written.
pub fn write(path: &Path, document: &Document) -> Result<(), StoreError> {
    write_text(path, &to_json(document))
}

/// Writes any other text in the same way.
///
/// # Errors
/// When a folder or the file cannot be written.
pub fn write_text(path: &Path, text: &str) -> Result<(), StoreError> {
    put(path, text).map_err(|error| StoreError::Write { path: path.to_owned(), why: why_not_written(&error) })
}

/// Finds documents: the named files, all in the named folders and their folders, and what fits a pattern (`results/*/4-*`)
/// that no file is called like.
///
/// A named file must be a document. In folders and behind patterns, other `.json` files are skipped; one with a schema of
/// ours that this version cannot read is found, so that opening it says so.
///
/// # Errors
/// When a path cannot be read, a named file is no document, or nothing fits a pattern.
pub fn find(paths: &[PathBuf]) -> Result<Found, StoreError> {
    let mut found = Found::default();
    let mut seen = BTreeSet::new();
    for path in paths {
        if is_pattern(path) {
            find_fitting(path, &mut found)?;
            continue;
        }
        let kind = fs::metadata(path).map_err(|error| unread(path, error))?;
        if kind.is_dir() {
            find_in(path, &mut found)?;
        } else {
            // What is no file may be read but once.
            if kind.is_file() {
                open(path)?;
            }
            found.documents.push(path.clone());
        }
    }
    found.documents.sort();
    found.documents.retain(|path| seen.insert(fs::canonicalize(path).unwrap_or_else(|_| path.clone())));
    found.skipped.sort();
    found.skipped.dedup();
    Ok(found)
}

fn unread(path: &Path, error: io::Error) -> StoreError {
    StoreError::Read { path: path.to_owned(), source: Unreadable::System(error) }
}

fn is_pattern(path: &Path) -> bool {
    path.to_str().is_some_and(|text| text.contains(['*', '?', '['])) && !path.exists()
}

fn find_fitting(pattern: &Path, found: &mut Found) -> Result<(), StoreError> {
    let wrong = |reason: String| StoreError::Pattern { path: pattern.to_owned(), reason };
    let paths = glob::glob(&pattern.to_string_lossy()).map_err(|error| wrong(error.to_string()))?;
    let mut fits = false;
    for path in paths {
        let path = path.map_err(|error| wrong(error.to_string()))?;
        fits = true;
        if path.is_dir() {
            find_in(&path, found)?;
        } else {
            sort_in(path, found)?;
        }
    }
    if fits { Ok(()) } else { Err(wrong("nothing fits this pattern".into())) }
}

fn sort_in(path: PathBuf, found: &mut Found) -> Result<(), StoreError> {
    if path.extension().is_some_and(|ending| ending == "json") && path.is_file() {
        let list = if is_ours(&path)? { &mut found.documents } else { &mut found.skipped };
        list.push(path);
    }
    Ok(())
}

/// Folders behind symbolic links are not entered, so there are no circles.
fn find_in(folder: &Path, found: &mut Found) -> Result<(), StoreError> {
    let read = |error| unread(folder, error);
    for entry in fs::read_dir(folder).map_err(read)? {
        let entry = entry.map_err(read)?;
        let path = entry.path();
        if entry.file_type().map_err(read)?.is_dir() {
            find_in(&path, found)?;
        } else {
            sort_in(path, found)?;
        }
    }
    Ok(())
}

fn is_ours(path: &Path) -> Result<bool, StoreError> {
    let text = match read_text(path, MOST_BYTES) {
        Ok(text) => text,
        Err(Unreadable::System(error)) => return Err(unread(path, error)),
        Err(_) => return Ok(false),
    };
    let head: Option<Head> = serde_json::from_str(&text).ok();
    Ok(head.and_then(|head| head.schema).is_some_and(|schema| schema.starts_with(OURS)))
}

/// Line numbers survive where there is no summary to take out first.
fn from_text<T: DeserializeOwned>(text: &str, has_summary: bool) -> Result<T, serde_json::Error> {
    if !has_summary {
        return serde_json::from_str(text);
    }
    let mut fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text)?;
    fields.remove("summary");
    serde_json::from_value(fields.into())
}

fn check_histograms(path: &Path, run: &Run) -> Result<(), StoreError> {
    let hiccup = run.generator.iter().map(|generator| ("hiccup", &generator.hiccup));
    for (name, distribution) in run.latencies.named().into_iter().chain(hiccup) {
        distribution.to_histogram().map_err(|source| StoreError::Histogram {
            path: path.to_owned(),
            name: name.to_owned(),
            source,
        })?;
    }
    for named in &run.requests {
        for distribution in [&named.answered, &named.censored] {
            let name = || format!("of the requests `{}`", crate::units::one_line(&named.name));
            distribution.to_histogram().map_err(|source| StoreError::Histogram {
                path: path.to_owned(),
                name: name(),
                source,
            })?;
        }
    }
    Ok(())
}

fn unreadable(path: &Path, schema: String) -> StoreError {
    let path = path.to_owned();
    let numbered = |schema: &str| {
        let (family, number) = schema.rsplit_once('/')?;
        Some((family.to_owned(), number.parse::<u32>().ok()?))
    };
    let newer = |known: &&str| match (numbered(known), numbered(&schema)) {
        (Some((known, read)), Some((family, number))) => known == family && number > read,
        _ => false,
    };
    match KNOWN.into_iter().find(newer) {
        Some(known) => StoreError::NewerSchema { path, schema, known },
        None => StoreError::UnknownSchema { path, schema },
    }
}

fn put(path: &Path, text: &str) -> io::Result<()> {
    // Renaming would replace a link instead of the file behind it.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if fs::metadata(&path).is_ok_and(|existing| !existing.is_file() && !existing.is_dir()) {
        return File::options().write(true).open(&path)?.write_all(text.as_bytes());
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new()
        .prefix(".loadgen-")
        .suffix(".partial")
        // As any new file: what the user's mask leaves of it.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(&path)?;
    File::open(folder)?.sync_all()
}
