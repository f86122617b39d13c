//! What a dead letter says about itself: one attribute beside the message as it was.

use events_core::{ConsumerOptions, DeadLetter, DeadLetterReason, MessageId};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::attribute::{Attribute, Value};
use crate::body_format::BodyFormat;
use crate::incoming::{Incoming, ORIGIN_ID, moment};
use crate::limits;
use crate::message::{Order, Outgoing};

/// The attribute's name.
const NAME: &str = "events-dead-letter";

/// What is kept of a detail, and of names, so that the record fits into what is reserved for it.
const DETAIL_BYTES: usize = 2 * 1024;
const NAME_BYTES: usize = 256;

/// Why a message is a dead letter.
#[derive(Clone, Debug)]
pub(crate) struct Cause {
    pub(crate) reason: DeadLetterReason,
    pub(crate) detail: Option<String>,
    pub(crate) attempts: u32,
    /// The id under which the event's publisher knows it.
    pub(crate) origin_id: MessageId,
}

/// The record as it is stored, in JSON.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    attempts: u32,
    stream: String,
    group: String,
    consumer: String,
    origin_id: String,
    /// Milliseconds since 1970, as in what follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    published_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_delivered_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_delivered_at: Option<String>,
    /// The message's own attributes, where they and the record are more than a message may have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<Packed>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Packed {
    name: String,
    data_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    binary: Option<Vec<u8>>,
}

/// The message for the dead-letter queue.
///
/// One so large that the record does not fit beside it goes without: its bytes matter more than what is said of them.
pub(crate) fn letter(
    message: &Incoming,
    cause: &Cause,
    stream: &str,
    options: &ConsumerOptions,
    fifo: bool,
) -> Outgoing {
    let mut record = Record {
        reason: cause.reason.as_str().to_owned(),
        detail: cause.detail.as_deref().map(|detail| cut(detail, DETAIL_BYTES)),
        attempts: cause.attempts,
        stream: stream.to_owned(),
        group: cut(options.group(), NAME_BYTES),
        consumer: cut(options.consumer_name(), NAME_BYTES),
        origin_id: cause.origin_id.to_string(),
        published_at: message.sent_at.map(milliseconds),
        first_delivered_at: message.first_received_at.map(milliseconds),
        last_delivered_at: last_delivered_at(message, cause.attempts).map(milliseconds),
        attributes: Vec::new(),
    };
    // A letter that was redriven and failed again carries nothing of the first time beside.
    let mut attributes: Vec<Attribute> =
        message.attributes.iter().filter(|attribute| !is_ours(&attribute.name)).cloned().collect();
    if attributes.len() >= limits::ATTRIBUTES {
        record.attributes = attributes.drain(..).map(Packed::from).collect();
    }
    let order = fifo.then(|| Order {
        group: message.group.clone().unwrap_or_else(|| "-".to_owned()),
        // A move that is repeated because its second step failed makes one letter.
        deduplication_id: message.message_id.clone(),
    });
    let whole = |attributes| Outgoing { body: message.body.clone(), attributes, order: order.clone() };
    if let Ok(json) = serde_json::to_string(&record) {
        attributes.push(Attribute::text(NAME, &json));
    }
    let letter = whole(attributes);
    if letter.counted_bytes() <= limits::SQS_MESSAGE_BYTES {
        letter
    } else {
        whole(message.attributes.clone())
    }
}

/// The message a letter was made of, to be sent to its queue again.
pub(crate) fn original(letter: &Incoming, fifo: bool) -> Outgoing {
    let order = fifo.then(|| Order {
        group: letter.group.clone().unwrap_or_else(|| "-".to_owned()),
        // Not the id of the first time, which the queue may still know and throw away.
        deduplication_id: format!("redrive-{}", letter.message_id),
    });
    let mut attributes = own_attributes(letter);
    // An envelope names the first id itself, and is none any more with an attribute beside it.
    if attributes.len() < limits::ATTRIBUTES && !attributes.is_empty() {
        let record = record(letter);
        let origin_id = record.as_ref().map_or(&*letter.message_id, |record| &*record.origin_id);
        attributes.push(Attribute::text(ORIGIN_ID, origin_id));
    }
    Outgoing { body: letter.body.clone(), attributes, order }
}

