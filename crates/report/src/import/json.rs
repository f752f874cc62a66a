//! Which tool wrote a JSON?

use serde::de::DeserializeOwned;
use serde_json::{Deserializer, Value};

use super::{ImportError, bombardier, fortio, k6, oha, vegeta};
use crate::document::Figures;

/// Of each tool, what its JSON has and no other's, so that a part of it is known, too; and what cannot be read then.
const MARKS: [(&str, &str, &str); 5] = [
    ("oha", "\"requestsPerSec\"", "summary and latencyPercentiles"),
    ("vegeta", "\"50th\"", "latencies and status_codes"),
    ("fortio", "\"DurationHistogram\"", "ActualQPS and DurationHistogram"),
    ("bombardier", "\"numberOfConnections\"", "spec and result"),
    ("k6", "\"http_req_duration\"", "metrics"),
];

/// JSON of tools that are known, by what is in it, and why none is imported.
const FORMS: [(&[&str], &str); 4] = [
    (
        &["/attack", "/seq"],
        "is vegeta's list of requests: import what `vegeta report -type=json` makes of it",
    ),
    (
        &["/type", "/metric"],
        "is k6's list of measurements (--out json): import its summary (--summary-export FILE)",
    ),
    (
        &["/results/metrics", "/config/execution"],
        "is k6's machine-readable summary, which says no rates: leave --new-machine-readable-summary out",
    ),
    (&["/measurements/request_per_second"], "is h2load's JSON: import the text that it prints"),
];

pub(super) fn read(text: &str) -> Result<Figures, ImportError> {
    // Of a list, which has a JSON on each line, the first line says what it is.
    let mut values = Deserializer::from_str(text).into_iter::<Value>();
    let Some(Ok(value)) = values.next() else { return Err(unreadable(text)) };
    let has = |path: &str| value.pointer(path).is_some();
    if value["schema"].as_str().is_some_and(|schema| schema.starts_with("loadgen.")) {
        return Err(ImportError::Form(
            "is a document of loadgen already: `loadgen compare` and `report` read it as it is",
        ));
    }
    if let Some((_, why)) = FORMS.iter().find(|(paths, _)| paths.iter().all(|path| has(path))) {
        return Err(ImportError::Form(why));
    }
    if !text[values.byte_offset()..].trim().is_empty() {
        return Err(ImportError::Unknown);
    }
    if has("/summary/requestsPerSec") {
        oha::read(value)
    } else if has("/latencies") && has("/status_codes") {
        vegeta::read_json(value)
    } else if has("/DurationHistogram") {
        fortio::read_json(value)
    } else if has("/spec/numberOfConnections") && has("/result") {
        bombardier::read_json(value)
    } else if has("/metrics") && (has("/root_group") || has("/metrics/http_reqs")) {
        k6::read_json(value)
    } else {
        Err(unreadable(text))
    }
}

/// Of what nothing can be read: a part of a tool's JSON, or nobody's.
fn unreadable(text: &str) -> ImportError {
    let known = MARKS.iter().find(|(_, mark, _)| text.contains(mark));
    bombardier::misspelt(text).unwrap_or_else(|| {
        known.map_or(ImportError::Unknown, |&(tool, _, label)| ImportError::Missing { tool, label })
    })
}

/// What the JSON of a tool of [`MARKS`] holds.
pub(super) fn parsed<T: DeserializeOwned>(value: Value, tool: &str) -> Result<T, ImportError> {
    serde_json::from_value(value).map_err(|_| {
        let known = MARKS.iter().find(|(name, ..)| *name == tool);
        known.map_or(ImportError::Unknown, |&(tool, _, label)| ImportError::Missing { tool, label })
    })
}
