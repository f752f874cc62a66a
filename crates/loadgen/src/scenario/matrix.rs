//! One file, many plans: every combination of the values of some keys.

use std::fmt;

use toml::{Table, Value};

use super::Scenario;

/// More combinations than this are a slip of the finger.
const MOST: usize = 1000;

/// What is special about one combination: keys and values, in the order of the file. Empty where there is no matrix.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Variant(Vec<(String, Value)>);

/// `target.instances = 4, target.store = "group"`.
impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (key, value)) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{key} = {value}")?;
        }
        Ok(())
    }
}

impl Variant {
    /// Whether there is nothing special.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Why a matrix cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum MatrixError {
    #[error("[matrix] `{0}` needs a list of values, like [1, 4, 8]")]
    NoList(String),
    #[error(
        "[matrix] `{0}` is no key of a table of this file, like \"target.instances\" or \"load.connections\""
    )]
    NoKey(String),
    #[error("[matrix] makes {0} combinations; at most {MOST} are run")]
    TooMany(usize),
    #[error("[matrix] {variant}: {error}")]
    Unfit { variant: String, error: String },
}

/// Tables whose keys may vary.
const VARIED: [&str; 2] = ["target", "load"];

/// A scenario for each combination. `text`: the file, which is known to be the scenario `whole`.
pub(super) fn variants(text: &str, whole: &Scenario) -> Result<Vec<(Scenario, Variant)>, MatrixError> {
    let axes = whole.matrix.iter().map(axis).collect::<Result<Vec<_>, _>>()?;
    let number = axes.iter().map(|(_, values)| values.len()).try_fold(1_usize, usize::checked_mul);
    let number = number.unwrap_or(usize::MAX);
    if number > MOST {
        return Err(MatrixError::TooMany(number));
    }
    let mut variants = vec![Variant::default()];
    for (key, values) in axes {
        let with = |variant: &Variant, value: &Value| {
            let mut keys = variant.0.clone();
            keys.push((key.clone(), value.clone()));
            Variant(keys)
        };
        variants =
            variants.iter().flat_map(|variant| values.iter().map(|value| with(variant, value))).collect();
    }
    variants.into_iter().map(|variant| Ok((scenario(text, whole, &variant)?, variant))).collect()
}

fn axis((key, values): (&String, &Value)) -> Result<(String, Vec<Value>), MatrixError> {
    let table = key.split_once('.').filter(|(table, name)| VARIED.contains(table) && !name.is_empty());
    if table.is_none() {
        return Err(MatrixError::NoKey(key.clone()));
    }
    match values {
        Value::Array(values) if !values.is_empty() => Ok((key.clone(), values.clone())),
        _ => Err(MatrixError::NoList(key.clone())),
    }
}

fn scenario(text: &str, whole: &Scenario, variant: &Variant) -> Result<Scenario, MatrixError> {
    let unfit = |error: toml::de::Error| MatrixError::Unfit {
        variant: variant.to_string(),
        error: error.message().to_owned(),
    };
    let mut file: Table = toml::from_str(text).map_err(unfit)?;
    file.remove("matrix");
    for (key, value) in &variant.0 {
        put(&mut file, key, value);
    }
    let scenario: Scenario = file.try_into().map_err(unfit)?;
    Ok(Scenario { name: whole.name.clone(), ..scenario })
}

/// Puts a value under a dotted key; tables on the way are made where they are not there.
fn put(table: &mut Table, key: &str, value: &Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value.clone());
        }
        Some((name, rest)) => {
            let inner = table.entry(name).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Result<Vec<(Scenario, Variant)>, String> {
        variants(text, &toml::from_str(text).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn each_combination_is_a_scenario() {
        let text = "[load]\nduration = \"2s\"\n[matrix]\n\"target.instances\" = [1, 4]\n\"target.store\" = [\"pool\", \"none\"]\n";
        let all = all(text).unwrap();
        let said: Vec<_> = all.iter().map(|(_, variant)| variant.to_string()).collect();
        assert_eq!(
            said,
            [
                "target.instances = 1, target.store = \"pool\"",
                "target.instances = 1, target.store = \"none\"",
                "target.instances = 4, target.store = \"pool\"",
                "target.instances = 4, target.store = \"none\"",
            ]
        );
        let last = &all[3].0;
        assert_eq!(last.target.instances.map(std::num::NonZero::get), Some(4));
        assert_eq!(last.target.settings()["store"], "none");
        assert!(last.load.duration.is_some() && last.matrix.is_empty());
    }

    #[test]
    fn a_key_may_be_deep_inside() {
        let text =
            "[target.front]\ncommand = [\"p\"]\n[matrix]\n\"target.front.config\" = [\"one\", \"two\"]\n";
        let all = all(text).unwrap();
        let fronts: Vec<_> = all.into_iter().filter_map(|(scenario, _)| scenario.target.front).collect();
        let configs: Vec<_> = fronts.iter().map(|front| front.config.as_deref().unwrap()).collect();
        assert_eq!(configs, ["one", "two"]);
        assert_eq!(fronts[1].command, ["p"], "what lies beside it stays");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (matrix, said) in [
            (
                "\"target.instances\" = 4",
                "[matrix] `target.instances` needs a list of values, like [1, 4, 8]",
            ),
            (
                "instances = [4]",
                "[matrix] `instances` is no key of a table of this file, like \"target.instances\" or \"load.connections\"",
            ),
            (
                "\"run.repeats\" = [4]",
                "[matrix] `run.repeats` is no key of a table of this file, like \"target.instances\" or \"load.connections\"",
            ),
        ] {
            assert_eq!(all(&format!("[matrix]\n{matrix}\n")), Err(said.to_owned()));
        }
        let wrong = all("[matrix]\n\"load.connections\" = [5, 0]\n").unwrap_err();
        assert!(wrong.starts_with("[matrix] load.connections = 0: "), "{wrong}");
        let wrong = all("[matrix]\n\"load.conections\" = [5]\n").unwrap_err();
        assert!(wrong.contains("unknown field `conections`"), "{wrong}");
    }
}
