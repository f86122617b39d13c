//! Cases 30 to 39: whatever dies, what it held goes to others, and nothing accepted is lost.

use std::collections::BTreeSet;
use std::time::Duration;

use events_core::StartFrom;

use crate::scene::{
    BATCH, Scene, Waiting, ack, expect_nothing, number, numbered, numbers, offered, publish_all, receive,
    receive_once, receive_one, receive_through_faults,
};
use crate::{Fault, Harness, Shown};

/// 30: what a dead holder had goes to another consumer, which waits for it, when its lease has ended, and not before.
pub async fn gives_what_a_dead_holder_had_to_another(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    scene.publish(10).await;
    let mut first = scene.consumer("g").await;
    let mut held = receive(&mut *first, 10).await;
    let acked: Vec<usize> = numbers(&held[..3]);
    ack(held.drain(..3).collect()).await;
    drop(first);
    drop(held);
    let waiting = Waiting::new(scene.consumer("g").await);
    waiting.expect_none().await;
    scene.let_lease_pass().await;
    let (mut second, mut taken) = waiting.woken().await;
    taken.extend(receive(&mut *second, 7 - taken.len()).await);
    assert!(taken.iter().all(|delivery| delivery.attempt() == 2 && !acked.contains(&number(delivery))));
    assert_eq!(numbers(&taken).into_iter().collect::<BTreeSet<_>>().len(), 7);
    ack(taken).await;
    expect_nothing(&mut *second).await;
    Shown::Yes
}

/// 31: a holder that is slower than three leases keeps its event by extending, for as long as it says, and no longer.
pub async fn keeps_what_is_extended(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    scene.publish(1).await;
    let mut slow = scene.consumer("g").await;
    let delivery = receive_one(&mut *slow).await;
    if !offered(slow.capabilities().extend, delivery.extend(harness.lease()).await) {
        return Shown::NotOffered;
    }
    let mut other = scene.consumer("g").await;
    for _ in 0..7 {
        harness.advance(harness.lease() / 2).await;
        delivery.extend(harness.lease()).await.expect("the holder still holds its event");
        expect_nothing(&mut *other).await;
    }
    // An extension may be longer than the lease was.
    delivery.extend(harness.lease() * 3).await.expect("the holder still holds its event");
    drop(delivery);
    scene.let_lease_pass().await;
    expect_nothing(&mut *other).await;
    harness.advance(harness.lease() * 2).await;
    let again = receive_one(&mut *other).await;
    assert_eq!(again.attempt(), 2);
    ack(vec![again]).await;
    scene.let_lease_pass().await;
    expect_nothing(&mut *other).await;
    Shown::Yes
}

/// 32: what a live consumer fetched and has not handed over yet stays its own for as long as it lives.
pub async fn keeps_what_is_prefetched(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    scene.publish(20).await;
    let mut slow = scene.consumer("g").await;
    let one = 1.try_into().expect("one is not zero");
    let mut seen = Vec::new();
    let mut take = async |consumer: &mut dyn events_core::EventConsumer, max| {
        let deliveries = receive_once(consumer, max, Duration::ZERO).await.expect("receiving works");
        assert!(deliveries.iter().all(|delivery| delivery.attempt() == 1), "nothing was delivered before");
        seen.extend(numbers(&deliveries));
        let count = deliveries.len();
        ack(deliveries).await;
        count
    };
    while take(&mut *slow, one).await == 0 {}
    let mut other = scene.consumer("g").await;
    for _ in 0..7 {
        harness.advance(harness.lease() / 2).await;
        take(&mut *other, BATCH).await;
    }
    while take(&mut *slow, BATCH).await > 0 {}
    expect_nothing(&mut *other).await;
    expect_nothing(&mut *slow).await;
    seen.sort_unstable();
    assert_eq!(seen, (0..20).collect::<Vec<_>>());
    Shown::Yes
}

/// 33: more than ten batches left behind are all recovered.
pub async fn recovers_more_than_ten_batches(harness: &dyn Harness) -> Shown {
    const COUNT: usize = 1_100;
    let scene = Scene::new(harness);
    scene.publish(COUNT).await;
    let mut first = scene.consumer("g").await;
    let left_behind = receive(&mut *first, COUNT).await;
    drop(first);
    drop(left_behind);
    scene.let_lease_pass().await;
    let mut second = scene.consumer("g").await;
    let recovered = receive(&mut *second, COUNT).await;
    assert!(recovered.iter().all(|delivery| delivery.attempt() == 2));
    assert_eq!(numbers(&recovered).into_iter().collect::<BTreeSet<_>>().len(), COUNT);
    ack(recovered).await;
    expect_nothing(&mut *second).await;
    Shown::Yes
}

