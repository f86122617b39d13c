//! The event as one JSON object, byte for byte what the Python services of ADR-018 read and write.

use std::fmt;

use serde::Deserializer;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use time::OffsetDateTime;

use super::cloudevents::attributes::{Besides, append_besides};
use super::cloudevents::structured::take_extension;
use super::decoder::invalid_json;
use super::fields::{Encoded, cannot_carry};
use super::lenient::{Id, Text, Timestamp, Version};
use super::limits;
use super::text::{write_key, write_number, write_text};
use crate::attributes::Attributes;
use crate::event::implied_content_type;
use crate::payload::Payload;
use crate::timestamp;
use crate::{Event, Headers, PayloadKind, Result};

/// Room for the keys, the timestamp, the id and a version of usual length.
const FRAME_BYTES: usize = 192;

/// The member that holds what the decision record knows nothing of. Python passes over it.
const BESIDES: &str = "cloudevents";

/// Writes the body to a buffer of its own.
pub(super) fn encode(event: &Event) -> Result<Encoded<'_>> {
    if !event.payload.is_object() {
        return Err(cannot_carry("a payload that is no JSON object"));
    }
    let names = event.event_type.len() + event.source.len();
    let mut out = Vec::with_capacity(FRAME_BYTES + names + event.payload().len());
    append_body(&mut out, event);
    Encoded::with_headers(out, event.headers.iter())
}

/// Appends the event's JSON body to a buffer the caller keeps.
///
/// The fields come in the order Python writes them; `id`, which it does not know, comes last, and behind it, in a member
/// `cloudevents`, what else an event that came as a CloudEvent has.
/// A payload of bytes stands in `payload_base64`, and one that is absent does not stand at all: to be printed, since no
/// publisher sends such an event in this form.
pub fn append_body(out: &mut Vec<u8>, event: &Event) {
    out.extend_from_slice(b"{\"version\":");
    write_number(out, event.version);
    out.extend_from_slice(b",\"event_type\":");
    write_text(out, &event.event_type);
    out.extend_from_slice(b",\"source\":");
    write_text(out, &event.source);
    out.extend_from_slice(b",\"timestamp\":\"");
    timestamp::write(out, event.timestamp);
    out.push(b'"');
    let payload = match event.payload_kind() {
        PayloadKind::Json => Some("payload"),
        PayloadKind::Bytes => Some("payload_base64"),
        PayloadKind::Absent => None,
    };
    if let Some(key) = payload {
        write_key(out, key);
        out.extend_from_slice(event.payload().as_bytes());
    }
    if let Some(id) = &event.id {
        out.extend_from_slice(b",\"id\":");
        write_text(out, id);
    }
    if let Some(attributes) = &event.attributes {
        write_key(out, BESIDES);
        append_besides(out, attributes);
    }
    out.push(b'}');
}

/// Appends a timestamp as the body spells it: RFC 3339 in UTC, ending in `Z`.
pub fn append_timestamp(out: &mut Vec<u8>, timestamp: OffsetDateTime) {
    timestamp::write(out, timestamp);
}

/// Reads a body. What Python accepts is accepted: missing fields take their defaults, unknown ones are passed over,
/// and of a repeated one the last counts.
pub(super) fn decode(body: &[u8], headers: Headers, published_at: OffsetDateTime) -> Result<Event> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let event = deserializer
        .deserialize_map(EventVisitor { headers, published_at })
        .and_then(|event| deserializer.end().map(|()| event));
    event.map_err(|error| invalid_json("body", error))
}

struct EventVisitor {
    headers: Headers,
    published_at: OffsetDateTime,
}

impl<'de> Visitor<'de> for EventVisitor {
    type Value = Event;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> std::result::Result<Event, A::Error> {
        let mut version = 1;
        let (mut event_type, mut source, mut timestamp, mut payload, mut id) = (None, None, None, None, None);
        let mut attributes = Attributes::default();
        while let Some(Text(key)) = map.next_key()? {
            match &*key {
                "version" => version = map.next_value::<Version>()?.0,
                "event_type" => event_type = Some(map.next_value::<Text<'de>>()?.into()),
                "source" => source = Some(map.next_value::<Text<'de>>()?.into()),
                "timestamp" => timestamp = Some(map.next_value::<Timestamp>()?.0),
                "payload" => payload = Some(map.next_value::<Box<RawValue>>()?),
                "id" => id = map.next_value::<Id>()?.0,
                BESIDES => attributes = map.next_value::<Besides>()?.0,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let payload = payload.map_or_else(Payload::empty_object, Payload::json);
        if !payload.is_object() {
            return Err(A::Error::custom("`payload` is not a JSON object"));
        }
        if let Some(rule) = limits::broken_depth_rule(payload.json.get().as_bytes()) {
            return Err(A::Error::custom(format_args!("`payload` {rule}")));
        }
        // What is said of the event by its own members counts before what came with it.
        let mut said = 1;
        for (name, value) in std::mem::take(&mut attributes.extensions) {
            take_extension(&mut said, &mut self.headers, &mut attributes, &name, value);
        }
        if attributes.data_content_type.as_deref() == implied_content_type(payload.kind) {
            attributes.data_content_type = None;
        }
        Ok(Event {
            version,
            event_type: event_type.ok_or_else(|| A::Error::missing_field("event_type"))?,
            source: source.ok_or_else(|| A::Error::missing_field("source"))?,
            timestamp: timestamp.unwrap_or(self.published_at),
            payload,
            id,
            headers: self.headers,
            attributes: attributes.boxed(),
        })
    }
}
