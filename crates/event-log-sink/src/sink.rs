//! The loop: take a batch, print it, acknowledge it.

use std::num::NonZeroUsize;
use std::time::Duration;

use anyhow::Result;
use events_core::{ConsumerOptions, EventConsumer};
use events_factory::{EventsConfig, create_event_consumer};
use events_terminal::{Exit, Line, Shutdown};
use tokio::time::timeout;

use crate::flags::Flags;
use crate::outage::{Chain, Outage};
use crate::patience::until_it_works;
use crate::print::Printer;
use crate::settle::{acknowledge, give_back, hold};

/// How long one call waits for events; a signal ends the wait at once, so this only bounds how often the broker is asked.
const WAIT: Duration = Duration::from_secs(10);

/// How long `--drain` waits for a first event: not for one to be published, but for a broker that is slow to answer.
const DRAIN_WAIT: Duration = Duration::from_millis(500);

/// How long closing may take; what is not given back by then comes back when its lease ends.
const CLOSING: Duration = Duration::from_secs(10);

/// Consumes until a limit, an empty stream with `--drain`, a signal or a closed pipe ends it.
pub(crate) async fn run(flags: &Flags, config: &EventsConfig, mut shutdown: Shutdown) -> Result<Exit> {
    let connected = until_it_works(&mut shutdown, || create_event_consumer(config)).await?;
    let Some(mut consumer) = connected else { return Ok(Exit::Success) };
    tracing::info!(
        stream_key = config.stream_key,
        consumer_group = config.consumer_group.as_deref().unwrap_or_default(),
        "printing events"
    );
    let lease = config.lease.unwrap_or(ConsumerOptions::DEFAULT_LEASE);
    let ended = consume(consumer.as_mut(), flags, lease, &mut shutdown).await;
    match timeout(CLOSING, consumer.close()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!("{}", Chain(&error)),
        Err(_) => tracing::warn!("the broker does not answer; what was fetched comes back with its leases"),
    }
    ended.map(|()| Exit::Success)
}

async fn consume(
    consumer: &mut dyn EventConsumer,
    flags: &Flags,
    lease: Duration,
    shutdown: &mut Shutdown,
) -> Result<()> {
    let mut printer = Printer::new(flags);
    let mut outage = Outage::default();
    let mut left = flags.limit.map(NonZeroUsize::get);
    let wait = if flags.drain { DRAIN_WAIT } else { WAIT };
    // Never more than may still be printed, so that nothing is taken only to be given back.
    while let Some(max) = NonZeroUsize::new(left.unwrap_or(usize::MAX).min(flags.consuming.batch.get())) {
        let received = tokio::select! {
            biased;
            () = shutdown.requested() => return Ok(()),
            received = consumer.receive(max, wait) => received,
        };
        let deliveries = match received {
            Ok(deliveries) => deliveries,
            Err(error) if error.is_transient() => {
                outage.goes_on(&error);
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        outage.is_over();
        if deliveries.is_empty() {
            if flags.drain {
                return Ok(());
            }
            continue;
        }
        let printing = printer.print(deliveries.iter().map(Line::from), max.get());
        match hold(&deliveries, lease, printing).await {
            Ok(printed) => {
                acknowledge(deliveries).await;
                left = left.map(|left| left - printed);
            }
            Err(stopped) => {
                give_back(deliveries).await;
                return stopped.into_result();
            }
        }
    }
    Ok(())
}
