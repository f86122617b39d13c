//! Structured mode: the whole event as one JSON object.

use std::fmt;

use serde::Deserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::attributes::{Member, append_known, append_value};
use super::{SCHEMA_VERSION, SPEC_VERSION, TRACE_CONTEXT, is_known_version, rules, schema_version};
use crate::attributes::Attributes;
use crate::event::implied_content_type;
use crate::payload::Payload;
use crate::wire::decoder::invalid_json;
use crate::wire::fields::Encoded;
use crate::wire::lenient::Text;
use crate::wire::limits::{self, MAX_FIELDS};
use crate::wire::text::{write_json, write_key, write_text};
use crate::{AttributeValue, Event, Headers, PayloadKind, Result, timestamp};

/// Room for the names of all members and the values of fixed length.
const FRAME_BYTES: usize = 256;

pub(in crate::wire) fn encode(event: &Event) -> Result<Encoded<'_>> {
    let body = body(event, true)?;
    Encoded::with_headers(body, event.headers.iter().filter(|(name, _)| !is_extension(event, name)))
}

/// The event as JSON; with trace context where nothing else carries it.
pub(in crate::wire) fn body(event: &Event, with_trace_context: bool) -> Result<Vec<u8>> {
    rules::check(event)?;
    let names = event.event_type.len() + event.source.len() + event.id().map_or(0, str::len);
    let mut out = Vec::with_capacity(FRAME_BYTES + names + event.payload().len());
    out.extend_from_slice(b"{\"specversion\":\"1.0\",\"id\":");
    write_text(&mut out, event.id().unwrap_or_default());
    out.extend_from_slice(b",\"source\":");
    write_text(&mut out, event.source());
    out.extend_from_slice(b",\"type\":");
    write_text(&mut out, event.event_type());
    out.extend_from_slice(b",\"time\":\"");
    timestamp::write(&mut out, event.timestamp);
    out.push(b'"');
    let attributes = event.attributes.as_deref();
    if attributes.is_none_or(|attributes| attributes.data_content_type.is_none())
        && let Some(implied) = implied_content_type(event.payload_kind())
    {
        write_key(&mut out, "datacontenttype");
        write_text(&mut out, implied);
    }
    if let Some(attributes) = attributes {
        append_known(&mut out, attributes);
        for (name, value) in &attributes.extensions {
            write_key(&mut out, name);
            append_value(&mut out, value);
        }
    }
    if event.version != 1 {
        write_key(&mut out, SCHEMA_VERSION);
        match i32::try_from(event.version) {
            Ok(number) => write_json(&mut out, &number),
            // The type system ends at 32 bits.
            Err(_) => write_json(&mut out, &event.version.to_string()),
        }
    }
    if with_trace_context && !event.headers.is_empty() {
        for name in TRACE_CONTEXT.into_iter().filter(|name| is_extension(event, name)) {
            write_key(&mut out, name);
            write_json(&mut out, event.headers.get(name).unwrap_or_default());
        }
    }
    let data = match event.payload_kind() {
        PayloadKind::Json => Some("data"),
        PayloadKind::Bytes => Some("data_base64"),
        PayloadKind::Absent => None,
    };
    if let Some(name) = data {
        write_key(&mut out, name);
        out.extend_from_slice(event.payload().as_bytes());
    }
    out.push(b'}');
    Ok(out)
}

/// Whether a header travels as the extension of its name: trace context does, unless its value may not be an attribute or
/// the event came with an extension of that name beside the header.
pub(super) fn is_extension(event: &Event, header: &str) -> bool {
    TRACE_CONTEXT.contains(&header)
        && event.headers.get(header).is_some_and(rules::is_text)
        && event.extension(header).is_none()
}

pub(in crate::wire) fn decode(body: &[u8], headers: Headers, published_at: OffsetDateTime) -> Result<Event> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let event = deserializer
        .deserialize_map(EventVisitor { headers, published_at })
        .and_then(|event| deserializer.end().map(|()| event));
    event.map_err(|error| invalid_json("body", error))
}

/// Takes an extension to where the model has it.
pub(in crate::wire) fn take_extension(
    event_version: &mut u64,
    headers: &mut Headers,
    attributes: &mut Attributes,
    name: &str,
    value: AttributeValue,
) {
    if name == SCHEMA_VERSION
        && let Some(version) = schema_version(&value)
    {
        *event_version = version;
    } else if TRACE_CONTEXT.contains(&name)
        && headers.get(name).is_none()
        && let AttributeValue::Text(text) = value
    {
        headers.insert(name, text);
    } else {
        attributes.extensions.insert(name.into(), value);
    }
}

