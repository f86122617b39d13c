//! The bytes of the Python services decode, decode leniently or are refused, as they do there.

use events_core::wire::{Encoding, RawMessage};
use events_core::{ErrorKind, Event};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::datetime;

const LINES: &str = include_str!("../wire/adr018_python.jsonl");
const PUBLISHED_AT: OffsetDateTime = datetime!(2026-03-01 08:00:00 UTC);

#[derive(Deserialize)]
struct Line {
    case: String,
    fields: Fields,
    #[serde(default)]
    decodes_to: Option<Value>,
}

#[derive(Deserialize)]
struct Fields {
    event: String,
}

fn lines(keep: impl Fn(&str) -> bool) -> impl Iterator<Item = (String, String, Option<Value>)> {
    LINES
        .lines()
        .map(|line| serde_json::from_str::<Line>(line).unwrap())
        .map(|line| (line.case, line.fields.event, line.decodes_to))
        .filter(move |(case, ..)| keep(case))
}

fn decode(body: &str) -> events_core::Result<Event> {
    RawMessage::from_body(body).decode(PUBLISHED_AT)
}

fn parse_time(text: &str) -> OffsetDateTime {
    let text = if text.ends_with('Z') || text.contains('+') || text.rfind('-') > Some(10) {
        text.to_owned()
    } else {
        format!("{text}Z")
    };
    OffsetDateTime::parse(&text, &Rfc3339).unwrap()
}

#[test]
fn what_python_writes_is_read_field_by_field() {
    let mut seen = 0;
    for (case, body, _) in lines(|case| !case.starts_with("lenient-") && !case.starts_with("rejected-")) {
        let event = decode(&body).unwrap_or_else(|error| panic!("{case}: {error}"));
        let value: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(event.version(), value["version"].as_u64().unwrap(), "{case}");
        assert_eq!(event.event_type(), value["event_type"], "{case}");
        assert_eq!(event.source(), value["source"], "{case}");
        assert_eq!(event.timestamp(), parse_time(value["timestamp"].as_str().unwrap()), "{case}");
        assert!(event.timestamp().offset().is_utc(), "{case}");
        assert_eq!(event.id(), None, "{case}");
        // Python writes the payload last, so its exact text is what stands between the key and the closing brace.
        let (_, payload) = body.split_once("\"payload\":").unwrap();
        assert_eq!(event.payload(), payload.strip_suffix('}').unwrap(), "{case}");
        seen += 1;
    }
    assert_eq!(seen, 11);
}

#[test]
fn what_python_accepts_besides_is_read_leniently() {
    let mut seen = 0;
    for (case, body, expected) in lines(|case| case.starts_with("lenient-")) {
        let event = decode(&body).unwrap_or_else(|error| panic!("{case}: {error}"));
        if let Some(expected) = expected {
            assert_eq!(event.version(), expected["version"].as_u64().unwrap(), "{case}");
            assert_eq!(event.event_type(), expected["event_type"], "{case}");
            assert_eq!(event.source(), expected["source"], "{case}");
            assert_eq!(event.timestamp(), parse_time(expected["timestamp"].as_str().unwrap()), "{case}");
            assert_eq!(event.payload_as::<Value>().unwrap(), expected["payload"], "{case}");
        } else {
            assert_eq!((event.version(), event.payload()), (1, "{}"), "{case}");
            assert_eq!(event.timestamp(), PUBLISHED_AT, "{case}");
        }
        seen += 1;
    }
    assert_eq!(seen, 6);
}

#[test]
fn what_python_refuses_is_refused() {
    let mut seen = 0;
    for (case, body, _) in lines(|case| case.starts_with("rejected-")) {
        let error = decode(&body).expect_err(&case);
        assert_eq!(error.kind(), ErrorKind::InvalidEvent, "{case}");
        seen += 1;
    }
    assert_eq!(seen, 8);
}

#[test]
fn big_integers_and_the_spelling_of_numbers_survive() {
    let payload = r#"{"big":123456789012345678901234567890,"odd":9007199254740993,"f":1.0,"e":1e2,"z":-0}"#;
    let event = Event::builder("a.b", "s").with_payload_json(payload).build().unwrap();
    let body = Encoding::Adr018.encode(&event).unwrap().into_body().unwrap();
    let again = RawMessage::from_body(body).decode(PUBLISHED_AT).unwrap();
    assert_eq!(again.payload(), payload);
}

#[test]
fn the_body_has_the_fields_of_the_decision_record_and_the_id_last() {
    let event = Event::builder("a.b", "s\n\"")
        .with_timestamp(datetime!(2026-02-10 12:00:00.5 UTC))
        .with_payload(json!({"n": 1}))
        .with_id("x")
        .with_version(2)
        .build()
        .unwrap();
    let body = String::from_utf8(Encoding::Adr018.encode(&event).unwrap().into_body().unwrap()).unwrap();
    assert_eq!(
        body,
        r#"{"version":2,"event_type":"a.b","source":"s\n\"","timestamp":"2026-02-10T12:00:00.500000Z","payload":{"n":1},"id":"x"}"#
    );
    serde_json::from_str::<Box<RawValue>>(&body).unwrap();
}

#[test]
fn readers_are_as_lenient_about_single_fields() {
    let timestamp = |field: &str| {
        decode(&format!(r#"{{"event_type":"a.b","source":"s",{field}}}"#)).map_err(|error| error.kind())
    };
    let noon = datetime!(2026-02-10 12:00:00 UTC);
    assert_eq!(timestamp(r#""timestamp":1770724800000"#).unwrap().timestamp(), noon);
    assert_eq!(
        timestamp(r#""timestamp":1770724800.5"#).unwrap().timestamp(),
        noon + time::Duration::milliseconds(500)
    );
    assert_eq!(
        timestamp(r#""timestamp":"2026-02-10T12:00:00.000000001Z""#).unwrap().timestamp().nanosecond(),
        1
    );
    assert_eq!(timestamp(r#""timestamp":null"#), Err(ErrorKind::InvalidEvent));
    assert_eq!(timestamp(r#""timestamp":1e300"#), Err(ErrorKind::InvalidEvent));
    assert_eq!(timestamp(r#""version":18446744073709551615"#).unwrap().version(), u64::MAX);
    assert_eq!(timestamp(r#""version":1.0"#).unwrap().version(), 1);
    assert_eq!(timestamp(r#""version":-1"#), Err(ErrorKind::InvalidEvent));
    assert_eq!(timestamp(r#""version":1e30"#), Err(ErrorKind::InvalidEvent));
    assert_eq!(timestamp(r#""id":"x""#).unwrap().id(), Some("x"));
    assert_eq!(timestamp(r#""id":17"#).unwrap().id(), Some("17"));
    for absent in ["null", "\"\"", "true", "[1,[2]]", "{\"a\":{}}", "1.5"] {
        assert_eq!(timestamp(&format!(r#""id":{absent}"#)).unwrap().id(), None, "{absent}");
    }
    assert_eq!(timestamp(r#""source":"t""#).unwrap().source(), "t", "the last of a repeated field counts");
    assert_eq!(timestamp(r#""x":1"#).unwrap().source(), "s");
    assert_eq!(decode(r#"{"event_type":"","source":""}"#).unwrap().event_type(), "");
}
