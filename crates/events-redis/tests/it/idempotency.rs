//! Publishing again after the answer was lost.

use std::time::Duration;

use events_core::{EventPublisher, Secret};
use events_redis::{RedisConfig, RedisPublisher};
use test_servers::{RedisServer, Reply, ServerGeneration};

use crate::proxy::Proxy;
use crate::support::*;

fn through(proxy: &Proxy) -> RedisConfig {
    RedisConfig::new(format!("redis://{}", proxy.address)).with_command_timeout(Duration::from_secs(10))
}

/// Publishes with an answer that is lost, and insists that it is accepted nevertheless.
async fn publish_with_lost_answer(
    proxy: &Proxy,
    publisher: &RedisPublisher,
    numbers: std::ops::Range<u64>,
) -> Vec<events_core::MessageId> {
    let events = numbered(numbers);
    proxy.lose_an_answer();
    let ids = publisher
        .publish_batch(&events)
        .await
        .expect("the batch is sent")
        .into_ids()
        .expect("all of it is accepted");
    assert!(!proxy.is_losing(), "no answer was lost");
    ids
}

fn stream_ids(server: &RedisServer) -> Vec<String> {
    let entries = command(server, &["XRANGE", STREAM, "-", "+"]);
    let id = |entry: &Reply| {
        entry.array().and_then(|parts| parts[0].text()).expect("an entry has an id").to_owned()
    };
    entries.array().expect("XRANGE lists entries").iter().map(id).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_producer_that_is_known_adds_nothing_twice() {
    let server = server_of(ServerGeneration::Redis8);
    let proxy = Proxy::start(server.port()).await;
    let config = through(&proxy).with_producer_id("shop-1");
    let publisher = RedisPublisher::connect(&config, STREAM).await.unwrap();
    // One event, a batch, and batches of several commands; larger than what the server remembers by itself.
    publish(&publisher, 0..1).await;
    let large = (1..20).map(|n| n * 700..(n + 1) * 700);
    for numbers in [1..2, 2..52, 52..700].into_iter().chain(large) {
        let (before, count) = (length(&server), numbers.end - numbers.start);
        let ids = publish_with_lost_answer(&proxy, &publisher, numbers).await;
        assert_eq!(length(&server) - before, count as i64);
        // In order as well: what is sent again is overtaken by nothing that comes after it.
        let ids: Vec<String> = ids.iter().map(|id| id.as_str().to_owned()).collect();
        assert!(stream_ids(&server).ends_with(&ids));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_published_again_after_a_restart_is_known() {
    let mut server = RedisServer::builder()
        .with_generation(ServerGeneration::Redis8)
        .with_append_only_file()
        .start()
        .unwrap();
    let config = config(&server).with_producer_id("shop-1");
    let events = numbered(0..300);
    let publisher = RedisPublisher::connect(&config, STREAM).await.unwrap();
    let first = publisher.publish_batch(&events).await.unwrap().into_ids().unwrap();
    publisher.close().await.unwrap();
    server.kill().unwrap();
    server.restart().unwrap();
    // The same producer, another process: what it is not sure of it publishes again.
    let publisher = RedisPublisher::connect(&config, STREAM).await.unwrap();
    let second = publisher.publish_batch(&events).await.unwrap().into_ids().unwrap();
    assert_eq!(first, second);
    assert_eq!(length(&server), 300);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_scripts_are_refused_nothing_is_added_twice_either() {
    let server = server_of(ServerGeneration::Redis8);
    command(&server, &["ACL", "SETUSER", "plain", "on", ">pw", "~*", "+@all", "-@scripting"]);
    let proxy = Proxy::start(server.port()).await;
    let config = through(&proxy).with_producer_id("shop-1");
    let config = config.with_username("plain").with_password(Secret::new("pw"));
    let publisher = RedisPublisher::connect(&config, STREAM).await.unwrap();
    publish(&publisher, 0..2).await;
    publish_with_lost_answer(&proxy, &publisher, 2..102).await;
    assert_eq!(length(&server), 102);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn elsewhere_a_lost_answer_can_add_an_event_twice() {
    for (generation, producer) in [
        (ServerGeneration::Redis6, Some("shop-1")),
        (ServerGeneration::Default, Some("shop-1")),
        (ServerGeneration::Redis8, None),
    ] {
        let server = server_of(generation);
        let proxy = Proxy::start(server.port()).await;
        let config = producer.into_iter().fold(through(&proxy), RedisConfig::with_producer_id);
        let publisher = RedisPublisher::connect(&config, STREAM).await.unwrap();
        publish(&publisher, 0..1).await;
        publish_with_lost_answer(&proxy, &publisher, 1..2).await;
        assert_eq!(length(&server), 3, "{generation:?}: two events, one of them twice");
    }
}
