//! Events a second through a queue, as a ratio to the bare SDK with hand-written batches of ten in the same run.
//!
//! `cargo bench -p events-aws`; the emulator is a ministack of the run's own.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a program that measures and prints")]

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, MessageAttributeValue, MessageSystemAttributeName,
    SendMessageBatchRequestEntry,
};
use events_aws::{AwsClients, AwsConfig, AwsPublisher, SqsConsumer};
use events_core::wire::Encoding;
use events_core::{ConsumerOptions, Event, EventConsumer, EventPublisher, ack_all};
use test_servers::{AwsEmulator, AwsEmulatorKind};

const EVENTS: usize = 5_000;
const BATCH: usize = 100;
const ROUNDS: usize = 3;

fn main() {
    // `cargo test --benches` runs this too, only to see whether it still works.
    let testing = std::env::args().any(|argument| argument == "--test");
    let (events, rounds) = if testing { (2 * BATCH, 1) } else { (EVENTS, ROUNDS) };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let emulator = AwsEmulator::start(AwsEmulatorKind::Ministack).unwrap();
    let sdk = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .endpoint_url(emulator.url())
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("k", "s", None, None, "bench")))
        .build();
    let batch: Vec<Event> = (0..BATCH).map(event).collect();
    println!("{events} events of {} bytes, in batches of {BATCH}", body(&batch[0]).len());
    // Rounds take turns, so that a machine that gets slower meanwhile does so for both.
    let mut best = [Duration::MAX; 4];
    for round in 0..rounds {
        let taken = runtime.block_on(async {
            let [sent, received] = Box::pin(bare(&sdk, &format!("bare-{round}"), events, &batch)).await;
            let [published, consumed] = Box::pin(ours(&sdk, &format!("ours-{round}"), events, &batch)).await;
            [sent, published, received, consumed]
        });
        for (best, taken) in best.iter_mut().zip(taken) {
            *best = taken.min(*best);
        }
    }
    let rate = |taken: Duration| events as f64 / taken.as_secs_f64();
    let [sent, published, received, consumed] = best.map(rate);
    println!("send               bare SDK {sent:>9.0}/s");
    println!("publish          events-aws {published:>9.0}/s   ratio {:.2}", published / sent);
    println!("receive and delete bare SDK {received:>9.0}/s");
    println!("receive and ack  events-aws {consumed:>9.0}/s   ratio {:.2}", consumed / received);
}

fn event(n: usize) -> Event {
    let payload = serde_json::json!({
        "workspace": "coreos", "usergroup": format!("team-{n}"), "users": ["alice", "bob", "carol"],
    });
    Event::new("slack-usergroups.update_users", "qontract-api", payload).unwrap()
}

async fn queue(client: &Client, name: &str) -> String {
    client.create_queue().queue_name(name).send().await.unwrap().queue_url.unwrap()
}

/// Batches of ten by hand, one call after the other, as a careful program without this crate does it: the same bodies
/// and attributes.
async fn bare(sdk: &SdkConfig, name: &str, events: usize, batch: &[Event]) -> [Duration; 2] {
    let client = Client::new(sdk);
    let url = queue(&client, name).await;
    let text =
        |text: &str| MessageAttributeValue::builder().data_type("String").string_value(text).build().unwrap();
    let started = Instant::now();
    for _ in 0..events / batch.len() {
        for ten in batch.chunks(10) {
            let entry = |(at, event): (usize, &Event)| {
                SendMessageBatchRequestEntry::builder()
                    .id(at.to_string())
                    .message_body(String::from_utf8(body(event)).unwrap())
                    .message_attributes("event_type", text(event.event_type()))
                    .message_attributes("source", text(event.source()))
                    .message_attributes("event_id", text(event.id().unwrap()))
                    .message_attributes("version", text("1"))
                    .message_attributes("content_type", text("application/json"))
                    .build()
                    .unwrap()
            };
            let entries = ten.iter().enumerate().map(entry).collect();
            let answer =
                client.send_message_batch().queue_url(&url).set_entries(Some(entries)).send().await.unwrap();
            assert!(answer.failed.is_empty());
        }
    }
    let sent = started.elapsed();
    let started = Instant::now();
    let mut received = 0;
    while received < events {
        let call = client.receive_message().queue_url(&url).max_number_of_messages(10);
        let call = call.wait_time_seconds(5).message_attribute_names("All");
        let call = call.message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount);
        let messages = call.send().await.unwrap().messages.unwrap_or_default();
        let entry = |(at, message): (usize, &aws_sdk_sqs::types::Message)| {
            let handle = message.receipt_handle.clone().unwrap();
            DeleteMessageBatchRequestEntry::builder()
                .id(at.to_string())
                .receipt_handle(handle)
                .build()
                .unwrap()
        };
        let entries = messages.iter().enumerate().map(entry).collect();
        let answer =
            client.delete_message_batch().queue_url(&url).set_entries(Some(entries)).send().await.unwrap();
        received += answer.successful.len();
    }
    [sent, started.elapsed()]
}

async fn ours(sdk: &SdkConfig, name: &str, events: usize, batch: &[Event]) -> [Duration; 2] {
    let config = AwsConfig::queue(queue(&Client::new(sdk), name).await);
    let clients = AwsClients::from_sdk_config(sdk, &config);
    let publisher = AwsPublisher::new(clients.clone(), &config).unwrap();
    let started = Instant::now();
    for _ in 0..events / batch.len() {
        assert!(publisher.publish_batch(batch).await.unwrap().is_complete());
    }
    let published = started.elapsed();
    let mut consumer = SqsConsumer::new(clients, &config, ConsumerOptions::new("bench")).await.unwrap();
    let max = NonZeroUsize::new(batch.len()).unwrap();
    let started = Instant::now();
    let mut acked = 0;
    while acked < events {
        let deliveries = consumer.receive(max, Duration::from_secs(5)).await.unwrap();
        acked += ack_all(deliveries).await.into_result().unwrap();
    }
    let consumed = started.elapsed();
    consumer.close().await.unwrap();
    [published, consumed]
}

fn body(event: &Event) -> Vec<u8> {
    Encoding::Adr018.encode(event).unwrap().into_body().unwrap()
}
