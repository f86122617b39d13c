//! The durable spool: where events wait while the broker is away.

use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use events_core::{
    ErrorKind, Event, EventAdmin, EventConsumer, EventPublisher, MessageId, Result, StartFrom, ack_all,
    wire::append_body,
};

use super::config::SpoolConfig;
use super::shared::Shared;
use super::spool_lock::SpoolLock;
use super::stats::DropReason;

/// How many entries are read at a time when what an earlier process left is counted.
const COUNT_PAGE: NonZeroUsize = NonZeroUsize::new(1_000).expect("a thousand is not zero");

/// A durable local stream that belongs to one manager: the embedded SQLite backend, or any other that
/// [keeps order](events_core::Capabilities::ordered), survives crashes and can [look ahead](EventAdmin::peek).
///
/// The stream must have no other user, which a [`SpoolLock`] sees to. Its one consumer group is the manager's place in it, so the broker's own rule that
/// unacknowledged events are kept is what makes the spool survive.
#[derive(Debug)]
pub struct Spool {
    pub(crate) writer: SpoolWriter,
    pub(crate) reader: SpoolReader,
    pub(crate) lock: Option<SpoolLock>,
}

impl Spool {
    /// A spool in the stream that the three belong to; `group` is the consumer's group, which starts at the earliest event.
    pub fn new(
        publisher: Arc<dyn EventPublisher>,
        consumer: Box<dyn EventConsumer>,
        admin: Arc<dyn EventAdmin>,
        group: impl Into<String>,
    ) -> Self {
        Self {
            writer: SpoolWriter { publisher },
            reader: SpoolReader { consumer, admin, group: group.into() },
            lock: None,
        }
    }

    /// Holds `lock` for as long as the manager uses the spool. Default: nothing keeps a second manager out.
    #[must_use]
    pub fn with_lock(mut self, lock: SpoolLock) -> Self {
        self.lock = Some(lock);
        self
    }
}

/// How much is in the spool, and how much may be.
#[derive(Debug)]
pub(crate) struct Depth {
    events: AtomicU64,
    bytes: AtomicU64,
    max_events: NonZeroU64,
    max_bytes: NonZeroU64,
}

impl Depth {
    pub(crate) fn new(config: &SpoolConfig) -> Self {
        Self {
            events: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            max_events: config.max_events,
            max_bytes: config.max_bytes,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.events.load(Ordering::Relaxed) == 0
    }

    /// Whether not one more event fits.
    pub(crate) fn is_full(&self) -> bool {
        self.events.load(Ordering::Relaxed) >= self.max_events.get()
            || self.bytes.load(Ordering::Relaxed) >= self.max_bytes.get()
    }

    /// How many of these events, from the first on, there is room for.
    pub(crate) fn room_for(&self, events: &[Event]) -> usize {
        let count = self.max_events.get().saturating_sub(self.events.load(Ordering::Relaxed));
        let mut bytes = self.max_bytes.get().saturating_sub(self.bytes.load(Ordering::Relaxed));
        let fits = |event: &&Event| match bytes.checked_sub(size(event)) {
            Some(left) => {
                bytes = left;
                true
            }
            None => false,
        };
        events.iter().take(usize::try_from(count).unwrap_or(usize::MAX)).take_while(fits).count()
    }

    fn add(&self, event: &Event) {
        self.events.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(size(event), Ordering::Relaxed);
    }

    pub(crate) fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    /// Takes away what was removed. Entries nobody counted, because a dead process held them at the start, count as none.
    pub(crate) fn remove(&self, events: u64, bytes: u64) {
        let less = |from: &AtomicU64, by: u64| {
            from.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| Some(now.saturating_sub(by))).ok();
        };
        less(&self.events, events);
        less(&self.bytes, bytes);
    }

    /// There is nothing left, whatever was counted.
    pub(crate) fn clear(&self) {
        self.events.store(0, Ordering::Relaxed);
        self.bytes.store(0, Ordering::Relaxed);
    }
}

/// What an event takes, whatever encoding it is stored in: its JSON and its headers.
pub(crate) fn size(event: &Event) -> u64 {
    let mut body = Vec::with_capacity(256 + event.payload().len());
    append_body(&mut body, event);
    let headers: usize = event.headers().iter().map(|(name, value)| name.len() + value.len()).sum();
    (body.len() + headers) as u64
}

#[derive(Debug)]
pub(crate) struct SpoolWriter {
    publisher: Arc<dyn EventPublisher>,
}

impl SpoolWriter {
    /// Appends the first `count` events; leaves in `events` those that are not in the spool.
    ///
    /// An event the spool will never take is dropped: it must not keep those behind it from being saved.
    pub(crate) async fn append(
        &self,
        events: &mut Vec<Event>,
        count: usize,
        depth: &Depth,
        shared: &Shared,
    ) -> Result<()> {
        let outcomes = self.publisher.publish_batch(&events[..count]).await?.into_outcomes();
        let mut first_error = None;
        let mut outcomes = outcomes.into_iter();
        events.retain(|event| match outcomes.next() {
            Some(Ok(_)) => {
                depth.add(event);
                shared.counters.ever_spooled.fetch_add(1, Ordering::Relaxed);
                false
            }
            Some(Err(error)) => {
                let hopeless = matches!(error.kind(), ErrorKind::TooLarge | ErrorKind::InvalidEvent);
                if hopeless {
                    shared.dropped(event, DropReason::Refused);
                }
                first_error.get_or_insert(error);
                !hopeless
            }
            None => true,
        });
        first_error.map_or(Ok(()), Err)
    }

    pub(crate) async fn close(&self) -> Result<()> {
        self.publisher.close().await
    }
}

#[derive(Debug)]
pub(crate) struct SpoolReader {
    consumer: Box<dyn EventConsumer>,
    admin: Arc<dyn EventAdmin>,
    group: String,
}

impl SpoolReader {
    /// Counts what an earlier process left.
    pub(crate) async fn count(&mut self, depth: &Depth) -> Result<()> {
        let mut after = None;
        loop {
            let page = self.admin.peek(&self.group, &StartFrom::Earliest, after.as_ref(), COUNT_PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.message_id.clone());
            page.iter().filter_map(|record| record.event.as_ref().ok()).for_each(|event| depth.add(event));
        }
    }

    /// The oldest events, which stay in the spool. Nothing is leased, so that after a crash they are there at once and in
    /// the same order.
    pub(crate) async fn first(&mut self, max: NonZeroUsize) -> Result<Vec<(MessageId, Event)>> {
        let page = self.admin.peek(&self.group, &StartFrom::Earliest, None, max).await?;
        Ok(page.into_iter().filter_map(|record| Some((record.message_id, record.event.ok()?))).collect())
    }

    /// Removes the oldest events, of which `ids` are the names.
    pub(crate) async fn remove(&mut self, ids: &[MessageId]) -> Result<()> {
        let mut left = ids.len();
        while let Some(max) = NonZeroUsize::new(left) {
            let deliveries = self.consumer.receive(max, Duration::ZERO).await?;
            if deliveries.is_empty() {
                break;
            }
            let mut gone = Vec::with_capacity(deliveries.len());
            for delivery in deliveries {
                match ids.contains(delivery.message_id()) {
                    true => gone.push(delivery),
                    // It became due meanwhile and is not published yet.
                    false => delivery.release().await?,
                }
            }
            if gone.is_empty() {
                break;
            }
            left -= ack_all(gone).await.into_result()?;
        }
        Ok(())
    }

    pub(crate) async fn close(&mut self) -> Result<()> {
        self.consumer.close().await?;
        self.admin.close().await
    }
}
