//! `RedisConsumer`: a member of a consumer group.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use events_core::{
    Capabilities, ConsumerOptions, Delivery, DeliveryParts, Error, ErrorKind, EventConsumer, Receipt, Result,
    Settler, async_trait,
};
use tokio::task::JoinHandle;
use tokio::time::timeout_at;
use tracing::warn;

use crate::RedisConfig;
use crate::agenda::Agenda;
use crate::capabilities::capabilities;
use crate::client::{ForeignClient, Link, ReadConnection, Role, StreamClient};
use crate::entry_id::start_after;
use crate::inbox::{Found, Inbox, Ready};
use crate::janitor::Janitor;
use crate::membership::Membership;
use crate::reader::Reader;
use crate::settler::RedisSettler;

/// The share of a lease that may have run when an event is handed over; a lease that has run longer is begun anew first.
const FRESH_SHARE: u32 = 16;

/// The most events one call returns and one read asks for: the answer is held in memory whole, here and at the server.
const MOST_AT_ONCE: usize = 4_096;

/// A member of a consumer group on one stream.
///
/// A task of its own reads, on a connection of its own, when [`receive`](EventConsumer::receive) asks for events; it
/// must be created and used within a tokio runtime with time and IO enabled.
#[derive(Debug)]
pub struct RedisConsumer {
    stream: Arc<str>,
    inbox: Arc<Inbox>,
    settler: Arc<dyn Settler>,
    capabilities: Capabilities,
    /// How long `receive` waits for an answer beyond the time it was given, before it says that there is none.
    overdue: Duration,
    reader: Option<JoinHandle<Result<()>>>,
    janitor: Option<Janitor>,
}

impl RedisConsumer {
    /// Connects to the server that `config` names and joins the group, creating it, and the stream with it, when it is
    /// missing.
    ///
    /// A server that is not there within [`connect_timeout`](RedisConfig::connect_timeout) is logged; connecting and
    /// joining go on in the background.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) for a configuration or options that cannot work and for a key that
    /// holds something else than a stream; [`PermissionDenied`](ErrorKind::PermissionDenied) for credentials the server
    /// refuses and for a right the user lacks to join the group.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind but perhaps the group.
    pub async fn connect(config: &RedisConfig, stream_key: &str, options: ConsumerOptions) -> Result<Self> {
        options.validate()?;
        let (commands, reads) =
            tokio::try_join!(Link::connect(config, Role::Commands), Link::connect(config, Role::Reads))?;
        Self::join(commands, reads, config, stream_key, &options).await
    }

    /// As [`connect`](Self::connect), settling through a client that exists already and stays the caller's.
    ///
    /// Reads block, so they get a connection of their own, to where `client` is connected and with its credentials.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    ///
    /// # Cancel safety
    ///
    /// As [`connect`](Self::connect).
    pub async fn with_client(
        client: ForeignClient,
        config: &RedisConfig,
        stream_key: &str,
        options: ConsumerOptions,
    ) -> Result<Self> {
        options.validate()?;
        let commands = Link::foreign(client);
        let reads = commands.another(config, Role::Reads).await?;
        Self::join(commands, reads, config, stream_key, &options).await
    }

    async fn join(
        commands: Link,
        reads: Link,
        config: &RedisConfig,
        stream_key: &str,
        options: &ConsumerOptions,
    ) -> Result<Self> {
        if stream_key.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                "redis consumer",
                "the stream key must not be empty",
            ));
        }
        let start = start_after(options.start_from())?;
        let member = Arc::new(Membership::new(options));
        commands.observe(Arc::clone(options.observer()));
        reads.observe(Arc::clone(options.observer()));
        let commands = StreamClient::new(commands, stream_key, config.command_timeout);
        commands.warn_of_eviction().await;
        let reads = ReadConnection::new(reads, stream_key);
        let inbox = Arc::new(Inbox::new(member.lease / FRESH_SHARE));
        let agenda = Arc::new(Agenda::default());
        let settler = RedisSettler::new(
            commands.clone(),
            Arc::clone(&member),
            Arc::clone(&agenda),
            Arc::clone(&inbox),
            config.delete_acknowledged,
        );
        let stream = Arc::clone(commands.stream_key());
        let connected = commands.link().is_connected();
        if connected
            && config.delete_acknowledged
            && commands.offered().await.is_ok_and(|features| !features.delete_acked)
        {
            let message = "`delete_acknowledged` needs a server with a sound XACKDEL: Redis 8.2.3 or newer";
            return Err(Error::new(ErrorKind::Unsupported, "redis consumer", message));
        }
        let janitor = Janitor::start(config, &commands, Some(&member));
        let mut reader = Reader::new(config, member, start, (commands, reads), Arc::clone(&inbox), agenda);
        if connected && let Err(error) = reader.join().await.map_err(Error::from) {
            if !error.is_transient() {
                return Err(error);
            }
            warn!(stream = &*stream, %error, "the consumer group cannot be joined yet");
        }
        Ok(Self {
            stream,
            inbox,
            settler: Arc::new(settler),
            capabilities: capabilities(config),
            overdue: config.read_overdue,
            reader: Some(tokio::spawn(reader.run())),
            janitor,
        })
    }

    fn delivery(&self, ready: Ready) -> Delivery {
        Delivery::new(DeliveryParts {
            event: ready.event,
            receipt: Receipt { message_id: ready.id.to_message_id(), attempt: ready.attempt, handle: None },
            stream: Arc::clone(&self.stream),
            published_at: ready.id.time(),
            settler: Arc::clone(&self.settler),
        })
    }

    fn deliveries(&self, ready: Vec<Ready>) -> Vec<Delivery> {
        ready.into_iter().map(|ready| self.delivery(ready)).collect()
    }
}

#[async_trait]
impl EventConsumer for RedisConsumer {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn receive(&mut self, max: NonZeroUsize, wait: Duration) -> Result<Vec<Delivery>> {
        if self.inbox.is_closed() {
            return Err(Error::closed("receive"));
        }
        let max = max.get().min(MOST_AT_ONCE);
        if let Some(ready) = self.inbox.take(max) {
            return Ok(self.deliveries(ready));
        }
        // Nothing is taken from the inbox before the very end, so dropping this future leaves all of it there.
        let asking = self.inbox.ask(max, wait);
        let patience = asking.until() + self.overdue;
        loop {
            match asking.found() {
                Found::Events(ready) => return Ok(self.deliveries(ready)),
                Found::Answer(answer) => return answer.map(|()| Vec::new()),
                Found::Nothing => {}
            }
            if timeout_at(patience, asking.changed()).await.is_err() {
                let silent = || Error::new(ErrorKind::Timeout, "receive", "the server does not answer");
                return Err(asking.trouble().unwrap_or_else(silent));
            }
        }
    }

    async fn close(&mut self) -> Result<()> {
        self.janitor = None;
        self.inbox.close();
        let Some(reader) = &mut self.reader else { return Ok(()) };
        let outcome = reader.await;
        self.reader = None;
        outcome.unwrap_or_else(|error| {
            Err(Error::new(ErrorKind::Backend, "close", "the reading task ended early").with_source(error))
        })
    }
}

impl Drop for RedisConsumer {
    fn drop(&mut self) {
        // The task goes on by itself, gives back what was fetched and ends.
        self.inbox.close();
    }
}
