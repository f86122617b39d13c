//! Finds what is due of what a group was given before, at a cost that does not grow with how much it was given.
//!
//! What was given back says so and lies in an index of its own. A lease that merely ends has no entry there: most events are
//! settled long before, and every one of them would pay for it. So leases that ended are looked for among all that is
//! pending, once the earliest end can have come, and that look goes in steps, between which there is a pause.

use rusqlite::{Connection, params};

use crate::clock::NEVER;
use crate::error::Failure;

/// Rows of one step, about a millisecond.
const STEP: i64 = 16_384;

/// Rows of a step that comes late, because nobody claimed: about sixteen milliseconds. Where claims are rare, a look would
/// else take for ever.
const LONG_STEP: i64 = 16 * STEP;

/// So many microseconds pass until the next step for each row that was looked at. Looking at one takes about 0.06, so
/// looking takes no more than a sixteenth of the time, however many leases end one after the other. What somebody let end
/// is redelivered late by two looks at most, the one under way and the next: two seconds where a million are pending.
const PAUSE_PER_ROW: i64 = 1;

/// A pending event that may be delivered again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Due {
    pub(crate) seq: i64,
    pub(crate) attempt: u32,
}

/// Up to `max` events that were given back, those that have been due for longest; in the order of the stream.
pub(crate) fn given_back(
    connection: &Connection,
    group_id: i64,
    max: usize,
    now: i64,
) -> Result<Vec<Due>, Failure> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, attempt FROM deliveries INDEXED BY deliveries_given_back \
         WHERE group_id = ?1 AND given_back = 1 AND due_at <= ?2 ORDER BY due_at, seq LIMIT ?3",
    )?;
    let due = statement
        .query_map(params![group_id, now, max], |row| Ok(Due { seq: row.get(0)?, attempt: row.get(1)? }))?;
    let mut due: Vec<Due> = due.collect::<rusqlite::Result<_>>()?;
    due.sort_unstable();
    Ok(due)
}

/// How far the look for leases that ended has come in a group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    /// When its next step, or the next look, is to come.
    pub(crate) due_at: i64,
    /// The last number it has come past; 0 while there is none under way.
    pub(crate) looked_to: i64,
    /// No lease that it has come past ends before this, nor does one that began meanwhile.
    pub(crate) next_due: i64,
}

impl Look {
    /// Takes one step, which ends early once `max` are found.
    pub(crate) fn step(
        &mut self,
        connection: &Connection,
        group_id: i64,
        max: usize,
        now: i64,
    ) -> Result<Vec<Due>, Failure> {
        if self.looked_to == 0 {
            self.next_due = NEVER;
        }
        let most = (now.saturating_sub(self.due_at) / PAUSE_PER_ROW).clamp(STEP, LONG_STEP);
        let gone = gone(connection, group_id)?;
        let mut statement = connection.prepare_cached(
            "SELECT seq, due_at, given_back, consumer_id, attempt FROM deliveries \
             WHERE group_id = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
        )?;
        let mut rows = statement.query(params![group_id, self.looked_to, most])?;
        let mut due = Vec::new();
        let mut looked_at = 0;
        while due.len() < max
            && let Some(row) = rows.next()?
        {
            looked_at += 1;
            self.looked_to = row.get(0)?;
            let due_at = row.get(1)?;
            if row.get(2)? {
                // The index tells when it is due.
                continue;
            }
            if due_at <= now || (!gone.is_empty() && gone.contains(&row.get(3)?)) {
                due.push(Due { seq: self.looked_to, attempt: row.get(4)? });
            } else {
                self.next_due = self.next_due.min(due_at);
            }
        }
        self.due_at = now.saturating_add(PAUSE_PER_ROW.saturating_mul(looked_at));
        if due.len() < max && looked_at < most {
            self.looked_to = 0;
            self.due_at = self.due_at.max(self.next_due);
        }
        Ok(due)
    }

    /// The number of the first event of the step that could not be taken: the next step finds it again.
    pub(crate) fn go_back_to(&mut self, seq: i64, now: i64) {
        self.looked_to = seq - 1;
        self.due_at = now;
    }

    pub(crate) fn save(&self, connection: &Connection, group_id: i64) -> Result<(), Failure> {
        connection
            .prepare_cached(
                "UPDATE consumer_groups SET due_at = ?1, looked_to = ?2, next_due = ?3 WHERE id = ?4",
            )?
            .execute([self.due_at, self.looked_to, self.next_due, group_id])?;
        Ok(())
    }
}

