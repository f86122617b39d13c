//! Takes events for a consumer: first those that were given back, then those whose lease has ended, then those nobody was
//! given yet.

use events_core::DeadLetterReason;
use rusqlite::{Connection, OptionalExtension, params};

use crate::clock::NEVER;
use crate::dead_letters::{Burial, bury};
use crate::due::{Due, Look, given_back, look_no_later_than};
use crate::error::Failure;
use crate::history::{MOST_BYTES, Stream, before};
use crate::join::{Membership, Terms, join};
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
    last_seq: i64,
    /// When the first of what was given back is due.
    given_back_at: i64,
    look: Look,
}

impl Group {
    /// The first moment at which something that was given before can be due.
    fn due_at(&self) -> i64 {
        self.given_back_at.min(self.look.due_at)
    }
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
    if group.given_back_at <= now {
        let due = given_back(connection, membership.group_id, max, now)?;
        claim.redeliver(connection, terms, &due, now)?;
        claim.more |= due.len() == max;
    }
    if claim.has_room(max) && group.look.due_at <= now {
        claim.look(connection, terms, group.look, max, now)?;
    }
    claim.events.sort_unstable_by_key(|event| event.seq);
    if claim.has_room(max) && group.position < group.last_seq {
        claim.take_new(connection, terms, &group, max, now)?;
    }
    if !claim.events.is_empty() {
        look_no_later_than(connection, membership.group_id, now.saturating_add(terms.lease))?;
        // Retention removes consumers that hold nothing, so the name is noted again with the first event in hand; and whoever
        // claims is not gone.
        connection
            .prepare_cached(
                "INSERT INTO consumers (id, group_id, name) VALUES (?1, ?2, ?3) \
                 ON CONFLICT DO UPDATE SET gone = 0 WHERE gone = 1",
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
        Some(group) if group.due_at() > now && group.position >= group.last_seq => {
            Verdict::NotBefore(group.due_at())
        }
        // A group that is gone is made again by the claim.
        _ => Verdict::Ready,
    })
}

fn find(connection: &Connection, membership: &Membership) -> Result<Option<Group>, Failure> {
    let mut statement = connection.prepare_cached(
        "SELECT g.position, g.starts_at, s.last_seq, g.due_at, g.looked_to, g.next_due, \
         (SELECT d.due_at FROM deliveries d INDEXED BY deliveries_given_back \
          WHERE d.group_id = g.id AND d.given_back = 1 ORDER BY d.due_at LIMIT 1) \
         FROM consumer_groups g JOIN streams s ON s.id = g.stream_id WHERE g.id = ?1 AND s.id = ?2",
    )?;
    let group = |row: &rusqlite::Row<'_>| {
        Ok(Group {
            position: row.get(0)?,
            starts_at: row.get(1)?,
            last_seq: row.get(2)?,
            given_back_at: row.get::<_, Option<i64>>(6)?.unwrap_or(NEVER),
            look: Look { due_at: row.get(3)?, looked_to: row.get(4)?, next_due: row.get(5)? },
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

    /// Whether there is room for another event.
    fn has_room(&self, max: usize) -> bool {
        self.handled() < max && self.bytes() < MOST_BYTES
    }

    /// Takes over what a step of the look for leases that ended brings.
    fn look(
        &mut self,
        connection: &Connection,
        terms: &Terms,
        mut look: Look,
        max: usize,
        now: i64,
    ) -> Result<(), Failure> {
        let room = max - self.handled();
        let due = look.step(connection, self.membership.group_id, room, now)?;
        if let Some(left) = self.redeliver(connection, terms, &due, now)? {
            look.go_back_to(left.seq, now);
        }
        self.more |= due.len() == room;
        look.save(connection, self.membership.group_id)
    }

    /// Takes over what is due, until it is many bytes; returns the first that is left then.
    fn redeliver(
        &mut self,
        connection: &Connection,
        terms: &Terms,
        due: &[Due],
        now: i64,
    ) -> Result<Option<Due>, Failure> {
        let Membership { stream_id, group_id, .. } = self.membership;
        let mut bytes = self.bytes();
        for due @ Due { seq, attempt } in due.iter().copied() {
            if bytes >= MOST_BYTES {
                self.more = true;
                return Ok(Some(due));
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
                }
                None => {
                    self.cleared += 1;
                    connection
                        .prepare_cached("DELETE FROM deliveries WHERE group_id = ?1 AND seq = ?2")?
                        .execute([group_id, seq])?;
                }
            }
        }
        Ok(None)
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
                "UPDATE deliveries SET attempt = ?1, due_at = ?2, delivered_at = ?3, consumer_id = ?4, given_back = 0, \
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
            // One statement for all of them: SQLite's own loop is several times faster than one call per row. `OR FAIL` as
            // in `publish.rs`.
            connection
                .prepare_cached(
                    "INSERT OR FAIL INTO deliveries (group_id, seq, attempt, due_at, delivered_at, consumer_id, first_at) \
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
