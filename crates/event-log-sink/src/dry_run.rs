//! `--dry-run`: prints what the group would be given, and takes nothing.

use std::num::NonZeroUsize;
use std::time::Duration;

use anyhow::Result;
use events_core::{EventAdmin, MessageId, Record, StartFrom};
use events_factory::{EventsConfig, create_event_admin};
use events_runtime::until_available;
use events_terminal::{Exit, Line, Shutdown};

use crate::flags::{DEFAULT_GROUP, Flags};
use crate::print::{Printer, stopped};

/// How often to look for new events. Looking is all there is: nobody wakes one who takes no part.
const PAUSE: Duration = Duration::from_millis(500);

/// Looks at what the group would be given until a limit, the end with `--drain`, a signal or a closed pipe ends it.
pub(crate) async fn run(flags: &Flags, config: &EventsConfig, mut shutdown: Shutdown) -> Result<Exit> {
    let Some(admin) = until_available(shutdown.requested(), || create_event_admin(config)).await? else {
        return Ok(Exit::Success);
    };
    let ended = look(&*admin, flags, config, &mut shutdown).await;
    if let Err(error) = admin.close().await {
        tracing::warn!("{:#}", anyhow::Error::from(error));
    }
    ended.map(|()| Exit::Success)
}

async fn look(
    admin: &dyn EventAdmin,
    flags: &Flags,
    config: &EventsConfig,
    shutdown: &mut Shutdown,
) -> Result<()> {
    let group = config.consumer_group.as_deref().unwrap_or(DEFAULT_GROUP);
    let Some(start_from) = until_available(shutdown.requested(), || fixed(admin, &config.start_from)).await?
    else {
        return Ok(());
    };
    let mut printer = Printer::new(flags)?;
    let mut after: Option<MessageId> = None;
    let mut left = flags.limit.map_or(usize::MAX, NonZeroUsize::get);
    while left > 0 {
        let peek = || admin.peek(group, &start_from, after.as_ref(), flags.consuming.batch);
        let Some(records) = until_available(shutdown.requested(), peek).await? else { return Ok(()) };
        if let Some(last) = records.last() {
            match printer.print(records.iter().filter_map(line), left).await {
                Ok(printed) => left -= printed,
                Err(error) => return stopped(error),
            }
            after = Some(last.message_id.clone());
        } else if flags.drain {
            return Ok(());
        } else {
            tokio::select! {
                () = shutdown.requested() => return Ok(()),
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }
    Ok(())
}

/// The start of a group that does not exist, as of now: every look would otherwise take `latest` anew and see nothing.
async fn fixed(admin: &dyn EventAdmin, start_from: &StartFrom) -> events_core::Result<StartFrom> {
    match start_from {
        StartFrom::Latest => Ok(admin.last_id().await?.map_or(StartFrom::Earliest, StartFrom::After)),
        other => Ok(other.clone()),
    }
}

/// The event of a record. One that is none would become a dead letter when consumed, and is only mentioned here.
fn line(record: &Record) -> Option<Line<'_>> {
    match &record.event {
        Ok(event) => Some(Line::of_history(event, &record.message_id)),
        Err(error) => {
            tracing::warn!(
                "message {} would become a dead letter: {error}{}",
                record.message_id,
                std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default()
            );
            None
        }
    }
}
