//! Drives the built binaries as a user would: from outside, by arguments, pipes and signals.

mod binary;
mod running;

pub use binary::{command, events, sink};
pub use running::{Finished, Running};

/// The code in the workspace's README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
