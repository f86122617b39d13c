//! What a handler knows of the event besides its payload.

use std::sync::Arc;

use events_core::{Delivery, Event, Headers, MessageId};
use time::OffsetDateTime;

/// What a handler knows of the event besides its payload. Clones are cheap.
#[derive(Clone, Debug)]
pub struct Context {
    event: Arc<Event>,
    stream: Arc<str>,
    message_id: MessageId,
    attempt: u32,
    published_at: Option<OffsetDateTime>,
}

impl Context {
    pub(crate) fn new(delivery: &Delivery, stream: Arc<str>, attempt: u32) -> Self {
        Self {
            event: delivery.shared_event(),
            stream,
            message_id: delivery.message_id().clone(),
            attempt,
            published_at: delivery.published_at(),
        }
    }

    /// The event.
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// The event, to keep.
    pub fn shared_event(&self) -> Arc<Event> {
        Arc::clone(&self.event)
    }

    /// What travelled beside the event's JSON.
    pub fn headers(&self) -> &Headers {
        self.event.headers()
    }

    /// The stream key, or the name of the queue.
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// The broker's id of the event.
    pub fn message_id(&self) -> &MessageId {
        &self.message_id
    }

    /// How often the event has been tried, this time included; 1 for the first.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// When the broker accepted the event, where it says so.
    pub fn published_at(&self) -> Option<OffsetDateTime> {
        self.published_at
    }
}
