//! What may a scenario file say? TOML; every key is optional, and an unknown one is refused with its place.

mod change;
pub mod library;
mod matrix;
mod order;
mod page;
pub mod schema;
mod survey;

use std::collections::BTreeMap;
use std::io::ErrorKind::NotFound;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use report::assertion::Assertion;
use report::os::{Unreadable, read_text};
use schemars::JsonSchema;
use serde::Deserialize;

pub use self::change::{Change, ChangeError};
pub use self::matrix::Variant;
pub use self::order::Order;
pub use self::page::{Fault, Page};
use self::schema::Schema;
use crate::options::{LoadOptions, TargetOptions};
use crate::quantity::Span;

/// What is longer is no scenario: nobody writes so much by hand.
const MOST_BYTES: u64 = 1 << 20;

/// A scenario as it is written.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
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
    #[schemars(with = "BTreeMap<String, Vec<String>>")]
    pub matrix: toml::Table,
}

/// How a scenario is repeated.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AssertOptions {
    /// However long it is.
    #[serde(default)]
    #[schemars(schema_with = "schema::assertions")]
    pub always: Vec<Assertion>,
    /// With the load and the target as the file has them, such as `timeouts == 12`. Not judged, and said so, where something
    /// else was typed.
    #[serde(default)]
    #[schemars(schema_with = "schema::assertions")]
    pub as_written: Vec<Assertion>,
}

/// Why a scenario cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file cannot be read.
    #[error("cannot read the scenario {}: {why}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: Unreadable,
    },
    /// Neither a file nor one of the library.
    #[error("there is no scenario `{0}`: name a file, or one of those that `loadgen scenarios` lists")]
    Unknown(String),
    /// The file is a scenario, and with other values of some keys none.
    #[error("{} with {changes}: {sentence}", path.display())]
    Changed {
        /// Which file.
        path: PathBuf,
        /// The values.
        changes: String,
        /// Why.
        sentence: String,
    },
    /// The file is not a scenario, or asks for what cannot be.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// A scenario file: one scenario for each combination of its matrix, and what is special about it.
#[derive(Debug, Clone)]
pub struct Read {
    /// The file.
    pub page: Page,
    /// At least one.
    pub scenarios: Vec<(Scenario, Variant)>,
}

impl Scenario {
    /// Reads a scenario file, or one of the library by its name.
    ///
    /// # Errors
    /// When it cannot be read, or does not say what a scenario may say.
    pub fn read(path: &Path, schema: &Schema) -> Result<Read, ScenarioError> {
        Self::read_changed(path, schema, &[])
    }

    /// The same with other values of some keys.
    ///
    /// # Errors
    /// As [`Scenario::read`], and when one of the values cannot be.
    pub fn read_changed(path: &Path, schema: &Schema, changes: &[Change]) -> Result<Read, ScenarioError> {
        Self::changed(Page::new(path, text(path)?), schema, changes)
    }

    /// A server that runs already, loaded as nobody says otherwise; with other values of some keys.
    ///
    /// # Errors
    /// When one of the values cannot be.
    pub fn of_url(url: &str, schema: &Schema, changes: &[Change]) -> Result<Read, ScenarioError> {
        let text = format!("[target]\nurl = {}\n", toml::Value::String(url.to_owned()));
        Self::changed(Page::new(Path::new("load"), text), schema, changes)
    }

    fn changed(page: Page, schema: &Schema, changes: &[Change]) -> Result<Read, ScenarioError> {
        let scenarios = Self::on(&page, schema)?;
        if changes.is_empty() {
            return Ok(Read { page, scenarios });
        }
        let page = change::applied(&page, changes)?;
        let scenarios = Self::on(&page, schema).map_err(|fault| ScenarioError::Changed {
            path: page.path.clone(),
            changes: changes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            sentence: fault.sentence().to_owned(),
        })?;
        Ok(Read { page, scenarios })
    }

    fn on(page: &Page, schema: &Schema) -> Result<Vec<(Self, Variant)>, Fault> {
        let file = page.table()?;
        schema.survey(&file).map_err(|wrong| page.fault(Some(wrong.place), wrong.sentence))?;
        let mut scenario: Self =
            toml::from_str(page.text()).map_err(|error| page.unreadable(&file, &error))?;
        if scenario.name.is_empty() {
            scenario.name = page.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        }
        if !is_folder_name(&scenario.name) {
            return Err(page.together(&format!(
                "`{}` is no name for results: use letters, digits, dots, dashes and underscores",
                scenario.name
            )));
        }
        if scenario.matrix.is_empty() {
            return Ok(vec![(scenario, Variant::default())]);
        }
        matrix::variants(page, &file, &scenario)
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
    let is_missing = |why: &Unreadable| matches!(why, Unreadable::System(error) if error.kind() == NotFound);
    read_text(path, MOST_BYTES).map_err(|why| {
        if is_name && is_missing(&why) {
            ScenarioError::Unknown(path.display().to_string())
        } else {
            ScenarioError::Read { path: path.to_path_buf(), why }
        }
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

    #[test]
    fn everything_has_a_default() {
        let page = Page::new(Path::new("s.toml"), String::new());
        let all = Scenario::on(&page, &Schema::new(None)).unwrap();
        assert_eq!((all.len(), all[0].0.name.as_str()), (1, "s"));
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