struct EventVisitor {
    headers: Headers,
    published_at: OffsetDateTime,
}

impl<'de> Visitor<'de> for EventVisitor {
    type Value = Event;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a CloudEvent")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> std::result::Result<Event, A::Error> {
        let (mut id, mut source, mut event_type, mut spec_version) = (None, None, None, None);
        let (mut timestamp, mut data, mut base64) = (None, None, None);
        let mut version = 1;
        let mut attributes = Attributes::default();
        let mut extensions = Vec::new();
        while let Some(Text(key)) = map.next_key()? {
            match &*key {
                "specversion" => spec_version = attribute(&mut map)?,
                "id" => id = attribute(&mut map)?,
                "source" => source = attribute(&mut map)?,
                "type" => event_type = attribute(&mut map)?,
                "time" => timestamp = attribute(&mut map)?,
                "subject" => attributes.subject = attribute(&mut map)?.map(Into::into),
                "dataschema" => attributes.data_schema = attribute(&mut map)?.map(Into::into),
                "datacontenttype" => attributes.data_content_type = attribute(&mut map)?.map(Into::into),
                "data" => data = map.next_value::<Option<Box<RawValue>>>()?,
                "data_base64" => base64 = map.next_value::<Option<Text<'de>>>()?,
                name => match map.next_value()? {
                    Member::Value(value) => {
                        if extensions.len() == MAX_FIELDS {
                            return Err(A::Error::custom(format_args!("more than {MAX_FIELDS} extensions")));
                        }
                        extensions.push((Box::from(name), value));
                    }
                    Member::Null => {}
                    Member::Wrong(what) => {
                        let name = name.escape_debug();
                        return Err(A::Error::custom(format_args!("the attribute `{name}` is {what}")));
                    }
                },
            }
        }
        let required = |text: Option<Text<'de>>, name| text.ok_or_else(|| A::Error::missing_field(name));
        let spec_version = required(spec_version, "specversion")?;
        if !is_known_version(&spec_version.0) {
            let version = spec_version.0.escape_debug();
            return Err(A::Error::custom(format_args!("`specversion` is {version}, not {SPEC_VERSION}")));
        }
        let timestamp = match timestamp {
            None => self.published_at,
            Some(Text(text)) => rfc_3339(&text)
                .ok_or_else(|| A::Error::custom(format_args!("`time` is {text:?}, which is not RFC 3339")))?,
        };
        let payload = match (data, base64) {
            (None, None) => Payload::absent(),
            (Some(json), None) => Payload::json(json),
            (None, Some(Text(text))) => {
                Payload::base64(&text).ok_or_else(|| A::Error::custom("`data_base64` is not Base64"))?
            }
            (Some(_), Some(_)) => return Err(A::Error::custom("there are both `data` and `data_base64`")),
        };
        if let Some(rule) = limits::broken_depth_rule(payload.json.get().as_bytes()) {
            return Err(A::Error::custom(format_args!("`data` {rule}")));
        }
        for (name, value) in extensions {
            take_extension(&mut version, &mut self.headers, &mut attributes, &name, value);
        }
        if attributes.data_content_type.as_deref() == implied_content_type(payload.kind) {
            attributes.data_content_type = None;
        }
        Ok(Event {
            version,
            event_type: required(event_type, "type")?.into(),
            source: required(source, "source")?.into(),
            timestamp,
            payload,
            id: Some(required(id, "id")?.into()),
            headers: self.headers,
            attributes: attributes.boxed(),
        })
    }
}

/// A text attribute: one that is there is not empty, and `null` is as good as absent.
fn attribute<'de, A: MapAccess<'de>>(map: &mut A) -> std::result::Result<Option<Text<'de>>, A::Error> {
    let text = map.next_value::<Option<Text<'de>>>()?;
    if text.as_ref().is_some_and(|Text(text)| text.is_empty()) {
        return Err(A::Error::custom("an attribute is empty"));
    }
    Ok(text)
}

/// A time exactly as the specification wants it.
pub(super) fn rfc_3339(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok().and_then(timestamp::in_utc)
}
