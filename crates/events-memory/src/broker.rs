//! The broker: streams by name, and the doors to them.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use events_core::wire::RawMessage;
use events_core::{ConsumerOptions, Error, ErrorKind, MessageId, Result};

use crate::cell::Cell;
use crate::clock::Clock;
use crate::config::MemoryConfig;
use crate::log::{message_id, position};
use crate::{MemoryAdmin, MemoryConsumer, MemoryPublisher};

/// The brokers made by [`MemoryBroker::named`].
static NAMED: LazyLock<Mutex<HashMap<String, MemoryBroker>>> = LazyLock::new(Mutex::default);

/// A broker inside this process; clones are the same broker.
///
/// A stream comes into being when it is first named. Everything is gone with the last clone, publisher and consumer.
#[derive(Clone, Debug)]
pub struct MemoryBroker {
    config: Arc<MemoryConfig>,
    clock: Clock,
    streams: Arc<Mutex<HashMap<String, Arc<Cell>>>>,
}

impl Default for MemoryBroker {
    fn default() -> Self {
        Self::new(MemoryConfig::default())
    }
}

impl MemoryBroker {
    /// A broker of its own, on the system's clock.
    pub fn new(config: MemoryConfig) -> Self {
        Self { config: Arc::new(config), clock: Clock::system(), streams: Arc::default() }
    }

    /// The broker every caller in this process gets by `name`, which may be empty; it lives as long as the process.
    ///
    /// This is how a publisher and a consumer that are made apart from each other, from the URL `memory:<name>`, meet.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) when the broker was made before with other settings.
    pub fn named(name: &str, config: &MemoryConfig) -> Result<Self> {
        let mut named = NAMED.lock().unwrap_or_else(PoisonError::into_inner);
        let broker = named.entry(name.to_owned()).or_insert_with(|| Self::new(config.clone()));
        if *broker.config != *config {
            let message = format!("the broker {name:?} of this process has other settings");
            return Err(Error::new(ErrorKind::InvalidConfig, "open memory broker", message));
        }
        Ok(broker.clone())
    }

    /// Goes by another clock; made for tests, which move a [`ManualClock`](crate::ManualClock).
    ///
    /// To be called before the broker is used: what was opened before keeps its clock.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// A publisher for `stream`.
    pub fn publisher(&self, stream: &str) -> MemoryPublisher {
        MemoryPublisher::new(self.cell(stream))
    }

    /// A member of a consumer group on `stream`; makes the group if it does not exist.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) for options that break a rule, or a start at an id the stream never gave.
    pub fn consumer(&self, stream: &str, options: ConsumerOptions) -> Result<MemoryConsumer> {
        MemoryConsumer::join(self.cell(stream), options)
    }

    /// An admin for `stream`.
    pub fn admin(&self, stream: &str) -> MemoryAdmin {
        MemoryAdmin::new(self.cell(stream))
    }

    /// Appends a message as it is, whether or not it is an event, as a foreign producer may.
    ///
    /// # Errors
    ///
    /// [`Full`](ErrorKind::Full) when the stream has no room; see [`MemoryConfig::max_events`].
    pub fn publish_raw(&self, stream: &str, message: RawMessage) -> Result<MessageId> {
        let cell = self.cell(stream);
        let (date, limit) = (cell.clock.date(), cell.config.max_events);
        cell.change(|stream| stream.publish(message, date, limit)).map(message_id)
    }

    /// Removes one event from a stream, though a group may still need it; `false` when it is not there.
    pub fn remove_event(&self, stream: &str, id: &MessageId) -> bool {
        self.cell(stream).change(|stream| position(id).is_some_and(|position| stream.log.remove(position)))
    }

    /// Removes a consumer group; `false` when there is none.
    ///
    /// A consumer that is a member makes it again, at the oldest event the group had not finished.
    pub fn remove_group(&self, stream: &str, group: &str) -> bool {
        self.cell(stream).change(|stream| stream.groups.remove(group).is_some())
    }

    /// Removes a stream with its events, groups and dead letters. Its publishers and consumers go on with an empty one.
    pub fn remove_stream(&self, stream: &str) {
        self.cell(stream).change(|stream| stream.clear());
    }

    /// Removes all streams, as [`remove_stream`](Self::remove_stream) does.
    pub fn clear(&self) {
        let streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        for cell in streams.values() {
            cell.change(|stream| stream.clear());
        }
    }

    pub(crate) fn cell(&self, stream: &str) -> Arc<Cell> {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cell) = streams.get(stream) {
            return Arc::clone(cell);
        }
        let cell = Arc::new(Cell::new(stream, Arc::clone(&self.config), self.clock.clone()));
        streams.insert(stream.to_owned(), Arc::clone(&cell));
        cell
    }
}
