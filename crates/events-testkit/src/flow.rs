//! Case 45: a batch is many events, each with its own fate.

use events_core::{Error, ErrorKind, Event};

use crate::scene::{Scene, ack, expect_nothing, numbered, receive};
use crate::{Harness, Shown};

/// 45: a batch has one outcome per event, in order; a refused event keeps none of its neighbours back.
pub async fn reports_one_outcome_per_event(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    let publisher = scene.publisher().await;
    let nothing = publisher.publish_batch(&[]).await.expect("an empty batch is fine");
    assert!(nothing.outcomes().is_empty() && nothing.is_complete());

    let padding = "x".repeat(publisher.capabilities().max_event_bytes);
    let huge = Event::new("a.b", "s", serde_json::json!({ "padding": padding })).expect("the event is valid");
    let mut events = numbered(0..250);
    for at in [0, 100, 101, 249] {
        events[at] = huge.clone();
    }
    let report = publisher.publish_batch(&events).await.expect("the batch is sent");
    assert_eq!(report.outcomes().len(), events.len());
    assert_eq!(report.failed().map(|(at, _)| at).collect::<Vec<_>>(), [0, 100, 101, 249]);
    assert!(report.failed().all(|(_, error)| error.kind() == ErrorKind::TooLarge));

    let mut consumer = scene.consumer("g").await;
    let deliveries = receive(&mut *consumer, 246).await;
    for delivery in &deliveries {
        let at = events.iter().position(|event| event == delivery.event()).expect("the event was published");
        let id = report.outcomes()[at].as_ref().map_err(Error::kind);
        assert_eq!(id, Ok(delivery.message_id()), "each outcome names its own event");
    }
    ack(deliveries).await;
    expect_nothing(&mut *consumer).await;
    Shown::Yes
}
