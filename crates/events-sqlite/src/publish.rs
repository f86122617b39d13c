//! Appends messages to a stream.

use std::sync::LazyLock;

use rusqlite::{Connection, OptionalExtension, params};

use crate::error::Failure;
use crate::position::key;
use crate::stored::Stored;

/// Rows of one statement. Starting and ending a statement takes SQLite as long as half a row.
const ROWS: usize = 32;

/// Inserts [`ROWS`] rows.
///
/// `OR FAIL`, because otherwise SQLite is prepared to undo a statement that fails at its second row, and keeps a copy of all
/// it changes. The transaction is undone here in any case.
static INSERT_ROWS: LazyLock<String> = LazyLock::new(|| {
    let row = |at: usize| format!("(?{}, ?1, ?{}, ?{})", 3 * at + 2, 3 * at + 3, 3 * at + 4);
    let rows: Vec<String> = (0..ROWS).map(row).collect();
    format!("INSERT OR FAIL INTO events (id, published_at, body, fields) VALUES {}", rows.join(", "))
});

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
    let (stream_id, first, published_at) = number(connection, stream, count, now)?;
    let mut id = key(stream_id, first);
    let (chunks, rest) = messages.as_chunks::<ROWS>();
    if !chunks.is_empty() {
        let mut statement = connection.prepare_cached(&INSERT_ROWS)?;
        statement.raw_bind_parameter(1, published_at)?;
        for chunk in chunks {
            for (message, parameter) in chunk.iter().zip((2..).step_by(3)) {
                statement.raw_bind_parameter(parameter, id)?;
                statement.raw_bind_parameter(parameter + 1, message.body.as_deref())?;
                statement.raw_bind_parameter(parameter + 2, message.fields.as_deref())?;
                id += 1;
            }
            statement.raw_execute()?;
        }
    }
    let mut statement = connection
        .prepare_cached("INSERT INTO events (id, published_at, body, fields) VALUES (?1, ?2, ?3, ?4)")?;
    for message in rest {
        statement.execute(params![id, published_at, message.body, message.fields])?;
        id += 1;
    }
    Ok(first)
}

/// Gives out the next `count` numbers of a stream; returns the stream's id, the first number, and when it is given.
fn number(connection: &Connection, stream: &str, count: i64, now: i64) -> Result<(i64, i64, i64), Failure> {
    // Two statements, because one that returns what it changed keeps a copy of all it changes, as above.
    let found: Option<(i64, i64, i64)> = connection
        .prepare_cached("SELECT id, last_seq, last_at FROM streams WHERE name = ?1")?
        .query_row([stream], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((id, last_seq, last_at)) = found else {
        connection
            .prepare_cached("INSERT INTO streams (name, last_seq, last_at) VALUES (?1, ?2, ?3)")?
            .execute(params![stream, count, now])?;
        return Ok((connection.last_insert_rowid(), 1, now));
    };
    let published_at = now.max(last_at);
    connection.prepare_cached("UPDATE streams SET last_seq = ?1, last_at = ?2 WHERE id = ?3")?.execute([
        last_seq + count,
        published_at,
        id,
    ])?;
    Ok((id, last_seq + 1, published_at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SqliteConfig;
    use crate::connection::open_writer;

    type Row = (i64, Option<Vec<u8>>, Option<Vec<u8>>);

    #[test]
    fn messages_of_any_number_lie_in_order_each_with_its_own_columns() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events.db");
        let connection = open_writer(&path, &SqliteConfig::new(&path)).unwrap();
        let rows = ROWS as i64;
        let mut expected: Vec<Row> = Vec::new();
        for count in [1, rows - 1, rows, rows + 1, 3 * rows, 3 * rows + 2] {
            let first = expected.len() as i64 + 1;
            let column = |there: bool, seq: i64| there.then(|| seq.to_le_bytes().to_vec());
            let row = |seq: i64| (key(1, seq), column(seq % 5 != 0, seq), column(seq % 3 == 0, seq));
            let messages: Vec<Stored> =
                (first..first + count).map(|seq| Stored { body: row(seq).1, fields: row(seq).2 }).collect();
            assert_eq!(insert(&connection, "s", &messages, 0).unwrap(), first);
            expected.extend((first..first + count).map(row));
        }
        let mut statement = connection.prepare("SELECT id, body, fields FROM events ORDER BY id").unwrap();
        let found = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        assert_eq!(found.collect::<rusqlite::Result<Vec<_>>>().unwrap(), expected);
    }
}
