//! What an event carries: JSON, bytes, or nothing.

use std::borrow::Cow;
use std::io;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::value::RawValue;

use crate::wire::text::write_json;

/// What an event's payload is.
///
/// The model's own events carry a JSON object. CloudEvents may carry any JSON value, bytes, or nothing at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PayloadKind {
    /// A JSON value other than `null`.
    #[default]
    Json,
    /// Bytes. [`Event::payload`](crate::Event::payload) has them in Base64, as a JSON string.
    Bytes,
    /// Nothing, which is what JSON's `null` counts as. [`Event::payload`](crate::Event::payload) reads `null`.
    Absent,
}

/// A payload as JSON text, and what the text stands for.
#[derive(Clone, Debug)]
pub(crate) struct Payload {
    pub(crate) json: Box<RawValue>,
    pub(crate) kind: PayloadKind,
}

impl Payload {
    /// Any JSON value.
    pub(crate) fn json(json: Box<RawValue>) -> Self {
        let kind = if json.get() == "null" { PayloadKind::Absent } else { PayloadKind::Json };
        Self { json, kind }
    }

    /// Bytes, kept as what JSON makes of them.
    pub(crate) fn bytes(bytes: &[u8]) -> Self {
        let mut json = String::with_capacity(bytes.len().div_ceil(3) * 4 + 2);
        json.push('"');
        BASE64_STANDARD.encode_string(bytes, &mut json);
        json.push('"');
        Self { json: raw(json), kind: PayloadKind::Bytes }
    }

    /// Bytes somebody wrote in Base64; `None` where it is none.
    pub(crate) fn base64(text: &str) -> Option<Self> {
        BASE64_STANDARD.decode(text).ok()?;
        Some(Self { json: raw(["\"", text, "\""].concat()), kind: PayloadKind::Bytes })
    }

    pub(crate) fn text(text: &str) -> Self {
        // A text may be six times as long in JSON; memory is taken once it is known how long it is.
        let mut length = Length(0);
        let mut json = Vec::new();
        if serde_json::to_writer(&mut length, text).is_ok() {
            json.reserve_exact(length.0);
        }
        write_json(&mut json, text);
        Self { json: raw(String::from_utf8(json).unwrap_or_default()), kind: PayloadKind::Json }
    }

    pub(crate) fn absent() -> Self {
        Self { json: RawValue::NULL.to_owned(), kind: PayloadKind::Absent }
    }

    /// An object without members: what the model's own events carry where nothing was said.
    pub(crate) fn empty_object() -> Self {
        Self { json: raw("{}".to_owned()), kind: PayloadKind::Json }
    }

    pub(crate) fn is_object(&self) -> bool {
        self.json.get().starts_with('{')
    }

    /// What the payload is to somebody who does not know JSON: bytes as they are, a string's text, the text of any other
    /// value, and nothing.
    pub(crate) fn to_bytes(&self) -> Cow<'_, [u8]> {
        let json = self.json.get();
        match self.kind {
            PayloadKind::Absent => Cow::Borrowed(&[]),
            PayloadKind::Json => Cow::Borrowed(json.as_bytes()),
            // The text was checked when it became a payload, and Base64 has no character JSON escapes.
            PayloadKind::Bytes => {
                Cow::Owned(BASE64_STANDARD.decode(json.trim_matches('"')).unwrap_or_default())
            }
        }
    }

    /// The text of a JSON string.
    pub(crate) fn as_text(&self) -> Option<Cow<'_, str>> {
        let json = self.json.get();
        match json.strip_prefix('"').and_then(|json| json.strip_suffix('"')) {
            Some(plain) if self.kind == PayloadKind::Json && !plain.contains('\\') => {
                Some(Cow::Borrowed(plain))
            }
            Some(_) if self.kind == PayloadKind::Json => serde_json::from_str(json).ok().map(Cow::Owned),
            _ => None,
        }
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.json.get() == other.json.get()
    }
}

/// What is known to be JSON; `null` only keeps this free of a panic.
fn raw(json: String) -> Box<RawValue> {
    RawValue::from_string(json).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// Counts what is written.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
