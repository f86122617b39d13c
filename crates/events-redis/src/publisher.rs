//! `RedisPublisher`: events in, entries of a stream out.

use std::mem;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use events_core::wire::{Encoded, Encoding};
use events_core::{
    Capabilities, Error, ErrorKind, Event, EventPublisher, MessageId, Observer, PublishReport, Result,
    async_trait,
};
use futures_util::FutureExt;
use futures_util::stream::{FuturesOrdered, StreamExt};
use tokio::sync::{RwLock, Semaphore, SemaphorePermit};
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::RedisConfig;
use crate::capabilities::capabilities;
use crate::client::{CommandError, ForeignClient, Line, Link, NewEntry, Role, StreamClient};
use crate::gate::Gate;
use crate::janitor::Janitor;
use crate::outlet::Outlet;

/// How many events one command adds, as measured: fewer cost more of the client, more leave client and server waiting for
/// each other, and keep the server from others for longer.
pub(crate) const EVENTS_IN_ONE_COMMAND: usize = 128;

/// How many events the first of several commands adds: fewer, since the server has nothing to do before it comes.
const EVENTS_IN_FIRST_COMMAND: usize = 64;

/// How many bytes of events one command carries; a larger event goes by itself.
pub(crate) const BYTES_IN_ONE_COMMAND: usize = 1024 * 1024;

/// How many commands of one batch are on their way at once; the server works while the next is encoded.
const COMMANDS_ON_THEIR_WAY: usize = 4;

/// The unit in which room is counted, since a semaphore counts to less than the bytes of a large machine.
const UNIT: u64 = 1024;

