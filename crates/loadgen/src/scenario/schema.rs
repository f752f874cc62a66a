//! Which keys may a scenario file have, and which values? One JSON Schema, derived from the types that read the file.
//!
//! Editors complete by it, and `survey` holds every file against it: there is no other list of keys.

mod texts;

pub(crate) use self::texts::{CpuList, assertions};

use std::ops::RangeInclusive;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::Scenario;

/// A setting of the embedded server, which `[target]` takes by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// As a file says it, with underscores.
    pub name: String,
    /// What `--help` says of it.
    pub help: String,
    /// Its values.
    pub kind: SettingKind,
}

/// Which values a setting of the embedded server has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingKind {
    /// `true` or `false`.
    Switch,
    /// A whole number of these.
    Number(RangeInclusive<u64>),
    /// One of these words, each with what it means.
    Choice(Vec<(String, String)>),
    /// Any text.
    Text,
    /// A number with a unit.
    Quantity {
        /// What it looks like, as a regular expression.
        pattern: &'static str,
        /// One of them.
        example: &'static str,
        /// The highest whole number that needs no unit, and no quotes.
        bare: u64,
    },
}

/// What is known of the embedded server when a file is read.
#[derive(Debug, Clone, Default)]
pub struct Server {
    /// Its settings, but for those that a run chooses by itself.
    pub settings: Vec<Setting>,
    /// Names of those that a run chooses by itself.
    pub chosen: Vec<String>,
}

/// The schema of scenario files.
#[derive(Debug, Clone)]
pub struct Schema {
    root: Value,
    pub(super) chosen: Vec<String>,
}

/// The tables whose keys a matrix may vary.
const VARIED: [&str; 2] = ["target", "load"];

impl Schema {
    /// The schema of this program. `server`: the embedded one; without it any key of `[target]` may be a setting.
    pub fn new(server: Option<Server>) -> Self {
        // What editors understand best.
        let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
        let schema = settings.into_generator().into_root_schema_for::<Scenario>();
        let mut root = schema.to_value();
        tidy(&mut root);
        let open = server.is_none();
        let Server { settings, chosen } = server.unwrap_or_default();
        let target = &mut root["properties"]["target"];
        for setting in settings {
            let name = setting.name.clone();
            target["properties"][name] = setting.schema();
        }
        target["additionalProperties"] =
            if open { json!({ "type": ["boolean", "integer", "string"] }) } else { json!(false) };
        root["properties"]["matrix"] = matrix(&root);
        root["title"] = json!("A scenario of loadgen");
        Self { root, chosen }
    }

    /// The whole of it.
    pub fn root(&self) -> &Value {
        &self.root
    }

    /// As a file.
    pub fn to_json(&self) -> String {
        // A value made of maps with text keys can always be written.
        serde_json::to_string_pretty(&self.root).unwrap_or_default() + "\n"
    }
}

impl Setting {
    fn schema(self) -> Value {
        let mut schema = match self.kind {
            SettingKind::Switch => json!({ "type": "boolean" }),
            SettingKind::Number(range) => {
                json!({ "type": "integer", "minimum": range.start(), "maximum": range.end() })
            }
            SettingKind::Choice(words) => {
                let words =
                    words.into_iter().map(|(word, help)| json!({ "const": word, "description": help }));
                json!({ "oneOf": words.collect::<Vec<_>>() })
            }
            SettingKind::Text => json!({ "type": "string" }),
            SettingKind::Quantity { pattern, example, bare } => json!({ "anyOf": [
                { "type": "string", "pattern": pattern, "examples": [example] },
                { "type": "integer", "minimum": 0, "maximum": bare },
            ] }),
        };
        schema["description"] = json!(self.help);
        schema
    }
}

/// Every key that may vary, those of tables in tables too, with a list of its values.
fn matrix(root: &Value) -> Value {
    let (mut keys, mut any) = (Map::new(), Map::new());
    for table in VARIED {
        vary(table, &root["properties"][table], &mut keys, &mut any);
    }
    let mut matrix = json!({
        "type": "object",
        "description": root["properties"]["matrix"]["description"],
        "properties": keys,
        "additionalProperties": false,
    });
    if !any.is_empty() {
        matrix["patternProperties"] = any.into();
    }
    matrix
}

fn vary(table: &str, schema: &Value, keys: &mut Map<String, Value>, any: &mut Map<String, Value>) {
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        let name = format!("{table}.{name}");
        vary(&name, schema, keys, any);
        keys.insert(name, list_of(schema));
    }
    if schema["additionalProperties"].is_object() {
        let pattern = format!("^{}\\.", table.replace('.', "\\."));
        any.insert(pattern, list_of(&schema["additionalProperties"]));
    }
}

fn list_of(schema: &Value) -> Value {
    let mut list = json!({ "type": "array", "minItems": 1, "items": schema });
    if let Some(description) = schema.get("description") {
        list["description"] = description.clone();
    }
    list
}

/// Without what only other languages than TOML have, and with bounds for the numbers of our types.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            without_null(map);
            if let Some(format) = map.remove("format") {
                bound(map, format.as_str().unwrap_or_default());
            }
            // Defaults depend on each other, and are in the descriptions.
            map.remove("default");
            if let Some(Value::String(text)) = map.get_mut("description") {
                *text = one_line(text);
            }
            map.values_mut().for_each(tidy);
        }
        Value::Array(list) => list.iter_mut().for_each(tidy),
        _ => {}
    }
}

/// TOML has no null: a key that is not set is left out.
fn without_null(map: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = map.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = &types[..] {
            let only = only.clone();
            map.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(values)) = map.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    let Some(Value::Array(ways)) = map.get_mut("anyOf") else { return };
    ways.retain(|way| way["type"] != "null");
    if let [Value::Object(only)] = &ways[..] {
        let only = only.clone();
        map.remove("anyOf");
        for (key, value) in only {
            // What is said of the key is more than what is said of its type.
            map.entry(key).or_insert(value);
        }
    }
}

fn bound(map: &mut Map<String, Value>, format: &str) {
    let most = match format {
        "uint16" => u64::from(u16::MAX),
        "uint32" => u64::from(u32::MAX),
        // What a TOML file can say.
        "uint64" => i64::MAX as u64,
        _ => return,
    };
    map.entry("maximum").or_insert(json!(most));
    map.entry("minimum").or_insert(json!(0));
}

/// Paragraphs stay, lines of one do not.
fn one_line(text: &str) -> String {
    let paragraphs = text.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
    let text = paragraphs.collect::<Vec<_>>().join("\n\n");
    text.strip_suffix('.').map_or(text.clone(), str::to_owned)
}
