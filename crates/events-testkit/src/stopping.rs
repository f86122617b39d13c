//! Cases 50 to 56: stopping at any moment loses nothing, leaks nothing and kills no event.

use std::collections::BTreeSet;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use events_core::{ErrorKind, EventConsumer};

use crate::scene::{
    BATCH, DEADLINE, Scene, ack, expect_nothing, ids, numbered, numbers, poll_times, publish_all, receive,
    receive_one, within,
};
use crate::{Harness, Shown};

/// A lease that cannot end while a case runs, so that only a rule and never its end brings an event back.
const LONG_LEASE: Duration = Duration::from_secs(600);

/// 50: what was handed out before a consumer closed can still be finished and acknowledged, and then counts.
pub async fn finishes_what_is_in_flight(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    scene.publish(10).await;
    let mut consumer = scene.consumer("g").await;
    let mut deliveries = receive(&mut *consumer, 10).await;
    within(DEADLINE, consumer.close()).await.expect("a consumer closes");
    deliveries.pop().expect("ten were received").nack().await.expect("a nack works after closing");
    if consumer.capabilities().extend {
        deliveries[0].extend(harness.lease()).await.expect("extending works after closing");
    }
    drop(consumer);
    ack(deliveries).await;
    scene.let_lease_pass().await;
    let mut next = scene.consumer("g").await;
    let again = receive_one(&mut *next).await;
    assert_eq!(again.attempt(), 2, "only what was given back comes again");
    ack(vec![again]).await;
    expect_nothing(&mut *next).await;
    Shown::Yes
}

/// 51: what a closing consumer had fetched and not handed over goes to others at once, as if it had never been fetched.
pub async fn gives_back_what_was_prefetched(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    scene.publish(50).await;
    let options = || scene.options("g").with_lease(LONG_LEASE);
    let mut first = scene.consumer_with(options()).await;
    let held = receive_one(&mut *first).await;
    within(DEADLINE, first.close()).await.expect("a consumer closes");
    let mut second = scene.consumer_with(options()).await;
    let rest = receive(&mut *second, 49).await;
    let mut all = ids(&rest);
    assert_eq!(all.len(), 49);
    assert!(all.insert(held.message_id().to_string()), "what is held stays with its holder");
    if second.capabilities().uncounted_release {
        assert!(rest.iter().all(|delivery| delivery.attempt() == 1), "what nobody saw counts as no attempt");
    }
    ack(rest).await;
    ack(vec![held]).await;
    expect_nothing(&mut *second).await;
    Shown::Yes
}

/// 52: releasing and closing, however often, makes no dead letter.
pub async fn dead_letters_nothing_on_shutdown(harness: &dyn Harness) -> Shown {
    const ROUNDS: u32 = 10;
    let scene = Scene::new(harness);
    scene.publish(5).await;
    // Where a release cannot be uncounted the event needs as many attempts as there are rounds.
    let uncounted = scene.publisher().await.capabilities().uncounted_release;
    let max = NonZeroU32::new(if uncounted { 1 } else { ROUNDS + 1 }).expect("at least one delivery");
    let options = || scene.options("g").with_lease(LONG_LEASE).with_max_deliveries(max);
    for _ in 0..ROUNDS {
        let mut consumer = scene.consumer_with(options()).await;
        let delivery = receive_one(&mut *consumer).await;
        if uncounted {
            assert_eq!(delivery.attempt(), 1, "what was released counts as not tried");
        }
        within(DEADLINE, consumer.close()).await.expect("a consumer closes");
        delivery.release().await.expect("releasing works");
    }
    let mut consumer = scene.consumer_with(options()).await;
    let deliveries = receive(&mut *consumer, 5).await;
    assert_eq!(numbers(&deliveries).into_iter().collect::<BTreeSet<_>>(), (0..5).collect());
    ack(deliveries).await;
    if consumer.capabilities().dead_letters {
        let letters = scene.admin().await.dead_letters(None, BATCH).await.expect("listing works");
        assert_eq!(letters, []);
    }
    Shown::Yes
}

