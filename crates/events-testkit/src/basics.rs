//! Cases 01 to 09 but for replay: what goes in comes out, to everybody it is meant for, in order.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::time::Duration;

use events_core::{ErrorKind, Event, EventBuilder};
use time::macros::datetime;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::scene::{
    DEADLINE, Scene, Waiting, ack, counted_bytes, expect_nothing, groups_offered, ids, numbered, numbers,
    publish_all, receive, receive_once, receive_one,
};
use crate::{Harness, Shown};

/// 01: payload, headers and every field of an event arrive as they were published.
pub async fn keeps_every_field(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    // Numbers no double can hold, spellings a parser would change, and blanks, all of which must survive.
    let payload =
        r#"{"big":123456789012345678901234567890, "exact":9007199254740993,"x":1.0e+2,"a":[null,true]}"#;
    let event = Event::builder("slack-usergroups.update_users", "qontract-api")
        .with_version(3)
        .with_timestamp(datetime!(2026-02-10 12:00:00.123456 UTC))
        .with_payload_json(payload)
        .with_id("an-id-of-my-own")
        .with_header("correlation-id", "42")
        .build()
        .expect("the event is valid");
    let id = scene.publish_events(std::slice::from_ref(&event)).await.remove(0);
    let mut consumer = scene.consumer("g").await;
    let delivery = receive_one(&mut *consumer).await;
    assert_eq!(delivery.event(), &event);
    assert_eq!(delivery.event().payload(), payload);
    assert_eq!(delivery.headers(), event.headers());
    assert_eq!(delivery.message_id(), &id);
    assert_eq!(delivery.stream(), scene.stream);
    assert_eq!(delivery.attempt(), 1);
    delivery.ack().await.expect("acknowledging works");
    expect_nothing(&mut *consumer).await;
    Shown::Yes
}

