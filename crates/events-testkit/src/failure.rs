//! Cases 20 to 26: what cannot be handled becomes a dead letter, whole and never lost, and its neighbours go on.

use std::collections::BTreeSet;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use events_core::wire::RawMessage;
use events_core::{ConsumerOptions, DeadLetterReason, Delivery, MessageId};

use crate::scene::{
    BATCH, Scene, ack, dead_letters, encoded, expect_nothing, number, number_of, numbered, poll_times,
    receive, receive_once, receive_one,
};
use crate::told::Told;
use crate::{Fault, Harness, Shown};

fn allow(max_deliveries: u32, options: ConsumerOptions) -> ConsumerOptions {
    options.with_max_deliveries(NonZeroU32::new(max_deliveries).expect("at least one delivery"))
}

/// 20: after `max_deliveries` failed attempts, or one rejection, an event is a dead letter that tells everything about it.
pub async fn dead_letters_after_max_deliveries(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    let events = numbered(0..2);
    let published = scene.publish_events(&events).await;
    let told = Arc::new(Told::default());
    let options = allow(3, scene.options("g")).with_observer(Arc::clone(&told) as _);
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
        // Enough for any backend's clock to tick.
        harness.advance(Duration::from_millis(10)).await;
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
    // Whoever counts them is told of each, once.
    let reasons = [DeadLetterReason::Rejected, DeadLetterReason::MaxDeliveries];
    assert_eq!(reasons.map(|reason| told.of(reason)), [1, 1], "{told:?}");
    for (letter, at, reason, detail, attempts) in [
        (&letters[0], 1, DeadLetterReason::Rejected, "hopeless", 1),
        (&letters[1], 0, DeadLetterReason::MaxDeliveries, "boom 3", 3),
    ] {
        assert_eq!(letter.reason, reason);
        assert_eq!(letter.detail.as_deref(), Some(detail));
        assert_eq!(letter.attempts, attempts);
        assert_eq!(letter.origin_id, published[at]);
        assert_eq!(letter.message, encoded(&events[at]));
        assert_eq!((&*letter.stream, &*letter.group, &*letter.consumer), (&*scene.stream, "g", &*name));
        let (Some(first), Some(last)) = (letter.first_delivered_at, letter.last_delivered_at) else {
            panic!("every attempt ended with a word, so when it was is known: {letter:?}")
        };
        assert!(letter.published_at.is_none_or(|published_at| published_at <= first), "{letter:?}");
        assert!(first <= last && last <= letter.dead_at, "{letter:?}");
        assert!(attempts > 1 || first == last, "{letter:?}");
    }
    assert!(letters[1].first_delivered_at < letters[1].last_delivered_at, "attempts are told apart");
    if consumer.capabilities().groups {
        // Another group has its own count and gets both.
        ack(receive(&mut *scene.consumer("other").await, 2).await).await;
    }
    Shown::Yes
}

/// 20: what a consumer reported is kept with the event: a process that dies in a later attempt does not take it along.
pub async fn keeps_the_last_error_of_a_dead_process(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    scene.publish(1).await;
    let options = || allow(2, scene.options("g"));
    let first = options();
    let name = first.consumer_name().to_owned();
    let mut consumer = scene.consumer_with(first).await;
    receive_one(&mut *consumer).await.fail("boom 1", Duration::ZERO).await.expect("failing works");
    let second = receive_one(&mut *consumer).await;
    assert_eq!(second.attempt(), 2);
    drop(consumer);
    drop(second);
    scene.let_lease_pass().await;
    let mut consumer = scene.consumer_with(options()).await;
    expect_nothing(&mut *consumer).await;
    let Some(letters) = dead_letters(&*scene.admin().await).await else { return Shown::NotOffered };
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].reason, letters[0].attempts), (DeadLetterReason::MaxDeliveries, 2));
    if consumer.capabilities().keeps_errors {
        assert_eq!(letters[0].detail.as_deref(), Some("boom 1"));
        assert_eq!(letters[0].consumer, name, "the letter names who held the event, not who buried it");
        assert!(letters[0].last_delivered_at.is_some_and(|last| last < letters[0].dead_at));
    }
    Shown::Yes
}

/// 21: the attempts of a process that dies each time count, and the last one makes a dead letter.
pub async fn dead_letters_when_the_process_dies_each_time(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    let published = scene.publish(1).await;
    for attempt in 1..=2 {
        let mut consumer = scene.consumer_with(allow(2, scene.options("g"))).await;
        let delivery = receive_one(&mut *consumer).await;
        assert_eq!(delivery.attempt(), attempt);
        drop(consumer);
        drop(delivery);
        scene.let_lease_pass().await;
    }
    let told = Arc::new(Told::default());
    let options = allow(2, scene.options("g")).with_observer(Arc::clone(&told) as _);
    let mut consumer = scene.consumer_with(options).await;
    expect_nothing(&mut *consumer).await;
    let Some(letters) = dead_letters(&*scene.admin().await).await else { return Shown::NotOffered };
    let dead: Vec<_> =
        letters.iter().map(|letter| (&letter.origin_id, letter.reason, letter.attempts)).collect();
    assert_eq!(dead, [(&published[0], DeadLetterReason::MaxDeliveries, 2)]);
    assert_eq!(
        told.of(DeadLetterReason::MaxDeliveries),
        1,
        "who counts dead letters is told of those nobody rejected"
    );
    Shown::Yes
}

