//! Looks at a stream in memory.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use events_core::{
    Capabilities, DeadLetter, EventAdmin, GroupStatus, MessageId, PendingEvent, Record, Result, Retention,
    StartFrom, StreamState, TrimReport, async_trait,
};
use tokio::time::Instant;

use crate::cell::{Cell, deadline};
use crate::log::{Entry, Position, message_id, position};

/// Looks at one stream of a [`MemoryBroker`](crate::MemoryBroker).
///
/// A dead letter whose group was removed is not redriven until a consumer has made the group again.
#[derive(Debug)]
pub struct MemoryAdmin {
    cell: Arc<Cell>,
}

impl MemoryAdmin {
    pub(crate) fn new(cell: Arc<Cell>) -> Self {
        Self { cell }
    }
}

#[async_trait]
impl EventAdmin for MemoryAdmin {
    fn capabilities(&self) -> Capabilities {
        self.cell.config.capabilities()
    }

    async fn read(&self, from: &StartFrom, max: NonZeroUsize, wait: Duration) -> Result<Vec<Record>> {
        tokio::task::coop::consume_budget().await;
        let start = self.cell.look(|stream| stream.log.start(from))?;
        let end = deadline(wait);
        loop {
            let changed = self.cell.changed();
            let found: Vec<(Position, Arc<Entry>)> = self.cell.look(|stream| {
                let log = stream.log.from(start.position);
                let admitted = log.filter(|(position, entry)| start.admits(*position, entry));
                admitted.take(max.get()).map(|(position, entry)| (position, Arc::clone(entry))).collect()
            });
            if !found.is_empty() || Instant::now() >= end {
                return Ok(found.into_iter().map(record).collect());
            }
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep_until(end) => {}
            }
        }
    }

    async fn last_id(&self) -> Result<Option<MessageId>> {
        Ok(self.cell.look(|stream| stream.log.last()).map(message_id))
    }

    async fn peek(
        &self,
        group: &str,
        start_from: &StartFrom,
        after: Option<&MessageId>,
        max: NonZeroUsize,
    ) -> Result<Vec<Record>> {
        let now = self.cell.clock.now();
        let due: Vec<(Position, Arc<Entry>)> = self.cell.look(|stream| {
            let after = after.map_or(Ok(0), |id| stream.log.known(id))?;
            let group = stream.groups.get(group);
            let start = stream.log.start(start_from)?;
            let due = |(position, entry): &(Position, &Arc<Entry>)| match group {
                Some(group) => group.is_due(*position, entry, now),
                None => start.admits(*position, entry),
            };
            let entries = stream.log.from(after + 1).filter(due).take(max.get());
            Ok::<_, events_core::Error>(
                entries.map(|(position, entry)| (position, Arc::clone(entry))).collect(),
            )
        })?;
        Ok(due.into_iter().map(record).collect())
    }

    async fn groups(&self) -> Result<Vec<GroupStatus>> {
        let now = self.cell.clock.now();
        Ok(self.cell.look(|stream| {
            stream.groups.iter().map(|(name, group)| group.status(name, &stream.log, now)).collect()
        }))
    }

    async fn state(&self) -> Result<StreamState> {
        let now = self.cell.clock.now();
        Ok(self.cell.look(|stream| {
            let mut state = StreamState::new(&*self.cell.name);
            let groups = stream.groups.iter();
            state.groups = groups.map(|(name, group)| group.status(name, &stream.log, now)).collect();
            state.length = Some(stream.log.len() as u64);
            state.first_id = stream.log.from(0).next().map(|(position, _)| message_id(position));
            state.last_id = stream.log.last().map(message_id);
            state.dead_letters = Some(stream.dead_letters.len() as u64);
            state
        }))
    }

    async fn pending(
        &self,
        group: &str,
        after: Option<&MessageId>,
        max: NonZeroUsize,
    ) -> Result<Vec<PendingEvent>> {
        let now = self.cell.clock.now();
        self.cell.look(|stream| {
            let after = after.map_or(Ok(0), |id| stream.log.known(id))?;
            let Some(group) = stream.groups.get(group) else { return Ok(Vec::new()) };
            Ok(group.pending(&stream.log, after, now).take(max.get()).collect())
        })
    }

    async fn dead_letters(&self, after: Option<&MessageId>, max: NonZeroUsize) -> Result<Vec<DeadLetter>> {
        let after = after.and_then(position).unwrap_or(0);
        Ok(self.cell.look(|stream| stream.dead_letters.list(after, max.get())))
    }

    async fn redrive(&self, ids: &[MessageId]) -> Result<u64> {
        let redriven = |id: &&MessageId| self.cell.change(|stream| stream.redrive(id, &self.cell.clock));
        Ok(ids.iter().filter(redriven).count() as u64)
    }

    async fn purge(&self, ids: &[MessageId]) -> Result<u64> {
        let purged = |id: &&MessageId| self.cell.change(|stream| stream.dead_letters.remove(id).is_some());
        Ok(ids.iter().filter(purged).count() as u64)
    }

    async fn trim(&self, retention: &Retention) -> Result<TrimReport> {
        retention.validate()?;
        let date = self.cell.clock.date();
        Ok(self.cell.change(|stream| stream.trim(retention, date)))
    }

    async fn remove_stream(&self) -> Result<()> {
        self.cell.change(|stream| stream.clear());
        Ok(())
    }

    async fn close(&self) -> Result<()> {
        // There is no connection to let go of.
        Ok(())
    }
}

fn record((position, entry): (Position, Arc<Entry>)) -> Record {
    Record {
        message_id: message_id(position),
        published_at: entry.published_at,
        encoding: entry.message.encoding(),
        event: entry.decode(None),
    }
}
