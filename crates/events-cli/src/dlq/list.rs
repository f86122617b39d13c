//! `events dlq list`: one line for each dead letter.

use anyhow::Result;
use events_core::wire;
use events_terminal::{Column, Exit, Output, Shutdown, Table};
use serde::Serialize;
use time::OffsetDateTime;

use super::Look;
use super::selection::Found;
use crate::admin::Stream;
use crate::report::{self, ReportFormat};

/// How much of a detail fits beside the rest; `show` has all of it.
const DETAIL: usize = 60;

pub(super) async fn list(stream: &Stream, flags: &Look, shutdown: &mut Shutdown) -> Result<Exit> {
    let found = flags.selection.find(stream, flags.limit.unwrap_or(usize::MAX), shutdown).await?;
    let mut out = Vec::new();
    match flags.format {
        ReportFormat::Table if found.is_empty() && flags.selection.is_narrow() => {
            out.extend_from_slice(b"no dead letter matches\n");
        }
        ReportFormat::Table if found.is_empty() => {
            out.extend_from_slice(format!("no dead letters in {}\n", stream.key).as_bytes());
        }
        ReportFormat::Table => table(&found).append(&mut out),
        ReportFormat::Json => {
            for found in &found {
                report::append_line(&mut out, &Finding::from(found))?;
            }
        }
    }
    print(&out).await
}

/// Prints what was found.
pub(super) async fn print(text: &[u8]) -> Result<Exit> {
    let mut output = Output::new();
    output.buffer().extend_from_slice(text);
    output.flush_to_reader().await?;
    Ok(Exit::Success)
}

pub(super) fn table(found: &[Found]) -> Table {
    let mut table = Table::new([
        Column::text("ID"),
        Column::text("GROUP"),
        Column::text("REASON"),
        Column::number("ATTEMPTS"),
        Column::number("AGE"),
        Column::text("TYPE"),
        Column::text("SOURCE"),
        Column::text("DETAIL"),
    ]);
    let now = OffsetDateTime::now_utc();
    for Found { letter, event } in found {
        let of_event = |field: Option<&str>| field.unwrap_or("-").to_owned();
        table.push([
            letter.id.to_string(),
            letter.group.clone(),
            letter.reason.to_string(),
            letter.attempts.to_string(),
            report::age((now - letter.dead_at).try_into().unwrap_or_default()),
            of_event(event.as_ref().map(|event| event.event_type())),
            of_event(event.as_ref().map(|event| event.source())),
            shortened(letter.detail.as_deref().unwrap_or_default()),
        ]);
    }
    table
}

fn shortened(detail: &str) -> String {
    match detail.char_indices().nth(DETAIL) {
        Some((at, _)) => format!("{}…", &detail[..at]),
        None => detail.to_owned(),
    }
}

/// A dead letter as programs read it.
#[derive(Serialize)]
pub(super) struct Finding<'l> {
    id: &'l str,
    group: &'l str,
    reason: &'static str,
    detail: Option<&'l str>,
    attempts: u32,
    stream: &'l str,
    consumer: &'l str,
    origin_id: &'l str,
    published_at: Option<String>,
    dead_at: String,
    event_type: Option<&'l str>,
    source: Option<&'l str>,
    /// The bytes as text, and so not quite what they are where they are none.
    fields: Vec<(String, String)>,
}

impl<'l> From<&'l Found> for Finding<'l> {
    fn from(Found { letter, event }: &'l Found) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            id: letter.id.as_str(),
            group: &letter.group,
            reason: letter.reason.as_str(),
            detail: letter.detail.as_deref(),
            attempts: letter.attempts,
            stream: &letter.stream,
            consumer: &letter.consumer,
            origin_id: letter.origin_id.as_str(),
            published_at: letter.published_at.map(time),
            dead_at: time(letter.dead_at),
            event_type: event.as_ref().map(|event| event.event_type()),
            source: event.as_ref().map(|event| event.source()),
            fields: letter.message.fields.iter().map(|(name, value)| (text(name), text(value))).collect(),
        }
    }
}

/// A time as events spell it.
pub(super) fn time(time: OffsetDateTime) -> String {
    let mut out = Vec::new();
    wire::append_timestamp(&mut out, time);
    String::from_utf8_lossy(&out).into_owned()
}
