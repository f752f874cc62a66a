//! One file, many plans: every combination of the values of some keys.

use std::fmt;
use std::ops::Range;

use toml::de::DeTable;
use toml::{Table, Value};

use super::Scenario;
use super::page::{Fault, Page};

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
    /// Further keys after those that there are.
    #[must_use]
    pub fn and(mut self, further: impl IntoIterator<Item = (String, Value)>) -> Self {
        self.0.extend(further);
        self
    }

    /// Whether there is nothing special.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In few words, with a space before each: ` instances=4 store=group`.
    pub fn brief(&self) -> String {
        /// Characters of a value, at most.
        const LENGTH: usize = 20;
        let one = |(key, value): &(String, Value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), report::units::one_line);
            let text: String = text.chars().take(LENGTH).collect();
            format!(" {}={text}", key.rsplit('.').next().unwrap_or(key))
        };
        self.0.iter().map(one).collect()
    }
}

impl IntoIterator for Variant {
    type Item = (String, Value);
    type IntoIter = std::vec::IntoIter<(String, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// A scenario for each combination. `file`: its keys with their places, which are those of the scenario `whole`.
pub(super) fn variants(
    page: &Page,
    file: &DeTable<'_>,
    whole: &Scenario,
) -> Result<Vec<(Scenario, Variant)>, Fault> {
    let too_many = |number| format!("[matrix] makes {number} combinations; at most {MOST} are run");
    let mut lengths = whole.matrix.values().filter_map(Value::as_array).map(Vec::len);
    let number = lengths.try_fold(1_usize, usize::checked_mul).unwrap_or(usize::MAX);
    if number > MOST {
        return Err(page.fault(places(file).next(), too_many(number)));
    }
    let text = || -> Result<Table, Fault> {
        toml::from_str(page.text()).map_err(|error| page.unreadable(file, &error))
    };
    let mut plain = text()?;
    plain.remove("matrix");
    let mut variants = vec![Variant::default()];
    for ((key, values), place) in whole.matrix.iter().zip(places(file)) {
        let values = values.as_array().map(Vec::as_slice).unwrap_or_default();
        for value in values {
            // Each for itself, so that the one that cannot be read is told with its key.
            let one = Variant(vec![(key.clone(), value.clone())]);
            scenario(&plain, whole, &one).map_err(|error| {
                page.fault(Some(place.clone()), format!("[matrix] {one}: {}", error.message()))
            })?;
        }
        let with = |variant: &Variant, value: &Value| {
            Variant(variant.0.iter().cloned().chain([(key.clone(), value.clone())]).collect())
        };
        variants =
            variants.iter().flat_map(|variant| values.iter().map(|value| with(variant, value))).collect();
    }
    let all = variants.into_iter().map(|variant| Ok((scenario(&plain, whole, &variant)?, variant)));
    all.collect::<Result<_, toml::de::Error>>().map_err(|error| page.unreadable(file, &error))
}

/// Where the keys of the matrix are, in the order of the file.
fn places(file: &DeTable<'_>) -> impl Iterator<Item = Range<usize>> {
    let matrix = file.iter().find(|(key, _)| key.get_ref() == "matrix");
    let keys = matrix.and_then(|(_, matrix)| matrix.get_ref().as_table()).into_iter().flatten();
    keys.map(|(key, _)| key.span()).collect::<Vec<_>>().into_iter()
}

fn scenario(plain: &Table, whole: &Scenario, variant: &Variant) -> Result<Scenario, toml::de::Error> {
    let mut file = plain.clone();
    for (key, value) in &variant.0 {
        put(&mut file, key, value);
    }
    let scenario: Scenario = file.try_into()?;
    Ok(Scenario { name: whole.name.clone(), ..scenario })
}

/// Puts a value under a dotted key; tables on the way are made where they are not there.
pub(super) fn put(table: &mut Table, key: &str, value: &Value) {
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
    use std::path::Path;

    use super::super::schema::Schema;
    use super::*;

    fn all(text: &str) -> Result<Vec<(Scenario, Variant)>, String> {
        let page = Page::new(Path::new("s.toml"), text.to_owned());
        Scenario::on(&page, &Schema::new(None)).map_err(|error| error.to_string())
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
        assert_eq!(all[3].1.brief(), " instances=4 store=none");
        let last = &all[3].0;
        assert_eq!(last.target.instances.map(std::num::NonZero::get), Some(4));
        assert_eq!(last.target.settings()["store"], "none");
        assert!(last.load.duration.is_some() && last.matrix.is_empty());
    }

    #[test]
    fn too_many_combinations_are_refused_at_the_first_key() {
        let list = (1..=40).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
        let said =
            all(&format!("\n[matrix]\n\"load.connections\" = [{list}]\n\"load.workers\" = [{list}]\n"));
        let said = said.unwrap_err();
        assert!(
            said.starts_with("s.toml:3: [matrix] makes 1600 combinations; at most 1000 are run\n"),
            "{said}"
        );
    }

    #[test]
    fn a_value_that_cannot_be_read_is_told_with_its_key() {
        let said =
            all("[matrix]\n\"load.connections\" = [1]\n\"load.duration\" = [\"5s\", \"5\"]\n").unwrap_err();
        let expected = "s.toml:3: [matrix] load.duration = \"5\": `5` has no unit: did you mean `5s`?";
        assert_eq!(said.lines().next(), Some(expected));
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
}
