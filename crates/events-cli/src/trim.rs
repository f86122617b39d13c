//! `events trim`: removes history that nobody needs.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use events_core::Retention;
use events_terminal::{ConnectionArgs, Exit, Output, Shutdown, parse_duration};

use crate::admin::{Stream, ask};

const HELP: &str = "\
What a group was not given or has not acknowledged stays, and so does everything after it; which group holds what is said.
Only --hard-max-events passes over that, and needs --yes. Dead letters have copies of their own and are not trimmed.

Examples:
  events trim --max-age 7d
  events trim --max-events 100000 --max-age 30d";

/// What to keep.
#[derive(Args, Debug)]
#[command(args_override_self = true, after_help = HELP)]
pub(crate) struct Trim {
    /// Remove events older than this
    #[arg(long, value_name = "AGE", value_parser = parse_duration)]
    max_age: Option<Duration>,

    /// Of more events than this, remove the oldest
    #[arg(long, value_name = "N")]
    max_events: Option<u64>,

    /// Of more events than this, remove the oldest, though groups may still need them: what is cut so is lost to them
    #[arg(long, value_name = "N")]
    hard_max_events: Option<u64>,

    /// Agree to what --hard-max-events may take from groups
    #[arg(long, requires = "hard_max_events")]
    yes: bool,

    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(crate) async fn run(flags: &Trim, mut shutdown: Shutdown) -> Result<Exit> {
    let mut retention = Retention::default();
    if let Some(age) = flags.max_age {
        retention = retention.with_max_age(age);
    }
    if let Some(events) = flags.max_events {
        retention = retention.with_max_events(events);
    }
    if let Some(events) = flags.hard_max_events {
        retention = retention.with_hard_max_events(events);
    }
    if retention.keeps_everything() {
        tracing::error!("say what to keep: --max-age, --max-events or --hard-max-events");
        return Ok(Exit::Usage);
    }
    if flags.hard_max_events.is_some() && !flags.yes {
        tracing::error!("--hard-max-events may take events from groups that need them: agree with --yes");
        return Ok(Exit::Usage);
    }
    retention.validate()?;
    let stream = Stream::open(&flags.connection, &mut shutdown).await?;
    let trimmed = trim(&stream, &retention, &mut shutdown).await;
    stream.close_after(trimmed).await
}

async fn trim(stream: &Stream, retention: &Retention, shutdown: &mut Shutdown) -> Result<Exit> {
    let report = ask(shutdown, || stream.admin.trim(retention)).await?;
    let events = |count: u64| format!("{count} event{}", if count == 1 { "" } else { "s" });
    if report.cut > 0 {
        tracing::warn!("{} of them were still needed by a group, and are lost to it", events(report.cut));
    }
    if let Some(held) = &report.held_by {
        tracing::warn!("consumer group {} holds the rest: it needs {} next", held.group, held.message_id);
    }
    let mut output = Output::new();
    output.buffer().extend_from_slice(format!("removed {}\n", events(report.removed)).as_bytes());
    output.flush_to_reader().await?;
    Ok(Exit::Success)
}
