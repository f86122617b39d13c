//! What operators and tests see of a stream: history, groups and dead letters, without taking part.

use std::fmt::Debug;
use std::num::NonZeroUsize;
use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::wire::Encoding;
use crate::{
    Capabilities, DeadLetter, Event, GroupStatus, MessageId, PendingEvent, Result, Retention, StartFrom,
    StreamState, TrimReport,
};

/// One event of a stream's history.
#[derive(Debug)]
pub struct Record {
    /// Its id, which is its position.
    pub message_id: MessageId,
    /// When the broker accepted it.
    pub published_at: OffsetDateTime,
    /// The encoding the message is in; of bytes that are no event, what they look like.
    pub encoding: Encoding,
    /// The event, or why its bytes are none.
    pub event: Result<Event>,
}

/// Looks at one stream from outside.
///
/// Reading marks, leases and acknowledges nothing. Only [`redrive`](Self::redrive) and [`purge`](Self::purge) change
/// anything about dead letters, and only [`trim`](Self::trim) and [`remove_stream`](Self::remove_stream) remove events.
#[async_trait]
pub trait EventAdmin: Debug + Send + Sync + 'static {
    /// What the backend can do, and its limits.
    fn capabilities(&self) -> Capabilities;

    /// Reads history: up to `max` events from `from` on, oldest first, waiting up to `wait` for the first.
    ///
    /// Read on with [`StartFrom::After`] the last id. From [`StartFrom::Latest`] only what is published during the call
    /// is seen; with a `wait` of zero that is nothing.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::ErrorKind::Unsupported) without [`replay`](Capabilities::replay);
    /// [`InvalidConfig`](crate::ErrorKind::InvalidConfig) for an id the backend cannot have given.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    async fn read(&self, from: &StartFrom, max: NonZeroUsize, wait: Duration) -> Result<Vec<Record>>;

    /// The id of the newest event of the stream, for reading on from there; `None` when the stream never had one.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::ErrorKind::Unsupported) without [`replay`](Capabilities::replay).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    async fn last_id(&self) -> Result<Option<MessageId>>;

    /// What `group` would be given now, in the order of the stream: events whose lease has ended and events never delivered.
    ///
    /// Looks on after `after`. Where the group does not exist it is taken to start at `start_from`; it is not created.
    /// Any `max` will do; fewer may come, and where none comes there is no more.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    async fn peek(
        &self,
        group: &str,
        start_from: &StartFrom,
        after: Option<&MessageId>,
        max: NonZeroUsize,
    ) -> Result<Vec<Record>>;

    /// How far each group of the stream is, ordered by name.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::ErrorKind::Unsupported) where the broker keeps no groups.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    async fn groups(&self) -> Result<Vec<GroupStatus>>;

    /// The stream as it is now, with its groups, their consumers and the number of dead letters: all that
    /// [`groups`](Self::groups) tells and more, where the broker keeps no groups as well.
    ///
    /// It takes several questions to the broker, so that numbers of a stream in use need not fit together to the last one.
    ///
    /// # Errors
    ///
    /// When the broker cannot be asked. What it cannot tell is missing in the answer and no error.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    async fn state(&self) -> Result<StreamState>;

    /// Up to `max` events that `group` was given and has not settled, in the order of the stream, after `after`. None where
    /// there is no such group.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::ErrorKind::Unsupported) where the broker does not tell one from the other;
    /// [`InvalidConfig`](crate::ErrorKind::InvalidConfig) for an id the backend cannot have given.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    async fn pending(
        &self,
        group: &str,
        after: Option<&MessageId>,
        max: NonZeroUsize,
    ) -> Result<Vec<PendingEvent>>;

    /// Up to `max` dead letters of the stream, of all its groups, oldest first, after `after`.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::ErrorKind::Unsupported) without [`dead_letters`](Capabilities::dead_letters).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    async fn dead_letters(&self, after: Option<&MessageId>, max: NonZeroUsize) -> Result<Vec<DeadLetter>>;

    /// Gives dead letters back to the group they failed in, with attempts from 1, and returns how many.
    ///
    /// Where the broker no longer has the original, the event is appended to the stream again and every group gets it.
    /// Ids that are no dead letters are passed over.
    ///
    /// # Errors
    ///
    /// As [`dead_letters`](Self::dead_letters). After a transient error each named dead letter is either still one or
    /// given back, at worst both; none is lost.
    ///
    /// # Cancel safety
    ///
    /// As after a transient error.
    async fn redrive(&self, ids: &[MessageId]) -> Result<u64>;

    /// Deletes dead letters for good and returns how many.
    ///
    /// # Errors
    ///
    /// As [`dead_letters`](Self::dead_letters).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves open which are deleted.
    async fn purge(&self, ids: &[MessageId]) -> Result<u64>;

    /// Removes what need not be kept of the stream's history, oldest first.
    ///
    /// What a group was not given or has not acknowledged is never removed, nor is anything after it, but for
    /// [`hard_max_events`](Retention::hard_max_events). A group that is made meanwhile starts before or after the trimming,
    /// never in a gap.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::ErrorKind::Unsupported) without [`trim`](Capabilities::trim), and where the broker refuses
    /// what it takes to do it safely; [`InvalidConfig`](crate::ErrorKind::InvalidConfig) for limits that contradict each other.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves open how much is removed; what must be kept is kept.
    async fn trim(&self, retention: &Retention) -> Result<TrimReport>;

    /// Removes the stream with everything in it: events, groups, what they have not handled, and dead letters. For a stream
    /// that was made for something that is over; one that is made again under this name begins anew.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::ErrorKind::Unsupported) where a stream is a queue that somebody made by other means.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves open how much is removed.
    async fn remove_stream(&self) -> Result<()>;

    /// Lets go of the connection. Closing twice is fine.
    ///
    /// # Errors
    ///
    /// When the backend reports one; the connection is gone all the same.
    ///
    /// # Cancel safety
    ///
    /// Closing again waits for the rest.
    async fn close(&self) -> Result<()>;
}
