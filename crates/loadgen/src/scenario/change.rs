//! What if keys of a scenario had other values?

use std::fmt;
use std::str::FromStr;

use toml::{Table, Value};

use super::matrix::put;
use super::page::{Fault, Page};

/// A key of a scenario, with its section, and another value for it: `target.store=pool`.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// With its section: `load.connections`.
    pub key: String,
    /// As TOML has it; what is no TOML is a text.
    pub value: Value,
}

/// Why a text is no change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` does not say which key gets which value: write it like target.store=pool",
    report::units::one_line(.0)
)]
pub struct ChangeError(String);

impl FromStr for Change {
    type Err = ChangeError;

    fn from_str(text: &str) -> Result<Self, ChangeError> {
        let (key, value) = text.split_once('=').ok_or_else(|| ChangeError(text.to_owned()))?;
        let (key, value) = (key.trim(), value.trim());
        let has_section = key.split('.').count() > 1 && key.split('.').all(|part| !part.is_empty());
        if !has_section {
            return Err(ChangeError(text.to_owned()));
        }
        let read = toml::from_str::<Table>(&format!("value = {value}")).ok();
        // A line break would make it a file of its own.
        let read = read.filter(|table| table.len() == 1).and_then(|mut table| table.remove("value"));
        Ok(Self { key: key.to_owned(), value: read.unwrap_or_else(|| Value::String(value.to_owned())) })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}", self.key, self.value)
    }
}

/// The page as it would be with these values. One of a key of its matrix takes the place of all values there.
pub(super) fn applied(page: &Page, changes: &[Change]) -> Result<Page, Fault> {
    let fault = |error: &dyn fmt::Display| page.fault(None, error.to_string());
    let mut file: Table = toml::from_str(page.text()).map_err(|error| fault(&error))?;
    for Change { key, value } in changes {
        if let Some(Value::Table(matrix)) = file.get_mut("matrix") {
            matrix.remove(key);
            if matrix.is_empty() {
                file.remove("matrix");
            }
        }
        put(&mut file, key, value);
    }
    let text = toml::to_string(&file).map_err(|error| fault(&error))?;
    Ok(Page::new(&page.path, text))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Scenario;
    use super::super::schema::Schema;
    use super::*;

    fn change(text: &str) -> Change {
        text.parse().unwrap()
    }

    #[test]
    fn a_value_is_toml_or_a_text() {
        for (text, expected) in [
            ("target.store=pool", "target.store = \"pool\""),
            ("load.duration = 5s", "load.duration = \"5s\""),
            ("target.instances=4", "target.instances = 4"),
            ("load.body=a=b", "load.body = \"a=b\""),
            ("load.body=\"4\"", "load.body = \"4\""),
            ("load.header=[\"a: b\"]", "load.header = [\"a: b\"]"),
        ] {
            assert_eq!(change(text).to_string(), expected);
        }
        for bad in ["", "target.store", "store=pool", ".store=pool", "target.=pool"] {
            assert!(bad.parse::<Change>().is_err(), "{bad}");
        }
        assert_eq!(change("load.body=1\nx = 2").value, Value::String("1\nx = 2".to_owned()));
    }

    #[test]
    fn a_changed_key_of_the_matrix_has_one_value() {
        let text = "[load]\nconnections = 3\n[matrix]\n\"target.instances\" = [1, 4]\n\"target.store\" = [\"pool\"]\n";
        let page = Page::new(Path::new("s.toml"), text.to_owned());
        let all =
            |changes: &[Change]| Scenario::on(&applied(&page, changes).unwrap(), &Schema::new(None)).unwrap();
        assert_eq!(all(&[change("load.requests=7")]).len(), 2);
        let one =
            all(&[change("target.instances=8"), change("target.store=none"), change("load.requests=7")]);
        assert_eq!((one.len(), one[0].1.is_empty()), (1, true));
        let scenario = &one[0].0;
        assert_eq!(scenario.target.instances.map(std::num::NonZero::get), Some(8));
        assert_eq!(scenario.load.connections.map(std::num::NonZero::get), Some(3));
        assert_eq!(scenario.load.requests.map(std::num::NonZero::get), Some(7));
    }
}
