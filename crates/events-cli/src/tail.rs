//! `events tail`: prints a stream's events without taking part.

use std::num::NonZeroUsize;
use std::time::Duration;

use anyhow::Result;
use events_core::wire::Encoding;
use events_core::{EventAdmin, Record, StartFrom};
use events_factory::create_event_admin;
use events_terminal::{Exit, Line, Output, Shutdown};

use crate::flags::Tail;
use crate::retry::{Tries, within};

/// How many events are read at a time.
const BATCH: NonZeroUsize = NonZeroUsize::new(256).expect("it is not zero");

/// How long one call waits for an event; a signal ends the wait at once.
const WAIT: Duration = Duration::from_secs(5);

/// How long the broker may be away before this gives up. Whoever watches a stream can start again and sees what is said.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn run(flags: &Tail, mut shutdown: Shutdown) -> Result<Exit> {
    let config = flags.connection.loader().load()?.into_config();
    let admin = within(PATIENCE, &mut shutdown, || create_event_admin(&config)).await?;
    let expected = flags.encoding.or(config.expected_encoding);
    let ended = follow(&*admin, flags, expected, &mut shutdown).await;
    admin.close().await?;
    ended.map(|()| Exit::Success)
}

async fn follow(
    admin: &dyn EventAdmin,
    flags: &Tail,
    expected: Option<Encoding>,
    shutdown: &mut Shutdown,
) -> Result<()> {
    let filter = flags.filter.filter();
    let mut output = Output::new();
    let mut from = within(PATIENCE, shutdown, || fixed(admin, &flags.from)).await?;
    let mut left = flags.limit.map_or(usize::MAX, NonZeroUsize::get);
    let wait = if flags.no_follow { Duration::ZERO } else { WAIT };
    let mut tries = Tries::within(PATIENCE);
    while left > 0 {
        let read = tokio::select! {
            biased;
            () = shutdown.requested() => return Ok(()),
            read = admin.read(&from, BATCH, wait) => read,
        };
        let records = match read {
            Ok(records) => records,
            Err(error) if error.is_transient() && tries.next(shutdown).await => continue,
            Err(_) if shutdown.is_requested() => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        tries = Tries::within(PATIENCE);
        let Some(last) = records.last() else {
            if flags.no_follow {
                return Ok(());
            }
            continue;
        };
        from = StartFrom::After(last.message_id.clone());
        for line in records.iter().filter_map(|record| line(record, expected)) {
            if left > 0 && filter.matches(line.event()) {
                output.print(flags.format, &line);
                left -= 1;
            }
        }
        if !output.flush_to_reader().await? {
            return Ok(());
        }
    }
    Ok(())
}

/// The place to begin, as of now: read on from it, nothing that is published between two calls is missed.
async fn fixed(admin: &dyn EventAdmin, from: &StartFrom) -> events_core::Result<StartFrom> {
    match from {
        StartFrom::Latest => Ok(admin.last_id().await?.map_or(StartFrom::Earliest, StartFrom::After)),
        other => Ok(other.clone()),
    }
}

fn line(record: &Record, expected: Option<Encoding>) -> Option<Line<'_>> {
    match &record.event {
        Ok(_) if expected.is_some_and(|expected| !expected.reads(record.encoding)) => {
            tracing::warn!("message {} is in encoding `{}`", record.message_id, record.encoding);
            None
        }
        Ok(event) => Some(Line::of_history(event, &record.message_id)),
        Err(error) => {
            tracing::warn!("message {} is no event: {error}", record.message_id);
            None
        }
    }
}
