//! From the fields of a message to an event, whichever encoding it is in.

use time::OffsetDateTime;

use super::dialect::Dialect;
use super::fields::insert_lossy;
use super::{BODY_FIELD, Encoding, FASTSTREAM_FIELD, adr018, cloudevents, faststream, limits};
use crate::headers::ATTRIBUTE_PREFIX;
use crate::{Error, ErrorKind, Event, Headers, Result};

/// What errors of decoding say was being done.
pub(super) const DECODE: &str = "decode event";

/// The attribute that tells an entry in binary mode.
const BINARY_MARK: &[u8] = b"specversion";

/// Decodes the fields of one message in any [`Encoding`].
///
/// The field `__data__`, without a field `event`, is what FastStream sends; a field `ce_specversion` tells the binary mode
/// of CloudEvents. Otherwise the first of the names `specversion` and `event_type` among the members of the body decides.
///
/// `published_at` stands in for the timestamp of a producer that sent none: the broker's time of publication, so that
/// every delivery of the event says the same.
/// Header names and values that are not UTF-8 are read with replacement characters rather than lost.
///
/// # Errors
///
/// [`InvalidEvent`](ErrorKind::InvalidEvent) when there is no body, or the body is no event;
/// [`TooLarge`](ErrorKind::TooLarge) beyond [`MAX_MESSAGE_BYTES`](super::MAX_MESSAGE_BYTES) and
/// [`MAX_FIELDS`](super::MAX_FIELDS).
pub fn decode<'a>(
    fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    published_at: OffsetDateTime,
) -> Result<Event> {
    decode_expecting(None, fields, published_at)
}

/// As [`decode`], and where an encoding is given refuses a message in any other.
///
/// # Errors
///
/// As [`decode`].
pub fn decode_expecting<'a>(
    expected: Option<Encoding>,
    fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    published_at: OffsetDateTime,
) -> Result<Event> {
    let message = Message::collect(fields)?;
    let found = message.encoding();
    if let Some(expected) = expected.filter(|expected| !expected.reads(found)) {
        return Err(invalid(format!("the message is in encoding `{found}`, not `{expected}`")));
    }
    message.decode(found, published_at)
}

/// Which encoding a message is in, by the same signs as [`decode`] goes by, without decoding it. Of what is no event it
/// says something.
pub fn detect<'a>(fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Encoding {
    let (mut body, mut data, mut is_binary) = (None, None, false);
    for (name, value) in fields {
        match name {
            name if name == BODY_FIELD.as_bytes() => body = Some(value),
            name if name == FASTSTREAM_FIELD.as_bytes() => data = Some(value),
            name => is_binary |= name.strip_prefix(ATTRIBUTE_PREFIX.as_bytes()) == Some(BINARY_MARK),
        }
    }
    encoding(body, data, is_binary)
}

/// The encoding of a message with this body, or these data for FastStream, which may have the mark of the binary mode.
fn encoding(body: Option<&[u8]>, data: Option<&[u8]>, is_binary: bool) -> Encoding {
    match (body, data) {
        (None, Some(data)) if faststream::is_framed(data) => Encoding::FastStream,
        (None, Some(_)) => Encoding::FastStreamJson,
        _ if is_binary => Encoding::CloudEventsBinary,
        (Some(body), _) if Dialect::of(body) == Dialect::CloudEvents => Encoding::CloudEvents,
        _ => Encoding::Adr018,
    }
}

/// The fields, sorted by what they may be.
#[derive(Default)]
struct Message<'a> {
    body: Option<&'a [u8]>,
    data: Option<&'a [u8]>,
    /// Fields whose name begins as that of an attribute, without that beginning.
    attributes: Vec<(&'a [u8], &'a [u8])>,
    headers: Headers,
}

impl<'a> Message<'a> {
    fn collect(fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Result<Self> {
        let mut message = Self::default();
        let mut bytes = 0;
        for (count, (name, value)) in fields.into_iter().enumerate() {
            bytes += name.len() + value.len();
            limits::check_size(DECODE, bytes)?;
            // The body is none of those that are counted.
            limits::check_count(DECODE, count)?;
            if name == BODY_FIELD.as_bytes() {
                message.body = Some(value);
            } else if name == FASTSTREAM_FIELD.as_bytes() {
                message.data = Some(value);
            } else if let Some(name) = name.strip_prefix(ATTRIBUTE_PREFIX.as_bytes()) {
                message.attributes.push((name, value));
            } else {
                insert_lossy(&mut message.headers, name, value);
            }
        }
        Ok(message)
    }

    fn encoding(&self) -> Encoding {
        let is_binary = self.attributes.iter().any(|(name, _)| *name == BINARY_MARK);
        encoding(self.body, self.data, is_binary)
    }

    fn decode(mut self, encoding: Encoding, published_at: OffsetDateTime) -> Result<Event> {
        if encoding == Encoding::CloudEventsBinary {
            self.data_is_a_header();
            return cloudevents::binary::decode(self.body, &self.attributes, self.headers, published_at);
        }
        for (name, value) in std::mem::take(&mut self.attributes) {
            insert_lossy(&mut self.headers, &[ATTRIBUTE_PREFIX.as_bytes(), name].concat(), value);
        }
        if let (Encoding::FastStream | Encoding::FastStreamJson, Some(data)) = (encoding, self.data) {
            return faststream::decode(data, self.headers, published_at);
        }
        self.data_is_a_header();
        let Some(body) = self.body else {
            return Err(invalid(format!(
                "there is no field `{BODY_FIELD}` and no field `{FASTSTREAM_FIELD}`"
            )));
        };
        match encoding {
            Encoding::CloudEvents => cloudevents::structured::decode(body, self.headers, published_at),
            _ => adr018::decode(body, self.headers, published_at),
        }
    }

    fn data_is_a_header(&mut self) {
        if let Some(data) = self.data.take() {
            insert_lossy(&mut self.headers, FASTSTREAM_FIELD.as_bytes(), data);
        }
    }
}

pub(super) fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidEvent, DECODE, message)
}

/// An error of the JSON decoder: where it was, and its words as the source.
pub(super) fn invalid_json(what: &str, error: serde_json::Error) -> Error {
    let message = format!("the {what} is no event, at line {} column {}", error.line(), error.column());
    invalid(message).with_source(error)
}
