//! The main job: batches are printed, and acknowledged when they are written.

use std::num::NonZeroUsize;

use anyhow::Result;
use events_core::{ConsumerOptions, Delivery};
use events_factory::{EventsConfig, Registry};
use events_runtime::{BatchDone, BatchError, BatchWorker, until_available};
use events_terminal::{Exit, Line, Shutdown};

use crate::flags::Flags;
use crate::listen::Listener;
use crate::print::{Printer, stopped};

/// Consumes until a limit, an empty stream with `--drain`, a signal or a closed pipe ends it.
pub(crate) async fn run(flags: &Flags, config: &EventsConfig, mut shutdown: Shutdown) -> Result<Exit> {
    let mut printer = Printer::new(flags)?;
    let (_listener, registry) = match flags.listen {
        Some(address) => {
            let (listener, registry) = Listener::start(address, config).await?;
            (Some(listener), registry)
        }
        None => (None, Registry::new()),
    };
    let connected = until_available(shutdown.requested(), || registry.create_event_consumer(config)).await?;
    let Some(consumer) = connected else { return Ok(Exit::Success) };
    tracing::info!(
        stream_key = config.stream_key,
        consumer_group = config.consumer_group.as_deref().unwrap_or_default(),
        "printing events"
    );
    let mut worker = BatchWorker::new(consumer, flags.consuming.batch)
        .with_lease(config.lease.unwrap_or(ConsumerOptions::DEFAULT_LEASE));
    if flags.drain {
        worker = worker.until_drained();
    }
    let mut left = flags.limit.map_or(usize::MAX, NonZeroUsize::get);
    if flags.limit.is_some() {
        worker = worker.with_limit(left as u64);
    }
    let print = async |batch: &[Delivery]| {
        let printed = printer.print(batch.iter().map(Line::from), left).await?;
        left = left.saturating_sub(printed);
        // What the filter keeps back is done with as well, and counts for nothing.
        Ok(BatchDone::all(batch).counting(printed))
    };
    match worker.run_until(shutdown.requested(), print).await {
        Ok(report) => tracing::debug!(?report, "the worker has ended"),
        Err(BatchError::Handler(error)) => stopped(error)?,
        Err(BatchError::Consumer(error)) => return Err(error.into()),
    }
    Ok(Exit::Success)
}
