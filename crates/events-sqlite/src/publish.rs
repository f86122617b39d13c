//! Appends messages to a stream.

use rusqlite::{Connection, OptionalExtension, params};

use crate::error::Failure;
use crate::position::key;
use crate::stored::Stored;

/// Appends messages and returns the number of the first; the others follow it without a gap.
///
/// Numbers are given while the transaction holds the right to write, so their order is the order of the commits, and a
/// reader that has seen one number has seen all before it.
pub(crate) fn insert(
    connection: &Connection,
    stream: &str,
    messages: &[Stored],
    now: i64,
) -> Result<i64, Failure> {
    let count = messages.len() as i64;
    let numbered = connection
        .prepare_cached(
            "UPDATE streams SET last_seq = last_seq + ?1, last_at = max(last_at, ?2) WHERE name = ?3 \
             RETURNING id, last_seq, last_at",
        )?
        .query_row(params![count, now, stream], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let (stream_id, last_seq, published_at): (i64, i64, i64) = match numbered {
        Some(numbered) => numbered,
        None => {
            connection
                .prepare_cached("INSERT INTO streams (name, last_seq, last_at) VALUES (?1, ?2, ?3)")?
                .execute(params![stream, count, now])?;
            (connection.last_insert_rowid(), count, now)
        }
    };
    let first = last_seq - count + 1;
    let mut statement = connection
        .prepare_cached("INSERT INTO events (id, published_at, body, fields) VALUES (?1, ?2, ?3, ?4)")?;
    for (id, message) in (key(stream_id, first)..).zip(messages) {
        statement.execute(params![id, published_at, message.body, message.fields])?;
    }
    Ok(first)
}
