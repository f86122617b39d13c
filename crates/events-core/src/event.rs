//! The event: what happened, to whom, when.

use std::borrow::Cow;

use serde::Serialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;

use crate::attributes::Attributes;
use crate::payload::Payload;
use crate::{AttributeValue, Error, EventBuilder, Headers, PayloadKind, Result};

/// Something that happened, immutable once built.
///
/// Two events are equal when they are in every field; payloads are compared as text, so `1.0` and `1` differ.
///
/// ```
/// use events_core::Event;
///
/// #[derive(serde::Serialize, serde::Deserialize, PartialEq, Debug)]
/// struct Users { users: Vec<String> }
///
/// let users = Users { users: vec!["alice".into()] };
/// let event = Event::new("slack-usergroups.update_users", "qontract-api", &users)?;
/// assert_eq!(event.version(), 1);
/// assert_eq!(event.payload(), r#"{"users":["alice"]}"#);
/// assert_eq!(event.payload_as::<Users>()?, users);
/// # Ok::<(), events_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub(crate) version: u64,
    pub(crate) event_type: Box<str>,
    pub(crate) source: Box<str>,
    pub(crate) timestamp: OffsetDateTime,
    pub(crate) payload: Payload,
    pub(crate) id: Option<Box<str>>,
    pub(crate) headers: Headers,
    pub(crate) attributes: Option<Box<Attributes>>,
}

impl Event {
    /// An event that happens now, of schema version 1, with a new UUID v7 as its id.
    ///
    /// # Errors
    ///
    /// [`InvalidEvent`](crate::ErrorKind::InvalidEvent), naming the field, when `event_type` is not two or more
    /// lower-case words of `[a-z0-9_-]` joined by dots, when `source` is empty,
    /// or when `payload` does not serialise to a JSON object.
    pub fn new(
        event_type: impl Into<String>,
        source: impl Into<String>,
        payload: impl Serialize,
    ) -> Result<Self> {
        Self::builder(event_type, source).with_payload(payload).build()
    }

    /// A builder that holds the names to the model's rules.
    pub fn builder(event_type: impl Into<String>, source: impl Into<String>) -> EventBuilder {
        EventBuilder::new(event_type.into(), source.into(), false)
    }

    /// A builder that takes any event type that is not empty, for names other systems chose.
    pub fn foreign(event_type: impl Into<String>, source: impl Into<String>) -> EventBuilder {
        EventBuilder::new(event_type.into(), source.into(), true)
    }

    /// The version of the payload's schema; 1 unless somebody said otherwise.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// What happened, such as `slack-usergroups.update_users`.
    pub fn event_type(&self) -> &str {
        &self.event_type
    }

    /// The system that produced the event.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// When it happened, in UTC, with the precision it was given in.
    pub fn timestamp(&self) -> OffsetDateTime {
        self.timestamp
    }

    /// The payload as exact JSON text, spelled as its producer spelled it.
    ///
    /// An object, unless a CloudEvent carries something else; see [`payload_kind`](Self::payload_kind).
    pub fn payload(&self) -> &str {
        self.payload.json.get()
    }

    /// Whether the payload is JSON, bytes or nothing.
    pub fn payload_kind(&self) -> PayloadKind {
        self.payload.kind
    }

    /// The payload as bytes: bytes as they are, JSON as its text, nothing as no bytes.
    pub fn payload_bytes(&self) -> Cow<'_, [u8]> {
        self.payload.to_bytes()
    }

    /// The payload as a type of the caller's.
    ///
    /// # Errors
    ///
    /// [`InvalidEvent`](crate::ErrorKind::InvalidEvent) when the payload does not fit `T`.
    pub fn payload_as<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(self.payload()).map_err(|error| {
            Error::invalid_field(
                "read payload",
                "payload",
                format_args!(
                    "does not fit {} at line {} column {}",
                    std::any::type_name::<T>(),
                    error.line(),
                    error.column()
                ),
            )
            .with_source(error)
        })
    }

    /// The event's own id, by which consumers can tell a repetition; absent on events of producers that set none.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The thing the event is about, within its source: the CloudEvents attribute `subject`.
    pub fn subject(&self) -> Option<&str> {
        self.attributes.as_ref()?.subject.as_deref()
    }

    /// The URI of the payload's schema: the CloudEvents attribute `dataschema`.
    pub fn data_schema(&self) -> Option<&str> {
        self.attributes.as_ref()?.data_schema.as_deref()
    }

    /// The media type of the payload: the CloudEvents attribute `datacontenttype`.
    ///
    /// Where the producer named none: `application/json` for JSON, `application/octet-stream` for bytes.
    pub fn data_content_type(&self) -> Option<&str> {
        let named = self.attributes.as_ref().and_then(|attributes| attributes.data_content_type.as_deref());
        named.or(implied_content_type(self.payload.kind))
    }

    /// An extension attribute of CloudEvents.
    ///
    /// Trace context and the schema version travel as extensions and are headers and [`version`](Self::version) here.
    pub fn extension(&self, name: &str) -> Option<&AttributeValue> {
        self.attributes.as_ref()?.extensions.get(name)
    }

    /// Every extension attribute, in the order of the names.
    pub fn extensions(&self) -> impl Iterator<Item = (&str, &AttributeValue)> {
        let extensions = self.attributes.iter().flat_map(|attributes| &attributes.extensions);
        extensions.map(|(name, value)| (&**name, value))
    }

    /// What travels beside the JSON.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The event with headers it does not have yet; those it has keep their values.
    ///
    /// For what is known only where events are sent, such as trace context.
    ///
    /// # Errors
    ///
    /// [`InvalidEvent`](crate::ErrorKind::InvalidEvent) for a name that the wire cannot carry; see [`Headers`].
    pub fn with_missing_headers<N: Into<String>, V: Into<String>>(
        mut self,
        headers: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self> {
        for (name, value) in headers {
            let name = name.into();
            if self.headers.get(&name).is_none() {
                self.headers.insert(name, value);
            }
        }
        match self.headers.broken_rule() {
            Some(rule) => Err(Error::invalid_field("add headers", "headers", rule)),
            None => Ok(self),
        }
    }
}

/// The media type of a payload whose producer names none.
pub(crate) fn implied_content_type(kind: PayloadKind) -> Option<&'static str> {
    match kind {
        PayloadKind::Json => Some("application/json"),
        PayloadKind::Bytes => Some("application/octet-stream"),
        PayloadKind::Absent => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn missing_headers_are_added_and_present_ones_kept() {
        let event = Event::builder("a.b", "s").with_header("kept", "1").build().unwrap();
        let event = event.with_missing_headers([("kept", "2"), ("added", "3")]).unwrap();
        assert_eq!(event.headers().iter().collect::<Vec<_>>(), [("added", "3"), ("kept", "1")]);
        let error = event.with_missing_headers([("event", "x")]).expect_err("the name is the wire's");
        assert_eq!(error.kind(), ErrorKind::InvalidEvent);
    }
}
