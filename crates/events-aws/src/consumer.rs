//! Consumes from a queue.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use events_core::{
    Capabilities, ConsumerOptions, Delivery, DeliveryParts, Error, ErrorKind, Event, EventConsumer, Receipt,
    Result, Settler, async_trait,
};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::warn;

use crate::calls::AwsClients;
use crate::capabilities;
use crate::config::AwsConfig;
use crate::deleter::Deleter;
use crate::intake::Intake;
use crate::keeper;
use crate::limits;
use crate::patience::Patience;
use crate::polls::Polls;
use crate::queue::Queue;
use crate::settler::SqsSettler;

/// One consumer of an SQS queue.
///
/// The queue is the consumer group: every event goes to one of the consumers of a queue, and a group of its own is a
/// queue of its own, subscribed to the topic. The group's name is only written into dead letters, and where a group
/// starts was decided when its queue was made.
#[derive(Debug)]
pub struct SqsConsumer {
    intake: Arc<Intake>,
    settler: Arc<dyn Settler>,
    stream: Arc<str>,
    polls: Polls,
    patience: Patience,
    capabilities: Capabilities,
    giving_back: Option<JoinHandle<Result<()>>>,
}

impl SqsConsumer {
    /// A consumer with clients of its own; see [`new`](Self::new).
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn connect(config: AwsConfig, options: ConsumerOptions) -> Result<Self> {
        let clients = AwsClients::load(&config).await?;
        Self::new(clients, &config, options).await
    }

    /// A consumer that shares clients with others. It asks the queue for its visibility timeout and its redrive policy.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) for settings or options that break a rule, a lease of more than twelve
    /// hours among them; [`NotFound`](ErrorKind::NotFound) and [`PermissionDenied`](ErrorKind::PermissionDenied) as the
    /// service answers. A service that cannot be reached is no error here: the consumer goes on trying.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn new(clients: AwsClients, config: &AwsConfig, options: ConsumerOptions) -> Result<Self> {
        options.validate()?;
        if options.requested_lease().is_some_and(|lease| lease > limits::VISIBILITY) {
            let message = "the lease must be at most twelve hours";
            return Err(Error::new(ErrorKind::InvalidConfig, "consumer options", message));
        }
        let queue = Queue::new(clients.clone(), config)?;
        match queue.traits().await {
            Err(error) if !error.is_transient() => return Err(error.into()),
            // A service that is away is asked again, and spoken of, by the first receive.
            _ => {}
        }
        let capabilities =
            capabilities::consuming(config, queue.address.is_fifo(), queue.known_dead_letters().is_some());
        let stream: Arc<str> = queue.address.name.as_str().into();
        let deleter = Deleter::start(clients, &queue.address.url);
        let intake = Arc::new(Intake::new(queue, options));
        tokio::spawn(keeper::run(Arc::clone(&intake)));
        Ok(Self {
            settler: Arc::new(SqsSettler { intake: Arc::clone(&intake), deleter }),
            polls: Polls::new(Arc::clone(&intake), config),
            patience: Patience::default(),
            stream,
            intake,
            capabilities,
            giving_back: None,
        })
    }

    fn delivery(
        &self,
        (event, receipt): (Event, Receipt),
        published_at: Option<time::OffsetDateTime>,
    ) -> Delivery {
        Delivery::new(DeliveryParts {
            event,
            receipt,
            stream: Arc::clone(&self.stream),
            published_at,
            settler: Arc::clone(&self.settler),
        })
    }

    /// What is ready, at most `max`.
    async fn ready(&mut self, max: NonZeroUsize) -> Vec<Delivery> {
        if self.intake.holdings().shelved() == 0 {
            return Vec::new();
        }
        self.intake.refresh(max.get()).await;
        let taken = self.intake.take(max.get());
        let dates: Vec<_> = {
            let (holdings, now) = (self.intake.holdings(), Instant::now());
            let date = |(_, receipt): &(Event, Receipt)| holdings.in_hand(receipt, now)?.message.sent_at;
            taken.iter().map(date).collect()
        };
        taken.into_iter().zip(dates).map(|(taken, date)| self.delivery(taken, date)).collect()
    }
}

#[async_trait]
impl EventConsumer for SqsConsumer {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn receive(&mut self, max: NonZeroUsize, wait: Duration) -> Result<Vec<Delivery>> {
        let started = Instant::now();
        let mut asked = false;
        loop {
            if self.intake.is_closed() {
                return Err(Error::closed("receive"));
            }
            let deliveries = self.ready(max).await;
            if !deliveries.is_empty() {
                return Ok(deliveries);
            }
            let left = wait.saturating_sub(started.elapsed());
            if asked && left.is_zero() {
                return Ok(deliveries);
            }
            match self.polls.ask(max.get(), left).await {
                Ok(answered) => {
                    asked |= answered;
                    self.patience.restored(&self.stream);
                }
                Err(error) => {
                    self.patience.tried(&self.stream, &error, left).await;
                    return Err(error);
                }
            }
        }
    }

    async fn close(&mut self) -> Result<()> {
        self.intake.close();
        // A call under way is waited for: what it brings would otherwise be hidden until its lease ends.
        self.polls.finish().await;
        let intake = Arc::clone(&self.intake);
        let giving_back = self
            .giving_back
            .get_or_insert_with(|| tokio::spawn(async move { intake.give_back_shelf().await }));
        let outcome = giving_back.await;
        // Closing once more finds an empty shelf.
        self.giving_back = None;
        outcome.unwrap_or_else(|error| {
            Err(Error::new(ErrorKind::Backend, "close", "giving back was cut short").with_source(error))
        })
    }
}

impl Drop for SqsConsumer {
    fn drop(&mut self) {
        self.intake.close();
        // Calls under way end by themselves, and give back what they bring.
        self.polls.detach();
        if let Ok(runtime) = Handle::try_current() {
            let intake = Arc::clone(&self.intake);
            runtime.spawn(async move {
                if let Err(error) = intake.give_back_shelf().await {
                    warn!(%error, "what was fetched could not be given back; it comes again when its lease ends");
                }
            });
        }
    }
}