/// 22: however far the move to the dead letters got when its process died, the event is there or still to be delivered.
pub async fn loses_nothing_on_the_way_to_the_dead_letters(harness: &dyn Harness) -> Shown {
    const COUNT: usize = 30;
    let scene = Scene::new(harness);
    scene.publish(COUNT).await;
    let options = || allow(1, scene.options("g"));
    let mut consumer = scene.consumer_with(options()).await;
    for (polls, delivery) in receive(&mut *consumer, COUNT).await.into_iter().enumerate() {
        // A third is rejected, a third fails for the last time, a third is buried by whoever looks after its lease.
        match polls % 3 {
            0 => drop(poll_times(polls / 3, delivery.reject("hopeless")).await),
            1 => drop(poll_times(polls / 3, delivery.nack()).await),
            _ => drop(delivery),
        }
    }
    drop(consumer);
    scene.let_lease_pass().await;
    for polls in 0..5 {
        let mut consumer = scene.consumer_with(options()).await;
        if let Some(Ok(deliveries)) = poll_times(polls, consumer.receive(BATCH, Duration::from_secs(5))).await
        {
            assert!(deliveries.is_empty(), "every event has had its only attempt");
        }
    }
    // What a dying process still held is free again after another lease.
    scene.let_lease_pass().await;
    expect_nothing(&mut *scene.consumer_with(options()).await).await;
    let Some(letters) = dead_letters(&*scene.admin().await).await else { return Shown::NotOffered };
    let event = |message: &RawMessage| message.decode(time::OffsetDateTime::UNIX_EPOCH);
    let dead: BTreeSet<usize> = letters
        .iter()
        .map(|letter| number_of(&event(&letter.message).expect("the dead letter holds the event")))
        .collect();
    assert_eq!(dead, (0..COUNT).collect());
    Shown::Yes
}

/// 23: redriving gives an event back to the group it failed in, to no other, with attempts from 1; purging ends it.
pub async fn redrives_with_attempts_from_one(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    let events = numbered(0..3);
    let published = scene.publish_events(&events).await;
    let admin = scene.admin().await;
    let mut consumer = scene.consumer_with(allow(2, scene.options("g"))).await;
    for delivery in receive(&mut *consumer, 3).await {
        delivery.reject("not today").await.expect("rejecting works");
    }
    let Some(letters) = dead_letters(&*admin).await else { return Shown::NotOffered };
    let mut other = None;
    if consumer.capabilities().groups {
        let mut consumer = scene.consumer("other").await;
        ack(receive(&mut *consumer, 3).await).await;
        other = Some(consumer);
    }
    let one = 1.try_into().expect("one is not zero");
    let page = admin.dead_letters(Some(&letters[0].id), one).await.expect("listing works");
    assert_eq!(page, letters[1..2], "dead letters are listed page by page");
    let all = admin.dead_letters(None, NonZeroUsize::MAX).await.expect("any maximum works");
    assert_eq!(all, letters);

    let letter = |at: usize| {
        let letter = letters.iter().find(|letter| letter.origin_id == published[at]);
        letter.expect("each event has its dead letter").id.clone()
    };
    let unknown = MessageId::from("no such id");
    assert_eq!(admin.redrive(&[letter(0), unknown.clone()]).await.expect("redriving works"), 1);
    assert_eq!(admin.purge(&[letter(1), unknown]).await.expect("purging works"), 1);
    let left = dead_letters(&*admin).await.unwrap_or_default();
    assert_eq!(left.into_iter().map(|letter| letter.id).collect::<Vec<_>>(), [letter(2)]);
    // The attempts count from 1 again, up to the same limit.
    for attempt in [1, 2] {
        let again = receive_one(&mut *consumer).await;
        assert_eq!((again.event(), again.attempt()), (&events[0], attempt));
        again.nack().await.expect("a nack works");
    }
    if let Some(other) = &mut other {
        expect_nothing(&mut **other).await;
    }
    expect_nothing(&mut *consumer).await;
    let left = dead_letters(&*admin).await.unwrap_or_default();
    let origins: BTreeSet<_> = left.iter().map(|letter| letter.origin_id.as_str()).collect();
    assert_eq!(origins, BTreeSet::from([published[0].as_str(), published[2].as_str()]));

    // The original may be gone from the stream: the dead letter has all it takes.
    let last = scene.stream.as_str();
    if harness.cause(Fault::RemoveEvent { stream: last, id: &published[2] }).await {
        assert_eq!(admin.redrive(&[letter(2)]).await.expect("redriving works"), 1);
        let again = receive_one(&mut *consumer).await;
        assert_eq!((again.event(), again.attempt()), (&events[2], 1));
        ack(vec![again]).await;
    }
    Shown::Yes
}

