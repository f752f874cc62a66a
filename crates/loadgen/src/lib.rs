//! How a load test run is *made*. See `crates/README.md` for the rooms and what each may use.

pub mod clock;
pub mod collector;
pub mod engine;
pub mod fleet;
pub mod machine;
pub mod recorder;
pub mod schedule;
pub mod source;
pub mod worker;