/// 34: an event that is trimmed while it is pending is gone: not delivered, not pending, in nobody's way.
pub async fn clears_what_was_trimmed_while_pending(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    let ids = scene.publish(3).await;
    let mut first = scene.consumer("g").await;
    let mut held = receive(&mut *first, 3).await;
    held.sort_by_key(number);
    if !harness.cause(Fault::RemoveEvent { stream: &scene.stream, id: &ids[1] }).await {
        return Shown::NotOffered;
    }
    drop(first);
    drop(held);
    scene.let_lease_pass().await;
    let mut second = scene.consumer("g").await;
    let mut rest = receive(&mut *second, 2).await;
    rest.sort_by_key(number);
    assert_eq!(numbers(&rest), [0, 2]);
    ack(rest).await;
    expect_nothing(&mut *second).await;
    if second.capabilities().groups {
        let groups = scene.admin().await.groups().await.expect("listing groups works");
        assert_eq!(groups.iter().map(|group| group.pending).collect::<Vec<_>>(), [0]);
    }
    if second.capabilities().dead_letters {
        let letters = scene.admin().await.dead_letters(None, BATCH).await.expect("listing works");
        assert_eq!(letters, [], "an event that is gone leaves no empty dead letter");
    }
    // Settling what was trimmed under its holder is as harmless as settling late.
    let ids = scene.publish(1).await;
    let delivery = receive_one(&mut *second).await;
    harness.cause(Fault::RemoveEvent { stream: &scene.stream, id: &ids[0] }).await;
    delivery.ack().await.expect("acknowledging what was trimmed is harmless");
    expect_nothing(&mut *second).await;
    Shown::Yes
}

/// What is taken away from under a consumer.
#[derive(Clone, Copy, Debug)]
enum Loss {
    Group,
    Stream,
    Everything,
}

/// 35: a consumer outlives its group, its stream and all data of the server, while it waits and between two calls:
/// what is published afterwards arrives, wherever the group had started, and nobody has to do anything.
pub async fn outlives_group_stream_and_data(harness: &dyn Harness) -> Shown {
    let mut shown = Shown::Yes;
    for loss in [Loss::Group, Loss::Stream, Loss::Everything] {
        for start in [StartFrom::Earliest, StartFrom::Latest] {
            for waiting in [false, true] {
                if !outlives(harness, loss, start.clone(), waiting).await {
                    shown = Shown::NotOffered;
                }
            }
        }
    }
    shown
}

async fn outlives(harness: &dyn Harness, loss: Loss, start: StartFrom, waiting: bool) -> bool {
    let scene = Scene::new(harness);
    let publisher = scene.publisher().await;
    let mut consumer = scene.consumer_with(scene.options("g").with_start_from(start)).await;
    publish_all(&*publisher, &numbered(0..3)).await;
    ack(receive(&mut *consumer, 3).await).await;
    let fault = match loss {
        Loss::Group => Fault::DeleteGroup { stream: &scene.stream, group: "g" },
        Loss::Stream => Fault::DeleteStream { stream: &scene.stream },
        Loss::Everything => Fault::Flush,
    };
    let until = |deliveries: &[usize]| [3, 4].iter().all(|number| deliveries.contains(number));
    if waiting {
        let reader = tokio::spawn(async move {
            receive_through_faults(&mut *consumer, until).await;
            consumer
        });
        // Whether the reader waits already cannot be seen from here; the rule holds either way.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let offered = harness.cause(fault).await;
        publish_all(&*publisher, &numbered(3..5)).await;
        consumer = reader.await.expect("the reader lives on");
        if !offered {
            return false;
        }
    } else {
        if !harness.cause(fault).await {
            return false;
        }
        publish_all(&*publisher, &numbered(3..5)).await;
        receive_through_faults(&mut *consumer, until).await;
    }
    consumer.close().await.expect("a consumer closes");
    publisher.close().await.expect("a publisher closes");
    true
}

/// 39: the name of a consumer that is gone is removed when nothing is pending under it, and not before.
pub async fn reaps_dead_consumers_that_own_nothing(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    scene.publish(2).await;
    let mut dead = scene.consumer("g").await;
    let held = receive(&mut *dead, 2).await;
    // As when its process is killed: nobody says goodbye.
    std::mem::forget(dead);
    std::mem::forget(held);
    if !harness.reap(&scene.stream, "g").await {
        return Shown::NotOffered;
    }
    let names = async || harness.consumer_names(&scene.stream, "g").await.expect("the broker keeps names");
    assert_eq!(names().await, 1, "something is pending under the name");
    scene.let_lease_pass().await;
    let mut other = scene.consumer("g").await;
    let taken = receive(&mut *other, 2).await;
    assert!(taken.iter().all(|delivery| delivery.attempt() == 2));
    ack(taken).await;
    other.close().await.expect("a consumer closes");
    harness.reap(&scene.stream, "g").await;
    assert_eq!(names().await, 0, "nothing is pending under the name any more");
    Shown::Yes
}
