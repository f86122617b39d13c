//! Cases 60 to 64: how much may be repeated, and that what is told about a stream is true.

use std::num::NonZeroUsize;
use std::time::Duration;

use events_core::wire::{Encoding, RawMessage};
use events_core::{
    Delivery, Event, EventAdmin, EventConsumer, GroupStatus, MessageId, PendingEvent, StartFrom, StreamState,
};
use tokio::time::Instant;

use crate::scene::{
    BATCH, DEADLINE, Scene, WAIT, ack, dead_letters, encoded, expect_nothing, groups_offered, receive,
    receive_one,
};
use crate::{Fault, Harness, Ledger, Shown};

const ONE: NonZeroUsize = NonZeroUsize::new(1).expect("one is not zero");

/// 60: a fault repeats at most what was in flight when it happened; what was acknowledged before never comes again.
///
/// The death of a consumer is shown on every backend, cut connections and a killed broker where a backend has them.
pub async fn repeats_at_most_what_was_in_flight(harness: &dyn Harness) -> Shown {
    repeats_after(harness, None).await;
    for fault in [Fault::CutConnections, Fault::RestartBroker] {
        repeats_after(harness, Some(fault)).await;
    }
    Shown::Yes
}

/// Consumes 300 events, 50 of which are in flight when the fault happens; without a fault their holder dies.
async fn repeats_after(harness: &dyn Harness, fault: Option<Fault<'_>>) {
    const COUNT: usize = 300;
    let scene = Scene::new(harness);
    let ledger = Ledger::default();
    let publisher = scene.publisher().await;
    ledger.publish_stubbornly(&*publisher, 0..COUNT, BATCH).await;
    publisher.close().await.expect("a publisher closes");
    let mut consumer = scene.consumer("g").await;
    let acked = receive_for(&ledger, &mut *consumer, 100).await;
    ledger.ack(acked).await;
    let in_flight = receive_for(&ledger, &mut *consumer, 50).await;
    ledger.fault_begins();
    match fault {
        None => {
            drop(consumer);
            drop(in_flight);
            consumer = scene.consumer("g").await;
        }
        Some(fault) => {
            if !harness.cause(fault).await {
                return;
            }
            ledger.ack(in_flight).await;
        }
    }
    ledger.fault_ends();
    scene.let_lease_pass().await;
    let end = Instant::now() + DEADLINE;
    let mut quiet = 0;
    // What is repeated may come last.
    while ledger.delivered() < COUNT || quiet < 3 {
        assert!(Instant::now() < end, "{fault:?}: {}", ledger.balance());
        if ledger.delivered() == COUNT {
            if quiet == 0 {
                scene.let_lease_pass().await;
            }
            quiet += 1;
        }
        // A transient error passes; the next call says so.
        if let Ok(deliveries) = ledger.receive(&mut *consumer, BATCH, WAIT).await {
            ledger.ack(deliveries).await;
        }
    }
    let balance = ledger.balance();
    balance.assert_sound();
    assert!(balance.duplicated <= 50, "{fault:?}: {balance}");
    expect_nothing(&mut *consumer).await;
}

/// Receives until there are `count` deliveries, all of which the ledger knows.
async fn receive_for(ledger: &Ledger, consumer: &mut dyn EventConsumer, count: usize) -> Vec<Delivery> {
    let end = Instant::now() + DEADLINE;
    let mut deliveries = Vec::new();
    while deliveries.len() < count {
        assert!(Instant::now() < end, "{} of {count} deliveries after {DEADLINE:?}", deliveries.len());
        let max = NonZeroUsize::new(count - deliveries.len()).unwrap_or(BATCH).min(BATCH);
        deliveries.extend(ledger.receive(consumer, max, WAIT).await.expect("receiving works"));
    }
    deliveries
}

