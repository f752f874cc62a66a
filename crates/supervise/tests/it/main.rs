//! Real processes, real sockets, no fixed ports. Waiting is waiting for an event, with an upper bound.

#[cfg(test)] // Said once more for clippy, which allows `unwrap` only where it sees this.
mod helper;
mod life;
mod listening;
mod starting;
