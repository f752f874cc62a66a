//! What `loadgen selftest` says on a machine where everything is well.

use crate::lab;
use crate::undisturbed::undisturbed;

#[test]
fn everything_passes_and_is_said() {
    undisturbed(|| {
        let output = lab::program().arg("selftest").output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert_eq!(said.lines().filter(|line| line.starts_with("pass  ")).count(), 7, "{said}");
        for part in
            ["cost of a request", "one worker", "lateness at 1,000/s", "pauses", "all 7 checks passed"]
        {
            assert!(said.contains(part), "{part}: {said}");
        }
    });
}
