//! Reads the history of a stream: where to start, and what comes after.

use events_core::{Error, ErrorKind, Record, Result, StartFrom};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::clock;
use crate::error::Failure;
use crate::position::{self, key, seq};
use crate::reader::Verdict;
use crate::stored::Stored;

/// Most bytes one answer or one claim holds, so that large events do not fill the memory.
pub(crate) const MOST_BYTES: usize = 8 * 1024 * 1024;

/// Where to start, with the caller's id or time understood.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start {
    Earliest,
    Latest,
    After(i64),
    Time(i64),
}

impl Start {
    pub(crate) fn parse(operation: &'static str, from: &StartFrom) -> Result<Self> {
        Ok(match from {
            StartFrom::Earliest => Self::Earliest,
            StartFrom::Latest => Self::Latest,
            StartFrom::After(id) => Self::After(position::parse(operation, id)?),
            StartFrom::Time(time) => Self::Time(clock::to_micros(*time)),
            _ => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    operation,
                    "this start is not known to this backend",
                ));
            }
        })
    }

    /// The moment before which nothing is wanted, or zero; a group can be told to start in the future.
    pub(crate) const fn moment(self) -> i64 {
        match self {
            Self::Time(time) => time,
            _ => 0,
        }
    }

    /// The number after which to read.
    pub(crate) fn resolve(self, connection: &Connection, stream: &Stream) -> Result<i64, Failure> {
        let before_oldest = || {
            let oldest = event_from(connection, stream, 1)?;
            Ok::<_, Failure>(oldest.map_or(stream.last_seq, |(seq, _)| seq - 1))
        };
        match self {
            Self::Earliest => before_oldest(),
            Self::Latest => Ok(stream.last_seq),
            // An id from before the stream was deleted and made again lies beyond its end; everything new comes after it.
            Self::After(seq) => Ok(seq.min(stream.last_seq).max(before_oldest()?)),
            Self::Time(time) => before(connection, stream, time, before_oldest()?),
        }
    }
}

/// A stream as its row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stream {
    pub(crate) id: i64,
    pub(crate) last_seq: i64,
}

impl Stream {
    pub(crate) fn find(connection: &Connection, name: &str) -> Result<Option<Self>, Failure> {
        let mut statement = connection.prepare_cached("SELECT id, last_seq FROM streams WHERE name = ?1")?;
        Ok(statement
            .query_row([name], |row| Ok(Self { id: row.get(0)?, last_seq: row.get(1)? }))
            .optional()?)
    }
}

/// Number and time of the first event from `from` on.
fn event_from(connection: &Connection, stream: &Stream, from: i64) -> Result<Option<(i64, i64)>, Failure> {
    let mut statement = connection.prepare_cached(
        "SELECT id, published_at FROM events WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT 1",
    )?;
    let range = params![key(stream.id, from), key(stream.id, stream.last_seq)];
    Ok(statement.query_row(range, |row| Ok((seq(row.get(0)?), row.get(1)?))).optional()?)
}

/// The last number from `oldest` on whose event was published before `time`. Times never go backwards in a stream, so halving finds it.
pub(crate) fn before(
    connection: &Connection,
    stream: &Stream,
    time: i64,
    oldest: i64,
) -> Result<i64, Failure> {
    let (mut low, mut high) = (oldest, stream.last_seq);
    while low < high {
        let middle = low + (high - low) / 2;
        match event_from(connection, stream, middle + 1)? {
            Some((seq, published_at)) if published_at < time => low = seq,
            _ => high = middle,
        }
    }
    Ok(low)
}

/// Up to `max` records after `start`; where the stream does not exist there are none.
pub(crate) fn read(
    connection: &Connection,
    stream: &str,
    start: Start,
    max: usize,
) -> Result<Vec<Record>, Failure> {
    let Some(stream) = Stream::find(connection, stream)? else { return Ok(Vec::new()) };
    let position = start.resolve(connection, &stream)?;
    records_after(connection, &stream, position, max)
}

/// The number of the newest event, or none when there never was one.
pub(crate) fn last_seq(connection: &Connection, stream: &str) -> Result<Option<i64>, Failure> {
    Ok(Stream::find(connection, stream)?.map(|stream| stream.last_seq).filter(|last| *last > 0))
}

/// Whether anything comes after a number.
pub(crate) fn has_more(connection: &Connection, stream: &str, after: i64) -> Result<Verdict, Failure> {
    let more = last_seq(connection, stream)?.is_some_and(|last| last > after);
    Ok(if more { Verdict::Ready } else { Verdict::NotBefore(clock::NEVER) })
}

/// A maximum as SQLite takes it, whose numbers have a sign.
pub(crate) fn limit(max: usize) -> i64 {
    i64::try_from(max).unwrap_or(i64::MAX)
}

/// Up to `max` records after a number.
pub(crate) fn records_after(
    connection: &Connection,
    stream: &Stream,
    position: i64,
    max: usize,
) -> Result<Vec<Record>, Failure> {
    let mut statement = connection.prepare_cached(
        "SELECT id, published_at, body, fields FROM events WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3",
    )?;
    let range = params![key(stream.id, position), key(stream.id, stream.last_seq), limit(max)];
    bounded(statement.query_map(range, record)?)
}

pub(crate) fn record(row: &Row<'_>) -> rusqlite::Result<(Record, usize)> {
    let published_at = row.get(1)?;
    let stored = Stored::from_row(row, 2)?;
    let record = Record {
        message_id: position::message_id(seq(row.get(0)?)),
        published_at: clock::from_micros(published_at),
        encoding: stored.encoding(),
        event: stored.decode(None, published_at),
    };
    Ok((record, stored.bytes()))
}

/// Collects records until they are many bytes; the rest is there for the next call.
pub(crate) fn bounded(
    rows: impl Iterator<Item = rusqlite::Result<(Record, usize)>>,
) -> Result<Vec<Record>, Failure> {
    let mut records = Vec::new();
    let mut bytes = 0;
    for row in rows {
        let (record, size) = row?;
        records.push(record);
        bytes += size;
        if bytes >= MOST_BYTES {
            break;
        }
    }
    Ok(records)
}