/// The consumers whose name another has taken, as far as they are not forgotten.
fn gone(connection: &Connection, group_id: i64) -> Result<Vec<i64>, Failure> {
    let mut statement =
        connection.prepare_cached("SELECT id FROM consumers WHERE group_id = ?1 AND gone = 1")?;
    Ok(statement.query_map([group_id], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
}

/// Has a look for leases that ended begin at `moment` at the latest; one that is under way by then is finished first.
pub(crate) fn look_no_later_than(connection: &Connection, group_id: i64, moment: i64) -> Result<(), Failure> {
    connection
        .prepare_cached(
            "UPDATE consumer_groups SET due_at = min(due_at, ?1), next_due = min(next_due, ?1) \
             WHERE id = ?2 AND (due_at > ?1 OR next_due > ?1)",
        )?
        .execute(params![moment, group_id])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::SqliteConfig;
    use crate::claim::{Claim, claim, is_ready};
    use crate::connection::open_writer;
    use crate::groups::peek;
    use crate::history::{Start, Stream};
    use crate::join::{Membership, Terms, join, leave};
    use crate::publish::insert;
    use crate::reader::Verdict;
    use crate::settle::{Held, extend, nack, release};
    use crate::stored::Stored;

    const LEASE: i64 = 1_000_000;
    const EVENTS: i64 = 20;
    const NOTHING: [i64; 0] = [];

    fn terms(consumer: &str) -> Terms {
        Terms {
            stream: "s".into(),
            group: "g".into(),
            consumer: consumer.into(),
            start: Start::Earliest,
            lease: LEASE,
            max_deliveries: 5,
            observer: Arc::new(events_core::Unobserved),
        }
    }

    /// A group in which one consumer holds twenty events and another, which lives on, holds many that come after.
    struct Group {
        connection: Connection,
        terms: Terms,
        membership: Membership,
        held: Vec<Held>,
        _directory: tempfile::TempDir,
    }

    impl Group {
        fn with_pending(many: i64) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("events.db");
            let connection = open_writer(&path, &SqliteConfig::new(&path)).unwrap();
            let messages: Vec<Stored> = (0..EVENTS + many).map(|_| Stored::default()).collect();
            connection.execute_batch("BEGIN").unwrap();
            insert(&connection, "s", &messages, 0).unwrap();
            connection.execute_batch("COMMIT").unwrap();
            let terms = terms("c");
            let membership = join(&connection, &terms, None, 0).unwrap();
            let mut group = Self { connection, terms, membership, held: Vec::new(), _directory: directory };
            group.held = group.claim(20, 0);
            group
                .connection
                .execute(
                    "INSERT INTO deliveries (group_id, seq, attempt, due_at, delivered_at, consumer_id) \
                     SELECT ?1, id & 1099511627775, 1, ?2, 0, 1000 FROM events WHERE id & 1099511627775 > ?3",
                    params![membership.group_id, 1_000 * LEASE, EVENTS],
                )
                .unwrap();
            group.set("UPDATE consumer_groups SET position = ?1", EVENTS + many);
            group
        }

        fn set(&self, statement: &str, value: i64) {
            assert_eq!(self.connection.execute(statement, [value]).unwrap(), 1);
        }

        fn claim(&self, max: usize, now: i64) -> Vec<Held> {
            let Claim { events, membership, .. } =
                claim(&self.connection, &self.terms, self.membership, max, now).unwrap();
            assert_eq!(membership, self.membership);
            events.iter().map(|event| Held { seq: event.seq, attempt: event.attempt }).collect()
        }

        /// The numbers of what a claim brings.
        fn take(&self, max: usize, now: i64) -> Vec<i64> {
            self.claim(max, now).iter().map(|held| held.seq).collect()
        }

        fn not_before(&self, now: i64) -> i64 {
            match is_ready(&self.connection, &self.membership, now).unwrap() {
                Verdict::Ready => now,
                Verdict::NotBefore(moment) => moment,
            }
        }

        /// How many instructions SQLite's machine takes for it.
        fn work(&mut self, task: impl FnOnce(&Self)) -> u64 {
            let counted = Arc::new(AtomicU64::new(0));
            let counter = Arc::clone(&counted);
            let count = move || {
                counter.fetch_add(1, Ordering::Relaxed);
                false
            };
            self.connection.progress_handler(1, Some(count)).unwrap();
            task(self);
            self.connection.progress_handler(0, None::<fn() -> bool>).unwrap();
            counted.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn giving_back_and_taking_again_costs_the_same_whatever_is_pending() {
        let of = |pending| {
            Group::with_pending(pending).work(|Group { connection, membership, held, .. }| {
                nack(connection, membership, &held[..10], 5, (7, None), 100).unwrap();
                release(connection, membership, &held[10..], 100).unwrap();
            })
        };
        // A group of its own for each step, so that a step that costs much cannot hide among others.
        let taking = |pending| {
            let mut group = Group::with_pending(pending);
            let Group { connection, membership, held, .. } = &group;
            nack(connection, membership, &held[..10], 5, (7, None), 100).unwrap();
            release(connection, membership, &held[10..], 100).unwrap();
            group.work(|group| {
                assert_eq!(group.not_before(99), 100);
                assert_eq!(group.take(100, 106), (11..=20).collect::<Vec<_>>());
                assert_eq!(group.not_before(106), 107);
                assert_eq!(group.take(5, 107), [1, 2, 3, 4, 5]);
                assert_eq!(group.take(100, 107), [6, 7, 8, 9, 10]);
                assert_eq!(group.not_before(107), LEASE, "only leases are left");
            })
        };
        assert_eq!(of(100_000), of(10));
        assert_eq!(taking(100_000), taking(10));
    }

    #[test]
    fn coming_and_going_costs_little_whatever_is_pending() {
        let mut group = Group::with_pending(100_000);
        // Retention forgets a consumer that goes while much is pending.
        let cost = group.work(|group| {
            let other = join(&group.connection, &terms("other"), None, 0).unwrap();
            leave(&group.connection, &other).unwrap();
            leave(&group.connection, &group.membership).unwrap();
            join(&group.connection, &terms("c"), None, 0).unwrap();
        });
        assert!(cost < 30_000, "{cost} instructions");
    }

    #[test]
    fn a_lease_that_ends_is_found_in_steps_among_many_that_do_not() {
        let mut group = Group::with_pending(100_000);
        let lost = [1_000, 50_000, 100_000];
        for seq in lost {
            group.set("UPDATE deliveries SET due_at = 500 WHERE seq = ?1", seq);
        }
        group.set("UPDATE consumer_groups SET due_at = ?1", 500);
        let (mut found, mut now) = (Vec::new(), 500);
        while found.len() < lost.len() {
            let before = found.len();
            let cost = group.work(|group| found.extend(group.take(1, now)));
            assert!(cost < 20 * STEP.unsigned_abs(), "{cost} instructions");
            assert!(found.len() > before || group.not_before(now) > now, "a step without a pause");
            now = group.not_before(now);
            assert!(now < 120_000, "found {found:?} after {now} microseconds");
        }
        assert_eq!(found, lost);
        // The look is over when it came past all of them, and then there is nothing to look for until a lease ends.
        while group.not_before(now) <= 200_000 {
            now = group.not_before(now);
            assert_eq!(group.take(1, now), NOTHING);
        }
        assert_eq!(group.not_before(now), LEASE);
    }

    #[test]
    fn what_was_given_back_comes_when_it_is_due_though_a_look_pauses() {
        let group = Group::with_pending(40_000);
        group.set("UPDATE deliveries SET due_at = 500 WHERE seq = ?1", 40_000);
        group.set("UPDATE consumer_groups SET due_at = ?1", 500);
        assert_eq!(group.take(10, 500), NOTHING, "the first step does not come so far");
        assert_eq!(group.not_before(500), 500 + STEP);
        nack(&group.connection, &group.membership, &group.held[..1], 5, (100, None), 500).unwrap();
        assert_eq!(group.not_before(500), 600);
        assert_eq!(group.take(10, 599), NOTHING);
        assert_eq!(group.take(10, 600), [1]);
        // The look goes on where it was.
        assert_eq!(group.take(10, 500 + STEP), NOTHING);
        assert_eq!(group.take(10, 500 + 2 * STEP), [40_000]);
    }

    #[test]
    fn a_lease_that_is_made_shorter_ends_then() {
        let group = Group::with_pending(40_000);
        // Once without a look under way, and once behind one.
        extend(&group.connection, &group.membership, &group.held[..1], 700, 0).unwrap();
        assert_eq!(group.not_before(0), 700);
        assert_eq!(group.take(1, 700), [1]);
        group.set("UPDATE consumer_groups SET due_at = ?1", 800);
        assert_eq!(group.take(10, 800), NOTHING);
        extend(&group.connection, &group.membership, &group.held[1..2], 100, 800).unwrap();
        let (mut now, mut found) = (800, Vec::new());
        while found.is_empty() {
            now = group.not_before(now);
            found = group.take(10, now);
            assert!(now < 100_000, "not found after {now} microseconds");
        }
        assert_eq!(found, [2]);
    }

    #[test]
    fn whoever_takes_a_name_gets_what_the_former_one_held() {
        let mut group = Group::with_pending(40_000);
        nack(&group.connection, &group.membership, &group.held[..1], 5, (100, None), 0).unwrap();
        group.membership = join(&group.connection, &terms("c"), None, 50).unwrap();
        assert_eq!(group.not_before(50), 50);
        let stream = Stream::find(&group.connection, "s").unwrap().unwrap();
        let seen = peek(&group.connection, &stream, "g", Start::Earliest, 0, 100, 50).unwrap();
        assert_eq!(seen.len(), 19, "a look from outside sees the same");
        assert_eq!(group.take(10, 50), (2..=11).collect::<Vec<_>>());
        let next = group.not_before(50);
        assert_eq!(group.take(100, next), (12..=20).collect::<Vec<_>>());
        assert_eq!(group.take(100, 100), [1], "what was to come later does");
    }

    #[test]
    fn what_was_given_back_is_extended_no_longer() {
        let group = Group::with_pending(0);
        let Group { connection, membership, held, .. } = &group;
        nack(connection, membership, &held[..1], 5, (100, None), 0).unwrap();
        assert_eq!(extend(connection, membership, &held[..2], LEASE, 0).unwrap(), [false, true]);
        let again = group.claim(10, 100);
        assert_eq!(again, [Held { seq: 1, attempt: 2 }]);
        assert_eq!(extend(connection, membership, &again, LEASE, 100).unwrap(), [true]);
    }
}
