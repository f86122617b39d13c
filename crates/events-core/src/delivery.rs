//! One event in the hands of one consumer, until it is settled.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;

use crate::{Error, ErrorKind, Event, Headers, MessageId, Receipt, Result, Settlement, Settler};

/// One event handed to one consumer.
///
/// Settling consumes it, so that it cannot be settled twice.
/// One that is dropped unsettled is delivered again when its lease ends.
#[must_use = "a delivery that is dropped unsettled is delivered again when its lease ends"]
pub struct Delivery {
    event: Arc<Event>,
    stream: Arc<str>,
    published_at: Option<OffsetDateTime>,
    hold: Hold,
}

/// What a backend makes a [`Delivery`] of.
#[derive(Debug)]
pub struct DeliveryParts {
    /// The decoded event.
    pub event: Event,
    /// What the settler finds the delivery by.
    pub receipt: Receipt,
    /// The stream key, or the name of the queue.
    pub stream: Arc<str>,
    /// When the broker accepted the event, where it says so.
    pub published_at: Option<OffsetDateTime>,
    /// Settles this consumer's deliveries.
    pub settler: Arc<dyn Settler>,
}

/// The duty to settle. Dropped while armed it tells the settler that nobody will.
struct Hold {
    settler: Arc<dyn Settler>,
    receipt: Receipt,
    armed: bool,
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.armed {
            self.settler.abandon(&self.receipt);
        }
    }
}

impl Delivery {
    /// Called by backends.
    pub fn new(parts: DeliveryParts) -> Self {
        let DeliveryParts { event, receipt, stream, published_at, settler } = parts;
        Self { event: Arc::new(event), stream, published_at, hold: Hold { settler, receipt, armed: true } }
    }

    /// The event.
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// The event, to be kept beside the delivery: by a handler that runs while somebody else holds the duty to settle.
    pub fn shared_event(&self) -> Arc<Event> {
        Arc::clone(&self.event)
    }

    /// What travelled beside the event's JSON.
    pub fn headers(&self) -> &Headers {
        self.event.headers()
    }

    /// The broker's id of the event: its position in the stream where the backend can replay.
    pub fn message_id(&self) -> &MessageId {
        &self.hold.receipt.message_id
    }

    /// How often the event has been delivered to this group, this time included; 1 for the first.
    pub fn attempt(&self) -> u32 {
        self.hold.receipt.attempt
    }

    /// The stream key, or the name of the queue.
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// When the broker accepted the event, where it says so; the event's own timestamp is when it happened.
    pub fn published_at(&self) -> Option<OffsetDateTime> {
        self.published_at
    }

    /// Done: the group never sees the event again.
    ///
    /// # Errors
    ///
    /// When the broker could not be told; the event is delivered again when its lease ends.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves open whether the event is acknowledged.
    pub async fn ack(self) -> Result<()> {
        self.settle(Settlement::Ack).await
    }

    /// Failed: deliver again at once, or dead-letter when this was the last attempt.
    ///
    /// # Errors
    ///
    /// When the broker could not be told; the event is delivered again when its lease ends.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves open whether the event is given back before its lease ends.
    pub async fn nack(self) -> Result<()> {
        self.settle(Settlement::Nack { delay: Duration::ZERO, error: None }).await
    }

    /// Failed: deliver again after `delay`, or dead-letter when this was the last attempt.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](ErrorKind::Unsupported) where the backend cannot delay, otherwise as [`nack`](Self::nack).
    ///
    /// # Cancel safety
    ///
    /// As [`nack`](Self::nack).
    pub async fn nack_after(self, delay: Duration) -> Result<()> {
        self.settle(Settlement::Nack { delay, error: None }).await
    }

    /// As [`nack_after`](Self::nack_after), and keeps `error` with the dead letter when this was the last attempt, or
    /// where [`keeps_errors`](crate::Capabilities::keeps_errors) holds when no later one says anything.
    ///
    /// # Errors
    ///
    /// As [`nack_after`](Self::nack_after).
    ///
    /// # Cancel safety
    ///
    /// As [`nack`](Self::nack).
    pub async fn fail(self, error: impl fmt::Display + Send, delay: Duration) -> Result<()> {
        let error = Some(error.to_string());
        self.settle(Settlement::Nack { delay, error }).await
    }

    /// Not tried: give the event back at once, as if it had not been delivered. Never dead-letters.
    ///
    /// Where [`uncounted_release`](crate::Capabilities::uncounted_release) does not hold, the attempt stays counted.
    ///
    /// # Errors
    ///
    /// As [`nack`](Self::nack).
    ///
    /// # Cancel safety
    ///
    /// As [`nack`](Self::nack).
    pub async fn release(self) -> Result<()> {
        self.settle(Settlement::Release).await
    }

    /// Hopeless: dead-letter now, with the reason.
    ///
    /// # Errors
    ///
    /// When the broker could not be told; the event is delivered again when its lease ends.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves open whether the event is dead-lettered; it is never lost.
    pub async fn reject(self, reason: impl Into<String> + Send) -> Result<()> {
        let reason = reason.into();
        self.settle(Settlement::Reject { reason }).await
    }

    /// Still working: the lease ends `lease` from now.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) when the lease has ended and the event is somebody else's or settled,
    /// [`Unsupported`](ErrorKind::Unsupported) where leases cannot be extended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves open whether the lease is extended.
    pub async fn extend(&self, lease: Duration) -> Result<()> {
        let outcomes = self.hold.settler.extend(std::slice::from_ref(&self.hold.receipt), lease).await;
        only(outcomes, "extend")
    }

    /// Takes the event and drops the duty to settle: it is delivered again when its lease ends.
    pub fn into_event(self) -> Event {
        Arc::unwrap_or_clone(self.event)
    }

    /// Puts another settler in front of the delivery's own: for what stands between a backend and its user, and counts or
    /// measures. Deliveries that shared a settler should be given one again, so that many are still settled in one call.
    pub fn map_settler(mut self, wrap: impl FnOnce(Arc<dyn Settler>) -> Arc<dyn Settler>) -> Self {
        self.hold.settler = wrap(Arc::clone(&self.hold.settler));
        self
    }

    /// Whom to ask to settle, for calls that settle many at once.
    pub(crate) fn settler(&self) -> &Arc<dyn Settler> {
        &self.hold.settler
    }

    pub(crate) fn receipt(&self) -> &Receipt {
        &self.hold.receipt
    }

    /// The delivery is settled; nobody needs to be told when it is dropped.
    pub(crate) fn disarm(&mut self) {
        self.hold.armed = false;
    }

    async fn settle(self, settlement: Settlement) -> Result<()> {
        // The event is dropped before waiting: only the duty stays, armed until the outcome is known.
        let mut hold = self.hold;
        let outcomes = hold.settler.settle(std::slice::from_ref(&hold.receipt), &settlement).await;
        let outcome = only(outcomes, "settle");
        hold.armed = outcome.is_err();
        outcome
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("event", &self.event)
            .field("receipt", &self.hold.receipt)
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

/// The outcome of a batch of one.
fn only(mut outcomes: Vec<Result<()>>, operation: &'static str) -> Result<()> {
    outcomes.pop().unwrap_or_else(|| {
        Err(Error::new(ErrorKind::Backend, operation, "the backend reported no outcome for the delivery"))
    })
}
