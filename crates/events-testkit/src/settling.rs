//! Cases 10 to 17: acknowledged, given back or dropped, a delivery ends as its holder says.

use std::sync::Arc;
use std::time::Duration;

use events_core::{
    Delivery, DeliveryParts, Error, ErrorKind, Receipt, Result, Settlement, Settler, ack_all, async_trait,
};

use crate::scene::{BATCH, Scene, Waiting, ack, expect_nothing, number, numbers, receive, receive_one};
use crate::{Harness, Shown};

/// 10: what is acknowledged never comes again, to nobody of the group, not even after the lease.
pub async fn acknowledging_removes(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    scene.publish(3).await;
    let mut consumer = scene.consumer("g").await;
    ack(receive(&mut *consumer, 3).await).await;
    expect_nothing(&mut *consumer).await;
    scene.let_lease_pass().await;
    expect_nothing(&mut *consumer).await;
    expect_nothing(&mut *scene.consumer("g").await).await;
    Shown::Yes
}

/// 11: a negative acknowledgement brings the event back at once, with the attempt counted up.
pub async fn redelivers_after_nack(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    scene.publish(1).await;
    // The lease is far longer than the case may take, so that only the nack can bring the event back.
    let options = scene.options("g").with_lease(Duration::from_secs(600));
    let mut consumer = scene.consumer_with(options).await;
    for attempt in 1..=4 {
        let delivery = receive_one(&mut *consumer).await;
        assert_eq!(delivery.attempt(), attempt);
        delivery.nack().await.expect("a nack works");
    }
    let delivery = receive_one(&mut *consumer).await;
    delivery.ack().await.expect("acknowledging works");
    expect_nothing(&mut *consumer).await;
    Shown::Yes
}

/// 12: `nack_after` hides the event for the delay, even past the end of the lease, and not for longer.
pub async fn hides_for_the_delay_of_nack_after(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    scene.publish(1).await;
    let mut consumer = scene.consumer("g").await;
    let delivery = receive_one(&mut *consumer).await;
    let delay = harness.lease() * 3;
    if !consumer.capabilities().delayed_nack {
        let error = delivery.nack_after(delay).await.expect_err("a delay is not offered");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        return Shown::NotOffered;
    }
    delivery.nack_after(delay).await.expect("a delayed nack works");
    expect_nothing(&mut *consumer).await;
    scene.let_lease_pass().await;
    // A consumer that waits meanwhile is woken when the delay ends.
    let waiting = Waiting::new(consumer);
    waiting.expect_none().await;
    harness.advance(delay - harness.lease()).await;
    let (_consumer, mut deliveries) = waiting.woken().await;
    let delivery = deliveries.pop().expect("the event came");
    assert_eq!(delivery.attempt(), 2);
    delivery.ack().await.expect("acknowledging works");
    Shown::Yes
}

