//! How a dead letter lies in its stream: what is known of it first, then the raw fields of the entry.

use events_core::wire::RawMessage;
use events_core::{DeadLetter, DeadLetterReason, Error, ErrorKind};
use time::OffsetDateTime;

use crate::client::Entry;
use crate::entry_id::EntryId;

/// The names of what is known, in the order in which they are written; the script that writes them says the same.
pub(crate) const FIELDS: [&str; 8] =
    ["reason", "detail", "attempts", "stream", "group", "consumer", "origin_id", "idle_ms"];

/// Reads a dead letter.
///
/// # Errors
///
/// [`InvalidEvent`](ErrorKind::InvalidEvent) when somebody else wrote the entry.
pub(crate) fn read(entry: Entry) -> Result<DeadLetter, Error> {
    let foreign = || {
        let message = format!("the entry {} is no dead letter of ours", entry.id);
        Error::new(ErrorKind::InvalidEvent, "read dead letter", message)
    };
    if !is_ours(&entry) {
        return Err(foreign());
    }
    let text = |at: usize| String::from_utf8_lossy(&entry.fields[at].1).into_owned();
    let origin: EntryId = text(6).parse().map_err(|_| foreign())?;
    Ok(DeadLetter {
        id: entry.id.to_message_id(),
        reason: text(0).parse::<DeadLetterReason>()?,
        detail: Some(text(1)).filter(|detail| !detail.is_empty()),
        attempts: text(2).parse().map_err(|_| foreign())?,
        stream: text(3),
        group: text(4),
        consumer: text(5),
        origin_id: origin.to_message_id(),
        published_at: origin.time(),
        dead_at: entry.id.time().unwrap_or(OffsetDateTime::UNIX_EPOCH),
        message: raw(&entry.fields[FIELDS.len()..]),
    })
}

/// The group a dead letter failed in and its id in the stream, if the entry is a dead letter.
pub(crate) fn origin(entry: &Entry) -> Option<(String, EntryId)> {
    if !is_ours(entry) {
        return None;
    }
    let group = String::from_utf8_lossy(&entry.fields[4].1).into_owned();
    let id = std::str::from_utf8(&entry.fields[6].1).ok()?.parse().ok()?;
    Some((group, id))
}

fn is_ours(entry: &Entry) -> bool {
    let names = entry.fields.iter().map(|(name, _)| name.as_ref());
    entry.fields.len() > FIELDS.len() && names.zip(FIELDS).all(|(name, expected)| name == expected.as_bytes())
}

fn raw(fields: &[(bytes::Bytes, bytes::Bytes)]) -> RawMessage {
    RawMessage { fields: fields.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect() }
}
