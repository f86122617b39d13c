//! What can be built comes back as it was through every encoding that can carry it, and the others say that they cannot.

use events_core::wire::{Encoding, RawMessage, decode_expecting, detect};
use events_core::{AttributeValue, ErrorKind, Event, EventBuilder, PayloadKind};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::Value;
use time::OffsetDateTime;

use crate::round_trip::{EPOCH, json};

const CLOUD_EVENTS: [Encoding; 4] =
    [Encoding::CloudEvents, Encoding::CloudEventsBinary, Encoding::FastStream, Encoding::FastStreamJson];

pub(crate) fn through(encoding: Encoding, event: &Event) -> events_core::Result<Event> {
    let raw = RawMessage::from(&encoding.encode(event)?);
    let fields = || raw.fields.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
    let detected = raw.decode(EPOCH).unwrap();
    let told = decode_expecting(Some(encoding), fields(), EPOCH).unwrap();
    assert_eq!(detected, told, "{encoding}");
    assert_eq!(detect(fields()), encoding);
    // Whoever reads one form of FastStream reads the other.
    let is_faststream = |encoding| matches!(encoding, Encoding::FastStream | Encoding::FastStreamJson);
    for other in Encoding::ALL {
        let read = decode_expecting(Some(other), fields(), EPOCH).map_err(|error| error.kind());
        let wanted = if other == encoding || is_faststream(other) && is_faststream(encoding) {
            Ok(detected.clone())
        } else {
            Err(ErrorKind::InvalidEvent)
        };
        assert_eq!(read, wanted, "{encoding} read as {other}");
    }
    Ok(detected)
}

fn builder() -> impl Strategy<Value = EventBuilder> {
    let extension = prop_oneof![
        any::<bool>().prop_map(AttributeValue::from),
        any::<i32>().prop_map(AttributeValue::from),
        "[a-zé東 ]{0,9}".prop_map(AttributeValue::from),
    ];
    let trace = prop_oneof![Just("traceparent"), Just("tracestate")].prop_map(str::to_owned);
    let header = prop_oneof![trace, "x-[a-zé-ÿ]{1,9}"];
    (
        any::<u64>(),
        "[a-z0-9_-]{1,9}(\\.[a-z0-9_-]{1,9}){1,3}",
        "[a-z][a-z0-9_./-]{0,20}",
        0i128..253_402_300_799_000_000,
        "[ -~é東]{1,20}",
        btree_map(header, any::<String>(), 0..4),
        (
            option::of("[ -~é東]{1,20}"),
            option::of("https://[a-z]{1,9}/[a-z0-9.#?-]{0,9}"),
            btree_map("y[a-z0-9]{1,9}", extension, 0..4),
        ),
    )
        .prop_map(|(version, event_type, source, micros, id, headers, (subject, schema, extensions))| {
            let mut builder = Event::builder(event_type, source)
                .with_version(version)
                .with_timestamp(OffsetDateTime::from_unix_timestamp_nanos(micros * 1_000).unwrap())
                .with_id(id)
                .with_headers(headers);
            if let Some(subject) = subject {
                builder = builder.with_subject(subject);
            }
            if let Some(schema) = schema.filter(|schema| schema.matches('#').count() < 2) {
                builder = builder.with_data_schema(schema);
            }
            extensions.into_iter().fold(builder, |builder, (name, value)| builder.with_extension(name, value))
        })
}

/// The event with its extensions as stream fields have them.
fn with_text_extensions(event: &Event) -> Vec<(String, String)> {
    event.extensions().map(|(name, value)| (name.to_owned(), value.to_string())).collect()
}

