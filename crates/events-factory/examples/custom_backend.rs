//! Adds a backend from outside the workspace: it answers to a URL scheme of its own, and everything else stays the same.
//!
//! Run it with `cargo run -p events-factory --example custom_backend --features memory`.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use events_core::{
    ConsumerOptions, Event, EventAdmin, EventConsumer, EventPublisher, EventPublisherExt, Result, async_trait,
};
use events_factory::{Backend, EventsConfig, Registry, Target};
use events_memory::{MemoryBroker, MemoryConfig};

/// Stands in for a client of some other broker. A real one implements the three traits of `events-core`; this one lends them
/// from the backend in memory, with settings of its own that the configuration has no section for.
#[derive(Debug)]
struct Parrot {
    broker: MemoryBroker,
}

#[async_trait]
impl Backend for Parrot {
    fn name(&self) -> &str {
        "parrot"
    }

    fn schemes(&self) -> &[&str] {
        &["parrot"]
    }

    async fn publisher(&self, target: &Target<'_>) -> Result<Arc<dyn EventPublisher>> {
        Ok(Arc::new(self.broker.publisher(target.stream_key)))
    }

    async fn consumer(
        &self,
        target: &Target<'_>,
        options: ConsumerOptions,
    ) -> Result<Box<dyn EventConsumer>> {
        Ok(Box::new(self.broker.consumer(target.stream_key, options)?))
    }

    async fn admin(&self, target: &Target<'_>) -> Result<Arc<dyn EventAdmin>> {
        Ok(Arc::new(self.broker.admin(target.stream_key)))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let broker = MemoryBroker::new(MemoryConfig { max_events: 1_000, ..MemoryConfig::default() });
    let registry = Registry::new().with_backend(Parrot { broker });

    // From here on nothing knows the backend: the URL may come from a file or the environment.
    let config = EventsConfig::new("parrot://jungle").with_consumer_group("listeners");
    let publisher = registry.create_event_publisher(&config).await?;
    let mut consumer = registry.create_event_consumer(&config).await?;

    publisher.publish(&Event::new("parrot.speak", "jungle", serde_json::json!({"word": "hello"}))?).await?;
    for delivery in consumer.receive(NonZeroUsize::MIN, Duration::from_secs(1)).await? {
        assert_eq!(delivery.event().event_type(), "parrot.speak");
        delivery.ack().await?;
    }
    consumer.close().await?;
    publisher.close().await
}

#[cfg(test)]
mod tests {
    #[test]
    fn runs_to_its_end() {
        super::main().expect("the example runs");
    }
}
