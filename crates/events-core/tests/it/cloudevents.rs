//! The rules of CloudEvents 1.0, one by one, and its published schema.

use std::sync::LazyLock;

use events_core::wire::{Encoding, RawMessage};
use events_core::{AttributeValue, ErrorKind, Event, EventBuilder, PayloadKind, Result};
use proptest::prelude::*;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::datetime;

use crate::round_trip::{EPOCH, json};

const SCHEMA: &str = include_str!("../data/cloudevents.schema.json");

fn schema() -> &'static jsonschema::Validator {
    static COMPILED: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
    });
    &COMPILED
}

pub(crate) fn written(event: &Event) -> Value {
    serde_json::from_slice(Encoding::CloudEvents.encode(event).unwrap().body().unwrap()).unwrap()
}

pub(crate) fn read(body: &Value) -> Result<Event> {
    RawMessage::from_body(body.to_string()).decode(EPOCH)
}

/// A whole event with one member changed; `null` takes it away.
fn read_with(member: &str, value: Value) -> Result<Event> {
    let mut body = json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "a.b"});
    match value {
        Value::Null => drop(body.as_object_mut().unwrap().remove(member)),
        value => body[member] = value,
    }
    Encoding::CloudEvents.decode([(&b"event"[..], body.to_string().as_bytes())], EPOCH)
}

fn refused(result: Result<Event>) {
    assert_eq!(result.expect_err("it breaks a rule").kind(), ErrorKind::InvalidEvent);
}

pub(crate) fn builder() -> EventBuilder {
    Event::builder("a.b", "qontract-api")
}

#[test]
fn what_is_written_is_valid_against_the_published_schema() {
    let schema = schema();
    let full = || {
        builder()
            .with_version(7)
            .with_subject("team-a")
            .with_data_schema("https://schemas.example/users/1")
            .with_extension("retries", 3)
            .with_extension("dry", true)
            .with_extension("region", "eu")
            .with_header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    };
    for event in [
        builder().build(),
        full().build(),
        full().with_any_payload(json!([1, "x"])).build(),
        full().with_any_payload("text").with_data_content_type("text/plain").build(),
        full().with_payload_bytes([0, 255]).with_data_content_type("image/png").build(),
        full().without_payload().build(),
    ] {
        let written = written(&event.unwrap());
        let wrong: Vec<String> = schema.iter_errors(&written).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{written}: {wrong:?}");
    }
    // The schema looks at what it should.
    for (member, value) in [("time", json!("yesterday")), ("source", json!("two words")), ("id", json!(1))] {
        let mut written = written(&full().build().unwrap());
        written[member] = value;
        assert!(!schema.is_valid(&written), "{member}");
    }
}

proptest! {
    #[test]
    fn whatever_is_written_is_valid_and_everything_else_refused(
        source in "\\PC{1,12}", id in "\\PC{1,9}", event_type in "\\PC{1,9}", subject in "\\PC{1,9}", data in json()
    ) {
        let event = Event::foreign(event_type, source.clone()).with_id(id).with_any_payload(data);
        let event = event.with_subject(subject).build();
        let Ok(event) = event else { return Ok(()) };
        match Encoding::CloudEvents.encode(&event) {
            Ok(encoded) => {
                let written: Value = serde_json::from_slice(encoded.body().unwrap()).unwrap();
                prop_assert!(schema().is_valid(&written), "{}", written);
            }
            Err(error) => prop_assert_eq!(error.kind(), ErrorKind::InvalidEvent),
        }
    }
}

