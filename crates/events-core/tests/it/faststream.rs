//! Entries FastStream wrote are read, traps included.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use events_core::wire::{Encoding, FASTSTREAM_FIELD, RawMessage};
use events_core::{ErrorKind, Event, PayloadKind, Result};
use serde_json::Value;
use time::macros::datetime;

use crate::round_trip::EPOCH;

const LINES: &str = include_str!("../wire/faststream_cloudevents.jsonl");

fn entry(case: &str) -> (Vec<u8>, Value) {
    let lines = LINES
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let line = lines.into_iter().find(|line| line["case"] == case).unwrap();
    let data = BASE64_STANDARD.decode(line["fields_base64"]["__data__"].as_str().unwrap()).unwrap();
    (data, line["headers"].clone())
}

fn read(data: &[u8]) -> Result<Event> {
    RawMessage { fields: vec![(FASTSTREAM_FIELD.into(), data.to_vec())] }.decode(EPOCH)
}

#[test]
fn what_faststream_writes_is_read_field_by_field() {
    for (case, payload, kind, subject) in [
        ("plain", r#"{"workspace":"coreos","users":["alice"]}"#, PayloadKind::Json, None),
        ("headers", r#"{"a":1}"#, PayloadKind::Json, Some("team-a")),
        ("no-data", "null", PayloadKind::Absent, None),
        ("string-data", r#""hello""#, PayloadKind::Json, None),
        ("list-data", "[1,2]", PayloadKind::Json, None),
    ] {
        let (data, headers) = entry(case);
        let event = read(&data).unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!(event.event_type(), "qontract-api.slack-usergroups.update_users", "{case}");
        assert_eq!(event.source(), "qontract_api.tasks", "{case}");
        assert_eq!(event.timestamp(), datetime!(2026-02-10 12:00:00.123456 UTC), "{case}");
        assert_eq!(event.id(), Some("ec31e2fc-6948-49ce-9b52-b313af06b7b2"), "{case}");
        assert_eq!(
            (event.payload(), event.payload_kind(), event.subject()),
            (payload, kind, subject),
            "{case}"
        );
        // `Zoë` among them, whose length FastStream counts in characters.
        for (name, value) in headers.as_object().into_iter().flatten() {
            assert_eq!(event.headers().get(name), value.as_str(), "{case} {name}");
        }
        let own = event.headers().iter().filter(|(name, _)| *name != "correlation_id").count();
        assert_eq!(own, headers.as_object().map_or(0, |headers| headers.len()), "{case}");
        assert!(event.headers().get("correlation_id").is_some(), "{case}");
        for encoding in [Encoding::CloudEvents, Encoding::FastStream, Encoding::FastStreamJson] {
            assert_eq!(
                RawMessage::from(&encoding.encode(&event).unwrap()).decode(EPOCH).unwrap(),
                event,
                "{case}"
            );
        }
    }
}

#[test]
fn lengths_of_our_own_count_bytes_as_faststream_reads_them() {
    let event = Event::builder("a.b", "s").with_headers([("user", "Zoë"), ("z", "1")]).build().unwrap();
    let encoded = Encoding::FastStream.encode(&event).unwrap();
    let body = encoded.body().unwrap();
    let at = body.windows(4).position(|window| window == "Zoë".as_bytes()).unwrap();
    assert_eq!(body[at - 2..at], [0, 4]);
    assert_eq!(read(body).unwrap(), event);
}

#[test]
fn a_length_that_could_be_either_is_read_so_that_headers_end_where_the_data_begin() {
    let event = Event::builder("a.b", "s").with_header("user", "éa").build().unwrap();
    let mut body = Encoding::FastStream.encode(&event).unwrap().into_body().unwrap();
    // As FastStream writes it: two characters, of which the first alone is two bytes and a text as well.
    let at = body.windows(3).position(|window| window == "éa".as_bytes()).unwrap();
    assert_eq!(body[at - 2..at], [0, 3]);
    body[at - 1] = 2;
    assert_eq!(read(&body).unwrap(), event);
}

#[test]
fn headers_out_of_place_cost_no_event() {
    let (mut data, _) = entry("plain");
    // The first header's length reaches into the second, so that neither way of counting fits.
    let at = data.windows(14).position(|window| window == b"correlation_id").unwrap();
    data[at - 1] = 200;
    assert_eq!(read(&data).unwrap().headers().len(), 0);
}

#[test]
fn a_broken_frame_is_an_error() {
    let (data, _) = entry("headers");
    for length in 8..data.len() {
        assert_eq!(read(&data[..length]).unwrap_err().kind(), ErrorKind::InvalidEvent, "{length} bytes");
    }
    for (at, byte) in [(9, 2), (10, 1), (14, 255), (14, 1), (13, 255)] {
        let mut broken = data.clone();
        broken[at] = byte;
        assert_eq!(read(&broken).unwrap_err().kind(), ErrorKind::InvalidEvent, "byte {at}");
    }
    let mut many = data.clone();
    (many[18], many[19]) = (255, 255);
    assert_eq!(read(&many).unwrap_err().kind(), ErrorKind::TooLarge);
}

#[test]
fn the_older_envelope_is_read_with_headers_of_any_type() {
    let event = read(
        br#"{"data":"{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"a.b\",\"data\":{\"n\": 1}}",
            "headers":{"content-type":"application/json","correlation_id":"c","n":5,"deep":{"a":[1]},"none":null}}"#,
    )
    .unwrap();
    assert_eq!((event.id(), event.payload()), (Some("1"), "{\"n\": 1}"));
    let none = read(br#"{"data":"{\"event_type\":\"a.b\",\"source\":\"s\"}","headers":null}"#).unwrap();
    assert!(none.headers().is_empty());
    let headers: Vec<_> = event.headers().iter().collect();
    assert_eq!(headers, [("correlation_id", "c"), ("deep", "{\"a\":[1]}"), ("n", "5"), ("none", "null")]);
}

#[test]
fn data_that_nothing_wraps_is_read_as_faststream_reads_it() {
    let cloud = r#"{"source":"s","type":"a.b","id":"1","specversion":"1.0","data":"hello","headers":{}}"#;
    let error = read(cloud.as_bytes()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidEvent, "an object is no extension");
    let cloud = cloud.replace(",\"headers\":{}", "");
    assert_eq!(read(cloud.as_bytes()).unwrap().payload(), "\"hello\"");
    let decision_record = r#"{"version":2,"event_type":"a.b","source":"s","payload":{"a":1}}"#;
    assert_eq!(read(decision_record.as_bytes()).unwrap().version(), 2);
    let no_version = r#"{"data":"{\"id\":\"1\",\"source\":\"s\",\"type\":\"a.b\"}"}"#;
    for bad in ["", "hello", "{}", "[1]", r#"{"data":5}"#, r#"{"data":"{}","headers":[]}"#, no_version] {
        assert_eq!(read(bad.as_bytes()).unwrap_err().kind(), ErrorKind::InvalidEvent, "{bad}");
    }
}
