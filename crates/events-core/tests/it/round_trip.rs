//! Whatever can be built comes back as it was; whatever cannot be an event is refused without a panic.

use events_core::wire::{BODY_FIELD, Encoding, MAX_DEPTH, RawMessage};
use events_core::{ErrorKind, Event};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::Value;
use time::OffsetDateTime;

pub(crate) const EPOCH: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

/// Any JSON value.
pub(crate) fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            btree_map(any::<String>(), inner, 0..6).prop_map(Value::from_iter),
        ]
    })
}

fn payload() -> impl Strategy<Value = Value> {
    btree_map(any::<String>(), json(), 0..6).prop_map(Value::from_iter)
}

fn event() -> impl Strategy<Value = Event> {
    (
        any::<u64>(),
        "[a-z0-9_-]{1,9}(\\.[a-z0-9_-]{1,9}){1,3}",
        "\\PC{1,20}",
        0i128..253_402_300_799_000_000,
        payload(),
        "\\PC{1,40}",
        btree_map("x-[a-z\u{e9}-\u{ff}]{1,9}", any::<String>(), 0..4),
    )
        .prop_map(|(version, event_type, source, micros, payload, id, headers)| {
            Event::builder(event_type, source)
                .with_version(version)
                .with_timestamp(OffsetDateTime::from_unix_timestamp_nanos(micros * 1_000).unwrap())
                .with_payload(payload)
                .with_id(id)
                .with_headers(headers)
                .build()
                .unwrap()
        })
}

proptest! {
    #[test]
    fn an_event_comes_back_as_it_was(event in event()) {
        let encoded = Encoding::Adr018.encode(&event).unwrap();
        let raw = RawMessage::from(&encoded);
        prop_assert_eq!(raw.decode(EPOCH).unwrap(), event.clone());
        let bytes: usize = raw.fields.iter().map(|(name, value)| name.len() + value.len()).sum();
        prop_assert_eq!(encoded.counted_bytes(), bytes - BODY_FIELD.len());
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in vec(any::<u8>(), 0..200)) {
        let refused = RawMessage::from_body(bytes).decode(EPOCH).map(drop).map_err(|error| error.kind());
        prop_assert!(matches!(refused, Ok(()) | Err(ErrorKind::InvalidEvent)));
    }

    #[test]
    fn no_damage_to_an_event_makes_the_decoder_panic(event in event(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut body = Encoding::Adr018.encode(&event).unwrap().into_body().unwrap();
        let at = at.index(body.len());
        body[at] = byte;
        let refused = RawMessage::from_body(body).decode(EPOCH).map(drop).map_err(|error| error.kind());
        prop_assert!(matches!(refused, Ok(()) | Err(ErrorKind::InvalidEvent)));
    }
}

#[test]
fn deep_nesting_never_overflows_the_stack_and_is_refused_where_it_would_be_a_payload() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let decode = |extra: &str, payload: &str| {
        let body =
            format!(r#"{{"event_type":"a.b","source":"s","extra":{extra},"payload":{{"a":{payload}}}}}"#);
        RawMessage::from_body(body).decode(EPOCH)
    };
    let event = decode(&nested(200_000), &nested(MAX_DEPTH - 1)).unwrap();
    event.payload_as::<Value>().unwrap();
    for depth in [MAX_DEPTH, 200_000] {
        assert_eq!(decode("1", &nested(depth)).unwrap_err().kind(), ErrorKind::InvalidEvent);
    }
    let built =
        Event::builder("a.b", "s").with_payload_json(format!(r#"{{"a":{}}}"#, nested(MAX_DEPTH))).build();
    assert_eq!(built.unwrap_err().kind(), ErrorKind::InvalidEvent);
}

#[test]
fn a_message_without_a_body_is_no_event() {
    let raw = RawMessage { fields: vec![(b"data".to_vec(), b"{}".to_vec())] };
    assert_eq!(raw.decode(EPOCH).unwrap_err().kind(), ErrorKind::InvalidEvent);
    assert_eq!(raw.body(), None);
}

#[test]
fn header_bytes_that_are_no_text_are_kept_readable() {
    let mut raw = RawMessage::from_body(r#"{"event_type":"a.b","source":"s"}"#);
    raw.fields.push((b"odd".to_vec(), b"a\xffb".to_vec()));
    assert_eq!(raw.decode(EPOCH).unwrap().headers().get("odd"), Some("a\u{fffd}b"));
}