/// 13: a holder whose lease has ended settles late, and that disturbs nobody: it succeeds and changes nothing.
pub async fn settling_late_is_harmless(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    scene.publish(6).await;
    let mut first = scene.consumer("g").await;
    let mut late = receive(&mut *first, 6).await;
    late.sort_by_key(number);
    // Closed, it cannot take its own events again; it can still settle those it gave out.
    first.close().await.expect("a consumer closes");
    scene.let_lease_pass().await;
    let mut second = scene.consumer("g").await;
    let mut held = receive(&mut *second, 6).await;
    held.sort_by_key(number);
    assert!(held.iter().all(|delivery| delivery.attempt() == 2), "the second holder has the second attempt");

    if second.capabilities().extend {
        let error = late[0].extend(harness.lease()).await.expect_err("the event is somebody else's");
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
    // The last event is settled by its holder first, so that late settling meets a settled event too.
    held.remove(5).ack().await.expect("acknowledging works");
    late.remove(5).nack().await.expect("a late nack of a settled event is harmless");
    late.remove(4).ack().await.expect("a late ack is harmless");
    late.remove(3).reject("late").await.expect("a late rejection is harmless");
    late.remove(2).nack().await.expect("a late nack is harmless");
    late.remove(1).release().await.expect("a late release is harmless");
    drop(late);
    expect_nothing(&mut *second).await;

    if second.capabilities().extend {
        for delivery in held.iter().filter(|delivery| number(delivery) != 4) {
            delivery.extend(harness.lease()).await.expect("the holder still holds its event");
        }
    }
    ack(held).await;
    scene.let_lease_pass().await;
    expect_nothing(&mut *second).await;
    if second.capabilities().dead_letters {
        let letters = scene.admin().await.dead_letters(None, BATCH).await.expect("listing works");
        assert_eq!(letters, [], "a late rejection makes no dead letter");
    }
    Shown::Yes
}

/// 15: a delivery that is dropped unsettled comes back when its lease ends, and not before.
pub async fn redelivers_a_dropped_delivery(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    scene.publish(1).await;
    let mut consumer = scene.consumer("g").await;
    drop(receive_one(&mut *consumer).await);
    expect_nothing(&mut *consumer).await;
    scene.let_lease_pass().await;
    let delivery = receive_one(&mut *consumer).await;
    assert_eq!(delivery.attempt(), 2);
    delivery.ack().await.expect("acknowledging works");
    Shown::Yes
}

/// 16: acknowledgements out of order acknowledge what they name and nothing around it.
pub async fn acknowledges_only_what_is_named(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    scene.publish(10).await;
    let mut consumer = scene.consumer("g").await;
    let mut deliveries = receive(&mut *consumer, 10).await;
    for number in [9, 7, 2] {
        deliveries.remove(number).ack().await.expect("acknowledging works");
    }
    drop(deliveries);
    scene.let_lease_pass().await;
    let again = receive(&mut *consumer, 7).await;
    let mut left = numbers(&again);
    left.sort_unstable();
    assert_eq!(left, [0, 1, 3, 4, 5, 6, 8]);
    assert!(again.iter().all(|delivery| delivery.attempt() == 2));
    ack(again).await;
    expect_nothing(&mut *consumer).await;
    Shown::Yes
}

/// 17: when one acknowledgement of a batch fails, the others count, and only that one comes again.
pub async fn one_failing_ack_leaves_the_others(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    scene.publish(10).await;
    let mut consumer = scene.consumer("g").await;
    let mut deliveries = receive(&mut *consumer, 10).await;
    let lost = deliveries.remove(4);
    let lost_number = number(&lost);
    // The broker is never told of this one, as when the connection breaks under its acknowledgement.
    deliveries.insert(
        4,
        Delivery::new(DeliveryParts {
            receipt: Receipt { message_id: lost.message_id().clone(), attempt: lost.attempt(), handle: None },
            stream: lost.stream().into(),
            published_at: lost.published_at(),
            settler: Arc::new(Unreachable),
            event: lost.into_event(),
        }),
    );
    let report = ack_all(deliveries).await;
    assert_eq!(report.acked, 9);
    let failed: Vec<usize> = report.failed.iter().map(|(delivery, _)| number(delivery)).collect();
    assert_eq!(failed, [lost_number]);
    drop(report);
    expect_nothing(&mut *consumer).await;
    scene.let_lease_pass().await;
    let again = receive_one(&mut *consumer).await;
    assert_eq!((number(&again), again.attempt()), (lost_number, 2));
    ack(vec![again]).await;
    expect_nothing(&mut *consumer).await;
    Shown::Yes
}

/// A settler whose broker cannot be reached.
#[derive(Debug)]
struct Unreachable;

impl Unreachable {
    fn outcomes(receipts: &[Receipt]) -> Vec<Result<()>> {
        receipts.iter().map(|_| Err(Error::new(ErrorKind::Unavailable, "settle", "out of reach"))).collect()
    }
}

#[async_trait]
impl Settler for Unreachable {
    async fn settle(&self, receipts: &[Receipt], _: &Settlement) -> Vec<Result<()>> {
        Self::outcomes(receipts)
    }

    async fn extend(&self, receipts: &[Receipt], _: Duration) -> Vec<Result<()>> {
        Self::outcomes(receipts)
    }

    fn abandon(&self, _: &Receipt) {}
}