/// 02: text no parser may touch arrives as it was: odd unicode, escapes, empty and long headers, names others chose.
pub async fn keeps_odd_text_and_headers(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    let publisher = scene.publisher().await;
    let odd = "\u{0}\u{1}\u{7f}\u{2028}\u{feff}\u{202e}e\u{301}\u{10ffff} \u{1f469}\u{200d}\u{1f680}\r\n\t\"\\\\/'`${}%s";
    let mut builder = Event::foreign("Ünïcode Type/ with blanks", odd)
        .with_id(odd)
        .with_payload_json(r#"{ "\u0000\ud83d\ude00": "\u007f é 😀", "": {}, "dup":1, "dup":2 }"#);
    let headers = [("x-empty", ""), ("X_Case.kept", "a"), ("x-case.kept", "b"), ("x-odd", "é😀\t\"{}\n=:,;")];
    for (name, value) in headers {
        builder = builder.with_header(name, value);
    }
    let mut events = vec![builder.build().expect("the event is valid")];
    let many = publisher.capabilities().max_headers.unwrap_or(64).min(64);
    let many = (0..many).map(|n| (format!("h{n}"), "v".repeat(n)));
    for headers in [many.collect(), vec![("x-long".to_owned(), "long ".repeat(5_000))]] {
        let event = Event::builder("a.b", "s").with_headers(headers).build();
        events.push(event.expect("the event is valid"));
    }
    publish_all(&*publisher, &events).await;
    let mut consumer = scene.consumer("g").await;
    let deliveries = receive(&mut *consumer, events.len()).await;
    for event in &events {
        let same = deliveries.iter().find(|delivery| delivery.event().id() == event.id());
        assert_eq!(same.expect("every event arrives").event(), event);
    }
    ack(deliveries).await;
    Shown::Yes
}

/// 03: the smallest event and one exactly at the limit pass; one byte more is refused, alone, and nothing of it is sent.
pub async fn takes_the_largest_event_and_refuses_one_byte_more(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    let publisher = scene.publisher().await;
    let limit = publisher.capabilities().max_event_bytes;
    let empty = Event::builder("a.b", "s").build().expect("the event is valid");
    let events = [sized(limit + 1), empty, sized(limit)];
    assert_eq!(counted_bytes(&events[2]), limit, "the case builds what it says");

    let report = publisher.publish_batch(&events).await.expect("the batch is sent");
    let failed: Vec<_> =
        report.failed().map(|(at, error)| (at, error.kind(), error.is_transient())).collect();
    assert_eq!(failed, [(0, ErrorKind::TooLarge, false)]);

    let mut consumer = scene.consumer("g").await;
    let deliveries = receive(&mut *consumer, 2).await;
    for event in &events[1..] {
        assert!(deliveries.iter().any(|delivery| delivery.event() == event), "an event in the limit arrives");
    }
    ack(deliveries).await;
    expect_nothing(&mut *consumer).await;
    Shown::Yes
}

/// An event that counts exactly `bytes`, a header included.
fn sized(bytes: usize) -> Event {
    let builder = |padding: usize| -> EventBuilder {
        Event::builder("a.b", "s")
            .with_timestamp(datetime!(2026-02-10 12:00 UTC))
            .with_header("x-header", "value")
            .with_payload(serde_json::json!({ "padding": "x".repeat(padding) }))
    };
    let frame = builder(0).build().map(|event| counted_bytes(&event)).expect("the event is valid");
    builder(bytes - frame).build().expect("the event is valid")
}

/// 04: a consumer is woken by the events of its own stream and gets no other, though the groups have the same name.
pub async fn keeps_streams_apart(harness: &dyn Harness) -> Shown {
    let (here, there) = (Scene::new(harness), Scene::new(harness));
    let waiting = Waiting::new(here.consumer("g").await);
    let mut other = there.consumer("g").await;
    there.publish_events(&numbered(0..5)).await;
    waiting.expect_none().await;
    here.publish_events(&numbered(5..8)).await;
    let (mut consumer, mut mine) = waiting.woken().await;
    mine.extend(receive(&mut *consumer, 3 - mine.len()).await);
    assert_eq!(sorted(numbers(&mine)), [5, 6, 7]);
    ack(mine).await;
    let theirs = receive(&mut *other, 5).await;
    assert_eq!(sorted(numbers(&theirs)), [0, 1, 2, 3, 4]);
    ack(theirs).await;
    expect_nothing(&mut *consumer).await;
    expect_nothing(&mut *other).await;
    Shown::Yes
}

fn sorted(mut numbers: Vec<usize>) -> Vec<usize> {
    numbers.sort_unstable();
    numbers
}

/// 05: two groups each get every event, and what one does with it is nothing to the other.
pub async fn gives_every_group_everything(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    if !groups_offered(&*scene.admin().await).await {
        return Shown::NotOffered;
    }
    let mut first = scene.consumer("first").await;
    let mut second = scene.consumer("second").await;
    let published: BTreeSet<_> = scene.publish(20).await.iter().map(ToString::to_string).collect();
    let (firsts, seconds) = (receive(&mut *first, 20).await, receive(&mut *second, 20).await);
    for deliveries in [&firsts, &seconds] {
        assert_eq!(ids(deliveries), published);
        assert!(
            deliveries.iter().all(|delivery| delivery.attempt() == 1),
            "each group counts its own attempts"
        );
    }
    ack(firsts).await;
    for delivery in seconds {
        delivery.nack().await.expect("a nack works");
    }
    expect_nothing(&mut *first).await;
    ack(receive(&mut *second, 20).await).await;
    expect_nothing(&mut *second).await;
    Shown::Yes
}

/// 06: the consumers of one group share its events, each event going to one of them.
pub async fn shares_a_group_between_consumers(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    let published: BTreeSet<_> = scene.publish(200).await.iter().map(ToString::to_string).collect();
    let mut consumers = [scene.consumer("g").await, scene.consumer("g").await, scene.consumer("g").await];
    let ten = NonZeroUsize::new(10).expect("ten is not zero");
    let mut seen = BTreeSet::new();
    let end = Instant::now() + DEADLINE;
    while seen.len() < published.len() {
        assert!(Instant::now() < end, "{} of {} events after {DEADLINE:?}", seen.len(), published.len());
        let mut held = Vec::new();
        for consumer in &mut consumers {
            let deliveries =
                receive_once(&mut **consumer, ten, Duration::ZERO).await.expect("receiving works");
            for id in ids(&deliveries) {
                assert!(seen.insert(id), "one event went to two consumers");
            }
            held.extend(deliveries);
        }
        // Only now: each consumer was asked while the others held theirs.
        ack(held).await;
    }
    assert_eq!(seen, published);
    for consumer in &mut consumers {
        expect_nothing(&mut **consumer).await;
    }
    Shown::Yes
}

/// 08: one consumer gets a stream in the order of publishing, whatever it asks for at a time.
pub async fn keeps_the_order_for_one_consumer(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    let mut consumer = scene.consumer("g").await;
    if !consumer.capabilities().ordered {
        return Shown::NotOffered;
    }
    let publisher = scene.publisher().await;
    let mut expected = 0..600;
    for batch in 0..6 {
        publish_all(&*publisher, &numbered(batch * 100..batch * 100 + 100)).await;
        for max in [1, 7, 64] {
            let max = NonZeroUsize::new(max).expect("no batch is empty");
            let deliveries = receive_once(&mut *consumer, max, DEADLINE).await.expect("receiving works");
            assert!(!deliveries.is_empty(), "there is more, yet nothing came");
            let due: Vec<usize> = expected.by_ref().take(deliveries.len()).collect();
            assert_eq!(numbers(&deliveries), due);
            ack(deliveries).await;
        }
    }
    let rest = receive(&mut *consumer, expected.len()).await;
    assert_eq!(numbers(&rest), expected.collect::<Vec<_>>());
    ack(rest).await;
    Shown::Yes
}

/// 09: twenty streams are published to and consumed at once, each by its own.
pub async fn serves_twenty_streams_at_once(harness: &dyn Harness) -> Shown {
    let mut tasks = JoinSet::new();
    for at in 0..20 {
        let scene = Scene::new(harness);
        let (publisher, mut consumer) = (scene.publisher().await, scene.consumer("g").await);
        let events = numbered(at * 1_000..at * 1_000 + 50);
        let expected: Vec<usize> = (at * 1_000..at * 1_000 + 50).collect();
        tasks.spawn(async move {
            for five in events.chunks(5) {
                publish_all(&*publisher, five).await;
            }
            publisher.close().await.expect("a publisher closes");
        });
        tasks.spawn(async move {
            let deliveries = receive(&mut *consumer, expected.len()).await;
            assert_eq!(sorted(numbers(&deliveries)), expected);
            ack(deliveries).await;
            expect_nothing(&mut *consumer).await;
            consumer.close().await.expect("a consumer closes");
        });
    }
    tasks.join_all().await;
    Shown::Yes
}
