//! The consuming side of a backend.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::num::NonZeroUsize;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{self, Stream};

use crate::{Capabilities, Delivery, ErrorKind, Result};

/// How long the convenience methods ask the backend to wait at a time; it only bounds how often they ask.
const WAIT: Duration = Duration::from_secs(30);

/// One member of a consumer group on one stream.
///
/// This trait is what a backend implements; [`EventConsumerExt`] is what callers add to it.
#[async_trait]
pub trait EventConsumer: Debug + Send + 'static {
    /// What the backend can do, and its limits.
    fn capabilities(&self) -> Capabilities;

    /// Waits up to `wait` for a first event, then returns what is there, at most `max`.
    ///
    /// Empty means that the broker was asked and had nothing to give this group: no event whose lease has ended and
    /// none that was never delivered. `wait` may be zero: ask once, do not wait.
    /// The lease of a delivery runs from the moment this method returns it.
    /// Events that cannot be decoded, and events past `max_deliveries`, are moved to the dead letters and not returned.
    ///
    /// # Errors
    ///
    /// A transient error says that the broker could not be asked within `wait`; the backend goes on reconnecting, and
    /// calling again is all there is to do. It is returned no sooner than `wait` or a second, whichever is shorter, so
    /// that calling in a loop does not spin.
    /// Any other error repeats until somebody changes something: [`PermissionDenied`](ErrorKind::PermissionDenied),
    /// [`InvalidConfig`](ErrorKind::InvalidConfig), or [`Closed`](ErrorKind::Closed) after [`close`](Self::close).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing and strands nothing: what was fetched for it is returned by the next call.
    async fn receive(&mut self, max: NonZeroUsize, wait: Duration) -> Result<Vec<Delivery>>;

    /// Stops reading and gives back at once what was fetched and not yet returned, without counting an attempt where
    /// the broker can undo it. Closing twice is fine.
    ///
    /// Deliveries returned before can still be settled afterwards.
    /// Dropping a consumer without closing it does the same in the background as far as it can.
    ///
    /// # Errors
    ///
    /// When something could not be given back; it comes back when its lease ends.
    ///
    /// # Cancel safety
    ///
    /// The consumer counts as closed from the first poll on; closing again waits for the rest.
    async fn close(&mut self) -> Result<()>;
}

/// What every consumer can do besides.
#[async_trait]
pub trait EventConsumerExt: EventConsumer {
    /// Waits for as long as it takes and returns one delivery.
    ///
    /// # Errors
    ///
    /// As [`receive`](EventConsumer::receive).
    ///
    /// # Cancel safety
    ///
    /// As [`receive`](EventConsumer::receive): dropping the future loses nothing.
    async fn next(&mut self) -> Result<Delivery> {
        loop {
            if let Some(delivery) = self.receive(NonZeroUsize::MIN, WAIT).await?.pop() {
                return Ok(delivery);
            }
        }
    }

    /// Turns the consumer into a stream of deliveries, fetched `batch` at a time, which ends when the consumer is closed.
    ///
    /// An error is an item; after one that is not transient the stream ends.
    /// What the stream has fetched and not yet yielded when it is dropped comes back when its lease ends: where that
    /// matters, use a `batch` of 1 or call [`receive`](EventConsumer::receive).
    fn into_stream(self, batch: NonZeroUsize) -> impl Stream<Item = Result<Delivery>> + Send
    where
        Self: Sized,
    {
        stream::unfold(Some((self, VecDeque::new())), move |state| async move {
            let (mut consumer, mut fetched) = state?;
            loop {
                if let Some(delivery) = fetched.pop_front() {
                    return Some((Ok(delivery), Some((consumer, fetched))));
                }
                match consumer.receive(batch, WAIT).await {
                    Ok(deliveries) => fetched.extend(deliveries),
                    Err(error) if error.kind() == ErrorKind::Closed => return None,
                    Err(error) if error.is_transient() => {
                        return Some((Err(error), Some((consumer, fetched))));
                    }
                    Err(error) => return Some((Err(error), None)),
                }
            }
        })
    }
}

impl<C: EventConsumer + ?Sized> EventConsumerExt for C {}

#[async_trait]
impl EventConsumer for Box<dyn EventConsumer> {
    fn capabilities(&self) -> Capabilities {
        (**self).capabilities()
    }

    async fn receive(&mut self, max: NonZeroUsize, wait: Duration) -> Result<Vec<Delivery>> {
        (**self).receive(max, wait).await
    }

    async fn close(&mut self) -> Result<()> {
        (**self).close().await
    }
}
