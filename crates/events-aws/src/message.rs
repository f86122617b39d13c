//! An event as a message: what is written, and what must be refused before it is sent.

use std::hash::{DefaultHasher, Hash, Hasher};

use events_core::wire::{Encoded, Encoding};
use events_core::{Error, ErrorKind, Event, Result};

use crate::attribute::Attribute;
use crate::group_key::GroupKey;
use crate::limits;

/// Attributes that copy fields of the body, so that filter policies can see them. No header can have one of these names.
pub(crate) const COPIES: [&str; 5] = ["event_type", "source", "event_id", "version", "content_type"];

/// The most headers of an event: what the copies leave of the ten attributes.
pub(crate) const MAX_HEADERS: usize = limits::ATTRIBUTES - COPIES.len();

/// The most headers of an event in the binary mode of CloudEvents: what is left beside `ce_specversion`, `ce_id`,
/// `ce_source`, `ce_type`, `ce_time` and `content-type`.
pub(crate) const MAX_HEADERS_IN_BINARY_MODE: usize = limits::ATTRIBUTES - 6;

const OPERATION: &str = "publish";

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outgoing {
    pub(crate) body: String,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) order: Option<Order>,
}

/// What a FIFO topic or queue wants to know of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) group: String,
    /// A message with the id of one that was accepted in the last five minutes is accepted and not delivered again.
    pub(crate) deduplication_id: String,
}

impl Outgoing {
    /// What AWS counts towards the sizes of messages and batches.
    pub(crate) fn counted_bytes(&self) -> usize {
        self.body.len() + self.attributes.iter().map(Attribute::counted_bytes).sum::<usize>()
    }
}

/// Makes messages of events for one topic or queue.
#[derive(Debug)]
pub(crate) struct Writer {
    /// The largest event; see [`Capabilities::max_event_bytes`](events_core::Capabilities::max_event_bytes).
    pub(crate) max_event_bytes: usize,
    /// How events are grouped, where the topic or queue is FIFO.
    pub(crate) groups: Option<GroupKey>,
    /// How events are spelled.
    pub(crate) encoding: Encoding,
}

impl Writer {
    /// The message of `event`, or why AWS would refuse it.
    pub(crate) fn message(&self, event: &Event) -> Result<Outgoing> {
        let invalid = |message: String| Err(Error::new(ErrorKind::InvalidEvent, OPERATION, message));
        let encoded = self.encoding.encode(event)?;
        let bytes = encoded.counted_bytes();
        if bytes > self.max_event_bytes {
            return Err(Error::too_large(OPERATION, bytes, self.max_event_bytes));
        }
        let room = limits::ATTRIBUTES - if self.has_copies() { COPIES.len() } else { 0 };
        if encoded.beside().len() > room {
            let count = encoded.beside().len();
            return invalid(format!(
                "the event has {count} headers or attributes beside its body; of the 10 attributes of a message {room} are left for them"
            ));
        }
        for (name, value) in encoded.beside() {
            if let Some(rule) = limits::broken_name_rule(name) {
                return invalid(format!("the name of the header {name:?} {rule}"));
            }
            if let Some(refused) = limits::refused_character(value) {
                return invalid(format!("the header {name:?} has {refused:?}, which SQS refuses"));
            }
        }
        let attributes = self.attributes(event, &encoded);
        let body = match encoded.into_body().map(String::from_utf8) {
            Some(Ok(body)) if !body.is_empty() => body,
            Some(Ok(_)) | None => {
                return invalid("the event has no data to be a body, which SQS demands".to_owned());
            }
            Some(Err(_)) => return invalid("the event's body is not UTF-8, which SQS demands".to_owned()),
        };
        if let Some(refused) = limits::refused_character(&body) {
            return invalid(format!("the event's body has {refused:?}, which SQS refuses"));
        }
        let order = self.groups.as_ref().map(|key| Order {
            group: key.group(event),
            deduplication_id: deduplication_id(event.id(), &body),
        });
        Ok(Outgoing { body, attributes, order })
    }

    /// Whether fields of the body are copied: in the binary mode of CloudEvents they are attributes already.
    fn has_copies(&self) -> bool {
        self.encoding != Encoding::CloudEventsBinary
    }

    fn attributes(&self, event: &Event, encoded: &Encoded<'_>) -> Vec<Attribute> {
        let mut attributes = if self.has_copies() { self.copies(event) } else { Vec::new() };
        attributes.extend(encoded.beside().map(|(name, value)| Attribute::text(name, value)));
        attributes
    }