#[test]
fn the_context_stands_at_the_top_in_the_types_json_has() {
    let event = builder()
        .with_id("1")
        .with_timestamp(datetime!(2026-02-10 12:00:00.123456 UTC))
        .with_version(2)
        .with_payload_json("{\"big\": 123456789012345678901234567890}")
        .with_subject("team-a")
        .with_extension("retries", 3)
        .with_extension("dry", true)
        .with_headers([("traceparent", "00-1"), ("request_id", "abc")])
        .build()
        .unwrap();
    let encoded = Encoding::CloudEvents.encode(&event).unwrap();
    assert_eq!(
        std::str::from_utf8(encoded.body().unwrap()).unwrap(),
        "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"qontract-api\",\"type\":\"a.b\",\
         \"time\":\"2026-02-10T12:00:00.123456Z\",\"datacontenttype\":\"application/json\",\"subject\":\"team-a\",\
         \"dry\":true,\"retries\":3,\"schemaversion\":2,\"traceparent\":\"00-1\",\
         \"data\":{\"big\": 123456789012345678901234567890}}"
    );
    assert_eq!(encoded.beside().collect::<Vec<_>>(), [("request_id", "abc")]);
}

#[test]
fn id_source_type_and_specversion_are_required_and_not_empty() {
    for member in ["id", "source", "type", "specversion"] {
        refused(read_with(member, Value::Null));
        for wrong in [json!(""), json!(1), json!({"a": 1})] {
            refused(read_with(member, wrong));
        }
    }
    let without_id = RawMessage::from_body(r#"{"event_type":"a.b","source":"s"}"#).decode(EPOCH).unwrap();
    refused(Encoding::CloudEvents.encode(&without_id).map(|_| without_id.clone()));
}

#[test]
fn other_versions_of_the_specification_are_refused() {
    for good in ["1.0", "1.1"] {
        read_with("specversion", json!(good)).unwrap();
    }
    for bad in ["0.3", "2.0", "1", "1.x", "latest"] {
        refused(read_with("specversion", json!(bad)));
    }
}

#[test]
fn a_time_is_rfc_3339_and_its_absence_is_the_time_of_publication() {
    let time = |value: Value| read_with("time", value).map(|event| event.timestamp());
    assert_eq!(time(json!("2018-04-05T17:31:00Z")).unwrap(), datetime!(2018-04-05 17:31 UTC));
    assert_eq!(time(json!("2018-04-05T17:31:00.5+05:30")).unwrap(), datetime!(2018-04-05 12:01:00.5 UTC));
    assert_eq!(time(Value::Null).unwrap(), EPOCH);
    assert_eq!(
        read(&json!({"specversion": "1.0", "id": "1", "source": "s", "type": "a.b", "time": null}))
            .unwrap()
            .timestamp(),
        EPOCH
    );
    for bad in [json!("2018-04-05"), json!("1770724800"), json!(1_770_724_800), json!("")] {
        refused(read_with("time", bad));
    }
}

#[test]
fn a_source_is_a_uri_reference() {
    for good in [
        "https://github.com/cloudevents",
        "mailto:a@b.c",
        "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
        "cloudevents/spec/pull/123",
        "/sensors/tn-1234567/alerts",
        "1-555-123-4567",
        "qontract_api.tasks",
    ] {
        let event = Event::builder("a.b", good).build().unwrap();
        assert_eq!(written(&event)["source"], good);
    }
    for bad in ["two words", "a\\b", "%zz", "é", "1:2", "a#b#c"] {
        let event = Event::builder("a.b", bad).build().unwrap();
        for encoding in [Encoding::CloudEvents, Encoding::CloudEventsBinary, Encoding::FastStream] {
            refused(encoding.encode(&event).map(|_| event.clone()));
        }
        // Somebody else's is passed on, as it helps nobody to lose the event.
        assert_eq!(read_with("source", json!(bad)).unwrap().source(), bad);
    }
}

#[test]
fn a_schema_is_named_by_a_uri_and_data_by_a_media_type() {
    for bad in ["", "users/1", "two words"] {
        refused(builder().with_data_schema(bad).build());
    }
    for bad in ["", "json", "a/b/c", "é/x"] {
        refused(builder().with_data_content_type(bad).build());
    }
    refused(builder().with_subject("").build());
}

#[test]
fn names_of_extensions_are_lower_case_letters_and_digits_and_short() {
    for bad in [
        "",
        "Upper",
        "with_underscore",
        "with-dash",
        "é",
        "a b",
        "a23456789012345678901",
        "data",
        "datacontenttype",
        "dataschema",
        "id",
        "source",
        "specversion",
        "subject",
        "time",
        "type",
        "traceparent",
        "tracestate",
        "schemaversion",
    ] {
        refused(builder().with_extension(bad, "x").build());
    }
    builder().with_extension("a2345678901234567890", "x").build().unwrap();
    // Read from somebody who knew no better, and refused where it would be written again.
    let odd = read_with("traceParent", json!("00")).unwrap();
    assert_eq!(odd.extension("traceParent"), Some(&"00".into()));
    refused(Encoding::CloudEvents.encode(&odd).map(|_| odd.clone()));
}

#[test]
fn what_was_read_with_a_broken_rule_is_not_written_again() {
    for (member, bad) in [
        ("id", "a\nb"),
        ("source", "two words"),
        ("source", "\u{fffe}"),
        ("type", "a.b\t"),
        ("subject", "a\nb"),
        ("dataschema", "users/1"),
        ("datacontenttype", "json"),
        ("ext", "a\nb"),
    ] {
        let mut body = json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "a.b", "data": {}});
        body[member] = bad.into();
        let event = read(&body).unwrap();
        for encoding in Encoding::ALL.into_iter().filter(|encoding| *encoding != Encoding::Adr018) {
            refused(encoding.encode(&event).map(|_| event.clone()));
        }
        // The decision record has no such rules.
        let raw = RawMessage::from(&Encoding::Adr018.encode(&event).unwrap());
        assert_eq!(raw.decode(EPOCH).unwrap(), event, "{member}");
    }
    for record in [
        json!({"event_type": "a.b", "source": "", "id": "1"}),
        json!({"event_type": "", "source": "s", "id": "1"}),
    ] {
        let event = read(&record).unwrap();
        refused(Encoding::CloudEvents.encode(&event).map(|_| event.clone()));
    }
}

