//! Builds events and refuses the invalid ones.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use time::{OffsetDateTime, UtcOffset};
use uuid::Uuid;

use crate::attributes::Attributes;
use crate::event::implied_content_type;
use crate::payload::Payload;
use crate::wire::{cloudevents, limits};
use crate::{AttributeValue, Error, Event, Headers, Result, event_type};

const OPERATION: &str = "build event";

/// Collects the fields of an [`Event`]; [`build`](Self::build) checks them all.
///
/// Start one with [`Event::builder`] or [`Event::foreign`].
#[derive(Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct EventBuilder {
    version: u64,
    event_type: String,
    source: String,
    timestamp: Option<OffsetDateTime>,
    payload: Option<Result<Payload>>,
    any_payload: bool,
    id: Option<String>,
    headers: Headers,
    attributes: Attributes,
    foreign: bool,
}

impl EventBuilder {
    pub(crate) fn new(event_type: String, source: String, foreign: bool) -> Self {
        Self {
            version: 1,
            event_type,
            source,
            timestamp: None,
            payload: None,
            any_payload: false,
            id: None,
            headers: Headers::new(),
            attributes: Attributes::default(),
            foreign,
        }
    }

    /// The version of the payload's schema. Default: 1.
    pub fn with_version(mut self, version: u64) -> Self {
        self.version = version;
        self
    }

    /// When it happened; converted to UTC. Default: now, in whole microseconds.
    pub fn with_timestamp(mut self, timestamp: OffsetDateTime) -> Self {
        self.timestamp = Some(timestamp);
        self
    }

    /// The payload, anything that serialises to a JSON object. Default: `{}`.
    pub fn with_payload(mut self, payload: impl Serialize) -> Self {
        self.payload = Some(serialised(payload));
        self.any_payload = false;
        self
    }

    /// The payload as JSON text, which is kept to the letter.
    pub fn with_payload_json(mut self, json: impl Into<String>) -> Self {
        self.payload = Some(parsed(json.into()));
        self.any_payload = false;
        self
    }

    /// A payload that need not be an object, for streams of CloudEvents; `null` is a payload that is absent.
    ///
    /// The default encoding carries objects only and refuses to publish anything else.
    pub fn with_any_payload(mut self, payload: impl Serialize) -> Self {
        self.payload = Some(serialised(payload));
        self.any_payload = true;
        self
    }

    /// As [`with_any_payload`](Self::with_any_payload), from JSON text, which is kept to the letter.
    pub fn with_any_payload_json(mut self, json: impl Into<String>) -> Self {
        self.payload = Some(parsed(json.into()));
        self.any_payload = true;
        self
    }

    /// A payload of bytes, for streams of CloudEvents.
    pub fn with_payload_bytes(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.payload = Some(Ok(Payload::bytes(bytes.as_ref())));
        self.any_payload = true;
        self
    }

    /// No payload, not even an empty object, for streams of CloudEvents.
    pub fn without_payload(mut self) -> Self {
        self.payload = Some(Ok(Payload::absent()));
        self.any_payload = true;
        self
    }

    /// The thing the event is about, within its source. Default: none.
    pub fn with_subject(mut self, subject: impl Into<String>) -> Self {
        self.attributes.subject = Some(subject.into().into());
        self
    }

    /// The URI of the payload's schema. Default: none.
    pub fn with_data_schema(mut self, uri: impl Into<String>) -> Self {
        self.attributes.data_schema = Some(uri.into().into());
        self
    }

    /// The media type of the payload. Default: `application/json`; for bytes `application/octet-stream`.
    pub fn with_data_content_type(mut self, media_type: impl Into<String>) -> Self {
        self.attributes.data_content_type = Some(media_type.into().into());
        self
    }

    /// An extension attribute: its name is of `a` to `z` and `0` to `9`, 20 of them at most.
    pub fn with_extension(mut self, name: impl Into<String>, value: impl Into<AttributeValue>) -> Self {
        self.attributes.extensions.insert(name.into().into(), value.into());
        self
    }

    /// The event's own id; not empty. Default: a new UUID v7.
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sets one header; the last value of a name counts.
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Adds headers to those already set.
    pub fn with_headers<N: Into<String>, V: Into<String>>(
        mut self,
        headers: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        self.headers.extend(headers);
        self
    }

