//! Tests against real Redis servers.

mod conformance;
mod harness;
mod raw;
