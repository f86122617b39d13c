//! `events pending`: who holds what is not settled.

mod events;

use std::num::NonZeroUsize;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use events_core::{ConsumerStatus, GroupStatus};
use events_terminal::{Column, ConnectionArgs, Exit, Shutdown, Table, parse_count};
use serde::Serialize;

use crate::admin::{Stream, ask};
use crate::report::{self, ReportFormat};
use crate::watch::{Watch, WatchArgs};

const HELP: &str = "\
PENDING   events the consumer was given last and has not settled
IDLE      time since it last asked for events; - where the broker does not note that
INACTIVE  time since it was last given one; - when it never was

A consumer that holds events and has not asked for longer than the lease hangs or is dead; the others of its group take over.

With --events, for each event that is not settled:

CONSUMER    who was given it last; - where it was given back and the broker has forgotten
DELIVERIES  how often it was delivered; at the limit it becomes a dead letter
IDLE        time since it was last delivered, or its lease extended; - where the broker has forgotten";

/// How to show who holds what.
#[derive(Args, Debug)]
#[command(args_override_self = true, after_help = HELP)]
pub(crate) struct Pending {
    /// Only of this group; may be repeated
    #[arg(long, value_name = "GROUP")]
    group: Vec<String>,

    /// Show the events, oldest first, instead of how many each consumer holds
    #[arg(long)]
    events: bool,

    /// The most events to show of each group
    #[arg(long, value_name = "N", value_parser = parse_count::<NonZeroUsize>, default_value = "100", requires = "events")]
    limit: NonZeroUsize,

    /// How it is printed
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,

    #[command(flatten)]
    watch: WatchArgs,

    #[command(flatten)]
    connection: ConnectionArgs,
}

/// A consumer as programs read it.
#[derive(Serialize)]
struct Finding<'c> {
    group: &'c str,
    consumer: &'c str,
    pending: u64,
    idle_seconds: Option<f64>,
    inactive_seconds: Option<f64>,
}

pub(crate) async fn run(flags: &Pending, mut shutdown: Shutdown) -> Result<Exit> {
    let stream = Stream::open(&flags.connection, &mut shutdown).await?;
    let watched = watch(&stream, flags, &mut shutdown).await;
    stream.close_after(watched).await
}

async fn watch(stream: &Stream, flags: &Pending, shutdown: &mut Shutdown) -> Result<Exit> {
    let mut watch = Watch::new(&flags.watch);
    loop {
        let look = if flags.events {
            events::look(stream, flags, shutdown).await?
        } else {
            consumers(stream, flags, shutdown).await?
        };
        if !watch.show(&look).await? || !watch.again(shutdown).await {
            return Ok(Exit::Success);
        }
    }
}

/// The groups that are meant. One that is asked for and is not there is named: it may be misspelled.
async fn groups(stream: &Stream, flags: &Pending, shutdown: &mut Shutdown) -> Result<Vec<GroupStatus>> {
    let mut groups = ask(shutdown, || stream.admin.state()).await?.groups;
    for missing in flags.group.iter().filter(|name| !groups.iter().any(|group| group.name == **name)) {
        let known: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        tracing::warn!("no consumer group {missing} reads {}; there are: {known}", stream.key);
    }
    groups.retain(|group| flags.group.is_empty() || flags.group.contains(&group.name));
    Ok(groups)
}

async fn consumers(stream: &Stream, flags: &Pending, shutdown: &mut Shutdown) -> Result<Vec<u8>> {
    let groups = groups(stream, flags, shutdown).await?;
    let consumers: Vec<(&GroupStatus, &ConsumerStatus)> = (groups.iter())
        .flat_map(|group| group.consumers.iter().map(move |consumer| (group, consumer)))
        .filter(|(_, consumer)| consumer.pending > 0)
        .collect();
    Ok(match flags.format {
        ReportFormat::Table if consumers.is_empty() => {
            // Not every broker knows its consumers by name, and what was given back may be in nobody's hands.
            let pending: u64 = groups.iter().map(|group| group.pending).sum();
            let rest = if pending > 0 { format!("; {pending} are pending") } else { String::new() };
            format!("no consumer of {} is known to hold anything{rest}\n", stream.key).into_bytes()
        }
        ReportFormat::Table => table(&consumers),
        ReportFormat::Json => lines(&consumers)?,
    })
}

fn table(consumers: &[(&GroupStatus, &ConsumerStatus)]) -> Vec<u8> {
    let mut table = Table::new([
        Column::text("GROUP"),
        Column::text("CONSUMER"),
        Column::number("PENDING"),
        Column::number("IDLE"),
        Column::number("INACTIVE"),
    ]);
    let age = |age: Option<Duration>| age.map_or_else(|| "-".to_owned(), report::age);
    for (group, consumer) in consumers {
        let pending = consumer.pending.to_string();
        let ages = (age(consumer.idle), age(consumer.inactive));
        table.push([group.name.clone(), consumer.name.clone(), pending, ages.0, ages.1]);
    }
    let mut out = Vec::new();
    table.append(&mut out);
    out
}

fn lines(consumers: &[(&GroupStatus, &ConsumerStatus)]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    for (group, consumer) in consumers {
        let finding = Finding {
            group: &group.name,
            consumer: &consumer.name,
            pending: consumer.pending,
            idle_seconds: consumer.idle.map(|age| age.as_secs_f64()),
            inactive_seconds: consumer.inactive.map(|age| age.as_secs_f64()),
        };
        report::append_line(&mut out, &finding)?;
    }
    Ok(out)
}
