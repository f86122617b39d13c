//! Batches of which some entries fail: one outcome per event, and again only what the service is to blame for.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_sqs::config::SharedCredentialsProvider;
use events_aws::{AwsClients, AwsConfig, AwsPublisher};
use events_core::{ErrorKind, Event, EventConsumer, EventPublisher, EventPublisherExt, ack_all};
use serde_json::{Value, json};

use crate::emulator::{Account, numbered, receive};
use crate::scripted::Scripted;

fn entries(request: &Value) -> Vec<Value> {
    request["Entries"].as_array().cloned().unwrap_or_default()
}

/// The number of the event in an entry.
fn number_in(entry: &Value) -> u64 {
    let body: Value =
        serde_json::from_str(entry["MessageBody"].as_str().expect("there is a body")).expect("JSON");
    body["payload"]["n"].as_u64().expect("the event is numbered")
}

fn sent(entry: &Value) -> Value {
    let n = entry["MessageBody"].as_str().map_or(0, str::len);
    json!({"Id": entry["Id"], "MessageId": format!("m{n}"), "MD5OfMessageBody": "-"})
}

fn failed(entry: &Value, code: &str, sender_fault: bool) -> Value {
    json!({"Id": entry["Id"], "Code": code, "SenderFault": sender_fault, "Message": "as told"})
}

fn config(service: &Scripted) -> AwsConfig {
    let mut config = AwsConfig::queue(format!("{}/1/q", service.url()));
    config.concurrency = NonZeroUsize::MIN;
    config
}

fn topic(_: &Scripted) -> AwsConfig {
    let mut config = AwsConfig::topic("arn:aws:sns:us-east-1:1:t");
    config.concurrency = NonZeroUsize::MIN;
    config
}

async fn three_of_ten_fail_with_each_code(target: fn(&Scripted) -> AwsConfig) {
    for (code, sender_fault, kind, transient) in [
        ("InternalError", false, ErrorKind::Unavailable, true),
        ("ServiceUnavailable", false, ErrorKind::Unavailable, true),
        ("RequestThrottled", true, ErrorKind::Throttled, true),
        ("AWS.SimpleQueueService.BatchRequestTooLong", true, ErrorKind::TooLarge, false),
        ("InvalidMessageContents", true, ErrorKind::InvalidEvent, false),
        ("AccessDenied", true, ErrorKind::PermissionDenied, false),
        ("KmsAccessDenied", true, ErrorKind::PermissionDenied, false),
        ("SomethingNew", true, ErrorKind::Backend, false),
    ] {
        let calls: Arc<Mutex<Vec<Vec<u64>>>> = Arc::default();
        let seen = Arc::clone(&calls);
        let service = Scripted::start(move |_, request| {
            let entries = entries(request);
            seen.lock().expect("nobody panicked").push(entries.iter().map(number_in).collect());
            let (bad, good): (Vec<&Value>, Vec<&Value>) =
                entries.iter().partition(|entry| [2, 5, 7].contains(&number_in(entry)));
            let failed: Vec<Value> = bad.into_iter().map(|entry| failed(entry, code, sender_fault)).collect();
            // The order of an answer says nothing; entries are found by their ids.
            (
                200,
                json!({"Successful": good.into_iter().rev().map(sent).collect::<Vec<_>>(), "Failed": failed}),
            )
        })
        .await;
        let account = Account::at(&service.url());
        let events: Vec<Event> = (0..10).map(|n| numbered("s", n)).collect();
        let report = account.publisher(&target(&service)).publish_batch(&events).await.expect("it is sent");
        let failures: Vec<_> =
            report.failed().map(|(at, error)| (at, error.kind(), error.is_transient())).collect();
        assert_eq!(failures, [2, 5, 7].map(|at| (at, kind, transient)), "{code}");
        let calls = calls.lock().expect("nobody panicked");
        assert!(
            calls.iter().skip(1).all(|call| *call == [2, 5, 7]),
            "only what failed is sent again: {calls:?}"
        );
        assert_eq!(calls.len() > 1, transient, "{code} is {calls:?}");
    }
}

#[tokio::test]
async fn three_of_ten_fail_with_each_code_at_a_queue_and_only_they_are_reported() {
    three_of_ten_fail_with_each_code(config).await;
}

#[tokio::test]
async fn three_of_ten_fail_with_each_code_at_a_topic_and_only_they_are_reported() {
    three_of_ten_fail_with_each_code(topic).await;
}

