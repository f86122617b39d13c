//! The wire form: how an event becomes named byte fields, and back.
//!
//! Every broker stores a message as a list of named fields.
//! On Redis they are the fields of a stream entry; where a broker has a body and attributes, the body is the field
//! [`BODY_FIELD`].
//! An [`Encoding`] says how an event is spelled in them; [`decode`] tells by itself which of them it has before it.

mod adr018;
pub(crate) mod cloudevents;
mod decoder;
mod dialect;
mod encoding;
mod faststream;
mod fields;
mod lenient;
pub(crate) mod limits;
pub(crate) mod text;

pub use adr018::{append_body, append_timestamp};
pub use decoder::{decode, decode_expecting, detect};
pub use encoding::Encoding;
pub use fields::{Encoded, RawMessage};
pub use limits::{MAX_DEPTH, MAX_FIELDS, MAX_MESSAGE_BYTES};

/// The field that holds the event's JSON, or, in the binary mode of CloudEvents, its data.
pub const BODY_FIELD: &str = "event";

/// The field that holds what FastStream sends.
pub const FASTSTREAM_FIELD: &str = "__data__";
