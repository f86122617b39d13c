//! Drives the built binaries as a user would: from outside, by arguments, pipes and signals.

mod binary;
mod running;
mod terminal;

pub use binary::{command, events, sink};
pub use running::{Finished, Running};
pub use terminal::{CTRL_C, Terminal};

/// The code in the workspace's README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

/// So does that of the pages in `docs/`.
#[cfg(doctest)]
#[doc = include_str!("../docs/migrating-from-python.md")]
mod migrating_from_python {}

#[cfg(doctest)]
#[doc = include_str!("../docs/adding-a-backend.md")]
mod adding_a_backend {}
