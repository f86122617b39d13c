//! What events-schema promises, seen from outside.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails by panicking")]

mod asyncapi;
mod typed;
