//! A message as it comes from a queue, and the event in it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use events_core::wire::{self, BODY_FIELD, Encoding, RawMessage};
use events_core::{Error, ErrorKind, Event, MessageId, Result};
use serde::Deserialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;

use crate::attribute::Attribute;
use crate::body_format::BodyFormat;
use crate::message::COPIES;

/// The attribute of a message that was redriven: the id under which its event was first known.
pub(crate) const ORIGIN_ID: &str = "events-origin-id";

/// A message as a queue gives it.
#[derive(Clone, Debug)]
pub(crate) struct Incoming {
    pub(crate) message_id: String,
    pub(crate) handle: String,
    pub(crate) body: String,
    /// Ordered by name.
    pub(crate) attributes: Vec<Attribute>,
    /// Deliveries of the message, this one included.
    pub(crate) receive_count: u32,
    pub(crate) sent_at: Option<OffsetDateTime>,
    pub(crate) first_received_at: Option<OffsetDateTime>,
    /// When this delivery came, by our own clock: the queue does not say.
    pub(crate) received_at: OffsetDateTime,
    pub(crate) group: Option<String>,
    /// The queue whose redrive policy moved the message here.
    pub(crate) source_arn: Option<String>,
}

/// A message that holds an event.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) event: Event,
    /// The id the publisher of the event was told: the queue's, SNS's where its envelope names it, and that of the
    /// message a redriven one was made of.
    pub(crate) message_id: MessageId,
}

impl Incoming {
    /// When the queue accepted the message.
    pub(crate) fn published_at(&self) -> OffsetDateTime {
        // Every queue says when; a broker that does not is taken to have got it now.
        self.sent_at.unwrap_or_else(OffsetDateTime::now_utc)
    }

    /// The event in the message, in the encoding that is expected if one is.
    pub(crate) fn open(&self, format: BodyFormat, expected: Option<Encoding>) -> Result<Opened> {
        match format {
            BodyFormat::Raw => self.open_raw(expected),
            BodyFormat::Envelope => match Envelope::parse(&self.body) {
                Some(envelope) => self.open_envelope(&envelope, expected),
                None => {
                    Err(Error::new(ErrorKind::InvalidEvent, "decode event", "the body is no SNS envelope"))
                }
            },
            // SNS puts no attributes beside an envelope, so that a message that has some cannot be one.
            BodyFormat::Auto if !self.attributes.is_empty() => self.open_raw(expected),
            BodyFormat::Auto => match Envelope::parse(&self.body) {
                // What is an event in itself is that event, however much it looks like an envelope.
                Some(envelope) => {
                    self.open_raw(expected).or_else(|_| self.open_envelope(&envelope, expected))
                }
                None => self.open_raw(expected),
            },
        }
    }

    fn open_raw(&self, expected: Option<Encoding>) -> Result<Opened> {
        let headers = self.attributes.iter().map(|attribute| (&*attribute.name, attribute.bytes()));
        let event = decode(&self.body, headers, self.published_at(), expected)?;
        Ok(Opened {
            event,
            message_id: self.origin_id().unwrap_or_else(|| MessageId::new(&*self.message_id)),
        })
    }

    fn open_envelope(&self, envelope: &Envelope<'_>, expected: Option<Encoding>) -> Result<Opened> {
        let attributes: Vec<Attribute> = envelope.attributes.iter().map(EnvelopeAttribute::read).collect();
        let headers = attributes.iter().map(|attribute| (&*attribute.name, attribute.bytes()));
        let event = decode(&envelope.message, headers, self.published_at(), expected)?;
        let id = envelope.message_id.as_deref().unwrap_or(&self.message_id);
        Ok(Opened { event, message_id: MessageId::new(id) })
    }

    fn origin_id(&self) -> Option<MessageId> {
        let attribute = self.attributes.iter().find(|attribute| attribute.name == ORIGIN_ID)?;
        std::str::from_utf8(attribute.bytes()).ok().map(MessageId::from)
    }

    /// The message as it lies in the queue. Where it holds an event, copies of the event's own fields are left out.
    pub(crate) fn raw(&self, holds_event: bool) -> RawMessage {
        let mut message = RawMessage::from_body(self.body.as_bytes());
        let kept = self.attributes.iter().filter(|attribute| !(holds_event && is_copy(&attribute.name)));
        message
            .fields
            .extend(kept.map(|attribute| (attribute.name.as_bytes().to_vec(), attribute.bytes().to_vec())));
        message
    }
}

fn is_copy(name: &str) -> bool {
    // `event` names the body on other brokers and is no header anywhere.
    name == BODY_FIELD || name == ORIGIN_ID || COPIES.contains(&name)
}

fn decode<'a>(
    body: &'a str,
    headers: impl Iterator<Item = (&'a str, &'a [u8])>,
    published_at: OffsetDateTime,
    expected: Option<Encoding>,
) -> Result<Event> {
    let headers = headers.filter(|(name, _)| !is_copy(name)).map(|(name, value)| (name.as_bytes(), value));
    let fields = std::iter::once((BODY_FIELD.as_bytes(), body.as_bytes())).chain(headers);
    wire::decode_expecting(expected, fields, published_at)
}

