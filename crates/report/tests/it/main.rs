//! Everything is tested from outside, on stored documents.

#![expect(clippy::unwrap_used, reason = "what cannot be unwrapped fails its test")]

mod after;
mod assertion;
mod compare;
mod formats;
mod gate;
mod hlog;
mod hygiene;
mod import;
mod import_documented;
mod judge;
mod merge;
mod reference;
mod runs;
mod sample;
mod sizes;
mod store;
mod summary;
mod usage;
mod verdict;
mod warnings;
