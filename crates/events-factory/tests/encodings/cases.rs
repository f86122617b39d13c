//! The rows within a row: what events may have, and which encodings have no place for it.

use events_core::wire::{Encoding, RawMessage};
use events_core::{AttributeValue, ErrorKind, Event, EventBuilder};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::datetime;

/// The headers every event of the table has.
pub(crate) const TRACE_CONTEXT: [&str; 2] = ["traceparent", "tracestate"];

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TRACESTATE: &str = "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7";

/// The encodings that are CloudEvents.
const CLOUD_EVENTS: [Encoding; 4] =
    [Encoding::CloudEvents, Encoding::CloudEventsBinary, Encoding::FastStream, Encoding::FastStreamJson];

/// An event, and where it cannot go.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) event: Event,
    /// What binary mode makes of it, where that is something else: fields have no types.
    in_binary_mode: Option<Event>,
    refused: Vec<(Encoding, ErrorKind)>,
    /// What queues have no room for besides.
    refused_by_queues: Vec<Encoding>,
}

/// What becomes of an event.
pub(crate) enum Fate {
    Arrives(Event),
    Refused(ErrorKind),
}

impl Case {
    fn new(name: &'static str, event: impl FnOnce(EventBuilder) -> EventBuilder) -> Self {
        Self::of(name, event(builder(name)).build().unwrap())
    }

    fn of(name: &'static str, event: Event) -> Self {
        Self { name, event, in_binary_mode: None, refused: Vec::new(), refused_by_queues: Vec::new() }
    }

    /// A payload that is no JSON object, which the decision record has no place for.
    fn no_object(name: &'static str, event: impl FnOnce(EventBuilder) -> EventBuilder) -> Self {
        Self::new(name, event).refused_by(&[Encoding::Adr018])
    }

    fn refused_by(self, encodings: &[Encoding]) -> Self {
        self.refused_as(ErrorKind::InvalidEvent, encodings)
    }

    fn refused_as(mut self, kind: ErrorKind, encodings: &[Encoding]) -> Self {
        self.refused.extend(encodings.iter().map(|encoding| (*encoding, kind)));
        self
    }

    fn refused_by_queues(mut self, encodings: &[Encoding]) -> Self {
        self.refused_by_queues.extend(encodings);
        self
    }

    fn arrives_in_binary_mode(mut self, event: impl FnOnce(EventBuilder) -> EventBuilder) -> Self {
        self.in_binary_mode = Some(event(builder(self.name)).build().unwrap());
        self
    }

    pub(crate) fn fate(&self, encoding: Encoding, is_queue: bool) -> Fate {
        if let Some((_, kind)) = self.refused.iter().find(|(refused, _)| *refused == encoding) {
            return Fate::Refused(*kind);
        }
        if is_queue && self.refused_by_queues.contains(&encoding) {
            return Fate::Refused(ErrorKind::InvalidEvent);
        }
        let changed = self.in_binary_mode.as_ref().filter(|_| encoding == Encoding::CloudEventsBinary);
        Fate::Arrives(changed.unwrap_or(&self.event).clone())
    }
}

/// What tells the events of the table apart: their ids, and the type of the one that has none.
pub(crate) fn key(event: &Event) -> String {
    event.id().unwrap_or(event.event_type()).to_owned()
}

/// An event every encoding carries.
pub(crate) fn plain() -> Event {
    builder("plain").build().unwrap()
}

fn builder(name: &str) -> EventBuilder {
    untraced(name).with_headers([("traceparent", TRACEPARENT), ("tracestate", TRACESTATE)])
}

fn untraced(name: &str) -> EventBuilder {
    Event::builder("slack-usergroups.update_users", "qontract-api")
        .with_id(name)
        .with_timestamp(datetime!(2026-02-10 12:00:00.123456 UTC))
}

/// Somebody else's event, with what none of ours can be built with.
fn foreign(body: &Value) -> Event {
    let mut message = RawMessage::from_body(body.to_string());
    message.fields.push((b"traceparent".to_vec(), TRACEPARENT.into()));
    message.decode(OffsetDateTime::UNIX_EPOCH).unwrap()
}

/// All cases, for a publisher that says how many headers an event may have at most.
pub(crate) fn cases(most_headers: Option<usize>) -> Vec<Case> {
    let mut cases = payloads();
    cases.extend(attributes());
    cases.extend(headers());
    cases.extend(counted_headers(most_headers.unwrap_or(64)));
    cases
}