/// 63: lag, pending, the age of the oldest pending event and the depth of the dead letters are what they are.
pub async fn tells_the_truth_about_groups(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    let admin = scene.admin().await;
    if !groups_offered(&*admin).await {
        return Shown::NotOffered;
    }
    let groups = async || admin.groups().await.expect("listing groups works");
    assert_eq!(groups().await, []);
    let empty = state(&*admin).await;
    assert_eq!((empty.length, empty.first_id, empty.last_id, empty.groups), (Some(0), None, None, vec![]));
    let options = scene.options("b");
    let name = options.consumer_name().to_owned();
    let mut consumer = scene.consumer_with(options).await;
    scene.consumer("a").await.close().await.expect("a consumer closes");
    let ids = scene.publish(10).await;
    let mut held = receive(&mut *consumer, 4).await;
    let second_published_at = held[1].published_at();
    ack(vec![held.remove(0)]).await;
    let quarter = harness.lease() / 4;
    harness.advance(quarter).await;

    let told = groups().await;
    let names: Vec<_> = told.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(names, ["a", "b"], "groups are ordered by name");
    assert_eq!((told[0].pending, told[0].oldest_pending), (0, None));
    assert!(told[0].lag.is_none_or(|lag| lag == 10), "{told:?}");
    // A backend may have fetched more than it has handed over; that is pending too.
    assert!(told[1].pending >= 3 && told[1].lag.is_none_or(|lag| lag + told[1].pending == 9), "{told:?}");
    assert!(told[1].oldest_pending.is_some_and(|age| age >= quarter), "{told:?}");

    let listed = pending(&*admin, "b").await;
    assert_eq!(listed.len() as u64, told[1].pending, "{listed:?}");
    assert!(listed.is_sorted_by_key(|event| ids.iter().position(|id| *id == event.message_id)), "{listed:?}");
    let (first, second) = (&listed[0], &listed[1]);
    assert_eq!((&first.message_id, first.consumer.as_deref(), first.deliveries), (&ids[1], Some(&*name), 1));
    assert!(first.idle.is_some_and(|idle| idle >= quarter), "{first:?}");
    let after =
        admin.pending("b", Some(&first.message_id), ONE).await.expect("listing what is pending works");
    assert_eq!(after.iter().map(|event| &event.message_id).collect::<Vec<_>>(), [&second.message_id]);
    let all = admin.pending("b", None, NonZeroUsize::MAX).await.expect("any maximum works");
    assert_eq!(all.len(), listed.len());
    assert_eq!(pending(&*admin, "a").await, []);
    assert_eq!(pending(&*admin, "no such group").await, []);

    let whole = state(&*admin).await;
    let group = expect_members(&whole, &name, &told[1], &ids);
    assert_eq!(group.oldest_pending_published_at, second_published_at);
    assert_eq!((whole.length, whole.dead_letters.unwrap_or(0)), (Some(10), 0));
    assert_eq!((whole.first_id.as_ref(), whole.last_id.as_ref()), (ids.first(), ids.last()));

    held.remove(0).reject("hopeless").await.expect("rejecting works");
    if consumer.capabilities().delayed_nack {
        // What waits for its next attempt is pending.
        held.remove(0).nack_after(harness.lease() * 100).await.expect("a delayed nack works");
    }
    ack(held).await;
    let rest = receive(&mut *consumer, 6).await;
    ack(rest).await;
    let waiting = u64::from(consumer.capabilities().delayed_nack);
    let told = groups().await;
    assert_eq!(told[1].pending, waiting, "{told:?}");
    assert!(told[1].lag.is_none_or(|lag| lag == 0), "{told:?}");
    assert_eq!(told[1].oldest_pending.is_some(), waiting == 1, "{told:?}");
    if let Some(letters) = dead_letters(&*admin).await {
        assert_eq!(letters.len(), 1);
        assert_eq!(state(&*admin).await.dead_letters, Some(1));
    }
    // What nobody ever consumes still counts for the group that has yet to see it.
    let untouched = |group: &GroupStatus| group.lag.is_none_or(|lag| lag == 10) && group.pending == 0;
    assert!(untouched(&told[0]), "{told:?}");

    consumer.close().await.expect("a consumer closes");
    admin.remove_stream().await.expect("removing the stream works");
    let gone = state(&*admin).await;
    assert_eq!((gone.length, gone.groups, gone.dead_letters.unwrap_or(0)), (Some(0), vec![], 0));
    assert!(
        admin.read(&StartFrom::Earliest, BATCH, Duration::ZERO).await.is_ok_and(|records| records.is_empty())
    );
    Shown::Yes
}

