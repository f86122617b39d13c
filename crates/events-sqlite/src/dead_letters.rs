//! The dead letters: how an event gets there, is shown, and comes back.

use events_core::{DeadLetter, DeadLetterReason};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::clock;
use crate::error::Failure;
use crate::history::limit;
use crate::join::Membership;
use crate::position::{self, key};
use crate::publish;
use crate::stored::Stored;

/// Why an event is taken out of its group's way.
#[derive(Clone, Debug)]
pub(crate) struct Burial {
    pub(crate) reason: DeadLetterReason,
    /// In words; without any, the last error that was reported for the event stands in.
    pub(crate) detail: Option<String>,
    /// Said when there is neither.
    otherwise: Option<String>,
}

impl Burial {
    pub(crate) fn new(reason: DeadLetterReason, detail: Option<String>) -> Self {
        Self { reason, detail, otherwise: None }
    }

    /// Nobody settled the last attempt.
    pub(crate) fn lease_ended(max_deliveries: u32) -> Self {
        let otherwise = format!("the lease of delivery {max_deliveries} ended, and no more are allowed");
        Self { reason: DeadLetterReason::MaxDeliveries, detail: None, otherwise: Some(otherwise) }
    }
}

/// Moves a pending event to the dead letters, within the caller's transaction; `false` when there is no event to move.
pub(crate) fn bury(
    connection: &Connection,
    membership: &Membership,
    seq: i64,
    burial: &Burial,
    now: i64,
) -> Result<bool, Failure> {
    let Membership { stream_id, group_id, .. } = *membership;
    let copied = connection
        .prepare_cached(
            "INSERT INTO dead_letters (stream, group_id, group_name, seq, consumer, reason, detail, attempts, \
             published_at, first_at, last_at, dead_at, body, fields) \
             SELECT s.name, g.id, g.name, d.seq, coalesce(c.name, ''), ?1, coalesce(?2, d.error, ?3), d.attempt, \
             e.published_at, d.first_at, d.delivered_at, ?4, e.body, e.fields \
             FROM deliveries d JOIN consumer_groups g ON g.id = d.group_id JOIN streams s ON s.id = g.stream_id \
             JOIN events e ON e.id = ?5 LEFT JOIN consumers c ON c.id = d.consumer_id \
             WHERE d.group_id = ?6 AND d.seq = ?7",
        )?
        .execute(params![
            burial.reason.as_str(),
            burial.detail,
            burial.otherwise,
            now,
            key(stream_id, seq),
            group_id,
            seq
        ])?;
    if copied > 0 {
        connection
            .prepare_cached("DELETE FROM deliveries WHERE group_id = ?1 AND seq = ?2")?
            .execute([group_id, seq])?;
    }
    Ok(copied > 0)
}

/// Up to `max` dead letters of a stream after the id `after`.
pub(crate) fn list(
    connection: &Connection,
    stream: &str,
    after: i64,
    max: usize,
) -> Result<Vec<DeadLetter>, Failure> {
    let mut statement = connection.prepare_cached(
        "SELECT id, reason, detail, attempts, stream, group_name, consumer, seq, published_at, first_at, last_at, \
         dead_at, body, fields FROM dead_letters WHERE stream = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
    )?;
    let letters = statement.query_map(params![stream, after, limit(max)], letter)?;
    Ok(letters.collect::<rusqlite::Result<_>>()?)
}

fn letter(row: &Row<'_>) -> rusqlite::Result<DeadLetter> {
    let reason: String = row.get(1)?;
    Ok(DeadLetter {
        id: position::message_id(row.get(0)?),
        reason: reason.parse().map_err(|error: events_core::Error| {
            rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, error.into())
        })?,
        detail: row.get(2)?,
        attempts: row.get(3)?,
        stream: row.get(4)?,
        group: row.get(5)?,
        consumer: row.get(6)?,
        origin_id: position::message_id(row.get(7)?),
        published_at: Some(clock::from_micros(row.get(8)?)),
        first_delivered_at: row.get::<_, Option<i64>>(9)?.map(clock::from_micros),
        last_delivered_at: row.get::<_, Option<i64>>(10)?.map(clock::from_micros),
        dead_at: clock::from_micros(row.get(11)?),
        message: Stored::from_row(row, 12)?.to_raw(),
    })
}

/// Deletes dead letters of a stream and returns how many there were.
pub(crate) fn purge(connection: &Connection, stream: &str, ids: &[i64]) -> Result<u64, Failure> {
    let mut statement =
        connection.prepare_cached("DELETE FROM dead_letters WHERE id = ?1 AND stream = ?2")?;
    let mut purged = 0;
    for id in ids {
        purged += statement.execute(params![id, stream])? as u64;
    }
    Ok(purged)
}

/// Gives dead letters of a stream back to the group they failed in, and returns how many there were.
pub(crate) fn redrive(connection: &Connection, stream: &str, ids: &[i64], now: i64) -> Result<u64, Failure> {
    let mut redriven = 0;
    for id in ids {
        let found = connection
            .prepare_cached(
                "SELECT d.group_id, d.seq, g.stream_id FROM dead_letters d \
                 LEFT JOIN consumer_groups g ON g.id = d.group_id WHERE d.id = ?1 AND d.stream = ?2",
            )?
            .query_row(params![id, stream], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        match found {
            None => continue,
            Some((group_id, seq, Some(stream_id))) => {
                give_back(connection, *id, group_id, key(stream_id, seq), seq, now)?;
            }
            // The group is gone, and with it the knowledge of who has handled the event.
            Some((_, _, None)) => append(connection, stream, *id, now)?,
        }
        redriven += purge(connection, stream, &[*id])?;
    }
    Ok(redriven)
}

/// Makes the event pending again as if it had never been delivered; what retention removed meanwhile is put back in its place.
fn give_back(
    connection: &Connection,
    id: i64,
    group_id: i64,
    event: i64,
    seq: i64,
    now: i64,
) -> Result<(), Failure> {
    connection
        .prepare_cached(
            "INSERT INTO events (id, published_at, body, fields) \
             SELECT ?1, published_at, body, fields FROM dead_letters WHERE id = ?2 ON CONFLICT DO NOTHING",
        )?
        .execute([event, id])?;
    connection
        .prepare_cached(
            "INSERT INTO deliveries (group_id, seq, attempt, due_at, delivered_at, consumer_id, given_back) \
             VALUES (?1, ?2, 0, ?3, ?3, 0, 1) ON CONFLICT DO NOTHING",
        )?
        .execute([group_id, seq, now])?;
    Ok(())
}

fn append(connection: &Connection, stream: &str, id: i64, now: i64) -> Result<(), Failure> {
    let stored = connection
        .prepare_cached("SELECT body, fields FROM dead_letters WHERE id = ?1")?
        .query_row([id], |row| Stored::from_row(row, 0))?;
    publish::insert(connection, stream, &[stored], now).map(drop)
}