#[test]
fn extensions_are_of_the_types_the_specification_has() {
    for (value, read) in [
        (json!("text"), Some(AttributeValue::from("text"))),
        (json!(true), Some(true.into())),
        (json!(i32::MIN), Some(i32::MIN.into())),
        (json!(i32::MAX), Some(i32::MAX.into())),
    ] {
        let event = read_with("ext", value.clone()).unwrap();
        assert_eq!(event.extension("ext"), read.as_ref());
        assert_eq!(written(&event)["ext"], value);
    }
    for bad in [json!(2_147_483_648_i64), json!(-2_147_483_649_i64), json!(1.5), json!([1]), json!({"a": 1})]
    {
        refused(read_with("ext", bad));
    }
    let null =
        read(&json!({"specversion": "1.0", "id": "1", "source": "s", "type": "a.b", "ext": null})).unwrap();
    assert_eq!(null.extension("ext"), None);
}

#[test]
fn texts_have_no_control_characters_and_no_noncharacters() {
    for bad in ["a\n", "\u{0}", "\u{7f}", "\u{9b}", "\u{fffe}", "\u{fdd0}", "\u{fdef}", "\u{1ffff}"] {
        refused(builder().with_subject(bad).build());
        refused(builder().with_extension("ext", bad).build());
        let event = builder().with_id(bad).build().unwrap();
        refused(Encoding::CloudEvents.encode(&event).map(|_| event.clone()));
    }
    builder().with_subject("Zoë 東京 🦀").build().unwrap();
}

#[test]
fn events_of_sixty_four_kilobytes_go_through() {
    let event = builder().with_payload(json!({"text": "x".repeat(64 * 1024)})).build().unwrap();
    for encoding in Encoding::ALL {
        assert_eq!(RawMessage::from(&encoding.encode(&event).unwrap()).decode(EPOCH).unwrap(), event);
    }
}

