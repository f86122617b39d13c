//! Named byte fields: what an event is taken apart into for a broker, and what is found there.

use std::borrow::Cow;

use time::OffsetDateTime;

use super::{BODY_FIELD, Encoding, FASTSTREAM_FIELD, decode, detect, limits};
use crate::headers::ATTRIBUTE_PREFIX;
use crate::{Error, ErrorKind, Event, Headers, Result};

/// What errors of encoding say was being done.
pub(super) const ENCODE: &str = "encode event";

/// A field beside the body.
pub(super) type Field<'e> = (Cow<'e, str>, Cow<'e, str>);

/// An event in its wire form: a body, and further fields beside it.
#[derive(Debug)]
pub struct Encoded<'e> {
    body_field: &'static str,
    body: Option<Vec<u8>>,
    beside: Vec<Field<'e>>,
}

impl<'e> Encoded<'e> {
    /// A body, and the event's headers as they are.
    pub(super) fn with_headers(
        body: Vec<u8>,
        headers: impl Iterator<Item = (&'e str, &'e str)>,
    ) -> Result<Self> {
        let mut beside = Vec::new();
        push_headers(&mut beside, headers)?;
        Ok(Self { body_field: BODY_FIELD, body: Some(body), beside })
    }

    /// Fields that were put together with [`push_headers`].
    pub(super) fn with_fields(body: Option<Vec<u8>>, beside: Vec<Field<'e>>) -> Self {
        Self { body_field: BODY_FIELD, body, beside }
    }

    /// What FastStream sends, in the one field it knows.
    pub(super) fn for_faststream(data: Vec<u8>) -> Self {
        Self { body_field: FASTSTREAM_FIELD, body: Some(data), beside: Vec::new() }
    }

    pub(super) fn check_limits(&self) -> Result<()> {
        limits::check_size(ENCODE, self.counted_bytes())?;
        limits::check_count(ENCODE, self.beside.len())
    }

    /// The body; `None` for an event without data in the binary mode of CloudEvents.
    pub fn body(&self) -> Option<&[u8]> {
        self.body.as_deref()
    }

    /// The field the body is in.
    pub fn body_field(&self) -> &'static str {
        self.body_field
    }

    /// The fields beside the body.
    pub fn beside(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.beside.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The body, without a copy.
    pub fn into_body(self) -> Option<Vec<u8>> {
        self.body
    }

    /// Every field, the body first.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let body = self.body().map(|body| (self.body_field, body));
        body.into_iter().chain(self.beside().map(|(name, value)| (name, value.as_bytes())))
    }

    /// What counts towards [`max_event_bytes`](crate::Capabilities::max_event_bytes): the body, and names and values of the
    /// fields beside it.
    pub fn counted_bytes(&self) -> usize {
        self.body.as_ref().map_or(0, Vec::len)
            + self.beside().map(|(name, value)| name.len() + value.len()).sum::<usize>()
    }
}

/// Adds headers as fields; refuses names that mean something else to a reader. Only an event that was read can have one.
pub(super) fn push_headers<'e>(
    fields: &mut Vec<Field<'e>>,
    headers: impl Iterator<Item = (&'e str, &'e str)>,
) -> Result<()> {
    for (name, value) in headers {
        if name == BODY_FIELD || name == FASTSTREAM_FIELD || name.starts_with(ATTRIBUTE_PREFIX) {
            return Err(cannot_carry(format_args!("a header named `{name}`")));
        }
        fields.push((Cow::Borrowed(name), Cow::Borrowed(value)));
    }
    Ok(())
}

/// The error of an event that has what the configured encoding has no place for.
pub(super) fn cannot_carry(what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidEvent, ENCODE, format!("the configured encoding cannot carry {what}"))
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
        let of = |wanted: &str| {
            let named = |(name, _): &&(Vec<u8>, Vec<u8>)| name == wanted.as_bytes();
            self.fields.iter().rev().find(named).map(|(_, value)| value.as_slice())
        };
        of(BODY_FIELD).or_else(|| of(FASTSTREAM_FIELD))
    }

    /// Which encoding the message is in; see [`detect`](super::detect).
    pub fn encoding(&self) -> Encoding {
        detect(self.fields.iter().map(|(name, value)| (name.as_slice(), value.as_slice())))
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

/// Header bytes as text: what is not UTF-8 is read with replacement characters rather than lost.
pub(super) fn insert_lossy(headers: &mut Headers, name: &[u8], value: &[u8]) {
    headers.insert(String::from_utf8_lossy(name), String::from_utf8_lossy(value));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_no_larger_when_written_than_when_read() {
        let mebibyte = "x".repeat(1024 * 1024);
        let encoded = |count: usize| {
            let field = (Cow::Borrowed(""), Cow::Borrowed(mebibyte.as_str()));
            Encoded::with_fields(Some(Vec::new()), vec![field; count])
        };
        let most = limits::MAX_MESSAGE_BYTES / mebibyte.len();
        encoded(most).check_limits().unwrap();
        assert_eq!(encoded(most + 1).check_limits().unwrap_err().kind(), ErrorKind::TooLarge);
    }
}
