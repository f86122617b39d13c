//! What several tests need: numbered events, and waiting with a deadline.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use events_core::{ConsumerOptions, DeadLetter, Event, EventConsumer, ack_all};
use events_runtime::WorkerConfig;
use serde::Deserialize;
use tokio::time::{Instant, sleep, timeout};

use crate::brokers::Broker;

/// How long a test waits for what must happen; only spent when it does not.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) const BATCH: NonZeroUsize = NonZeroUsize::new(1_000).expect("not zero");

pub(crate) const GROUP: &str = "g";

/// The payload of a [`numbered`] event.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Number {
    pub(crate) n: u64,
}

pub(crate) fn unique(what: &str) -> String {
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    format!(
        "{what}-{}-{nanos}-{}",
        std::process::id(),
        COUNTER.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    )
}

static COUNTER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

pub(crate) fn event(event_type: &str, n: u64) -> Event {
    Event::new(event_type, "test", serde_json::json!({ "n": n })).unwrap()
}

pub(crate) fn numbered(numbers: Range<u64>) -> Vec<Event> {
    numbers.map(|n| event("test.numbered", n)).collect()
}

pub(crate) fn number(event: &Event) -> u64 {
    event.payload_as::<Number>().unwrap().n
}

pub(crate) async fn publish(broker: &impl Broker, events: &[Event]) {
    let publisher = broker.publisher().await;
    publisher.publish_batch(events).await.unwrap().into_ids().unwrap();
    publisher.close().await.unwrap();
}

/// A group member whose lease nobody waits for.
pub(crate) fn options() -> ConsumerOptions {
    ConsumerOptions::new(GROUP).with_lease(Duration::from_secs(600))
}

/// Settings that retry at once.
pub(crate) fn config() -> WorkerConfig {
    let mut config = WorkerConfig::default();
    config.lease = Duration::from_secs(600);
    config.retry.initial = Duration::from_millis(1);
    config.retry.max = Duration::from_millis(5);
    config
}

/// Receives and acknowledges until nothing has come for a while; the numbers in the order they came.
pub(crate) async fn drain(consumer: &mut dyn EventConsumer, quiet: Duration) -> Vec<u64> {
    let mut numbers = Vec::new();
    loop {
        let deliveries = consumer.receive(BATCH, quiet).await.unwrap();
        if deliveries.is_empty() {
            return numbers;
        }
        numbers.extend(deliveries.iter().map(|delivery| number(delivery.event())));
        ack_all(deliveries).await.into_result().unwrap();
    }
}

/// Receives and acknowledges until there are so many different ones; the numbers in the order they came.
pub(crate) async fn receive_distinct(consumer: &mut dyn EventConsumer, count: usize) -> Vec<u64> {
    let mut numbers = Vec::new();
    let mut distinct = std::collections::HashSet::new();
    let end = Instant::now() + DEADLINE;
    while distinct.len() < count {
        assert!(Instant::now() < end, "{} of {count} came", distinct.len());
        match consumer.receive(BATCH, Duration::from_millis(500)).await {
            Ok(deliveries) => {
                numbers.extend(deliveries.iter().map(|delivery| number(delivery.event())));
                distinct.extend(deliveries.iter().map(|delivery| number(delivery.event())));
                drop(ack_all(deliveries).await);
            }
            Err(error) => assert!(error.is_transient(), "{error:?}"),
        }
    }
    numbers
}

/// The numbers without repetitions, in the order of their first appearance.
pub(crate) fn firsts(numbers: &[u64]) -> Vec<u64> {
    let mut seen = std::collections::HashSet::new();
    numbers.iter().copied().filter(|number| seen.insert(*number)).collect()
}

pub(crate) async fn dead_letters(broker: &impl Broker) -> Vec<DeadLetter> {
    broker.admin().await.dead_letters(None, BATCH).await.unwrap()
}

/// Insists that the group has nothing left, neither undelivered nor pending.
pub(crate) async fn expect_all_settled(broker: &impl Broker) {
    assert_eq!(broker.left().await, (0, 0), "not given yet, and held");
}

pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < end, "not within {DEADLINE:?}: {what}");
        sleep(Duration::from_millis(2)).await;
    }
}

pub(crate) async fn within_deadline<T>(future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, Box::pin(future)).await.expect("the test hangs")
}

/// A list several handlers write to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log<T>(Arc<Mutex<Vec<T>>>);

impl<T: Clone> Log<T> {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    pub(crate) fn push(&self, entry: T) {
        self.0.lock().unwrap().push(entry);
    }

    pub(crate) fn entries(&self) -> Vec<T> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}
