//! How a load test run is *made*. See `crates/README.md` for the rooms and what each may use.

pub mod address;
pub mod arrival;
pub mod cli;
pub mod clock;
pub mod collector;
pub mod engine;
pub mod fleet;
mod hash;
pub mod health;
pub mod interval_log;
pub mod launch;
pub mod machine;
pub mod options;
pub mod plan;
pub mod preflight;
pub mod progress;
pub mod quantity;
pub mod rawlog;
pub mod recorder;
pub mod rows;
pub mod run;
pub mod scenario;
pub mod schedule;
pub mod source;
pub mod truth;
pub mod verify;
pub mod worker;