    fn copies(&self, event: &Event) -> Vec<Attribute> {
        let copies = [("event_type", event.event_type()), ("source", event.source())];
        let copies = copies.into_iter().chain(event.id().map(|id| ("event_id", id)));
        // A copy that AWS would refuse, or that is too long to filter by, is left out: the body has it.
        let copyable = |(_, text): &(&str, &str)| {
            !text.is_empty()
                && text.len() <= limits::ATTRIBUTE_TEXT
                && limits::refused_character(text).is_none()
        };
        let mut copied: Vec<Attribute> =
            copies.filter(copyable).map(|(name, text)| Attribute::text(name, text)).collect();
        copied.push(Attribute::number("version", event.version()));
        copied.push(Attribute::text("content_type", self.encoding.content_type(event)));
        copied
    }
}

/// The event's id; a digest where there is none, or where AWS would not take it as it is.
fn deduplication_id(id: Option<&str>, body: &str) -> String {
    match id {
        Some(id) if limits::group_text(id) == id => id.to_owned(),
        _ => digest(id.unwrap_or(body)),
    }
}

/// 128 bits that tell texts apart for the five minutes in which AWS compares them.
fn digest(text: &str) -> String {
    let half = |seed: u8| {
        let mut hasher = DefaultHasher::new();
        (seed, text).hash(&mut hasher);
        hasher.finish()
    };
    format!("{:016x}{:016x}", half(0), half(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer() -> Writer {
        Writer { max_event_bytes: 1_000, groups: Some(GroupKey::Source), encoding: Encoding::Adr018 }
    }

    fn refusal(event: &Event) -> ErrorKind {
        writer().message(event).unwrap_err().kind()
    }

    #[test]
    fn an_event_carries_its_copies_and_headers_as_attributes() {
        let event =
            Event::builder("a.b", "s").with_id("1").with_version(2).with_header("traceparent", "00").build();
        let message = writer().message(&event.unwrap()).unwrap();
        let attributes: Vec<_> =
            message.attributes.iter().map(|a| (&*a.name, &*a.data_type, a.bytes())).collect();
        assert_eq!(
            attributes,
            [
                ("event_type", "String", &b"a.b"[..]),
                ("source", "String", b"s"),
                ("event_id", "String", b"1"),
                ("version", "Number", b"2"),
                ("content_type", "String", b"application/json"),
                ("traceparent", "String", b"00"),
            ]
        );
        assert_eq!(message.order, Some(Order { group: "s".into(), deduplication_id: "1".into() }));
    }

    #[test]
    fn copies_that_aws_would_refuse_are_left_to_the_body() {
        let event = Event::foreign("a", "\u{0}").with_id("x".repeat(257)).build().unwrap();
        let message = writer().message(&event).unwrap();
        let names: Vec<_> = message.attributes.iter().map(|attribute| &*attribute.name).collect();
        assert_eq!(names, ["event_type", "version", "content_type"]);
        assert_eq!(message.order.unwrap().deduplication_id.len(), 32);
    }

    #[test]
    fn what_aws_would_refuse_is_refused_with_a_typed_error() {
        let with_headers = |count: usize| {
            Event::builder("a.b", "s").with_headers((0..count).map(|n| (format!("h{n}"), "v")))
        };
        assert!(writer().message(&with_headers(MAX_HEADERS).build().unwrap()).is_ok());
        let header =
            |name: &str, value: &str| Event::builder("a.b", "s").with_header(name, value).build().unwrap();
        for event in [
            with_headers(MAX_HEADERS + 1).build().unwrap(),
            header("two words", "v"),
            header("x", "\u{1}"),
            Event::builder("a.b", "s").with_payload_json("{\"a\":\"\u{ffff}\"}").build().unwrap(),
        ] {
            assert_eq!(refusal(&event), ErrorKind::InvalidEvent);
        }
        assert_eq!(refusal(&header("x", &"v".repeat(1_000))), ErrorKind::TooLarge);
    }

    #[test]
    fn ids_that_differ_never_become_one_deduplication_id() {
        let long = |end: &str| deduplication_id(Some(&format!("{}{end}", "x".repeat(128))), "");
        assert_ne!(long("1"), long("2"));
        assert_ne!(deduplication_id(Some("é"), ""), deduplication_id(Some("è"), ""));
        assert_ne!(deduplication_id(None, "{}"), deduplication_id(None, "{ }"));
    }
}