/// What a message of a dead-letter queue tells about the message that became it.
///
/// One without a record was moved by the queue's own redrive policy, which says nothing but where it came from;
/// `stream` and `max_receives` are those of the queue that is asked about.
pub(crate) fn read(letter: &Incoming, stream: &str, max_receives: Option<u32>) -> DeadLetter {
    let record = record(letter);
    let mut message = letter.clone();
    message.attributes = own_attributes(letter);
    let holds_event = message.open(BodyFormat::Auto, None).is_ok();
    let reason = record.as_ref().and_then(|record| record.reason.parse().ok());
    let sent_at = letter.published_at();
    let published_at = match &record {
        Some(record) => record.published_at.as_deref().and_then(moment),
        // A standard queue keeps the time a message was first accepted.
        None => letter.sent_at,
    };
    let origin_id = record.as_ref().map_or(&*letter.message_id, |record| &*record.origin_id).into();
    let of_record = |time: fn(&Record) -> Option<&String>| moment(time(record.as_ref()?)?);
    DeadLetter {
        id: MessageId::new(&*letter.message_id),
        message: message.raw(holds_event),
        reason: reason.unwrap_or(DeadLetterReason::MaxDeliveries),
        detail: record.as_ref().and_then(|record| record.detail.clone()),
        attempts: record.as_ref().map_or(max_receives.unwrap_or(0), |record| record.attempts),
        first_delivered_at: of_record(|record| record.first_delivered_at.as_ref()),
        last_delivered_at: of_record(|record| record.last_delivered_at.as_ref()),
        stream: record.as_ref().map_or(stream, |record| &*record.stream).to_owned(),
        group: record.as_ref().map(|record| record.group.clone()).unwrap_or_default(),
        consumer: record.map(|record| record.consumer).unwrap_or_default(),
        origin_id,
        published_at,
        dead_at: published_at.map_or(sent_at, |published_at: OffsetDateTime| sent_at.max(published_at)),
    }
}

/// When a message was delivered for the last time that counts as an attempt. A delivery that does not was made to
/// nobody, and when the one before it was is not known.
fn last_delivered_at(message: &Incoming, attempts: u32) -> Option<OffsetDateTime> {
    match (attempts, message.receive_count) {
        (1, _) => message.first_received_at,
        (attempts, received) if attempts == received => Some(message.received_at),
        _ => None,
    }
}

fn milliseconds(moment: OffsetDateTime) -> String {
    (moment.unix_timestamp_nanos() / 1_000_000).to_string()
}

/// Whether a letter came from this queue: by its record, else by what SQS says, else by assumption.
pub(crate) fn is_from(letter: &Incoming, stream: &str, arn: Option<&str>) -> bool {
    match (record(letter), &letter.source_arn, arn) {
        (Some(record), _, _) => record.stream == stream,
        (None, Some(source), Some(arn)) => source == arn,
        (None, _, _) => true,
    }
}

fn record(letter: &Incoming) -> Option<Record> {
    let attribute = letter.attributes.iter().find(|attribute| attribute.name == NAME)?;
    serde_json::from_slice(attribute.bytes()).ok()
}

fn is_ours(name: &str) -> bool {
    name == NAME || name == ORIGIN_ID
}

fn own_attributes(letter: &Incoming) -> Vec<Attribute> {
    let packed = record(letter).map(|record| record.attributes).unwrap_or_default();
    let beside = letter.attributes.iter().filter(|attribute| !is_ours(&attribute.name)).cloned();
    beside.chain(packed.into_iter().map(Attribute::from)).collect()
}

impl From<Attribute> for Packed {
    fn from(attribute: Attribute) -> Self {
        let Attribute { name, data_type, value } = attribute;
        let (text, binary) = match value {
            Value::Text(text) => (Some(text), None),
            Value::Binary(bytes) => (None, Some(bytes)),
        };
        Self { name, data_type, text, binary }
    }
}

