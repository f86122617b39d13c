//! The tables, and how a file of an older schema becomes one of today.

use events_core::ErrorKind;
use rusqlite::{Connection, TransactionBehavior};

use crate::error::Failure;

/// Marks a file as ours, so that another program's database is never written to: `EVNT` in ASCII.
pub(crate) const APPLICATION_ID: i32 = 0x4556_4E54;

/// What each version adds to the one before; the number of a version is its place in the list, from 1.
const MIGRATIONS: [&str; 4] = [VERSION_1, VERSION_2, VERSION_3, VERSION_4];

/// - `events.id` is the stream's id and the event's number there (see `position.rs`); numbers are never given twice.
/// - `events.body` is the event's JSON and `events.fields` its headers; a message that has no body, or more than one,
///   lies in `fields` whole (see `stored.rs`).
/// - `streams.last_at` keeps `published_at` from going backwards with the clock, so that a time can be searched for.
/// - `consumer_groups.position` is the last number handed out; events published before `starts_at` are passed over. `due_at`
///   is when leases that ended are to be looked for among the rows of `deliveries`; none ends before, so that they need no
///   index on their ends.
/// - `deliveries` holds what is handed out and not settled. Number, attempt and consumer together name one holder.
/// - `dead_letters` holds its own copy of the message, for as long as nobody purges it.
const VERSION_1: &str = "
CREATE TABLE streams (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    last_seq INTEGER NOT NULL CHECK (last_seq < 1 << 40),
    last_at INTEGER NOT NULL
) STRICT;

CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    published_at INTEGER NOT NULL,
    body BLOB,
    fields BLOB
) STRICT;

CREATE TABLE consumer_groups (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    stream_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    position INTEGER NOT NULL,
    starts_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    UNIQUE (stream_id, name)
) STRICT;

CREATE TABLE consumers (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    group_id INTEGER NOT NULL,
    name TEXT NOT NULL
) STRICT;