proptest! {
    #[test]
    fn any_data_comes_back_as_it_was(builder in builder(), data in json()) {
        let event = builder.with_any_payload(data).build().unwrap();
        for encoding in CLOUD_EVENTS {
            let again = through(encoding, &event).unwrap();
            prop_assert_eq!(with_text_extensions(&again), with_text_extensions(&event));
            if encoding != Encoding::CloudEventsBinary {
                prop_assert_eq!(again, event.clone(), "{}", encoding);
            } else {
                prop_assert_eq!(again.headers(), event.headers());
                prop_assert_eq!((again.payload(), again.payload_kind()), (event.payload(), event.payload_kind()));
                prop_assert_eq!((again.version(), again.timestamp()), (event.version(), event.timestamp()));
                prop_assert_eq!((again.subject(), again.data_schema()), (event.subject(), event.data_schema()));
            }
        }
        match through(Encoding::Adr018, &event) {
            Ok(again) => prop_assert_eq!(again, event),
            Err(error) => {
                prop_assert_eq!(error.kind(), ErrorKind::InvalidEvent);
                prop_assert!(!event.payload().starts_with('{'), "an object is carried");
            }
        }
    }

    #[test]
    fn bytes_and_their_absence_come_back(builder in builder(), bytes in vec(any::<u8>(), 0..50), absent: bool) {
        let event = if absent { builder.without_payload() } else { builder.with_payload_bytes(&bytes) };
        let event = event.build().unwrap();
        for encoding in CLOUD_EVENTS {
            let again = through(encoding, &event).unwrap();
            prop_assert_eq!(again.payload_kind(), event.payload_kind(), "{}", encoding);
            prop_assert_eq!(again.payload_bytes(), event.payload_bytes(), "{}", encoding);
            prop_assert_eq!(again.data_content_type(), event.data_content_type(), "{}", encoding);
        }
        prop_assert_eq!(Encoding::Adr018.encode(&event).map(drop).unwrap_err().kind(), ErrorKind::InvalidEvent);
    }
}

