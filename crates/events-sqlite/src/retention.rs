//! Removes what is older than it has to be kept and settled by every group.

use std::time::{Duration, Instant};

use events_core::Retention;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::clock;
use crate::error::Failure;
use crate::history::Stream;
use crate::position::{key, seq};

/// A sweep comes after so many rows were written, or when so much time has passed.
const ROWS_BETWEEN: usize = 4_096;
const TIME_BETWEEN: Duration = Duration::from_secs(60);

/// Most events one sweep removes, which keeps its transaction at a few milliseconds; the next one follows soon.
pub(crate) const MOST_REMOVED: usize = 2_048;

/// When more than half of the file is unused, each sweep gives so many pages back to the file system.
const PAGES_RETURNED: i64 = 512;

/// Decides when to sweep, and sweeps.
#[derive(Debug)]
pub(crate) struct Sweeper {
    retention: Retention,
    rows: usize,
    next: Instant,
    /// When to look for idle consumers again. That goes through everything that is pending, a million events perhaps, so it
    /// is done by time alone.
    next_look: Instant,
}

impl Sweeper {
    pub(crate) fn new(retention: Retention) -> Self {
        Self { retention, rows: 0, next: Instant::now() + TIME_BETWEEN, next_look: Instant::now() }
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
        if self.next_look <= Instant::now() {
            forget_idle_consumers(connection)?;
            self.next_look = Instant::now() + TIME_BETWEEN;
        }
        if self.remove_events(connection, now)? == MOST_REMOVED {
            self.next = Instant::now();
        }
        return_space(connection)
    }

    fn remove_events(&self, connection: &Connection, now: i64) -> Result<usize, Failure> {
        if self.retention.keeps_everything() {
            return Ok(0);
        }
        let mut removed = 0;
        for stream in streams(connection)? {
            let trimmed = trim(connection, &stream, &self.retention, now, MOST_REMOVED - removed)?;
            trimmed.tell(&stream.1);
            removed += usize::try_from(trimmed.removed).unwrap_or(usize::MAX);
            if removed >= MOST_REMOVED {
                break;
            }
        }
        Ok(removed)
    }
}

/// What one pass over a stream removed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Trimmed {
    pub(crate) removed: u64,
    /// How many of these a group still needed.
    pub(crate) cut: u64,
    /// The group that needs the oldest event which was to go, and that event's number.
    pub(crate) held_by: Option<(String, i64)>,
    /// Whether the pass ended for its length.
    pub(crate) more: bool,
}

impl Trimmed {
    /// Says in the log what no caller is told.
    pub(crate) fn tell(&self, stream: &str) {
        if self.cut > 0 {
            tracing::warn!(
                stream,
                cut = self.cut,
                "events were cut that a group still needed: `hard_max_events`"
            );
        }
    }
}

fn streams(connection: &Connection) -> Result<Vec<(Stream, String)>, Failure> {
    let mut statement = connection.prepare_cached("SELECT id, last_seq, name FROM streams")?;
    let stream = |row: &Row<'_>| Ok((Stream { id: row.get(0)?, last_seq: row.get(1)? }, row.get(2)?));
    Ok(statement.query_map([], stream)?.collect::<rusqlite::Result<_>>()?)
}

/// One pass over the stream of this name, if there is one.
pub(crate) fn trim_by_name(
    connection: &Connection,
    name: &str,
    retention: &Retention,
    now: i64,
) -> Result<Trimmed, Failure> {
    let Some(stream) = Stream::find(connection, name)? else { return Ok(Trimmed::default()) };
    let trimmed = trim(connection, &(stream, name.to_owned()), retention, now, MOST_REMOVED)?;
    trimmed.tell(name);
    Ok(trimmed)
}

