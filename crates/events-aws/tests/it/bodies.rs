//! What comes out of a queue: envelopes, raw messages and messages sent to it directly, side by side.

use std::time::Duration;

use events_aws::{AwsConfig, BodyFormat};
use events_core::wire::Encoding;
use events_core::{Delivery, Event, EventPublisherExt};
use test_servers::AwsEmulatorKind;

use crate::emulator::{Account, receive, shared, unique};

const LEASE: Duration = Duration::from_secs(30);

async fn subscribe(account: &Account, topic: &str, queue_url: &str, raw: bool) {
    let queue_arn = account.queue_arn(queue_url).await;
    let call = account.sns.subscribe().topic_arn(topic).protocol("sqs").endpoint(queue_arn);
    call.attributes("RawMessageDelivery", raw.to_string()).send().await.expect("the queue is subscribed");
}

async fn topic(account: &Account, name: &str) -> String {
    let answer = account.sns.create_topic().name(name).send().await.expect("a topic is made");
    answer.topic_arn.expect("a topic has an ARN")
}

fn event(source: &str) -> Event {
    let event = Event::builder("slack-usergroups.update_users", source);
    event.with_header("traceparent", "00-1").with_header("x-empty", "").build().expect("the event is valid")
}

fn by_source<'d>(deliveries: &'d [Delivery], source: &str) -> &'d Delivery {
    deliveries.iter().find(|delivery| delivery.event().source() == source).expect("the event arrives")
}

async fn one_queue_holds_all_three(kind: AwsEmulatorKind) {
    let account = Account::at(&shared(kind).url());
    let name = unique("bodies");
    let config = account.config(&name, LEASE).await;
    let queue_url = config.queue_url.clone().expect("a queue is configured");
    let mut targets = vec![("direct", config.clone())];
    for (source, raw) in [("enveloped", false), ("raw", true)] {
        let topic = topic(&account, &format!("{name}-{source}")).await;
        subscribe(&account, &topic, &queue_url, raw).await;
        targets.push((source, AwsConfig::topic(topic)));
    }
    let mut consumer = account.consumer(&config).await;
    for encoding in [Encoding::Adr018, Encoding::CloudEvents, Encoding::CloudEventsBinary] {
        let mut sent = Vec::new();
        for (source, target) in &targets {
            let publisher = account.publisher(target).with_encoding(encoding).expect("AWS has the encoding");
            let event = event(source);
            sent.push((*source, publisher.publish(&event).await.expect("publishing works"), event));
        }
        let deliveries = receive(&mut consumer, sent.len()).await;
        for (source, id, event) in &sent {
            let delivery = by_source(&deliveries, source);
            assert_eq!(delivery.event(), event, "{encoding} {source}");
            let headers: Vec<_> = delivery.headers().iter().collect();
            assert_eq!(headers, [("traceparent", "00-1"), ("x-empty", "")], "{encoding} {source}");
            // An envelope names the id SNS told; of a raw message nobody can tell that it is SNS's.
            assert_eq!(delivery.message_id() == id, *source != "raw", "{encoding} {source}");
        }
        assert_eq!(events_core::ack_all(deliveries).await.acked, 3);
    }
}

#[tokio::test]
async fn one_queue_holds_envelopes_raw_and_direct_messages_on_ministack() {
    one_queue_holds_all_three(AwsEmulatorKind::Ministack).await;
}

#[tokio::test]
async fn one_queue_holds_envelopes_raw_and_direct_messages_on_moto() {
    one_queue_holds_all_three(AwsEmulatorKind::Moto).await;
}

/// Bodies and attributes that emulators gave to other clients, with and without raw delivery.
#[tokio::test]
async fn reads_what_was_recorded_from_two_emulators() {
    let account = Account::at(&shared(AwsEmulatorKind::Ministack).url());
    for line in include_str!("sns_sqs.jsonl").lines() {
        let recorded: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
        let mut config = account.config(&unique("wire"), LEASE).await;
        let raw = recorded["raw_delivery"].as_bool().expect("each line says whether it is raw");
        for format in [BodyFormat::Auto, if raw { BodyFormat::Raw } else { BodyFormat::Envelope }] {
            config.body_format = format;
            let message = &recorded["message"];
            let mut call = account.sqs.send_message().queue_url(config.queue_url.clone().expect("a queue"));
            call = call.message_body(message["Body"].as_str().expect("a message has a body"));
            for (name, value) in message["MessageAttributes"].as_object().into_iter().flatten() {
                let text = value["StringValue"].as_str().expect("the attribute is a text");
                let value = aws_sdk_sqs::types::MessageAttributeValue::builder();
                let value = value.data_type("String").string_value(text).build().expect("it is whole");
                call = call.message_attributes(name, value);
            }
            call.send().await.expect("the message is taken");
            let mut consumer = account.consumer(&config).await;
            let delivery = receive(&mut consumer, 1).await.remove(0);
            let event = delivery.event();
            assert_eq!(
                (event.event_type(), event.source()),
                ("slack-usergroups.update_users", "qontract-api")
            );
            assert_eq!(
                event.payload(),
                r#"{"workspace":"coreos","usergroup":"team-a","users":["alice","bob"]}"#
            );
            assert!(delivery.headers().is_empty(), "copies of fields are no headers");
            delivery.ack().await.expect("acknowledging works");
        }
    }
}

#[tokio::test]
async fn an_event_that_merely_looks_like_an_envelope_survives_raw() {
    let account = Account::at(&shared(AwsEmulatorKind::Ministack).url());
    let mut config = account.config(&unique("alike"), LEASE).await;
    config.body_format = BodyFormat::Raw;
    let inner = r#"{"event_type":"inner.b","source":"s"}"#;
    let body = serde_json::json!({
        "event_type": "outer.b", "source": "s", "payload": {},
        "Type": "Notification", "TopicArn": "arn:aws:sns:r:1:t", "Message": inner,
    });
    let url = config.queue_url.clone().expect("a queue is configured");
    let call = account.sqs.send_message().queue_url(url).message_body(body.to_string());
    call.send().await.expect("the message is taken");
    let mut consumer = account.consumer(&config).await;
    let delivery = receive(&mut consumer, 1).await.remove(0);
    assert_eq!(delivery.event().event_type(), "outer.b");
    delivery.ack().await.expect("acknowledging works");
}
