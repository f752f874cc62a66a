//! Which tool printed a text?

use super::{ImportError, ab, bombardier, h2load, hey, vegeta, wrk};
use crate::document::Figures;

/// Texts of tools that are known, by words which are in them, and why none is imported.
const FORMS: [(&[&str], &str); 4] = [
    (
        &["Success rate:", "Response time distribution:"],
        "is oha's text, whose units change from run to run: import its JSON (--output-format json)",
    ),
    (
        &["http_req_duration", "avg="],
        "is k6's text, whose units and rows are as its script has them: import its JSON (--summary-export FILE)",
    ),
    (&["All done ", " calls (plus "], "is fortio's text: import its JSON (fortio load -json FILE)"),
    (
        &["Bucket ", "Histogram"],
        "is vegeta's histogram: import what `vegeta report` prints, or with -type=json",
    ),
];

pub(super) fn read(text: &str) -> Result<Figures, ImportError> {
    let has = |part: &str| text.contains(part);
    if has("Concurrency Level:") && has("Requests per second:") || has("This is ApacheBench") {
        return ab::read(text);
    }
    if has("Running ") && has(" test @ ") {
        return wrk::read(text);
    }
    if has("finished in ") && has(" req/s, ") {
        return h2load::read(text);
    }
    if has("Status Codes") && has("[code:count]") {
        return vegeta::read(text);
    }
    if has("Statistics ") && has("HTTP codes:") {
        return bombardier::read(text);
    }
    if let Some((_, why)) = FORMS.iter().find(|(words, _)| words.iter().all(|word| has(word))) {
        return Err(ImportError::Form(why));
    }
    if text.starts_with("response-time,DNS+dialup,") {
        return Err(ImportError::Form(
            "is hey's CSV, which holds requests: import the report that it prints without -o",
        ));
    }
    if has("Summary:")
        && (has("Latency distribution:") || has("Status code distribution:") || has("Requests/sec:"))
    {
        return hey::read(text);
    }
    Err(ImportError::Unknown)
}
