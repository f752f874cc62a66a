//! Is the time right? Real time, real sockets, the program as a process, a server that knows the answer.
//!
//! These tests are a program of their own, and run one after the other: whatever else used the machine meanwhile would
//! be in their figures. Bounds are wide, for machines that are shared, and what fails while the machine was disturbed is tried
//! again: they break when a figure means something else than it says.
//!
//! The closed form of a stall (see `worker_tests.rs`, which has it in virtual time): with constant arrivals over T and a
//! stall of S inside, `R_q = S - (1 - q) T`, the mean is `S^2 / 2T`, the slowest S.

// `cfg(test)` is said once more for clippy, which allows `unwrap` only where it sees this.
#[cfg(test)]
mod capacity;
#[cfg(test)]
#[expect(dead_code, reason = "the tests that are not timed need more of it")]
#[path = "../it/helper.rs"]
mod helper;
#[cfg(test)]
mod honesty;
#[cfg(test)]
mod known;
#[cfg(test)]
mod lab;
#[cfg(test)]
#[path = "../../../target-server/tests/it/needs.rs"]
mod needs;
#[cfg(test)]
mod selftest;
#[cfg(test)]
mod stall;
#[cfg(test)]
mod starvation;
#[cfg(test)]
mod undisturbed;
#[cfg(test)]
mod versus;
