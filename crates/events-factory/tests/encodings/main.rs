//! Every encoding on every backend, from configuration: what comes back is what went in, and what an encoding or a backend
//! has no place for is refused with a typed error and not sent, while its neighbours arrive.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails by panicking")]

mod brokers;
mod cases;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use events_core::wire::Encoding;
use events_core::{DeadLetterReason, ErrorKind, Event, EventPublisherExt, ack_all};
use events_factory::{
    Ensure, EventsConfig, create_event_admin, create_event_consumer, create_event_publisher,
    ensure_event_stream,
};

use crate::brokers::{Broker, with_credentials};
use crate::cases::{Fate, TRACE_CONTEXT, cases};

const DEADLINE: Duration = Duration::from_secs(60);

/// How long a consumer waits for what should not come.
const NOTHING_MORE: Duration = Duration::from_millis(200);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_memory() {
    every_encoding(&Broker::Memory).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_file() {
    every_encoding(&Broker::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_redis() {
    every_encoding(&Broker::redis()).await;
}

#[test]
fn on_a_queue() {
    with_credentials("on_a_queue", async || every_encoding(&Broker::queue()).await);
}

#[test]
fn through_a_topic() {
    with_credentials("through_a_topic", async || every_encoding(&Broker::topic()).await);
}

async fn every_encoding(broker: &Broker) {
    for encoding in Encoding::ALL {
        if broker.refuses(encoding) {
            let publisher = create_event_publisher(&broker.config("refused", encoding)).await;
            let error = publisher.expect_err("the backend has no such encoding");
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{encoding} on {broker:?}");
            continue;
        }
        // Recognised message by message, and told which one there is.
        for expected in [None, Some(encoding)] {
            let how = if expected.is_some() { "told" } else { "detected" };
            let mut config = broker.config(how, encoding);
            config.expected_encoding = expected;
            ensure_event_stream(&config, Ensure::Apply).await.unwrap();
            let accepted = publish(&config, encoding, broker).await;
            receive(&config, accepted, broker, &format!("{encoding} on {broker:?}, {how}")).await;
        }
        expect_another(broker, encoding).await;
    }
}

/// What must arrive, and the name of its case.
type Accepted = BTreeMap<String, (Event, &'static str)>;

/// Publishes all cases in one batch, and again by itself what was refused.
async fn publish(config: &EventsConfig, encoding: Encoding, broker: &Broker) -> Accepted {
    let publisher = create_event_publisher(config).await.unwrap();
    let cases = cases(publisher.capabilities().max_headers);
    let events: Vec<Event> = cases.iter().map(|case| case.event.clone()).collect();
    let outcomes = publisher.publish_batch(&events).await.unwrap().into_outcomes();
    assert_eq!(outcomes.len(), cases.len());
    let mut accepted = Accepted::new();
    for (case, outcome) in cases.into_iter().zip(outcomes) {
        let told = outcome.map(drop).map_err(|error| (error.kind(), error.is_transient()));
        match case.fate(encoding, broker.is_queue()) {
            Fate::Arrives(event) => {
                assert_eq!(told, Ok(()), "{} in {encoding} on {broker:?}", case.name);
                accepted.insert(cases::key(&event), (event, case.name));
            }
            Fate::Refused(kind) => {
                assert_eq!(told, Err((kind, false)), "{} in {encoding} on {broker:?}", case.name);
                let alone = publisher.publish(&case.event).await.map_err(|error| error.kind());
                assert_eq!(alone, Err(kind), "{} in {encoding} on {broker:?}, alone", case.name);
            }
        }
    }
    publisher.close().await.unwrap();
    accepted
}

/// Every event that was accepted arrives as it was, once, and nothing else does.
async fn receive(config: &EventsConfig, accepted: Accepted, broker: &Broker, place: &str) {
    let (count, mut wanted) = (accepted.len() as u64, accepted);
    let mut consumer = create_event_consumer(config).await.unwrap();
    let end = Instant::now() + DEADLINE;
    while !wanted.is_empty() {
        let missing: Vec<&str> = wanted.values().map(|(_, name)| *name).collect();
        assert!(Instant::now() < end, "{place}: these do not arrive: {missing:?}");
        let deliveries = consumer.receive(NonZeroUsize::MAX, Duration::from_secs(1)).await.unwrap();
        for delivery in &deliveries {
            let event = delivery.event();
            let Some((sent, name)) = wanted.remove(&cases::key(event)) else {
                panic!("{place}: this was not accepted, or came before: {event:?}");
            };
            for header in TRACE_CONTEXT {
                let sent = sent.headers().get(header);
                assert_eq!(delivery.headers().get(header), sent, "{place}: {header} of {name}");
            }
            assert_eq!(event, &sent, "{place}: {name}");
        }
        assert!(ack_all(deliveries).await.failed.is_empty(), "{place}");
    }
    let more = consumer.receive(NonZeroUsize::MIN, NOTHING_MORE).await.unwrap();
    assert!(more.is_empty(), "{place}: {more:?}");
    consumer.close().await.unwrap();
    let state = create_event_admin(config).await.unwrap().state().await.unwrap();
    let group = &state.groups[0];
    assert_eq!((group.lag, group.pending, state.dead_letters), (Some(0), 0, Some(0)), "{place}");
    // A queue keeps nothing that is acknowledged, a stream everything: what was refused is in neither.
    let kept = if broker.is_queue() { 0 } else { count };
    assert_eq!(state.length, Some(kept), "{place}");
}

/// Whoever is told to expect another encoding is given nothing: the message is a dead letter that says why.
async fn expect_another(broker: &Broker, encoding: Encoding) {
    let mut config = broker.config("unexpected", encoding);
    config.expected_encoding = Encoding::ALL.into_iter().find(|other| !other.reads(encoding));
    ensure_event_stream(&config, Ensure::Apply).await.unwrap();
    let publisher = create_event_publisher(&config).await.unwrap();
    publisher.publish(&cases::plain()).await.unwrap();
    let mut consumer = create_event_consumer(&config).await.unwrap();
    let admin = create_event_admin(&config).await.unwrap();
    let end = Instant::now() + DEADLINE;
    let letters = loop {
        let deliveries = consumer.receive(NonZeroUsize::MIN, NOTHING_MORE).await.unwrap();
        assert!(deliveries.is_empty(), "{encoding} on {broker:?}: {deliveries:?}");
        let letters = admin.dead_letters(None, NonZeroUsize::MAX).await.unwrap();
        if !letters.is_empty() {
            break letters;
        }
        assert!(Instant::now() < end, "{encoding} on {broker:?}: there is no dead letter");
    };
    consumer.close().await.unwrap();
    assert_eq!((letters.len(), letters[0].reason), (1, DeadLetterReason::Undecodable), "{encoding}");
    let detail = letters[0].detail.as_deref().unwrap_or_default();
    assert!(detail.contains(&format!("in encoding `{encoding}`")), "{encoding} on {broker:?}: {detail}");
    assert_eq!(letters[0].message.encoding(), encoding, "{broker:?}");
}
