//! The encodings, by name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};
use time::OffsetDateTime;

use super::{Encoded, adr018, cloudevents, decode_expecting, faststream};
use crate::{Error, ErrorKind, Event, Result};

/// How an event is spelled on the wire.
///
/// Publishers write the one they are configured with. Consumers recognise all of them by themselves, message by message,
/// unless told that only one is expected.
///
/// | | JSON object | other JSON | bytes | absent | `subject`, `dataschema`, extensions |
/// |---|---|---|---|---|---|
/// | `Adr018` | yes | refused | refused | refused | yes |
/// | `CloudEvents` | yes | yes | yes | yes | yes |
/// | `CloudEventsBinary` | yes | yes | yes | yes | yes, numbers and truth values as text |
/// | `FastStream`, `FastStreamJson` | yes | yes | yes | yes | yes |
///
/// The four that are CloudEvents need an [`id`](Event::id) and hold [`source`](Event::source) and every attribute to the
/// rules of that specification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Encoding {
    /// `adr018`: the JSON object of the platform's decision record in the field `event`, headers as further fields.
    #[default]
    Adr018,
    /// `cloudevents`: a CloudEvent in structured mode in the field `event`, headers as further fields, and trace context
    /// as the extensions `traceparent` and `tracestate`.
    CloudEvents,
    /// `cloudevents-binary`: a CloudEvent in binary mode: its data in the field `event`, its media type in `content-type`,
    /// and every attribute in a field of its own named `ce_<attribute>`, as the Kafka protocol binding names them.
    CloudEventsBinary,
    /// `faststream`: a CloudEvent in the binary frame of FastStream, field `__data__`, with headers in the frame.
    FastStream,
    /// `faststream-json`: a CloudEvent in the JSON envelope of FastStream before 0.7, field `__data__`, with headers in the
    /// envelope.
    FastStreamJson,
}

impl Encoding {
    /// Every encoding.
    pub const ALL: [Self; 5] =
        [Self::Adr018, Self::CloudEvents, Self::CloudEventsBinary, Self::FastStream, Self::FastStreamJson];

    /// The name in configurations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Adr018 => "adr018",
            Self::CloudEvents => "cloudevents",
            Self::CloudEventsBinary => "cloudevents-binary",
            Self::FastStream => "faststream",
            Self::FastStreamJson => "faststream-json",
        }
    }

    /// Whether a reader that is told to expect this encoding reads a message in `other`: of FastStream's two forms each
    /// reader reads both.
    pub fn reads(self, other: Self) -> bool {
        let is_faststream = |encoding| matches!(encoding, Self::FastStream | Self::FastStreamJson);
        self == other || (is_faststream(self) && is_faststream(other))
    }

    /// The media type of the body.
    pub fn content_type(self, event: &Event) -> &str {
        match self {
            Self::Adr018 => "application/json",
            Self::CloudEvents | Self::FastStreamJson => "application/cloudevents+json",
            Self::CloudEventsBinary => event.data_content_type().unwrap_or("application/json"),
            Self::FastStream => "application/octet-stream",
        }
    }

    /// Encodes an event.
    ///
    /// # Errors
    ///
    /// [`InvalidEvent`](ErrorKind::InvalidEvent) for an event the encoding cannot carry, saying what of it;
    /// [`TooLarge`](ErrorKind::TooLarge) for a header or a message over the encoding's own limits.
    pub fn encode(self, event: &Event) -> Result<Encoded<'_>> {
        let encoded = match self {
            Self::Adr018 => adr018::encode(event),
            Self::CloudEvents => cloudevents::structured::encode(event),
            Self::CloudEventsBinary => cloudevents::binary::encode(event),
            Self::FastStream => faststream::encode_frame(event),
            Self::FastStreamJson => faststream::encode_envelope(event),
        }?;
        encoded.check_limits()?;
        Ok(encoded)
    }

    /// Decodes the fields of one message that must be in this encoding. A reader of either form FastStream has reads both.
    ///
    /// `published_at` stands in for the timestamp of a producer that sent none.
    ///
    /// # Errors
    ///
    /// As [`decode`](super::decode), and when the message is in another encoding.
    pub fn decode<'a>(
        self,
        fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
        published_at: OffsetDateTime,
    ) -> Result<Event> {
        decode_expecting(Some(self), fields, published_at)
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Encoding {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|encoding| encoding.as_str() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            Error::new(ErrorKind::InvalidConfig, "encoding", format!("{name:?} is none of {names}"))
        })
    }
}

impl<'de> Deserialize<'de> for Encoding {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(|error: Error| serde::de::Error::custom(error.message()))
    }
}
