//! `events pending --events`: the events that are not settled, one by one.

use anyhow::Result;
use events_core::PendingEvent;
use events_terminal::{Column, Shutdown, Table};
use serde::Serialize;

use super::Pending;
use crate::admin::{Stream, ask};
use crate::report::{self, ReportFormat};

/// An event as programs read it.
#[derive(Serialize)]
struct Finding<'e> {
    group: &'e str,
    id: &'e str,
    consumer: Option<&'e str>,
    deliveries: u32,
    idle_seconds: Option<f64>,
}

pub(super) async fn look(stream: &Stream, flags: &Pending, shutdown: &mut Shutdown) -> Result<Vec<u8>> {
    let mut found: Vec<(String, PendingEvent)> = Vec::new();
    let mut left_out = 0;
    for group in super::groups(stream, flags, shutdown).await? {
        let name = group.name.as_str();
        let events = ask(shutdown, || stream.admin.pending(name, None, flags.limit)).await?;
        left_out += group.pending.saturating_sub(events.len() as u64);
        found.extend(events.into_iter().map(|event| (group.name.clone(), event)));
    }
    let mut out = Vec::new();
    match flags.format {
        ReportFormat::Table if found.is_empty() => {
            out = format!("nothing of {} is pending\n", stream.key).into_bytes();
        }
        ReportFormat::Table => {
            table(&found).append(&mut out);
            if left_out > 0 {
                out.extend_from_slice(format!("and {left_out} more; see --limit\n").as_bytes());
            }
        }
        ReportFormat::Json => {
            for (group, event) in &found {
                report::append_line(&mut out, &finding(group, event))?;
            }
        }
    }
    Ok(out)
}

fn table(events: &[(String, PendingEvent)]) -> Table {
    let mut table = Table::new([
        Column::text("GROUP"),
        Column::text("ID"),
        Column::text("CONSUMER"),
        Column::number("DELIVERIES"),
        Column::number("IDLE"),
    ]);
    for (group, event) in events {
        let unknown = || "-".to_owned();
        table.push([
            group.clone(),
            event.message_id.to_string(),
            event.consumer.clone().unwrap_or_else(unknown),
            event.deliveries.to_string(),
            event.idle.map_or_else(unknown, report::age),
        ]);
    }
    table
}

fn finding<'e>(group: &'e str, event: &'e PendingEvent) -> Finding<'e> {
    Finding {
        group,
        id: event.message_id.as_str(),
        consumer: event.consumer.as_deref(),
        deliveries: event.deliveries,
        idle_seconds: event.idle.map(|idle| idle.as_secs_f64()),
    }
}