impl From<Packed> for Attribute {
    fn from(packed: Packed) -> Self {
        let Packed { name, data_type, text, binary } = packed;
        let value = binary.map_or_else(|| Value::Text(text.unwrap_or_default()), Value::Binary);
        Self { name, data_type, value }
    }
}

/// At most `bytes` of a text, without what SQS refuses and JSON would leave as it is.
fn cut(text: &str, bytes: usize) -> String {
    let mut kept = text.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}");
    kept.truncate(kept.floor_char_boundary(bytes));
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(attributes: Vec<Attribute>, body: &str) -> Incoming {
        Incoming {
            message_id: "m".into(),
            handle: "h".into(),
            body: body.into(),
            attributes,
            receive_count: 3,
            sent_at: moment("1000"),
            first_received_at: moment("2000"),
            received_at: OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(3),
            group: Some("g1".into()),
            source_arn: None,
        }
    }

    fn cause(detail: &str) -> Cause {
        Cause {
            reason: DeadLetterReason::Rejected,
            detail: Some(detail.into()),
            attempts: 3,
            origin_id: "origin".into(),
        }
    }

    fn sent(letter: Outgoing) -> Incoming {
        Incoming { message_id: "dead".into(), ..message(letter.attributes, &letter.body) }
    }

    #[test]
    fn a_letter_tells_everything_and_gives_the_message_back() {
        let binary =
            Attribute { name: "b".into(), data_type: "Binary".into(), value: Value::Binary(vec![0, 255]) };
        for count in [0, 8, 9] {
            let mut attributes: Vec<_> = (0..count).map(|n| Attribute::text(&format!("h{n}"), "v")).collect();
            attributes.push(binary.clone());
            let before = message(attributes, "body");
            let letter = letter(&before, &cause("no\u{0}\u{ffff}"), "jobs", &ConsumerOptions::new("g"), true);
            assert!(letter.attributes.len() <= limits::ATTRIBUTES);
            assert_eq!(letter.order.as_ref().unwrap().deduplication_id, "m");
            let dead = sent(letter);
            let told = read(&dead, "other", None);
            assert_eq!((told.reason, told.attempts), (DeadLetterReason::Rejected, 3));
            assert_eq!(told.detail.as_deref(), Some("no\u{0}\u{fffd}"));
            assert_eq!((&*told.stream, &*told.group, told.origin_id.as_str()), ("jobs", "g", "origin"));
            assert_eq!(told.published_at, moment("1000"));
            assert_eq!(told.first_delivered_at, moment("2000"));
            assert_eq!(told.last_delivered_at, moment("3000"));
            let mut back = original(&dead, true);
            let origin_id = back.attributes.pop_if(|attribute| attribute.name == ORIGIN_ID);
            assert_eq!(origin_id.is_some(), count < 9, "the first id goes along where there is room");
            assert_eq!((back.body, back.attributes), ("body".to_owned(), before.attributes));
            assert!(is_from(&dead, "jobs", None) && !is_from(&dead, "other", None));
        }
    }

    #[test]
    fn what_is_reserved_is_enough_for_the_longest_record() {
        let long = "\u{1}".repeat(5_000);
        let options = ConsumerOptions::new(&*long).with_consumer_name(&*long);
        let before = message(Vec::new(), "");
        let letter = letter(&before, &cause(&"x".repeat(5_000)), &"q".repeat(80), &options, false);
        assert!(letter.counted_bytes() + 1_500 <= limits::RESERVED_BYTES, "{}", letter.counted_bytes());
    }

    #[test]
    fn a_message_too_large_for_a_record_goes_without() {
        let before = message(Vec::new(), &"x".repeat(limits::SQS_MESSAGE_BYTES));
        let letter = letter(&before, &cause("no"), "jobs", &ConsumerOptions::new("g"), false);
        assert_eq!(letter.attributes, []);
        assert_eq!(read(&sent(letter), "jobs", Some(4)).attempts, 4);
    }
}
