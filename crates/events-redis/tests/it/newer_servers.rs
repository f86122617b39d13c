//! What newer servers offer is used, makes no difference to what is promised, and is not missed where it is not there.

use std::time::Duration;

use events_core::{ConsumerOptions, DeadLetterReason, ErrorKind, EventAdmin, EventConsumer, Secret, ack_all};
use events_redis::{RedisAdmin, RedisConfig, RedisConsumer, RedisPublisher};
use test_servers::{RedisServer, Reply, ServerGeneration};

use crate::proxy::Proxy;
use crate::support::*;

/// Long enough to outlast the test: what comes back sooner was given back.
const LONG: Duration = Duration::from_secs(600);

fn long_options() -> ConsumerOptions {
    ConsumerOptions::new(GROUP).with_lease(LONG)
}

/// Gives an event back in every way there is, and tells how each next delivery is counted.
async fn attempts_after_giving_back(config: &RedisConfig) -> Vec<u32> {
    let publisher = RedisPublisher::connect(config, STREAM).await.expect("a publisher");
    let mut consumer = RedisConsumer::connect(config, STREAM, long_options()).await.expect("a consumer");
    publish(&publisher, 0..1).await;
    let mut attempts = Vec::new();
    for way in 0..4 {
        let delivery = receive_one(&mut consumer).await;
        attempts.push(delivery.attempt());
        match way {
            0 => delivery.nack().await.expect("it is given back"),
            1 => delivery.release().await.expect("it is given back"),
            2 => delivery.nack_after(Duration::from_millis(50)).await.expect("it is given back"),
            _ => delivery.ack().await.expect("it is acknowledged"),
        }
    }
    assert!(consumer.receive(BATCH, Duration::from_millis(100)).await.expect("receiving works").is_empty());
    consumer.close().await.expect("it closes");
    attempts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn giving_back_counts_alike_everywhere_and_takes_xnack_where_it_is_offered() {
    for (generation, nacks) in [
        (ServerGeneration::Redis6, 0),
        (ServerGeneration::Default, 0),
        (ServerGeneration::Valkey, 0),
        // The delay of the third way is more than XNACK can express.
        (ServerGeneration::Redis8, 2),
    ] {
        let server = server_of(generation);
        let attempts = attempts_after_giving_back(&config(&server)).await;
        assert_eq!(attempts, [1, 2, 2, 3], "{generation:?}");
        assert_eq!(pending(&server), 0);
        assert_eq!(calls(&server, "xnack"), nacks, "{generation:?}");
        if generation == ServerGeneration::Redis8 {
            assert_eq!(calls(&server, "xclaim"), 2, "once to hide it, once to take it again");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_without_the_new_commands_gets_the_old_ones() {
    for refused in ["-xnack", "-command", "-info"] {
        let server = server_of(ServerGeneration::Redis8);
        command(&server, &["ACL", "SETUSER", "plain", "on", ">pw", "~*", "+@all", refused]);
        let config = config(&server).with_username("plain").with_password(Secret::new("pw"));
        assert_eq!(attempts_after_giving_back(&config).await, [1, 2, 2, 3], "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_given_back_wakes_whoever_waits() {
    let server = server_of(ServerGeneration::Redis8);
    let publisher = publisher(&server).await;
    // Reads that block for longer than the test: only the server can end them.
    let patient = config(&server).with_read_patience(LONG, DEADLINE);
    let mut one = RedisConsumer::connect(&patient, STREAM, long_options()).await.unwrap();
    // Its lease is longer: to look idle for the lease of the one that gives back would not be enough for it.
    let longer = long_options().with_lease(LONG * 2);
    let mut other = RedisConsumer::connect(&patient, STREAM, longer).await.unwrap();
    publish(&publisher, 0..1).await;
    let held = receive_one(&mut one).await;
    let waiting = tokio::spawn(async move {
        let deliveries = other.receive(BATCH, DEADLINE).await.unwrap();
        (other, deliveries)
    });
    eventually("the other waits", || blocked(&server) > 0).await;
    held.nack().await.unwrap();
    let (_other, deliveries) = waiting.await.unwrap();
    assert_eq!(deliveries.iter().map(|delivery| delivery.attempt()).collect::<Vec<_>>(), [2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_command_reads_expired_and_new_events() {
    let server = server_of(ServerGeneration::Redis8);
    let publisher = publisher(&server).await;
    let mut dead = RedisConsumer::connect(&config(&server), STREAM, long_options()).await.unwrap();
    publish(&publisher, 0..3).await;
    let held = receive(&mut dead, 3).await;
    // Without scripts, which look at pending entries for reasons of their own.
    command(&server, &["ACL", "SETUSER", "plain", "on", ">pw", "~*", "+@all", "-@scripting"]);
    let plain = config(&server).with_username("plain").with_password(Secret::new("pw"));
    let mut heir = RedisConsumer::connect(&plain, STREAM, long_options()).await.unwrap();
    // A first answer, after which the server is known and what the heir might have held before was looked for.
    assert!(heir.receive(BATCH, Duration::ZERO).await.unwrap().is_empty());
    let looked = calls(&server, "xpending");
    for delivery in held {
        let (id, long_ago) = (delivery.message_id().as_str(), (LONG * 2).as_millis().to_string());
        command(&server, &["XCLAIM", STREAM, GROUP, "dead", "0", id, "IDLE", &long_ago, "JUSTID"]);
    }
    let deliveries = receive(&mut heir, 3).await;
    assert!(deliveries.iter().all(|delivery| delivery.attempt() == 2));
    assert_eq!(deliveries.iter().map(number).collect::<Vec<_>>(), [0, 1, 2]);
    publish(&publisher, 3..4).await;
    assert_eq!(number(&receive_one(&mut heir).await), 3);
    ack_all(deliveries).await.into_result().unwrap();
    assert_eq!(calls(&server, "xpending"), looked, "the counts came with the events");
    assert!(calls(&server, "xautoclaim") <= 1, "expired events came with the new ones");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_others_called_fatal_becomes_a_dead_letter() {
    let server = server_of(ServerGeneration::Redis8);
    let publisher = publisher(&server).await;
    let mut consumer = consumer(&server).await;
    publish(&publisher, 0..1).await;
    let id = receive_one(&mut consumer).await.message_id().to_string();
    command(&server, &["XNACK", STREAM, GROUP, "FATAL", "IDS", "1", &id]);
    assert!(consumer.receive(BATCH, Duration::from_millis(200)).await.unwrap().is_empty());
    let admin = RedisAdmin::connect(&config(&server), STREAM).await.unwrap();
    let letters = admin.dead_letters(None, BATCH).await.unwrap();
    assert_eq!(
        letters.iter().map(|letter| letter.reason).collect::<Vec<_>>(),
        [DeadLetterReason::MaxDeliveries]
    );
    assert_eq!(pending(&server), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_another_version_is_asked_anew() {
    let (new, old) = (server_of(ServerGeneration::Redis8), server());
    let proxy = Proxy::start(old.port()).await;
    let config = config(&new).with_url(format!("redis://{}", proxy.address));
    let publisher = RedisPublisher::connect(&config, STREAM).await.unwrap();
    let mut consumer = RedisConsumer::connect(&config, STREAM, long_options()).await.unwrap();
    for (round, (server, before)) in [(&old, &new), (&new, &old), (&old, &new)].into_iter().enumerate() {
        proxy.redirect(server.port());
        command(before, &["CLIENT", "KILL", "TYPE", "normal"]);
        let n = round as u64;
        eventually_published(&publisher, server, n).await;
        let delivery = next_number(&mut consumer, n).await;
        delivery.nack().await.unwrap();
        let again = next_number(&mut consumer, n).await;
        assert_eq!(again.attempt(), 2, "round {round}");
        again.ack().await.unwrap();
    }
    assert!(calls(&new, "xnack") >= 1);
    assert_eq!(calls(&old, "xnack"), 0);
    assert!(calls(&old, "xclaim") >= 1);
}

/// Publishes until the server that is meant has it; what was sent to the one before is gone with it.
async fn eventually_published(publisher: &RedisPublisher, server: &RedisServer, n: u64) {
    let end = tokio::time::Instant::now() + DEADLINE;
    loop {
        assert!(tokio::time::Instant::now() < end, "the server is not reached");
        let before = calls(server, "xadd");
        let report = events_core::EventPublisher::publish_batch(publisher, &numbered(n..n + 1))
            .await
            .expect("the batch is sent");
        if report.into_ids().is_ok() && calls(server, "xadd") > before {
            return;
        }
    }
}

/// The delivery of this event; others are acknowledged.
async fn next_number(consumer: &mut RedisConsumer, n: u64) -> events_core::Delivery {
    loop {
        for delivery in receive(consumer, 1).await {
            if number(&delivery) == n {
                return delivery;
            }
            delivery.ack().await.expect("it is acknowledged");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_deleted_when_the_last_group_has_acknowledged_it() {
    let server = server_of(ServerGeneration::Redis8);
    let publisher = publisher(&server).await;
    let config = config(&server).with_delete_acknowledged(true);
    let other_options = ConsumerOptions::new("billing").with_lease(LEASE);
    let mut one = RedisConsumer::connect(&config, STREAM, options()).await.unwrap();
    let mut other = RedisConsumer::connect(&config, STREAM, other_options).await.unwrap();
    publish(&publisher, 0..3).await;
    ack_all(receive(&mut one, 3).await).await.into_result().unwrap();
    assert_eq!(length(&server), 3, "the other group has read none of them");
    let mut held = receive(&mut other, 3).await;
    let last = held.pop().unwrap();
    ack_all(held).await.into_result().unwrap();
    assert_eq!(length(&server), 1, "the last is still in hand");
    last.nack().await.unwrap();
    receive_one(&mut other).await.ack().await.unwrap();
    assert_eq!(length(&server), 0);
    assert_eq!(calls(&server, "xack"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_is_refused_where_it_cannot_be_done() {
    for generation in [ServerGeneration::Redis6, ServerGeneration::Default, ServerGeneration::Valkey] {
        let server = server_of(generation);
        let config = config(&server).with_delete_acknowledged(true);
        let refused = RedisConsumer::connect(&config, STREAM, options()).await.map(drop);
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unsupported, "{generation:?}");
        assert_eq!(command(&server, &["EXISTS", STREAM]), Reply::Integer(0));
    }
}
