//! Did the target keep what it acknowledged? Rows of its database against the account.

use std::path::Path;
use std::process::{Command, Stdio};

use report::document::{Account, Verification};
use serde::Deserialize;

use crate::launch::Program;

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
    let output = Command::new(&program.path)
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

/// Holds what the database holds against what the generator counted. `warmup`: what it sent before, and what of that was
/// answered well; the database does not tell them apart.
pub fn verification(contents: Contents, account: &Account, warmup: (u64, u64)) -> Verification {
    Verification {
        rows: contents.rows,
        acknowledged: account.ok + warmup.1,
        sent: account.sent + warmup.0,
        integrity: contents.integrity,
    }
}
