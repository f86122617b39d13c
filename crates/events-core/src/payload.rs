//! What an event carries: JSON, bytes, or nothing.

use std::borrow::Cow;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::value::{RawValue, to_raw_value};

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
        Self { json: string(&BASE64_STANDARD.encode(bytes)), kind: PayloadKind::Bytes }
    }

    /// Bytes somebody wrote in Base64; `None` where it is none.
    pub(crate) fn base64(text: &str) -> Option<Self> {
        BASE64_STANDARD.decode(text).ok()?;
        Some(Self { json: string(text), kind: PayloadKind::Bytes })
    }

    pub(crate) fn text(text: &str) -> Self {
        Self { json: string(text), kind: PayloadKind::Json }
    }

    pub(crate) fn absent() -> Self {
        Self { json: RawValue::NULL.to_owned(), kind: PayloadKind::Absent }
    }

    /// An object without members: what the model's own events carry where nothing was said.
    pub(crate) fn empty_object() -> Self {
        let json = RawValue::from_string("{}".to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned());
        Self { json, kind: PayloadKind::Json }
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

fn string(text: &str) -> Box<RawValue> {
    // A text is always written, and `null` only keeps this free of a panic.
    to_raw_value(text).unwrap_or_else(|_| RawValue::NULL.to_owned())
}
