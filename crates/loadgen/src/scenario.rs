//! What may a scenario file say? TOML; every key is optional, and an unknown one is refused with its place.

pub mod library;
mod matrix;
mod order;

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use report::assertion::Assertion;
use serde::Deserialize;

pub use self::matrix::{MatrixError, Variant};
pub use self::order::Order;
use crate::options::{LoadOptions, TargetOptions};
use crate::quantity::Span;

/// A scenario as it is written.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Under which its results are filed. The file's name without its ending, where it is not given.
    #[serde(default)]
    pub name: String,
    /// What it is for, in a sentence.
    #[serde(default)]
    pub description: String,
    /// What is started, or where it runs already.
    #[serde(default)]
    pub target: TargetOptions,
    /// How it is loaded.
    #[serde(default)]
    pub load: LoadOptions,
    /// How often.
    #[serde(default)]
    pub run: RunOptions,
    /// What must hold of each run.
    #[serde(default)]
    pub assert: AssertOptions,
    /// Keys of this file with lists of values: each combination is a scenario of its own. The first key varies slowest.
    #[serde(default)]
    pub matrix: toml::Table,
}

/// How a scenario is repeated.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunOptions {
    /// How many times, each with a fresh target and a document of its own.
    pub repeats: Option<NonZeroU32>,
    /// In which order, where there are several.
    pub order: Option<Order>,
    /// Pause before each run but the first.
    pub cooldown: Option<Span>,
}

/// What must hold of each run of a scenario.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssertOptions {
    /// However long it is.
    #[serde(default)]
    pub always: Vec<Assertion>,
    /// With the load and the target as the file has them, such as `timeouts == 12`. Not judged, and said so, where something
    /// else was typed.
    #[serde(default)]
    pub as_written: Vec<Assertion>,
}

/// Why a scenario cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file cannot be read.
    #[error("cannot read the scenario {}: {error}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Neither a file nor one of the library.
    #[error("there is no scenario `{0}`: name a file, or one of those that `loadgen scenarios` lists")]
    Unknown(String),
    /// The file is not a scenario; the message shows the place.
    #[error("{} is not a scenario: {error}", path.display())]
    Parse {
        /// Which file.
        path: PathBuf,
        /// What is wrong, and where.
        error: toml::de::Error,
    },
    /// The matrix does not fit the file.
    #[error("{}: {error}", path.display())]
    Matrix {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        error: MatrixError,
    },
    /// The name would not do as a folder.
    #[error(
        "{}: `{name}` is no name for results: use letters, digits, dots, dashes and underscores",
        path.display()
    )]
    Name {
        /// Which file.
        path: PathBuf,
        /// What it is called.
        name: String,
    },
}

impl Scenario {
    /// Reads a scenario file, or one of the library by its name: one scenario for each combination of its matrix, and what is special about it.
    ///
    /// # Errors
    /// When it cannot be read, or does not say what a scenario may say.
    pub fn read(path: &Path) -> Result<Vec<(Self, Variant)>, ScenarioError> {
        let path_buf = || path.to_path_buf();
        let text = text(path)?;
        let mut scenario: Self =
            toml::from_str(&text).map_err(|error| ScenarioError::Parse { path: path_buf(), error })?;
        if scenario.name.is_empty() {
            scenario.name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        }
        if !is_folder_name(&scenario.name) {
            return Err(ScenarioError::Name { path: path_buf(), name: scenario.name });
        }
        if scenario.matrix.is_empty() {
            return Ok(vec![(scenario, Variant::default())]);
        }
        let variants = matrix::variants(&text, &scenario);
        variants.map_err(|error| ScenarioError::Matrix { path: path_buf(), error })
    }
}

/// The text of a file, or of the library's scenario of that name where there is no such file.
fn text(path: &Path) -> Result<String, ScenarioError> {
    if !path.exists()
        && let Some(text) = path.to_str().and_then(library::find)
    {
        return Ok(text.to_owned());
    }
    let is_name = path.extension().is_none() && path.components().count() == 1;
    std::fs::read_to_string(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound if is_name => ScenarioError::Unknown(path.display().to_string()),
        _ => ScenarioError::Read { path: path.to_path_buf(), error },
    })
}

/// Whether a name can be that of a folder of results: one plain path component.
pub fn is_folder_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !name.is_empty() && !name.starts_with('.') && name.len() <= 100 && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Scenario, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn everything_has_a_default() {
        assert!(parse("").is_ok());
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_place() {
        let error = parse("[load]\nduration = \"10s\"\nconections = 5\n").unwrap_err();
        assert!(error.contains("line 3") && error.contains("conections"), "{error}");
        assert!(parse("[targets]\n").is_err());
        assert!(parse("[load]\nconnections = 0\n").is_err());
        let error = parse("[load]\ncheck = [\"status is 200\"]\n").unwrap_err();
        assert!(error.contains("line 2") && error.contains("`is 200` is no condition"), "{error}");
        assert!(parse("[load]\nduration = \"10\"\n").unwrap_err().contains("did you mean `10s`?"));
    }

    #[test]
    fn a_name_is_one_folder() {
        for name in ["4-instances", "a.b_c"] {
            assert!(is_folder_name(name));
        }
        for name in ["", ".", "..", "a/b", "ä", ".hidden", "a b"] {
            assert!(!is_folder_name(name), "{name}");
        }
    }
}
