//! What a consumer group looks like from outside.

use std::time::Duration;

use events_core::{ConsumerStatus, GroupStatus, PendingEvent, Record, StreamState};
use rusqlite::{Connection, OptionalExtension, params};

use crate::clock;
use crate::error::Failure;
use crate::history::{Start, Stream, before, bounded, limit, record, records_after};
use crate::position::{key, message_id, seq};

/// How far each group of a stream is, ordered by name.
pub(crate) fn list(connection: &Connection, stream: &str, now: i64) -> Result<Vec<GroupStatus>, Failure> {
    let mut statement = connection.prepare_cached(
        "SELECT g.name, g.id, s.last_seq - g.position, g.position, count(d.seq), \
         (SELECT delivered_at FROM deliveries WHERE group_id = g.id ORDER BY seq LIMIT 1), \
         (SELECT e.published_at FROM deliveries o JOIN events e ON e.id = (s.id << 40) | o.seq \
          WHERE o.group_id = g.id ORDER BY o.seq LIMIT 1) \
         FROM streams s JOIN consumer_groups g ON g.stream_id = s.id LEFT JOIN deliveries d ON d.group_id = g.id \
         WHERE s.name = ?1 GROUP BY g.id ORDER BY g.name",
    )?;
    let groups = statement.query_map([stream], |row| {
        let delivered_at: Option<i64> = row.get(5)?;
        let oldest = delivered_at.map(|at| since(at, now));
        let mut group = GroupStatus::new(row.get::<_, String>(0)?, Some(row.get(2)?), row.get(4)?, oldest);
        group.oldest_pending_published_at = row.get::<_, Option<i64>>(6)?.map(clock::from_micros);
        group.last_delivered = Some(row.get(3)?).filter(|position| *position > 0).map(message_id);
        Ok((row.get(1)?, group))
    })?;
    let mut listed = Vec::new();
    for group in groups {
        let (id, mut group) = group?;
        group.consumers = consumers(connection, id, now)?;
        listed.push(group);
    }
    Ok(listed)
}

/// The consumers of a group, ordered by name; several that were opened under one name are one.
fn consumers(connection: &Connection, group: i64, now: i64) -> Result<Vec<ConsumerStatus>, Failure> {
    let mut statement = connection.prepare_cached(
        "SELECT c.name, count(d.seq), max(d.delivered_at) FROM consumers c \
         LEFT JOIN deliveries d ON d.group_id = c.group_id AND d.consumer_id = c.id \
         WHERE c.group_id = ?1 GROUP BY c.name ORDER BY c.name",
    )?;
    let consumers = statement.query_map([group], |row| {
        let mut consumer = ConsumerStatus::new(row.get::<_, String>(0)?, row.get(1)?);
        consumer.inactive = row.get::<_, Option<i64>>(2)?.map(|at| since(at, now));
        Ok(consumer)
    })?;
    Ok(consumers.collect::<rusqlite::Result<_>>()?)
}

/// Up to `max` events a group was given and has not settled, after the number `after`.
pub(crate) fn pending(
    connection: &Connection,
    stream: &str,
    group: &str,
    after: i64,
    max: usize,
    now: i64,
) -> Result<Vec<PendingEvent>, Failure> {
    let mut statement = connection.prepare_cached(
        "SELECT d.seq, d.attempt, c.name, d.delivered_at FROM streams s JOIN consumer_groups g ON g.stream_id = s.id \
         JOIN deliveries d ON d.group_id = g.id LEFT JOIN consumers c ON c.id = d.consumer_id \
         WHERE s.name = ?1 AND g.name = ?2 AND d.seq > ?3 ORDER BY d.seq LIMIT ?4",
    )?;
    let rows = statement.query_map(params![stream, group, after, limit(max)], |row| {
        let mut event = PendingEvent::new(message_id(row.get(0)?), row.get(1)?);
        event.consumer = row.get(2)?;
        event.idle = row.get::<_, Option<i64>>(3)?.map(|at| since(at, now));
        Ok(event)
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Removes the groups of a stream with what they hold, within the caller's transaction.
pub(crate) fn remove_groups(connection: &Connection, name: &str) -> Result<(), Failure> {
    let Some(stream) = Stream::find(connection, name)? else { return Ok(()) };
    for statement in [
        "DELETE FROM deliveries WHERE group_id IN (SELECT id FROM consumer_groups WHERE stream_id = ?1)",
        "DELETE FROM consumers WHERE group_id IN (SELECT id FROM consumer_groups WHERE stream_id = ?1)",
        "DELETE FROM consumer_groups WHERE stream_id = ?1",
    ] {
        connection.execute(statement, [stream.id])?;
    }
    Ok(())
}

/// Removes a stream with everything in it, within the caller's transaction.
pub(crate) fn remove_stream(connection: &Connection, name: &str) -> Result<(), Failure> {
    connection.execute("DELETE FROM dead_letters WHERE stream = ?1", [name])?;
    remove_groups(connection, name)?;
    let Some(stream) = Stream::find(connection, name)? else { return Ok(()) };
    let (first, last) = (key(stream.id, 0), key(stream.id, stream.last_seq));
    connection.execute("DELETE FROM events WHERE id > ?1 AND id <= ?2", [first, last])?;
    connection.execute("DELETE FROM streams WHERE id = ?1", [stream.id])?;
    Ok(())
}

fn since(moment: i64, now: i64) -> Duration {
    Duration::from_micros(u64::try_from(now.saturating_sub(moment)).unwrap_or(0))
}

/// All there is to know about a stream.
pub(crate) fn state(connection: &Connection, name: &str, now: i64) -> Result<StreamState, Failure> {
    let mut state = StreamState::new(name);
    state.groups = list(connection, name, now)?;
    let dead_letters = connection
        .prepare_cached("SELECT count(*) FROM dead_letters WHERE stream = ?1")?
        .query_row([name], |row| row.get(0))?;
    state.dead_letters = Some(dead_letters);
    state.length = Some(0);
    let Some(stream) = Stream::find(connection, name)? else { return Ok(state) };
    let first: Option<i64> = connection
        .prepare_cached("SELECT min(id) FROM events WHERE id > ?1 AND id <= ?2")?
        .query_row([key(stream.id, 0), key(stream.id, stream.last_seq)], |row| row.get(0))?;
    let first = first.map(seq);
    // Numbers have no gaps, and counting a long stream would take long.
    state.length = first.and_then(|first| u64::try_from(stream.last_seq - first + 1).ok()).or(Some(0));
    state.first_id = first.map(message_id);
    state.last_id = Some(stream.last_seq).filter(|last| *last > 0).map(message_id);
    Ok(state)
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
         WHERE d.group_id = ?2 AND d.seq > ?3 AND (d.due_at <= ?4 OR (d.given_back = 0 AND d.consumer_id IN \
          (SELECT id FROM consumers WHERE group_id = ?2 AND gone = 1))) ORDER BY d.seq LIMIT ?5",
    )?;
    let rows = statement.query_map(params![stream.id, group, after, now, limit(max)], record)?;
    let mut records = bounded(rows)?;
    if records.len() < max {
        records.extend(records_after(connection, stream, position.max(after), max - records.len())?);
    }
    Ok(records)
}
