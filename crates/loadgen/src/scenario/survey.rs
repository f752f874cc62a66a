//! Does a file say only what a scenario may say? Held against the schema, which knows all keys and kinds of values.

use std::ops::Range;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::page::{below, named};
use super::schema::Schema;

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) place: Range<usize>,
    pub(super) sentence: String,
}

type Item<'i> = Spanned<DeValue<'i>>;

impl Schema {
    /// Refuses unknown keys and values of another kind, the first of them.
    pub(super) fn survey(&self, file: &DeTable<'_>) -> Result<(), Wrong> {
        self.table(self.root(), file, "")
    }

    fn table(&self, schema: &Value, table: &DeTable<'_>, section: &str) -> Result<(), Wrong> {
        for (key, value) in table {
            let name: &str = key.get_ref();
            let Some(known) = allowed(schema, name) else {
                let sentence = self.unknown(name, value.get_ref(), schema, section);
                return Err(Wrong { place: key.span(), sentence });
            };
            self.value(known, value, (name, section))?;
        }
        Ok(())
    }

    fn value(&self, schema: &Value, value: &Item<'_>, (key, section): (&str, &str)) -> Result<(), Wrong> {
        if !fits(schema, value.get_ref()) {
            let sentence = unfit(schema, value.get_ref(), &named(key, section));
            return Err(Wrong { place: value.span(), sentence });
        }
        match value.get_ref() {
            DeValue::Table(inner) => {
                let needed = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
                let section = below(section, key);
                if let Some(missing) = needed.into_iter().find(|name| !has(inner, name)) {
                    let sentence = format!("[{section}] needs a `{missing}`");
                    return Err(Wrong { place: value.span(), sentence });
                }
                self.table(schema, inner, &section)
            }
            DeValue::Array(list) => {
                list.iter().try_for_each(|item| self.value(&schema["items"], item, (key, section)))
            }
            _ => Ok(()),
        }
    }

    /// Why a key is none, and which one was meant.
    fn unknown(&self, key: &str, value: &DeValue<'_>, schema: &Value, section: &str) -> String {
        let is_table = value.is_table();
        let no_key = match (section, is_table) {
            ("", true) => format!("[{key}] is no section of a scenario"),
            ("", false) => format!("`{key}` is no key of a scenario"),
            (section, _) => format!("`{key}` is no key of [{section}]"),
        };
        if section == "target" && self.chosen.iter().any(|name| name.replace('-', "_") == key) {
            return format!("{no_key}: loadgen chooses it itself, for each run");
        }
        // `target.store = [...]` below [matrix], without the quotes that make one key of it.
        let inner = value.as_table().and_then(|table| table.keys().next());
        if let Some(dotted) = inner.map(|inner| below(key, inner.get_ref()))
            && allowed(schema, &dotted).is_some()
        {
            return format!("{no_key}; write \"{dotted}\" in quotes");
        }
        let elsewhere = keys(self.root()).find(|other| {
            let other = *other;
            other != section
                && other != "matrix"
                && keys(&self.root()["properties"][other]).any(|known| known == key)
        });
        // Written out in full, it is no slip of the finger. Those of a matrix tell their section themselves.
        if let Some(other) = elsewhere.filter(|_| section != "matrix") {
            return format!("{no_key}; it belongs to [{other}]");
        }
        if let Some(near) = nearest(key, keys(schema)) {
            return match (section, is_table) {
                ("", true) => format!("{no_key}; did you mean [{near}]?"),
                _ => format!("{no_key}; did you mean `{near}`?"),
            };
        }
        format!("{no_key}; `loadgen scenarios schema` knows all keys")
    }
}

fn has(table: &DeTable<'_>, name: &str) -> bool {
    table.keys().any(|key| key.get_ref() == name)
}

/// What a table's schema says of a key, if it allows it.
fn allowed<'a>(schema: &'a Value, key: &str) -> Option<&'a Value> {
    if let Some(known) = schema["properties"].get(key) {
        return Some(known);
    }
    let patterns = schema["patternProperties"].as_object().into_iter().flatten();
    let by_pattern = patterns.filter(|(pattern, _)| {
        let prefix = pattern.trim_start_matches('^').replace('\\', "");
        key.strip_prefix(prefix.as_str()).is_some_and(|rest| !rest.is_empty())
    });
    by_pattern.map(|(_, known)| known).next().or_else(|| match &schema["additionalProperties"] {
        Value::Object(_) => Some(&schema["additionalProperties"]),
        _ => None,
    })
}

fn keys(schema: &Value) -> impl Iterator<Item = &str> {
    schema["properties"].as_object().into_iter().flatten().map(|(key, _)| key.as_str())
}

/// The one that was probably meant: a slip of the finger away, or the same behind a dot.
fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    /// Of so many letters one may be wrong; two always may.
    const LETTERS: usize = 4;
    let plain = |text: &str| text.to_ascii_lowercase().replace('-', "_");
    let word = plain(word);
    let most = (word.chars().count() / LETTERS).max(if word.chars().count() > 2 { 2 } else { 1 });
    let distance = |name: &str| match name.rsplit_once('.') {
        Some((_, last)) if last == word => 0,
        _ => strsim::osa_distance(&plain(name), &word),
    };
    known
        .map(|name| (distance(name), name))
        .filter(|(far, _)| *far <= most)
        .min_by_key(|(far, _)| *far)
        .map(|(_, name)| name)
}

