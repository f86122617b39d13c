//! `RedisPublisher`: events in, entries of a stream out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use events_core::wire::{self, BODY_FIELD};
use events_core::{
    Capabilities, Error, ErrorKind, Event, EventPublisher, MessageId, PublishReport, Result, async_trait,
};
use futures_util::stream::{self, StreamExt};
use tokio::sync::{RwLock, Semaphore};
use tokio::time::timeout;

use crate::RedisConfig;
use crate::capabilities::capabilities;
use crate::client::{Fields, ForeignClient, Link, Role, StreamClient};
use crate::janitor::Janitor;

/// How many events one command adds, as measured: more gains nothing and keeps the server from others for longer.
const EVENTS_IN_ONE_COMMAND: usize = 256;

/// How many bytes of events one command carries; a larger event goes by itself.
const BYTES_IN_ONE_COMMAND: usize = 1024 * 1024;

/// How many commands of one batch are on their way at once; the server works while the next is encoded.
const COMMANDS_ON_THEIR_WAY: usize = 4;

/// The unit in which room is counted, since a semaphore counts to less than the bytes of a large machine.
const UNIT: u64 = 1024;

/// Publishes to one stream.
///
/// A batch goes out as few large commands, of which each is atomic; `Ok` for an event means that the server has it in
/// memory, and on disk or on replicas as far as the server's own settings promise that before it answers.
///
/// A command whose answer is lost with its connection is sent again, up to three times in all within
/// [`command_timeout`](RedisConfig::command_timeout). What it carried may then be in the stream twice;
/// consumers tell by the event's id.
#[derive(Debug)]
pub struct RedisPublisher {
    client: StreamClient,
    capabilities: Capabilities,
    closed: AtomicBool,
    /// Read while events are on their way; closing writes.
    busy: RwLock<()>,
    room: Semaphore,
    units: u32,
    patience: Duration,
    /// Ends with the publisher.
    janitor: Mutex<Option<Janitor>>,
}

impl RedisPublisher {
    /// Connects to the server that `config` names.
    ///
    /// A server that is not there within [`connect_timeout`](RedisConfig::connect_timeout) is logged, and connecting
    /// goes on in the background.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) for a configuration that cannot work and
    /// [`PermissionDenied`](ErrorKind::PermissionDenied) for credentials the server refuses.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn connect(config: &RedisConfig, stream_key: &str) -> Result<Self> {
        let link = Link::connect(config, Role::Commands).await?;
        let publisher = Self::new(link, config, stream_key)?;
        publisher.client.warn_of_eviction().await;
        Ok(publisher)
    }

    /// Publishes through a client that exists already and stays the caller's: it is not closed with the publisher.
    ///
    /// Of `config` only what does not concern connecting counts. The client must be connected and should have a
    /// reconnection policy. With a [`retention`](RedisConfig::retention) this must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) for an empty stream key.
    pub fn with_client(client: ForeignClient, config: &RedisConfig, stream_key: &str) -> Result<Self> {
        Self::new(Link::foreign(client), config, stream_key)
    }

    fn new(link: Link, config: &RedisConfig, stream_key: &str) -> Result<Self> {
        if stream_key.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                "redis publisher",
                "the stream key must not be empty",
            ));
        }
        let units = u32::try_from(config.max_queued_bytes.get().div_ceil(UNIT)).unwrap_or(u32::MAX);
        let units = units.min(Semaphore::MAX_PERMITS.try_into().unwrap_or(u32::MAX));
        let client = StreamClient::new(link, stream_key, config.command_timeout);
        let janitor = Mutex::new(Janitor::start(config, &client, None));
        Ok(Self {
            client,
            janitor,
            capabilities: capabilities(config),
            closed: AtomicBool::new(false),
            busy: RwLock::new(()),
            room: Semaphore::new(units as usize),
            units,
            patience: config.command_timeout,
        })
    }

    /// Sends one command's worth of events and says of each what became of it.
    async fn send(&self, chunk: Chunk) -> Vec<(usize, Result<MessageId>)> {
        let Chunk { indexes, batch, bytes, refused } = chunk;
        let mut outcomes: Vec<_> = refused.into_iter().map(|(at, error)| (at, Err(error))).collect();
        if batch.is_empty() {
            return outcomes;
        }
        let units = (bytes as u64).div_ceil(UNIT).max(batch.len() as u64);
        let units = u32::try_from(units).unwrap_or(u32::MAX).min(self.units);
        // Never closed, so the only way to get no room is to have waited for as long as a command may take.
        let Ok(Ok(_room)) = timeout(self.patience, self.room.acquire_many(units)).await else {
            let full = || Error::new(ErrorKind::Full, "publish", "too many events wait for the server");
            outcomes.extend(indexes.into_iter().map(|at| (at, Err(full()))));
            return outcomes;
        };
        let added = self.client.add_many(batch).await;
        let added = added.into_iter().map(|id| id.map(MessageId::from).map_err(Error::from));
        outcomes.extend(indexes.into_iter().zip(added));
        outcomes
    }
}