/// Messages that are no events, each in another way, as far as the broker can hold them.
fn undecodable(harness: &dyn Harness) -> Vec<RawMessage> {
    let bodies: [&[u8]; 5] = [
        b"not json",
        b"[]",
        b"{\"event_type\":\"a.b\"}",
        b"{\"event_type\":\"a.b\",\"source\":\"s\",\"payload\":[1]}",
        b"\xff\x00\xfe",
    ];
    let mut messages: Vec<_> = bodies.into_iter().map(RawMessage::from_body).collect();
    messages.push(RawMessage { fields: vec![(b"other".to_vec(), b"\x80 no body".to_vec())] });
    messages.retain(|message| harness.can_hold(message));
    messages
}

/// 24: an undecodable message goes to the dead letters raw, its neighbours arrive, and the reader lives on.
pub async fn quarantines_the_undecodable_raw(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    let told = Arc::new(Told::default());
    let options = scene.options("g").with_observer(Arc::clone(&told) as _);
    let mut consumer = scene.consumer_with(options).await;
    let mut bad = Vec::new();
    for (at, message) in undecodable(harness).into_iter().enumerate() {
        scene.publish_events(&numbered(at..at + 1)).await;
        let id = harness.publish_raw(&scene.stream, message.clone()).await;
        bad.push((id, message));
    }
    let good = receive(&mut *consumer, bad.len()).await;
    assert_eq!(good.iter().map(number).collect::<BTreeSet<_>>(), (0..bad.len()).collect());
    ack(good).await;
    expect_nothing(&mut *consumer).await;
    scene.publish_events(&numbered(99..100)).await;
    ack(vec![receive_one(&mut *consumer).await]).await;
    let shown = expect_quarantined(&scene, &bad).await;
    if shown == Shown::Yes {
        assert_eq!(told.of(DeadLetterReason::Undecodable), bad.len() as u64);
    }
    shown
}

async fn expect_quarantined(scene: &Scene<'_>, bad: &[(MessageId, RawMessage)]) -> Shown {
    let Some(letters) = dead_letters(&*scene.admin().await).await else { return Shown::NotOffered };
    assert_eq!(letters.len(), bad.len());
    for (id, message) in bad {
        let letter = letters.iter().find(|letter| letter.origin_id == *id).expect("each has its dead letter");
        assert_eq!(letter.message, *message, "the raw bytes are kept");
        assert_eq!(letter.reason, DeadLetterReason::Undecodable);
        assert!(letter.detail.as_deref().is_some_and(|detail| !detail.is_empty()), "the letter says why");
        assert_eq!((&*letter.stream, &*letter.group), (&*scene.stream, "g"));
    }
    Shown::Yes
}

/// 25: the same when the message is found among those a dead consumer left behind.
pub async fn quarantines_the_undecodable_when_reclaiming(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    scene.consumer("g").await.close().await.expect("a consumer closes");
    let mut bad = Vec::new();
    scene.publish_events(&numbered(0..1)).await;
    for message in undecodable(harness) {
        let id = harness.publish_raw(&scene.stream, message.clone()).await;
        bad.push((id, message));
    }
    scene.publish_events(&numbered(1..2)).await;
    harness.strand(&scene.stream, scene.options("g")).await;
    scene.let_lease_pass().await;
    let mut consumer = scene.consumer("g").await;
    let good = receive(&mut *consumer, 2).await;
    assert_eq!(good.iter().map(number).collect::<BTreeSet<_>>(), BTreeSet::from([0, 1]));
    ack(good).await;
    expect_nothing(&mut *consumer).await;
    expect_quarantined(&scene, &bad).await
}

/// 26: an event of a newer schema version is delivered, with what this version does not know passed over.
pub async fn delivers_a_newer_version(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    let body = r#"{"version":99,"event_type":"a.b","source":"s","timestamp":"2026-02-10T12:00:00Z",
        "payload":{"n":1},"id":"x","invented_later":{"deep":[1,2]}}"#;
    harness.publish_raw(&scene.stream, RawMessage::from_body(body)).await;
    let mut consumer = scene.consumer("g").await;
    let delivery: Delivery = receive_one(&mut *consumer).await;
    assert_eq!((delivery.event().version(), delivery.event().payload()), (99, r#"{"n":1}"#));
    ack(vec![delivery]).await;
    let nothing = receive_once(&mut *consumer, BATCH, Duration::ZERO).await.expect("receiving works");
    assert!(nothing.is_empty(), "it is delivered once");
    Shown::Yes
}
