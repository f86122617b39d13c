//! Our side of every measure, through the public traits: what a service would write.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use events_core::{Event, EventConsumer, EventPublisher, ack_all};
use events_factory::{EventsConfig, create_event_consumer, create_event_publisher};

/// How long `receive` may wait when there certainly is something.
const WAIT: Duration = Duration::from_secs(10);

/// Long enough that nothing a measure leaves pending is due before it ends.
const LEASE: Duration = Duration::from_secs(60 * 60);

/// One stream of one broker.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) url: String,
    pub(crate) key: String,
}

impl Stream {
    pub(crate) async fn into_publisher(self) -> Result<Arc<dyn EventPublisher>> {
        let config = EventsConfig::new(&*self.url).with_stream_key(&*self.key);
        Ok(create_event_publisher(&config).await?)
    }

    pub(crate) async fn consumer(&self, group: &str) -> Result<Box<dyn EventConsumer>> {
        let mut config = EventsConfig::new(&*self.url).with_stream_key(&*self.key).with_consumer_group(group);
        config.lease = Some(LEASE);
        Ok(create_event_consumer(&config).await?)
    }
}

/// Publishes a batch again and again, one call after the other.
pub(crate) async fn publish(
    publisher: Arc<dyn EventPublisher>,
    batch: Arc<[Event]>,
    count: usize,
) -> Result<Duration> {
    let started = Instant::now();
    for _ in 0..count / batch.len() {
        publisher.publish_batch(&batch).await?.into_ids()?;
    }
    Ok(started.elapsed())
}

/// Receives and acknowledges until `count` events are acknowledged.
pub(crate) async fn consume(consumer: &mut dyn EventConsumer, most: usize, count: usize) -> Result<Duration> {
    let most = NonZeroUsize::new(most).unwrap_or(NonZeroUsize::MIN);
    let started = Instant::now();
    let mut acknowledged = 0;
    while acknowledged < count {
        let deliveries = consumer.receive(most, WAIT).await?;
        ensure!(!deliveries.is_empty(), "the stream ended after {acknowledged} of {count} events");
        acknowledged += ack_all(deliveries).await.into_result()?;
    }
    Ok(started.elapsed())
}

/// Receives `count` events and settles none, so that they stay pending.
pub(crate) async fn leave_pending(consumer: &mut dyn EventConsumer, count: usize) -> Result<()> {
    let mut received = 0;
    while received < count {
        let most = NonZeroUsize::new((count - received).min(1_000)).unwrap_or(NonZeroUsize::MIN);
        let deliveries = consumer.receive(most, WAIT).await?;
        ensure!(!deliveries.is_empty(), "the stream ended after {received} of {count} events");
        received += deliveries.len();
    }
    Ok(())
}
