//! What is printed of one event: the event, and what the broker says of it.

use events_core::{Delivery, Event, MessageId};

/// One event on its way to the terminal.
#[derive(Clone, Copy, Debug)]
pub struct Line<'e> {
    pub(crate) event: &'e Event,
    pub(crate) message_id: Option<&'e MessageId>,
    pub(crate) attempt: Option<u32>,
}

impl<'e> Line<'e> {
    /// The event.
    pub fn event(&self) -> &'e Event {
        self.event
    }

    /// An event of the stream's history.
    pub fn of_history(event: &'e Event, message_id: &'e MessageId) -> Self {
        Self { event, message_id: Some(message_id), attempt: None }
    }
}

impl<'e> From<&'e Event> for Line<'e> {
    fn from(event: &'e Event) -> Self {
        Self { event, message_id: None, attempt: None }
    }
}

impl<'e> From<&'e Delivery> for Line<'e> {
    fn from(delivery: &'e Delivery) -> Self {
        Self {
            event: delivery.event(),
            message_id: Some(delivery.message_id()),
            attempt: Some(delivery.attempt()),
        }
    }
}