/// Removes up to `limit` of the oldest events of a stream, as far as they are to go and nobody needs them.
fn trim(
    connection: &Connection,
    (stream, _): &(Stream, String),
    retention: &Retention,
    now: i64,
    limit: usize,
) -> Result<Trimmed, Failure> {
    let too_old = retention.max_age.map(|age| now.saturating_sub(clock::micros(age)));
    let beyond = |limit: Option<u64>| {
        limit.map_or(0, |most| stream.last_seq.saturating_sub(i64::try_from(most).unwrap_or(i64::MAX)))
    };
    let (too_many, far_too_many) = (beyond(retention.max_events), beyond(retention.hard_max_events));
    let needed = oldest_needed(connection, stream)?;
    let mut trimmed = Trimmed::default();
    let mut oldest = connection.prepare_cached(
        "SELECT id, published_at FROM events WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3",
    )?;
    let mut rows = oldest.query(params![key(stream.id, 0), key(stream.id, stream.last_seq), limit])?;
    let mut last = None;
    let mut looked_at = 0;
    // Times do not go backwards in a stream, so the first event that is young enough ends the search.
    while let Some(row) = rows.next()? {
        let (id, published_at): (i64, i64) = (row.get(0)?, row.get(1)?);
        let at = seq(id);
        let may_go = at <= too_many || too_old.is_some_and(|moment| published_at < moment);
        let must_go = at <= far_too_many;
        match &needed {
            Some((group, first)) if at >= *first && !must_go => {
                trimmed.held_by = may_go.then(|| (group.clone(), at));
                break;
            }
            Some((_, first)) if at >= *first => trimmed.cut += u64::from(is_needed(connection, stream, at)?),
            _ if may_go || must_go => {}
            _ => break,
        }
        last = Some(id);
        looked_at += 1;
    }
    trimmed.more = looked_at == limit;
    if let Some(last) = last {
        let removed = connection
            .prepare_cached("DELETE FROM events WHERE id > ?1 AND id <= ?2")?
            .execute([key(stream.id, 0), last])?;
        trimmed.removed = removed as u64;
    }
    Ok(trimmed)
}

/// The group that needs the oldest number, and that number; `None` where there is no group.
fn oldest_needed(connection: &Connection, stream: &Stream) -> Result<Option<(String, i64)>, Failure> {
    let mut statement = connection.prepare_cached(
        "SELECT g.name, coalesce((SELECT min(d.seq) FROM deliveries d WHERE d.group_id = g.id), g.position + 1) AS first \
         FROM consumer_groups g WHERE g.stream_id = ?1 ORDER BY first LIMIT 1",
    )?;
    Ok(statement.query_row([stream.id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// Whether a group was not given a number, or has not settled it.
fn is_needed(connection: &Connection, stream: &Stream, seq: i64) -> Result<bool, Failure> {
    let mut statement = connection.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM consumer_groups g WHERE g.stream_id = ?1 AND (g.position < ?2 \
         OR EXISTS (SELECT 1 FROM deliveries d WHERE d.group_id = g.id AND d.seq = ?2)))",
    )?;
    Ok(statement.query_row([stream.id, seq], |row| row.get(0))?)
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
            observer: std::sync::Arc::new(events_core::Unobserved),
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
        let mut retention = Retention::default();
        retention.max_age = max_age.map(|hours| Duration::from_micros((hours * HOUR).unsigned_abs()));
        retention.max_events = max_events;
        sweep(connection, retention)
    }

    fn sweep(connection: &Connection, retention: Retention) -> Vec<String> {
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
    fn a_hard_limit_cuts_what_is_needed() {
        let directory = tempfile::tempdir().unwrap();
        let connection = ten_events(&directory);
        let (membership, held) = take(&connection, "g", 5);
        ack(&connection, &membership, &held[2..]).unwrap();
        let retention = Retention::default().with_hard_max_events(4);
        let trimmed = trim_by_name(&connection, "s", &retention, 0).unwrap();
        // Of the six that went the first two were pending, and the sixth was never given.
        assert_eq!((trimmed.removed, trimmed.cut), (6, 3));
        assert_eq!(sweep(&connection, retention), ["7", "8", "9", "10"]);
    }

    #[test]
    fn never_gives_a_number_twice_though_everything_was_removed() {
        let directory = tempfile::tempdir().unwrap();
        let connection = ten_events(&directory);
        assert!(left(&connection, None, Some(0)).is_empty());
        assert_eq!(insert(&connection, "s", &[Stored::default()], 0).unwrap(), 11);
    }
}
