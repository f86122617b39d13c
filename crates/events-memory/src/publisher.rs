//! Publishes to a stream in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use events_core::wire::{Encoding, RawMessage};
use events_core::{
    Capabilities, Error, Event, EventPublisher, MessageId, PublishReport, Result, async_trait,
};

use crate::cell::Cell;
use crate::log::message_id;

/// Publishes to one stream of a [`MemoryBroker`](crate::MemoryBroker). It never waits.
#[derive(Debug)]
pub struct MemoryPublisher {
    cell: Arc<Cell>,
    encoding: Encoding,
    closed: AtomicBool,
}

impl MemoryPublisher {
    pub(crate) fn new(cell: Arc<Cell>) -> Self {
        Self { cell, encoding: Encoding::default(), closed: AtomicBool::new(false) }
    }

    /// Writes events in this encoding. Default: [`Encoding::Adr018`].
    #[must_use]
    pub fn with_encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// The message to store, or why it is refused.
    fn message(&self, event: &Event) -> Result<RawMessage> {
        let encoded = self.encoding.encode(event)?;
        let (bytes, limit) = (encoded.counted_bytes(), self.cell.config.max_event_bytes);
        if bytes > limit {
            return Err(Error::too_large("publish", bytes, limit));
        }
        Ok(RawMessage::from(&encoded))
    }
}

#[async_trait]
impl EventPublisher for MemoryPublisher {
    fn capabilities(&self) -> Capabilities {
        self.cell.config.capabilities()
    }

    async fn publish_batch(&self, events: &[Event]) -> Result<PublishReport> {
        // Nothing below ever waits; a caller that publishes in a loop must still let other tasks run.
        tokio::task::coop::consume_budget().await;
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::closed("publish"));
        }
        let messages: Vec<Result<RawMessage>> = events.iter().map(|event| self.message(event)).collect();
        let (date, limit) = (self.cell.clock.date(), self.cell.config.max_events);
        let outcomes: Vec<Result<MessageId>> = self.cell.change(|stream| {
            let publish = |message: Result<RawMessage>| stream.publish(message?, date, limit).map(message_id);
            messages.into_iter().map(publish).collect()
        });
        Ok(PublishReport::new(outcomes))
    }

    async fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::Release);
        Ok(())
    }
}
