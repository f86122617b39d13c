//! Managers and workers on every backend, from outside.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails by panicking")]

mod brokers;
mod outage;
mod sqs;
mod support;

mod manager;
mod spool;

mod batches;
mod handling;
mod killing;
mod order;
mod stopping;
mod taking;
mod tracing_context;
#[cfg(feature = "schema")]
mod typed;
