//! `events groups`: how far each consumer group is.

use anyhow::Result;
use clap::Args;
use events_core::GroupStatus;
use events_terminal::{Column, ConnectionArgs, Exit, Shutdown, Table};
use serde::Serialize;

use crate::admin::{Stream, ask};
use crate::report::{self, ReportFormat};
use crate::watch::{Watch, WatchArgs};

const HELP: &str = "\
LAG      events never delivered to the group; ? where the broker cannot tell
PENDING  events delivered and neither acknowledged nor dead-lettered
OLDEST   time since the oldest pending event was last delivered; ? where the broker cannot tell";

/// How to show the groups.
#[derive(Args, Debug)]
#[command(args_override_self = true, after_help = HELP)]
pub(crate) struct Groups {
    /// How they are printed
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,

    #[command(flatten)]
    watch: WatchArgs,

    #[command(flatten)]
    connection: ConnectionArgs,
}

/// A group as programs read it.
#[derive(Serialize)]
struct Finding<'g> {
    group: &'g str,
    lag: Option<u64>,
    pending: u64,
    oldest_pending_seconds: Option<f64>,
}

pub(crate) async fn run(flags: &Groups, mut shutdown: Shutdown) -> Result<Exit> {
    let stream = Stream::open(&flags.connection, &mut shutdown).await?;
    let watched = watch(&stream, flags, &mut shutdown).await;
    stream.close_after(watched).await
}

async fn watch(stream: &Stream, flags: &Groups, shutdown: &mut Shutdown) -> Result<Exit> {
    let mut watch = Watch::new(&flags.watch);
    loop {
        let groups = ask(shutdown, || stream.admin.state()).await?.groups;
        let look = match (flags.format, groups.is_empty()) {
            (ReportFormat::Table, true) => format!("no consumer group reads {}\n", stream.key).into_bytes(),
            (ReportFormat::Table, false) => table(&groups),
            (ReportFormat::Json, _) => lines(&groups)?,
        };
        if !watch.show(&look).await? || !watch.again(shutdown).await {
            return Ok(Exit::Success);
        }
    }
}

fn table(groups: &[GroupStatus]) -> Vec<u8> {
    let mut table = Table::new([
        Column::text("GROUP"),
        Column::number("LAG"),
        Column::number("PENDING"),
        Column::number("OLDEST"),
    ]);
    for group in groups {
        let lag = group.lag.map_or_else(|| "?".to_owned(), |lag| lag.to_string());
        let oldest = match group.oldest_pending {
            Some(age) => report::age(age),
            None if group.pending > 0 => "?".to_owned(),
            None => "-".to_owned(),
        };
        table.push([group.name.clone(), lag, group.pending.to_string(), oldest]);
    }
    let mut out = Vec::new();
    table.append(&mut out);
    out
}

fn lines(groups: &[GroupStatus]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    for group in groups {
        let finding = Finding {
            group: &group.name,
            lag: group.lag,
            pending: group.pending,
            oldest_pending_seconds: group.oldest_pending.map(|age| age.as_secs_f64()),
        };
        report::append_line(&mut out, &finding)?;
    }
    Ok(out)
}
