//! `events dlq show`: everything that is known of dead letters, their bytes included.

use anyhow::Result;
use events_terminal::{Column, Exit, Shutdown, Table};

use super::Look;
use super::list::{Finding, print, time};
use super::selection::Found;
use crate::admin::Stream;
use crate::report::{self, ReportFormat};

pub(super) async fn show(stream: &Stream, flags: &Look, shutdown: &mut Shutdown) -> Result<Exit> {
    let found = flags.selection.find(stream, flags.limit.unwrap_or(usize::MAX), shutdown).await?;
    if found.is_empty() {
        tracing::error!("no dead letter of {} matches", stream.key);
        return Ok(Exit::Failure);
    }
    let mut out = Vec::new();
    for found in &found {
        match flags.format {
            ReportFormat::Table => append(&mut out, found),
            ReportFormat::Json => report::append_line(&mut out, &Finding::from(found))?,
        }
    }
    print(&out).await
}

/// A line for each thing, and bytes that are no text escaped.
fn append(out: &mut Vec<u8>, Found { letter, .. }: &Found) {
    let mut table = Table::new([Column::text(""), Column::text("")]);
    let mut line = |name: &str, value: String| table.push([name.to_owned(), value]);
    line("id", letter.id.to_string());
    line("reason", letter.reason.to_string());
    line("detail", letter.detail.clone().unwrap_or_default());
    line("attempts", letter.attempts.to_string());
    line("group", letter.group.clone());
    line("consumer", letter.consumer.clone());
    line("stream", letter.stream.clone());
    line("origin", letter.origin_id.to_string());
    line("published", letter.published_at.map_or_else(|| "?".to_owned(), time));
    line("died", time(letter.dead_at));
    for (name, value) in &letter.message.fields {
        line(&format!("field {}", text(name)), text(value));
    }
    table.append_rows(out);
    out.push(b'\n');
}

fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.escape_ascii().to_string(),
    }
}
