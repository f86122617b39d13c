//! Which backend a configuration chooses, and what is said where it chooses none.
#![cfg(feature = "memory")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails by panicking")]

use std::num::NonZeroUsize;
use std::time::Duration;

use events_core::{Error, ErrorKind, Event, EventConsumerExt, EventPublisherExt};
use events_factory::{
    ConfigLoader, EventsConfig, Registry, create_event_admin, create_event_consumer, create_event_publisher,
};

fn event(n: usize) -> Event {
    Event::new("a.b", "s", serde_json::json!({ "n": n })).unwrap()
}

/// The error a URL gives; names the parts a user needs.
fn refused(url: &str, parts: &[&str]) {
    let error = Registry::new().backend_name(&EventsConfig::new(url)).map(str::to_owned).expect_err(url);
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    for part in parts {
        assert!(error.message().contains(part), "`{part}` is not in: {error}");
    }
    assert!(!error.message().contains("hunter2"), "{error}");
}

#[tokio::test]
async fn what_is_published_is_consumed_by_url_alone() {
    let config = EventsConfig::new("memory:choice").with_stream_key("s").with_consumer_group("g");
    let publisher = create_event_publisher(&config).await.unwrap();
    publisher.publish(&event(1)).await.unwrap();
    let mut consumer = create_event_consumer(&config).await.unwrap();
    let delivery = consumer.next().await.unwrap();
    assert_eq!(delivery.event().payload(), r#"{"n":1}"#);
    delivery.ack().await.unwrap();
    let admin = create_event_admin(&config).await.unwrap();
    assert_eq!(admin.groups().await.unwrap()[0].pending, 0);
}

#[tokio::test]
async fn the_consumer_gets_its_options_from_the_configuration() {
    let mut config = EventsConfig::new("memory:options").with_consumer_group("g");
    config.max_deliveries = std::num::NonZeroU32::MIN;
    create_event_publisher(&config).await.unwrap().publish(&event(1)).await.unwrap();
    let mut consumer = create_event_consumer(&config).await.unwrap();
    consumer.next().await.unwrap().nack().await.unwrap();
    let again = consumer.receive(NonZeroUsize::MIN, Duration::ZERO).await.unwrap();
    assert!(again.is_empty(), "one delivery is all there is");
    let admin = create_event_admin(&config).await.unwrap();
    assert_eq!(admin.dead_letters(None, NonZeroUsize::MIN).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_event_limit_reaches_the_backend() {
    let mut config = EventsConfig::new("memory:limit");
    config.max_event_bytes = NonZeroUsize::new(100);
    let publisher = create_event_publisher(&config).await.unwrap();
    let error = publisher.publish(&event(1)).await.expect_err("over a hundred bytes");
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[tokio::test]
async fn disabled_events_are_accepted_and_dropped() {
    let loader = ConfigLoader::new()
        .with_override("enabled", "false", "--enabled")
        .with_override("url", "memory:disabled", "--url")
        .with_override("consumer_group", "g", "--consumer-group");
    let mut config = loader.load().unwrap().into_config();
    let publisher = create_event_publisher(&config).await.unwrap();
    publisher.publish(&event(1)).await.unwrap();
    publisher.close().await.unwrap();
    assert_eq!(publisher.publish(&event(1)).await.expect_err("closed").kind(), ErrorKind::Closed);
    let is_config = |error: &Error| assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    is_config(&create_event_consumer(&config).await.expect_err("disabled"));
    is_config(&create_event_admin(&config).await.expect_err("disabled"));
    config.enabled = true;
    let mut consumer = create_event_consumer(&config).await.unwrap();
    assert!(consumer.receive(NonZeroUsize::MIN, Duration::ZERO).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_consumer_without_a_group_is_refused() {
    let error = create_event_consumer(&EventsConfig::new("memory:")).await.expect_err("no group");
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    let empty = EventsConfig::new("memory:").with_stream_key("");
    let error = create_event_publisher(&empty).await.expect_err("no stream key");
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
}

#[test]
fn an_unknown_scheme_names_the_known_ones() {
    refused("kafka://user:hunter2@host", &["kafka", "memory"]);
    refused("memry:", &["memry", "`memory`"]);
    refused("/var/lib/events.db", &["memory"]);
    refused("user:hunter2@host", &["memory"]);
    assert_eq!(Registry::new().backend_name(&EventsConfig::new("MEMORY:x")).unwrap(), "memory");
}

#[cfg(feature = "aws")]
#[test]
fn a_topic_and_a_queue_are_aws() {
    for url in [
        "sns:arn:aws:sns:eu-west-1:123456789012:events",
        "sqs:https://sqs.eu-west-1.amazonaws.com/123456789012/events",
    ] {
        assert_eq!(Registry::new().backend_name(&EventsConfig::new(url)).unwrap(), "aws");
    }
}

#[cfg(feature = "redis")]
#[test]
fn every_spelling_of_redis_is_redis() {
    for scheme in
        ["redis", "rediss", "redis-cluster", "redis-sentinel", "valkey", "valkeys", "valkeys-cluster"]
    {
        let config = EventsConfig::new(format!("{scheme}://host"));
        assert_eq!(Registry::new().backend_name(&config).unwrap(), "redis");
    }
    refused("reddis://:hunter2@host", &["`redis`"]);
}

#[cfg(feature = "redis")]
#[tokio::test]
async fn the_redis_section_reaches_the_backend() {
    let loader = ConfigLoader::new().with_override("url", "redis://127.0.0.1:1", "--url").with_override(
        "redis.username",
        "only-a-user",
        "--user",
    );
    let config = loader.load().unwrap().into_config();
    let error = create_event_publisher(&config).await.expect_err("a user without a password");
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn the_file_comes_from_the_url_or_from_the_section() {
    let directory = tempfile::tempdir().unwrap();
    let (by_url, by_section) = (directory.path().join("url.db"), directory.path().join("section.db"));
    let section = by_section.display().to_string();
    let loader = ConfigLoader::new().with_override("sqlite.path", section, "--path");
    let mut config = loader.load().unwrap().into_config();
    create_event_publisher(&config).await.unwrap().close().await.unwrap();
    assert!(by_section.exists());
    config.url = Some(format!("sqlite:{}", by_url.display()).as_str().into());
    create_event_publisher(&config).await.unwrap().close().await.unwrap();
    assert!(by_url.exists());
}

#[cfg(not(feature = "redis"))]
#[test]
fn a_backend_that_is_not_compiled_in_names_its_feature() {
    refused("redis://:hunter2@host", &["redis", "feature `redis`"]);
    refused("valkey-sentinel://:hunter2@host", &["valkey-sentinel", "feature `redis`"]);
    let loader = ConfigLoader::new().with_override("redis.password", "hunter2", "--set");
    let error = loader.load().expect_err("a section without its backend");
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(error.message().contains("feature `redis`") && !error.message().contains("hunter2"), "{error}");
}