#[tokio::test]
async fn what_aws_would_refuse_is_an_outcome_of_its_own_and_is_never_sent() {
    for target in [config, topic] {
        let numbers: Arc<Mutex<Vec<u64>>> = Arc::default();
        let seen = Arc::clone(&numbers);
        let service = Scripted::start(move |_, request| {
            let entries = entries(request);
            seen.lock().expect("nobody panicked").extend(entries.iter().map(number_in));
            (200, json!({"Successful": entries.iter().map(sent).collect::<Vec<_>>(), "Failed": []}))
        })
        .await;
        let publisher = Account::at(&service.url()).publisher(&target(&service));
        let event = |n: usize| {
            let event = Event::builder("a.b", "s").with_payload_json(format!(r#"{{"n":{n}}}"#));
            match n {
                // The attributes count: the body alone would be small enough.
                1 => event.with_header("x", "v".repeat(publisher.capabilities().max_event_bytes - 100)),
                3 => event.with_headers((0..6).map(|n| (format!("h{n}"), "v"))),
                5 => event.with_header("x", "\u{1}"),
                7 => event.with_header("two words", "v"),
                9 => event.with_payload_json("{\"n\":9,\"text\":\"\u{ffff}\"}"),
                _ => event,
            }
            .build()
            .expect("the event is valid")
        };
        let events: Vec<Event> = (0..11).map(event).collect();
        let report = publisher.publish_batch(&events).await.expect("it is sent");
        let failures: Vec<_> = report.failed().map(|(at, error)| (at, error.kind())).collect();
        let invalid = ErrorKind::InvalidEvent;
        assert_eq!(
            failures,
            [(1, ErrorKind::TooLarge), (3, invalid), (5, invalid), (7, invalid), (9, invalid)]
        );
        assert_eq!(*numbers.lock().expect("nobody panicked"), [0, 2, 4, 6, 8, 10]);
    }
}

#[tokio::test]
async fn an_entry_the_service_could_not_take_just_then_is_accepted_in_the_end() {
    let mut refusals = 2;
    let service = Scripted::start(move |_, request| {
        let entries = entries(request);
        if refusals == 0 {
            return (200, json!({"Successful": entries.iter().map(sent).collect::<Vec<_>>(), "Failed": []}));
        }
        refusals -= 1;
        let failed = failed(&entries[0], "InternalError", false);
        let good: Vec<Value> = entries.iter().skip(1).map(sent).collect();
        (200, json!({"Successful": good, "Failed": [failed]}))
    })
    .await;
    let account = Account::at(&service.url());
    let events: Vec<Event> = (0..10).map(|n| numbered("s", n)).collect();
    let report = account.publisher(&config(&service)).publish_batch(&events).await.expect("it is sent");
    assert!(report.is_complete(), "{report:?}");
}

#[tokio::test]
async fn a_group_stops_at_its_first_failure_and_the_others_go_on() {
    let service = Scripted::start(|_, request| {
        let (bad, good): (Vec<Value>, Vec<Value>) =
            entries(request).into_iter().partition(|entry| number_in(entry) == 3);
        let failed: Vec<Value> =
            bad.iter().map(|entry| failed(entry, "InvalidMessageContents", true)).collect();
        (200, json!({"Successful": good.iter().map(sent).collect::<Vec<_>>(), "Failed": failed}))
    })
    .await;
    let account = Account::at(&service.url());
    let config = AwsConfig::queue(format!("{}/1/q.fifo", service.url()));
    let events: Vec<Event> = (0..25).map(|n| numbered(if n % 2 == 0 { "even" } else { "odd" }, n)).collect();
    let report = account.publisher(&config).publish_batch(&events).await.expect("it is sent");
    let failures: Vec<usize> = report.failed().map(|(at, _)| at).collect();
    // What shared a batch with the failure cannot be held back any more; what came in later batches is.
    assert_eq!(failures, [3, 11, 13, 15, 17, 19, 21, 23]);
    assert!(
        report.failed().skip(1).all(|(_, error)| error.is_transient()),
        "what was held back may be sent again"
    );
}

#[tokio::test]
async fn acknowledging_repeats_only_the_deletes_that_failed() {
    let deletes: Arc<Mutex<Vec<Vec<String>>>> = Arc::default();
    let seen = Arc::clone(&deletes);
    let mut given = false;
    let service = Scripted::start(move |operation, request| match operation {
        "receivemessage" if !given => {
            given = true;
            let body =
                |n: usize| json!({"event_type": "a.b", "source": "s", "payload": {"n": n}}).to_string();
            let message =
                |n| json!({"MessageId": format!("m{n}"), "ReceiptHandle": format!("h{n}"), "Body": body(n)});
            (200, json!({"Messages": (0..10).map(message).collect::<Vec<_>>()}))
        }
        "deletemessagebatch" => {
            let handle = |entry: &Value| entry["ReceiptHandle"].as_str().unwrap_or_default().to_owned();
            let entries = entries(request);
            let mut calls = seen.lock().expect("nobody panicked");
            calls.push(entries.iter().map(handle).collect());
            let first = calls.len() == 1;
            let fails = |entry: &&Value| match handle(entry).as_str() {
                // One heals, one is refused for good, and one is gone already, which is as good as deleted.
                "h4" => first,
                "h5" | "h6" => true,
                _ => false,
            };
            let (bad, good): (Vec<&Value>, Vec<&Value>) = entries.iter().partition(fails);
            let failed = |entry: &&Value| match handle(entry).as_str() {
                "h4" => failed(entry, "InternalError", false),
                "h5" => failed(entry, "AccessDenied", true),
                _ => failed(entry, "ReceiptHandleIsInvalid", true),
            };
            let good: Vec<Value> = good.into_iter().map(|entry| json!({"Id": entry["Id"]})).collect();
            (200, json!({"Successful": good, "Failed": bad.iter().map(failed).collect::<Vec<_>>()}))
        }
        _ => (200, json!({})),
    })
    .await;
    let account = Account::at(&service.url());
    let mut consumer = account.consumer(&config(&service)).await;
    let report = ack_all(receive(&mut consumer, 10).await).await;
    assert_eq!(report.acked, 9);
    let failed: Vec<_> = report.failed.iter().map(|(_, error)| error.kind()).collect();
    assert_eq!(failed, [ErrorKind::PermissionDenied]);
    let all: Vec<String> = (0..10).map(|n| format!("h{n}")).collect();
    assert_eq!(*deletes.lock().expect("nobody panicked"), [all, vec!["h4".to_owned()]]);
    drop(report);
    consumer.close().await.expect("a consumer closes");
}

#[tokio::test]
async fn a_refusal_of_the_whole_call_is_classified() {
    for (code, status, kind, transient) in [
        ("AccessDeniedException", 403, ErrorKind::PermissionDenied, false),
        ("ExpiredTokenException", 403, ErrorKind::PermissionDenied, true),
        ("InvalidClientTokenId", 403, ErrorKind::PermissionDenied, false),
        ("QueueDoesNotExist", 400, ErrorKind::NotFound, false),
        ("RequestThrottled", 400, ErrorKind::Throttled, true),
        ("OverLimit", 403, ErrorKind::Throttled, true),
        ("ServiceUnavailable", 503, ErrorKind::Unavailable, true),
    ] {
        let service = Scripted::start(move |operation, _| match operation {
            "getqueueattributes" => (200, json!({"Attributes": {}})),
            _ => (status, json!({"__type": format!("com.amazonaws.sqs#{code}"), "message": "as told"})),
        })
        .await;
        let account = Account::at(&service.url());
        let mut consumer = account.consumer(&config(&service)).await;
        let one = NonZeroUsize::MIN;
        let error = consumer.receive(one, Duration::ZERO).await.expect_err("the service refuses");
        assert_eq!((error.kind(), error.is_transient()), (kind, transient), "{code}");
        let report = account.publisher(&config(&service)).publish_batch(&[numbered("s", 1)]).await;
        let error = report.expect("it is sent").into_outcomes().remove(0).expect_err("the service refuses");
        assert_eq!((error.kind(), error.is_transient()), (kind, transient), "{code}");
    }
}

#[tokio::test]
async fn missing_credentials_are_said_to_be_missing() {
    let service = Scripted::start(|_, _| (200, json!({}))).await;
    let account = Account::at(&service.url());
    // There are none in the environment under the names of this provider's own.
    let none = aws_config::environment::EnvironmentVariableCredentialsProvider::new();
    let sdk = account.sdk.into_builder().credentials_provider(SharedCredentialsProvider::new(none)).build();
    let config = config(&service);
    let publisher = AwsPublisher::new(AwsClients::from_sdk_config(&sdk, &config), &config).expect("it opens");
    let error = publisher.publish(&numbered("s", 1)).await.expect_err("nobody signs the call");
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::PermissionDenied, false));
}
