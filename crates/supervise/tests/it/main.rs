//! Real processes, real sockets, no fixed ports. Waiting is waiting for an event, with an upper bound.

// Said once more for clippy, which allows `unwrap` outside test functions only where it sees this.
#[cfg(test)]
mod helper;
mod life;
mod lines;
mod listening;
mod restart;
mod roll;
#[cfg(test)]
mod server;
#[cfg(test)]
mod sockets;
mod starting;
