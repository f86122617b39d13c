//! From the call of `publish` to the return of `receive`, at a thousand events a second.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use events_core::{EventPublisherExt, ack_all};
use tokio::time::{MissedTickBehavior, interval};

use super::{Bench, raw};
use crate::brokers::Stream;
use crate::sample;
use crate::stats::{percentile, spread};
use crate::table::{Asked, Row, Table};

const KEY: &str = "bench:latency";

/// A thousand events a second.
const PERIOD: Duration = Duration::from_millis(1);

pub(super) fn measure(bench: &Bench<'_>, table: &mut Table) -> Result<()> {
    const MEDIAN: &str = "Redis, publish to delivered at 1,000/s, p50";
    const TAIL: &str = "Redis, publish to delivered at 1,000/s, p99";
    if !bench.options.wants(MEDIAN) && !bench.options.wants(TAIL) {
        return Ok(());
    }
    let count = if bench.options.quick { 1_000 } else { 4_000 };
    let (mut trips, mut medians, mut tails) = (Vec::new(), Vec::new(), Vec::new());
    // The first turn only warms up.
    for turn in 0..=bench.options.rounds() {
        let mut bare = round_trips(bench, count)?;
        let mut ours = bench.run(deliveries(bench.stream(KEY), count as u64))?;
        bench.raw()?.delete(KEY)?;
        if turn > 0 {
            trips.push(percentile(&mut bare, 50));
            medians.push(percentile(&mut ours, 50));
            tails.push(percentile(&mut ours, 99));
        }
    }
    let ratios: Vec<f64> = medians.iter().zip(&trips).map(|(ours, bare)| ours / bare).collect();
    table.push(Row {
        measure: MEDIAN.to_owned(),
        ceiling: format!("bare round trip {:.3} ms", spread(&trips).median),
        ours: format!("{:.3} ms", spread(&medians).median),
        asked: Asked::AtMost(4.0),
        seen: spread(&ratios),
        unit: "",
    });
    table.push(Row {
        measure: TAIL.to_owned(),
        ceiling: String::new(),
        ours: format!("{:.3} ms", spread(&tails).median),
        asked: Asked::AtMost(5.0),
        seen: spread(&tails),
        unit: " ms",
    });
    Ok(())
}

/// The bare round trip at the same pace: one `XADD` and its answer on a blocking socket.
fn round_trips(bench: &Bench<'_>, count: usize) -> Result<Vec<Duration>> {
    let mut raw = bench.raw()?;
    let body = sample::bodies()?.swap_remove(0);
    let add = raw::command(&[b"XADD", KEY.as_bytes(), b"*", b"event", &body]);
    let trip = |_| {
        std::thread::sleep(PERIOD);
        raw.round_trip(&add)
    };
    let trips = (0..count).map(trip).collect::<Result<_>>()?;
    raw.delete(KEY)?;
    Ok(trips)
}

async fn deliveries(stream: Stream, count: u64) -> Result<Vec<Duration>> {
    let publisher = stream.clone().into_publisher().await?;
    let mut consumer = stream.consumer("bench").await?;
    let events = (0..count).map(sample::event).collect::<Result<Vec<_>>>()?;
    let publishing = tokio::spawn(async move {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sent = Vec::with_capacity(events.len());
        for event in &events {
            ticks.tick().await;
            sent.push(Instant::now());
            publisher.publish(event).await?;
        }
        publisher.close().await?;
        anyhow::Ok(sent)
    });
    let mut arrived = Vec::new();
    while (arrived.len() as u64) < count {
        let deliveries = consumer.receive(NonZeroUsize::MAX, Duration::from_secs(10)).await?;
        let now = Instant::now();
        ensure!(!deliveries.is_empty(), "an event is missing");
        for delivery in &deliveries {
            arrived.push((sample::number(delivery.event())?, now));
        }
        ack_all(deliveries).await.into_result()?;
    }
    consumer.close().await?;
    let sent = publishing.await??;
    Ok(arrived.into_iter().filter_map(|(number, at)| Some(at - *sent.get(number as usize)?)).collect())
}
