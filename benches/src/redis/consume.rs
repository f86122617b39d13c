//! Consuming a backlog: by one consumer, and by ten of one group.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use events_core::ack_all;
use tokio::sync::Barrier;

use super::Bench;
use super::raw::READ;
use crate::brokers::{Stream, consume};
use crate::stats::{Pairs, rate};
use crate::table::{Asked, Row, Table};

/// The group of every turn; it is made anew for each, at the beginning of the stream.
const GROUP: &str = "bench";

/// How many consumers are in the group.
const CONSUMERS: usize = 10;

/// Receive, decode, acknowledge.
pub(super) fn backlog(bench: &Bench<'_>, table: &mut Table) -> Result<()> {
    const MEASURE: &str = "Redis, receive, decode and ack_all of a backlog";
    if !bench.options.wants(MEASURE) {
        return Ok(());
    }
    let (stream, count) = (bench.backlog()?, bench.options.events());
    let pairs = Pairs::measure(
        bench.options.rounds(),
        || {
            let mut raw = bench.raw()?;
            let taken = raw.consume(&stream.key, GROUP, count)?;
            raw.destroy_group(&stream.key, GROUP)?;
            Ok(rate(count, taken))
        },
        || one(bench, &stream, count),
    )?;
    table.push(Row::of_rates(MEASURE, "raw socket", &pairs, Asked::AtLeast(0.65)));
    Ok(())
}

/// Ten consumers of one group beside one by itself.
pub(super) fn together(bench: &Bench<'_>, table: &mut Table) -> Result<()> {
    const MEASURE: &str = "Redis, ten consumers of one group";
    if !bench.options.wants(MEASURE) {
        return Ok(());
    }
    let (stream, count) = (bench.backlog()?, bench.options.events());
    let ten = || {
        let ours = stream.clone();
        let taken = bench.run(async move {
            let started = Arc::new(Barrier::new(CONSUMERS + 1));
            let acknowledged = Arc::new(AtomicUsize::new(0));
            let mut tasks = Vec::new();
            for _ in 0..CONSUMERS {
                tasks.push(tokio::spawn(member(
                    ours.clone(),
                    count,
                    Arc::clone(&started),
                    Arc::clone(&acknowledged),
                )));
            }
            started.wait().await;
            let start = Instant::now();
            let mut last = start;
            for task in tasks {
                last = last.max(task.await??);
            }
            Ok(last - start)
        })?;
        bench.raw()?.destroy_group(&stream.key, GROUP)?;
        Ok(rate(count, taken))
    };
    let pairs = Pairs::measure(bench.options.rounds(), || one(bench, &stream, count), ten)?;
    table.push(Row::of_rates(MEASURE, "one consumer", &pairs, Asked::AtLeast(1.0)));
    Ok(())
}

fn one(bench: &Bench<'_>, stream: &Stream, count: usize) -> Result<f64> {
    let ours = stream.clone();
    let taken = bench.run(async move {
        let mut consumer = ours.consumer(GROUP).await?;
        let taken = consume(consumer.as_mut(), READ, count).await?;
        consumer.close().await?;
        Ok(taken)
    })?;
    bench.raw()?.destroy_group(&stream.key, GROUP)?;
    Ok(rate(count, taken))
}

/// Takes part until all together have acknowledged everything, and says when it did so last itself.
async fn member(
    stream: Stream,
    count: usize,
    started: Arc<Barrier>,
    acknowledged: Arc<AtomicUsize>,
) -> Result<Instant> {
    let mut consumer = stream.consumer(GROUP).await?;
    let most = NonZeroUsize::new(READ).context("not zero")?;
    started.wait().await;
    let mut last = Instant::now();
    while acknowledged.load(Ordering::Acquire) < count {
        // Short, since the end of the stream may come while this one waits.
        let deliveries = consumer.receive(most, Duration::from_millis(10)).await?;
        if !deliveries.is_empty() {
            let acked = ack_all(deliveries).await.into_result()?;
            last = Instant::now();
            acknowledged.fetch_add(acked, Ordering::AcqRel);
        }
    }
    consumer.close().await?;
    Ok(last)
}
