//! `events pending`: who holds what is not settled.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use events_core::{ConsumerStatus, GroupStatus};
use events_terminal::{Column, ConnectionArgs, Exit, Shutdown, Table};
use serde::Serialize;

use crate::admin::{Stream, ask};
use crate::report::{self, ReportFormat};
use crate::watch::{Watch, WatchArgs};

const HELP: &str = "\
PENDING   events the consumer was given last and has not settled
IDLE      time since it last asked for events; - where the broker does not note that
INACTIVE  time since it was last given one; - when it never was

A consumer that holds events and has not asked for longer than the lease hangs or is dead; the others of its group take over.";

/// How to show who holds what.
#[derive(Args, Debug)]
#[command(args_override_self = true, after_help = HELP)]
pub(crate) struct Pending {
    /// Only of this group; may be repeated
    #[arg(long, value_name = "GROUP")]
    group: Vec<String>,

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
        let state = ask(shutdown, || stream.admin.state()).await?;
        let is_meant = |group: &&GroupStatus| flags.group.is_empty() || flags.group.contains(&group.name);
        let consumers: Vec<(&GroupStatus, &ConsumerStatus)> = (state.groups.iter())
            .filter(is_meant)
            .flat_map(|group| group.consumers.iter().map(move |consumer| (group, consumer)))
            .filter(|(_, consumer)| consumer.pending > 0)
            .collect();
        let look = match flags.format {
            ReportFormat::Table if consumers.is_empty() => {
                format!("no consumer of {} is known to hold anything\n", stream.key).into_bytes()
            }
            ReportFormat::Table => table(&consumers),
            ReportFormat::Json => lines(&consumers)?,
        };
        if !watch.show(&look).await? || !watch.again(shutdown).await {
            return Ok(Exit::Success);
        }
    }
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
