//! Producing: cases 43, 44, 45, 54 and 64, and that every event is counted once.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use events_core::{Error, ErrorKind, Event, EventConsumer, Headers};
use events_memory::{MemoryBroker, MemoryConfig};
use events_runtime::{
    ContextSource, DropReason, EventManager, HeaderScope, ManagerConfig, ManagerStats, Overflow,
};

use crate::brokers::{Broker, Memory, on_every_broker};
use crate::outage::Outage;
use crate::support::{DEADLINE, drain, event, eventually, numbered, options};

const QUIET: Duration = Duration::from_millis(500);

fn config(overflow: Overflow) -> ManagerConfig {
    let mut config = ManagerConfig::default();
    config.overflow = overflow;
    config.retry_initial = Duration::from_millis(1);
    config.retry_max = Duration::from_millis(10);
    config
}

fn small(overflow: Overflow) -> ManagerConfig {
    let mut config = config(overflow);
    config.queue = NonZeroUsize::new(10).unwrap();
    config.batch = NonZeroUsize::new(4).unwrap();
    config
}

async fn c54_publishes_everything_in_order_and_flushes_on_close(broker: impl Broker) {
    let mut consumer = broker.consumer(options()).await;
    let manager = EventManager::new(broker.publisher().await, config(Overflow::DropNew)).unwrap();
    let (some, all) = (broker.many() * 3 / 5, broker.many());
    numbered(0..some).into_iter().for_each(|event| manager.publish(event));
    let stats = manager.flush(DEADLINE).await;
    assert_eq!((stats.accepted, stats.published, stats.waiting), (some, some, 0));
    numbered(some..all).into_iter().for_each(|event| manager.publish(event));
    let stats = manager.close(DEADLINE).await;
    assert_eq!((stats.accepted, stats.published, stats.dropped_total()), (all, all, 0));
    manager.publish(event("test.late", 0));
    assert_eq!(manager.stats().dropped(DropReason::Closed), 1);
    assert_eq!(manager.close(DEADLINE).await.accepted, all + 1, "closing twice is fine");
    assert_eq!(came(&broker, &mut *consumer).await, (0..all).collect::<Vec<_>>());
}

async fn sends_context_along_as_headers(broker: impl Broker) {
    let mut consumer = broker.consumer(options()).await;
    let mut settings = config(Overflow::DropNew);
    settings.headers =
        [("service", "api"), ("x-request-id", "none")].map(|(n, v)| (n.into(), v.into())).into();
    let builder = EventManager::builder(broker.publisher().await, settings).with_context(Trace);
    let manager = builder.build().unwrap();
    let publish = || manager.publish(event("test.headers", 1));
    HeaderScope::new().with("x-request-id", "4f2a").with("traceparent", "of the scope").run_sync(publish);
    let own = Event::builder("test.headers", "s").with_header("service", "own").build().unwrap();
    HeaderScope::new().with("service", "of the scope").run(async { manager.publish(own) }).await;
    assert_eq!(manager.close(DEADLINE).await.published, 2);
    let mut deliveries = Vec::new();
    while deliveries.len() < 2 {
        deliveries.extend(consumer.receive(NonZeroUsize::MIN, DEADLINE).await.unwrap());
    }
    // A broker without order may have turned them round.
    deliveries.sort_by_key(|delivery| delivery.event().source() == "s");
    let headers: Vec<Vec<(&str, &str)>> =
        deliveries.iter().map(|delivery| delivery.headers().iter().collect()).collect();
    assert_eq!(headers[0], [("service", "api"), ("traceparent", TRACE), ("x-request-id", "4f2a")]);
    assert_eq!(headers[1], [("service", "own"), ("traceparent", TRACE), ("x-request-id", "none")]);
    events_core::ack_all(deliveries).await.into_result().unwrap();
}

/// What came and was acknowledged, sorted where the broker keeps no order.
async fn came(broker: &impl Broker, consumer: &mut dyn EventConsumer) -> Vec<u64> {
    let mut came = drain(consumer, QUIET).await;
    if !broker.ordered() {
        came.sort_unstable();
    }
    came
}

on_every_broker!(
    c43_drop_new_keeps_the_oldest_and_counts_the_rest,
    c43_drop_oldest_keeps_the_newest_and_counts_the_rest,
    c44_a_broker_that_is_away_at_the_start_does_not_keep_the_service_from_starting,
    c45_what_is_refused_is_dropped_and_its_neighbours_are_published,
    c54_publishes_everything_in_order_and_flushes_on_close,
    sends_context_along_as_headers,
);

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[derive(Debug)]
struct Trace;

impl ContextSource for Trace {
    fn add_headers(&self, headers: &mut Headers) {
        headers.insert("traceparent", TRACE);
    }
}

