//! The publishing side of a backend.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::{Capabilities, Error, ErrorKind, Event, MessageId, PublishReport, Result};

/// Hands events of one stream to a broker.
///
/// Shared freely: every method takes `&self` and may run concurrently with every other.
/// This trait is what a backend implements; [`EventPublisherExt`] is what callers add to it.
#[async_trait]
pub trait EventPublisher: Debug + Send + Sync + 'static {
    /// What the backend can do, and its limits.
    fn capabilities(&self) -> Capabilities;

    /// Publishes events in order and says of each what became of it.
    ///
    /// `Ok(id)` for an event means that the broker accepted it to the degree the backend promises.
    /// The backend splits a batch of any size to its own limits; an empty one sends nothing.
    /// An event that is refused before sending (invalid, too large) does not keep its neighbours from being sent.
    /// While the broker is away the call waits for at most the backend's stated publish timeout.
    /// A backend does not repeat a publish whose outcome is known; its own documentation says when a lost answer can
    /// make it repeat one, and so deliver an event twice.
    ///
    /// # Errors
    ///
    /// Only what concerns the call as a whole, when nothing was sent: [`Closed`](ErrorKind::Closed).
    /// Everything else is an outcome in the report.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves open which of the events were published; none is published partly.
    async fn publish_batch(&self, events: &[Event]) -> Result<PublishReport>;

    /// Waits for what is on its way and lets go of the connection. Closing twice is fine.
    ///
    /// # Errors
    ///
    /// When what was on its way could not be finished.
    ///
    /// # Cancel safety
    ///
    /// The publisher counts as closed from the first poll on; closing again waits for the rest.
    async fn close(&self) -> Result<()>;
}

/// What every publisher can do besides.
#[async_trait]
pub trait EventPublisherExt: EventPublisher {
    /// Publishes one event and returns the id the broker gave it.
    ///
    /// # Errors
    ///
    /// The event's outcome, or the error of the call as a whole; see [`publish_batch`](EventPublisher::publish_batch).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves open whether the event was published.
    async fn publish(&self, event: &Event) -> Result<MessageId> {
        let report = self.publish_batch(std::slice::from_ref(event)).await?;
        report.into_outcomes().pop().unwrap_or_else(|| {
            Err(Error::new(ErrorKind::Backend, "publish", "the backend reported no outcome for the event"))
        })
    }
}

impl<P: EventPublisher + ?Sized> EventPublisherExt for P {}
