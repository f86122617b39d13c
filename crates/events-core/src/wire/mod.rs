//! The wire form: how an event becomes named byte fields, and back.
//!
//! Every broker stores a message as a list of named fields.
//! The field [`BODY_FIELD`] holds the event's JSON; every other field is a header.
//! On Redis they are the fields of a stream entry; where a broker has a body and attributes, the body is [`BODY_FIELD`].

mod fields;
mod json;
mod lenient;

pub use fields::{Encoded, RawMessage, decode, encode};
pub use json::{append_body, append_timestamp};

/// The field that holds the event's JSON.
pub const BODY_FIELD: &str = "event";