#[test]
fn what_merely_looks_like_another_encoding_is_not_taken_for_it() {
    let record = r#"{"event_type":"a.b","source":"s"}"#;
    let cloud = r#"{"specversion":"1.0","id":"1","source":"s","type":"a.b"}"#;
    for (body, beside, encoding) in [
        // An attribute is a header where the mark of the binary mode is missing, and so are FastStream's data beside a body.
        (record, Some("ce_odd"), Encoding::Adr018),
        (cloud, Some("ce_id"), Encoding::CloudEvents),
        (record, Some("__data__"), Encoding::Adr018),
        // What ends a value, within a string.
        (r#"{"id":"1,2]}","specversion":"1.0","source":"s","type":"a.b"}"#, None, Encoding::CloudEvents),
        // The other one's name within a value, and behind the name that decides.
        (r#"{"payload":{"specversion":"1.0"},"event_type":"a.b","source":"s"}"#, None, Encoding::Adr018),
        (r#"{"source":"\"specversion\":","event_type":"a.b"}"#, None, Encoding::Adr018),
        (r#"{"event_type":"a.b","source":"s","specversion":"1.0"}"#, None, Encoding::Adr018),
        (
            r#" { "data" : [{"event_type":"x"}] , "specversion" : "1.0","id":"1","source":"s","type":"a.b"}"#,
            None,
            Encoding::CloudEvents,
        ),
        (
            r#"{"specversion":"1.0","event_type":"x","id":"1","source":"s","type":"a.b"}"#,
            None,
            Encoding::CloudEvents,
        ),
    ] {
        let mut raw = RawMessage::from_body(body);
        raw.fields.extend(beside.map(|name| (name.into(), b"x".to_vec())));
        assert_eq!(raw.encoding(), encoding, "{body}");
        let event = raw.decode(EPOCH).unwrap();
        assert_eq!(event.event_type(), "a.b", "{body}");
        assert_eq!(event.headers().iter().collect::<Vec<_>>(), beside.map(|name| (name, "x")).as_slice());
    }
    let mut framed =
        RawMessage::from(&Encoding::FastStream.encode(&Event::builder("c.d", "s").build().unwrap()).unwrap());
    framed.fields.extend(RawMessage::from_body(record).fields);
    assert_eq!((framed.encoding(), framed.decode(EPOCH).unwrap().event_type()), (Encoding::Adr018, "a.b"));
    // Of what is neither, whoever is told what is wrong with it is told so of the default.
    for neither in ["{}", "not json", r#"{"type":"a.b"}"#, "[]", ""] {
        assert_eq!(RawMessage::from_body(neither).encoding(), Encoding::Adr018, "{neither}");
    }
}

#[test]
fn null_is_a_payload_that_is_absent() {
    let null = Event::builder("a.b", "s").with_any_payload(Value::Null).build().unwrap();
    assert_eq!((null.payload_kind(), null.payload()), (PayloadKind::Absent, "null"));
    assert_eq!(null.data_content_type(), None);
}

#[test]
fn text_of_another_type_is_the_body_in_binary_mode() {
    let event = Event::builder("a.b", "s")
        .with_any_payload("<much wow=\"xml\"/>\n")
        .with_data_content_type("text/xml; charset=utf-8")
        .build()
        .unwrap();
    let encoded = Encoding::CloudEventsBinary.encode(&event).unwrap();
    assert_eq!(encoded.body(), Some(&b"<much wow=\"xml\"/>\n"[..]));
    for encoding in CLOUD_EVENTS {
        assert_eq!(through(encoding, &event).unwrap(), event);
    }
    let no_text = Event::builder("a.b", "s").with_data_content_type("text/xml").build().unwrap();
    let bytes_of_json = Event::builder("a.b", "s")
        .with_payload_bytes("{}")
        .with_data_content_type("application/json")
        .build()
        .unwrap();
    for event in [no_text, bytes_of_json] {
        let refused = Encoding::CloudEventsBinary.encode(&event).map(drop).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidEvent);
        assert_eq!(through(Encoding::CloudEvents, &event).unwrap(), event);
    }
}

#[test]
fn binary_mode_is_fields_named_as_kafka_names_them() {
    let event = Event::builder("a.b", "s")
        .with_id("1")
        .with_timestamp(OffsetDateTime::UNIX_EPOCH)
        .with_version(2)
        .with_payload_json("{\"n\": 1}")
        .with_subject("team-a")
        .with_extension("retries", 3)
        .with_headers([("traceparent", "00-1"), ("request_id", "abc")])
        .build()
        .unwrap();
    let encoded = Encoding::CloudEventsBinary.encode(&event).unwrap();
    let mut fields: Vec<(&str, &str)> =
        encoded.fields().map(|(name, value)| (name, std::str::from_utf8(value).unwrap())).collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            ("ce_id", "1"),
            ("ce_retries", "3"),
            ("ce_schemaversion", "2"),
            ("ce_source", "s"),
            ("ce_specversion", "1.0"),
            ("ce_subject", "team-a"),
            ("ce_time", "1970-01-01T00:00:00Z"),
            ("ce_traceparent", "00-1"),
            ("ce_type", "a.b"),
            ("content-type", "application/json"),
            ("event", "{\"n\": 1}"),
            ("request_id", "abc"),
        ]
    );
}

#[test]
fn what_an_event_read_elsewhere_has_too_much_of_is_a_typed_error() {
    let odd = |name: &str| {
        let mut raw = RawMessage::from_body(r#"{"event_type":"a.b","source":"s","id":"1"}"#);
        raw.fields.push((name.as_bytes().to_vec(), b"x".to_vec()));
        raw.decode(EPOCH).unwrap()
    };
    // A field of such a name would be something else to the next reader.
    for encoding in [Encoding::Adr018, Encoding::CloudEvents, Encoding::CloudEventsBinary] {
        for name in ["__data__", "ce_odd"] {
            let refused = encoding.encode(&odd(name)).map(drop).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidEvent, "{encoding} {name}");
        }
    }
    for encoding in [Encoding::CloudEventsBinary, Encoding::FastStream, Encoding::FastStreamJson] {
        let refused = encoding.encode(&odd("content-type")).map(drop).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidEvent, "{encoding}");
    }
    let long = Event::builder("a.b", "s").with_header("x", "v".repeat(65_536)).build().unwrap();
    assert_eq!(Encoding::FastStream.encode(&long).map(drop).unwrap_err().kind(), ErrorKind::TooLarge);
    let many =
        Event::builder("a.b", "s").with_headers((0..1025).map(|n| (format!("h{n}"), ""))).build().unwrap();
    for encoding in Encoding::ALL {
        let refused = encoding.encode(&many).map(drop).map_err(|error| error.kind());
        assert!(encoding == Encoding::FastStreamJson || refused == Err(ErrorKind::TooLarge), "{encoding}");
    }
}

#[test]
fn an_encoding_is_called_by_its_name() {
    for encoding in Encoding::ALL {
        assert_eq!(encoding.to_string().parse::<Encoding>().unwrap(), encoding);
        let read: Encoding = serde_json::from_value(encoding.as_str().into()).unwrap();
        assert_eq!(read, encoding);
    }
    assert_eq!("avro".parse::<Encoding>().unwrap_err().kind(), ErrorKind::InvalidConfig);
}
