//! Order per key: case 42, and that a failing key holds up only itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use events_core::Event;
use events_runtime::{Context, Failure, Typed, Worker};
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::time::sleep;

use crate::brokers::{Broker, on_every_broker};
use crate::support::{Log, config, dead_letters, eventually, expect_all_settled, options, publish};

#[derive(Clone, Debug, Deserialize)]
struct Step {
    key: String,
    n: u64,
}

/// Events of several keys, mixed, each numbered within its key.
fn steps(keys: &[&str], each: u64) -> Vec<Event> {
    let step =
        |key: &str, n| Event::new("step.taken", "s", serde_json::json!({ "key": key, "n": n })).unwrap();
    (0..each).flat_map(|n| keys.iter().map(move |key| step(key, n))).collect()
}

fn key(event: &Event) -> Option<String> {
    event.payload_as::<Step>().ok().map(|step| step.key)
}

fn by_key(entries: Vec<Step>) -> HashMap<String, Vec<u64>> {
    let mut keys: HashMap<String, Vec<u64>> = HashMap::new();
    entries.into_iter().for_each(|step| keys.entry(step.key).or_default().push(step.n));
    keys
}

async fn c42_a_slow_key_holds_up_only_itself(broker: impl Broker) {
    publish(&broker, &steps(&["slow", "a", "b", "c"], 50)).await;
    let (log, gate) = (Log::new(), Arc::new(Semaphore::new(0)));
    let (taken, opened) = (log.clone(), Arc::clone(&gate));
    let handler = move |_: Context, step: Typed<Step>| {
        let (log, gate) = (taken.clone(), Arc::clone(&opened));
        async move {
            match step.key.as_str() {
                "slow" => gate.acquire().await?.forget(),
                _ => sleep(Duration::from_micros(100 * (step.n % 3))).await,
            }
            log.push(step.0);
            Ok::<(), Failure>(())
        }
    };
    let stop = async {
        eventually("the others are done", || log.len() == 150).await;
        gate.add_permits(50);
        eventually("all are done", || log.len() == 200).await;
    };
    let worker = Worker::new(broker.consumer(options()).await, config()).unwrap();
    let report = worker.on("**", handler).in_order_of(key).run_until(stop).await.unwrap();
    assert_eq!(report.acked, 200);
    for (key, mut numbers) in by_key(log.entries()) {
        if !broker.ordered() {
            numbers.sort_unstable();
        }
        assert_eq!(numbers, (0..50).collect::<Vec<_>>(), "{key}");
    }
    expect_all_settled(&broker).await;
}

async fn a_failing_key_keeps_its_order_and_gives_up_one_event_at_a_time(broker: impl Broker) {
    publish(&broker, &steps(&["bad", "good"], 10)).await;
    let log = Log::new();
    let taken = log.clone();
    let handler = move |context: Context, step: Typed<Step>| {
        let log = taken.clone();
        async move {
            log.push(step.0.clone());
            // The third fails for good, the fifth twice.
            match (step.key.as_str(), step.n, context.attempt()) {
                ("bad", 2, _) | ("bad", 4, 1 | 2) => Err(Failure::from("not now")),
                _ => Ok(()),
            }
        }
    };
    let worker = Worker::new(broker.consumer(options()).await, config()).unwrap();
    let report = worker.on("**", handler).in_order_of(key).with_limit(20).run().await.unwrap();
    assert_eq!((report.acked, report.failed, report.dead_lettered), (19, 6, 1));
    let keys = by_key(log.entries());
    assert_eq!(keys["good"], (0..10).collect::<Vec<_>>());
    assert_eq!(keys["bad"], [0, 1, 2, 2, 2, 2, 2, 3, 4, 4, 4, 5, 6, 7, 8, 9]);
    assert_eq!(dead_letters(&broker).await.len(), 1);
    expect_all_settled(&broker).await;
}

on_every_broker!(
    c42_a_slow_key_holds_up_only_itself;
    in order: a_failing_key_keeps_its_order_and_gives_up_one_event_at_a_time,
);
