//! What does an answer ask for next? The one rule for redirects, of a run and of one exchange alike.

use report::document::FailureKind;

use crate::engine::{Answer, Failure};
use crate::source::Request;

/// The request that follows, where the answer is a redirect and redirects are followed. `followed`: how many were already
/// for this request; `most`: how many may be, 0 takes them as answers.
///
/// # Errors
/// When that would be one too many, or when it leads nowhere.
pub fn next(
    request: &Request,
    answer: &mut Answer,
    followed: u64,
    most: u64,
) -> Result<Option<Request>, Failure> {
    let failure = |message| Failure::new(FailureKind::Redirect, message);
    let location = match answer.location.take() {
        Some(location) if most > 0 => location,
        _ => return Ok(None),
    };
    if followed == most {
        return Err(failure(format!("stopped after {most} redirects")));
    }
    request.redirected(answer.status, &location).map(Some).map_err(|error| failure(error.to_string()))
}