/// What SNS puts around a message unless the subscription asks for raw delivery.
#[derive(Debug, Deserialize)]
struct EnvelopeJson<'a> {
    #[serde(rename = "Type", borrow)]
    kind: Cow<'a, str>,
    #[serde(rename = "TopicArn", borrow)]
    _topic_arn: Cow<'a, str>,
    #[serde(rename = "Message", borrow)]
    message: Cow<'a, str>,
    #[serde(rename = "MessageId", borrow, default)]
    message_id: Option<Cow<'a, str>>,
    /// Read apart, so that odd attributes cannot make the message unreadable.
    #[serde(rename = "MessageAttributes", borrow, default)]
    attributes: Option<&'a RawValue>,
}

#[derive(Debug)]
struct Envelope<'a> {
    message: Cow<'a, str>,
    message_id: Option<Cow<'a, str>>,
    attributes: Vec<EnvelopeAttribute>,
}

#[derive(Debug)]
struct EnvelopeAttribute {
    name: String,
    typed: TypedValue,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TypedValue {
    #[serde(rename = "Type")]
    data_type: String,
    value: String,
}

impl<'a> Envelope<'a> {
    /// The envelope, if `body` has the shape of one.
    fn parse(body: &'a str) -> Option<Self> {
        let envelope: EnvelopeJson<'a> = serde_json::from_str(body).ok()?;
        if envelope.kind != "Notification" {
            return None;
        }
        let attributes: BTreeMap<String, TypedValue> = envelope
            .attributes
            .and_then(|attributes| serde_json::from_str(attributes.get()).ok())
            .unwrap_or_default();
        let attributes =
            attributes.into_iter().map(|(name, typed)| EnvelopeAttribute { name, typed }).collect();
        Some(Self { message: envelope.message, message_id: envelope.message_id, attributes })
    }
}

impl EnvelopeAttribute {
    fn read(&self) -> Attribute {
        let mut attribute = Attribute::text(&self.name, &self.typed.value);
        attribute.data_type.clone_from(&self.typed.data_type);
        attribute
    }
}

/// A moment AWS gives in milliseconds since 1970.
pub(crate) fn moment(milliseconds: &str) -> Option<OffsetDateTime> {
    let milliseconds = Duration::from_millis(milliseconds.parse().ok()?);
    OffsetDateTime::UNIX_EPOCH.checked_add(milliseconds.try_into().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"event_type":"a.b","source":"s","payload":{}}"#;

    fn incoming(body: &str) -> Incoming {
        Incoming {
            message_id: "m".into(),
            handle: "h".into(),
            body: body.into(),
            attributes: Vec::new(),
            receive_count: 1,
            sent_at: moment("1795426355275"),
            first_received_at: None,
            received_at: OffsetDateTime::UNIX_EPOCH,
            group: None,
            source_arn: None,
        }
    }

    fn envelope_of(message: &str) -> String {
        serde_json::json!({
            "Type": "Notification", "MessageId": "sns-id", "TopicArn": "arn:aws:sns:r:1:t", "Message": message,
            "MessageAttributes": {
                "event_type": {"Type": "String", "Value": "a.b"},
                "tenant": {"Type": "String", "Value": "x"},
                "x-empty": {"Type": "String.Empty", "Value": "-"},
            },
        })
        .to_string()
    }

    #[test]
    fn an_envelope_is_opened_and_its_attributes_are_the_headers() {
        for format in [BodyFormat::Auto, BodyFormat::Envelope] {
            let opened = incoming(&envelope_of(EVENT)).open(format, None).unwrap();
            assert_eq!(opened.event.event_type(), "a.b");
            assert_eq!(opened.message_id.as_str(), "sns-id");
            let headers: Vec<_> = opened.event.headers().iter().collect();
            assert_eq!(headers, [("tenant", "x"), ("x-empty", "")]);
        }
        assert!(incoming(&envelope_of(EVENT)).open(BodyFormat::Raw, None).is_err());
        assert!(incoming(&envelope_of("no event")).open(BodyFormat::Auto, None).is_err());
    }

    #[test]
    fn an_event_that_looks_like_an_envelope_is_that_event() {
        let body = format!(
            r#"{{"event_type":"outer.b","source":"s","Type":"Notification","TopicArn":"t","Message":{}}}"#,
            serde_json::to_string(EVENT).unwrap()
        );
        for format in [BodyFormat::Raw, BodyFormat::Auto] {
            assert_eq!(incoming(&body).open(format, None).unwrap().event.event_type(), "outer.b");
        }
        assert_eq!(incoming(&body).open(BodyFormat::Envelope, None).unwrap().event.event_type(), "a.b");
    }

    #[test]
    fn a_body_beside_attributes_is_never_an_envelope() {
        let mut message = incoming(&envelope_of(EVENT));
        message.attributes.push(Attribute::text("tenant", "x"));
        assert!(message.open(BodyFormat::Auto, None).is_err());
    }

    #[test]
    fn copies_of_fields_are_no_headers_and_stay_with_what_is_no_event() {
        let mut message = incoming(EVENT);
        message.attributes = vec![Attribute::text("event_type", "a.b"), Attribute::text("tenant", "x")];
        let headers: Vec<_> =
            message.open(BodyFormat::Auto, None).unwrap().event.headers().clone().into_iter().collect();
        assert_eq!(headers, [("tenant".to_owned(), "x".to_owned())]);
        assert_eq!(message.raw(true).fields.len(), 2);
        assert_eq!(message.raw(false).fields.len(), 3);
    }

    #[test]
    fn the_queues_time_stands_in_for_a_missing_timestamp() {
        let event = incoming(EVENT).open(BodyFormat::Auto, None).unwrap().event;
        assert_eq!(event.timestamp().unix_timestamp_nanos() / 1_000_000, 1_795_426_355_275);
        assert_eq!(moment("soon"), None);
    }
}
