//! Typed events: upcasts and schemas between the broker and the handler.

use std::sync::{Arc, Mutex};

use events_core::{ConsumerOptions, DeadLetterReason, Event, EventAdmin, EventPublisher};
use events_memory::MemoryBroker;
use events_runtime::{Context, Failure, Worker, WorkerConfig};
use events_schema::schemars::{self, JsonSchema};
use events_schema::{EventDescription, Reader, TypedEvent};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::support::BATCH;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Joined {
    #[schemars(length(min = 1))]
    users: Vec<String>,
}

impl TypedEvent for Joined {
    const TYPE: &'static str = "slack.join";
    const VERSION: u64 = 2;
}

#[tokio::test]
async fn older_versions_are_handled_and_violations_are_dead_letters_with_their_reason() {
    let broker = MemoryBroker::default();
    let event = |version, payload| {
        Event::builder(Joined::TYPE, "s").with_version(version).with_payload(payload).build().unwrap()
    };
    let events = [
        event(1, json!({"user": "alice"})),
        event(2, json!({"users": ["bob", "carol"]})),
        event(2, json!({"users": []})),
        event(1, json!({"no": "user"})),
    ];
    broker.publisher("s").publish_batch(&events).await.unwrap().into_ids().unwrap();

    let reader = Reader::<Joined>::new().unwrap().with_upcast(1, |payload| match payload["user"].as_str() {
        Some(user) => Ok(json!({"users": [user]})),
        None => Err("it has no user".to_owned()),
    });
    let seen = Arc::new(Mutex::new(Vec::new()));
    let handler = {
        let seen = Arc::clone(&seen);
        move |_: Context, joined: Joined| {
            seen.lock().unwrap().extend(joined.users);
            std::future::ready(Ok::<(), Failure>(()))
        }
    };
    let consumer = Box::new(broker.consumer("s", ConsumerOptions::new("g")).unwrap());
    let worker = Worker::new(consumer, WorkerConfig::default()).unwrap().on_typed(reader.unwrap(), handler);
    assert_eq!(worker.typed_events(), [EventDescription::of::<Joined>()]);
    worker.until_drained().run().await.unwrap();

    let mut seen = std::mem::take(&mut *seen.lock().unwrap());
    seen.sort_unstable();
    assert_eq!(seen, ["alice", "bob", "carol"]);
    let letters = broker.admin("s").dead_letters(None, BATCH).await.unwrap();
    let mut details: Vec<_> = letters
        .iter()
        .map(|letter| {
            assert_eq!((letter.reason, letter.attempts), (DeadLetterReason::Rejected, 1));
            letter.detail.clone().unwrap()
        })
        .collect();
    details.sort_unstable_by_key(|detail| !detail.contains("/users"));
    assert_eq!(details.len(), 2);
    assert!(details[0].contains("/users"), "{details:?}");
    assert!(details[1].contains("it has no user"), "{details:?}");
}
