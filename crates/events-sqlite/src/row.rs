//! A message taken from the two columns of a row.

use rusqlite::Row;

use crate::stored::Stored;

impl Stored {
    /// Takes both columns, the first of them at `at`.
    pub(crate) fn from_row(row: &Row<'_>, at: usize) -> rusqlite::Result<Self> {
        Ok(Self { body: row.get(at)?, fields: row.get(at + 1)? })
    }
}
