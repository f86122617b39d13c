//! Takes events for a consumer: first those whose lease has ended, then those nobody was given yet.

use events_core::DeadLetterReason;
use rusqlite::{Connection, OptionalExtension, params};

use crate::clock::NEVER;
use crate::dead_letters::{Burial, bury};
use crate::error::Failure;
use crate::history::{MOST_BYTES, Stream, before};
use crate::join::{Membership, Terms, due_no_later_than, join};
use crate::position::{key, seq};
use crate::reader::Verdict;
use crate::stored::Stored;

/// Most events of one claim, which keeps its transaction at a few milliseconds.
pub(crate) const MOST_EVENTS: usize = 1_024;

/// What a claim brought.
#[derive(Debug)]
pub(crate) struct Claim {
    /// The consumer's place, which is a new one where the group had to be made again.
    pub(crate) membership: Membership,
    pub(crate) events: Vec<Claimed>,
    /// Whether the claim ended for its size, so that an empty one does not mean that there is nothing.
    pub(crate) more: bool,
    /// Pending events that are in the stream no longer; they are pending no longer either.
    pub(crate) cleared: usize,
    /// Events that were delivered often enough.
    pub(crate) dead: usize,
}

/// One event that is the consumer's until its lease ends.
#[derive(Debug)]
pub(crate) struct Claimed {
    pub(crate) seq: i64,
    pub(crate) attempt: u32,
    pub(crate) published_at: i64,
    pub(crate) stored: Stored,
}

/// Where the group stands.
struct Group {
    position: i64,
    starts_at: i64,
    due_at: i64,
    last_seq: i64,
}

/// Takes up to `max` events.
pub(crate) fn claim(
    connection: &Connection,
    terms: &Terms,
    membership: Membership,
    max: usize,
    now: i64,
) -> Result<Claim, Failure> {
    let (membership, group) = match find(connection, &membership)? {
        Some(group) => (membership, group),
        None => {
            tracing::warn!(stream = %terms.stream, group = %terms.group, "the consumer group was gone and is made again");
            let membership = join(connection, terms, Some(&membership), now)?;
            let group = find(connection, &membership)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
            (membership, group)
        }
    };
    let mut claim = Claim {
        membership,
        events: Vec::with_capacity(max.min(MOST_EVENTS)),
        more: false,
        cleared: 0,
        dead: 0,
    };
    let max = max.min(MOST_EVENTS);
    if group.due_at <= now {
        claim.take_due(connection, terms, max, now)?;
    }
    if claim.handled() < max && group.position < group.last_seq {
        claim.take_new(connection, terms, &group, max, now)?;
    }
    if !claim.events.is_empty() {
        // Retention removes consumers that hold nothing, so the name is noted again with the first event in hand.
        connection
            .prepare_cached(
                "INSERT INTO consumers (id, group_id, name) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            )?
            .execute(params![membership.consumer_id, membership.group_id, terms.consumer])?;
    }
    Ok(claim)
}

/// Looks whether a claim would find something, without taking it.
pub(crate) fn is_ready(
    connection: &Connection,
    membership: &Membership,
    now: i64,
) -> Result<Verdict, Failure> {
    Ok(match find(connection, membership)? {
        Some(group) if group.due_at > now && group.position >= group.last_seq => {
            Verdict::NotBefore(group.due_at)
        }
        // A group that is gone is made again by the claim.
        _ => Verdict::Ready,
    })
}

fn find(connection: &Connection, membership: &Membership) -> Result<Option<Group>, Failure> {
    let mut statement = connection.prepare_cached(
        "SELECT g.position, g.starts_at, g.due_at, s.last_seq FROM consumer_groups g JOIN streams s ON s.id = g.stream_id \
         WHERE g.id = ?1 AND s.id = ?2",
    )?;
    let group = |row: &rusqlite::Row<'_>| {
        Ok(Group {
            position: row.get(0)?,
            starts_at: row.get(1)?,
            due_at: row.get(2)?,
            last_seq: row.get(3)?,
        })
    };
    Ok(statement.query_row([membership.group_id, membership.stream_id], group).optional()?)
}

impl Claim {
    /// Says in the log, and to whoever counts it, what no caller is told.
    pub(crate) fn report(&self, terms: &Terms) {
        let (stream, group) = (&terms.stream, &terms.group);
        if self.cleared > 0 {
            tracing::warn!(%stream, %group, count = self.cleared, "pending events are in the stream no longer");
        }
        if self.dead > 0 {
            tracing::warn!(%stream, %group, count = self.dead, "events without an attempt left are dead letters now");
            terms.observer.dead_lettered(DeadLetterReason::MaxDeliveries, self.dead as u64);
        }
    }

    fn handled(&self) -> usize {
        self.events.len() + self.cleared + self.dead
    }

    fn bytes(&self) -> usize {
        self.events.iter().map(|event| event.stored.bytes()).sum()
    }

