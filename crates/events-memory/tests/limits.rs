//! How much a stream holds, and whom a name brings together.

use std::num::NonZeroUsize;
use std::time::Duration;

use events_core::{
    ConsumerOptions, ErrorKind, Event, EventAdmin, EventConsumer, EventConsumerExt, EventPublisher,
    EventPublisherExt, StartFrom,
};
use events_memory::{MemoryBroker, MemoryConfig};

const MAX: NonZeroUsize = NonZeroUsize::new(100).unwrap();

fn small() -> MemoryBroker {
    MemoryBroker::new(MemoryConfig { max_events: 10, ..MemoryConfig::default() })
}

fn events(count: usize) -> Vec<Event> {
    (0..count)
        .map(|n| Event::new("a.b", "s", serde_json::json!({ "n": n })).expect("the event is valid"))
        .collect()
}

async fn held(broker: &MemoryBroker) -> usize {
    broker.admin("s").read(&StartFrom::Earliest, MAX, Duration::ZERO).await.expect("reading works").len()
}

#[tokio::test]
async fn a_full_stream_refuses_rather_than_forget_what_a_group_needs() {
    let broker = small();
    let mut consumer = broker.consumer("s", ConsumerOptions::new("g")).unwrap();
    let report = broker.publisher("s").publish_batch(&events(12)).await.unwrap();
    let failed: Vec<_> =
        report.failed().map(|(at, error)| (at, error.kind(), error.is_transient())).collect();
    assert_eq!(failed, [(10, ErrorKind::Full, true), (11, ErrorKind::Full, true)]);
    // Delivered is not done; acknowledged is.
    let mut deliveries = consumer.receive(MAX, Duration::ZERO).await.unwrap();
    assert_eq!(deliveries.len(), 10);
    let full = broker.publisher("s").publish(&events(1)[0]).await.unwrap_err();
    assert_eq!(full.kind(), ErrorKind::Full);
    let sixth = deliveries.remove(5).message_id().clone();
    deliveries.remove(5).ack().await.unwrap();
    broker.publisher("s").publish(&events(1)[0]).await.unwrap();
    assert_eq!(held(&broker).await, 10);
    let left = broker.admin("s").read(&StartFrom::Earliest, MAX, Duration::ZERO).await.unwrap();
    assert!(left.iter().any(|record| record.message_id == sixth), "only what is acknowledged is forgotten");
}

#[tokio::test]
async fn a_full_stream_of_no_group_forgets_its_oldest() {
    let broker = small();
    let report = broker.publisher("s").publish_batch(&events(25)).await.unwrap();
    let ids = report.into_ids().unwrap();
    let left = broker.admin("s").read(&StartFrom::Earliest, MAX, Duration::ZERO).await.unwrap();
    assert_eq!(left.len(), 10);
    assert_eq!(left[0].message_id, ids[15]);
}

#[tokio::test]
async fn a_dead_letter_keeps_its_room() {
    let broker = small();
    let mut consumer = broker.consumer("s", ConsumerOptions::new("g")).unwrap();
    broker.publisher("s").publish_batch(&events(10)).await.unwrap().into_ids().unwrap();
    for delivery in consumer.receive(MAX, Duration::ZERO).await.unwrap() {
        delivery.reject("no").await.unwrap();
    }
    // All ten are history now, which can be forgotten; their dead letters fill the stream.
    let report = broker.publisher("s").publish_batch(&events(3)).await.unwrap();
    assert_eq!(report.failed().next().map(|(_, error)| error.kind()), Some(ErrorKind::Full));
    let letters = broker.admin("s").dead_letters(None, MAX).await.unwrap();
    assert_eq!(letters.len(), 10);
}

#[tokio::test]
async fn a_name_brings_publisher_and_consumer_together() {
    let config = MemoryConfig::default();
    let mut consumer =
        MemoryBroker::named("meet", &config).unwrap().consumer("s", ConsumerOptions::new("g")).unwrap();
    let publisher = MemoryBroker::named("meet", &config).unwrap().publisher("s");
    let elsewhere = MemoryBroker::named("elsewhere", &config).unwrap();
    publisher.publish(&events(1)[0]).await.unwrap();
    consumer.next().await.unwrap().ack().await.unwrap();
    assert_eq!(held(&elsewhere).await, 0);

    let other = MemoryConfig { max_events: 1, ..config };
    let error = MemoryBroker::named("meet", &other).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
}

#[tokio::test]
async fn a_waiting_consumer_is_woken_by_its_event() {
    let broker = MemoryBroker::default();
    let mut consumer = broker.consumer("s", ConsumerOptions::new("g")).unwrap();
    let waiting = tokio::spawn(async move { consumer.receive(MAX, Duration::MAX).await.unwrap().len() });
    tokio::task::yield_now().await;
    broker.publisher("s").publish(&events(1)[0]).await.unwrap();
    assert_eq!(waiting.await.unwrap(), 1);
}

#[tokio::test]
async fn a_busy_consumer_lets_other_tasks_run() {
    let broker = MemoryBroker::default();
    let publisher = broker.publisher("s");
    let mut consumer = broker.consumer("s", ConsumerOptions::new("g")).unwrap();
    let other = tokio::spawn(async {});
    // On this runtime of one thread the loop ends only if it gives the other task its turn.
    while !other.is_finished() {
        publisher.publish(&events(1)[0]).await.unwrap();
        consumer.next().await.unwrap().ack().await.unwrap();
    }
}

#[test]
fn an_unknown_setting_is_refused() {
    let parse = serde_json::from_str::<MemoryConfig>;
    assert_eq!(parse("{}").unwrap(), MemoryConfig::default());
    assert_eq!(parse(r#"{"max_events":7}"#).unwrap().max_events, 7);
    assert!(parse(r#"{"max_event":7}"#).is_err());
}
