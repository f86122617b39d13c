//! Case 07: history is there for late groups and for those who only look.

use std::num::NonZeroUsize;
use std::time::Duration;

use events_core::wire::RawMessage;
use events_core::{ErrorKind, EventAdmin, MessageId, Record, StartFrom};
use time::OffsetDateTime;

use crate::scene::{
    BATCH, DEADLINE, Scene, ack, expect_nothing, number_of, numbered, numbers, offered, receive, receive_one,
};
use crate::{Harness, Shown};

/// Enough time for any backend's clock of publication to tick.
const TICK: Duration = Duration::from_millis(50);

async fn replay_offered(admin: &dyn EventAdmin) -> bool {
    let read = admin.read(&StartFrom::Earliest, BATCH, Duration::ZERO).await;
    offered(admin.capabilities().replay, read)
}

/// Publishes events 0 to 5, with time between each three, and returns ids and times of publication as history tells them.
async fn two_times_three(scene: &Scene<'_>, admin: &dyn EventAdmin) -> (Vec<MessageId>, Vec<OffsetDateTime>) {
    let mut ids = scene.publish_events(&numbered(0..3)).await;
    scene.harness.advance(TICK).await;
    ids.extend(scene.publish_events(&numbered(3..6)).await);
    let records = read(admin, &StartFrom::Earliest).await;
    assert_eq!(records.iter().map(|record| record.message_id.clone()).collect::<Vec<_>>(), ids);
    let times: Vec<_> = records.iter().map(|record| record.published_at).collect();
    assert!(times[2] < times[3], "the time of publication is the broker's");
    (ids, times)
}

async fn read(admin: &dyn EventAdmin, from: &StartFrom) -> Vec<Record> {
    admin.read(from, BATCH, Duration::ZERO).await.expect("reading history works")
}

fn record_numbers(records: &[Record]) -> Vec<usize> {
    records.iter().map(|record| number_of(record.event.as_ref().expect("the event is readable"))).collect()
}

/// 07: a late group begins where it was told: at the beginning, now, after an id (exclusive), at a time (inclusive).
pub async fn starts_a_late_group_where_told(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    let admin = scene.admin().await;
    if !replay_offered(&*admin).await {
        return Shown::NotOffered;
    }
    let (ids, times) = two_times_three(&scene, &*admin).await;
    let ahead = times[5] + harness.lease() * 2;
    let mut latest = scene.consumer_with(scene.options("latest").with_start_from(StartFrom::Latest)).await;
    let mut later = scene.consumer_with(scene.options("later").with_start_from(StartFrom::Time(ahead))).await;
    scene.publish_events(&numbered(6..7)).await;
    for (group, start, expected) in [
        ("earliest", StartFrom::Earliest, vec![0, 1, 2, 3, 4, 5, 6]),
        ("after", StartFrom::After(ids[1].clone()), vec![2, 3, 4, 5, 6]),
        ("time", StartFrom::Time(times[3]), vec![3, 4, 5, 6]),
        ("old", StartFrom::Time(OffsetDateTime::UNIX_EPOCH), vec![0, 1, 2, 3, 4, 5, 6]),
    ] {
        let mut consumer = scene.consumer_with(scene.options(group).with_start_from(start)).await;
        let deliveries = receive(&mut *consumer, expected.len()).await;
        assert_eq!(numbers(&deliveries), expected, "{group}");
        ack(deliveries).await;
        expect_nothing(&mut *consumer).await;
        // Where a group starts is decided when it is made and by nobody who joins it afterwards.
        let again = scene.options(group).with_start_from(StartFrom::Earliest);
        expect_nothing(&mut *scene.consumer_with(again).await).await;
    }
    let delivery = receive_one(&mut *latest).await;
    assert_eq!(number_of(delivery.event()), 6);
    ack(vec![delivery]).await;
    expect_nothing(&mut *latest).await;

    expect_nothing(&mut *later).await;
    harness.advance(harness.lease() * 3).await;
    scene.publish_events(&numbered(7..8)).await;
    let delivery = receive_one(&mut *later).await;
    assert_eq!(number_of(delivery.event()), 7);
    ack(vec![delivery]).await;
    Shown::Yes
}

