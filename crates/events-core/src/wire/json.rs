//! The event as one JSON object, byte for byte what the Python services of ADR-018 read and write.

use std::fmt;

use serde::Deserializer;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use time::OffsetDateTime;

use super::lenient::{Id, Text, Timestamp, Version};
use crate::builder::empty_object;
use crate::timestamp;
use crate::{Error, ErrorKind, Event, Headers, Result};

/// Room for the keys, the timestamp, the id and a version of usual length.
const FRAME_BYTES: usize = 192;

/// Writes the body to a buffer of its own.
pub(super) fn encode(event: &Event) -> Vec<u8> {
    let names = event.event_type.len() + event.source.len();
    let mut out = Vec::with_capacity(FRAME_BYTES + names + event.payload.get().len());
    append_body(&mut out, event);
    out
}

/// Appends the event's JSON body to a buffer the caller keeps.
///
/// The fields come in the order Python writes them; `id`, which it does not know, comes last.
pub fn append_body(out: &mut Vec<u8>, event: &Event) {
    out.extend_from_slice(b"{\"version\":");
    write_number(out, event.version);
    out.extend_from_slice(b",\"event_type\":");
    write_text(out, &event.event_type);
    out.extend_from_slice(b",\"source\":");
    write_text(out, &event.source);
    out.extend_from_slice(b",\"timestamp\":\"");
    timestamp::write(out, event.timestamp);
    out.extend_from_slice(b"\",\"payload\":");
    out.extend_from_slice(event.payload.get().as_bytes());
    if let Some(id) = &event.id {
        out.extend_from_slice(b",\"id\":");
        write_text(out, id);
    }
    out.push(b'}');
}

/// Appends a timestamp as the body spells it: RFC 3339 in UTC, ending in `Z`.
pub fn append_timestamp(out: &mut Vec<u8>, timestamp: OffsetDateTime) {
    timestamp::write(out, timestamp);
}

/// Nearly every version has one digit.
fn write_number(out: &mut Vec<u8>, number: u64) {
    match u8::try_from(number) {
        Ok(digit @ 0..=9) => out.push(b'0' + digit),
        _ => write_json(out, &number),
    }
}

/// Nearly every name and id needs no escape, and then it is copied in one go.
fn write_text(out: &mut Vec<u8>, text: &str) {
    // Looking at every byte, come what may, lets the compiler look at many at a time.
    let needs_escape = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    if text.bytes().fold(false, |found, byte| found | needs_escape(byte)) {
        return write_json(out, text);
    }
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

fn write_json<T: serde::Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    let written = serde_json::to_writer(&mut *out, value);
    debug_assert!(written.is_ok(), "writing text or a number to memory cannot fail");
}

/// Reads a body. What Python accepts is accepted: missing fields take their defaults, unknown ones are passed over,
/// and of a repeated one the last counts.
pub(super) fn decode(body: &[u8], published_at: OffsetDateTime) -> Result<Event> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let event = deserializer
        .deserialize_map(EventVisitor { published_at })
        .and_then(|event| deserializer.end().map(|()| event));
    event.map_err(|error| {
        Error::new(
            ErrorKind::InvalidEvent,
            "decode event",
            format!("the body is no event, at line {} column {}", error.line(), error.column()),
        )
        .with_source(error)
    })
}

struct EventVisitor {
    published_at: OffsetDateTime,
}

impl<'de> Visitor<'de> for EventVisitor {
    type Value = Event;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Event, A::Error> {
        let mut version = 1;
        let (mut event_type, mut source, mut timestamp, mut payload, mut id) = (None, None, None, None, None);
        while let Some(Text(key)) = map.next_key()? {
            match &*key {
                "version" => version = map.next_value::<Version>()?.0,
                "event_type" => event_type = Some(map.next_value::<Text<'de>>()?.into()),
                "source" => source = Some(map.next_value::<Text<'de>>()?.into()),
                "timestamp" => timestamp = Some(map.next_value::<Timestamp>()?.0),
                "payload" => payload = Some(map.next_value::<Box<RawValue>>()?),
                "id" => id = map.next_value::<Id>()?.0,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let payload = payload.unwrap_or_else(empty_object);
        if !payload.get().starts_with('{') {
            return Err(A::Error::custom("`payload` is not a JSON object"));
        }
        Ok(Event {
            version,
            event_type: event_type.ok_or_else(|| A::Error::missing_field("event_type"))?,
            source: source.ok_or_else(|| A::Error::missing_field("source"))?,
            timestamp: timestamp.unwrap_or(self.published_at),
            payload,
            id,
            headers: Headers::new(),
        })
    }
}