/// Publishes to one stream.
///
/// A batch goes out as few large commands, of which each is atomic, and so do single events that are published at the same
/// time; `Ok` for an event means that the server has it in
/// memory, and on disk or on replicas as far as the server's own settings promise that before it answers.
///
/// A command whose answer is lost with its connection is sent again, up to three times in all within
/// [`command_timeout`](RedisConfig::command_timeout). What it carried may then be in the stream twice;
/// consumers tell by the event's id. With a [`producer_id`](RedisConfig::producer_id) a server that can do that tells
/// by itself, and adds nothing twice.
#[derive(Debug)]
pub struct RedisPublisher {
    client: StreamClient,
    outlet: Arc<Outlet>,
    /// Where single events meet.
    gate: Gate,
    capabilities: Capabilities,
    encoding: Encoding,
    closed: AtomicBool,
    /// Read while a batch is on its way; closing writes.
    busy: RwLock<()>,
    /// What is on its way holds some of it; closing takes all.
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
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) for a configuration that cannot work,
    /// [`PermissionDenied`](ErrorKind::PermissionDenied) for credentials the server refuses, and
    /// [`Unsupported`](ErrorKind::Unsupported) for [`wait_aof`](RedisConfig::wait_aof) where the server cannot do that.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn connect(config: &RedisConfig, stream_key: &str) -> Result<Self> {
        config.validate_publishing()?;
        let link = Link::connect(config, Role::Commands).await?;
        let publisher = Self::new(link, config, stream_key)?;
        if publisher.client.link().is_connected()
            && let Err(error) = publisher.outlet.prepare().await.map_err(Error::from)
            && !error.is_transient()
        {
            return Err(error);
        }
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
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) for an empty stream key and settings that cannot work.
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
        config.validate_publishing()?;
        let units = u32::try_from(config.max_queued_bytes.get().div_ceil(UNIT)).unwrap_or(u32::MAX);
        let units = units.min(Semaphore::MAX_PERMITS.try_into().unwrap_or(u32::MAX));
        let client = StreamClient::new(link, stream_key, config.command_timeout);
        let outlet = Arc::new(Outlet::new(client.clone(), config));
        let janitor = Mutex::new(Janitor::start(config, &client, None));
        Ok(Self {
            gate: Gate::new(Arc::clone(&outlet)),
            outlet,
            client,
            janitor,
            capabilities: capabilities(config),
            encoding: Encoding::default(),
            closed: AtomicBool::new(false),
            busy: RwLock::new(()),
            room: Semaphore::new(units as usize),
            units,
            patience: config.command_timeout,
        })
    }

    /// Tells `observer` of connections of the publisher's own that are made anew. Default: nobody.
    #[must_use]
    pub fn with_observer(self, observer: Arc<dyn Observer>) -> Self {
        self.client.link().observe(observer);
        self
    }

    /// Writes events in this encoding. Default: [`Encoding::Adr018`].
    #[must_use]
    pub fn with_encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// Sends one event, together with others if there are any.
    async fn send_single(&self, event: &Event) -> Result<MessageId> {
        let encoded = encode(event, self.encoding, self.capabilities.max_event_bytes)?;
        let bytes = encoded.counted_bytes();
        let Some(_room) = self.room(bytes, 1).await else { return Err(full()) };
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::closed("publish"));
        }
        Ok(self.gate.send(entry(event, encoded, self.outlet.remembers()), bytes).await?)
    }

    /// Sends a batch as few commands and says of each event what became of it.
    async fn send_several(&self, events: &[Event]) -> PublishReport {
        if !events.is_empty() {
            self.client.ask_for_scripts().await;
        }
        let max_bytes = self.capabilities.max_event_bytes;
        let (encoding, remembered) = (self.encoding, self.outlet.remembers());
        let mut chunks = Chunks { events, at: 0, max_bytes, encoding, remembered };
        let mut outcomes: Vec<(usize, Result<MessageId>)> = Vec::with_capacity(events.len());
        // Single commands that were refused as a script are not sent at once.
        let at_once = if self.client.scripted() { COMMANDS_ON_THEIR_WAY } else { 1 };
        let mut on_their_way = FuturesOrdered::new();
        let mut refusal = None;
        while let Some(chunk) = chunks.next() {
            if on_their_way.len() == at_once {
                outcomes.extend(on_their_way.next().await.unwrap_or_default());
            }
            if chunk.batch.is_empty() {
                outcomes.extend(chunk.refused());
                continue;
            }
            let pass = {
                let mut pass = pin!(self.pass(&chunk, refusal.take()));
                loop {
                    tokio::select! {
                        biased;
                        pass = &mut pass => break pass,
                        // Goes on meanwhile, since it gives up its room only once it was looked at.
                        Some(sent) = on_their_way.next() => outcomes.extend(sent),
                    }
                }
            };
            match pass {
                Ok(pass) => on_their_way.push_back(self.send(chunk, pass)),
                Err(refused) => {
                    outcomes.extend(chunk.refuse(&refused));
                    refusal = Some(refused);
                }
            }
            // Polled at once, so that it keeps its place.
            outcomes.extend(on_their_way.next().now_or_never().flatten().unwrap_or_default());
            if chunks.has_more() {
                // The client's task, which writes it, has the next turn on this thread: the server has this one to do while
                // the next is encoded.
                yield_now().await;
            }
        }
        while let Some(sent) = on_their_way.next().await {
            outcomes.extend(sent);
        }
        outcomes.sort_by_key(|(at, _)| *at);
        PublishReport::new(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
    }

    /// Waits for room and for a connection, each for as long as a command may take.
    ///
    /// Where there was none for those before, there is none for those after: they would be out of order, and the whole
    /// batch would wait once for each command.
    async fn pass(&self, chunk: &Chunk, refusal: Option<Refusal>) -> Result<Pass<'_>, Refusal> {
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        let room = self.room(chunk.bytes, chunk.batch.len()).await.ok_or(Refusal::Full)?;
        Ok(Pass { line: self.outlet.line().await.map_err(Refusal::Away)?, _room: room })
    }

    /// Sends one command's worth of events and says of each what became of it.
    async fn send(&self, mut chunk: Chunk, pass: Pass<'_>) -> Vec<(usize, Result<MessageId>)> {
        let added = self.outlet.add(pass.line, mem::take(&mut chunk.batch)).await;
        let added = added.into_iter().map(|id| id.map_err(Error::from));
        let accepted = mem::take(&mut chunk.indexes).into_iter().zip(added);
        accepted.chain(chunk.refused()).collect()
    }

    /// Room among what is on its way; none when there is none for as long as a command may take.
    async fn room(&self, bytes: usize, events: usize) -> Option<SemaphorePermit<'_>> {
        let units = (bytes as u64).div_ceil(UNIT).max(events as u64);
        let units = u32::try_from(units).unwrap_or(u32::MAX).min(self.units);
        match self.room.try_acquire_many(units) {
            Ok(room) => Some(room),
            Err(_) => timeout(self.patience, self.room.acquire_many(units)).await.ok()?.ok(),
        }
    }
}

