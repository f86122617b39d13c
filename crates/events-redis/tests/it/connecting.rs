//! Starting: with a client that exists already, and without a server.

use std::time::Duration;

use events_core::{ConsumerOptions, ErrorKind, EventAdmin, EventConsumer, EventPublisher, StartFrom};
use events_redis::{RedisAdmin, RedisConfig, RedisConsumer, RedisPublisher};
use fred::interfaces::ClientLike;
use test_servers::Port;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_exists_already_can_be_handed_over() {
    let server = server();
    let client =
        fred::types::Builder::from_config(fred::types::config::Config::from_url(server.url()).unwrap())
            .build()
            .unwrap();
    let task = client.init().await.unwrap();
    let config = RedisConfig::default();
    let publisher = RedisPublisher::with_client(client.clone(), &config, STREAM).unwrap();
    let mut consumer = RedisConsumer::with_client(client.clone(), &config, STREAM, options()).await.unwrap();
    let admin = RedisAdmin::with_client(client.clone(), &config, STREAM).unwrap();
    publish(&publisher, 0..300).await;
    let deliveries = receive(&mut consumer, 300).await;
    events_core::ack_all(deliveries).await.into_result().unwrap();
    let tail = admin.read(&StartFrom::Latest, BATCH, Duration::from_secs(10));
    let (tail, ()) = tokio::join!(tail, async {
        eventually("the tail waits", || blocked(&server) > 0).await;
        publish(&publisher, 300..301).await;
    });
    assert_eq!(tail.unwrap().len(), 1);
    consumer.close().await.unwrap();
    publisher.close().await.unwrap();
    admin.close().await.unwrap();
    // Closing ours leaves theirs alone.
    client.ping::<()>(None).await.unwrap();
    drop(task);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_starts_later_is_found() {
    let mut server = server();
    server.kill().unwrap();
    let config = config(&server).with_connect_timeout(Duration::from_millis(200));
    let publisher = RedisPublisher::connect(&config, STREAM).await.unwrap();
    let mut consumer = RedisConsumer::connect(&config, STREAM, options()).await.unwrap();
    let error = publisher.publish_batch(&numbered(0..1)).await.unwrap().into_ids().unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    let error = consumer.receive(BATCH, Duration::ZERO).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    server.restart().unwrap();
    publish(&publisher, 1..2).await;
    let numbers: Vec<u64> = receive(&mut consumer, 1).await.iter().map(number).collect();
    assert!(numbers.contains(&1) || numbers == [0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_without_a_server_closes() {
    let port = Port::reserve().unwrap();
    let config = RedisConfig::new(format!("redis://127.0.0.1:{}", port.number()))
        .with_connect_timeout(Duration::from_millis(50));
    let mut consumer = RedisConsumer::connect(&config, STREAM, options()).await.unwrap();
    tokio::time::timeout(DEADLINE, consumer.close()).await.unwrap().unwrap();
    let error = consumer.receive(BATCH, Duration::ZERO).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_meant_is_refused_before_connecting() {
    let config = RedisConfig::default();
    let kind = |error: events_core::Error| error.kind();
    let no_stream = RedisConsumer::connect(&config, "", options()).await.map(drop).map_err(kind);
    assert!(matches!(no_stream, Err(ErrorKind::InvalidConfig)));
    let server = server();
    let config = RedisConfig::new(server.url());
    let bad_id = options().with_start_from(StartFrom::After("nonsense".into()));
    let bad_id = RedisConsumer::connect(&config, STREAM, bad_id).await.map(drop).map_err(kind);
    assert_eq!(bad_id, Err(ErrorKind::InvalidConfig));
    let no_group =
        RedisConsumer::connect(&config, STREAM, ConsumerOptions::new("")).await.map(drop).map_err(kind);
    assert_eq!(no_group, Err(ErrorKind::InvalidConfig));
}

#[cfg(not(feature = "tls"))]
#[tokio::test]
async fn tls_that_was_not_compiled_in_is_named() {
    let error = RedisPublisher::connect(&RedisConfig::new("rediss://localhost"), STREAM).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
}
