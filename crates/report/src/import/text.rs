//! Which tool printed a text?

use super::{ImportError, ab, hey, wrk};
use crate::document::Figures;

pub(super) fn read(text: &str) -> Result<Figures, ImportError> {
    let has = |part: &str| text.contains(part);
    if has("Concurrency Level:") && has("Requests per second:") || has("This is ApacheBench") {
        return ab::read(text);
    }
    if has("Running ") && has(" test @ ") {
        return wrk::read(text);
    }
    if has("Success rate:") && has("Response time distribution:") {
        return Err(ImportError::Form(
            "is oha's text, whose units change from run to run: import its JSON (--output-format json)",
        ));
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
