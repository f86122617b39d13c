//! A stream's history: what was published, in order, under ids that are never given twice.

use std::collections::BTreeMap;
use std::sync::Arc;

use events_core::wire::{Encoding, RawMessage, decode_expecting};
use events_core::{Error, ErrorKind, Event, MessageId, Result, StartFrom};
use time::OffsetDateTime;

/// An event's position. The first is 1.
pub(crate) type Position = u64;

/// One published message.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) published_at: OffsetDateTime,
    pub(crate) message: RawMessage,
}

impl Entry {
    pub(crate) fn decode(&self, expected: Option<Encoding>) -> Result<Event> {
        let fields = self.message.fields.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
        decode_expecting(expected, fields, self.published_at)
    }
}

/// Where a reader begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    pub(crate) position: Position,
    /// Passes over what is published before; matters only when the time lies ahead.
    pub(crate) not_before: Option<OffsetDateTime>,
}

impl Start {
    pub(crate) fn at(position: Position) -> Self {
        Self { position, not_before: None }
    }

    pub(crate) fn admits(&self, position: Position, entry: &Entry) -> bool {
        position >= self.position && self.not_before.is_none_or(|time| entry.published_at >= time)
    }
}

#[derive(Debug)]
pub(crate) struct Log {
    entries: BTreeMap<Position, Arc<Entry>>,
    /// The position of the next event. It survives a flush, so that an old receipt never names a new event.
    next: Position,
    last_published_at: OffsetDateTime,
}

impl Log {
    pub(crate) fn new() -> Self {
        Self { entries: BTreeMap::new(), next: 1, last_published_at: OffsetDateTime::UNIX_EPOCH }
    }

    /// Appends a message. Its time is never before its predecessor's, so that positions and times agree.
    pub(crate) fn append(&mut self, message: RawMessage, date: OffsetDateTime) -> Position {
        let position = self.next;
        self.next += 1;
        self.last_published_at = self.last_published_at.max(date);
        let entry = Entry { published_at: self.last_published_at, message };
        self.entries.insert(position, Arc::new(entry));
        position
    }

    pub(crate) fn get(&self, position: Position) -> Option<&Arc<Entry>> {
        self.entries.get(&position)
    }

    /// Everything at `position` and after it, oldest first.
    pub(crate) fn from(&self, position: Position) -> impl Iterator<Item = (Position, &Arc<Entry>)> {
        self.entries.range(position..).map(|(position, entry)| (*position, entry))
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The newest event's position, though it may have been forgotten since.
    pub(crate) fn last(&self) -> Option<Position> {
        (self.next > 1).then(|| self.next - 1)
    }

    pub(crate) fn remove(&mut self, position: Position) -> bool {
        self.entries.remove(&position).is_some()
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    /// Forgets up to `count` of the oldest events that nobody needs; returns how many.
    pub(crate) fn forget(&mut self, count: usize, needed: impl Fn(Position, &Entry) -> bool) -> usize {
        let mut left = count;
        self.entries.retain(|position, entry| {
            let keep = left == 0 || needed(*position, entry);
            left -= usize::from(!keep);
            keep
        });
        count - left
    }

    /// Where to begin for a reader that asks for `start`.
    pub(crate) fn start(&self, start: &StartFrom) -> Result<Start> {
        match start {
            StartFrom::Earliest => Ok(Start::at(0)),
            StartFrom::Latest => Ok(Start::at(self.next)),
            StartFrom::After(id) => Ok(Start::at(self.known(id)? + 1)),
            StartFrom::Time(time) => Ok(Start { position: 0, not_before: Some(*time) }),
            other => Err(Error::new(
                ErrorKind::Unsupported,
                "find start",
                format!("{other:?} is no start this backend knows"),
            )),
        }
    }

    /// The position an id names, which need not hold an event any more.
    pub(crate) fn known(&self, id: &MessageId) -> Result<Position> {
        position(id).filter(|position| *position < self.next).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidConfig,
                "find position",
                format!(
                    "{:?} is neither an id of this stream nor a time such as 2026-02-10T12:00:00Z",
                    id.as_str()
                ),
            )
        })
    }
}

/// The position an id names, if it can be one of this backend's.
pub(crate) fn position(id: &MessageId) -> Option<Position> {
    id.as_str().parse().ok()
}

/// The id that names a position.
pub(crate) fn message_id(position: Position) -> MessageId {
    MessageId::new(position.to_string())
}