/// Fills the queue of a manager whose first batch is on its way to a broker that does not answer.
async fn stuck(broker: &impl Broker, overflow: Overflow) -> (Arc<Outage>, EventManager) {
    let outage = Outage::new(broker.publisher().await);
    outage.hang();
    let manager = EventManager::new(Arc::clone(&outage) as _, small(overflow)).unwrap();
    numbered(0..4).into_iter().for_each(|event| manager.publish(event));
    eventually("the first batch is on its way", || outage.calls.load(Ordering::SeqCst) > 0).await;
    numbered(4..30).into_iter().for_each(|event| manager.publish(event));
    (outage, manager)
}

async fn c43_drop_new_keeps_the_oldest_and_counts_the_rest(broker: impl Broker) {
    let mut consumer = broker.consumer(options()).await;
    let (outage, manager) = stuck(&broker, Overflow::DropNew).await;
    assert_eq!((manager.stats().dropped(DropReason::QueueFull), manager.stats().waiting), (16, 14));
    let flushed = manager.flush(Duration::from_millis(20)).await;
    assert_eq!((flushed.published, flushed.waiting), (0, 14), "the deadline has passed and nothing is lost");
    outage.end();
    let stats = manager.close(DEADLINE).await;
    assert_eq!((stats.published, stats.dropped_total(), stats.waiting), (14, 16, 0));
    assert_eq!(came(&broker, &mut *consumer).await, (0..14).collect::<Vec<_>>());
}

async fn c43_drop_oldest_keeps_the_newest_and_counts_the_rest(broker: impl Broker) {
    let mut consumer = broker.consumer(options()).await;
    let (outage, manager) = stuck(&broker, Overflow::DropOldest).await;
    assert_eq!((manager.stats().dropped(DropReason::QueueFull), manager.stats().waiting), (16, 14));
    outage.end();
    let stats = manager.close(DEADLINE).await;
    assert_eq!((stats.published, stats.dropped_total(), stats.waiting), (14, 16, 0));
    let kept: Vec<u64> = (0..4).chain(20..30).collect();
    assert_eq!(came(&broker, &mut *consumer).await, kept);
}

#[test]
fn every_event_of_many_threads_is_counted_once() {
    let broker = MemoryBroker::default();
    let outage = Outage::new(Arc::new(broker.publisher("s")));
    let manager = EventManager::new(Arc::clone(&outage) as _, small(Overflow::DropOldest)).unwrap();
    let closed = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| numbered(0..5_000).into_iter().for_each(|event| manager.publish(event)));
        }
        scope.spawn(|| {
            while !closed.load(Ordering::SeqCst) {
                outage.fail();
                std::thread::yield_now();
                outage.end();
            }
        });
        // Closing in the middle is what must lose count of nothing.
        while manager.stats().accepted < 10_000 {
            std::thread::yield_now();
        }
        manager.close_blocking(Duration::from_millis(50));
        closed.store(true, Ordering::SeqCst);
    });
    let stats = manager.stats();
    assert_eq!((stats.accepted, stats.waiting), (20_000, 0));
    assert_eq!(stats.published + stats.dropped_total(), 20_000, "{stats:?}");
    assert!(stats.dropped(DropReason::Closed) > 0);
}

#[tokio::test]
async fn closing_gives_up_at_its_deadline() {
    let broker = Memory::start();
    let (_outage, manager) = stuck(&broker, Overflow::DropNew).await;
    let stats = manager.close(Duration::from_millis(50)).await;
    assert_eq!((stats.published, stats.dropped(DropReason::Closed), stats.waiting), (0, 14, 0));
}

async fn c44_a_broker_that_is_away_at_the_start_does_not_keep_the_service_from_starting(broker: impl Broker) {
    let broker = Arc::new(broker);
    let up = Arc::new(AtomicBool::new(false));
    let (there, server) = (Arc::clone(&up), Arc::clone(&broker));
    let connect = move || {
        let (up, broker) = (there.load(Ordering::SeqCst), Arc::clone(&server));
        async move {
            match up {
                true => Ok(broker.publisher().await),
                false => Err(Error::new(ErrorKind::PermissionDenied, "connect", "not yet")),
            }
        }
    };
    let manager = EventManager::connecting(connect, config(Overflow::DropNew)).build().unwrap();
    numbered(0..10).into_iter().for_each(|event| manager.publish(event));
    assert_eq!(manager.flush(Duration::from_millis(20)).await.waiting, 10);
    up.store(true, Ordering::SeqCst);
    assert_eq!(manager.flush(DEADLINE).await.published, 10);
}

