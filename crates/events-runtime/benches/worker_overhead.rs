//! What a `Worker` costs over a bare loop of receive, decode and acknowledge, one after the other: no-op handler,
//! concurrency 64, in one run.
//!
//! Each round has both sides consume the same number of events, in turn, and gives one ratio; the median over the rounds
//! counts. Both sides hold as many events at most: the loop receives so many at a time, the worker may hold so many in all.
//! In memory nothing hides the worker's own cost; on Redis there is a server to wait for, as in life.
//! `cargo bench -p events-runtime --bench worker_overhead -- [events a round] [rounds]`

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and fails by panicking")]

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use events_core::{ConsumerOptions, Event, EventConsumer, EventPublisher, ack_all};
use events_memory::{MemoryBroker, MemoryConfig};
use events_redis::{RedisConfig, RedisConsumer, RedisPublisher};
use events_runtime::{Context, Failure, Worker, WorkerConfig};
use test_servers::RedisServer;

const CONCURRENCY: NonZeroUsize = NonZeroUsize::new(64).expect("not zero");

/// What may be held at a time: what a worker holds that has this concurrency and nothing else set, and a backlog's worth.
const HELD: [NonZeroUsize; 2] =
    [NonZeroUsize::new(128).expect("not zero"), NonZeroUsize::new(512).expect("not zero")];

#[tokio::main]
async fn main() {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<u64>().ok());
    let events = numbers.next().unwrap_or(100_000);
    let rounds = usize::try_from(numbers.next().unwrap_or(15)).unwrap();
    let filled = usize::try_from(events).unwrap();

    for held in HELD {
        let mut paired = Rounds::default();
        for round in 0..rounds {
            for side in Side::order(round) {
                let broker =
                    MemoryBroker::new(MemoryConfig { max_events: filled, ..MemoryConfig::default() });
                publish(&broker.publisher("bench"), events).await;
                let consumer = broker.consumer("bench", ConsumerOptions::new("bench")).unwrap();
                paired.note(side, consume(side, Box::new(consumer), held, events).await);
            }
        }
        paired.print("memory", held, events);
    }

    let server = RedisServer::start().unwrap();
    let config = RedisConfig::new(server.url());
    for held in HELD {
        let mut paired = Rounds::default();
        for round in 0..rounds {
            for side in Side::order(round) {
                publish(&RedisPublisher::connect(&config, "bench").await.unwrap(), events).await;
                let options = ConsumerOptions::new("bench");
                let consumer = RedisConsumer::connect(&config, "bench", options).await.unwrap();
                paired.note(side, consume(side, Box::new(consumer), held, events).await);
                server.command(&["DEL", "bench"]).unwrap();
            }
        }
        paired.print("redis", held, events);
    }
}

#[derive(Clone, Copy)]
enum Side {
    Bare,
    Worker,
}

impl Side {
    /// Who goes first changes from round to round.
    fn order(round: usize) -> [Self; 2] {
        match round % 2 {
            0 => [Self::Bare, Self::Worker],
            _ => [Self::Worker, Self::Bare],
        }
    }
}

/// Seconds of each side, round by round.
#[derive(Default)]
struct Rounds {
    bare: Vec<f64>,
    worker: Vec<f64>,
}

impl Rounds {
    fn note(&mut self, side: Side, took: Duration) {
        match side {
            Side::Bare => self.bare.push(took.as_secs_f64()),
            Side::Worker => self.worker.push(took.as_secs_f64()),
        }
    }

    fn print(&self, broker: &str, held: NonZeroUsize, events: u64) {
        let overhead: Vec<f64> =
            self.worker.iter().zip(&self.bare).map(|(worker, bare)| (worker / bare - 1.0) * 100.0).collect();
        let [low, middle, high] = quartiles(&overhead);
        let [bare, worker] = [&self.bare, &self.worker].map(|seconds| events as f64 / quartiles(seconds)[1]);
        let each = 1e9 / worker - 1e9 / bare;
        println!(
            "{broker:>6}, {held} held: bare {bare:>7.0}/s   worker {worker:>7.0}/s   {each:+.0} ns an event   \
             overhead {middle:+.1} % (quartiles {low:+.1} to {high:+.1}, {} rounds)",
            overhead.len()
        );
    }
}

fn quartiles(values: &[f64]) -> [f64; 3] {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| sorted[(sorted.len() - 1) * quarter / 4])
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

async fn consume(
    side: Side,
    mut consumer: Box<dyn EventConsumer>,
    held: NonZeroUsize,
    events: u64,
) -> Duration {
    let started = Instant::now();
    match side {
        Side::Bare => {
            let mut left = events;
            while left > 0 {
                let deliveries = consumer.receive(held, Duration::from_secs(5)).await.unwrap();
                for delivery in &deliveries {
                    std::hint::black_box(delivery.event().event_type());
                }
                left -= ack_all(deliveries).await.into_result().unwrap() as u64;
            }
            consumer.close().await.unwrap();
        }
        Side::Worker => {
            let mut config = WorkerConfig::default();
            config.concurrency = CONCURRENCY;
            if held != HELD[0] {
                config.prefetch = Some(held.get() - CONCURRENCY.get());
            }
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
