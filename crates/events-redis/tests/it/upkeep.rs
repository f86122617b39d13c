//! What consumers and publishers do for everybody: removing names nobody uses, and trimming.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use events_core::{
    ConsumerOptions, ErrorKind, EventAdmin, EventConsumer, EventPublisher, Retention, Secret, ack_all,
};
use events_redis::{RedisAdmin, RedisConfig, RedisConsumer, RedisPublisher};
use test_servers::{RedisServer, Reply, RespConnection};

use crate::support::*;

/// Everybody is in a hurry.
fn hasty(server: &RedisServer) -> RedisConfig {
    config(server)
        .with_upkeep_interval(Duration::from_millis(2))
        .with_reap_after(Some(Duration::from_millis(3)))
}

/// A member that reads nothing and looks for names to remove all the time.
async fn reaper(server: &RedisServer) -> RedisConsumer {
    let options =
        ConsumerOptions::new(GROUP).with_lease(Duration::from_millis(1)).with_consumer_name("reaper");
    RedisConsumer::connect(&hasty(server), STREAM, options).await.expect("a consumer")
}

fn names(server: &RedisServer) -> Vec<String> {
    let consumers = command(server, &["XINFO", "CONSUMERS", STREAM, GROUP]);
    let name = |consumer: &Reply| consumer.array()?.get(1)?.text().map(str::to_owned);
    consumers.array().unwrap_or_default().iter().filter_map(name).collect()
}