#[test]
fn works_without_a_runtime_and_when_dropped() {
    let broker = MemoryBroker::default();
    let manager = EventManager::new(Arc::new(broker.publisher("s")), config(Overflow::DropNew)).unwrap();
    numbered(0..100).into_iter().for_each(|event| manager.publish(event));
    assert_eq!(manager.flush_blocking(DEADLINE).published, 100);
    let clone = manager.clone();
    drop(manager);
    numbered(100..200).into_iter().for_each(|event| clone.publish(event));
    drop(clone);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let came = runtime.block_on(async {
        let mut consumer = broker.consumer("s", options()).unwrap();
        drain(&mut consumer, Duration::ZERO).await
    });
    assert_eq!(came.len(), 200);
}

async fn c45_what_is_refused_is_dropped_and_its_neighbours_are_published(broker: impl Broker) {
    let mut consumer = broker.consumer(options()).await;
    let publisher = broker.publisher().await;
    let limit = publisher.capabilities().max_event_bytes;
    let manager = EventManager::new(publisher, config(Overflow::DropNew)).unwrap();
    for n in 0..20 {
        let fill = "x".repeat(if n % 5 == 0 { limit } else { 1 });
        manager.publish(Event::new("test.some", "s", serde_json::json!({ "n": n, "fill": fill })).unwrap());
    }
    let stats = manager.close(DEADLINE).await;
    assert_eq!((stats.published, stats.dropped(DropReason::Refused), stats.dropped_total()), (16, 4, 4));
    let small: Vec<u64> = (0..20).filter(|n| n % 5 != 0).collect();
    assert_eq!(came(&broker, &mut *consumer).await, small);
}

#[tokio::test]
async fn c45_only_what_failed_is_published_again() {
    let broker = MemoryBroker::new(MemoryConfig { max_event_bytes: 400, max_events: 10 });
    let mut consumer = broker.consumer("s", options()).unwrap();
    let manager = EventManager::new(Arc::new(broker.publisher("s")), config(Overflow::DropNew)).unwrap();
    let large =
        Event::new("test.large", "s", serde_json::json!({ "n": 0, "fill": "x".repeat(1_000) })).unwrap();
    manager.publish(large);
    // Ten fit, so five have to wait until the consumer makes room, and only those are sent again.
    numbered(0..15).into_iter().for_each(|event| manager.publish(event));
    eventually("the stream is full", || manager.stats().published == 10).await;
    assert_eq!(manager.stats().dropped(DropReason::Refused), 1);
    assert_eq!(drain(&mut consumer, Duration::from_millis(300)).await, (0..15).collect::<Vec<_>>());
    assert_eq!(manager.close(DEADLINE).await.published, 15);
}

#[tokio::test]
async fn a_disabled_manager_does_nothing() {
    let manager = EventManager::disabled();
    manager.publish(event("test.nothing", 0));
    assert_eq!(manager.close(DEADLINE).await, EventManager::disabled().stats());
}

#[tokio::test]
async fn whoever_is_told_may_publish_even_after_the_end() {
    let broker = MemoryBroker::default();
    let itself: Arc<OnceLock<EventManager>> = Arc::default();
    let told = Arc::clone(&itself);
    let observe = move |_: &ManagerStats| {
        if let Some(manager) = told.get() {
            manager.publish(event("test.told", 0));
        }
    };
    let builder = EventManager::builder(Arc::new(broker.publisher("s")), config(Overflow::DropNew));
    let manager = builder.with_observer(observe).build().unwrap();
    itself.set(manager.clone()).unwrap();
    manager.close(DEADLINE).await;
    // Threads of their own: one that waits for ever would keep a runtime from ending.
    let (published, publishing) = std::sync::mpsc::channel();
    let late = manager.clone();
    std::thread::spawn(move || {
        for n in 0..100 {
            late.publish(event("test.late", n));
        }
        published.send(late.stats()).unwrap();
    });
    let stats = publishing.recv_timeout(DEADLINE).expect("publishing never waits");
    assert!(stats.dropped(DropReason::Closed) >= 100, "{stats:?}");
}

#[tokio::test]
async fn a_context_that_panics_costs_its_headers_only() {
    #[derive(Debug)]
    struct Broken;
    impl ContextSource for Broken {
        fn add_headers(&self, _: &mut Headers) {
            panic!("not my day");
        }
    }
    let broker = MemoryBroker::default();
    let builder = EventManager::builder(Arc::new(broker.publisher("s")), config(Overflow::DropNew))
        .with_context(Broken);
    let manager = builder.build().unwrap();
    manager.publish(event("test.published", 0));
    assert_eq!(manager.close(DEADLINE).await.published, 1);
}

#[test]
fn a_spool_policy_without_a_spool_is_refused() {
    let publisher = Arc::new(MemoryBroker::default().publisher("s"));
    let error = EventManager::new(publisher, config(Overflow::Spool)).expect_err("there is no spool");
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
}
