//! How long `EventManager::publish` holds up its caller: with the broker up, and during an outage of 30 seconds.
//!
//! A real Redis server is killed under 2,000 events a second and started again; everything is spooled meanwhile, arrives in
//! order, and the latencies of before and during the outage stand side by side.
//! `cargo bench -p events-runtime --bench publish_latency -- [seconds of outage] [events a second]`

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and fails by panicking")]

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use events_core::{ConsumerOptions, Event, EventConsumer, ack_all};
use events_redis::{RedisConfig, RedisConsumer, RedisPublisher};
use events_runtime::{EventManager, ManagerConfig, Overflow, Spool};
use events_sqlite::{SqliteAdmin, SqliteConfig, SqliteConsumer, SqlitePublisher};
use tempfile::TempDir;
use test_servers::RedisServer;

/// How long the broker is up before the outage, and after it.
const UP: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<u64>().ok());
    let outage = Duration::from_secs(numbers.next().unwrap_or(30));
    let rate = numbers.next().unwrap_or(2_000);

    let mut server = RedisServer::builder().with_append_only_file().start().unwrap();
    let redis = RedisConfig::new(server.url());
    let publisher = Arc::new(RedisPublisher::connect(&redis, "bench").await.unwrap());
    let directory = TempDir::new().unwrap();
    let mut config = ManagerConfig::default();
    config.overflow = Overflow::Spool;
    let spool = spool(&directory).await;
    let manager = EventManager::builder(publisher, config).with_spool(spool).build().unwrap();

    // A plain thread stands for the service, so that nothing but the manager is measured.
    let service = {
        let manager = manager.clone();
        std::thread::spawn(move || serve(&manager, outage, rate))
    };
    tokio::time::sleep(UP).await;
    server.kill().unwrap();
    tokio::time::sleep(outage).await;
    server.restart().unwrap();
    let (total, phases) = tokio::task::spawn_blocking(|| service.join().unwrap()).await.unwrap();

    let mut consumer = RedisConsumer::connect(&redis, "bench", ConsumerOptions::new("bench")).await.unwrap();
    let (came, in_order) = receive(&mut consumer, total).await;
    let stats = manager.close(Duration::from_secs(30)).await;
    println!("{total} events at {rate}/s, broker away for {outage:?}");
    for (name, mut latencies) in phases {
        latencies.sort_unstable();
        let at = |part: f64| latencies[((latencies.len() - 1) as f64 * part) as usize];
        let (half, most, worst) = (at(0.5), at(0.99), at(1.0));
        println!(
            "publish {name:>6}: p50 {half:>6} ns   p99 {most:>6} ns   max {worst:>8} ns   n {}",
            latencies.len()
        );
    }
    println!("arrived {} of {total}, {} repeated, in order: {in_order}", total.min(came), came - total);
    println!("dropped {} still spooled {}", stats.dropped_total(), stats.spooled);
    assert!(in_order && stats.dropped_total() == 0);
}

async fn spool(directory: &TempDir) -> Spool {
    let config = SqliteConfig::new(directory.path().join("spool.db"));
    Spool::new(
        Arc::new(SqlitePublisher::open(&config, "spool").await.unwrap()),
        Box::new(SqliteConsumer::open(&config, "spool", ConsumerOptions::new("spool")).await.unwrap()),
        Arc::new(SqliteAdmin::open(&config, "spool").await.unwrap()),
        "spool",
    )
}

type Latencies = Vec<u64>;

/// Publishes at an even rate and notes how long each call took, by what the broker did meanwhile.
fn serve(manager: &EventManager, outage: Duration, rate: u64) -> (u64, [(&'static str, Latencies); 3]) {
    let mut phases = [("before", Vec::new()), ("during", Vec::new()), ("after", Vec::new())];
    let started = Instant::now();
    let end = UP * 2 + outage;
    let interval = Duration::from_secs(1) / u32::try_from(rate).unwrap();
    let mut n = 0;
    loop {
        let due = interval * u32::try_from(n).unwrap();
        if due >= end {
            break;
        }
        std::thread::sleep(due.saturating_sub(started.elapsed()));
        let payload = serde_json::json!({ "n": n, "workspace": "coreos", "users": ["alice", "bob"] });
        let event = Event::new("slack-usergroups.update_users", "bench", payload).unwrap();
        let before = Instant::now();
        manager.publish(event);
        let took = before.elapsed();
        let phase = if due < UP {
            0
        } else if due < UP + outage {
            1
        } else {
            2
        };
        phases[phase].1.push(u64::try_from(took.as_nanos()).unwrap());
        n += 1;
    }
    (n, phases)
}

/// Receives until every event has come; how many came, and whether each came for the first time in its order.
async fn receive(consumer: &mut RedisConsumer, total: u64) -> (u64, bool) {
    let (mut came, mut in_order, mut seen) = (0, true, HashSet::new());
    let deadline = Instant::now() + Duration::from_secs(60);
    while (seen.len() as u64) < total {
        assert!(Instant::now() < deadline, "only {} of {total} came", seen.len());
        let Ok(deliveries) =
            consumer.receive(NonZeroUsize::new(1_000).unwrap(), Duration::from_secs(1)).await
        else {
            continue;
        };
        for delivery in &deliveries {
            let n = delivery.event().payload_as::<serde_json::Value>().unwrap()["n"].as_u64().unwrap();
            came += 1;
            in_order &= !seen.insert(n) || n + 1 == seen.len() as u64;
        }
        drop(ack_all(deliveries).await);
    }
    (came, in_order)
}
