//! From `publish` in one process to the return of `receive` in another.

use std::env;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use events_core::{Event, EventPublisherExt, ack_all};
use tokio::runtime::Runtime;
use tokio::time::sleep;

use super::stream;
use crate::brokers::Stream;
use crate::options::Options;
use crate::sample::Number;
use crate::stats::{percentile, spread};
use crate::table::{Asked, Row, Table};

const EVENTS: usize = 500;

/// Long enough that the consumer waits again before the next event comes.
const PAUSE: Duration = Duration::from_millis(5);

pub(crate) fn measure(options: &Options, runtime: &Runtime, table: &mut Table) -> Result<()> {
    const MEASURE: &str = "SQLite, publish to delivered in another process, p50";
    if !options.wants(MEASURE) {
        return Ok(());
    }
    let mut medians = Vec::new();
    for _ in 0..options.rounds() {
        let directory = tempfile::tempdir()?;
        let database = directory.path().join("events.db");
        let stream = stream(&database)?;
        let mut times = runtime.block_on(runtime.spawn(receive_from(database, stream)))??;
        medians.push(percentile(&mut times, 50));
    }
    table.push(Row {
        measure: MEASURE.to_owned(),
        ceiling: String::new(),
        ours: format!("{:.3} ms", spread(&medians).median),
        asked: Asked::AtMost(1.0),
        seen: spread(&medians),
        unit: " ms",
    });
    Ok(())
}

async fn receive_from(database: PathBuf, stream: Stream) -> Result<Vec<Duration>> {
    let mut consumer = stream.consumer("bench").await?;
    let mut other = Command::new(env::current_exe()?)
        .arg("--publish-to")
        .arg(&database)
        .stdin(Stdio::null())
        .spawn()
        .context("cannot start the publishing process")?;
    let mut times = Vec::new();
    while times.len() < EVENTS {
        let deliveries = consumer.receive(NonZeroUsize::MAX, Duration::from_secs(10)).await?;
        let now = nanoseconds()?;
        ensure!(!deliveries.is_empty(), "an event is missing");
        for delivery in &deliveries {
            let sent = delivery.event().payload_as::<Number>()?.n;
            times.push(Duration::from_nanos(now.saturating_sub(sent)));
        }
        ack_all(deliveries).await.into_result()?;
    }
    consumer.close().await?;
    ensure!(other.wait()?.success(), "the publishing process failed");
    Ok(times)
}

/// What the other process does: events that say when they were published.
pub(crate) fn publish(database: &Path) -> Result<()> {
    let stream = stream(database)?;
    Runtime::new()?.block_on(async {
        let publisher = stream.into_publisher().await?;
        for _ in 0..EVENTS {
            sleep(PAUSE).await;
            let payload = serde_json::json!({"n": nanoseconds()?});
            publisher.publish(&Event::new("bench.crossing", "bench", payload)?).await?;
        }
        Ok(publisher.close().await?)
    })
}

/// By the one clock that both processes see.
fn nanoseconds() -> Result<u64> {
    Ok(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos())?)
}
