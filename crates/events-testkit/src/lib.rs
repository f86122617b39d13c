//! The conformance suite of `events`: one function per rule, run by every backend against its own harness.

#![doc = include_str!("../README.md")]

mod balance;
mod harness;
mod ledger;
mod scene;
mod suite;
mod told;

pub mod basics;
pub mod replay;
pub mod settling;

pub mod failure;
pub mod recovery;
pub mod restart;

pub mod flow;

pub mod leaks;
pub mod stopping;

pub mod bounds;
pub mod soak;
pub mod trimming;

pub use balance::Balance;
pub use harness::{Fault, Harness, Shown};
pub use ledger::Ledger;
pub use suite::run;
