//! What several tests need: numbered events, and waiting with a deadline.

use std::num::NonZeroUsize;
use std::time::Duration;

use events_core::{ConsumerOptions, Delivery, Event, EventConsumer, EventPublisher};
use events_redis::{RedisConfig, RedisConsumer, RedisPublisher};
use test_servers::{RedisServer, Reply, ServerGeneration};
use tokio::time::Instant;

/// How long a test waits for what must happen; only spent when it does not.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) const BATCH: NonZeroUsize = NonZeroUsize::new(100).expect("not zero");

pub(crate) const STREAM: &str = "orders";

pub(crate) const GROUP: &str = "audit";

/// Short enough to wait for, long enough for a busy machine.
pub(crate) const LEASE: Duration = Duration::from_secs(1);

/// How often the client sends again what was not answered: three times in all.
pub(crate) const RESENDS: u32 = 2;

pub(crate) fn server() -> RedisServer {
    RedisServer::start().expect("a Redis server")
}

/// A server of another generation than the system's own.
pub(crate) fn server_of(generation: ServerGeneration) -> RedisServer {
    RedisServer::builder().with_generation(generation).start().expect("a Redis server of this generation")
}

/// A configuration that notices a silent server soon.
pub(crate) fn config(server: &RedisServer) -> RedisConfig {
    RedisConfig::new(server.url())
        .with_command_timeout(Duration::from_secs(2))
        .with_read_patience(Duration::from_millis(500), Duration::from_millis(500))
}

pub(crate) fn options() -> ConsumerOptions {
    ConsumerOptions::new(GROUP).with_lease(LEASE)
}

pub(crate) async fn publisher(server: &RedisServer) -> RedisPublisher {
    RedisPublisher::connect(&config(server), STREAM).await.expect("a publisher")
}

pub(crate) async fn consumer(server: &RedisServer) -> RedisConsumer {
    RedisConsumer::connect(&config(server), STREAM, options()).await.expect("a consumer")
}

pub(crate) fn numbered(numbers: std::ops::Range<u64>) -> Vec<Event> {
    let event = |n| Event::new("order.placed", "shop", serde_json::json!({ "n": n })).expect("a valid event");
    numbers.map(event).collect()
}

pub(crate) fn number(delivery: &Delivery) -> u64 {
    let payload: serde_json::Value = delivery.event().payload_as().expect("a JSON payload");
    payload["n"].as_u64().expect("a numbered event")
}

/// The number of an event from its JSON.
pub(crate) fn number_in(text: &str) -> Option<usize> {
    let event: serde_json::Value = serde_json::from_str(text).ok()?;
    event["payload"]["n"].as_u64()?.try_into().ok()
}

/// Publishes and insists that all is accepted.
pub(crate) async fn publish(publisher: &RedisPublisher, numbers: std::ops::Range<u64>) {
    let report = publisher.publish_batch(&numbered(numbers)).await.expect("the batch is sent");
    report.into_ids().expect("every event is accepted");
}

/// Receives until there are `count`, passing over transient errors.
pub(crate) async fn receive(consumer: &mut RedisConsumer, count: usize) -> Vec<Delivery> {
    let end = Instant::now() + DEADLINE;
    let mut deliveries = Vec::new();
    while deliveries.len() < count {
        assert!(Instant::now() < end, "{} of {count} deliveries after {DEADLINE:?}", deliveries.len());
        match consumer.receive(BATCH, Duration::from_millis(500)).await {
            Ok(more) => deliveries.extend(more),
            Err(error) => assert!(error.is_transient(), "receiving fails for good: {error:?}"),
        }
    }
    deliveries
}

pub(crate) async fn receive_one(consumer: &mut RedisConsumer) -> Delivery {
    let mut deliveries = receive(consumer, 1).await;
    assert_eq!(deliveries.len(), 1);
    deliveries.pop().expect("one delivery")
}

/// Sends one command beside the backend.
pub(crate) fn command(server: &RedisServer, words: &[&str]) -> Reply {
    server.command(words).unwrap_or_else(|error| panic!("{words:?}: {error:#}"))
}

/// Waits until `done`, which is asked again and again.
pub(crate) async fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !done() {
        assert!(Instant::now() < end, "not after {DEADLINE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// How many clients block at the server.
pub(crate) fn blocked(server: &RedisServer) -> u64 {
    let info = command(server, &["INFO", "clients"]);
    let line =
        info.text().and_then(|text| text.lines().find_map(|line| line.strip_prefix("blocked_clients:")));
    line.and_then(|count| count.trim().parse().ok()).expect("INFO tells the blocked clients")
}

/// How many entries are pending in the group.
pub(crate) fn pending(server: &RedisServer) -> i64 {
    let summary = command(server, &["XPENDING", STREAM, GROUP]);
    summary.array().and_then(|parts| parts[0].integer()).expect("XPENDING tells a number")
}

/// How often the server was sent this command, by scripts included.
pub(crate) fn calls(server: &RedisServer, name: &str) -> u64 {
    let stats = command(server, &["INFO", "commandstats"]);
    let prefix = format!("cmdstat_{name}:calls=");
    let line = stats.text().and_then(|text| text.lines().find_map(|line| line.strip_prefix(&prefix)));
    line.and_then(|rest| rest.split(',').next()?.parse().ok()).unwrap_or_default()
}

/// How many entries the stream holds.
pub(crate) fn length(server: &RedisServer) -> i64 {
    command(server, &["XLEN", STREAM]).integer().expect("XLEN tells a number")
}
