//! Cases 10 to 17: acknowledged, given back or dropped, a delivery ends as its holder says.

use std::time::Duration;

use events_core::ErrorKind;

use crate::scene::{Scene, ack, expect_nothing, numbers, receive, receive_one};
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
    expect_nothing(&mut *consumer).await;
    harness.advance(delay - harness.lease()).await;
    let delivery = receive_one(&mut *consumer).await;
    assert_eq!(delivery.attempt(), 2);
    delivery.ack().await.expect("acknowledging works");
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
