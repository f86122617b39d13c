//! What goes wrong between a consumer and its server, and what became of every event.

use std::time::Duration;

use events_core::wire::Encoding;
use events_core::{Delivery, ErrorKind, EventConsumer, ack_all};
use events_redis::{RedisConfig, RedisConsumer};
use test_servers::RedisServer;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::account::Account;
use crate::proxy::Proxy;
use crate::support::*;

/// Starts a `receive` in the background that waits for long, and returns once the server has its read.
async fn blocked_receive(
    server: &RedisServer,
    account: &Account,
    mut consumer: RedisConsumer,
) -> JoinHandle<(RedisConsumer, Vec<Delivery>)> {
    let account = account.clone();
    let receiving = tokio::spawn(async move {
        let deliveries = account.receive(&mut consumer).await;
        (consumer, deliveries)
    });
    eventually("the read blocks", || blocked(server) > 0).await;
    receiving
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_cut_while_reading_loses_nothing() {
    let server = server();
    let account = Account::with(publisher(&server).await);
    for n in 0..5 {
        let receiving = blocked_receive(&server, &account, consumer(&server).await).await;
        account.fault_begins();
        command(&server, &["CLIENT", "KILL", "TYPE", "normal"]);
        account.publish(n..n + 1).await;
        let (mut consumer, deliveries) = timeout(DEADLINE, receiving).await.unwrap().unwrap();
        account.fault_ends();
        account.ack(deliveries).await;
        account.settle(&server, &mut consumer).await;
        consumer.close().await.unwrap();
    }
    assert_eq!(account.balance().delivered, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_is_noticed_and_outlived() {
    let mut server = server();
    let account = Account::with(publisher(&server).await);
    let mut consumer = consumer(&server).await;
    account.publish(0..1).await;
    account.settle(&server, &mut consumer).await;
    account.fault_begins();
    server.freeze().unwrap();
    // No answer within the time it was given is an error, never an empty batch, and it comes by itself.
    let outcome = timeout(DEADLINE, consumer.receive(BATCH, Duration::from_millis(100))).await.unwrap();
    assert!(outcome.is_err_and(|error| error.is_transient()));
    assert_eq!(timeout(DEADLINE, account.try_publish(1..2)).await.unwrap(), [1]);
    server.thaw().unwrap();
    account.publish(2..3).await;
    account.fault_ends();
    account.settle(&server, &mut consumer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_on_a_silent_connection_is_found_again_at_its_first_attempt() {
    let server = server();
    let account = Account::with(publisher(&server).await);
    let proxy = Proxy::start(server.port()).await;
    let config = RedisConfig::new(format!("redis://{}", proxy.address))
        .with_command_timeout(Duration::from_millis(500))
        .with_read_patience(Duration::from_millis(500), Duration::from_millis(500));
    let mut consumer = RedisConsumer::connect(&config, STREAM, options()).await.unwrap();
    account.publish(0..1).await;
    account.settle(&server, &mut consumer).await;
    let receiving = blocked_receive(&server, &account, consumer).await;
    proxy.silence();
    // The server gives it to the read that waits, whose answer goes nowhere.
    account.publish(1..2).await;
    assert_eq!(pending(&server), 1);
    let (mut consumer, deliveries) = timeout(DEADLINE, receiving).await.unwrap().unwrap();
    let seen: Vec<_> = deliveries.iter().map(|delivery| (number(delivery), delivery.attempt())).collect();
    assert_eq!(seen, [(1, 1)]);
    account.ack(deliveries).await;
    account.settle(&server, &mut consumer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_group_starts_where_nothing_is_lost() {
    for loss in [&["FLUSHALL"][..], &["DEL", STREAM], &["XGROUP", "DESTROY", STREAM, GROUP]] {
        let server = server();
        let account = Account::with(publisher(&server).await);
        let mut consumer = consumer(&server).await;
        account.publish(0..3).await;
        account.settle(&server, &mut consumer).await;
        let receiving = blocked_receive(&server, &account, consumer).await;
        command(&server, loss);
        // Added before the group is there again: still delivered. What was acknowledged is not.
        account.publish(3..4).await;
        let (mut consumer, deliveries) = timeout(DEADLINE, receiving).await.unwrap().unwrap();
        assert_eq!(deliveries.iter().map(number).collect::<Vec<_>>(), [3], "{loss:?}");
        account.ack(deliveries).await;
        account.settle(&server, &mut consumer).await;
    }
}

/// A stream that is deleted and published to within one millisecond gives out again the ids that were there before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_stream_with_the_ids_of_the_old_one_is_read_from_its_beginning() {
    let server = server();
    let mut consumer = consumer(&server).await;
    let add = |id: &str, n: u64| {
        let event = numbered(n..n + 1).remove(0);
        let body = Encoding::Adr018.encode(&event).unwrap().into_body().unwrap();
        command(&server, &["XADD", STREAM, id, "event", std::str::from_utf8(&body).unwrap()]);
    };
    add("5-0", 0);
    add("5-1", 1);
    ack_all(receive(&mut consumer, 2).await).await.into_result().unwrap();
    command(&server, &["DEL", STREAM]);
    add("5-0", 2);
    add("5-1", 3);
    add("5-2", 4);
    let again = receive(&mut consumer, 3).await;
    assert_eq!(again.iter().map(number).collect::<Vec<_>>(), [2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_while_reading_leaves_nothing_pending() {
    let server = server();
    let publisher = publisher(&server).await;
    for n in 0..20 {
        let mut consumer = consumer(&server).await;
        let receiving = tokio::spawn(async move {
            let received = timeout(Duration::from_millis(20), consumer.receive(BATCH, DEADLINE)).await;
            (consumer, received)
        });
        eventually("the read blocks", || blocked(&server) > 0).await;
        let (published, received) = tokio::join!(publish(&publisher, n..n + 1), receiving);
        let () = published;
        let (mut consumer, received) = received.unwrap();
        consumer.close().await.unwrap();
        if let Ok(Ok(deliveries)) = received {
            ack_all(deliveries).await.into_result().unwrap();
        }
        // Whatever the read took and nobody was given is everybody's again, as if it had never been delivered.
        let rest = command(&server, &["XAUTOCLAIM", STREAM, GROUP, "other", "1000", "0"]);
        let taken = rest.array().and_then(|parts| parts[1].array().map(<[_]>::len)).unwrap();
        assert_eq!(pending(&server), taken as i64);
        let new = command(&server, &["XREADGROUP", "GROUP", GROUP, "other", "STREAMS", STREAM, ">"]);
        assert!(taken + usize::from(new.array().is_some()) <= 1);
        command(&server, &["XGROUP", "DELCONSUMER", STREAM, GROUP, "other"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_away_is_an_error_no_sooner_than_the_wait() {
    let mut server = RedisServer::builder().with_append_only_file().start().unwrap();
    let account = Account::with(publisher(&server).await);
    let mut consumer = consumer(&server).await;
    account.publish(0..3).await;
    let held = account.receive(&mut consumer).await;
    account.fault_begins();
    server.kill().unwrap();
    let started = Instant::now();
    let error = consumer.receive(BATCH, Duration::from_millis(300)).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout), "{error:?}");
    assert!(started.elapsed() >= Duration::from_millis(300));
    server.restart().unwrap();
    account.publish(3..6).await;
    account.fault_ends();
    account.ack(held).await;
    account.settle(&server, &mut consumer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_nobody_waits_for_is_ended() {
    let server = server();
    // Without being unblocked the read would go on for far longer than the test waits.
    let patient = config(&server).with_read_patience(DEADLINE * 10, DEADLINE);
    let mut consumer = RedisConsumer::connect(&patient, STREAM, options()).await.unwrap();
    // Given up at any time: before the read is sent, on its way, and while it blocks.
    for n in 0..1_000 {
        let receiving = timeout(Duration::from_micros(n * 3), consumer.receive(BATCH, DEADLINE * 10));
        assert!(receiving.await.is_err());
        if n % 100 == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    eventually("nothing blocks", || blocked(&server) == 0).await;
    consumer.close().await.unwrap();
}