fn payloads() -> Vec<Case> {
    use Encoding::{Adr018, CloudEventsBinary};
    vec![
        Case::new("an object, to the letter", |event| {
            event.with_payload_json(r#"{"big":123456789012345678901234567890, "e":1.0e+2,"é":"\u00e9"}"#)
        }),
        Case::no_object("an array", |event| event.with_any_payload(json!([1, "x", null]))),
        Case::no_object("a string", |event| event.with_any_payload("hello")),
        Case::no_object("a number", |event| event.with_any_payload_json("-1.50")),
        Case::no_object("a truth value", |event| event.with_any_payload(false)),
        Case::no_object("null", |event| event.with_any_payload(Value::Null))
            .refused_by_queues(&[CloudEventsBinary]),
        Case::no_object("nothing", EventBuilder::without_payload).refused_by_queues(&[CloudEventsBinary]),
        Case::no_object("bytes that are text", |event| event.with_payload_bytes("plain")),
        Case::no_object("bytes that are no text", |event| event.with_payload_bytes([255, 254, 10]))
            .refused_by_queues(&[CloudEventsBinary]),
        Case::no_object("a character queues refuse", |event| event.with_payload_bytes([0]))
            .refused_by_queues(&[CloudEventsBinary]),
        Case::no_object("no bytes", |event| event.with_payload_bytes(""))
            .refused_by_queues(&[CloudEventsBinary]),
        Case::no_object("text of its own kind", |event| {
            event.with_any_payload("<much wow=\"xml\"/>\n").with_data_content_type("text/xml; charset=utf-8")
        }),
        Case::new("JSON of its own kind", |event| event.with_data_content_type("application/vnd.users+json")),
        // What a reader of the binary mode would take for something else.
        Case::new("an object that is said to be text", |event| event.with_data_content_type("text/xml"))
            .refused_by(&[CloudEventsBinary]),
        Case::new("bytes that are said to be JSON", |event| {
            event.with_payload_bytes("{}").with_data_content_type("application/json")
        })
        .refused_by(&[Adr018, CloudEventsBinary]),
    ]
}

fn attributes() -> Vec<Case> {
    let typed = |event: EventBuilder, number: AttributeValue, truth: AttributeValue| {
        event.with_extension("retries", number).with_extension("dry", truth)
    };
    vec![
        Case::new("a subject", |event| event.with_subject("Zoë 東京 🦀")),
        Case::new("a schema", |event| event.with_data_schema("https://schemas.example/users/1#part")),
        Case::new("extensions", |event| event.with_extension("region", "Zoë").with_extension("empty", "")),
        Case::new("extensions with types", |event| typed(event, i32::MIN.into(), true.into()))
            .arrives_in_binary_mode(|event| typed(event, "-2147483648".into(), "true".into())),
        Case::new("a version", |event| event.with_version(7)),
        Case::new("a version of more than 32 bits", |event| event.with_version(u64::MAX)),
        // More attributes than a message of SQS has beside its body.
        Case::new("everything at once", |event| {
            event.with_version(7).with_subject("s").with_data_schema("urn:x:y").with_extension("region", "eu")
        })
        .refused_by_queues(&[Encoding::CloudEventsBinary]),
        Case::of(
            "no id",
            foreign(&json!({"event_type": "no.id", "source": "s", "timestamp": "2026-02-10T12:00:00Z"})),
        )
        .refused_by(&CLOUD_EVENTS),
        Case::new("an id with a line break", |event| event.with_id("a\nb")).refused_by(&CLOUD_EVENTS),
        Case::of(
            "a source that is no URI reference",
            Event::builder("a.b", "two words").with_id("two words").build().unwrap(),
        )
        .refused_by(&CLOUD_EVENTS),
        Case::of(
            "an extension with an odd name",
            foreign(&json!({
                "specversion": "1.0", "id": "odd", "source": "s", "type": "a.b", "traceParent": "00", "data": {},
                "time": "2026-02-10T12:00:00Z",
            })),
        )
        .refused_by(&CLOUD_EVENTS),
    ]
}

fn headers() -> Vec<Case> {
    use Encoding::{Adr018, CloudEventsBinary, FastStream, FastStreamJson};
    vec![
        Case::new("headers", |event| event.with_headers([("x-empty", ""), ("user", "Zoë 東京 🦀\t\"{}")])),
        Case::new("trace context that may be no attribute", |event| {
            event.with_header("tracestate", "a=1\tb")
        }),
        // A later hop's, beside the event's own.
        Case::of(
            "trace context of two hops",
            foreign(&json!({
                "specversion": "1.0", "id": "hops", "source": "s", "type": "a.b", "traceparent": "00-1", "data": {},
                "time": "2026-02-10T12:00:00Z",
            })),
        ),
        Case::new("six headers", |event| event.with_headers(["a", "b", "c", "d"].map(|name| (name, "1"))))
            .refused_by_queues(&[Adr018, CloudEventsBinary]),
        Case::new("a header that names the media type", |event| event.with_header("content-type", "x/y"))
            .refused_by(&[CloudEventsBinary, FastStream, FastStreamJson]),
        Case::new("a header of 64 KiB", |event| event.with_header("long", "v".repeat(65_536)))
            .refused_as(ErrorKind::TooLarge, &[FastStream]),
    ]
}

fn counted_headers(most: usize) -> [Case; 2] {
    let numbered = |name, count| {
        let headers = (0..count).map(|n| (format!("h{n}"), n.to_string()));
        Case::of(name, untraced(name).with_headers(headers).build().unwrap())
    };
    [
        numbered("as many headers as an event may have", most),
        numbered("one header more", most + 1).refused_by_queues(&Encoding::ALL),
    ]
}
