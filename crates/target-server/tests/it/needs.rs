//! What a test needs and a machine may lack. A test that is left out is seen, and where `CI` is `true`, none is for want of a program.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

/// Whether a program is there that is no part of this repository, and belongs to this package of a Debian system.
pub(crate) fn has(program: &str, package: &str) -> bool {
    let is_there = folders().iter().any(|folder| folder.join(program).is_file());
    if !is_there {
        let why = format!("{program} is missing (apt install {package})");
        assert!(!is_ci(), "{why}: with CI=true, no test is left out for want of a program");
        leave_out(&why);
    }
    is_there
}

/// Says that the test is left out.
pub(crate) fn leave_out(why: &str) {
    let thread = std::thread::current();
    // Not by a macro: what those print is shown of failed tests alone.
    let _ = writeln!(std::io::stderr(), "LEFT OUT {}: {why}", thread.name().unwrap_or("a test"));
}

#[expect(clippy::disallowed_methods, reason = "whether everything has to be tested is said there")]
fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true")
}

/// Where a shell looks, and where servers are on a system that keeps them from the PATH of ordinary users.
#[expect(clippy::disallowed_methods, reason = "where programs are is said there")]
fn folders() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from)).collect()
}

#[test]
#[ignore = "by itself it tests nothing: the next one runs it"]
fn one_that_needs_what_nobody_has() {
    assert!(!has("no-such-program", "no-such-package"));
}

#[test]
fn what_is_left_out_is_seen_and_fails_in_ci() {
    let alone = ["--ignored", "--exact", "needs::one_that_needs_what_nobody_has"];
    let output =
        |ci| Command::new(std::env::current_exe().unwrap()).args(alone).env("CI", ci).output().unwrap();
    let at_home = output("");
    let said = String::from_utf8(at_home.stderr).unwrap();
    let expected = "LEFT OUT needs::one_that_needs_what_nobody_has: no-such-program is missing (apt install no-such-package)\n";
    assert!(at_home.status.success() && said == expected, "{said}");
    let in_ci = output("true");
    assert!(!in_ci.status.success());
    assert!(String::from_utf8(in_ci.stdout).unwrap().contains("with CI=true, no test is left out"));
}
