//! Publishes and consumes as much as was asked for.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use events_core::{Event, EventConsumer, EventPublisher, ack_all};
use tokio::task::JoinSet;

use super::measure::Measure;
use crate::progress::Progress;

/// How long one call waits for events that are there.
const WAIT: Duration = Duration::from_secs(5);

/// How much to publish, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Workload {
    pub(super) count: u64,
    pub(super) size: usize,
    pub(super) batch: NonZeroUsize,
    pub(super) concurrency: NonZeroUsize,
}

impl Workload {
    /// Publishes everything, then consumes everything.
    pub(super) async fn run(
        self,
        publisher: &Arc<dyn EventPublisher>,
        consumer: &mut dyn EventConsumer,
    ) -> Result<[Measure; 2]> {
        Ok([self.publish(publisher).await?, self.consume(consumer).await?])
    }

    async fn publish(self, publisher: &Arc<dyn EventPublisher>) -> Result<Measure> {
        let progress = Arc::new(Progress::new("publishing", Some(self.count)));
        let left = Arc::new(AtomicU64::new(self.count));
        let padding = "x".repeat(self.size.saturating_sub(r#"{"n":1000000,"x":""}"#.len()));
        let start = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..self.concurrency.get() {
            let (publisher, left, padding) = (Arc::clone(publisher), Arc::clone(&left), padding.clone());
            let progress = Arc::clone(&progress);
            tasks.spawn(async move {
                let mut batches = Vec::new();
                loop {
                    let most = self.batch.get() as u64;
                    let take = |left: u64| (left > 0).then(|| left.saturating_sub(most));
                    let Ok(before) = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) else {
                        return Ok::<_, anyhow::Error>(batches);
                    };
                    let batch = before.saturating_sub(most)..before;
                    let count = batch.end - batch.start;
                    let events: Vec<Event> = batch.map(|n| event(n, &padding)).collect::<Result<_>>()?;
                    let call = Instant::now();
                    publisher.publish_batch(&events).await?.into_ids()?;
                    batches.push(call.elapsed());
                    progress.add(count);
                }
            });
        }
        let mut batches = Vec::new();
        while let Some(task) = tasks.join_next().await {
            batches.extend(task??);
        }
        Ok(Measure::new("publish", (self.count, self.size), start.elapsed(), batches))
    }

    async fn consume(self, consumer: &mut dyn EventConsumer) -> Result<Measure> {
        let progress = Progress::new("consuming", Some(self.count));
        let (start, mut batches, mut acked) = (Instant::now(), Vec::new(), 0);
        while acked < self.count {
            let call = Instant::now();
            let deliveries = consumer.receive(self.batch, WAIT).await?;
            if deliveries.is_empty() {
                bail!("only {acked} of {} events came back", self.count);
            }
            let now = ack_all(deliveries).await.into_result()? as u64;
            batches.push(call.elapsed());
            acked += now;
            progress.add(now);
        }
        Ok(Measure::new("consume", (acked, self.size), start.elapsed(), batches))
    }
}

fn event(n: u64, padding: &str) -> Result<Event> {
    let payload = format!(r#"{{"n":{n},"x":"{padding}"}}"#);
    Ok(Event::builder("bench.event", "events-bench").with_payload_json(payload).build()?)
}
