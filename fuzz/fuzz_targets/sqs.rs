//! Any body beside any attributes, as a message of a queue: an event, SNS's envelope around one, and a dead letter's record.
//!
//! A line for each attribute, `name:type=value`, then an empty line, then the body.

#![no_main]
#![expect(dead_code, reason = "what these files have for others is not used here")]

#[path = "../../crates/events-aws/src/attribute.rs"]
mod attribute;
#[path = "../../crates/events-aws/src/body_format.rs"]
mod body_format;
#[path = "../../crates/events-aws/src/group_key.rs"]
mod group_key;
#[path = "../../crates/events-aws/src/incoming.rs"]
mod incoming;
#[path = "../../crates/events-aws/src/limits.rs"]
mod limits;
#[path = "../../crates/events-aws/src/message.rs"]
mod message;
#[path = "../../crates/events-aws/src/record.rs"]
mod record;

use events_core::{ConsumerOptions, DeadLetterReason};
use events_fuzz::{PUBLISHED_AT, bounded, check_outcome};

use attribute::{Attribute, Value};
use body_format::BodyFormat;
use incoming::Incoming;
use record::Cause;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let message = read(data);
    for format in [BodyFormat::Auto, BodyFormat::Raw, BodyFormat::Envelope] {
        let opened = bounded(data.len(), || message.open(format, None));
        check_outcome(&opened.map(|opened| opened.event));
    }
    let told = bounded(data.len(), || record::read(&message, "jobs", Some(5)));
    assert!(told.message.body().is_some());
    bounded(data.len(), || record::original(&message, true));
    comes_back(&message);
});

fn read(data: &[u8]) -> Incoming {
    let mut attributes = Vec::new();
    let mut rest = data;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(&rest[..end]);
        let Some((name, typed)) = line.split_once(':') else {
            // The empty line, if all is as it should be.
            rest = &rest[end + usize::from(line.is_empty())..];
            break;
        };
        let (data_type, value) = typed.split_once('=').unwrap_or((typed, ""));
        let value = match data_type {
            "Binary" => Value::Binary(value.into()),
            _ => Value::Text(value.into()),
        };
        attributes.push(Attribute { name: name.into(), data_type: data_type.into(), value });
        rest = &rest[end + 1..];
    }
    Incoming {
        message_id: "m".into(),
        handle: "h".into(),
        body: String::from_utf8_lossy(rest).into(),
        attributes,
        receive_count: 3,
        sent_at: Some(PUBLISHED_AT),
        first_received_at: Some(PUBLISHED_AT),
        received_at: PUBLISHED_AT,
        group: None,
        source_arn: None,
    }
}

/// What becomes a dead letter and is redriven is what it was.
fn comes_back(message: &Incoming) {
    if message.attributes.iter().any(|attribute| attribute.name.starts_with("events-")) {
        return;
    }
    let cause = Cause {
        reason: DeadLetterReason::Rejected,
        detail: Some(message.body.clone()),
        attempts: 3,
        origin_id: "origin".into(),
    };
    let letter = record::letter(message, &cause, "jobs", &ConsumerOptions::new("g"), false);
    let letter = Incoming { body: letter.body, attributes: letter.attributes, ..message.clone() };
    assert_eq!(record::read(&letter, "other", None).stream, "jobs");
    let mut original = record::original(&letter, false);
    original.attributes.retain(|attribute| attribute.name != incoming::ORIGIN_ID);
    assert_eq!((original.body, original.attributes), (message.body.clone(), message.attributes.clone()));
}
