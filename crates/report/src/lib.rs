//! What a load test run *is*, and every way to show and compare it. Pure: no network, no async, no clock.
//!
//! [`document`] has the stored types and [`histogram`] the distributions in them.

pub mod document;
pub mod histogram;
