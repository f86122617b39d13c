//! Case 62: history goes when it is to go and nobody needs it.

use std::num::NonZeroUsize;
use std::time::Duration;

use events_core::{ErrorKind, EventAdmin, EventConsumer, MessageId, Retention, StartFrom, TrimReport};

use crate::scene::{
    BATCH, Scene, ack, expect_nothing, number, number_of, numbered, numbers, offered, receive, receive_once,
    receive_one,
};
use crate::{Harness, Shown};

/// Enough time for any backend's clock of publication to tick.
const TICK: Duration = Duration::from_millis(50);

/// Everything is to go.
fn nothing_kept() -> Retention {
    Retention::default().with_max_events(0)
}

async fn trim(admin: &dyn EventAdmin, retention: Retention) -> TrimReport {
    admin.trim(&retention).await.expect("trimming works")
}

/// What is left of the stream.
async fn left(admin: &dyn EventAdmin) -> Vec<usize> {
    let records =
        admin.read(&StartFrom::Earliest, BATCH, Duration::ZERO).await.expect("reading history works");
    records.iter().map(|record| number_of(record.event.as_ref().expect("the event is readable"))).collect()
}

fn told(report: &TrimReport) -> (u64, u64, Option<(&str, &MessageId)>) {
    let held_by = report.held_by.as_ref().map(|held_by| (held_by.group.as_str(), &held_by.message_id));
    (report.removed, report.cut, held_by)
}

/// 62: trimming by number or age removes the oldest events up to the first that a group was not given or has not
/// acknowledged, and says who holds the rest; a hard limit cuts on, and says how many that needed.
pub async fn trims_only_what_nobody_needs(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    let admin = scene.admin().await;
    let admin = &*admin;
    if !offered(admin.capabilities().trim, admin.trim(&nothing_kept()).await) {
        return Shown::NotOffered;
    }
    let contradiction = Retention::default().with_max_events(2).with_hard_max_events(1);
    let refusal = admin.trim(&contradiction).await.expect_err("the limits contradict each other");
    assert_eq!(refusal.kind(), ErrorKind::InvalidConfig);

    // Where there is no group, limits are all there is.
    let ids = scene.publish(10).await;
    assert_eq!(told(&trim(admin, Retention::default()).await), (0, 0, None));
    assert_eq!(
        told(&trim(admin, Retention::default().with_max_age(Duration::from_secs(86_400))).await),
        (0, 0, None)
    );
    assert_eq!(told(&trim(admin, Retention::default().with_max_events(8)).await), (2, 0, None));
    assert_eq!(left(admin).await, (2..10).collect::<Vec<_>>());

    let mut quick = scene.consumer("quick").await;
    ack(receive(&mut *quick, 8).await).await;
    let mut slow = scene.consumer("slow").await;
    let three = NonZeroUsize::new(3).expect("three is not zero");
    let mut held = receive_once(&mut *slow, three, Duration::from_secs(5)).await.expect("receiving works");
    assert_eq!(numbers(&held), [2, 3, 4]);
    let pending = held.remove(1);
    ack(held).await;
    harness.advance(TICK).await;
    // The oldest is acknowledged by both groups; the next is pending in one of them, however old it is.
    for (retention, removed) in [(nothing_kept(), 1), (Retention::default().with_max_age(Duration::ZERO), 0)]
    {
        assert_eq!(told(&trim(admin, retention).await), (removed, 0, Some(("slow", &ids[3]))));
        assert_eq!(left(admin).await, (3..10).collect::<Vec<_>>());
    }
    // What was dead-lettered is needed no longer: the dead letter has a copy.
    if slow.capabilities().dead_letters {
        pending.reject("hopeless").await.expect("rejecting works");
    } else {
        pending.ack().await.expect("acknowledging works");
    }
    // The rest was never given to the slow group.
    let age = trim(admin, Retention::default().with_max_age(Duration::ZERO)).await;
    assert_eq!(told(&age), (2, 0, Some(("slow", &ids[5]))));

    let hard = trim(admin, Retention::default().with_max_events(1).with_hard_max_events(2)).await;
    assert_eq!(told(&hard), (3, 3, Some(("slow", &ids[8]))));
    assert_eq!(left(admin).await, [8, 9]);
    // What waits for its next attempt is needed, too.
    let mut rest = receive(&mut *slow, 2).await;
    assert_eq!(numbers(&rest), [8, 9]);
    rest.remove(1).nack().await.expect("a nack works");
    ack(rest).await;
    assert_eq!(told(&trim(admin, nothing_kept()).await), (1, 0, Some(("slow", &ids[9]))));
    ack(vec![receive_one(&mut *slow).await]).await;
    goes_on_after_everything_went(&scene, admin, (quick, slow), &ids).await;
    Shown::Yes
}

/// A group that was made and never consumed holds everything; without it all goes, and the stream goes on as before.
async fn goes_on_after_everything_went(
    scene: &Scene<'_>,
    admin: &dyn EventAdmin,
    (mut quick, mut slow): (Box<dyn EventConsumer>, Box<dyn EventConsumer>),
    ids: &[MessageId],
) {
    let mut late = scene.consumer("late").await;
    assert_eq!(told(&trim(admin, nothing_kept()).await), (0, 0, Some(("late", &ids[9]))));
    ack(vec![receive_one(&mut *late).await]).await;
    assert_eq!(told(&trim(admin, nothing_kept()).await), (1, 0, None));
    assert_eq!(left(admin).await, [0; 0]);
    assert_eq!(
        admin.last_id().await.expect("asking works").as_ref(),
        ids.last(),
        "ids are never given twice"
    );
    scene.publish_events(&numbered(10..11)).await;
    for consumer in [&mut quick, &mut slow, &mut late] {
        let delivery = receive_one(&mut **consumer).await;
        assert_eq!(number(&delivery), 10);
        ack(vec![delivery]).await;
        expect_nothing(&mut **consumer).await;
    }
}
