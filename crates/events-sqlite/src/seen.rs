//! Which events a group has handled.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use events_core::{Result, SeenStore};
use rusqlite::OptionalExtension;

use crate::clock;
use crate::config::SqliteConfig;
use crate::database::Database;
use crate::publisher::checked_stream;

/// How many ids whose time is over are removed with each that is written: more than come in, so that they do not pile up.
const REMOVED_AT_ONCE: u32 = 16;

/// The ids of events one group has handled, in the database file of its stream.
#[derive(Debug)]
pub struct SqliteSeen {
    database: Arc<Database>,
    stream: Arc<str>,
    group: Arc<str>,
    keep: Duration,
}

impl SqliteSeen {
    /// Opens the file, which is created when missing, for the group's events on the stream `stream_key`. An id is kept for
    /// `keep` after the event was handled.
    ///
    /// # Errors
    ///
    /// As [`SqlitePublisher::open`](crate::SqlitePublisher::open).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves at most an empty database behind.
    pub async fn open(
        config: &SqliteConfig,
        stream_key: impl AsRef<str> + Send,
        group: impl Into<Arc<str>> + Send,
        keep: Duration,
    ) -> Result<Self> {
        const OPERATION: &str = "open seen store";
        let (stream, group) = (checked_stream(OPERATION, stream_key.as_ref())?, group.into());
        let database = Database::open(config, OPERATION).await?;
        Ok(Self { database, stream, group, keep })
    }
}

#[async_trait]
impl SeenStore for SqliteSeen {
    async fn is_seen(&self, id: &str) -> Result<bool> {
        let (stream, group, id) = (Arc::clone(&self.stream), Arc::clone(&self.group), id.to_owned());
        let asked = self.database.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT 1 FROM seen WHERE stream = ?1 AND group_name = ?2 AND id = ?3 AND until > ?4",
            )?;
            let found = statement.query_row((&*stream, &*group, &id, clock::now()), |_| Ok(())).optional()?;
            Ok(found.is_some())
        });
        asked.await.map_err(|failure| failure.to_error("look for a handled event"))
    }

    async fn remember(&self, id: &str) -> Result<()> {
        let (stream, group, id) = (Arc::clone(&self.stream), Arc::clone(&self.group), id.to_owned());
        let keep = clock::micros(self.keep);
        let written = self.database.write(1, move |connection| {
            let now = clock::now();
            connection
                .prepare_cached(
                    "DELETE FROM seen WHERE (stream, group_name, id) IN
                     (SELECT stream, group_name, id FROM seen WHERE until <= ?1 ORDER BY until LIMIT ?2)",
                )?
                .execute((now, REMOVED_AT_ONCE))?;
            connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO seen (stream, group_name, id, until) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute((&*stream, &*group, &id, now.saturating_add(keep)))?;
            Ok(())
        });
        written.await.map_err(|failure| failure.to_error("remember a handled event"))
    }
}