#[async_trait]
impl EventPublisher for RedisPublisher {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn publish_batch(&self, events: &[Event]) -> Result<PublishReport> {
        let _busy = self.busy.read().await;
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::closed("publish"));
        }
        if events.len() > 1 {
            self.client.ask_for_scripts().await;
        }
        let chunks = Chunks { events, at: 0, max_bytes: self.capabilities.max_event_bytes };
        let mut outcomes: Vec<(usize, Result<MessageId>)> =
            stream::iter(chunks).map(|chunk| self.send(chunk)).buffered(COMMANDS_ON_THEIR_WAY).concat().await;
        outcomes.sort_by_key(|(at, _)| *at);
        Ok(PublishReport::new(outcomes.into_iter().map(|(_, outcome)| outcome).collect()))
    }

    async fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::Release);
        drop(self.janitor.lock().unwrap_or_else(PoisonError::into_inner).take());
        // Whoever publishes holds the lock for reading, for at most the publish timeout.
        let _idle = self.busy.write().await;
        self.client.link().quit().await;
        Ok(())
    }
}

/// Some events of a batch, encoded.
struct Chunk {
    indexes: Vec<usize>,
    batch: Vec<Fields>,
    bytes: usize,
    refused: Vec<(usize, Error)>,
}

/// Cuts a batch into commands, and encodes each only when it is about to be sent.
struct Chunks<'e> {
    events: &'e [Event],
    at: usize,
    max_bytes: usize,
}

impl Iterator for Chunks<'_> {
    type Item = Chunk;

    fn next(&mut self) -> Option<Chunk> {
        if self.at == self.events.len() {
            return None;
        }
        let mut chunk = Chunk { indexes: Vec::new(), batch: Vec::new(), bytes: 0, refused: Vec::new() };
        while chunk.batch.len() < EVENTS_IN_ONE_COMMAND && chunk.bytes < BYTES_IN_ONE_COMMAND {
            let Some(event) = self.events.get(self.at) else { break };
            let encoded = wire::encode(event);
            let bytes = encoded.counted_bytes();
            if bytes > self.max_bytes {
                chunk.refused.push((self.at, Error::too_large("publish", bytes, self.max_bytes)));
            } else {
                chunk.indexes.push(self.at);
                chunk.bytes += bytes;
                chunk.batch.push(fields(event, encoded));
            }
            self.at += 1;
        }
        Some(chunk)
    }
}

fn fields(event: &Event, encoded: wire::Encoded<'_>) -> Fields {
    let body = (Bytes::from_static(BODY_FIELD.as_bytes()), Bytes::from(encoded.into_body()));
    let headers = event.headers().iter();
    let headers = headers.map(|(name, value)| (Bytes::from(name.to_owned()), Bytes::from(value.to_owned())));
    std::iter::once(body).chain(headers).collect()
}
