//! Leases and delays, longer and shorter than the group's.

use std::num::NonZeroUsize;
use std::time::Duration;

use events_core::{ConsumerOptions, ErrorKind, EventConsumer};
use events_redis::RedisConsumer;
use tokio::time::Instant;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delay_may_be_longer_than_the_lease() {
    let server = server();
    publish(&publisher(&server).await, 0..1).await;
    let mut one = consumer(&server).await;
    let mut other = consumer(&server).await;
    let delivery = receive_one(&mut one).await;
    let nacked = Instant::now();
    delivery.nack_after(LEASE * 5 / 2).await.unwrap();
    // Whoever asks, nobody is given it before its time; both keep asking, so that `one` keeps its promise.
    let (one, other) = tokio::join!(one.receive(BATCH, LEASE * 4), other.receive(BATCH, LEASE * 2));
    assert!(other.unwrap().is_empty());
    let one = one.unwrap();
    assert_eq!(
        one.iter().map(|delivery| (number(delivery), delivery.attempt())).collect::<Vec<_>>(),
        [(0, 2)]
    );
    assert!(nacked.elapsed() >= LEASE * 5 / 2, "{:?}", nacked.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_may_be_extended_beyond_the_groups() {
    let server = server();
    publish(&publisher(&server).await, 0..1).await;
    let mut one = consumer(&server).await;
    let mut other = consumer(&server).await;
    let delivery = receive_one(&mut one).await;
    delivery.extend(LEASE * 3).await.unwrap();
    assert!(other.receive(BATCH, LEASE * 2).await.unwrap().is_empty());
    delivery.ack().await.unwrap();
    assert_eq!(pending(&server), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_may_be_cut_short() {
    let server = server();
    publish(&publisher(&server).await, 0..1).await;
    let long = ConsumerOptions::new(GROUP).with_lease(Duration::from_secs(60));
    let mut one = RedisConsumer::connect(&config(&server), STREAM, long.clone()).await.unwrap();
    let mut other =
        RedisConsumer::connect(&config(&server), STREAM, long.with_consumer_name("other")).await.unwrap();
    let held = receive_one(&mut one).await;
    held.extend(Duration::from_millis(50)).await.unwrap();
    let taken = receive_one(&mut other).await;
    assert_eq!(taken.attempt(), 2);
    let error = held.extend(Duration::from_secs(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    // Neither does a late nack disturb the holder after it.
    held.nack().await.unwrap();
    assert!(one.receive(BATCH, Duration::from_millis(200)).await.unwrap().is_empty());
    taken.ack().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_released_event_is_at_its_first_attempt_again() {
    let server = server();
    publish(&publisher(&server).await, 0..1).await;
    let mut consumer = consumer(&server).await;
    for _ in 0..10 {
        let delivery = receive_one(&mut consumer).await;
        assert_eq!(delivery.attempt(), 1);
        delivery.release().await.unwrap();
    }
}

/// A consumer that has fetched events 64 to 192 ahead, and the first 64.
async fn with_events_fetched_ahead(
    server: &test_servers::RedisServer,
) -> (RedisConsumer, Vec<events_core::Delivery>) {
    publish(&publisher(server).await, 0..200).await;
    let mut consumer = consumer(server).await;
    let first = receive_at_once(&mut consumer, 64).await;
    eventually("the next two batches are fetched ahead", || pending(server) == 192).await;
    (consumer, first)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_fetched_ahead_is_kept_for_as_long_as_it_takes() {
    let server = server();
    let (mut one, first) = with_events_fetched_ahead(&server).await;
    events_core::ack_all(first).await.into_result().unwrap();
    let mut other = consumer(&server).await;
    let rest = receive(&mut other, 8).await;
    assert!(rest.iter().map(number).eq(192..200));
    events_core::ack_all(rest).await.into_result().unwrap();
    assert!(other.receive(BATCH, LEASE * 3).await.unwrap().is_empty());
    let ahead = receive_at_once(&mut one, 128).await;
    assert!(
        ahead.iter().map(|delivery| (number(delivery), delivery.attempt())).eq((64..192).map(|n| (n, 1)))
    );
    // Its lease begins now, not when it was fetched.
    assert!(other.receive(BATCH, LEASE * 3 / 4).await.unwrap().is_empty());
    events_core::ack_all(ahead).await.into_result().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_that_were_fetched_ahead_are_kept() {
    const MOST: usize = 4_096;
    let server = server();
    publish(&publisher(&server).await, 0..3 * MOST as u64).await;
    let (mut one, mut other) = (consumer(&server).await, consumer(&server).await);
    let first = receive_at_once(&mut one, MOST).await;
    eventually("twice as many are fetched ahead", || pending(&server) == 3 * MOST as i64).await;
    events_core::ack_all(first).await.into_result().unwrap();
    assert!(other.receive(BATCH, LEASE * 4).await.unwrap().is_empty());
    for batch in [1, 2] {
        let ahead = receive_at_once(&mut one, MOST).await;
        let seen = ahead.iter().map(|delivery| (number(delivery), delivery.attempt()));
        assert!(seen.eq((batch * MOST as u64..(batch + 1) * MOST as u64).map(|n| (n, 1))));
        events_core::ack_all(ahead).await.into_result().unwrap();
    }
    assert_eq!(pending(&server), 0);
}

/// One call, which returns as many.
async fn receive_at_once(consumer: &mut RedisConsumer, count: usize) -> Vec<events_core::Delivery> {
    let max = NonZeroUsize::new(count).expect("not zero");
    let deliveries = consumer.receive(max, DEADLINE).await.expect("events");
    assert_eq!(deliveries.len(), count);
    deliveries
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_left_behind_is_found_while_a_backlog_lasts() {
    let server = server();
    let publisher = publisher(&server).await;
    publish(&publisher, 0..10).await;
    let mut gone = consumer(&server).await;
    let left_behind = receive(&mut gone, 10).await;
    publish(&publisher, 10..1_000).await;
    let mut one = consumer(&server).await;
    // More is published than is received, so that reading ahead has always something to find.
    let (mut next, mut again) = (1_000, 0);
    let started = Instant::now();
    while again < 10 {
        assert!(started.elapsed() < DEADLINE, "{again} of 10 were found, {next} published");
        publish(&publisher, next..next + 200).await;
        next += 200;
        let deliveries = one.receive(BATCH, DEADLINE).await.unwrap();
        again += deliveries.iter().filter(|delivery| delivery.attempt() > 1).count();
        events_core::ack_all(deliveries).await.into_result().unwrap();
        // As slow as a handler may be.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    drop(left_behind);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_fetched_ahead_outlives_its_group() {
    for made_again_by_another in [true, false] {
        let server = server();
        let (mut one, first) = with_events_fetched_ahead(&server).await;
        events_core::ack_all(first).await.into_result().unwrap();
        command(&server, &["XGROUP", "DESTROY", STREAM, GROUP]);
        if made_again_by_another {
            // Beyond all there is: the group itself will never give these.
            command(&server, &["XGROUP", "CREATE", STREAM, GROUP, "$"]);
        }
        // Long enough for the leases to be looked after, which finds that they are gone.
        tokio::time::sleep(LEASE).await;
        let again = receive(&mut one, 128).await;
        let seen: Vec<_> = again.iter().map(|delivery| (number(delivery), delivery.attempt())).collect();
        assert_eq!(seen[..128], (64..192).map(|n| (n, 1)).collect::<Vec<_>>());
        events_core::ack_all(again).await.into_result().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_fetched_ahead_is_given_back_uncounted_on_close() {
    let server = server();
    let (mut one, first) = with_events_fetched_ahead(&server).await;
    events_core::ack_all(first).await.into_result().unwrap();
    one.close().await.unwrap();
    let names = command(&server, &["XINFO", "CONSUMERS", STREAM, GROUP]);
    // What it gave back is still listed under its name, so the name stays until somebody has taken it.
    assert_eq!(names.array().map(<[_]>::len), Some(1));
    let mut other = consumer(&server).await;
    let rest = receive(&mut other, 136).await;
    assert!(rest.iter().all(|delivery| delivery.attempt() == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_on_its_way_when_a_consumer_closes_is_given_back_as_well() {
    // Whether a read is on its way just then is chance, so it is tried a few times.
    for _ in 0..10 {
        let server = server();
        publish(&publisher(&server).await, 0..1_000).await;
        let mut one = consumer(&server).await;
        let first = one.receive(BATCH, DEADLINE).await.unwrap();
        let handed = first.len();
        events_core::ack_all(first).await.into_result().unwrap();
        one.close().await.unwrap();
        let rest = receive(&mut consumer(&server).await, 1_000 - handed).await;
        assert!(rest.iter().all(|delivery| delivery.attempt() == 1));
        events_core::ack_all(rest).await.into_result().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_consumer_of_the_same_name_has_its_events_at_once() {
    let server = server();
    publish(&publisher(&server).await, 0..250).await;
    let options =
        || ConsumerOptions::new(GROUP).with_lease(Duration::from_secs(600)).with_consumer_name("me");
    let mut before = RedisConsumer::connect(&config(&server), STREAM, options()).await.unwrap();
    let held = receive(&mut before, 200).await;
    // Perhaps a few more: what was fetched ahead is handed over as it lies.
    let handed = held.len();
    drop(held);
    before.close().await.unwrap();
    let mut after = RedisConsumer::connect(&config(&server), STREAM, options()).await.unwrap();
    let again = receive(&mut after, 250).await;
    assert!(again[..handed].iter().all(|delivery| delivery.attempt() == 2));
    assert!(again[handed..].iter().all(|delivery| delivery.attempt() == 1));
    assert_eq!(again.iter().map(number).collect::<Vec<_>>(), (0..250).collect::<Vec<_>>());
}

/// The processor time of this thread so far, where the system tells.
fn thread_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(text.split_whitespace().next()?.parse().ok()?))
}

/// How many commands the server has carried out.
fn commands(server: &test_servers::RedisServer) -> u64 {
    let info = command(server, &["INFO", "stats"]);
    let mut lines = info.text().expect("INFO is a text").lines();
    let count = lines.find_map(|line| line.strip_prefix("total_commands_processed:"));
    count.and_then(|count| count.trim().parse().ok()).expect("INFO tells the commands")
}

// On one thread, whose time is then what the consumer, its reader and its connections cost.
#[tokio::test]
async fn c61_an_idle_consumer_costs_little() {
    let server = server();
    let config = events_redis::RedisConfig::new(server.url());
    let mut consumer = RedisConsumer::connect(&config, STREAM, ConsumerOptions::new(GROUP)).await.unwrap();
    assert!(consumer.receive(BATCH, Duration::from_millis(100)).await.unwrap().is_empty());
    let (before, time_before, started) = (commands(&server), thread_time(), Instant::now());
    assert!(consumer.receive(BATCH, Duration::from_secs(10)).await.unwrap().is_empty());
    let waited = started.elapsed();
    // The question itself is one command.
    let sent = commands(&server) - before - 1;
    let per_second = sent as f64 / waited.as_secs_f64();
    println!("idle: {sent} commands in {waited:?}, {per_second:.2} a second");
    assert!(per_second <= 2.0, "{sent} commands in {waited:?}");
    if let (Some(before), Some(after)) = (time_before, thread_time()) {
        let share = (after - before).as_secs_f64() / waited.as_secs_f64();
        println!("idle: {:.3} % of a core", share * 100.0);
        // Debug builds and busy machines are slower than what is promised, which is half a percent.
        assert!(share < 0.02, "{share}");
    }
}
