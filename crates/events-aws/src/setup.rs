//! Creates what publishing and consuming need, when somebody asks for it and never otherwise.

use std::time::Duration;

use events_core::{ConsumerOptions, Error, ErrorKind, Result};

use crate::calls::{AwsClients, QueueAttributes};
use crate::limits;
use crate::policy;
use crate::queue::RedrivePolicy;
use crate::seconds::whole_seconds;
use crate::step::Step;

/// How long a dead-letter queue keeps messages: 14 days, the longest SQS offers.
const DEAD_LETTER_RETENTION: &str = "1209600";

/// A queue, with what belongs to it: its dead-letter queue, and the topic it is subscribed to.
///
/// Names that end in `.fifo` make FIFO queues and topics.
#[derive(Clone, Debug)]
pub struct Setup {
    queue: String,
    topic: Option<String>,
    dead_letters: Option<String>,
    lease: Duration,
    max_receives: u32,
}

/// What is there now, or would be, and what was done for it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Ensured {
    /// What was done, or would be; empty when everything was there.
    pub steps: Vec<Step>,
    /// The queue's URL; `None` where it would have to be created.
    pub queue_url: Option<String>,
    /// The dead-letter queue's URL, where one was asked for; `None` where it would have to be created.
    pub dead_letter_queue_url: Option<String>,
    /// The topic's ARN, where one was asked for; `None` where it would have to be created.
    pub topic_arn: Option<String>,
}

/// A queue that exists.
struct Found {
    url: String,
    attributes: QueueAttributes,
}

impl Found {
    fn arn(&self) -> &str {
        self.attributes.get("QueueArn").map_or("", String::as_str)
    }
}

impl Setup {
    /// A queue by its name, with a lease of 60 s and nothing that belongs to it.
    pub fn queue(name: impl Into<String>) -> Self {
        Self {
            queue: name.into(),
            topic: None,
            dead_letters: None,
            lease: ConsumerOptions::DEFAULT_LEASE,
            max_receives: ConsumerOptions::DEFAULT_MAX_DELIVERIES.get(),
        }
    }

    /// The topic the queue is subscribed to, by its name.
    #[must_use]
    pub fn with_topic(mut self, name: impl Into<String>) -> Self {
        self.topic = Some(name.into());
        self
    }

    /// The queue for dead letters, by its name.
    #[must_use]
    pub fn with_dead_letter_queue(mut self, name: impl Into<String>) -> Self {
        self.dead_letters = Some(name.into());
        self
    }

    /// The queue's visibility timeout, in whole seconds. Default: 60 s.
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Deliveries after which the queue itself moves a message to the dead-letter queue. Default: 5.
    ///
    /// The redrive policy is set to one more, so that a consumer, which writes down the reason, comes first.
    #[must_use]
    pub fn with_max_deliveries(mut self, max_deliveries: u32) -> Self {
        self.max_receives = max_deliveries;
        self
    }