    /// Checks every field and makes the event.
    ///
    /// # Errors
    ///
    /// [`InvalidEvent`](crate::ErrorKind::InvalidEvent), naming the field and the rule it breaks.
    pub fn build(mut self) -> Result<Event> {
        let invalid = |field: &str, rule: &str| Err(Error::invalid_field(OPERATION, field, rule));
        if self.foreign {
            if self.event_type.is_empty() {
                return invalid("event_type", "must not be empty");
            }
        } else if let Some(rule) = event_type::broken_rule(&self.event_type) {
            return invalid("event_type", &rule);
        }
        if self.source.is_empty() {
            return invalid("source", "must not be empty");
        }
        let timestamp = match self.timestamp {
            None => now(),
            Some(given) => given
                .checked_to_offset(UtcOffset::UTC)
                .filter(|utc| (0..=9999).contains(&utc.year()))
                .ok_or_else(|| {
                    Error::invalid_field(OPERATION, "timestamp", "its year in UTC is outside 0 to 9999")
                })?,
        };
        let payload = self.payload.transpose()?.unwrap_or_else(Payload::empty_object);
        if !self.any_payload && !payload.is_object() {
            return invalid("payload", "must be a JSON object");
        }
        if let Some(rule) = limits::broken_depth_rule(payload.json.get().as_bytes()) {
            return invalid("payload", &rule);
        }
        if self.id.as_deref() == Some("") {
            return invalid("id", "must not be empty");
        }
        if let Some(rule) = self.headers.broken_rule() {
            return invalid("headers", &rule);
        }
        if let Some((field, rule)) = cloudevents::broken_attribute_rule(&self.attributes) {
            return invalid(&field, &rule);
        }
        if self.attributes.data_content_type.as_deref() == implied_content_type(payload.kind) {
            self.attributes.data_content_type = None;
        }
        Ok(Event {
            version: self.version,
            event_type: self.event_type.into(),
            source: self.source.into(),
            timestamp,
            payload,
            id: Some(self.id.unwrap_or_else(new_id).into()),
            headers: self.headers,
            attributes: self.attributes.boxed(),
        })
    }
}

fn serialised(payload: impl Serialize) -> Result<Payload> {
    to_raw_value(&payload).map(Payload::json).map_err(|error| {
        Error::invalid_field(OPERATION, "payload", "cannot be written as JSON").with_source(error)
    })
}

fn parsed(json: String) -> Result<Payload> {
    RawValue::from_string(json)
        .map(Payload::json)
        .map_err(|error| Error::invalid_field(OPERATION, "payload", "is not JSON").with_source(error))
}

fn new_id() -> String {
    let mut text = Uuid::encode_buffer();
    Uuid::now_v7().as_hyphenated().encode_lower(&mut text).to_owned()
}

/// The present moment in whole microseconds, the precision of the wire.
fn now() -> OffsetDateTime {
    let now = OffsetDateTime::now_utc();
    now.replace_microsecond(now.microsecond()).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use serde_json::json;
    use std::error::Error as _;
    use time::macros::datetime;

    fn names_the_field(result: Result<Event>, field: &str) {
        let error = result.expect_err(field);
        assert_eq!(error.kind(), ErrorKind::InvalidEvent);
        assert!(error.message().starts_with(field), "{error}");
        assert!(!error.is_transient());
    }

    #[test]
    fn an_invalid_event_is_an_error_naming_the_field() {
        names_the_field(Event::new("a.b", "", json!({})), "source");
        for bad in ["Slack.update", "ping", "a..b", ".", ""] {
            names_the_field(Event::new(bad, "s", json!({})), "event_type");
        }
        for payload in [json!([1]), json!("x"), json!(1), json!(null), json!(true)] {
            names_the_field(Event::new("a.b", "s", payload), "payload");
        }
        names_the_field(Event::builder("a.b", "s").with_payload_json("{\"a\":").build(), "payload");
        names_the_field(Event::builder("a.b", "s").with_payload_json("{} {}").build(), "payload");
        names_the_field(Event::builder("a.b", "s").with_id("").build(), "id");
        for name in ["", "event", "source", "a\nb"] {
            names_the_field(Event::builder("a.b", "s").with_header(name, "v").build(), "headers");
        }
        let late = datetime!(9999-12-31 23:59:59 -01:00);
        names_the_field(Event::builder("a.b", "s").with_timestamp(late).build(), "timestamp");
        names_the_field(Event::foreign("", "s").build(), "event_type");
    }

    #[test]
    fn a_payload_that_cannot_be_serialised_says_why() {
        let keys = std::collections::HashMap::from([((1, 2), 3)]);
        let error = Event::new("a.b", "s", keys).expect_err("a map with tuple keys");
        assert!(error.source().is_some());
    }

    #[test]
    fn defaults_are_those_of_the_model() {
        let event = Event::builder("a.b", "s").build().unwrap();
        assert_eq!((event.version(), event.payload()), (1, "{}"));
        assert_eq!(event.id().map(str::len), Some(36));
        assert_eq!(event.timestamp().nanosecond() % 1_000, 0);
        assert!(event.headers().is_empty());
    }

    #[test]
    fn a_foreign_name_is_accepted_by_the_lenient_constructor() {
        assert_eq!(Event::foreign("Ping", "s").build().unwrap().event_type(), "Ping");
    }

    #[test]
    fn a_timestamp_is_kept_in_utc() {
        let event = Event::builder("a.b", "s")
            .with_timestamp(datetime!(2026-02-10 17:30:00.123456 +05:30))
            .build()
            .unwrap();
        assert_eq!(event.timestamp(), datetime!(2026-02-10 12:00:00.123456 UTC));
        assert!(event.timestamp().offset().is_utc());
    }
}
