//! What a consumer group looks like from outside.

use std::time::Duration;

use events_core::{GroupStatus, Record};
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::Failure;
use crate::history::{Start, Stream, before, bounded, record, records_after};

/// How far each group of a stream is, ordered by name.
pub(crate) fn list(connection: &Connection, stream: &str, now: i64) -> Result<Vec<GroupStatus>, Failure> {
    let mut statement = connection.prepare_cached(
        "SELECT g.name, s.last_seq - g.position, count(d.seq), min(d.delivered_at) \
         FROM streams s JOIN consumer_groups g ON g.stream_id = s.id LEFT JOIN deliveries d ON d.group_id = g.id \
         WHERE s.name = ?1 GROUP BY g.id ORDER BY g.name",
    )?;
    let groups = statement.query_map([stream], |row| {
        let delivered_at: Option<i64> = row.get(3)?;
        let oldest =
            delivered_at.map(|at| Duration::from_micros(u64::try_from(now.saturating_sub(at)).unwrap_or(0)));
        Ok(GroupStatus::new(row.get::<_, String>(0)?, Some(row.get(1)?), row.get(2)?, oldest))
    })?;
    Ok(groups.collect::<rusqlite::Result<_>>()?)
}

/// What `group` would be given after `after`: what is due of what it was given before, then what it was never given.
pub(crate) fn peek(
    connection: &Connection,
    stream: &Stream,
    group: &str,
    start: Start,
    after: i64,
    max: usize,
    now: i64,
) -> Result<Vec<Record>, Failure> {
    let found = connection
        .prepare_cached(
            "SELECT id, position, starts_at FROM consumer_groups WHERE stream_id = ?1 AND name = ?2",
        )?
        .query_row(params![stream.id, group], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let (group, position): (Option<i64>, i64) = match found {
        Some((group, position, starts_at)) => (Some(group), before(connection, stream, starts_at, position)?),
        None => (None, start.resolve(connection, stream)?),
    };
    // What is pending was handed out before, so all of it comes before what was not.
    let mut statement = connection.prepare_cached(
        "SELECT e.id, e.published_at, e.body, e.fields \
         FROM deliveries d JOIN events e ON e.id = (?1 << 40) | d.seq \
         WHERE d.group_id = ?2 AND d.seq > ?3 AND d.due_at <= ?4 ORDER BY d.seq LIMIT ?5",
    )?;
    let rows = statement.query_map(params![stream.id, group, after, now, max], record)?;
    let mut records = bounded(rows)?;
    if records.len() < max {
        records.extend(records_after(connection, stream, position.max(after), max - records.len())?);
    }
    Ok(records)
}
