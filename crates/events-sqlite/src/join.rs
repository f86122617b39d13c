//! How a consumer becomes a member of its group, and becomes one again when the group was deleted under it.

use std::sync::Arc;

use events_core::Observer;
use rusqlite::{Connection, OptionalExtension, params};

use crate::clock::NEVER;
use crate::due::look_no_later_than;
use crate::error::Failure;
use crate::history::{Start, Stream};

/// Most rows a consumer that goes looks at.
const MOST_LOOKED_AT: i64 = 1_024;

/// What a consumer asked for when it was opened.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) stream: Arc<str>,
    pub(crate) group: Box<str>,
    pub(crate) consumer: Box<str>,
    pub(crate) start: Start,
    /// In microseconds.
    pub(crate) lease: i64,
    pub(crate) max_deliveries: u32,
    pub(crate) observer: Arc<dyn Observer>,
}

/// A consumer's place in its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Membership {
    pub(crate) stream_id: i64,
    pub(crate) group_id: i64,
    /// New for every consumer that is opened, whatever its name: together with the attempt it tells two holders apart.
    pub(crate) consumer_id: i64,
    /// Everything up to this number was settled in the group when the consumer joined.
    pub(crate) start: i64,
}

/// Makes the stream and the group where they are missing, and the consumer a member.
///
/// A consumer that was a member `before` finds a group gone that nobody but an operator deletes. It starts again where the
/// group stood when it joined, so that nothing published since is lost; in a new stream that is the beginning.
pub(crate) fn join(
    connection: &Connection,
    terms: &Terms,
    before: Option<&Membership>,
    now: i64,
) -> Result<Membership, Failure> {
    connection
        .prepare_cached(
            "INSERT INTO streams (name, last_seq, last_at) VALUES (?1, 0, 0) ON CONFLICT DO NOTHING",
        )?
        .execute([&terms.stream])?;
    let stream = Stream::find(connection, &terms.stream)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    let (group_id, start) = match find_group(connection, &stream, &terms.group)? {
        Some(found) => found,
        None => {
            let start = match before {
                Some(before) if before.stream_id == stream.id => before.start.min(stream.last_seq),
                Some(_) => 0,
                None => terms.start.resolve(connection, &stream)?,
            };
            connection
                .prepare_cached(
                    "INSERT INTO consumer_groups (stream_id, name, position, starts_at, due_at) \
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![stream.id, terms.group, start, terms.start.moment(), NEVER])?;
            (connection.last_insert_rowid(), start)
        }
    };
    take_over(connection, group_id, &terms.consumer, now)?;
    connection
        .prepare_cached("INSERT INTO consumers (group_id, name) VALUES (?1, ?2)")?
        .execute(params![group_id, terms.consumer])?;
    Ok(Membership { stream_id: stream.id, group_id, consumer_id: connection.last_insert_rowid(), start })
}

/// The group's id, and the number up to which everything is settled in it.
fn find_group(connection: &Connection, stream: &Stream, name: &str) -> Result<Option<(i64, i64)>, Failure> {
    let mut statement = connection.prepare_cached(
        "SELECT g.id, coalesce((SELECT min(d.seq) - 1 FROM deliveries d WHERE d.group_id = g.id), g.position) \
         FROM consumer_groups g WHERE g.stream_id = ?1 AND g.name = ?2",
    )?;
    Ok(statement.query_row(params![stream.id, name], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// What a former consumer of the same name still holds is due at once: no two live consumers may share a name, so the
/// former one is gone. It may hold a million events, so they are not touched here; the look for leases that ended knows.
fn take_over(connection: &Connection, group_id: i64, consumer: &str, now: i64) -> Result<(), Failure> {
    let gone = connection
        .prepare_cached("UPDATE consumers SET gone = 1 WHERE group_id = ?1 AND name = ?2 AND gone = 0")?
        .execute(params![group_id, consumer])?;
    if gone > 0 {
        look_no_later_than(connection, group_id, now)?;
    }
    Ok(())
}

/// Removes the consumer from the file if nothing refers to it any more; where much is pending nobody waits until all of it
/// was looked at, and retention does so later.
pub(crate) fn leave(connection: &Connection, membership: &Membership) -> Result<(), Failure> {
    connection
        .prepare_cached(
            "DELETE FROM consumers WHERE id = ?1 AND \
             (SELECT count(*) < ?3 AND coalesce(max(consumer_id = ?1), 0) = 0 \
              FROM (SELECT consumer_id FROM deliveries WHERE group_id = ?2 LIMIT ?3))",
        )?
        .execute([membership.consumer_id, membership.group_id, MOST_LOOKED_AT])?;
    Ok(())
}
