//! What a `Worker` costs over a bare loop of receive, decode and acknowledge: no-op handler, concurrency 64, in one run.
//!
//! Rounds of the two alternate, and the best of each is compared. In memory nothing hides the worker's own cost; on Redis
//! there is a server to wait for, as in life.
//! `cargo bench -p events-runtime --bench worker_overhead -- [events a round]`

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and fails by panicking")]

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use events_core::{ConsumerOptions, Event, EventConsumer, EventPublisher, ack_all};
use events_memory::{MemoryBroker, MemoryConfig};
use events_redis::{RedisConfig, RedisConsumer, RedisPublisher};
use events_runtime::{Context, Failure, Worker, WorkerConfig};
use test_servers::RedisServer;

const ROUNDS: usize = 5;
const CONCURRENCY: NonZeroUsize = NonZeroUsize::new(64).expect("not zero");

/// What the worker may hold; the loop receives as many at a time.
const HELD: NonZeroUsize = NonZeroUsize::new(512).expect("not zero");

#[tokio::main]
async fn main() {
    let events = std::env::args().find_map(|argument| argument.parse::<u64>().ok()).unwrap_or(100_000);
    let filled = usize::try_from(events).unwrap();

    let mut best = Best::default();
    for _ in 0..ROUNDS {
        for side in [Side::Bare, Side::Worker] {
            let broker = MemoryBroker::new(MemoryConfig { max_events: filled, ..MemoryConfig::default() });
            publish(&broker.publisher("bench"), events).await;
            let consumer = broker.consumer("bench", ConsumerOptions::new("bench")).unwrap();
            best.note(side, events, consume(side, Box::new(consumer), events).await);
        }
    }
    best.print("memory");

    let server = RedisServer::start().unwrap();
    let config = RedisConfig::new(server.url());
    let mut best = Best::default();
    for round in 0..ROUNDS {
        for (side, name) in [(Side::Bare, "bare"), (Side::Worker, "worker")] {
            let stream = format!("bench-{name}-{round}");
            publish(&RedisPublisher::connect(&config, &stream).await.unwrap(), events).await;
            let options = ConsumerOptions::new("bench");
            let consumer = RedisConsumer::connect(&config, &stream, options).await.unwrap();
            best.note(side, events, consume(side, Box::new(consumer), events).await);
            server.command(&["DEL", &stream]).unwrap();
        }
    }
    best.print("redis");
}

#[derive(Clone, Copy)]
enum Side {
    Bare,
    Worker,
}

/// Events a second, of each side's best round.
#[derive(Default)]
struct Best {
    bare: f64,
    worker: f64,
}

impl Best {
    fn note(&mut self, side: Side, events: u64, took: Duration) {
        let rate = events as f64 / took.as_secs_f64();
        let best = match side {
            Side::Bare => &mut self.bare,
            Side::Worker => &mut self.worker,
        };
        *best = best.max(rate);
    }

    fn print(&self, broker: &str) {
        let Self { bare, worker } = self;
        let each = 1e9 / worker - 1e9 / bare;
        println!(
            "{broker:>6}: bare {bare:>9.0}/s   worker {worker:>9.0}/s   ratio {:.3}   {each:+.0} ns an event",
            worker / bare
        );
    }
}

async fn publish(publisher: &dyn EventPublisher, events: u64) {
    let note = "x".repeat(60);
    let payload =
        |n| serde_json::json!({ "n": n, "workspace": "coreos", "users": ["alice", "bob"], "note": note });
    let numbers: Vec<u64> = (0..events).collect();
    for some in numbers.chunks(1_000) {
        let event = |n: &u64| Event::new("slack-usergroups.update_users", "bench", payload(*n)).unwrap();
        let batch: Vec<Event> = some.iter().map(event).collect();
        publisher.publish_batch(&batch).await.unwrap().into_ids().unwrap();
    }
}

async fn consume(side: Side, mut consumer: Box<dyn EventConsumer>, events: u64) -> Duration {
    let started = Instant::now();
    match side {
        Side::Bare => {
            let mut left = events;
            while left > 0 {
                let deliveries = consumer.receive(HELD, Duration::from_secs(5)).await.unwrap();
                for delivery in &deliveries {
                    std::hint::black_box(delivery.event().event_type());
                }
                left -= ack_all(deliveries).await.into_result().unwrap() as u64;
            }
        }
        Side::Worker => {
            let mut config = WorkerConfig::default();
            config.concurrency = CONCURRENCY;
            config.prefetch = Some(HELD.get() - CONCURRENCY.get());
            let handler = |context: Context| async move {
                std::hint::black_box(context.event().event_type());
                Ok::<(), Failure>(())
            };
            let worker = Worker::new(consumer, config).unwrap().on("slack-usergroups.*", handler);
            let report = worker.with_limit(events).run().await.unwrap();
            assert_eq!(report.acked, events);
        }
    }
    started.elapsed()
}
