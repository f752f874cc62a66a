//! The server under test: it keeps one row of SQLite per request and echoes the request's body.
//!
//! It stands for a small WSGI application behind a thread pool: requests are read whole, queue up without a bound, and a
//! fixed number of threads, each with its own connection, runs one transaction per request before the answer is sent. It
//! scales by running several instances that share one port and one database file.
//!
//! | room | question |
//! |---|---|
//! | [`cli`] | what does the shell see? |
//! | [`config`] | what may be typed, and what is meant by it? |
//! | [`listener`] | where do connections come from? |
//! | [`accept`] | how are they taken, bounded and drained? |
//! | [`app`] | what is answered? |
//! | [`store`] | how is a row kept? |
//! | [`faults`] | how does it misbehave on purpose? |
//! | [`admin`] | who may look inside? |
//! | [`log`] | what does it say while it runs? |
//! | `printer` | how is printed without waiting for who reads? |
//! | [`phase`] | where in its life is it? |
//! | [`watch`] | what happens beside the requests? |
//! | [`stats`] | what did this instance do? |
//! | [`lifecycle`] | how does it live and die? |
//! | `words` | how are things counted in words? |

pub mod accept;
pub mod admin;
pub mod app;
pub mod cli;
mod clock;
pub mod config;
pub mod faults;
pub mod lifecycle;
pub mod listener;
pub mod log;
pub mod phase;
mod printer;
pub mod stats;
pub mod store;
pub mod watch;
mod words;

pub use cli::Program;
pub use config::ServeArgs;
pub use stats::Counts;
pub use store::inspect::Inspection;
