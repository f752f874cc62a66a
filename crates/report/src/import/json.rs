//! Which tool wrote a JSON?

use serde_json::Value;

use super::{ImportError, oha};
use crate::document::Figures;

/// What a tool's JSON has and no other's, so that a part of it is known, too.
const MARKS: [(&str, &str, &str); 1] = [("oha", "\"requestsPerSec\"", "summary and latencyPercentiles")];

pub(super) fn read(text: &str) -> Result<Figures, ImportError> {
    let Ok(value) = serde_json::from_str::<Value>(text) else { return Err(unreadable(text)) };
    let has = |path: &str| value.pointer(path).is_some();
    if value["schema"].as_str().is_some_and(|schema| schema.starts_with("loadgen.")) {
        return Err(ImportError::Form(
            "is a document of loadgen already: `loadgen compare` and `report` read it as it is",
        ));
    }
    if has("/summary/requestsPerSec") {
        return oha::read(value);
    }
    Err(unreadable(text))
}

/// Of what nothing can be read: a part of a tool's JSON, or nobody's.
fn unreadable(text: &str) -> ImportError {
    let known = MARKS.iter().find(|(_, mark, _)| text.contains(mark));
    known.map_or(ImportError::Unknown, |&(tool, _, label)| ImportError::Missing { tool, label })
}

/// What a tool's JSON holds.
pub(super) fn parsed<T: serde::de::DeserializeOwned>(value: Value, tool: &str) -> Result<T, ImportError> {
    serde_json::from_value(value).map_err(|_| {
        let known = MARKS.iter().find(|(name, ..)| *name == tool);
        known.map_or(ImportError::Unknown, |&(tool, _, label)| ImportError::Missing { tool, label })
    })
}
