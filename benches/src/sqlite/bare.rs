//! The ceiling: one table, prepared statements, a transaction for each batch, nothing else.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rusqlite::{Connection, params};

use crate::sample::BATCH;

/// Inserts so many rows, then reads and deletes them, each batch of either in one transaction.
pub(super) fn measure(path: &Path, bodies: &[Vec<u8>], count: usize) -> Result<(Duration, Duration)> {
    let mut connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.execute_batch(
        "CREATE TABLE events (id INTEGER PRIMARY KEY, published_at INTEGER NOT NULL, body BLOB NOT NULL)",
    )?;
    let written = insert(&mut connection, bodies, count)?;
    Ok((written, read_and_delete(&mut connection, count)?))
}

fn insert(connection: &mut Connection, bodies: &[Vec<u8>], count: usize) -> Result<Duration> {
    let started = Instant::now();
    for _ in 0..count / BATCH {
        let transaction = connection.transaction()?;
        let mut insert =
            transaction.prepare_cached("INSERT INTO events (published_at, body) VALUES (?1, ?2)")?;
        for body in bodies {
            insert.execute(params![1_770_724_800_000_000_i64, body])?;
        }
        drop(insert);
        transaction.commit()?;
    }
    Ok(started.elapsed())
}

fn read_and_delete(connection: &mut Connection, count: usize) -> Result<Duration> {
    let started = Instant::now();
    let mut read = 0;
    while read < count {
        let transaction = connection.transaction()?;
        let mut select = transaction.prepare_cached("SELECT id, body FROM events ORDER BY id LIMIT ?1")?;
        let rows: Vec<(i64, Vec<u8>)> = select
            .query_map([BATCH as i64], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        ensure!(!rows.is_empty(), "the table ended after {read} of {count} rows");
        let mut delete = transaction.prepare_cached("DELETE FROM events WHERE id = ?1")?;
        for (id, _) in &rows {
            delete.execute([id])?;
        }
        read += rows.len();
        drop((select, delete));
        transaction.commit()?;
    }
    Ok(started.elapsed())
}
