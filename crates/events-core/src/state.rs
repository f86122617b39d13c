//! What there is to know about a stream: how long it is, how far its groups are, who takes part.

use std::time::Duration;

use time::OffsetDateTime;

use crate::MessageId;

/// A stream as it is at one moment, for whoever operates it.
///
/// What a broker cannot tell is `None`, never zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamState {
    /// The stream key, or the name of the queue.
    pub stream: String,
    /// Events it holds.
    pub length: Option<u64>,
    /// The oldest event it holds.
    pub first_id: Option<MessageId>,
    /// The newest event it was ever given, though that may have been trimmed since.
    pub last_id: Option<MessageId>,
    /// Dead letters of all its groups.
    pub dead_letters: Option<u64>,
    /// Its groups, ordered by name. A queue is one group under its own name.
    pub groups: Vec<GroupStatus>,
    /// Whether the numbers are the broker's estimates, as those of SQS are.
    pub approximate: bool,
}

impl StreamState {
    /// A stream of which nothing is known yet; backends fill in what they know.
    pub fn new(stream: impl Into<String>) -> Self {
        Self { stream: stream.into(), ..Self::default() }
    }
}

/// How far a consumer group is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupStatus {
    /// The group's name.
    pub name: String,
    /// Events never delivered to the group; `None` where the broker cannot tell.
    pub lag: Option<u64>,
    /// Events delivered and neither acknowledged nor dead-lettered, those that wait for their next attempt included.
    pub pending: u64,
    /// Time since the oldest pending event was last delivered, or its lease last extended where the broker does not tell
    /// these apart; `None` when nothing is pending, and where the broker has forgotten it, as Redis 8 does of an event that
    /// was given back. The oldest is the one that was published first.
    pub oldest_pending: Option<Duration>,
    /// When the oldest pending event was published: how far the group is behind with what it has begun.
    pub oldest_pending_published_at: Option<OffsetDateTime>,
    /// The last event of the stream that the group was given; `None` before the first, and where there are no positions.
    pub last_delivered: Option<MessageId>,
    /// Its consumers, ordered by name. One that holds nothing may be missing: not every broker keeps their names.
    pub consumers: Vec<ConsumerStatus>,
}

impl GroupStatus {
    /// The status of one group; called by backends, which fill in what else they know.
    pub fn new(
        name: impl Into<String>,
        lag: Option<u64>,
        pending: u64,
        oldest_pending: Option<Duration>,
    ) -> Self {
        Self {
            name: name.into(),
            lag,
            pending,
            oldest_pending,
            oldest_pending_published_at: None,
            last_delivered: None,
            consumers: Vec::new(),
        }
    }
}

/// One consumer of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerStatus {
    /// The consumer's name.
    pub name: String,
    /// What it was given last and is pending.
    pub pending: u64,
    /// Time since it last asked for events; `None` where the broker does not note that.
    pub idle: Option<Duration>,
    /// Time since it was last given one; `None` when it never was, and where the broker does not note that.
    pub inactive: Option<Duration>,
}

impl ConsumerStatus {
    /// The status of one consumer; called by backends, which fill in what else they know.
    pub fn new(name: impl Into<String>, pending: u64) -> Self {
        Self { name: name.into(), pending, idle: None, inactive: None }
    }
}

/// One event that a group was given and has not settled.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PendingEvent {
    /// Its id.
    pub message_id: MessageId,
    /// The consumer it was given last; `None` where the broker has forgotten that, as of an event that was given back.
    pub consumer: Option<String>,
    /// Time since it was last delivered, or its lease last extended where the broker does not tell these apart; `None`
    /// where the broker has forgotten it.
    pub idle: Option<Duration>,
    /// How often it was delivered.
    pub deliveries: u32,
}

impl PendingEvent {
    /// A pending event; called by backends, which fill in what else they know.
    pub fn new(message_id: MessageId, deliveries: u32) -> Self {
        Self { message_id, consumer: None, idle: None, deliveries }
    }
}
