//! `events replay`: a stretch of a stream's history once more, on the terminal or in another stream.

mod destination;
mod stretch;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use events_core::StartFrom;
use events_core::wire::Encoding;
use events_factory::BrokerUrl;
use events_terminal::{
    ConnectionArgs, EncodingParser, Exit, FilterArgs, Format, Shutdown, parse_count, parse_duration,
};

use crate::admin::Stream;
use crate::progress::Progress;
use crate::replay::destination::Destination;
use crate::replay::stretch::Stretch;

const HELP: &str = "\
Without --to-url or --to-config events are printed. With one of them they are published there, in order, with their ids,
timestamps and headers: from one backend to any other. What is interrupted says where it was, for another --from.
Groups, and how far they are, stay where they are.

Examples:
  events replay --from 2026-02-10T12:00:00Z --to 2026-02-10T13:00:00Z --type 'slack.*'
  events replay --url redis://old-host --to-url sqlite:/var/lib/events.db";

/// Which events, and where to.
#[derive(Args, Debug)]
#[command(args_override_self = true, after_help = HELP)]
pub(crate) struct Replay {
    /// Where to begin: `earliest`, the id of the event to begin after, or a time such as 2026-02-10T12:00:00Z
    #[arg(long, value_name = "WHERE", default_value = "earliest", value_parser = not_latest)]
    from: StartFrom,

    /// Where to end: the id of the last event, or the time at which to stop [default: the newest event there is now]
    #[arg(long, value_name = "WHERE", value_parser = end)]
    to: Option<StartFrom>,

    /// End after this many events
    #[arg(long, value_name = "N", value_parser = parse_count::<NonZeroUsize>)]
    limit: Option<NonZeroUsize>,

    /// How events are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,

    #[command(flatten)]
    target: Target,

    #[command(flatten)]
    connection: ConnectionArgs,

    #[command(flatten)]
    filter: FilterArgs,
}

/// Which stream of which broker events are published to.
#[derive(Args, Debug)]
#[command(next_help_heading = "Destination")]
pub(crate) struct Target {
    /// Publish to this broker instead of printing; a URL with a password is better given by --to-config
    #[arg(long, value_name = "URL")]
    to_url: Option<BrokerUrl>,

    /// Publish to what this configuration file leads to, YAML or TOML; the environment is not asked
    #[arg(long, value_name = "FILE")]
    to_config: Option<PathBuf>,

    /// How the events are written there [default: what --to-config says, else adr018]
    #[arg(long, value_name = "NAME", value_parser = EncodingParser)]
    to_encoding: Option<Encoding>,

    /// The stream to publish to [default: the one that is read, or what --to-config says]
    #[arg(long, value_name = "KEY")]
    to_stream_key: Option<String>,

    /// How long to try while the destination is away or full
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "30s")]
    timeout: Duration,
}

pub(crate) async fn run(flags: &Replay, mut shutdown: Shutdown) -> Result<Exit> {
    let stream = Stream::open(&flags.connection, &mut shutdown).await?;
    let replayed = replay(&stream, flags, &mut shutdown).await;
    stream.close_after(replayed).await
}

async fn replay(stream: &Stream, flags: &Replay, shutdown: &mut Shutdown) -> Result<Exit> {
    let mut destination = Destination::open(flags, stream, shutdown).await?;
    let mut stretch = Stretch::fix(&*stream.admin, &flags.from, flags.to.as_ref(), shutdown).await?;
    let filter = flags.filter.filter();
    let progress = destination.is_publisher().then(|| Progress::new("replaying", None));
    let mut left = flags.limit.map_or(usize::MAX, NonZeroUsize::get);
    while left > 0 && !shutdown.is_requested() {
        let mut records = stretch.next(&*stream.admin, shutdown).await?;
        if records.is_empty() {
            break;
        }
        records.retain(|record| record.event.as_ref().map_or(true, |event| filter.matches(event)));
        records.truncate(left);
        let (count, last) = (records.len(), records.last().map(|record| record.message_id.clone()));
        if !destination.take(records, shutdown).await? {
            break;
        }
        left -= count;
        destination.is_past(last);
        if let Some(progress) = &progress {
            progress.add(count as u64);
        }
    }
    drop(progress);
    destination.finish(shutdown.is_requested()).await
}

fn not_latest(text: &str) -> Result<StartFrom, &'static str> {
    match place(text) {
        StartFrom::Latest => Err("nothing comes after the newest event; `events tail` waits for what will"),
        place => Ok(place),
    }
}

fn end(text: &str) -> Result<StartFrom, &'static str> {
    match place(text) {
        StartFrom::Earliest => Err("nothing lies before the oldest event"),
        place => Ok(place),
    }
}

fn place(text: &str) -> StartFrom {
    text.parse().unwrap_or_else(|never: std::convert::Infallible| match never {})
}
