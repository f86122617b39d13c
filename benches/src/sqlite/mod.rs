//! Measures on SQLite, beside bare rusqlite that does the same writes.

mod bare;
pub(crate) mod crossing;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::brokers::{Stream, consume, publish};
use crate::load;
use crate::options::Options;
use crate::sample::{self, BATCH};
use crate::stats::{Pairs, rate};
use crate::table::{Asked, Row, Table};

pub(crate) fn measure(options: &Options, table: &mut Table) -> Result<()> {
    let runtime = Runtime::new()?;
    throughput(options, &runtime, table)?;
    crossing::measure(options, &runtime, table)?;
    let directory = tempfile::tempdir()?;
    let url = stream(&directory.path().join("load.db"))?.url;
    let fill = |stream: &Stream, count| load::fill(stream, count, &runtime);
    load::measure("SQLite", &url, &runtime, options, fill, table)
}

/// The stream of every measure in a database.
fn stream(database: &Path) -> Result<Stream> {
    let path = database.to_str().context("the directory for temporary files has a name that is no text")?;
    Ok(Stream { url: format!("sqlite:{path}"), key: "bench".to_owned() })
}

/// Publishing, and consuming what was published: in each turn a database of its own.
fn throughput(options: &Options, runtime: &Runtime, table: &mut Table) -> Result<()> {
    const PUBLISH: &str = "SQLite, publish_batch of 256, synchronous=FULL";
    const CONSUME: &str = "SQLite, receive, decode and ack_all of 256";
    if !options.wants(PUBLISH) && !options.wants(CONSUME) {
        return Ok(());
    }
    let count = options.events() / 2;
    let bodies = sample::bodies()?;
    let batch: Arc<[_]> = sample::batch()?.into();
    let (mut published, mut consumed) = (Pairs::default(), Pairs::default());
    // The first turn only warms up.
    // Many turns, since the disk is not the same from one to the next.
    for turn in 0..=3 * options.rounds() {
        let directory = tempfile::tempdir()?;
        let (written, deleted) = bare::measure(&directory.path().join("bare.db"), &bodies, count)?;
        let (publishing, receiving) = ours(runtime, &directory, Arc::clone(&batch), count)?;
        if turn > 0 {
            published.ceiling.push(rate(count, written));
            published.ours.push(rate(count, publishing));
            consumed.ceiling.push(rate(count, deleted));
            consumed.ours.push(rate(count, receiving));
        }
    }
    table.push(Row::of_rates(PUBLISH, "bare rusqlite", &published, Asked::AtLeast(0.80)));
    table.push(Row::of_rates(CONSUME, "bare rusqlite", &consumed, Asked::AtLeast(0.60)));
    Ok(())
}

fn ours(
    runtime: &Runtime,
    directory: &TempDir,
    batch: Arc<[events_core::Event]>,
    count: usize,
) -> Result<(std::time::Duration, std::time::Duration)> {
    let stream = stream(&directory.path().join("ours.db"))?;
    runtime.block_on(runtime.spawn(async move {
        let publisher = stream.clone().into_publisher().await?;
        let published = publish(Arc::clone(&publisher), batch, count).await?;
        let mut consumer = stream.consumer("bench").await?;
        let consumed = consume(consumer.as_mut(), BATCH, count).await?;
        consumer.close().await?;
        publisher.close().await?;
        Ok((published, consumed))
    }))?
}
