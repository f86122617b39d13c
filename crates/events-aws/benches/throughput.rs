//! Events a second through a queue, as a ratio to the bare SDK with hand-written batches of ten in the same run: the same
//! bodies and attributes, as many calls on their way at a time, against the same emulator, in turns.
//!
//! `cargo bench -p events-aws`; the emulator is a ministack of the run's own. What is printed are medians of the rounds, of the
//! ratios as well.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a program that measures and prints")]

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, Message, MessageAttributeValue, MessageSystemAttributeName,
    SendMessageBatchRequestEntry,
};
use events_aws::{AwsClients, AwsConfig, AwsPublisher, SqsConsumer};
use events_core::wire::Encoding;
use events_core::{ConsumerOptions, Event, EventConsumer, EventPublisher, ack_all};
use futures_util::{StreamExt, future, stream};
use test_servers::{AwsEmulator, AwsEmulatorKind};

const EVENTS: usize = 5_000;
const BATCH: usize = 100;
const ROUNDS: usize = 7;
/// Calls on their way at a time, which is what the crate does unless told otherwise.
const CONCURRENCY: usize = 8;

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
    // The two take turns at going first, so that a machine that gets slower meanwhile does so for both.
    let mut taken: Vec<[Duration; 4]> = Vec::new();
    for round in 0..rounds {
        taken.push(runtime.block_on(async {
            let (by_hand, by_us) = (format!("bare-{round}"), format!("ours-{round}"));
            let (theirs, ours) = if round % 2 == 0 {
                let theirs = Box::pin(bare(&sdk, &by_hand, events, &batch)).await;
                (theirs, Box::pin(ours(&sdk, &by_us, events, &batch)).await)
            } else {
                let ours = Box::pin(ours(&sdk, &by_us, events, &batch)).await;
                (Box::pin(bare(&sdk, &by_hand, events, &batch)).await, ours)
            };
            [theirs[0], ours[0], theirs[1], ours[1]]
        }));
    }
    let rate = |which: usize| median(taken.iter().map(|round| events as f64 / round[which].as_secs_f64()));
    let ratio = |theirs: usize, ours: usize| {
        let ratios = taken.iter().map(|round| round[theirs].as_secs_f64() / round[ours].as_secs_f64());
        let (least, most) = ratios.clone().fold((f64::MAX, f64::MIN), |(l, m), r| (l.min(r), m.max(r)));
        format!("ratio {:.2} ({least:.2} to {most:.2})", median(ratios))
    };
    println!("send               bare SDK {:>9.0}/s", rate(0));
    println!("publish          events-aws {:>9.0}/s   {}", rate(1), ratio(0, 1));
    println!("receive and delete bare SDK {:>9.0}/s", rate(2));
    println!("receive and ack  events-aws {:>9.0}/s   {}", rate(3), ratio(2, 3));
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
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

/// Batches of ten by hand, as a careful program without this crate does it.
async fn bare(sdk: &SdkConfig, name: &str, events: usize, batch: &[Event]) -> [Duration; 2] {
    let client = Client::new(sdk);
    let url = queue(&client, name).await;
    let started = Instant::now();
    let tens = (0..events / batch.len()).flat_map(|_| batch.chunks(10));
    stream::iter(tens.map(|ten| send(&client, &url, ten))).buffer_unordered(CONCURRENCY).count().await;
    let sent = started.elapsed();
    let started = Instant::now();
    let received = AtomicUsize::new(0);
    let receivers = (0..CONCURRENCY).map(|_| async {
        while received.load(Ordering::Relaxed) < events {
            received.fetch_add(receive(&client, &url).await, Ordering::Relaxed);
        }
    });
    let all = future::join_all(receivers);
    tokio::pin!(all);
    // Who waits at an empty queue when the last message is deleted does not count.
    let mut done = tokio::time::interval(Duration::from_millis(1));
    loop {
        tokio::select! {
            _ = &mut all => break,
            _ = done.tick() => if received.load(Ordering::Relaxed) >= events { break },
        }
    }
    [sent, started.elapsed()]
}

async fn send(client: &Client, url: &str, ten: &[Event]) {
    let text =
        |text: &str| MessageAttributeValue::builder().data_type("String").string_value(text).build().unwrap();
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
    let answer = client.send_message_batch().queue_url(url).set_entries(Some(entries)).send().await.unwrap();
    assert!(answer.failed.is_empty());
}

/// Receives, decodes and deletes up to ten, and returns how many.
async fn receive(client: &Client, url: &str) -> usize {
    let call = client.receive_message().queue_url(url).max_number_of_messages(10);
    let call = call.wait_time_seconds(5).message_attribute_names("All");
    let call = call.message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount);
    let messages = call.send().await.unwrap().messages.unwrap_or_default();
    if messages.is_empty() {
        return 0;
    }
    let entry = |(at, message): (usize, &Message)| {
        let event: serde_json::Value = serde_json::from_str(message.body().unwrap()).unwrap();
        assert_eq!(event["source"], "qontract-api");
        let handle = message.receipt_handle.clone().unwrap();
        DeleteMessageBatchRequestEntry::builder().id(at.to_string()).receipt_handle(handle).build().unwrap()
    };
    let entries = messages.iter().enumerate().map(entry).collect();
    let answer =
        client.delete_message_batch().queue_url(url).set_entries(Some(entries)).send().await.unwrap();
    answer.successful.len()
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