/// The schemas of which one is to fit: of a choice all, else the one.
fn ways(schema: &Value) -> Vec<&Value> {
    let choice = ["anyOf", "oneOf"].iter().find_map(|key| schema[*key].as_array());
    choice.map_or_else(|| vec![schema], |some| some.iter().flat_map(ways).collect())
}

/// The words of a choice.
fn words(schema: &Value) -> Vec<&str> {
    ways(schema).into_iter().flat_map(listed).filter_map(Value::as_str).collect()
}

fn listed(way: &Value) -> impl Iterator<Item = &Value> {
    way["enum"].as_array().into_iter().flatten().chain(way.get("const"))
}

fn kinds(way: &Value) -> Vec<&str> {
    match &way["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        kind => kind.as_str().into_iter().collect(),
    }
}

/// Whether a value is of the right kind and within its bounds. Items and keys are looked at for themselves, and texts by what
/// reads them.
fn fits(schema: &Value, value: &DeValue<'_>) -> bool {
    ways(schema).into_iter().any(|way| {
        if listed(way).next().is_some() {
            return value.as_str().is_some_and(|text| listed(way).any(|word| word == text));
        }
        kinds(way).into_iter().any(|kind| is_kind(kind, value)) && within(way, value)
    })
}

fn is_kind(kind: &str, value: &DeValue<'_>) -> bool {
    match kind {
        "string" => value.is_str(),
        "integer" => value.is_integer(),
        "number" => value.is_integer() || value.is_float(),
        "boolean" => value.is_bool(),
        "array" => value.is_array(),
        "object" => value.is_table(),
        _ => false,
    }
}

fn within(way: &Value, value: &DeValue<'_>) -> bool {
    let number = match value {
        DeValue::Integer(number) => whole(number).map(|number| number as f64),
        DeValue::Float(number) => number.as_str().replace('_', "").parse::<f64>().ok(),
        DeValue::Array(list) => {
            return way["minItems"].as_u64().is_none_or(|least| list.len() as u64 >= least);
        }
        _ => return true,
    };
    let Some(number) = number else { return false };
    let above = way["minimum"].as_f64().is_none_or(|least| number >= least);
    above && way["maximum"].as_f64().is_none_or(|most| number <= most)
}

/// A whole number in any spelling that TOML has.
fn whole(number: &toml::de::DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// Why a value does not fit its key.
fn unfit(schema: &Value, value: &DeValue<'_>, key: &str) -> String {
    let takes = format!("{key} takes {}", wanted(schema));
    match value {
        DeValue::String(text) if !words(schema).is_empty() => {
            let near = nearest(text, words(schema).into_iter());
            let advice = near.map(|near| format!("; did you mean \"{near}\"?")).unwrap_or_default();
            format!("{takes}, and not \"{}\"{advice}", report::units::one_line(text))
        }
        _ => format!("{takes}, and this is {}", found(value)),
    }
}

/// What a key takes, in words.
fn wanted(schema: &Value) -> String {
    let words = words(schema);
    if !words.is_empty() {
        let words: Vec<_> = words.into_iter().map(|word| format!("\"{word}\"")).collect();
        return one_of(&words);
    }
    let kinds =
        ways(schema).into_iter().flat_map(|way| kinds(way).into_iter().map(|kind| wanted_of(kind, way)));
    one_of(&kinds.collect::<Vec<_>>())
}

fn wanted_of(kind: &str, way: &Value) -> String {
    let example =
        way["examples"][0].as_str().map(|example| format!(", like \"{example}\"")).unwrap_or_default();
    match kind {
        "string" => format!("a text in quotes{example}"),
        "integer" if way["maximum"] == 0 => "0".to_owned(),
        "integer" => format!("a whole number{}", range(way)),
        "number" => format!("a number{}", range(way)),
        "boolean" => "true or false".to_owned(),
        "array" => {
            let items = &way["items"];
            let example = items["examples"][0].as_str().map(|example| format!("\"{example}\""));
            let example =
                example.or_else(|| Some(words(items).first()?.to_string()).map(|word| format!("\"{word}\"")));
            let example = example.or_else(|| items["minimum"].as_u64().map(|least| (least + 1).to_string()));
            format!("a list{}", example.map(|example| format!(", like [{example}]")).unwrap_or_default())
        }
        _ => "a table of keys".to_owned(),
    }
}

fn range(way: &Value) -> String {
    /// Larger bounds are those of our types, and nobody's business.
    const SAID: u64 = 1_000_000;
    match (way["minimum"].as_u64(), way["maximum"].as_u64().filter(|most| *most <= SAID)) {
        (Some(least), Some(most)) => format!(" from {least} to {most}"),
        (Some(least), None) => format!(" from {least} on"),
        (None, Some(most)) => format!(" up to {most}"),
        (None, None) => String::new(),
    }
}

fn one_of(words: &[String]) -> String {
    match words {
        [] => "another value".to_owned(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// What a value is, in words.
fn found(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(_) => "a text".to_owned(),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(list) if list.is_empty() => "an empty list".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