    /// Takes over what is due, in the order of the stream, and remembers when the rest will be.
    fn take_due(
        &mut self,
        connection: &Connection,
        terms: &Terms,
        max: usize,
        now: i64,
    ) -> Result<(), Failure> {
        let Membership { stream_id, group_id, .. } = self.membership;
        let mut due: Vec<(i64, u32)> = Vec::new();
        let mut next_due = NEVER;
        let mut pending = connection
            .prepare_cached("SELECT seq, attempt, due_at FROM deliveries WHERE group_id = ?1 ORDER BY seq")?;
        let mut rows = pending.query([group_id])?;
        while let Some(row) = rows.next()? {
            let due_at: i64 = row.get(2)?;
            if due_at > now {
                next_due = next_due.min(due_at);
            } else if due.len() < max {
                due.push((row.get(0)?, row.get(1)?));
            } else {
                next_due = now;
                break;
            }
        }
        let mut bytes = 0;
        for (seq, attempt) in due {
            if bytes >= MOST_BYTES {
                (self.more, next_due) = (true, now);
                break;
            }
            if attempt >= terms.max_deliveries {
                let burial = Burial::lease_ended(terms.max_deliveries);
                if bury(connection, &self.membership, seq, &burial, now)? {
                    self.dead += 1;
                    continue;
                }
            }
            match stored(connection, key(stream_id, seq))? {
                Some((published_at, stored)) => {
                    bytes += stored.bytes();
                    self.events.push(Claimed { seq, attempt: attempt + 1, published_at, stored });
                    self.hold(connection, seq, attempt + 1, now.saturating_add(terms.lease), now)?;
                    next_due = next_due.min(now.saturating_add(terms.lease));
                }
                None => {
                    self.cleared += 1;
                    connection
                        .prepare_cached("DELETE FROM deliveries WHERE group_id = ?1 AND seq = ?2")?
                        .execute([group_id, seq])?;
                }
            }
        }
        self.more |= next_due <= now;
        connection
            .prepare_cached("UPDATE consumer_groups SET due_at = ?1 WHERE id = ?2")?
            .execute([next_due, group_id])?;
        Ok(())
    }

    fn hold(
        &self,
        connection: &Connection,
        seq: i64,
        attempt: u32,
        due_at: i64,
        now: i64,
    ) -> Result<(), Failure> {
        let Membership { group_id, consumer_id, .. } = self.membership;
        connection
            .prepare_cached(
                "UPDATE deliveries SET attempt = ?1, due_at = ?2, delivered_at = ?3, consumer_id = ?4, \
                 first_at = iif(?1 = 1, ?3, first_at) WHERE group_id = ?5 AND seq = ?6",
            )?
            .execute(params![attempt, due_at, now, consumer_id, group_id, seq])?;
        Ok(())
    }

    /// Takes what nobody was given yet and moves the group's position past it.
    fn take_new(
        &mut self,
        connection: &Connection,
        terms: &Terms,
        group: &Group,
        max: usize,
        now: i64,
    ) -> Result<(), Failure> {
        let Membership { stream_id, group_id, consumer_id, .. } = self.membership;
        let limit = max - self.handled();
        let after = if group.starts_at == 0 {
            group.position
        } else {
            let stream = Stream { id: stream_id, last_seq: group.last_seq };
            before(connection, &stream, group.starts_at, group.position)?
        };
        let first_new = self.events.len();
        let mut bytes = self.bytes();
        let mut statement = connection.prepare_cached(
            "SELECT id, published_at, body, fields FROM events WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3",
        )?;
        let mut rows =
            statement.query(params![key(stream_id, after), key(stream_id, group.last_seq), limit])?;
        // Numbers without an event were removed; past the last event there is nothing but those.
        let mut position = group.last_seq;
        while let Some(row) = rows.next()? {
            let (seq, stored) = (seq(row.get(0)?), Stored::from_row(row, 2)?);
            bytes += stored.bytes();
            self.events.push(Claimed { seq, attempt: 1, published_at: row.get(1)?, stored });
            if bytes >= MOST_BYTES || self.events.len() - first_new == limit {
                position = seq;
                break;
            }
        }
        self.more |= position < group.last_seq;
        if self.events.len() > first_new {
            let due_at = now.saturating_add(terms.lease);
            // One statement for all of them: SQLite's own loop is several times faster than one call per row.
            connection
                .prepare_cached(
                    "INSERT INTO deliveries (group_id, seq, attempt, due_at, delivered_at, consumer_id, first_at) \
                     SELECT ?1, id & 1099511627775, 1, ?2, ?3, ?4, ?3 FROM events WHERE id > ?5 AND id <= ?6 ORDER BY id",
                )?
                .execute(params![
                    group_id,
                    due_at,
                    now,
                    consumer_id,
                    key(stream_id, after),
                    key(stream_id, position)
                ])?;
            due_no_later_than(connection, group_id, due_at)?;
        }
        // Once past its first event a group has no use for the moment it was to start at.
        let starts_at = if self.events.len() > first_new { 0 } else { group.starts_at };
        connection
            .prepare_cached("UPDATE consumer_groups SET position = ?1, starts_at = ?2 WHERE id = ?3")?
            .execute([position, starts_at, group_id])?;
        Ok(())
    }
}

fn stored(connection: &Connection, key: i64) -> Result<Option<(i64, Stored)>, Failure> {
    let mut statement =
        connection.prepare_cached("SELECT published_at, body, fields FROM events WHERE id = ?1")?;
    Ok(statement.query_row([key], |row| Ok((row.get(0)?, Stored::from_row(row, 1)?))).optional()?)
}
