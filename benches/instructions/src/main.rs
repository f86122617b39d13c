//! Does one thing so many times and ends: `cargo xtask instructions` runs it under callgrind.

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use events_core::wire::{self, BODY_FIELD, Encoding};
use events_core::{ConsumerOptions, Event, EventConsumer, EventPublisher, Result, ack_all};
use events_memory::MemoryBroker;
use time::OffsetDateTime;
use time::macros::datetime;

/// How many events go through the backend at a time.
const BATCH: usize = 64;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let times = arguments.next().and_then(|times| times.parse().ok()).unwrap_or(1);
    let done = match what.as_str() {
        "encode" => encode(times),
        "decode" => decode(times),
        "cycle" => cycle(times),
        _ => return ExitCode::from(2),
    };
    if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// An event of 288 bytes, as the bench's.
fn event() -> Result<Event> {
    let payload =
        r#"{"workspace":"coreos","usergroup":"team-a","users":["alice","bob"],"note":"xxxxxxxxxxxxxxxx"}"#;
    Event::builder("slack-usergroups.update_users", "qontract-api")
        .with_timestamp(datetime!(2026-02-10 12:00:00.123456 UTC))
        .with_id("019c4755-5ec0-7b3a-9c55-1f2d3c4b5a69")
        .with_payload_json(payload)
        .build()
}

fn encode(times: usize) -> Result<()> {
    let event = event()?;
    for _ in 0..times {
        black_box(Encoding::Adr018.encode(black_box(&event))?.into_body());
    }
    Ok(())
}

fn decode(times: usize) -> Result<()> {
    let event = event()?;
    let body = Encoding::Adr018.encode(&event)?.into_body().unwrap_or_default();
    for _ in 0..times {
        let fields = [(BODY_FIELD.as_bytes(), black_box(body.as_slice()))];
        black_box(wire::decode(fields, OffsetDateTime::UNIX_EPOCH)?);
    }
    Ok(())
}

/// Publishes, receives and acknowledges, through the traits.
fn cycle(times: usize) -> Result<()> {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_time().build() else {
        return Ok(());
    };
    runtime.block_on(async {
        let broker = MemoryBroker::default();
        let publisher: Arc<dyn EventPublisher> = Arc::new(broker.publisher("instructions"));
        let consumer = broker.consumer("instructions", ConsumerOptions::new("group"))?;
        let mut consumer: Box<dyn EventConsumer> = Box::new(consumer);
        let batch = vec![event()?; BATCH];
        for _ in 0..times {
            publisher.publish_batch(&batch).await?.into_ids()?;
            let deliveries = consumer.receive(NonZeroUsize::MAX, Duration::ZERO).await?;
            ack_all(deliveries).await.into_result()?;
        }
        consumer.close().await
    })
}
