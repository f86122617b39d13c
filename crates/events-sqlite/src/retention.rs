//! Removes what is older than it has to be kept and settled by every group.

use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

use crate::clock;
use crate::config::Retention;
use crate::error::Failure;
use crate::position::{key, seq};

/// A sweep comes after so many rows were written, or when so much time has passed.
const ROWS_BETWEEN: usize = 4_096;
const TIME_BETWEEN: Duration = Duration::from_secs(60);

/// Most events one sweep removes, which keeps its transaction at a few milliseconds; the next one follows soon.
const MOST_REMOVED: usize = 2_048;

/// When more than half of the file is unused, each sweep gives so many pages back to the file system.
const PAGES_RETURNED: i64 = 512;

/// Decides when to sweep, and sweeps.
#[derive(Debug)]
pub(crate) struct Sweeper {
    retention: Retention,
    rows: usize,
    next: Instant,
}

impl Sweeper {
    pub(crate) fn new(retention: Retention) -> Self {
        Self { retention, rows: 0, next: Instant::now() + TIME_BETWEEN }
    }

    pub(crate) fn wrote(&mut self, rows: usize) {
        self.rows += rows;
    }

    pub(crate) fn next(&self) -> Instant {
        self.next
    }

    pub(crate) fn is_due(&self) -> bool {
        self.rows >= ROWS_BETWEEN || self.next <= Instant::now()
    }

    pub(crate) fn postpone(&mut self) {
        self.rows = 0;
        self.next = Instant::now() + TIME_BETWEEN;
    }

    /// Removes some of what may go; is due again at once when that was not all.
    pub(crate) fn sweep(&mut self, connection: &Connection, now: i64) -> Result<(), Failure> {
        self.postpone();
        forget_idle_consumers(connection)?;
        if self.remove_events(connection, now)? == MOST_REMOVED {
            self.next = Instant::now();
        }
        return_space(connection)
    }

    fn remove_events(&self, connection: &Connection, now: i64) -> Result<usize, Failure> {
        let too_old = self.retention.max_age.map(|age| now.saturating_sub(clock::micros(age)));
        let most = self.retention.max_events.map(|most| i64::try_from(most).unwrap_or(i64::MAX));
        if too_old.is_none() && most.is_none() {
            return Ok(0);
        }
        let mut removed = 0;
        for (stream_id, last_seq, settled) in streams(connection)? {
            let too_many = most.map_or(0, |most| last_seq.saturating_sub(most));
            let may_go = |seq: i64, published_at: i64| {
                seq <= too_many || too_old.is_some_and(|moment| published_at < moment)
            };
            let mut oldest = connection.prepare_cached(
                "SELECT id, published_at FROM events WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3",
            )?;
            let range = params![key(stream_id, 0), key(stream_id, settled), MOST_REMOVED - removed];
            let mut rows = oldest.query(range)?;
            let mut last = None;
            // Times do not go backwards in a stream, so the first event that is young enough ends the search.
            while let Some(row) = rows.next()? {
                let id = row.get(0)?;
                if !may_go(seq(id), row.get(1)?) {
                    break;
                }
                last = Some(id);
            }
            if let Some(last) = last {
                removed += connection
                    .prepare_cached("DELETE FROM events WHERE id > ?1 AND id <= ?2")?
                    .execute([key(stream_id, 0), last])?;
            }
            if removed >= MOST_REMOVED {
                break;
            }
        }
        Ok(removed)
    }
}

