//! Publishing: in batches, by many tasks that meet, and by one that waits for each event.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use events_core::{Event, EventPublisherExt};

use super::{Bench, fred};
use crate::brokers::publish;
use crate::sample::{self, BATCH};
use crate::stats::{Pairs, rate};
use crate::table::{Asked, Row, Table};

const CEILING_KEY: &str = "bench:ceiling";
const OWN_KEY: &str = "bench:own";

/// How many tasks publish single events at a time.
const TASKS: usize = 64;

/// `publish_batch` of 256, one after the other.
pub(super) fn batches(bench: &Bench<'_>, table: &mut Table) -> Result<()> {
    const MEASURE: &str = "Redis, publish_batch of 256, one task";
    if !bench.options.wants(MEASURE) {
        return Ok(());
    }
    let count = bench.options.events();
    let publisher = bench.run(bench.stream(OWN_KEY).into_publisher())?;
    let batch: Arc<[Event]> = sample::batch()?.into();
    let pairs = Pairs::measure(
        bench.options.rounds(),
        || raw(bench, count),
        || {
            let taken = bench.run(publish(Arc::clone(&publisher), Arc::clone(&batch), count))?;
            bench.raw()?.delete(OWN_KEY)?;
            Ok(rate(count, taken))
        },
    )?;
    table.push(Row::of_rates(MEASURE, "raw socket", &pairs, Asked::AtLeast(0.65)));
    Ok(())
}

/// How much of the ceiling scripts can reach at all, whatever client sends them: the server needs more time for an event
/// of a script. This bounds `publish_batch`, whose batches are scripts.
pub(super) fn scripts(bench: &Bench<'_>, table: &mut Table) -> Result<()> {
    const MEASURE: &str = "Redis, a raw socket's scripts of 256, one by one";
    if !bench.options.wants(MEASURE) {
        return Ok(());
    }
    let count = bench.options.events() / BATCH * BATCH;
    let in_scripts = || {
        let mut raw = bench.raw()?;
        let taken = raw.publish_in_scripts(OWN_KEY, count)?;
        raw.delete(OWN_KEY)?;
        Ok(rate(count, taken))
    };
    let pairs = Pairs::measure(bench.options.rounds(), || raw(bench, count), in_scripts)?;
    table.push(Row::of_rates(MEASURE, "raw socket", &pairs, Asked::Nothing));
    Ok(())
}

/// Many tasks, each of which waits for its event before it publishes the next.
pub(super) fn meeting(bench: &Bench<'_>, table: &mut Table) -> Result<()> {
    const MEASURE: &str = "Redis, single publishes of 64 tasks";
    if !bench.options.wants(MEASURE) {
        return Ok(());
    }
    let count = bench.options.events() / 2;
    let publisher = bench.run(bench.stream(OWN_KEY).into_publisher())?;
    let batch: Arc<[Event]> = sample::batch()?.into();
    let pairs = Pairs::measure(
        bench.options.rounds(),
        || raw(bench, count),
        || {
            let (publisher, batch) = (Arc::clone(&publisher), Arc::clone(&batch));
            let taken = bench.run(async move {
                let started = Instant::now();
                let tasks: Vec<_> = (0..TASKS)
                    .map(|_| {
                        let (publisher, batch) = (Arc::clone(&publisher), Arc::clone(&batch));
                        tokio::spawn(async move {
                            for event in batch.iter().cycle().take(count / TASKS) {
                                publisher.publish(event).await?;
                            }
                            anyhow::Ok(())
                        })
                    })
                    .collect();
                for task in tasks {
                    task.await??;
                }
                Ok(started.elapsed())
            })?;
            bench.raw()?.delete(OWN_KEY)?;
            Ok(rate(count, taken))
        },
    )?;
    table.push(Row::of_rates(MEASURE, "raw socket", &pairs, Asked::AtLeast(0.40)));
    Ok(())
}

/// One task that waits for each event.
pub(super) fn alone(bench: &Bench<'_>, table: &mut Table) -> Result<()> {
    const MEASURE: &str = "Redis, single publishes of one task";
    if !bench.options.wants(MEASURE) {
        return Ok(());
    }
    // Short turns and many: which processor the system wakes for an answer changes by the second, and so does the rate.
    let count = bench.options.single_events() / 4;
    let client = bench.runtime.block_on(fred::connect(bench.server.url()))?;
    let publisher = bench.run(bench.stream(OWN_KEY).into_publisher())?;
    let bodies = sample::bodies()?;
    let batch: Arc<[Event]> = sample::batch()?.into();
    let pairs = Pairs::measure(
        bench.options.rounds() * 5,
        || {
            let adding = fred::add_one_by_one(client.clone(), CEILING_KEY.to_owned(), bodies.clone(), count);
            let taken = bench.run(adding)?;
            bench.raw()?.delete(CEILING_KEY)?;
            Ok(rate(count, taken))
        },
        || {
            let (publisher, batch) = (Arc::clone(&publisher), Arc::clone(&batch));
            let taken = bench.run(async move {
                let started = Instant::now();
                for event in batch.iter().cycle().take(count) {
                    publisher.publish(event).await?;
                }
                Ok(started.elapsed())
            })?;
            bench.raw()?.delete(OWN_KEY)?;
            Ok(rate(count, taken))
        },
    )?;
    table.push(Row::of_rates(MEASURE, "bare fred", &pairs, Asked::AtLeast(0.95)));
    Ok(())
}

/// The ceiling's rate.
fn raw(bench: &Bench<'_>, count: usize) -> Result<f64> {
    let mut raw = bench.raw()?;
    let count = count / BATCH * BATCH;
    let taken = raw.publish(CEILING_KEY, count)?;
    raw.delete(CEILING_KEY)?;
    Ok(rate(count, taken))
}
