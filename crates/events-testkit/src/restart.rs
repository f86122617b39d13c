//! Case 36: the broker is killed and restarted while events flow.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use events_core::{Event, EventConsumer, EventPublisher};
use tokio::time::Instant;

use crate::scene::{BATCH, Scene, WAIT, ack_what_can_be, number, numbered, receive_once};
use crate::{Fault, Harness, Shown};

const COUNT: usize = 10_000;

/// How many are accepted and delivered before the broker is killed, so that it happens in the middle.
const BEFORE: usize = 2_000;

/// How long all of it may take.
const DEADLINE: Duration = Duration::from_secs(100);

/// 36: of 10,000 events none that was accepted is lost when the broker is killed and restarted under publisher and consumer.
pub async fn loses_nothing_accepted_when_the_broker_is_killed(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    // Every delivery that the fault cuts short counts as an attempt; none of them may make a dead letter.
    let many = NonZeroU32::new(1_000).expect("a thousand is not zero");
    let consumer = scene.consumer_with(scene.options("g").with_max_deliveries(many)).await;
    let (accepted, delivered) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let publishing = tokio::spawn(publish_stubbornly(scene.publisher().await, Arc::clone(&accepted)));
    let consuming = tokio::spawn(consume_all(consumer, Arc::clone(&delivered)));
    let end = Instant::now() + DEADLINE;
    let so_far = || (accepted.load(Ordering::Relaxed), delivered.load(Ordering::Relaxed));
    while so_far().0.min(so_far().1) < BEFORE {
        assert!(Instant::now() < end, "{:?} accepted and delivered", so_far());
        assert!(!consuming.is_finished(), "the consumer gave up");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    if !harness.cause(Fault::RestartBroker).await {
        publishing.abort();
        consuming.abort();
        return Shown::NotOffered;
    }
    while !(publishing.is_finished() && consuming.is_finished()) {
        assert!(Instant::now() < end, "{:?} accepted and delivered", so_far());
        harness.advance(Duration::from_millis(200)).await;
        // A harness whose clock is moved by hand spends no real time above.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    publishing.await.expect("publishing ends well");
    consuming.await.expect("consuming ends well");
    Shown::Yes
}

/// Publishes until every event is accepted, each failed one again.
async fn publish_stubbornly(publisher: Arc<dyn EventPublisher>, accepted: Arc<AtomicUsize>) {
    for batch in numbered(0..COUNT).chunks(100) {
        let mut left: Vec<Event> = batch.to_vec();
        while !left.is_empty() {
            let report = publisher.publish_batch(&left).await.expect("a publisher that is open publishes");
            let failed: BTreeSet<usize> = report.failed().map(|(at, _)| at).collect();
            for (_, error) in report.failed() {
                assert!(error.is_transient(), "publishing fails for good: {error:?}");
            }
            accepted.fetch_add(left.len() - failed.len(), Ordering::Relaxed);
            let failed = |(at, event): (usize, Event)| failed.contains(&at).then_some(event);
            left = left.into_iter().enumerate().filter_map(failed).collect();
            if !left.is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    publisher.close().await.expect("a publisher closes");
}

/// Consumes until every event was seen.
async fn consume_all(mut consumer: Box<dyn EventConsumer>, delivered: Arc<AtomicUsize>) {
    let mut seen = BTreeSet::new();
    while seen.len() < COUNT {
        match receive_once(&mut *consumer, BATCH, WAIT).await {
            Ok(deliveries) => {
                seen.extend(deliveries.iter().map(number));
                delivered.store(seen.len(), Ordering::Relaxed);
                ack_what_can_be(deliveries).await;
            }
            Err(error) => assert!(error.is_transient(), "receiving fails for good: {error:?}"),
        }
    }
    consumer.close().await.expect("a consumer closes");
}
