//! Publishes to a topic, or straight to a queue.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use events_core::wire::Encoding;
use events_core::{
    Capabilities, Error, ErrorKind, Event, EventPublisher, MessageId, PublishReport, Result, async_trait,
};
use tokio::sync::RwLock;

use crate::calls::AwsClients;
use crate::capabilities;
use crate::config::AwsConfig;
use crate::limits;
use crate::message::{MAX_HEADERS, MAX_HEADERS_IN_BINARY_MODE, Outgoing, Writer};
use crate::sender::Sender;
use crate::target::Target;

/// Publishes to the topic of its configuration, or to the queue where there is no topic.
///
/// Entries of a batch that the service blames itself for refusing are sent again, alone. The SDK repeats calls whose
/// answer was lost: then a standard topic or queue has an event twice, and a FIFO one, which knows events by their ids
/// for five minutes, has it once.
#[derive(Debug)]
pub struct AwsPublisher {
    sender: Sender,
    writer: Writer,
    capabilities: Capabilities,
    timeout: Duration,
    /// Held for reading by every publish, so that closing can wait for those under way.
    under_way: RwLock<()>,
    closed: AtomicBool,
}

impl AwsPublisher {
    /// A publisher with clients of its own. Makes no call: a service that is away is noticed by the first publish.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) for settings that break a rule or name neither topic nor queue.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn connect(config: AwsConfig) -> Result<Self> {
        let clients = AwsClients::load(&config).await?;
        Self::new(clients, &config)
    }

    /// A publisher that shares clients with others.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub fn new(clients: AwsClients, config: &AwsConfig) -> Result<Self> {
        config.validate()?;
        let target = Target::of(config)?;
        let max_message_bytes = config.max_message_bytes.unwrap_or_else(|| target.max_message_bytes());
        let max_event_bytes = max_message_bytes - limits::RESERVED_BYTES;
        let groups = target.is_fifo().then(|| config.group_by.clone());
        let capabilities = capabilities::publishing(config, groups.is_some(), max_event_bytes);
        Ok(Self {
            sender: Sender {
                clients,
                target,
                max_batch_bytes: max_message_bytes,
                concurrency: config.concurrency.get(),
            },
            writer: Writer { max_event_bytes, groups, encoding: Encoding::default() },
            capabilities,
            timeout: config.publish_timeout,
            under_way: RwLock::new(()),
            closed: AtomicBool::new(false),
        })
    }

    /// Writes events in this encoding. Default: [`Encoding::Adr018`].
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) for the encodings of FastStream, which does not speak to SQS and whose
    /// frame no message of SQS can hold.
    pub fn with_encoding(mut self, encoding: Encoding) -> Result<Self> {
        if matches!(encoding, Encoding::FastStream | Encoding::FastStreamJson) {
            let message = format!("the encoding `{encoding}` is for Redis Streams and not for SNS and SQS");
            return Err(Error::new(ErrorKind::InvalidConfig, "aws settings", message));
        }
        self.capabilities.max_headers = Some(match encoding {
            Encoding::CloudEventsBinary => MAX_HEADERS_IN_BINARY_MODE,
            _ => MAX_HEADERS,
        });
        self.writer.encoding = encoding;
        Ok(self)
    }
}

#[async_trait]
impl EventPublisher for AwsPublisher {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn publish_batch(&self, events: &[Event]) -> Result<PublishReport> {
        let _under_way = self.under_way.read().await;
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::closed("publish"));
        }
        let mut messages: Vec<Outgoing> = Vec::with_capacity(events.len());
        let refusals: Vec<Option<Error>> = events
            .iter()
            .map(|event| self.writer.message(event).map(|message| messages.push(message)).err())
            .collect();
        let mut sent = self.sender.send_all(&messages, self.timeout).await.into_iter();
        let outcome = |refusal: Option<Error>| match refusal {
            Some(error) => Err(error),
            None => match sent.next() {
                Some(outcome) => outcome.map(MessageId::from).map_err(Error::from),
                None => Err(Error::new(ErrorKind::Backend, "publish", "the event has no outcome")),
            },
        };
        Ok(PublishReport::new(refusals.into_iter().map(outcome).collect()))
    }

    async fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::Release);
        drop(self.under_way.write().await);
        Ok(())
    }
}
