//! Real sockets, real processes, a real database; no fixed ports, no lucky sleeps.

// `cfg(test)` is said once more for clippy, which allows `unwrap` only where it sees this.
#[cfg(test)]
mod account;
#[cfg(test)]
mod admin;
#[cfg(test)]
mod configuration;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod helper;
#[cfg(test)]
mod instances;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod listening;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod manager;
#[cfg(test)]
mod needs;
#[cfg(test)]
mod prometheus;
#[cfg(test)]
mod refusals;
mod rolling;
#[cfg(test)]
mod shutdown;
#[cfg(test)]
mod starting;
#[cfg(test)]
mod store;
#[cfg(test)]
mod timeouts;
#[cfg(test)]
mod troubles;
#[cfg(test)]
mod unread;
#[cfg(test)]
mod wire;