    /// What [`ensure`](Self::ensure) would do; changes nothing.
    ///
    /// # Errors
    ///
    /// As [`ensure`](Self::ensure).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn plan(&self, clients: &AwsClients) -> Result<Ensured> {
        Box::pin(self.run(clients, false)).await
    }

    /// Creates and sets what is missing; what is there and right is left as it is. Running it twice does nothing more.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) for names that do not go together, otherwise as the services answer.
    /// What was done before the error stays; running it again goes on from there.
    ///
    /// # Cancel safety
    ///
    /// As after an error.
    pub async fn ensure(&self, clients: &AwsClients) -> Result<Ensured> {
        Box::pin(self.run(clients, true)).await
    }

    async fn run(&self, clients: &AwsClients, apply: bool) -> Result<Ensured> {
        self.validate()?;
        let mut ensured = Ensured::default();
        let mut dead = None;
        if let Some(name) = &self.dead_letters {
            let retention = QueueAttributes::from([(
                "MessageRetentionPeriod".to_owned(),
                DEAD_LETTER_RETENTION.to_owned(),
            )]);
            dead = find_or_create(clients, name, retention, apply, &mut ensured).await?;
            ensured.dead_letter_queue_url = dead.as_ref().map(|dead| dead.url.clone());
        }
        let seconds = whole_seconds(self.lease).to_string();
        let visibility = QueueAttributes::from([("VisibilityTimeout".to_owned(), seconds)]);
        let queue = find_or_create(clients, &self.queue, visibility.clone(), apply, &mut ensured).await?;
        ensured.queue_url = queue.as_ref().map(|queue| queue.url.clone());
        self.set_visibility(clients, queue.as_ref(), visibility, apply, &mut ensured).await?;
        if let Some(name) = &self.dead_letters {
            self.set_redrive_policy(clients, queue.as_ref(), (name, dead.as_ref()), apply, &mut ensured)
                .await?;
        }
        if let Some(name) = &self.topic {
            ensured.topic_arn = clients.find_topic(name).await?;
            if ensured.topic_arn.is_none() {
                ensured.steps.push(Step::CreateTopic { topic: name.clone() });
                if apply {
                    ensured.topic_arn = Some(clients.create_topic(name, limits::is_fifo(name)).await?);
                }
            }
            self.connect(clients, name, queue.as_ref(), apply, &mut ensured).await?;
        }
        Ok(ensured)
    }

    fn validate(&self) -> Result<()> {
        let invalid = |message: &'static str| Err(Error::new(ErrorKind::InvalidConfig, "ensure", message));
        let fifo = limits::is_fifo(&self.queue);
        if self.dead_letters.as_deref().is_some_and(|name| limits::is_fifo(name) != fifo) {
            return invalid("a queue and its dead-letter queue are both FIFO, or neither is");
        }
        if fifo && self.topic.as_deref().is_some_and(|name| !limits::is_fifo(name)) {
            return invalid("a FIFO queue can be subscribed to a FIFO topic only");
        }
        if self.lease < Duration::from_secs(1) || self.lease > limits::VISIBILITY {
            return invalid("the lease must be from a second to twelve hours");
        }
        if !(1..=999).contains(&self.max_receives) {
            return invalid("deliveries must be from 1 to 999");
        }
        Ok(())
    }

    async fn set_visibility(
        &self,
        clients: &AwsClients,
        queue: Option<&Found>,
        wanted: QueueAttributes,
        apply: bool,
        ensured: &mut Ensured,
    ) -> Result<()> {
        let Some(queue) = queue else { return Ok(()) };
        if wanted.iter().all(|(name, value)| queue.attributes.get(name) == Some(value)) {
            return Ok(());
        }
        ensured.steps.push(Step::SetVisibility { queue: self.queue.clone(), seconds: self.lease.as_secs() });
        if apply {
            clients.set_queue_attributes(&queue.url, &wanted).await?;
        }
        Ok(())
    }

    async fn set_redrive_policy(
        &self,
        clients: &AwsClients,
        queue: Option<&Found>,
        (name, dead): (&str, Option<&Found>),
        apply: bool,
        ensured: &mut Ensured,
    ) -> Result<()> {
        let max_receives = self.max_receives + 1;
        let policy = queue.and_then(|queue| RedrivePolicy::parse(queue.attributes.get("RedrivePolicy")?));
        let is_set = |policy: RedrivePolicy| {
            policy.max_receives == max_receives && dead.is_some_and(|dead| dead.arn() == policy.target)
        };
        if policy.is_some_and(is_set) {
            return Ok(());
        }
        ensured.steps.push(Step::SetRedrivePolicy {
            queue: self.queue.clone(),
            dead_letters: name.to_owned(),
            max_receives,
        });
        if let (true, Some(queue), Some(dead)) = (apply, queue, dead) {
            let policy =
                serde_json::json!({"deadLetterTargetArn": dead.arn(), "maxReceiveCount": max_receives});
            let attributes = QueueAttributes::from([("RedrivePolicy".to_owned(), policy.to_string())]);
            clients.set_queue_attributes(&queue.url, &attributes).await?;
        }
        Ok(())
    }

    /// Lets the topic send to the queue, and subscribes it.
    async fn connect(
        &self,
        clients: &AwsClients,
        topic: &str,
        queue: Option<&Found>,
        apply: bool,
        ensured: &mut Ensured,
    ) -> Result<()> {
        let names = || (self.queue.clone(), topic.to_owned());
        let (Some(queue), Some(topic_arn)) = (queue, ensured.topic_arn.clone()) else {
            // Nothing can be there yet between things of which one does not exist.
            let ((queue, topic), (subscribed, to)) = (names(), names());
            ensured.steps.push(Step::AllowTopic { queue, topic });
            ensured.steps.push(Step::Subscribe { queue: subscribed, topic: to });
            return Ok(());
        };
        let policy = queue.attributes.get("Policy").map(String::as_str);
        if let Some(policy) = policy::allowing(policy, queue.arn(), &topic_arn) {
            let (queue_name, topic) = names();
            ensured.steps.push(Step::AllowTopic { queue: queue_name, topic });
            if apply {
                let attributes = QueueAttributes::from([("Policy".to_owned(), policy)]);
                clients.set_queue_attributes(&queue.url, &attributes).await?;
            }
        }
        let (queue_name, topic) = names();
        match clients.subscription(&topic_arn, queue.arn()).await? {
            Some((_, true)) => {}
            Some((subscription, false)) => {
                ensured.steps.push(Step::DeliverRaw { queue: queue_name, topic });
                if apply {
                    clients.deliver_raw(&subscription).await?;
                }
            }
            None => {
                ensured.steps.push(Step::Subscribe { queue: queue_name, topic });
                if apply {
                    clients.subscribe(&topic_arn, queue.arn()).await?;
                }
            }
        }
        Ok(())
    }
}

async fn find_or_create(
    clients: &AwsClients,
    name: &str,
    mut attributes: QueueAttributes,
    apply: bool,
    ensured: &mut Ensured,
) -> Result<Option<Found>> {
    let url = match clients.queue_url(name).await? {
        Some(url) => url,
        None => {
            ensured.steps.push(Step::CreateQueue { queue: name.to_owned() });
            if !apply {
                return Ok(None);
            }
            if limits::is_fifo(name) {
                attributes.insert("FifoQueue".to_owned(), "true".to_owned());
            }
            clients.create_queue(name, &attributes).await?
        }
    };
    let attributes = clients.queue_attributes(&url).await?;
    Ok(Some(Found { url, attributes }))
}