CREATE TABLE deliveries (
    group_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    delivered_at INTEGER NOT NULL,
    consumer_id INTEGER NOT NULL,
    error TEXT,
    PRIMARY KEY (group_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE dead_letters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    stream TEXT NOT NULL,
    group_id INTEGER NOT NULL,
    group_name TEXT NOT NULL,
    seq INTEGER NOT NULL,
    consumer TEXT NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT,
    attempts INTEGER NOT NULL,
    published_at INTEGER NOT NULL,
    dead_at INTEGER NOT NULL,
    body BLOB,
    fields BLOB
) STRICT;

CREATE INDEX dead_letters_by_stream ON dead_letters (stream, id);
";

/// When what is handed out was first, and when a dead letter was first and last. NULL where an older program did not note it.
const VERSION_2: &str = "
ALTER TABLE deliveries ADD COLUMN first_at INTEGER;
ALTER TABLE dead_letters ADD COLUMN first_at INTEGER;
ALTER TABLE dead_letters ADD COLUMN last_at INTEGER;
";

/// `seen` holds the ids of events that were handled, each for as long as whoever wrote it wished.
const VERSION_3: &str = "
CREATE TABLE seen (
    stream TEXT NOT NULL,
    group_name TEXT NOT NULL,
    id TEXT NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (stream, group_name, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX seen_by_end ON seen (until);
";

/// What was given back, and when each of it is due, without a look at all that is pending.
///
/// - `deliveries.given_back` marks what its holder, or an operator, gave back; it is due at `due_at` and found by the index.
///   All else that is pending is on lease until `due_at`, and has no entry there. What was given back by an older program is
///   not marked, but found as if its lease ended.
/// - `consumers.gone` marks one whose name another has taken: its leases are over, whatever their rows say.
/// - `consumer_groups.looked_to` and `next_due` say how far a look for leases that ended has come (see `due.rs`).
const VERSION_4: &str = "
ALTER TABLE deliveries ADD COLUMN given_back INTEGER NOT NULL DEFAULT 0;
CREATE INDEX deliveries_given_back ON deliveries (group_id, due_at) WHERE given_back = 1;
ALTER TABLE consumers ADD COLUMN gone INTEGER NOT NULL DEFAULT 0;
ALTER TABLE consumer_groups ADD COLUMN looked_to INTEGER NOT NULL DEFAULT 0;
ALTER TABLE consumer_groups ADD COLUMN next_due INTEGER NOT NULL DEFAULT 9223372036854775807;
";

/// What a file turns out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing is in it yet.
    Empty,
    /// One of ours, of an older schema.
    Outdated,
    /// One of ours, as it should be.
    Current,
}

/// Looks what the file is, without changing it.
pub(crate) fn inspect(connection: &Connection) -> Result<State, Failure> {
    // All answers are of one moment: another process may make the tables between two questions.
    let transaction = connection.unchecked_transaction()?;
    recognize(&transaction)
}

/// What the file is, within the caller's transaction.
fn recognize(connection: &Connection) -> Result<State, Failure> {
    let application_id: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let objects: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application_id == 0 && version == 0 && objects == 0 {
        return Ok(State::Empty);
    }
    if application_id != APPLICATION_ID {
        return Err(Failure::new(
            ErrorKind::InvalidConfig,
            "the file is the SQLite database of another program",
        ));
    }
    let newest = MIGRATIONS.len() as i64;
    match version {
        _ if version > newest => Err(Failure::new(
            ErrorKind::InvalidConfig,
            format!("the file has schema version {version}, and this program knows none after {newest}"),
        )),
        _ if version == newest => Ok(State::Current),
        _ => Ok(State::Outdated),
    }
}

/// Brings an empty or older file up to date, in one transaction; another process may have been faster.
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), Failure> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if recognize(&transaction)? == State::Current {
        return Ok(());
    }
    let version: usize = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for migration in MIGRATIONS.iter().skip(version) {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i64)?;
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::SqliteConfig;
    use crate::claim::{claim, is_ready};
    use crate::connection::open_writer;
    use crate::history::Start;
    use crate::join::{Terms, join};
    use crate::reader::Verdict;

    #[test]
    fn a_file_of_version_3_delivers_all_that_was_pending() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events.db");
        let old = Connection::open(&path).unwrap();
        for migration in &MIGRATIONS[..3] {
            old.execute_batch(migration).unwrap();
        }
        old.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        old.pragma_update(None, "user_version", 3).unwrap();
        // The first one's lease ended, the second was given back for later, the third is on lease, the fourth was never given.
        old.execute_batch(
            "INSERT INTO streams VALUES (1, 's', 4, 0);
             WITH seq (n) AS (VALUES (1), (2), (3), (4))
             INSERT INTO events SELECT (1 << 40) + n, 0, CAST('{}' AS BLOB), NULL FROM seq;
             INSERT INTO consumer_groups VALUES (1, 1, 'g', 3, 0, 100);
             INSERT INTO consumers VALUES (1, 1, 'former');
             INSERT INTO deliveries VALUES (1, 1, 1, 100, 0, 1, NULL, 0), (1, 2, 1, 300, 0, 1, 'no', 0), (1, 3, 1, 500, 0, 1, NULL, 0);",
        )
        .unwrap();
        drop(old);
        let connection = open_writer(&path, &SqliteConfig::new(&path)).unwrap();
        assert_eq!(inspect(&connection).unwrap(), State::Current);
        let terms = Terms {
            stream: "s".into(),
            group: "g".into(),
            consumer: "c".into(),
            start: Start::Earliest,
            lease: 1_000,
            max_deliveries: 5,
            observer: Arc::new(events_core::Unobserved),
        };
        let membership = join(&connection, &terms, None, 200).unwrap();
        let take = |now| {
            let claim = claim(&connection, &terms, membership, 10, now).unwrap();
            claim.events.iter().map(|event| (event.seq, event.attempt)).collect::<Vec<_>>()
        };
        assert_eq!(take(200), [(1, 2), (4, 1)]);
        assert_eq!(is_ready(&connection, &membership, 200).unwrap(), Verdict::NotBefore(300));
        assert_eq!(take(300), [(2, 2)]);
        assert_eq!(take(500), [(3, 2)]);
    }
}
