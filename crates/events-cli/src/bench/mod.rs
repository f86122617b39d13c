//! `events bench`: how fast a broker takes and gives events.

mod measure;
mod workload;

use std::num::{NonZeroU64, NonZeroUsize};
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use events_core::Event;
use events_factory::{EventsConfig, create_event_admin, create_event_consumer, create_event_publisher};
use events_terminal::{ConnectionArgs, Exit, Output, Shutdown, parse_count, parse_duration};

use crate::admin::PATIENCE;
use crate::bench::measure::Measure;
use crate::bench::workload::Workload;
use crate::report::{self, ReportFormat};
use crate::retry::within;

const HELP: &str = "\
The events go to a stream of their own, so that nobody is disturbed but by the load; one consumer takes and acknowledges them
once all are published. Where streams are not made by naming them, as on SQS, nothing can be measured this way.
An event counts as published once the broker has accepted it, to the degree the backend promises, and as consumed once its
acknowledgement is answered. One run is no comparison: repeat it, and run what you compare with next to it.";

/// How much to publish, and how.
#[derive(Args, Debug)]
#[command(args_override_self = true, after_help = HELP)]
pub(crate) struct Bench {
    /// How many events
    #[arg(long, value_name = "N", value_parser = parse_count::<NonZeroU64>, default_value = "10000")]
    count: NonZeroU64,

    /// How many bytes of payload each event has, at least
    #[arg(long, value_name = "BYTES", default_value = "200")]
    size: usize,

    /// How many events are published, and taken, together
    #[arg(long, value_name = "N", value_parser = parse_count::<NonZeroUsize>, default_value = "100")]
    batch: NonZeroUsize,

    /// How many batches are on their way at a time
    #[arg(long, value_name = "N", value_parser = parse_count::<NonZeroUsize>, default_value = "4")]
    concurrency: NonZeroUsize,

    /// Give up after this long
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "5m")]
    timeout: Duration,

    /// How the result is printed
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,

    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(crate) async fn run(flags: &Bench, mut shutdown: Shutdown) -> Result<Exit> {
    let mut config = flags.connection.loader().load()?.into_config();
    // An event's id is like no other, and so is a stream named by one.
    let scratch = Event::new("bench.scratch", "events-bench", serde_json::json!({}))?;
    config.stream_key = format!("events-bench:{}", scratch.id().unwrap_or_default());
    config.consumer_group = Some("events-bench".to_owned());
    if !makes_streams(&config, &mut shutdown).await? {
        tracing::error!(
            "this backend makes no stream by naming it, and measuring on yours would take its events"
        );
        return Ok(Exit::Unsupported);
    }
    let publisher = within(PATIENCE, &mut shutdown, || create_event_publisher(&config)).await?;
    let mut consumer = within(PATIENCE, &mut shutdown, || create_event_consumer(&config)).await?;
    // The group is made before the first event, as it would be in service.
    consumer.receive(NonZeroUsize::MIN, Duration::ZERO).await?;
    let workload = Workload {
        count: flags.count.get(),
        size: flags.size,
        batch: flags.batch,
        concurrency: flags.concurrency,
    };
    let measuring = tokio::time::timeout(flags.timeout, workload.run(&publisher, consumer.as_mut()));
    let measured = tokio::select! {
        measured = measuring => Some(measured),
        () = shutdown.requested() => None,
    };
    consumer.close().await?;
    publisher.close().await?;
    clean_up(&config, &mut shutdown).await;
    match measured {
        Some(Ok(measures)) => say(flags, &measures?).await,
        Some(Err(_)) => {
            tracing::error!("not done within {:?}: nothing is measured", flags.timeout);
            Ok(Exit::Failure)
        }
        None => Ok(Exit::Failure),
    }
}

/// Whether a stream comes to be by being named, rather than being a queue that somebody made.
async fn makes_streams(config: &EventsConfig, shutdown: &mut Shutdown) -> Result<bool> {
    let admin = within(PATIENCE, shutdown, || create_event_admin(config)).await?;
    let makes = admin.capabilities().replay;
    admin.close().await?;
    Ok(makes)
}

/// Removes the stream. What cannot be removed disturbs nobody, and is named so that somebody can.
async fn clean_up(config: &EventsConfig, shutdown: &mut Shutdown) {
    let cleaned = async {
        let admin = within(PATIENCE, shutdown, || create_event_admin(config)).await?;
        admin.remove_stream().await?;
        admin.close().await
    };
    if let Err(error) = cleaned.await {
        tracing::warn!("the stream {} is left: {error}", config.stream_key);
    }
}

async fn say(flags: &Bench, measures: &[Measure]) -> Result<Exit> {
    let mut output = Output::new();
    match flags.format {
        ReportFormat::Table => measure::table(measures).append(output.buffer()),
        ReportFormat::Json => {
            for measure in measures {
                report::append_line(output.buffer(), measure)?;
            }
        }
    }
    output.flush_to_reader().await?;
    Ok(Exit::Success)
}
