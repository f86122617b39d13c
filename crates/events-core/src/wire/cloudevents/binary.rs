//! Binary mode: every attribute a field of its own, and the data as the body.
//!
//! There is no binding of CloudEvents to Redis or SQS. Names are those of the Kafka binding, whose records are as these
//! messages are: `ce_<attribute>`, and `content-type` for `datacontenttype`.

use std::borrow::Cow;

use serde_json::value::RawValue;
use time::OffsetDateTime;

use super::structured::{is_extension, rfc_3339, take_extension};
use super::{SCHEMA_VERSION, SPEC_VERSION, is_known_version, media_type, rules};
use crate::attributes::Attributes;
use crate::event::implied_content_type;
use crate::payload::Payload;
use crate::wire::decoder::invalid;
use crate::wire::fields::{Encoded, Field, cannot_carry, push_headers};
use crate::wire::limits;
use crate::{AttributeValue, Event, Headers, PayloadKind, Result, timestamp};

/// The field that names the media type of the data.
const CONTENT_TYPE: &str = "content-type";

pub(in crate::wire) fn encode(event: &Event) -> Result<Encoded<'_>> {
    rules::check(event)?;
    if event.headers.get(CONTENT_TYPE).is_some() {
        return Err(cannot_carry(format_args!("a header named `{CONTENT_TYPE}`")));
    }
    let body = body(event)?;
    let mut fields: Vec<Field<'_>> = Vec::with_capacity(8 + event.headers.len());
    let mut time = Vec::with_capacity(32);
    timestamp::write(&mut time, event.timestamp);
    fields.push(("ce_specversion".into(), SPEC_VERSION.into()));
    fields.push(("ce_id".into(), event.id().unwrap_or_default().into()));
    fields.push(("ce_source".into(), event.source().into()));
    fields.push(("ce_type".into(), event.event_type().into()));
    fields.push(("ce_time".into(), String::from_utf8_lossy(&time).into_owned().into()));
    fields.extend(event.data_content_type().map(|media_type| (CONTENT_TYPE.into(), media_type.into())));
    fields.extend(event.subject().map(|subject| ("ce_subject".into(), subject.into())));
    fields.extend(event.data_schema().map(|uri| ("ce_dataschema".into(), uri.into())));
    fields.extend(event.extensions().map(|(name, value)| (named(name), text(value))));
    if event.version != 1 {
        fields.push((named(SCHEMA_VERSION), event.version.to_string().into()));
    }
    let (trace, others): (Vec<_>, Vec<_>) =
        event.headers.iter().partition(|(name, _)| is_extension(event, name));
    fields.extend(trace.into_iter().map(|(name, value)| (named(name), value.into())));
    push_headers(&mut fields, others.into_iter())?;
    // As brokers that order attributes give them back.
    fields.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
    Ok(Encoded::with_fields(body, fields))
}

fn named(attribute: &str) -> Cow<'static, str> {
    format!("ce_{attribute}").into()
}

fn text(value: &AttributeValue) -> Cow<'_, str> {
    match value {
        AttributeValue::Text(text) => text.into(),
        other => other.to_string().into(),
    }
}

/// The data as bytes; what a reader would take for something else is refused.
fn body(event: &Event) -> Result<Option<Vec<u8>>> {
    let media_type = event.data_content_type().unwrap_or_default();
    match event.payload_kind() {
        PayloadKind::Absent => Ok(None),
        PayloadKind::Bytes if media_type::is_json(media_type) => {
            Err(cannot_carry("bytes that are said to be JSON"))
        }
        PayloadKind::Json if !media_type::is_json(media_type) => match event.payload.as_text() {
            Some(text) => Ok(Some(text.into_owned().into_bytes())),
            None => Err(cannot_carry(format_args!("JSON that is said to be {media_type}"))),
        },
        PayloadKind::Json | PayloadKind::Bytes => Ok(Some(event.payload_bytes().into_owned())),
    }
}

/// Reads attributes, named without `ce_`, and data.
pub(in crate::wire) fn decode(
    body: Option<&[u8]>,
    fields: &[(&[u8], &[u8])],
    mut headers: Headers,
    published_at: OffsetDateTime,
) -> Result<Event> {
    let (mut id, mut source, mut event_type, mut spec_version) = (None, None, None, None);
    let (mut version, mut timestamp) = (1, published_at);
    let mut attributes = Attributes::default();
    for (name, value) in fields {
        let name = utf8("name", name)?;
        let text = utf8(name, value)?;
        match name {
            "specversion" => spec_version = Some(text),
            "id" => id = Some(text),
            "source" => source = Some(text),
            "type" => event_type = Some(text),
            "time" => {
                timestamp = rfc_3339(text)
                    .ok_or_else(|| invalid(format!("`ce_time` is {text:?}, which is not RFC 3339")))?;
            }
            "subject" => attributes.subject = Some(text.into()),
            "dataschema" => attributes.data_schema = Some(text.into()),
            _ => take_extension(&mut version, &mut headers, &mut attributes, name, text.into()),
        }
    }
    let required = |text: Option<&str>, name| match text {
        Some("") => Err(invalid(format!("`ce_{name}` is empty"))),
        Some(text) => Ok(Box::from(text)),
        None => Err(invalid(format!("there is no field `ce_{name}`"))),
    };
    let spec_version: Box<str> = required(spec_version, "specversion")?;
    if !is_known_version(&spec_version) {
        return Err(invalid(format!("`ce_specversion` is {spec_version:?}, not {SPEC_VERSION}")));
    }
    attributes.data_content_type = headers.remove(CONTENT_TYPE).map(Into::into);
    let payload = payload(body, attributes.data_content_type.as_deref())?;
    if attributes.data_content_type.as_deref() == implied_content_type(payload.kind) {
        attributes.data_content_type = None;
    }
    Ok(Event {
        version,
        event_type: required(event_type, "type")?,
        source: required(source, "source")?,
        timestamp,
        payload,
        id: Some(required(id, "id")?),
        headers,
        attributes: attributes.boxed(),
    })
}

fn utf8<'a>(attribute: &str, bytes: &'a [u8]) -> Result<&'a str> {
    std::str::from_utf8(bytes).map_err(|error| {
        invalid(format!("the attribute `{}` is not UTF-8", attribute.escape_debug())).with_source(error)
    })
}

/// What the media type makes of the body. Without one, JSON if it is JSON.
fn payload(body: Option<&[u8]>, media_type: Option<&str>) -> Result<Payload> {
    let Some(body) = body else { return Ok(Payload::absent()) };
    match media_type {
        // No JSON text is empty, and a broker that has no way to say that there is no body gives an empty one.
        Some(json) if media_type::is_json(json) && body.is_empty() => Ok(Payload::absent()),
        Some(json) if media_type::is_json(json) => parse(body)
            .ok_or_else(|| invalid(format!("the data is said to be {json:?} and is no JSON")))
            .and_then(|json| match limits::broken_depth_rule(body) {
                Some(rule) => Err(invalid(format!("the data {rule}"))),
                None => Ok(Payload::json(json)),
            }),
        Some(text) if media_type::is_text(text) => {
            Ok(std::str::from_utf8(body).map_or_else(|_| Payload::bytes(body), Payload::text))
        }
        Some(_) => Ok(Payload::bytes(body)),
        None if body.is_empty() => Ok(Payload::absent()),
        None => Ok(parse(body)
            .filter(|_| limits::broken_depth_rule(body).is_none())
            .map_or_else(|| Payload::bytes(body), Payload::json)),
    }
}

fn parse(body: &[u8]) -> Option<Box<RawValue>> {
    serde_json::from_slice(body).ok()
}
