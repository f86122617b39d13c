//! The conformance suite of `events`: one function per rule, run by every backend against its own harness.

mod harness;

pub use harness::{Fault, Harness, Shown};
