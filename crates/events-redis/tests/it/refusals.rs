//! Servers that are there and say no.

use std::num::NonZeroU64;
use std::time::Duration;

use events_core::{ErrorKind, EventConsumer, EventPublisher, Secret};
use events_redis::{RedisConfig, RedisConsumer, RedisPublisher};
use test_servers::RedisServer;

use crate::account::Account;
use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_refuses_events_and_gives_them_out() {
    let server = server();
    let account = Account::with(publisher(&server).await);
    account.publish(0..100).await;
    let mut consumer = consumer(&server).await;
    account.fault_begins();
    command(&server, &["CONFIG", "SET", "maxmemory", "1mb"]);
    assert_eq!(account.try_publish(100..110).await, (100..110).collect::<Vec<_>>());
    assert_eq!(account.try_publish(110..111).await, [110]);
    let publisher = publisher(&server).await;
    for count in [1, 10] {
        let report = publisher.publish_batch(&numbered(0..count)).await.unwrap();
        for (_, error) in report.failed() {
            assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Full, true), "{error:?}");
        }
        assert_eq!(report.failed().count() as u64, count);
    }
    account.settle(&server, &mut consumer).await;
    command(&server, &["CONFIG", "SET", "maxmemory", "0"]);
    account.publish(100..111).await;
    account.fault_ends();
    account.settle(&server, &mut consumer).await;
    assert_eq!((account.balance().accepted, account.balance().duplicated), (111, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_credentials_are_an_error_at_once() {
    let server = RedisServer::builder().with_password("right").start().unwrap();
    let port = server.port();
    for url in [format!("redis://:wrong@127.0.0.1:{port}"), format!("redis://127.0.0.1:{port}")] {
        let config = RedisConfig::new(url);
        let error = RedisPublisher::connect(&config, STREAM).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error:?}");
        assert!(!format!("{error:?}").contains("wrong@"));
        let error = RedisConsumer::connect(&config, STREAM, options()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error:?}");
    }
    let config = RedisConfig::new(format!("redis://127.0.0.1:{port}")).with_password(Secret::new("right"));
    let publisher = RedisPublisher::connect(&config, STREAM).await.unwrap();
    publish(&publisher, 0..1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_no_stream_is_named() {
    let server = server();
    command(&server, &["SET", STREAM, "text"]);
    let error = RedisConsumer::connect(&config(&server), STREAM, options()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(error.operation().contains(STREAM));
    let publisher = publisher(&server).await;
    for count in [1, 3] {
        let report = publisher.publish_batch(&numbered(0..count)).await.unwrap();
        for (_, error) in report.failed() {
            assert_eq!((error.kind(), error.is_transient()), (ErrorKind::InvalidConfig, false));
            assert!(error.operation().contains(STREAM));
        }
        assert_eq!(report.failed().count() as u64, count);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_right_is_named() {
    let server = server();
    command(&server, &["ACL", "SETUSER", "reader", "on", ">pw", "~*", "+@all", "-xadd", "-xgroup"]);
    let config = RedisConfig::new(server.url()).with_username("reader").with_password(Secret::new("pw"));
    let publisher = RedisPublisher::connect(&config, STREAM).await.unwrap();
    for count in [1, 3] {
        let report = publisher.publish_batch(&numbered(0..count)).await.unwrap();
        for (_, error) in report.failed() {
            assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error:?}");
            assert!(error.operation().contains("XADD") && error.operation().contains(STREAM), "{error}");
        }
        assert_eq!(report.failed().count() as u64, count);
    }
    let error = RedisConsumer::connect(&config, STREAM, options()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(error.operation().contains("XGROUP") && error.operation().contains(STREAM), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_taken_away_while_consuming_is_told_and_not_retried_in_silence() {
    let server = server();
    command(&server, &["ACL", "SETUSER", "c", "on", ">pw", "~*", "+@all"]);
    let config = RedisConfig::new(server.url()).with_username("c").with_password(Secret::new("pw"));
    let mut consumer = RedisConsumer::connect(&config, STREAM, options()).await.unwrap();
    command(&server, &["ACL", "SETUSER", "c", "-xreadgroup"]);
    let error = consumer.receive(BATCH, Duration::from_millis(100)).await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::PermissionDenied, false));
    let account = Account::with(publisher(&server).await);
    account.publish(0..3).await;
    command(&server, &["ACL", "SETUSER", "c", "+xreadgroup"]);
    account.settle(&server, &mut consumer).await;
    assert_eq!(account.balance().delivered, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_fills_no_memory() {
    let mut server = server();
    let config = config(&server).with_max_queued_bytes(NonZeroU64::new(4 * 1024).unwrap());
    let publisher = RedisPublisher::connect(&config, STREAM).await.unwrap();
    server.kill().unwrap();
    let batch = numbered(0..1);
    let publishes = (0..64).map(|_| publisher.publish_batch(&batch));
    let reports = futures_util::future::join_all(publishes).await;
    let kinds: Vec<ErrorKind> = reports
        .into_iter()
        .map(|report| report.unwrap().into_ids().unwrap_err())
        .inspect(|error| assert!(error.is_transient(), "{error:?}"))
        .map(|error| error.kind())
        .collect();
    assert!(kinds.contains(&ErrorKind::Full), "{kinds:?}");
    server.restart().unwrap();
    eventually("events are accepted again", || {
        tokio::task::block_in_place(|| {
            let report = tokio::runtime::Handle::current().block_on(publisher.publish_batch(&batch));
            report.unwrap().is_complete()
        })
    })
    .await;
}
