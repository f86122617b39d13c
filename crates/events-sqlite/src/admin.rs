//! Looking at a stream from outside.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use events_core::{
    Capabilities, DeadLetter, Error, EventAdmin, GroupStatus, HeldBy, MessageId, PendingEvent, Record,
    Result, Retention, StartFrom, StreamState, TrimReport,
};
use rusqlite::Connection;

use crate::clock;
use crate::config::SqliteConfig;
use crate::database::Database;
use crate::error::Failure;
use crate::history::{self, Start, Stream};
use crate::position::{message_id, parse};
use crate::publisher::checked_stream;
use crate::{dead_letters, groups, retention};

/// Waiting longer than this is waiting for ever: thirty years.
const FOREVER: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// Reads one stream's history, groups and dead letters.
#[derive(Debug)]
pub struct SqliteAdmin {
    database: Arc<Database>,
    stream: Arc<str>,
    closed: AtomicBool,
}

impl SqliteAdmin {
    /// Opens the file, which is created when missing, to look at the stream `stream_key`.
    ///
    /// # Errors
    ///
    /// As [`SqlitePublisher::open`](crate::SqlitePublisher::open).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves at most an empty database behind.
    pub async fn open(config: &SqliteConfig, stream_key: impl AsRef<str> + Send) -> Result<Self> {
        const OPERATION: &str = "open admin";
        let stream = checked_stream(OPERATION, stream_key.as_ref())?;
        let database = Database::open(config, OPERATION).await?;
        Ok(Self { database, stream, closed: AtomicBool::new(false) })
    }

    /// Asks the database without changing it.
    async fn ask<T: Send + 'static>(
        &self,
        operation: &'static str,
        question: impl FnOnce(&Connection, &str) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T> {
        self.check_open(operation)?;
        let stream = Arc::clone(&self.stream);
        let answer = self.database.read(move |connection| question(connection, &stream)).await;
        answer.map_err(|failure| failure.to_error(operation))
    }

    /// Changes dead letters. Ids that cannot be those of dead letters are passed over, as the trait says.
    async fn change(
        &self,
        operation: &'static str,
        ids: &[MessageId],
        work: impl Fn(&Connection, &str, &[i64]) -> Result<u64, Failure> + Send + 'static,
    ) -> Result<u64> {
        self.check_open(operation)?;
        let stream = Arc::clone(&self.stream);
        let ids: Vec<i64> = ids.iter().filter_map(|id| parse(operation, id).ok()).collect();
        let changed = self.database.write(ids.len(), move |connection| work(connection, &stream, &ids)).await;
        changed.map_err(|failure| failure.to_error(operation))
    }

    fn check_open(&self, operation: &'static str) -> Result<()> {
        if self.closed.load(Ordering::Acquire) { Err(Error::closed(operation)) } else { Ok(()) }
    }
}

#[async_trait]
impl EventAdmin for SqliteAdmin {
    fn capabilities(&self) -> Capabilities {
        self.database.config().capabilities()
    }

    async fn read(&self, from: &StartFrom, max: NonZeroUsize, wait: Duration) -> Result<Vec<Record>> {
        const OPERATION: &str = "read history";
        let end = Instant::now() + wait.min(FOREVER);
        let mut start = Start::parse(OPERATION, from)?;
        if matches!(start, Start::Latest) {
            // Latest is now, and stays there while this call waits.
            let last = self.ask(OPERATION, history::last_seq).await?;
            start = Start::After(last.unwrap_or(0));
        }
        loop {
            let (last, records) = self
                .ask(OPERATION, move |connection, stream| {
                    let last = history::last_seq(connection, stream)?.unwrap_or(0);
                    Ok((last, history::read(connection, stream, start, max.get())?))
                })
                .await?;
            let left = end.saturating_duration_since(Instant::now());
            if !records.is_empty() || left.is_zero() {
                return Ok(records);
            }
            let stream = Arc::clone(&self.stream);
            let check =
                Box::new(move |connection: &Connection, _| history::has_more(connection, &stream, last));
            match tokio::time::timeout(left, self.database.watch(check)).await {
                Ok(watched) => watched.map_err(|failure| failure.to_error(OPERATION))?,
                Err(_) => return Ok(Vec::new()),
            }
        }
    }

