//! Cases 20 to 26: what cannot be handled becomes a dead letter, whole and never lost, and its neighbours go on.

use std::num::NonZeroU32;
use std::time::Duration;

use events_core::wire::{RawMessage, encode};
use events_core::{DeadLetter, DeadLetterReason, ErrorKind, EventAdmin};

use crate::scene::{BATCH, Scene, ack, expect_nothing, number, numbered, receive, receive_one};
use crate::{Harness, Shown};

/// The dead letters of a stream, or `None` after checking that a backend without them says so.
async fn dead_letters(admin: &dyn EventAdmin) -> Option<Vec<DeadLetter>> {
    let letters = admin.dead_letters(None, BATCH).await;
    if admin.capabilities().dead_letters {
        return Some(letters.expect("listing dead letters works"));
    }
    assert_eq!(letters.expect_err("dead letters are not offered").kind(), ErrorKind::Unsupported);
    None
}

/// 20: after `max_deliveries` failed attempts, or one rejection, an event is a dead letter that tells everything about it.
pub async fn dead_letters_after_max_deliveries(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    let events = numbered(0..2);
    let published = scene.publish_events(&events).await;
    let options = scene.options("g").with_max_deliveries(NonZeroU32::new(3).expect("three is not zero"));
    let name = options.consumer_name().to_owned();
    let mut consumer = scene.consumer_with(options).await;
    for delivery in receive(&mut *consumer, 2).await {
        if number(&delivery) == 1 {
            delivery.reject("hopeless").await.expect("rejecting works");
        } else {
            delivery.fail("boom 1", Duration::ZERO).await.expect("failing works");
        }
    }
    for attempt in [2, 3] {
        let delivery = receive_one(&mut *consumer).await;
        assert_eq!((number(&delivery), delivery.attempt()), (0, attempt));
        delivery.fail(format!("boom {attempt}"), Duration::ZERO).await.expect("failing works");
    }
    expect_nothing(&mut *consumer).await;
    scene.let_lease_pass().await;
    expect_nothing(&mut *consumer).await;

    let admin = scene.admin().await;
    let Some(mut letters) = dead_letters(&*admin).await else { return Shown::NotOffered };
    letters.sort_by_key(|letter| letter.attempts);
    assert_eq!(letters.len(), 2);
    for (letter, at, reason, detail, attempts) in [
        (&letters[0], 1, DeadLetterReason::Rejected, "hopeless", 1),
        (&letters[1], 0, DeadLetterReason::MaxDeliveries, "boom 3", 3),
    ] {
        assert_eq!(letter.reason, reason);
        assert_eq!(letter.detail.as_deref(), Some(detail));
        assert_eq!(letter.attempts, attempts);
        assert_eq!(letter.origin_id, published[at]);
        assert_eq!(letter.message, RawMessage::from(&encode(&events[at])));
        assert_eq!((&*letter.stream, &*letter.group, &*letter.consumer), (&*scene.stream, "g", &*name));
        assert!(letter.published_at.is_none_or(|published_at| published_at <= letter.dead_at));
    }
    if consumer.capabilities().groups {
        // Another group has its own count and gets both.
        ack(receive(&mut *scene.consumer("other").await, 2).await).await;
    }
    Shown::Yes
}
