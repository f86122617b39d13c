//! What events-core promises, seen from outside.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails by panicking")]

mod adr018;
mod bounds;
mod cloudevents;
mod encodings;
mod faststream;
mod round_trip;
mod settling;
mod trace_context;