/// 07: history can be read from any position, page by page, and a reader at its end waits for what comes.
pub async fn reads_history_from_any_position(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    let admin = scene.admin().await;
    if !replay_offered(&*admin).await {
        return Shown::NotOffered;
    }
    assert_eq!(admin.last_id().await.expect("asking works"), None);
    let (ids, times) = two_times_three(&scene, &*admin).await;
    assert_eq!(admin.last_id().await.expect("asking works").as_ref(), ids.last());
    let after = |at: usize| StartFrom::After(ids[at].clone());
    for (from, expected) in [
        (after(1), vec![2, 3, 4, 5]),
        (after(5), vec![]),
        (StartFrom::Time(times[3]), vec![3, 4, 5]),
        (StartFrom::Latest, vec![]),
    ] {
        assert_eq!(record_numbers(&read(&*admin, &from).await), expected, "{from:?}");
    }
    let four = 4.try_into().expect("four is not zero");
    let page = admin.read(&StartFrom::Earliest, four, Duration::ZERO).await.expect("reading works");
    assert_eq!(record_numbers(&page), [0, 1, 2, 3]);
    let all = admin.read(&StartFrom::Earliest, NonZeroUsize::MAX, Duration::ZERO).await;
    assert_eq!(record_numbers(&all.expect("any maximum works")), [0, 1, 2, 3, 4, 5]);
    let unknown = admin.read(&StartFrom::After("no such id".into()), BATCH, Duration::ZERO).await;
    assert_eq!(unknown.expect_err("no backend gives such an id").kind(), ErrorKind::InvalidConfig);

    for from in [StartFrom::Latest, after(5)] {
        let reader = harness.admin(&scene.stream).await;
        let start = from.clone();
        let waiting = tokio::spawn(async move { reader.read(&start, BATCH, DEADLINE).await });
        // Whether the reader waits already cannot be seen from here, so events are published until it has one.
        let mut next = 6;
        while !waiting.is_finished() {
            scene.publish_events(&numbered(next..next + 1)).await;
            next += 1;
            tokio::time::sleep(TICK).await;
        }
        let records = waiting.await.expect("the reader lives").expect("reading works");
        assert!(record_numbers(&records).iter().all(|number| *number >= 6), "{from:?}");
        assert!(!records.is_empty(), "{from:?}");
    }
    scene.harness.publish_raw(&scene.stream, RawMessage::from_body("no event")).await;
    let last = read(&*admin, &StartFrom::Earliest).await.pop().expect("the raw message is history");
    assert_eq!(last.event.expect_err("these bytes are no event").kind(), ErrorKind::InvalidEvent);
    Shown::Yes
}

/// 07: peeking shows what a group would be given, and leaves the group, or that there is none, as it was.
pub async fn peeks_without_taking(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    let admin = scene.admin().await;
    if !replay_offered(&*admin).await {
        return Shown::NotOffered;
    }
    let peek = async |start: StartFrom, after: Option<&MessageId>| {
        let records = admin.peek("g", &start, after, BATCH).await.expect("peeking works");
        record_numbers(&records)
    };
    let ids = scene.publish_events(&numbered(0..2)).await;
    assert_eq!(peek(StartFrom::Earliest, None).await, [0, 1]);
    assert_eq!(peek(StartFrom::After(ids[0].clone()), None).await, [1]);
    assert_eq!(peek(StartFrom::Latest, None).await, [0; 0]);
    assert_eq!(admin.groups().await.expect("listing groups works"), []);

    let mut consumer = scene.consumer("g").await;
    let mut held = receive(&mut *consumer, 2).await;
    held.remove(0).ack().await.expect("acknowledging works");
    consumer.close().await.expect("a consumer closes");
    let more = scene.publish_events(&numbered(2..5)).await;
    assert_eq!(peek(StartFrom::Earliest, None).await, [2, 3, 4], "what is held is nobody else's");
    drop(held);
    scene.let_lease_pass().await;
    for _ in 0..2 {
        assert_eq!(peek(StartFrom::Earliest, None).await, [1, 2, 3, 4], "a lease that has ended is over");
    }
    assert_eq!(peek(StartFrom::Earliest, Some(&more[0])).await, [3, 4]);
    let one = 1.try_into().expect("one is not zero");
    for (max, count) in [(one, 1), (NonZeroUsize::MAX, 4)] {
        let peeked = admin.peek("g", &StartFrom::Earliest, None, max).await;
        assert_eq!(peeked.expect("any maximum works").len(), count);
    }

    let mut deliveries = receive(&mut *scene.consumer("g").await, 4).await;
    deliveries.sort_by_key(|delivery| number_of(delivery.event()));
    assert_eq!(numbers(&deliveries), [1, 2, 3, 4]);
    let attempts: Vec<u32> = deliveries.iter().map(|delivery| delivery.attempt()).collect();
    assert_eq!(attempts, [2, 1, 1, 1], "peeking counts no attempt");
    ack(deliveries).await;
    Shown::Yes
}
