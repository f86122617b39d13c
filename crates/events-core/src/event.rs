//! The event: what happened, to whom, when.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use time::OffsetDateTime;

use crate::{Error, EventBuilder, Headers, Result};

/// Something that happened, immutable once built.
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
#[derive(Clone, Debug)]
pub struct Event {
    pub(crate) version: u64,
    pub(crate) event_type: Box<str>,
    pub(crate) source: Box<str>,
    pub(crate) timestamp: OffsetDateTime,
    pub(crate) payload: Box<RawValue>,
    pub(crate) id: Option<Box<str>>,
    pub(crate) headers: Headers,
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

    /// The payload as exact JSON text: always an object, spelled as its producer spelled it.
    pub fn payload(&self) -> &str {
        self.payload.get()
    }

    /// The payload as a type of the caller's.
    ///
    /// # Errors
    ///
    /// [`InvalidEvent`](crate::ErrorKind::InvalidEvent) when the payload does not fit `T`.
    pub fn payload_as<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(self.payload.get()).map_err(|error| {
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

impl PartialEq for Event {
    /// Equal in every field; payloads are compared as text, so `1.0` and `1` differ.
    fn eq(&self, other: &Self) -> bool {
        self.version == other.version
            && self.event_type == other.event_type
            && self.source == other.source
            && self.timestamp == other.timestamp
            && self.payload.get() == other.payload.get()
            && self.id == other.id
            && self.headers == other.headers
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
