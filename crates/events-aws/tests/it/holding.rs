//! What a consumer takes out of the queue, and how it keeps what it has.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_sdk_sqs::types::QueueAttributeName;
use events_aws::{AwsConfig, SqsConsumer};
use events_core::{ConsumerOptions, Event, EventConsumer, EventPublisher, ack_all};
use serde_json::{Value, json};
use test_servers::AwsEmulatorKind;

use crate::emulator::{Account, DEADLINE, numbered, shared, unique};
use crate::scripted::Scripted;

/// Messages of a queue that are hidden, as the queue itself counts them.
async fn hidden(account: &Account, url: &str) -> usize {
    let name = QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
    let call = account.sqs.get_queue_attributes().queue_url(url).attribute_names(name.clone());
    let attributes = call.send().await.expect("the queue answers").attributes.expect("there are attributes");
    attributes[&name].parse().expect("a number")
}

#[tokio::test]
async fn no_more_is_received_than_was_asked_for() {
    let account = Account::at(&shared(AwsEmulatorKind::Ministack).url());
    let config = account.config(&unique("asked"), Duration::from_secs(120)).await;
    let events: Vec<Event> = (0..200).map(|n| numbered("s", n)).collect();
    let report = account.publisher(&config).publish_batch(&events).await.expect("it is sent");
    assert!(report.is_complete());
    let url = config.queue_url.clone().expect("a queue is configured");
    let mut consumer = account.consumer(&config).await;
    let mut held = Vec::new();
    // The first call waits at the queue; once there is more, several are made at once.
    for ask in [3, 25, 25, 7] {
        let max = NonZeroUsize::new(ask).expect("it is not zero");
        let deliveries = consumer.receive(max, Duration::from_secs(1)).await.expect("receiving works");
        assert!(!deliveries.is_empty() && deliveries.len() <= ask, "{} of {ask}", deliveries.len());
        held.extend(deliveries);
        assert_eq!(hidden(&account, &url).await, held.len(), "what is hidden is what was handed over");
    }
    assert!(ack_all(held).await.failed.is_empty());
}

/// Ten messages on the shelf of a consumer whose `receive` was dropped.
async fn with_ten_on_the_shelf(service: &Scripted, lease: Duration) -> SqsConsumer {
    let account = Account::at(&service.url());
    let config = AwsConfig::queue(format!("{}/1/q", service.url()));
    let options = ConsumerOptions::new("g").with_lease(lease);
    let mut consumer = SqsConsumer::new(account.clients(&config), &config, options).await.expect("it opens");
    let ten = NonZeroUsize::new(10).expect("it is not zero");
    let dropped = tokio::time::timeout(Duration::ZERO, consumer.receive(ten, Duration::from_secs(5))).await;
    assert!(dropped.is_err(), "nothing can have come yet");
    consumer
}

#[tokio::test]
async fn what_is_held_is_extended_in_batches_of_which_only_failures_are_repeated_and_shown_on_close() {
    let changes = Arc::new(Mutex::new(Vec::<Vec<(String, u64)>>::new()));
    let seen = Arc::clone(&changes);
    let mut given = false;
    let service = Scripted::start(move |operation, request| match operation {
        "receivemessage" if !given => {
            given = true;
            let body = json!({"event_type": "a.b", "source": "s", "payload": {}}).to_string();
            let message =
                |n| json!({"MessageId": format!("m{n}"), "ReceiptHandle": format!("h{n}"), "Body": body});
            (200, json!({"Messages": (0..10).map(message).collect::<Vec<_>>()}))
        }
        "changemessagevisibilitybatch" => {
            let entries = request["Entries"].as_array().cloned().unwrap_or_default();
            let change = |entry: &Value| {
                let handle = entry["ReceiptHandle"].as_str().unwrap_or_default().to_owned();
                (handle, entry["VisibilityTimeout"].as_u64().unwrap_or_default())
            };
            let mut calls = seen.lock().expect("nobody panicked");
            calls.push(entries.iter().map(change).collect());
            let fails = |entry: &&Value| calls.len() == 1 && change(entry).0 == "h4";
            let (bad, good): (Vec<&Value>, Vec<&Value>) = entries.iter().partition(fails);
            let failed =
                |entry: &&Value| json!({"Id": entry["Id"], "Code": "InternalError", "SenderFault": false});
            let good: Vec<Value> = good.into_iter().map(|entry| json!({"Id": entry["Id"]})).collect();
            (200, json!({"Successful": good, "Failed": bad.iter().map(failed).collect::<Vec<_>>()}))
        }
        _ => (200, json!({})),
    })
    .await;
    let mut consumer = with_ten_on_the_shelf(&service, Duration::from_secs(4)).await;
    let end = Instant::now() + DEADLINE;
    while changes.lock().expect("nobody panicked").len() < 2 {
        assert!(Instant::now() < end, "nothing is extended");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    consumer.close().await.expect("it closes");
    let calls = changes.lock().expect("nobody panicked");
    let all = |seconds: u64| (0..10).map(|n| (format!("h{n}"), seconds)).collect::<Vec<_>>();
    assert_eq!(calls[..2], [all(4), vec![("h4".to_owned(), 4)]]);
    assert_eq!(calls.last(), Some(&all(0)), "what is held is released on close");
}
