//! Drives the built binaries as a user would: from outside, by arguments, pipes and signals.

mod binary;
mod running;

pub use binary::{command, events, sink};
pub use running::{Finished, Running};