#[async_trait]
impl EventPublisher for RedisPublisher {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn publish_batch(&self, events: &[Event]) -> Result<PublishReport> {
        // Many tasks publish single events at a time: these are known to be on their way by the room they hold alone.
        let _busy = if events.len() == 1 { None } else { Some(self.busy.read().await) };
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::closed("publish"));
        }
        if let Err(error) = self.outlet.prepare().await {
            // Nothing was sent.
            return Ok(PublishReport::new(events.iter().map(|_| Err(error.clone().into())).collect()));
        }
        if let [event] = events {
            return Ok(PublishReport::new(vec![self.send_single(event).await]));
        }
        // Boxed, so that the future of a single event, which is made a hundred thousand times a second, is not as large.
        Ok(Box::pin(self.send_several(events)).await)
    }

    async fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::Release);
        drop(self.janitor.lock().unwrap_or_else(PoisonError::into_inner).take());
        // Whoever publishes holds the lock for reading, or some of the room, for at most the publish timeout.
        let _idle = self.busy.write().await;
        let _all = self.room.acquire_many(self.units).await;
        self.client.link().quit().await;
        Ok(())
    }
}

/// Some events of a batch, encoded.
struct Chunk {
    indexes: Vec<usize>,
    batch: Vec<NewEntry>,
    bytes: usize,
    refused: Vec<(usize, Error)>,
}

impl Chunk {
    /// What became of events that could not be encoded.
    fn refused(self) -> impl Iterator<Item = (usize, Result<MessageId>)> {
        self.refused.into_iter().map(|(at, error)| (at, Err(error)))
    }

    /// What became of all, when nothing is sent.
    fn refuse(mut self, refusal: &Refusal) -> impl Iterator<Item = (usize, Result<MessageId>)> {
        let unsent = mem::take(&mut self.indexes).into_iter().map(|at| (at, Err(refusal.error())));
        unsent.chain(self.refused())
    }
}

/// Leave for one command: there is room for it, and a connection.
struct Pass<'p> {
    line: Line<'p>,
    _room: SemaphorePermit<'p>,
}

/// Why a command was not sent.
enum Refusal {
    Full,
    Away(CommandError),
}

impl Refusal {
    fn error(&self) -> Error {
        match self {
            Self::Full => full(),
            Self::Away(error) => error.clone().into(),
        }
    }
}

/// Cuts a batch into commands, and encodes each only when it is about to be sent.
struct Chunks<'e> {
    events: &'e [Event],
    at: usize,
    max_bytes: usize,
    encoding: Encoding,
    remembered: bool,
}

impl Chunks<'_> {
    fn has_more(&self) -> bool {
        self.at < self.events.len()
    }
}

impl Iterator for Chunks<'_> {
    type Item = Chunk;

    fn next(&mut self) -> Option<Chunk> {
        if !self.has_more() {
            return None;
        }
        let mut chunk = Chunk { indexes: Vec::new(), batch: Vec::new(), bytes: 0, refused: Vec::new() };
        let is_first_of_several = self.at == 0 && self.events.len() > EVENTS_IN_ONE_COMMAND;
        let most = if is_first_of_several { EVENTS_IN_FIRST_COMMAND } else { EVENTS_IN_ONE_COMMAND };
        while chunk.batch.len() < most && chunk.bytes < BYTES_IN_ONE_COMMAND {
            let Some(event) = self.events.get(self.at) else { break };
            match encode(event, self.encoding, self.max_bytes) {
                Ok(encoded) => {
                    chunk.indexes.push(self.at);
                    chunk.bytes += encoded.counted_bytes();
                    chunk.batch.push(entry(event, encoded, self.remembered));
                }
                Err(error) => chunk.refused.push((self.at, error)),
            }
            self.at += 1;
        }
        Some(chunk)
    }
}

fn full() -> Error {
    Error::new(ErrorKind::Full, "publish", "too many events wait for the server")
}

/// An event in its encoding, if the server is to have it.
fn encode(event: &Event, encoding: Encoding, max_bytes: usize) -> Result<Encoded<'_>> {
    let encoded = encoding.encode(event)?;
    match encoded.counted_bytes() {
        bytes if bytes > max_bytes => Err(Error::too_large("publish", bytes, max_bytes)),
        _ => Ok(encoded),
    }
}

/// An entry, by which the server is to remember the event if that is asked for.
fn entry(event: &Event, encoded: Encoded<'_>, remembered: bool) -> NewEntry {
    let beside = encoded.beside();
    let mut fields = Vec::with_capacity(1 + beside.len());
    fields.extend(beside.map(|(name, value)| (Bytes::from(name.to_owned()), Bytes::from(value.to_owned()))));
    let name = Bytes::from_static(encoded.body_field().as_bytes());
    if let Some(body) = encoded.into_body() {
        // Where whoever looks at the stream finds it.
        fields.insert(0, (name, Bytes::from(body)));
    }
    // In every encoding an event has the same id.
    let id = event.id().filter(|id| remembered && !id.is_empty());
    NewEntry { once: id.map(|id| Bytes::from(id.to_owned())), fields }
}