#[test]
fn data_is_any_json_or_bytes_or_absent_and_never_two_of_them() {
    for (data, kind) in [
        (json!({"a": 1}), PayloadKind::Json),
        (json!([1, 2]), PayloadKind::Json),
        (json!("hello"), PayloadKind::Json),
        (json!(1.5), PayloadKind::Json),
        (json!(false), PayloadKind::Json),
    ] {
        let event = read_with("data", data.clone()).unwrap();
        assert_eq!((event.payload_as::<Value>().unwrap(), event.payload_kind()), (data, kind));
    }
    let bytes = read_with("data_base64", json!("AAH/")).unwrap();
    assert_eq!(
        (bytes.payload_bytes().as_ref(), bytes.payload_kind()),
        (&[0, 1, 255][..], PayloadKind::Bytes)
    );
    assert_eq!(bytes.payload(), "\"AAH/\"");
    assert_eq!(read_with("data", Value::Null).unwrap().payload_kind(), PayloadKind::Absent);
    for bad in ["AAH", "AA*/", "AAH-", "====", "AB=="] {
        refused(read_with("data_base64", json!(bad)));
    }
    refused(read_with("data_base64", json!(1)));
    let mut both = json!({"specversion": "1.0", "id": "1", "source": "s", "type": "a.b", "data": 1, "data_base64": "AA=="});
    refused(read(&both));
    both["data"] = Value::Null;
    assert_eq!(read(&both).unwrap().payload_kind(), PayloadKind::Bytes);
    // What is absent is not written as `null`, which other readers take for a value.
    let nothing = written(&builder().without_payload().build().unwrap());
    assert_eq!((nothing.get("data"), nothing.get("data_base64")), (None, None));
}

#[test]
fn a_schema_version_is_an_extension_on_the_wire() {
    for (value, version) in
        [(json!(2), 2), (json!("3"), 3), (json!("18446744073709551615"), u64::MAX), (json!(1), 1)]
    {
        let event = read_with("schemaversion", value).unwrap();
        assert_eq!((event.version(), event.extensions().count()), (version, 0));
        assert_eq!(read(&written(&event)).unwrap().version(), version);
    }
    let words = read_with("schemaversion", json!("v2-beta")).unwrap();
    assert_eq!((words.version(), words.extension("schemaversion")), (1, Some(&"v2-beta".into())));
}

#[test]
fn an_entry_in_binary_mode_is_held_to_the_same_rules() {
    let read_fields = |fields: &[(&str, &[u8])]| {
        let fields = fields.iter().map(|(name, value)| (name.as_bytes(), *value));
        events_core::wire::decode(fields, OffsetDateTime::UNIX_EPOCH)
    };
    const WHOLE: [(&str, &[u8]); 4] =
        [("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_source", b"/s"), ("ce_type", b"a.b")];
    let with = |name: &'static str, value: &'static [u8]| {
        let kept = WHOLE.into_iter().filter(|(known, _)| *known != name);
        read_fields(&kept.chain([(name, value)]).collect::<Vec<_>>())
    };
    assert_eq!(read_fields(&WHOLE).unwrap().payload_kind(), PayloadKind::Absent);
    assert_eq!(with("event", b"{\"a\":1}").unwrap().payload(), "{\"a\":1}");
    assert_eq!(with("event", b"no json").unwrap().payload_bytes().as_ref(), b"no json");
    assert_eq!(with("ce_ext", b"5").unwrap().extension("ext"), Some(&"5".into()));
    for at in 1..4 {
        let without: Vec<_> =
            WHOLE.iter().enumerate().filter(|(n, _)| *n != at).map(|(_, field)| *field).collect();
        refused(read_fields(&without));
    }
    for (name, bad) in
        [("ce_specversion", &b"0.3"[..]), ("ce_id", b""), ("ce_time", b"yesterday"), ("ce_ext", b"\xff")]
    {
        refused(with(name, bad));
    }
    refused(read_fields(
        &[&WHOLE[..], &[("content-type", b"application/json"), ("event", b"no json")]].concat(),
    ));
}