async fn pending(admin: &dyn EventAdmin, group: &str) -> Vec<PendingEvent> {
    admin.pending(group, None, BATCH).await.expect("listing what is pending works")
}

async fn state(admin: &dyn EventAdmin) -> StreamState {
    admin.state().await.expect("telling the state works")
}

/// The group `b` in the state of the stream: the same as it was told before, with the one consumer that holds something.
fn expect_members<'s>(
    state: &'s StreamState,
    name: &str,
    told: &GroupStatus,
    ids: &[MessageId],
) -> &'s GroupStatus {
    let names: Vec<_> = state.groups.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(names, ["a", "b"], "groups are ordered by name");
    let group = &state.groups[1];
    assert_eq!((group.lag, group.pending), (told.lag, told.pending));
    let holding: Vec<_> = group.consumers.iter().filter(|consumer| consumer.pending > 0).collect();
    let [holder] = holding.as_slice() else { panic!("one consumer holds something: {:?}", group.consumers) };
    assert_eq!((holder.name.as_str(), holder.pending), (name, group.pending));
    let last = group.last_delivered.as_ref().and_then(|last| ids.iter().position(|id| id == last));
    assert!(last.is_some_and(|last| last >= 3), "at least four were delivered: {group:?}");
    assert_eq!(state.groups[0].last_delivered, None, "nothing was delivered to the other group");
    group
}

/// 64: trace context and the attributes of a CloudEvent survive delivery, redelivery, and the way through the dead letters,
/// in every encoding the broker can hold.
pub async fn carries_trace_context(harness: &dyn Harness) -> Shown {
    let event = Event::builder("a.b", "s")
        .with_subject("groups/7")
        .with_header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        .with_header("tracestate", "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7")
        .with_header("request_id", "abc")
        .build()
        .expect("the event is valid");
    for encoding in Encoding::ALL {
        let message = RawMessage::from(&encoding.encode(&event).expect("every encoding carries it"));
        if harness.can_hold(&message) {
            let scene = Scene::new(harness);
            harness.publish_raw(&scene.stream, message.clone()).await;
            assert_eq!(carries_whole(&scene, &event, &message).await, Shown::Yes);
        }
    }
    let scene = Scene::new(harness);
    scene.publish_events(std::slice::from_ref(&event)).await;
    carries_whole(&scene, &event, &encoded(&event)).await
}

/// One event, alone in its stream, is given to three consumers in turn and lies among the dead letters in between.
async fn carries_whole(scene: &Scene<'_>, event: &Event, message: &RawMessage) -> Shown {
    let mut consumer = scene.consumer("g").await;
    let first = receive_one(&mut *consumer).await;
    assert_eq!(first.headers(), event.headers());
    first.nack().await.expect("a nack works");
    let second = receive_one(&mut *consumer).await;
    assert_eq!(second.event(), event);
    second.reject("look at this").await.expect("rejecting works");
    let admin = scene.admin().await;
    let Some(letters) = dead_letters(&*admin).await else { return Shown::Yes };
    assert_eq!(&letters[0].message, message);
    admin.redrive(&[letters[0].id.clone()]).await.expect("redriving works");
    let third = receive_one(&mut *consumer).await;
    assert_eq!(third.event(), event);
    ack(vec![third]).await;
    Shown::Yes
}
