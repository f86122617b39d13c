//! The publisher of a service whose events are disabled.

use events_core::{
    Capabilities, Error, Event, EventPublisher, MessageId, PublishReport, Result, async_trait,
};
use std::sync::atomic::{AtomicBool, Ordering};

/// Accepts events and drops them.
#[derive(Debug)]
pub(crate) struct DisabledPublisher {
    closed: AtomicBool,
}

impl DisabledPublisher {
    /// Says once, here, that nothing will be published.
    pub(crate) fn new(config: &crate::EventsConfig) -> Self {
        tracing::info!(
            stream_key = config.stream_key,
            "events are disabled (`enabled: false`): they are accepted and dropped"
        );
        Self { closed: AtomicBool::new(false) }
    }
}

#[async_trait]
impl EventPublisher for DisabledPublisher {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    async fn publish_batch(&self, events: &[Event]) -> Result<PublishReport> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(Error::closed("publish"));
        }
        Ok(PublishReport::new(events.iter().map(|_| Ok(MessageId::from("disabled"))).collect()))
    }

    async fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::Relaxed);
        Ok(())
    }
}
