//! The program as a shell sees it: real processes, real sockets, no fixed ports, no lucky sleeps, no internet.

// `cfg(test)` is said once more for clippy, which allows `unwrap` only where it sees this.
#[cfg(test)]
mod capacity;
#[cfg(test)]
mod ci;
#[cfg(test)]
mod command;
#[cfg(test)]
mod front;
#[cfg(test)]
mod gate;
#[cfg(test)]
mod help;
#[cfg(test)]
mod helper;
#[cfg(test)]
mod hey;
#[cfg(test)]
mod history;
#[cfg(test)]
mod hostile;
#[cfg(test)]
#[expect(dead_code, reason = "the tests of the engines need more of it")]
#[path = "../../src/engine/suite/identity.rs"]
mod identity;
#[cfg(test)]
mod import;
#[cfg(test)]
mod merge;
#[cfg(test)]
#[path = "../../../target-server/tests/it/needs.rs"]
mod needs;
#[cfg(test)]
mod network;
#[cfg(test)]
mod outputs;
#[cfg(test)]
mod readme;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod robust;
#[cfg(test)]
mod scenario_files;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod sent;
#[cfg(test)]
mod series;
#[cfg(test)]
mod signals;
#[cfg(test)]
mod truth;
#[cfg(test)]
mod usage;
#[cfg(test)]
mod versus;
