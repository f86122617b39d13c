//! A message as two columns of a row, and back.
//!
//! `body` holds the event's JSON and `fields` everything else: for each field the length of the name (four bytes, little
//! endian), the name, the length of the value, the value.
//! A message without a body, with several, or with the body not in front lies in `fields` whole, so that every message
//! comes back byte for byte.

use events_core::wire::{BODY_FIELD, Encoded, Encoding, RawMessage, decode_expecting, detect};
use events_core::{Event, Result};

use crate::clock;

/// A message in the form of a row.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) fields: Option<Vec<u8>>,
}

impl Stored {
    pub(crate) fn bytes(&self) -> usize {
        self.body.as_ref().map_or(0, Vec::len) + self.fields.as_ref().map_or(0, Vec::len)
    }

    /// Decodes the event, without a copy of its fields.
    pub(crate) fn decode(&self, expected: Option<Encoding>, published_at: i64) -> Result<Event> {
        decode_expecting(expected, self.fields(), clock::from_micros(published_at))
    }

    /// Which encoding the message is in.
    pub(crate) fn encoding(&self) -> Encoding {
        detect(self.fields())
    }

    /// The message byte for byte.
    pub(crate) fn to_raw(&self) -> RawMessage {
        RawMessage { fields: self.fields().map(|(name, value)| (name.to_vec(), value.to_vec())).collect() }
    }

    fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let body = self.body.as_deref().map(|body| (BODY_FIELD.as_bytes(), body));
        body.into_iter().chain(Fields(self.fields.as_deref().unwrap_or_default()))
    }
}

impl From<Encoded<'_>> for Stored {
    fn from(encoded: Encoded<'_>) -> Self {
        let in_a_column = encoded.body_field() == BODY_FIELD && encoded.body().is_some();
        let mut fields = Vec::new();
        for (name, value) in encoded.fields().skip(usize::from(in_a_column)) {
            push(&mut fields, name.as_bytes());
            push(&mut fields, value);
        }
        let body = if in_a_column { encoded.into_body() } else { None };
        Self { body, fields: (!fields.is_empty()).then_some(fields) }
    }
}

fn push(out: &mut Vec<u8>, bytes: &[u8]) {
    // A row cannot be larger than two gigabytes, and the limit on an event is far below.
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Reads names and values until the bytes run out.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn part(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk::<4>()?;
        let (part, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        self.0 = rest;
        Some(part)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.part()?, self.part()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_and_its_headers_come_back() {
        let event = Event::builder("a.b", "s")
            .with_payload_json(r#"{"n":123456789012345678901234567890}"#)
            .with_headers([("traceparent", "00-1"), ("empty", ""), ("ключ", "値")])
            .build()
            .unwrap();
        for encoding in Encoding::ALL {
            let encoded = encoding.encode(&event).unwrap();
            let raw = RawMessage::from(&encoded);
            let stored = Stored::from(encoded);
            assert_eq!(stored.to_raw(), raw);
            assert_eq!(stored.decode(Some(encoding), 0).unwrap(), event);
        }
    }

    #[test]
    fn an_event_without_headers_takes_one_column() {
        let event = Event::new("a.b", "s", serde_json::json!({})).unwrap();
        assert_eq!(Stored::from(Encoding::Adr018.encode(&event).unwrap()).fields, None);
    }

    #[test]
    fn a_row_cut_short_is_read_as_far_as_it_goes() {
        let mut fields = Vec::new();
        for part in [b"name".as_slice(), b"value", b"next", b"cut"] {
            push(&mut fields, part);
        }
        for length in 0..fields.len() {
            let stored = Stored { body: None, fields: Some(fields[..length].to_vec()) };
            let whole = if length < 17 { 0 } else { 1 };
            assert_eq!(stored.to_raw().fields.len(), whole, "{length} bytes");
        }
    }
}
