//! The same promises on a server that refuses scripts.

use std::time::Duration;

use events_core::{DeadLetterReason, EventAdmin, EventConsumer, EventPublisher, Secret};
use events_redis::{RedisAdmin, RedisConfig, RedisConsumer, RedisPublisher};
use test_servers::RedisServer;

use crate::support::*;

fn without_scripts(server: &RedisServer) -> RedisConfig {
    command(server, &["ACL", "SETUSER", "plain", "on", ">pw", "~*", "+@all", "-@scripting"]);
    RedisConfig::new(server.url()).with_username("plain").with_password(Secret::new("pw"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_keep_their_order_and_get_their_ids() {
    let server = server();
    let config = without_scripts(&server);
    let publisher = RedisPublisher::connect(&config, STREAM).await.unwrap();
    let ids = publisher.publish_batch(&numbered(0..1000)).await.unwrap().into_ids().unwrap();
    let mut consumer = RedisConsumer::connect(&config, STREAM, options()).await.unwrap();
    let deliveries = receive(&mut consumer, 1000).await;
    assert!(deliveries.iter().map(number).eq(0..1000), "the order is not kept");
    assert!(deliveries.iter().map(events_core::Delivery::message_id).eq(&ids));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settling_works_and_disturbs_nobody() {
    let server = server();
    let config = without_scripts(&server);
    let publisher = RedisPublisher::connect(&config, STREAM).await.unwrap();
    let mut one = RedisConsumer::connect(&config, STREAM, options()).await.unwrap();
    publish(&publisher, 0..1).await;
    let released = receive_one(&mut one).await;
    released.release().await.unwrap();
    let nacked = receive_one(&mut one).await;
    assert_eq!(nacked.attempt(), 1);
    nacked.nack().await.unwrap();
    let held = receive_one(&mut one).await;
    assert_eq!(held.attempt(), 2);
    held.extend(Duration::from_millis(50)).await.unwrap();
    let mut other = RedisConsumer::connect(&config, STREAM, options()).await.unwrap();
    let taken = receive_one(&mut other).await;
    assert_eq!(taken.attempt(), 3);
    held.nack().await.unwrap();
    assert!(one.receive(BATCH, Duration::from_millis(100)).await.unwrap().is_empty());
    taken.ack().await.unwrap();
    assert_eq!(pending(&server), 0);
    one.close().await.unwrap();
    other.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_come_and_go() {
    let server = server();
    let config = without_scripts(&server);
    let publisher = RedisPublisher::connect(&config, STREAM).await.unwrap();
    let mut consumer = RedisConsumer::connect(&config, STREAM, options()).await.unwrap();
    let admin = RedisAdmin::connect(&config, STREAM).await.unwrap();
    publish(&publisher, 0..2).await;
    for delivery in receive(&mut consumer, 2).await {
        delivery.reject("broken").await.unwrap();
    }
    let letters = admin.dead_letters(None, BATCH).await.unwrap();
    assert_eq!(letters.len(), 2);
    assert!(letters.iter().all(|letter| letter.reason == DeadLetterReason::Rejected && letter.attempts == 1));
    assert_eq!(pending(&server), 0);
    // One is still in the stream, the other is not.
    command(&server, &["XDEL", STREAM, letters[1].origin_id.as_str()]);
    let ids: Vec<_> = letters.into_iter().map(|letter| letter.id).collect();
    assert_eq!(admin.redrive(&ids).await.unwrap(), 2);
    assert!(admin.dead_letters(None, BATCH).await.unwrap().is_empty());
    let again = receive(&mut consumer, 2).await;
    assert!(again.iter().all(|delivery| delivery.attempt() == 1));
    let mut numbers: Vec<u64> = again.iter().map(number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1]);
}