    async fn last_id(&self) -> Result<Option<MessageId>> {
        let last = self.ask("read last id", history::last_seq).await?;
        Ok(last.map(message_id))
    }

    async fn peek(
        &self,
        group: &str,
        start_from: &StartFrom,
        after: Option<&MessageId>,
        max: NonZeroUsize,
    ) -> Result<Vec<Record>> {
        const OPERATION: &str = "peek";
        let start = Start::parse(OPERATION, start_from)?;
        let after = after.map_or(Ok(0), |id| parse(OPERATION, id))?;
        let group = group.to_owned();
        self.ask(OPERATION, move |connection, stream| {
            let Some(stream) = Stream::find(connection, stream)? else { return Ok(Vec::new()) };
            groups::peek(connection, &stream, &group, start, after, max.get(), clock::now())
        })
        .await
    }

    async fn groups(&self) -> Result<Vec<GroupStatus>> {
        self.ask("list groups", |connection, stream| groups::list(connection, stream, clock::now())).await
    }

    async fn state(&self) -> Result<StreamState> {
        self.ask("tell state", |connection, stream| groups::state(connection, stream, clock::now())).await
    }

    async fn pending(
        &self,
        group: &str,
        after: Option<&MessageId>,
        max: NonZeroUsize,
    ) -> Result<Vec<PendingEvent>> {
        const OPERATION: &str = "list pending events";
        let after = after.map_or(Ok(0), |id| parse(OPERATION, id))?;
        let group = group.to_owned();
        self.ask(OPERATION, move |connection, stream| {
            groups::pending(connection, stream, &group, after, max.get(), clock::now())
        })
        .await
    }

    async fn dead_letters(&self, after: Option<&MessageId>, max: NonZeroUsize) -> Result<Vec<DeadLetter>> {
        const OPERATION: &str = "list dead letters";
        let after = after.map_or(Ok(0), |id| parse(OPERATION, id))?;
        self.ask(OPERATION, move |connection, stream| {
            dead_letters::list(connection, stream, after, max.get())
        })
        .await
    }

    async fn redrive(&self, ids: &[MessageId]) -> Result<u64> {
        let redrive = |connection: &Connection, stream: &str, ids: &[i64]| {
            dead_letters::redrive(connection, stream, ids, clock::now())
        };
        self.change("redrive", ids, redrive).await
    }

    async fn purge(&self, ids: &[MessageId]) -> Result<u64> {
        self.change("purge", ids, dead_letters::purge).await
    }

    async fn trim(&self, retention: &Retention) -> Result<TrimReport> {
        const OPERATION: &str = "trim";
        self.check_open(OPERATION)?;
        retention.validate()?;
        let mut report = TrimReport::new();
        loop {
            let (stream, limits) = (Arc::clone(&self.stream), retention.clone());
            let pass = self.database.write(retention::MOST_REMOVED, move |connection| {
                retention::trim_by_name(connection, &stream, &limits, clock::now())
            });
            let trimmed = pass.await.map_err(|failure| failure.to_error(OPERATION))?;
            report.removed += trimmed.removed;
            report.cut += trimmed.cut;
            if !trimmed.more {
                let held_by = |(group, seq)| HeldBy { group, message_id: message_id(seq) };
                report.held_by = trimmed.held_by.map(held_by);
                return Ok(report);
            }
        }
    }

    async fn remove_stream(&self) -> Result<()> {
        const OPERATION: &str = "remove stream";
        // Its groups first, so that nothing is needed any more; then its events, a part at a time, so that nobody waits long
        // for the file.
        let stream = Arc::clone(&self.stream);
        let removed = self.database.write(1, move |connection| groups::remove_groups(connection, &stream));
        removed.await.map_err(|failure| failure.to_error(OPERATION))?;
        self.trim(&Retention::default().with_hard_max_events(0)).await?;
        let stream = Arc::clone(&self.stream);
        let removed = self.database.write(1, move |connection| groups::remove_stream(connection, &stream));
        removed.await.map_err(|failure| failure.to_error(OPERATION))
    }

    async fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::Release);
        Ok(())
    }
}
