//! How dead letters lie at the server.

use std::time::Duration;

use events_core::wire::{Encoding, RawMessage};
use events_core::{DeadLetterReason, EventAdmin, EventConsumer};
use events_redis::{RedisAdmin, RedisConsumer, RedisPublisher};
use test_servers::Reply;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_lies_beside_its_stream_with_all_that_is_known() {
    for (stream, dead) in [("plain", "{plain}:dlq"), ("a{b}c", "a{b}c:dlq"), ("odd}", "odd}:dlq")] {
        let server = server();
        let config = config(&server);
        let publisher = RedisPublisher::connect(&config, stream).await.unwrap();
        let mut consumer = RedisConsumer::connect(&config, stream, options()).await.unwrap();
        let event =
            events_core::Event::builder("a.b", "s").with_header("traceparent", "00-1").build().unwrap();
        let id = events_core::EventPublisherExt::publish(&publisher, &event).await.unwrap();
        receive_one(&mut consumer).await.reject("no such customer").await.unwrap();
        assert_eq!(command(&server, &["XLEN", dead]), Reply::Integer(1));
        assert_eq!(command(&server, &["XPENDING", stream, GROUP]).array().unwrap()[0], Reply::Integer(0));
        let admin = RedisAdmin::connect(&config, stream).await.unwrap();
        let letter = admin.dead_letters(None, BATCH).await.unwrap().pop().unwrap();
        assert_eq!(letter.reason, DeadLetterReason::Rejected);
        assert_eq!(letter.detail.as_deref(), Some("no such customer"));
        assert_eq!((letter.stream.as_str(), letter.group.as_str(), letter.attempts), (stream, GROUP, 1));
        assert_eq!(letter.origin_id, id);
        assert_eq!(letter.message, RawMessage::from(&Encoding::Adr018.encode(&event).unwrap()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_no_event_are_kept_as_they_are() {
    let server = server();
    let mut consumer = consumer(&server).await;
    let many: Vec<(Vec<u8>, Vec<u8>)> = (0..5_000).map(|n| (format!("f{n}").into(), b"v".to_vec())).collect();
    let messages =
        [vec![(b"\xff\x00".to_vec(), b"\xfe\r\n".to_vec())], vec![(b"event".to_vec(), Vec::new())], many];
    for fields in &messages {
        let mut words = vec![b"XADD".to_vec(), STREAM.into(), b"*".to_vec()];
        words.extend(fields.iter().flat_map(|(name, value)| [name.clone(), value.clone()]));
        crate::raw::command(server.port(), &words);
    }
    publish(&publisher(&server).await, 0..1).await;
    let neighbour = receive_one(&mut consumer).await;
    assert_eq!(number(&neighbour), 0);
    let admin = RedisAdmin::connect(&config(&server), STREAM).await.unwrap();
    let letters = admin.dead_letters(None, BATCH).await.unwrap();
    let kept: Vec<_> = letters.iter().map(|letter| letter.message.fields.clone()).collect();
    assert_eq!(kept.len(), messages.len());
    for fields in &messages {
        assert!(kept.contains(fields));
    }
    assert!(
        letters
            .iter()
            .all(|letter| letter.reason == DeadLetterReason::Undecodable && letter.detail.is_some())
    );
    assert_eq!(pending(&server), 1);
}

/// What the server keeps of the one event that failed in the group, or nothing.
fn noted(server: &test_servers::RedisServer) -> i64 {
    command(server, &["HLEN", "{orders}:failed:audit"]).integer().expect("HLEN tells a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_stays_noted_about_an_event_that_is_settled() {
    let server = server();
    publish(&publisher(&server).await, 0..3).await;
    let mut consumer = consumer(&server).await;
    for delivery in receive(&mut consumer, 3).await {
        delivery.fail("not yet", Duration::ZERO).await.unwrap();
    }
    assert_eq!(noted(&server), 3);
    let mut again = receive(&mut consumer, 3).await;
    again.pop().unwrap().reject("hopeless").await.unwrap();
    assert_eq!(noted(&server), 2);
    events_core::ack_all(again).await.into_result().unwrap();
    assert_eq!(noted(&server), 0);
    // What is never settled by us goes by itself.
    publish(&publisher(&server).await, 3..4).await;
    receive_one(&mut consumer).await.fail("no", Duration::ZERO).await.unwrap();
    assert!(command(&server, &["PTTL", "{orders}:failed:audit"]).integer().unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn times_and_holder_are_those_of_the_last_delivery_that_was_made_to_somebody() {
    let server = server();
    publish(&publisher(&server).await, 0..1).await;
    let options = |name: &str| options().with_consumer_name(name).with_max_deliveries(2.try_into().unwrap());
    let join =
        async |name: &str| RedisConsumer::connect(&config(&server), STREAM, options(name)).await.unwrap();
    // The first dies, and so does the second.
    let mut first = join("first").await;
    drop(receive_one(&mut first).await);
    first.close().await.unwrap();
    let mut second = join("second").await;
    let delivery = receive_one(&mut second).await;
    assert_eq!(delivery.attempt(), 2);
    drop(delivery);
    second.close().await.unwrap();
    let mut third = join("third").await;
    let admin = RedisAdmin::connect(&config(&server), STREAM).await.unwrap();
    let end = tokio::time::Instant::now() + DEADLINE;
    let letter = loop {
        assert!(third.receive(BATCH, LEASE / 2).await.unwrap().is_empty());
        if let Some(letter) = admin.dead_letters(None, BATCH).await.unwrap().pop() {
            break letter;
        }
        assert!(tokio::time::Instant::now() < end);
    };
    assert_eq!((letter.consumer.as_str(), letter.attempts), ("second", 2));
    assert_eq!(letter.first_delivered_at, None, "the first holder died without a word");
    let lease = time::Duration::try_from(LEASE).unwrap();
    assert!(letter.last_delivered_at.is_some_and(|last| last + lease <= letter.dead_at), "{letter:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notes_that_may_not_be_written_cost_nothing_but_themselves() {
    let server = server();
    let keys = ["~orders", "~{orders}:dlq"];
    command(&server, &["ACL", "SETUSER", "two", "on", ">pw", keys[0], keys[1], "+@all"]);
    let config = config(&server).with_username("two").with_password(events_core::Secret::new("pw"));
    publish(&publisher(&server).await, 0..1).await;
    let options = options().with_max_deliveries(2.try_into().unwrap());
    let mut consumer = RedisConsumer::connect(&config, STREAM, options).await.unwrap();
    receive_one(&mut consumer).await.fail("boom 1", Duration::ZERO).await.unwrap();
    assert_eq!(noted(&server), 0);
    receive_one(&mut consumer).await.fail("boom 2", Duration::ZERO).await.unwrap();
    let admin = RedisAdmin::connect(&config, STREAM).await.unwrap();
    let letter = admin.dead_letters(None, BATCH).await.unwrap().pop().unwrap();
    assert_eq!(letter.detail.as_deref(), Some("boom 2"));
    assert_eq!(letter.first_delivered_at, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_of_the_former_layout_are_read_and_redriven() {
    let server = server();
    let mut consumer = consumer(&server).await;
    let fields = [
        ["reason", "rejected"],
        ["detail", "no"],
        ["attempts", "3"],
        ["stream", STREAM],
        ["group", GROUP],
        ["consumer", "me"],
        ["origin_id", "5-1"],
        ["idle_ms", "2000"],
        ["event", r#"{"event_type":"a.b","source":"s","payload":{"n":7}}"#],
        ["traceparent", "00-1"],
    ];
    let words: Vec<&str> =
        ["XADD", "{orders}:dlq", "10000-0"].into_iter().chain(fields.into_iter().flatten()).collect();
    command(&server, &words);
    let admin = RedisAdmin::connect(&config(&server), STREAM).await.unwrap();
    let letter = admin.dead_letters(None, BATCH).await.unwrap().pop().unwrap();
    assert_eq!((letter.attempts, letter.consumer.as_str(), letter.origin_id.as_str()), (3, "me", "5-1"));
    assert_eq!(letter.last_delivered_at.map(|at| at.unix_timestamp()), Some(8));
    assert_eq!(letter.message.fields.len(), 2);
    assert_eq!(admin.redrive(&[letter.id]).await.unwrap(), 1);
    let again = receive_one(&mut consumer).await;
    assert_eq!((number(&again), again.headers().get("traceparent")), (7, Some("00-1")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redrive_that_is_cut_short_anywhere_loses_nothing() {
    const COUNT: u64 = 60;
    // By scripts, and in single commands, where there are steps to be cut between.
    for rights in ["+@all", "-@scripting"] {
        let server = server();
        command(&server, &["ACL", "SETUSER", "plain", "on", ">pw", "~*", "+@all", rights]);
        let config = config(&server).with_username("plain").with_password(events_core::Secret::new("pw"));
        publish(&publisher(&server).await, 0..COUNT).await;
        let mut consumer = RedisConsumer::connect(&config, STREAM, options()).await.unwrap();
        for delivery in receive(&mut consumer, COUNT as usize).await {
            delivery.reject("not today").await.unwrap();
        }
        let letters =
            RedisAdmin::connect(&config, STREAM).await.unwrap().dead_letters(None, BATCH).await.unwrap();
        assert_eq!(letters.len() as u64, COUNT);
        // Every third is in the stream no longer.
        for letter in letters.iter().step_by(3) {
            command(&server, &["XDEL", STREAM, letter.origin_id.as_str()]);
        }
        for (n, letter) in letters.iter().enumerate() {
            // The process dies: its admin goes with what it was doing.
            let admin = RedisAdmin::connect(&config, STREAM).await.unwrap();
            let patience = Duration::from_micros(n as u64 * 25);
            drop(tokio::time::timeout(patience, admin.redrive(std::slice::from_ref(&letter.id))).await);
        }
        let admin = RedisAdmin::connect(&config, STREAM).await.unwrap();
        let left: Vec<_> =
            admin.dead_letters(None, BATCH).await.unwrap().into_iter().map(|letter| letter.id).collect();
        // What the dead had sent may still be carried out, so that there may be fewer by now.
        assert!(admin.redrive(&left).await.unwrap() as usize <= left.len());
        let mut seen = std::collections::BTreeSet::new();
        while (seen.len() as u64) < COUNT {
            for delivery in receive(&mut consumer, 1).await {
                assert_eq!(delivery.attempt(), 1);
                seen.insert(number(&delivery));
                delivery.ack().await.unwrap();
            }
        }
        assert!(admin.dead_letters(None, BATCH).await.unwrap().is_empty());
    }
}