/// 53: closing is idempotent and works at any moment; what was closed says so.
pub async fn closes_at_any_moment(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    let publisher = scene.publisher().await;
    publish_all(&*publisher, &numbered(0..50)).await;

    let mut consumer = scene.consumer("g").await;
    let deliveries = receive(&mut *consumer, 10).await;
    // While acknowledgements are on their way, and nobody takes what else was fetched.
    let acked = tokio::spawn(ack(deliveries));
    within(DEADLINE, consumer.close()).await.expect("a consumer closes");
    acked.await.expect("acknowledging beside closing works");
    consumer.close().await.expect("closing again is fine");
    let error = consumer.receive(BATCH, Duration::ZERO).await.expect_err("the consumer is closed");
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Closed, false));

    let mut consumer = scene.consumer("g").await;
    ack(receive(&mut *consumer, 40).await).await;
    scene.let_lease_pass().await;
    expect_nothing(&mut *consumer).await;
    // While a read is blocked, which ends when its future is dropped.
    let blocked = tokio::time::timeout(Duration::from_millis(50), consumer.receive(BATCH, DEADLINE)).await;
    assert!(blocked.is_err(), "there is nothing to receive");
    within(DEADLINE, consumer.close()).await.expect("a consumer closes");

    within(DEADLINE, publisher.close()).await.expect("a publisher closes");
    publisher.close().await.expect("closing again is fine");
    let error = publisher.publish_batch(&numbered(50..51)).await.expect_err("the publisher is closed");
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Closed, false));
    let admin = scene.admin().await;
    admin.close().await.expect("an admin closes");
    admin.close().await.expect("closing again is fine");
    expect_nothing(&mut *scene.consumer("g").await).await;
    Shown::Yes
}

/// 54: a publisher that closes finishes what is on its way: an accepted event is there, a refused one is not.
pub async fn finishes_publishing_before_closing(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    let mut expected = BTreeSet::new();
    for round in 0..8_usize {
        let publisher = scene.publisher().await;
        let events = numbered(round * 200..round * 200 + 200);
        // Each round closes at another moment of the same publish.
        let closing = async {
            for _ in 0..round {
                tokio::task::yield_now().await;
            }
            publisher.close().await
        };
        let both = async { tokio::join!(publisher.publish_batch(&events), closing) };
        let (published, closed) = within(DEADLINE, both).await;
        closed.expect("a publisher closes");
        match published {
            Ok(report) => {
                let ids = report.into_ids().expect("what was on its way is finished");
                expected.extend(ids.iter().map(ToString::to_string));
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Closed),
        }
    }
    let mut consumer = scene.consumer("g").await;
    let deliveries = receive(&mut *consumer, expected.len()).await;
    assert_eq!(ids(&deliveries), expected);
    ack(deliveries).await;
    expect_nothing(&mut *consumer).await;
    Shown::Yes
}

/// 56: dropping the future of a `receive` at any point loses nothing and leaves nothing behind for a lease.
pub async fn loses_nothing_when_a_receive_is_dropped(harness: &dyn Harness) -> Shown {
    const ROUNDS: usize = 60;
    let scene = Scene::new(harness);
    let publisher = scene.publisher().await;
    let mut consumer = scene.consumer_with(scene.options("g").with_lease(LONG_LEASE)).await;
    let mut seen = Vec::new();
    for round in 0..ROUNDS {
        let publishing = {
            let publisher = std::sync::Arc::clone(&publisher);
            tokio::spawn(async move { publish_all(&*publisher, &numbered(round * 5..round * 5 + 5)).await })
        };
        if let Some(deliveries) = impatient(&mut *consumer, round).await {
            assert!(deliveries.iter().all(|delivery| delivery.attempt() == 1));
            seen.extend(numbers(&deliveries));
            ack(deliveries).await;
        }
        publishing.await.expect("publishing works");
    }
    let rest = receive(&mut *consumer, ROUNDS * 5 - seen.len()).await;
    assert!(
        rest.iter().all(|delivery| delivery.attempt() == 1),
        "nothing was delivered behind the caller's back"
    );
    seen.extend(numbers(&rest));
    ack(rest).await;
    seen.sort_unstable();
    assert_eq!(seen, (0..ROUNDS * 5).collect::<Vec<_>>());
    expect_nothing(&mut *consumer).await;
    Shown::Yes
}

/// Receives for a few polls or a few milliseconds, each round another number of them.
async fn impatient(consumer: &mut dyn EventConsumer, round: usize) -> Option<Vec<events_core::Delivery>> {
    let max = NonZeroUsize::new(round % 7 + 1).expect("one more than none");
    let received = if round.is_multiple_of(2) {
        poll_times(round / 2 % 6, consumer.receive(max, DEADLINE)).await
    } else {
        let patience = Duration::from_millis(round as u64 / 2 % 4);
        tokio::time::timeout(patience, consumer.receive(max, DEADLINE)).await.ok()
    };
    received.map(|deliveries| deliveries.expect("receiving works"))
}
