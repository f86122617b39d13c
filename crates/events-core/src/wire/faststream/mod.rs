//! What FastStream sends over Redis Streams: a CloudEvent, in a frame or an envelope that also holds headers.

mod envelope;
mod frame;

use time::OffsetDateTime;

use super::adr018;
use super::cloudevents::structured;
use super::dialect::Dialect;
use super::fields::{Encoded, cannot_carry};
use crate::{Event, Headers, Result};

pub(super) use envelope::encode as encode_envelope;
pub(super) use frame::encode as encode_frame;

/// The header that says what the data is. It belongs to the form of the message and is no header of the event.
const CONTENT_TYPE: &str = "content-type";

/// What the data always is.
const JSON: &str = "application/json";

/// Whether a message is in the frame, and not the envelope.
pub(super) fn is_framed(message: &[u8]) -> bool {
    message.starts_with(frame::IDENTITY)
}

/// Reads either form, and what neither wraps, as FastStream does.
pub(super) fn decode(message: &[u8], mut headers: Headers, published_at: OffsetDateTime) -> Result<Event> {
    if let Some(framed) = message.strip_prefix(frame::IDENTITY) {
        let (inner, data) = frame::decode(framed, message)?;
        headers.extend(inner);
        return decode_data(data, headers, published_at);
    }
    // A CloudEvent may have a member `data` too, and is one first.
    if Dialect::of(message) == Dialect::Neither {
        let (inner, data) = envelope::decode(message)?;
        headers.extend(inner);
        return decode_data(data.as_bytes(), headers, published_at);
    }
    decode_data(message, headers, published_at)
}

/// The event of the decision record is read here too: a service that moved to FastStream before it moved to CloudEvents.
fn decode_data(data: &[u8], mut headers: Headers, published_at: OffsetDateTime) -> Result<Event> {
    headers.remove(CONTENT_TYPE);
    match Dialect::of(data) {
        Dialect::Adr018 => adr018::decode(data, headers, published_at),
        _ => structured::decode(data, headers, published_at),
    }
}

/// The event's JSON, and the headers around it.
fn parts(event: &Event) -> Result<(Vec<u8>, impl Iterator<Item = (&str, &str)>)> {
    if event.headers.get(CONTENT_TYPE).is_some() {
        return Err(cannot_carry(format_args!("a header named `{CONTENT_TYPE}`")));
    }
    let data = structured::body(event, false)?;
    Ok((data, std::iter::once((CONTENT_TYPE, JSON)).chain(event.headers.iter())))
}
