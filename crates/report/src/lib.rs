//! What a load test run *is*, and every way to show and compare it. Pure: no network, no async, no clock.
//!
//! [`document`] has the stored types, [`histogram`] the distributions in them and [`store`] their files; [`hlog`] writes
//! distributions for other tools.
//! [`summary`] derives the numbers, [`warning`] says what to distrust, [`verdict`] whether the generator was in the way,
//! [`mod@format`] shows one run and [`compare`] sets many side by side; [`stats`] tells it what may be chance.

pub mod assertion;
pub mod compare;
pub mod condition;
pub mod cpus;
pub mod defaults;
pub mod document;
pub mod format;
pub mod histogram;
pub mod hlog;
pub mod import;
mod json;
pub mod merge;
pub mod os;
pub mod runs;
pub mod share;
pub mod stats;
pub mod store;
pub mod summary;
pub mod table;
pub mod units;
pub mod verdict;
pub mod warning;