fn length(server: &RedisServer) -> i64 {
    command(server, &["XLEN", STREAM]).integer().expect("XLEN tells a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_is_never_removed_with_what_was_just_given_to_it() {
    const COUNT: usize = 3_000;
    let server = server();
    publish(&publisher(&server).await, 0..COUNT as u64).await;
    let reapers = [reaper(&server).await, reaper(&server).await, reaper(&server).await];
    let (port, name) = (server.port(), |n: usize| format!("w{}", n % 60));
    // Names that are idle for long enough to be removed are given an event at that very moment, again and again.
    let working = tokio::task::spawn_blocking(move || {
        let mut connection = RespConnection::connect(port, None).unwrap();
        let (mut given, mut acked, mut made) = (0, 0, 0);
        for n in 0..COUNT {
            let name = name(n);
            made += connection
                .command(&["XGROUP", "CREATECONSUMER", STREAM, GROUP, &name])
                .unwrap()
                .integer()
                .unwrap();
            let read = ["XREADGROUP", "GROUP", GROUP, &name, "COUNT", "1", "STREAMS", STREAM, ">"];
            let reply = connection.command(&read).unwrap();
            let entry = &reply.array().unwrap()[0].array().unwrap()[1].array().unwrap()[0];
            let id = entry.array().unwrap()[0].text().unwrap().to_owned();
            given += 1;
            // With its name an entry would vanish from what is pending, and be acknowledged by nobody.
            acked += connection.command(&["XACK", STREAM, GROUP, &id]).unwrap().integer().unwrap();
        }
        (given, acked, made)
    });
    let (given, acked, made) = working.await.unwrap();
    assert_eq!((given, acked), (COUNT, COUNT as i64));
    assert!(made > 120, "names were removed {made} times: too few for a race");
    for mut reaper in reapers {
        reaper.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_living_consumer_whose_name_was_removed_reads_on() {
    let server = server();
    let publisher = publisher(&server).await;
    let mut living = RedisConsumer::connect(&config(&server), STREAM, options().with_consumer_name("living"))
        .await
        .unwrap();
    publish(&publisher, 0..1).await;
    receive_one(&mut living).await.ack().await.unwrap();
    let receiving = tokio::spawn(async move {
        let delivery = receive_one(&mut living).await;
        (living, delivery)
    });
    eventually("the read blocks", || blocked(&server) > 0).await;
    // Servers before 7.2 count only reads that brought something, so that one that waits looks like one that is gone.
    assert_eq!(command(&server, &["XGROUP", "DELCONSUMER", STREAM, GROUP, "living"]), Reply::Integer(0));
    publish(&publisher, 1..2).await;
    let (mut living, delivery) = receiving.await.unwrap();
    assert_eq!((number(&delivery), delivery.attempt()), (1, 1));
    assert_eq!(names(&server), ["living"]);
    // What it holds is its own as before.
    delivery.extend(LEASE).await.unwrap();
    delivery.nack().await.unwrap();
    let again = receive_one(&mut living).await;
    assert_eq!(again.attempt(), 2);
    again.ack().await.unwrap();
    assert_eq!(pending(&server), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_was_just_used_stays() {
    let server = server();
    let patient = hasty(&server).with_reap_after(Some(Duration::from_secs(600)));
    let options = ConsumerOptions::new(GROUP).with_lease(Duration::from_millis(1));
    command(&server, &["XGROUP", "CREATE", STREAM, GROUP, "0", "MKSTREAM"]);
    command(&server, &["XGROUP", "CREATECONSUMER", STREAM, GROUP, "recent"]);
    let calls = || {
        let info = command(&server, &["INFO", "commandstats"]);
        let info = info.text().unwrap_or_default().to_owned();
        info.lines().any(|line| line.starts_with("cmdstat_eval:"))
    };
    command(&server, &["CONFIG", "RESETSTAT"]);
    let mut member = RedisConsumer::connect(&patient, STREAM, options).await.unwrap();
    eventually("somebody looked for names", calls).await;
    assert!(names(&server).contains(&"recent".to_owned()));
    member.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_trimmed_by_those_who_use_it() {
    let server = server();
    let config = hasty(&server).with_retention(Retention::default().with_max_events(100));
    // By its publisher where nobody consumes, in nodes and then exactly.
    let publisher = RedisPublisher::connect(&config, STREAM).await.unwrap();
    publish(&publisher, 0..2_345).await;
    eventually("the publisher trims", || length(&server) == 100).await;
    publisher.close().await.unwrap();
    // By consumers as far as they are; what is given to nobody yet stays.
    let plain = self::publisher(&server).await;
    let mut consumer = RedisConsumer::connect(&config, STREAM, options()).await.unwrap();
    ack_all(receive(&mut consumer, 100).await).await.into_result().unwrap();
    publish(&plain, 2_345..4_000).await;
    eventually("what is acknowledged is removed", || length(&server) == 1_655).await;
    let deliveries = receive(&mut consumer, 1_655).await;
    assert!(deliveries.iter().map(number).eq(2_345..4_000));
    ack_all(deliveries).await.into_result().unwrap();
    eventually("the rest is trimmed to the limit", || length(&server) == 100).await;
    consumer.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trimming_under_load_takes_nothing_from_anybody() {
    const COUNT: u64 = 6_000;
    let server = server();
    let config =
        hasty(&server).with_retention(Retention::default().with_max_events(1).with_max_age(Duration::ZERO));
    let join = async |group: &str| {
        let options = ConsumerOptions::new(group).with_lease(LEASE * 20);
        RedisConsumer::connect(&config, STREAM, options).await.unwrap()
    };
    let consume = async |mut consumer: RedisConsumer, nack: bool| {
        let mut seen = std::collections::BTreeSet::new();
        while (seen.len() as u64) < COUNT {
            let mut deliveries = receive(&mut consumer, 1).await;
            // Every seventh is given back once, and is pending while everything around it is acknowledged.
            let again = |delivery: &events_core::Delivery| {
                nack && number(delivery).is_multiple_of(7) && delivery.attempt() == 1
            };
            for at in (0..deliveries.len()).rev() {
                if again(&deliveries[at]) {
                    deliveries.swap_remove(at).nack_after(Duration::from_millis(20)).await.unwrap();
                }
            }
            seen.extend(deliveries.iter().map(number));
            ack_all(deliveries).await.into_result().unwrap();
        }
        consumer.close().await.unwrap();
        seen
    };
    let (one, two) = (join("one").await, join("two").await);
    let publisher = RedisPublisher::connect(&config, STREAM).await.unwrap();
    let published = AtomicBool::new(false);
    let publishing = async {
        for from in (0..COUNT).step_by(50) {
            publish(&publisher, from..from + 50).await;
        }
        published.store(true, Ordering::Relaxed);
    };
    let ((), one, two) = tokio::join!(publishing, consume(one, true), consume(two, false));
    assert!(published.load(Ordering::Relaxed));
    for seen in [one, two] {
        assert!(seen.into_iter().eq(0..COUNT), "a group has missed something");
    }
    let admin = RedisAdmin::connect(&config, STREAM).await.unwrap();
    admin.trim(&Retention::default().with_max_events(0)).await.unwrap();
    assert_eq!(length(&server), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_that_are_pending_and_gone_hold_nothing_back() {
    let server = server();
    let publisher = publisher(&server).await;
    publish(&publisher, 0..10).await;
    let mut consumer = consumer(&server).await;
    let mut held = receive(&mut consumer, 10).await;
    let last = held.pop().unwrap();
    let admin = RedisAdmin::connect(&config(&server), STREAM).await.unwrap();
    let report = admin.trim(&Retention::default().with_hard_max_events(2)).await.unwrap();
    assert_eq!((report.removed, report.cut), (8, 8));
    // Eight are pending and gone, and nobody has noticed; the ninth is needed.
    let report = admin.trim(&Retention::default().with_max_events(0)).await.unwrap();
    assert_eq!(report.held_by.map(|held_by| held_by.message_id), Some(held[8].message_id().clone()));
    ack_all(vec![held.pop().unwrap(), last]).await.into_result().unwrap();
    let report = admin.trim(&Retention::default().with_max_events(0)).await.unwrap();
    assert_eq!((report.removed, report.held_by), (2, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_beyond_what_lua_counts_exactly_are_told_apart() {
    let server = server();
    for id in
        ["9007199254740993-9007199254740992", "9007199254740993-9007199254740993", "18446744073709551614-1"]
    {
        command(&server, &["XADD", STREAM, id, "event", "x"]);
    }
    command(&server, &["XGROUP", "CREATE", STREAM, GROUP, "9007199254740993-9007199254740992"]);
    let admin = RedisAdmin::connect(&config(&server), STREAM).await.unwrap();
    let report = admin.trim(&Retention::default().with_max_events(0)).await.unwrap();
    let held_by = report.held_by.map(|held_by| held_by.message_id.to_string());
    assert_eq!((report.removed, held_by.as_deref()), (1, Some("9007199254740993-9007199254740993")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_scripts_nothing_is_trimmed_rather_than_something_that_is_needed() {
    let server = server();
    command(&server, &["ACL", "SETUSER", "plain", "on", ">pw", "~*", "+@all", "-@scripting"]);
    let config = config(&server).with_username("plain").with_password(Secret::new("pw"));
    publish(&publisher(&server).await, 0..3).await;
    let admin = RedisAdmin::connect(&config, STREAM).await.unwrap();
    let error = admin.trim(&Retention::default().with_max_events(0)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(length(&server), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_keeps_its_name_for_life_and_shares_it_with_nobody() {
    let server = server();
    let publisher = publisher(&server).await;
    let (mut one, mut two) = (consumer(&server).await, consumer(&server).await);
    let mut known: Vec<String> = Vec::new();
    for round in 0..3 {
        for (n, consumer) in [&mut one, &mut two].into_iter().enumerate() {
            let n = round * 2 + n as u64;
            publish(&publisher, n..n + 1).await;
            let delivery = receive_one(consumer).await;
            assert_eq!(number(&delivery), n);
            delivery.ack().await.unwrap();
        }
        if known.is_empty() {
            known = names(&server);
            assert_eq!(known.len(), 2);
        }
        assert_eq!(names(&server), known, "round {round}");
        command(&server, &["CLIENT", "KILL", "TYPE", "normal"]);
    }
}
