//! Cases 01 to 09: what goes in comes out, to everybody it is meant for, in order.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::time::Duration;

use events_core::Event;
use time::macros::datetime;
use tokio::time::Instant;

use crate::scene::{DEADLINE, Scene, ack, expect_nothing, ids, receive_once, receive_one};
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
        for consumer in &mut consumers {
            let deliveries =
                receive_once(&mut **consumer, ten, Duration::ZERO).await.expect("receiving works");
            for id in ids(&deliveries) {
                assert!(seen.insert(id), "one event went to two consumers");
            }
            ack(deliveries).await;
        }
    }
    assert_eq!(seen, published);
    for consumer in &mut consumers {
        expect_nothing(&mut **consumer).await;
    }
    Shown::Yes
}
