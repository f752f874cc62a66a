//! Did the target keep what it acknowledged? Rows of its database against the account.

use std::path::Path;
use std::process::{Command, Stdio};

use report::document::{Account, Instance, Verification};
use serde::Deserialize;

use crate::launch::{Program, Running};

/// What a database of the target holds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Contents {
    /// Rows.
    pub rows: u64,
    /// What SQLite's `integrity_check` says.
    pub integrity: String,
}

/// Why the database could not be looked into.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the target's database could not be checked: {0}")]
pub struct VerifyError(String);

/// Looks into a database by the server program itself (`serve --inspect`), so that this crate needs no SQLite.
///
/// # Errors
/// When the program does not say what the database holds.
pub fn look_into(program: &Program, database: &Path) -> Result<Contents, VerifyError> {
    let mut command = Command::new(&program.path);
    program.variables.iter().for_each(|name| {
        command.env_remove(name);
    });
    let output = command
        .args(&program.leading)
        .arg("--inspect")
        .arg("--database")
        .arg(database)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| VerifyError(error.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(VerifyError(format!("{} ({})", said.trim(), output.status)));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| VerifyError(error.to_string()))
}

/// How many rows there are before the load: of probes that asked whether the target is ready, or of earlier days.
///
/// # Errors
/// When the program does not say what the database holds.
pub fn rows_before(program: &Program, target: &Running) -> Result<u64, VerifyError> {
    match target.database().filter(|database| target.may_hold_rows() && database.exists()) {
        Some(database) => look_into(program, database).map(|contents| contents.rows),
        None => Ok(0),
    }
}

impl Contents {
    /// What came to it since it held so many rows.
    #[must_use]
    pub fn since(self, rows: u64) -> Self {
        Self { rows: self.rows.saturating_sub(rows), ..self }
    }
}

/// Holds what the database holds against what the generator counted. `warmup`: what it sent before, and what of that was
/// answered well; the database does not tell them apart. `unanswered`: probes that may have been carried out since.
pub fn verification(
    contents: Contents,
    account: &Account,
    warmup: (u64, u64),
    unanswered: u64,
) -> Verification {
    Verification {
        rows: contents.rows,
        acknowledged: account.ok + warmup.1,
        sent: account.sent + warmup.0 + unanswered,
        committed: None,
        integrity: contents.integrity,
    }
}

/// What is held against the account where the database cannot be looked into: no row of what was acknowledged. `None`: nothing was.
pub fn lost(error: &VerifyError, account: &Account, warmup: (u64, u64)) -> Option<Verification> {
    let contents = Contents { rows: 0, integrity: error.to_string() };
    Some(verification(contents, account, warmup, 0)).filter(|found| found.acknowledged > 0)
}

/// Rows that all instances together say they committed. `None` where one of them does not say.
pub fn committed(instances: &[Instance]) -> Option<u64> {
    instances.iter().map(|instance| instance.rows).sum::<Option<u64>>().filter(|_| !instances.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_instances_committed_is_known_when_all_say_it() {
        let instance = |rows| Instance { rows, ..Instance::default() };
        assert_eq!(committed(&[instance(Some(3)), instance(Some(4))]), Some(7));
        assert_eq!((committed(&[instance(Some(3)), instance(None)]), committed(&[])), (None, None));
    }

    #[test]
    fn rows_lie_between_what_was_acknowledged_and_what_was_sent() {
        let account = Account { sent: 100, ok: 90, ..Account::default() };
        let holds = |rows: u64, before: u64| {
            let contents = Contents { rows, integrity: "ok".to_owned() }.since(before);
            // Of ten requests of the warm-up eight were answered well; two probes were not answered at all.
            verification(contents, &account, (10, 8), 2).holds()
        };
        assert_eq!([97, 98, 112, 113].map(|rows| holds(rows, 0)), [false, true, true, false]);
        assert_eq!([102, 103, 117, 118].map(|rows| holds(rows, 5)), [false, true, true, false]);
        let all = Account { sent: 100, ok: 100, ..Account::default() };
        let exact =
            |rows| verification(Contents { rows, integrity: "ok".to_owned() }, &all, (10, 10), 0).holds();
        assert_eq!([109, 110, 111].map(exact), [false, true, false], "nothing failed: no room at all");
    }
}