/// Of each stream its id, its newest number, and the number up to which no group needs it any more.
fn streams(connection: &Connection) -> Result<Vec<(i64, i64, i64)>, Failure> {
    let mut statement = connection.prepare_cached(
        "SELECT s.id, s.last_seq, coalesce(min(coalesce( \
             (SELECT min(d.seq) - 1 FROM deliveries d WHERE d.group_id = g.id), g.position)), s.last_seq) \
         FROM streams s LEFT JOIN consumer_groups g ON g.stream_id = s.id GROUP BY s.id",
    )?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A consumer is noted for as long as it holds something, so that a dead letter can name it.
fn forget_idle_consumers(connection: &Connection) -> Result<(), Failure> {
    connection
        .prepare_cached("DELETE FROM consumers WHERE id NOT IN (SELECT consumer_id FROM deliveries)")?
        .execute([])?;
    Ok(())
}

fn return_space(connection: &Connection) -> Result<(), Failure> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let (unused, all) = (number("freelist_count")?, number("page_count")?);
    if unused > PAGES_RETURNED && unused > all / 2 {
        connection.execute_batch(&format!("PRAGMA incremental_vacuum({PAGES_RETURNED})"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claim::claim;
    use crate::connection::open_writer;
    use crate::history::Start;
    use crate::join::{Membership, Terms, join};
    use crate::publish::insert;
    use crate::settle::{Held, ack};
    use crate::stored::Stored;
    use crate::{SqliteConfig, history};

    const HOUR: i64 = 3_600_000_000;

    /// A file with ten events, the first published at hour one, the last at hour ten.
    fn ten_events(directory: &tempfile::TempDir) -> Connection {
        let path = directory.path().join("events.db");
        let connection = open_writer(&path, &SqliteConfig::new(&path)).unwrap();
        for hour in 1..=10 {
            let message = Stored { body: Some(b"{}".to_vec()), fields: None };
            insert(&connection, "s", &[message], hour * HOUR).unwrap();
        }
        connection
    }

    fn terms(group: &str) -> Terms {
        Terms {
            stream: "s".into(),
            group: group.into(),
            consumer: "c".into(),
            start: Start::Earliest,
            lease: HOUR,
            max_deliveries: 5,
        }
    }

    fn take(connection: &Connection, group: &str, max: usize) -> (Membership, Vec<Held>) {
        let membership = join(connection, &terms(group), None, 0).unwrap();
        let claim = claim(connection, &terms(group), membership, max, 0).unwrap();
        (
            membership,
            claim.events.iter().map(|event| Held { seq: event.seq, attempt: event.attempt }).collect(),
        )
    }

    /// Sweeps at hour ten and says which numbers are left.
    fn left(connection: &Connection, max_age: Option<i64>, max_events: Option<u64>) -> Vec<String> {
        let max_age = max_age.map(|hours| Duration::from_micros((hours * HOUR).unsigned_abs()));
        let retention = Retention { max_age, max_events };
        Sweeper::new(retention).sweep(connection, 10 * HOUR).unwrap();
        let records = history::read(connection, "s", Start::After(0), 100).unwrap();
        records.into_iter().map(|record| record.message_id.to_string()).collect()
    }

    #[test]
    fn removes_what_is_too_old_when_nobody_needs_it() {
        let directory = tempfile::tempdir().unwrap();
        let connection = ten_events(&directory);
        assert_eq!(left(&connection, Some(3), None), ["7", "8", "9", "10"]);
        assert_eq!(left(&connection, None, Some(2)), ["9", "10"]);
        assert_eq!(left(&connection, None, None), ["9", "10"]);
    }

    #[test]
    fn keeps_what_a_group_was_not_given() {
        let directory = tempfile::tempdir().unwrap();
        let connection = ten_events(&directory);
        let (fast, all) = take(&connection, "fast", 10);
        ack(&connection, &fast, &all).unwrap();
        let (slow, first) = take(&connection, "slow", 2);
        ack(&connection, &slow, &first).unwrap();
        assert_eq!(left(&connection, Some(0), Some(0)), ["3", "4", "5", "6", "7", "8", "9", "10"]);
    }

    #[test]
    fn keeps_what_a_group_has_not_settled() {
        let directory = tempfile::tempdir().unwrap();
        let connection = ten_events(&directory);
        let (membership, held) = take(&connection, "g", 10);
        // All but the fourth.
        ack(&connection, &membership, &[&held[..3], &held[4..]].concat()).unwrap();
        assert_eq!(left(&connection, Some(0), Some(0)).first().map(String::as_str), Some("4"));
        ack(&connection, &membership, &held[3..4]).unwrap();
        assert!(left(&connection, Some(0), Some(0)).is_empty());
    }

    #[test]
    fn never_gives_a_number_twice_though_everything_was_removed() {
        let directory = tempfile::tempdir().unwrap();
        let connection = ten_events(&directory);
        assert!(left(&connection, None, Some(0)).is_empty());
        assert_eq!(insert(&connection, "s", &[Stored::default()], 0).unwrap(), 11);
    }
}
