//! Named byte fields: an event taken apart for a broker, and put together again.

use time::OffsetDateTime;

use super::{BODY_FIELD, json};
use crate::{Error, ErrorKind, Event, Headers, Result};

/// An event in its wire form: the JSON body, and its headers as further fields.
#[derive(Debug)]
pub struct Encoded<'e> {
    body: Vec<u8>,
    headers: &'e Headers,
}

/// Encodes an event.
pub fn encode(event: &Event) -> Encoded<'_> {
    Encoded { body: json::encode(event), headers: &event.headers }
}

impl Encoded<'_> {
    /// The JSON body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The JSON body, without a copy.
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }

    /// Every field, the body first.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        std::iter::once((BODY_FIELD, self.body.as_slice()))
            .chain(self.headers.iter().map(|(name, value)| (name, value.as_bytes())))
    }

    /// What counts towards [`max_event_bytes`](crate::Capabilities::max_event_bytes): the body, and names and values of headers.
    pub fn counted_bytes(&self) -> usize {
        self.body.len() + self.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
    }
}

/// Decodes the fields of one message.
///
/// `published_at` stands in for the timestamp of a producer that sent none: the broker's time of publication, so that
/// every delivery of the event says the same.
/// Header names and values that are not UTF-8 are read with replacement characters rather than lost.
///
/// # Errors
///
/// [`InvalidEvent`](ErrorKind::InvalidEvent) when there is no body, or the body is no event.
pub fn decode<'a>(
    fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    published_at: OffsetDateTime,
) -> Result<Event> {
    let mut body = None;
    let mut headers = Headers::new();
    for (name, value) in fields {
        if name == BODY_FIELD.as_bytes() {
            body = Some(value);
        } else {
            headers.insert(String::from_utf8_lossy(name), String::from_utf8_lossy(value));
        }
    }
    let body = body.ok_or_else(|| {
        Error::new(ErrorKind::InvalidEvent, "decode event", format!("there is no field `{BODY_FIELD}`"))
    })?;
    let mut event = json::decode(body, published_at)?;
    event.headers = headers;
    Ok(event)
}

/// A message as it lies at the broker, whether or not it is an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawMessage {
    /// Names and values in the order the broker gives them.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
}

impl RawMessage {
    /// A message that has only a body.
    pub fn from_body(body: impl Into<Vec<u8>>) -> Self {
        Self { fields: vec![(BODY_FIELD.as_bytes().to_vec(), body.into())] }
    }

    /// The body, if there is one.
    pub fn body(&self) -> Option<&[u8]> {
        let body = |(name, _): &&(Vec<u8>, Vec<u8>)| name == BODY_FIELD.as_bytes();
        self.fields.iter().rev().find(body).map(|(_, value)| value.as_slice())
    }

    /// Decodes the message; see [`decode`].
    ///
    /// # Errors
    ///
    /// As [`decode`].
    pub fn decode(&self, published_at: OffsetDateTime) -> Result<Event> {
        decode(self.fields.iter().map(|(name, value)| (name.as_slice(), value.as_slice())), published_at)
    }
}

impl From<&Encoded<'_>> for RawMessage {
    fn from(encoded: &Encoded<'_>) -> Self {
        let owned = |(name, value): (&str, &[u8])| (name.as_bytes().to_vec(), value.to_vec());
        Self { fields: encoded.fields().map(owned).collect() }
    }
}
