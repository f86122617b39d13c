//! How a dead letter lies in its stream: what is known of it first, then the raw fields of the entry.

use std::time::Duration;

use bytes::Bytes;
use events_core::wire::RawMessage;
use events_core::{DeadLetter, DeadLetterReason, Error, ErrorKind};
use time::OffsetDateTime;

use crate::client::Entry;
use crate::entry_id::EntryId;

/// The names of what is known, in the order in which they are written; the script that writes them says the same.
pub(crate) const FIELDS: [&str; 9] = [
    "reason",
    "detail",
    "attempts",
    "stream",
    "group",
    "consumer",
    "origin_id",
    "first_delivered_ms",
    "last_delivered_ms",
];

/// What stood in the place of the two times once: how long ago the last delivery was.
const IDLE: &str = "idle_ms";

/// How many of the names are the same in both.
const COMMON: usize = FIELDS.len() - 2;

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
    let raw = raw_fields(&entry).ok_or_else(foreign)?;
    let text = |at: usize| String::from_utf8_lossy(&entry.fields[at].1).into_owned();
    let moment = |at: usize| since_epoch(text(at).parse().ok()?);
    let origin: EntryId = text(6).parse().map_err(|_| foreign())?;
    let dead_at = entry.id.time().unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (first_delivered_at, last_delivered_at) = if raw.len() == entry.fields.len() - FIELDS.len() {
        (moment(COMMON), moment(COMMON + 1))
    } else {
        let idle = text(COMMON).parse().ok().map(Duration::from_millis);
        (None, idle.and_then(|idle| dead_at.checked_sub(idle.try_into().ok()?)))
    };
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
        first_delivered_at,
        last_delivered_at,
        dead_at,
        message: RawMessage {
            fields: raw.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect(),
        },
    })
}

/// What is needed to give a dead letter back.
#[derive(Debug)]
pub(crate) struct Origin<'e> {
    pub(crate) group: String,
    pub(crate) id: EntryId,
    /// The entry's own fields.
    pub(crate) fields: &'e [(Bytes, Bytes)],
}

impl<'e> Origin<'e> {
    /// `None` when the entry is no dead letter.
    pub(crate) fn of(entry: &'e Entry) -> Option<Self> {
        let fields = raw_fields(entry)?;
        let group = String::from_utf8_lossy(&entry.fields[4].1).into_owned();
        let id = std::str::from_utf8(&entry.fields[6].1).ok()?.parse().ok()?;
        Some(Self { group, id, fields })
    }
}

/// The fields the entry had in its stream, if it is a dead letter.
fn raw_fields(entry: &Entry) -> Option<&[(Bytes, Bytes)]> {
    let named =
        |at: usize, name: &str| entry.fields.get(at).is_some_and(|(field, _)| field == name.as_bytes());
    if !FIELDS[..COMMON].iter().enumerate().all(|(at, name)| named(at, name)) {
        return None;
    }
    let known = if named(COMMON, IDLE) {
        COMMON + 1
    } else if named(COMMON, FIELDS[COMMON]) && named(COMMON + 1, FIELDS[COMMON + 1]) {
        FIELDS.len()
    } else {
        return None;
    };
    Some(&entry.fields[known..]).filter(|raw| !raw.is_empty())
}

fn since_epoch(milliseconds: u64) -> Option<OffsetDateTime> {
    OffsetDateTime::UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds).try_into().ok()?)
}
