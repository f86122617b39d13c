//! However hostile a message is, reading it takes no more memory than a small multiple of its length, and what is too much
//! of anything is refused with a typed error.

use events_core::wire::{FASTSTREAM_FIELD, MAX_DEPTH, MAX_FIELDS, MAX_MESSAGE_BYTES, RawMessage, decode};
use events_core::{ErrorKind, Event};
use serde_json::{Value, json};

use crate::round_trip::EPOCH;

/// How many bytes of memory a decoder may hold at a time for each byte it reads.
const TIMES: usize = 6;

/// What a map of the most headers or attributes takes, however short they are.
const ALLOWANCE: usize = 256 * 1024;

/// How long what there can be much of is made.
const LONG: usize = 1024 * 1024;

fn field(name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> RawMessage {
    RawMessage { fields: vec![(name.into(), value.into())] }
}

fn body(text: impl Into<Vec<u8>>) -> RawMessage {
    RawMessage::from_body(text)
}

fn faststream(data: impl Into<Vec<u8>>) -> RawMessage {
    field(FASTSTREAM_FIELD, data)
}

/// A part, often enough to be long.
fn long(part: &str) -> String {
    part.repeat(LONG / part.len())
}

/// A CloudEvent with more members.
fn cloud(members: &str) -> String {
    format!(r#"{{"specversion":"1.0","id":"1","source":"/s","type":"a.b",{members}}}"#)
}

/// An event of the decision record with more members.
fn record(members: &str) -> String {
    format!(r#"{{"event_type":"a.b","source":"s",{members}}}"#)
}

/// A frame that claims so many headers and has these bytes of them.
fn frame(count: u16, headers: &[u8], data: &str) -> RawMessage {
    let data_at = u32::try_from(20 + headers.len()).unwrap();
    let mut frame = b"\x89BIN\r\n\x1a\n\x00\x01\x00\x00\x00\x12".to_vec();
    frame.extend_from_slice(&data_at.to_be_bytes());
    frame.extend_from_slice(&count.to_be_bytes());
    frame.extend_from_slice(headers);
    frame.extend_from_slice(data.as_bytes());
    faststream(frame)
}

fn binary(fields: impl Iterator<Item = (String, Vec<u8>)>) -> RawMessage {
    let mark =
        [("ce_specversion", "1.0"), ("ce_id", "1"), ("ce_source", "s"), ("ce_type", "a.b"), ("event", "{}")];
    let mark = mark.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
    RawMessage {
        fields: mark.into_iter().chain(fields).map(|(name, value)| (name.into_bytes(), value)).collect(),
    }
}

/// What can be made long of each encoding, and what claims to be longer than it is.
fn hostile() -> Vec<(&'static str, RawMessage)> {
    let escaped = long(r"\u0001");
    let nested = format!("{}{}", "[".repeat(LONG), "]".repeat(LONG));
    let numbered = |count: usize, value: &str| {
        (0..count).map(|n| format!("\"x{n}\":{value}")).collect::<Vec<_>>().join(",")
    };
    let few = |value: &str| numbered(MAX_FIELDS, value);
    let many = numbered(LONG / 16, "1");
    let envelope = |headers: &str| json!({"data": cloud("\"data\":1"), "headers": serde_json::from_str::<Value>(headers).unwrap()});
    vec![
        ("a payload", body(record(&format!(r#""payload":{{"a":"{escaped}"}}"#)))),
        ("a payload of white space", body(record(&format!(r#""payload":{{{}}}"#, long(" "))))),
        ("a payload of many members", body(record(&format!(r#""payload":{{{many}}}"#)))),
        ("a payload that is nested", body(record(&format!(r#""payload":{{"a":{nested}}}"#)))),
        ("a member nobody knows", body(record(&format!(r#""more":{nested}"#)))),
        ("many members nobody knows", body(record(&many))),
        ("a source", body(format!(r#"{{"event_type":"a.b","source":"{escaped}"}}"#))),
        ("an id", body(record(&format!(r#""id":"{escaped}""#)))),
        ("a version", body(record(&format!(r#""version":{}"#, long("9"))))),
        ("a timestamp", body(record(&format!(r#""timestamp":"{}""#, long("9"))))),
        ("attributes", body(record(&format!(r#""cloudevents":{{{}}}"#, few("1"))))),
        ("many attributes", body(record(&format!(r#""cloudevents":{{{many}}}"#)))),
        ("no JSON", body(long("{\"event_type\":"))),
        ("data", body(cloud(&format!(r#""data":"{escaped}""#)))),
        ("data of many members", body(cloud(&format!(r#""data":{{{many}}}"#)))),
        ("data in Base64", body(cloud(&format!(r#""data_base64":"{}""#, long("AAAA"))))),
        ("data in escaped Base64", body(cloud(&format!(r#""data_base64":"{}""#, long(r"\u0041"))))),
        ("data that is nested", body(cloud(&format!(r#""data":{nested}"#)))),
        ("a subject", body(cloud(&format!(r#""subject":"{escaped}""#)))),
        ("an extension", body(cloud(&format!(r#""ext":"{escaped}""#)))),
        ("an extension that is nested", body(cloud(&format!(r#""ext":{nested}"#)))),
        ("extensions", body(cloud(&few(r#""""#)))),
        ("many extensions", body(cloud(&many))),
        ("an attribute in binary mode", binary(std::iter::once(("ce_ext".into(), long("é").into())))),
        ("attributes in binary mode", binary((0..1_000).map(|n| (format!("ce_x{n}"), Vec::new())))),
        ("data in binary mode", binary(std::iter::once(("event".into(), long("\"").into())))),
        ("bytes in binary mode", binary(std::iter::once(("event".into(), vec![255; LONG])))),
        ("text in binary mode", {
            let data = ("event".to_owned(), long("\u{1}").into_bytes());
            binary([data, ("content-type".to_owned(), b"text/plain".to_vec())].into_iter())
        }),
        ("headers that are no text", binary((0..1_000).map(|n| (format!("h{n}"), vec![255; LONG / 1_000])))),
        ("a frame", frame(0, b"", &cloud(&format!(r#""data":"{escaped}""#)))),
        ("a frame that claims headers", frame(1_024, b"", &cloud("\"data\":1"))),
        ("a frame that claims a long header", frame(1, b"\xff\xff", &cloud("\"data\":1"))),
        ("a frame of empty headers", frame(1_024, &[0; 4 * 1_024], &cloud("\"data\":1"))),
        ("an envelope", faststream(json!({"data": cloud(&format!(r#""data":"{escaped}""#))}).to_string())),
        ("an envelope of headers", faststream(envelope(&format!("{{{}}}", few("[1]"))).to_string())),
        (
            "an envelope of a header",
            faststream(envelope(&json!({"h": long("\u{1}")}).to_string()).to_string()),
        ),
        ("many fields", RawMessage { fields: vec![(b"x".to_vec(), Vec::new()); 100_000] }),
    ]
}

#[test]
fn no_message_takes_more_memory_than_a_small_multiple_of_its_length() {
    for (what, message) in hostile() {
        let bytes: usize = message.fields.iter().map(|(name, value)| name.len() + value.len()).sum();
        let mut outcome = None;
        let taken = allocation_counter::measure(|| outcome = Some(message.decode(EPOCH)));
        let most = usize::try_from(taken.bytes_max).unwrap();
        assert!(most <= TIMES * bytes + ALLOWANCE, "{what}: {most} bytes of memory for {bytes} bytes");
        if let Some(Err(error)) = outcome {
            assert!(matches!(error.kind(), ErrorKind::InvalidEvent | ErrorKind::TooLarge), "{what}: {error}");
        }
    }
}

#[test]
fn size_count_and_depth_have_limits_with_typed_errors() {
    let kind = |outcome: events_core::Result<Event>| outcome.map(drop).map_err(|error| error.kind());
    let event = || (&b"event"[..], &br#"{"event_type":"a.b","source":"s"}"#[..]);
    // The same mebibyte many times, so that the test itself need not have what nobody is to read.
    let mebibyte = vec![b'x'; 1024 * 1024];
    let large = |mebibytes| {
        decode(
            std::iter::once(event()).chain(std::iter::repeat_n((&b"h"[..], &mebibyte[..]), mebibytes)),
            EPOCH,
        )
    };
    assert_eq!(kind(large(MAX_MESSAGE_BYTES / mebibyte.len() - 1)), Ok(()));
    assert_eq!(kind(large(MAX_MESSAGE_BYTES / mebibyte.len())), Err(ErrorKind::TooLarge));
    let numerous = |count| {
        decode(std::iter::once(event()).chain(std::iter::repeat_n((&b"h"[..], &b""[..]), count)), EPOCH)
    };
    assert_eq!(kind(numerous(MAX_FIELDS)), Ok(()));
    assert_eq!(kind(numerous(MAX_FIELDS + 1)), Err(ErrorKind::TooLarge));
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    for (depth, outcome) in [(MAX_DEPTH, Ok(())), (MAX_DEPTH + 1, Err(ErrorKind::InvalidEvent))] {
        let (object, data) = (nested(depth - 1), nested(depth));
        let binary = binary(
            [("event".to_owned(), data.clone().into()), ("content-type".to_owned(), b"text/json".to_vec())]
                .into_iter(),
        );
        let faststream = frame(0, b"", &cloud(&format!(r#""data":{data}"#)));
        let structured = body(cloud(&format!(r#""data":{data}"#)));
        for message in
            [body(record(&format!(r#""payload":{{"a":{object}}}"#))), structured, binary, faststream]
        {
            assert_eq!(kind(message.decode(EPOCH)), outcome, "{depth} levels");
        }
    }
    for (count, outcome) in [(MAX_FIELDS, Ok(())), (MAX_FIELDS + 1, Err(ErrorKind::InvalidEvent))] {
        let members = (0..count).map(|n| format!("\"x{n}\":1")).collect::<Vec<_>>().join(",");
        assert_eq!(kind(body(cloud(&members)).decode(EPOCH)), outcome, "{count} extensions");
        let envelope = format!(r#"{{"data":{},"headers":{{{members}}}}}"#, json!(cloud("\"data\":1")));
        assert_eq!(kind(faststream(envelope).decode(EPOCH)), outcome, "{count} headers");
    }
}
