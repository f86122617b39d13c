//! One run of a setup: looks at what is there, and makes what is missing or says so.

use events_core::{ConsumerOptions, Error, ErrorKind, Result};

use crate::address::{Arn, QueueAddress};
use crate::calls::{AwsClients, QueueAttributes};
use crate::limits;
use crate::policy;
use crate::queue::RedrivePolicy;
use crate::seconds::whole_seconds;
use crate::setup::{DeadLetterQueue, Ensured, Named, Setup};
use crate::step::Step;

/// How long a dead-letter queue keeps messages: 14 days, the longest SQS offers.
const DEAD_LETTER_RETENTION: &str = "1209600";

#[derive(Debug)]
pub(crate) struct Ensure<'a> {
    setup: &'a Setup,
    clients: &'a AwsClients,
    /// Whether anything is changed.
    apply: bool,
    ensured: Ensured,
}

/// A queue that exists.
struct Found {
    name: String,
    url: String,
    attributes: QueueAttributes,
}

impl Found {
    fn arn(&self) -> &str {
        self.attributes.get("QueueArn").map_or("", String::as_str)
    }

    fn redrive_policy(&self) -> Option<RedrivePolicy> {
        RedrivePolicy::parse(self.attributes.get("RedrivePolicy")?)
    }
}

impl<'a> Ensure<'a> {
    pub(crate) fn planning(setup: &'a Setup, clients: &'a AwsClients) -> Self {
        Self { setup, clients, apply: false, ensured: Ensured::default() }
    }

    pub(crate) fn applying(setup: &'a Setup, clients: &'a AwsClients) -> Self {
        Self { apply: true, ..Self::planning(setup, clients) }
    }

    pub(crate) async fn run(mut self) -> Result<Ensured> {
        let made = self.everything().await;
        made.map_err(|error| self.half_way(error))?;
        Ok(self.ensured)
    }

    async fn everything(&mut self) -> Result<()> {
        // All is looked up before anything is made: what is there shows the account, and another one than the configuration
        // names must not be left with half a setup.
        let setup = self.setup;
        let found = match &setup.queue {
            Some(queue) => self.find(queue).await?,
            None => None,
        };
        let topic = match &setup.topic {
            Some(topic) => self.find_topic(topic).await?,
            None => None,
        };
        let queue = match &self.setup.queue {
            Some(queue) => self.queue(queue, found).await?,
            None => None,
        };
        if let Some(named) = &setup.topic {
            self.topic(named, topic).await?;
            if let Some(queue_named) = &setup.queue {
                self.connect(&queue_named.name, queue.as_ref(), &named.name).await?;
            }
        }
        Ok(())
    }

    /// Makes one step and returns what came of it, or notes that it would be made.
    async fn step<T, E>(
        &mut self,
        step: Step,
        call: impl Future<Output = std::result::Result<T, E>>,
    ) -> Result<Option<T>>
    where
        Error: From<E>,
    {
        let made = if self.apply { Some(call.await?) } else { None };
        self.ensured.steps.push(step);
        Ok(made)
    }

    /// The error, with what was done before it: nobody else knows.
    fn half_way(&self, error: Error) -> Error {
        if !self.apply || self.ensured.steps.is_empty() {
            return error;
        }
        let done: Vec<String> = self.ensured.steps.iter().map(ToString::to_string).collect();
        let message = format!("not everything could be made; what was done before that: {}", done.join(", "));
        Error::new(error.kind(), "ensure", message).with_transient(error.is_transient()).with_source(error)
    }

    /// The queue, with its dead letters.
    async fn queue(&mut self, named: &Named, found: Option<Found>) -> Result<Option<Found>> {
        let wanted = self.setup.dead_letters.as_ref().filter(|dead| {
            let elsewhere = |policy: RedrivePolicy| {
                Arn::parse("sqs", &policy.target).is_ok_and(|arn| arn.name != dead.queue.name)
            };
            !(dead.yields && found.as_ref().and_then(Found::redrive_policy).is_some_and(elsewhere))
        });
        let mut dead = None;
        if let Some(DeadLetterQueue { queue, .. }) = wanted {
            let retention = [("MessageRetentionPeriod".to_owned(), DEAD_LETTER_RETENTION.to_owned())];
            dead = match self.find(queue).await? {
                None => self.create(queue, QueueAttributes::from(retention)).await?,
                there => there,
            };
            self.ensured.dead_letter_queue_url = dead.as_ref().map(|dead| dead.url.clone());
        }
        let queue = match found {
            Some(found) => {
                self.set_visibility(&found).await?;
                Some(found)
            }
            None => {
                let lease = self.setup.lease.unwrap_or(ConsumerOptions::DEFAULT_LEASE);
                self.create(named, visibility(lease)).await?
            }
        };
        self.ensured.queue_url = queue.as_ref().map(|queue| queue.url.clone());
        if let Some(wanted) = wanted {
            self.set_redrive_policy(&named.name, queue.as_ref(), &wanted.queue.name, dead.as_ref()).await?;
        }
        Ok(queue)
    }

    async fn find(&self, named: &Named) -> Result<Option<Found>> {
        match self.clients.queue_url(&named.name).await? {
            Some(url) => self.found(named, url).await.map(Some),
            None => Ok(None),
        }
    }

    async fn create(&mut self, named: &Named, mut attributes: QueueAttributes) -> Result<Option<Found>> {
        if limits::is_fifo(&named.name) {
            attributes.insert("FifoQueue".to_owned(), "true".to_owned());
        }
        let step = Step::CreateQueue { queue: named.name.clone() };
        match self.step(step, self.clients.create_queue(&named.name, &attributes)).await? {
            Some(url) => self.found(named, url).await.map(Some),
            None => Ok(None),
        }
    }

    async fn found(&self, named: &Named, url: String) -> Result<Found> {
        if let Ok(address) = QueueAddress::parse(&url) {
            same_account("queue", named, address.account())?;
        }
        let attributes = self.clients.queue_attributes(&url).await?;
        Ok(Found { name: named.name.clone(), url, attributes })
    }

    async fn set_visibility(&mut self, queue: &Found) -> Result<()> {
        let Some(lease) = self.setup.lease else { return Ok(()) };
        let wanted = visibility(lease);
        if wanted.iter().all(|(name, value)| queue.attributes.get(name) == Some(value)) {
            return Ok(());
        }
        let seconds = u64::from(whole_seconds(lease).unsigned_abs());
        let step = Step::SetVisibility { queue: queue.name.clone(), seconds };
        self.step(step, self.clients.set_queue_attributes(&queue.url, &wanted)).await?;
        Ok(())
    }

    async fn set_redrive_policy(
        &mut self,
        name: &str,
        queue: Option<&Found>,
        dead_name: &str,
        dead: Option<&Found>,
    ) -> Result<()> {
        let max_receives = self.setup.max_receives();
        let is_set = |policy: RedrivePolicy| {
            policy.max_receives == max_receives && dead.is_some_and(|dead| dead.arn() == policy.target)
        };
        if queue.and_then(Found::redrive_policy).is_some_and(is_set) {
            return Ok(());
        }
        let step = Step::SetRedrivePolicy {
            queue: name.to_owned(),
            dead_letters: dead_name.to_owned(),
            max_receives,
        };
        let clients = self.clients;
        let set = async {
            // In a plan one of the two may be missing.
            let (Some(queue), Some(dead)) = (queue, dead) else { return Ok(()) };
            let policy =
                serde_json::json!({"deadLetterTargetArn": dead.arn(), "maxReceiveCount": max_receives});
            let attributes = QueueAttributes::from([("RedrivePolicy".to_owned(), policy.to_string())]);
            clients.set_queue_attributes(&queue.url, &attributes).await
        };
        self.step(step, set).await?;
        Ok(())
    }

    async fn find_topic(&self, named: &Named) -> Result<Option<String>> {
        let arn = self.clients.find_topic(&named.name).await?;
        if let Some(arn) = &arn {
            topic_in_account(named, arn)?;
        }
        Ok(arn)
    }

    async fn topic(&mut self, named: &Named, found: Option<String>) -> Result<()> {
        if found.is_some() {
            self.ensured.topic_arn = found;
            return Ok(());
        }
        let step = Step::CreateTopic { topic: named.name.clone() };
        let create = self.clients.create_topic(&named.name, limits::is_fifo(&named.name));
        if let Some(arn) = self.step(step, create).await? {
            topic_in_account(named, &arn)?;
            self.ensured.topic_arn = Some(arn);
        }
        Ok(())
    }

    /// Lets the topic send to the queue, and subscribes it.
    async fn connect(&mut self, queue_name: &str, queue: Option<&Found>, topic: &str) -> Result<()> {
        let names = || (queue_name.to_owned(), topic.to_owned());
        let (Some(found), Some(topic_arn)) = (queue, self.ensured.topic_arn.clone()) else {
            // Nothing can be there yet between things of which one does not exist.
            let ((queue, topic), (subscribed, to)) = (names(), names());
            self.ensured.steps.push(Step::AllowTopic { queue, topic });
            self.ensured.steps.push(Step::Subscribe { queue: subscribed, topic: to });
            return Ok(());
        };
        let policy = found.attributes.get("Policy").map(String::as_str);
        if let Some(policy) = policy::allowing(policy, found.arn(), &topic_arn) {
            let (queue, topic) = names();
            let attributes = QueueAttributes::from([("Policy".to_owned(), policy)]);
            let allow = self.clients.set_queue_attributes(&found.url, &attributes);
            self.step(Step::AllowTopic { queue, topic }, allow).await?;
        }
        let (queue, topic) = names();
        match self.clients.subscription(&topic_arn, found.arn()).await? {
            Some((_, true)) => {}
            Some((subscription, false)) => {
                self.step(Step::DeliverRaw { queue, topic }, self.clients.deliver_raw(&subscription)).await?;
            }
            None => {
                let subscribe = self.clients.subscribe(&topic_arn, found.arn());
                self.step(Step::Subscribe { queue, topic }, subscribe).await?;
            }
        }
        Ok(())
    }
}

fn visibility(lease: std::time::Duration) -> QueueAttributes {
    QueueAttributes::from([("VisibilityTimeout".to_owned(), whole_seconds(lease).to_string())])
}

/// Names are looked up in the account of the credentials. What is there may not be what the configuration names, and a
/// service set up beside it would wait for ever.
fn same_account(what: &str, named: &Named, account: Option<&str>) -> Result<()> {
    match (&named.account, account) {
        (Some(meant), Some(found)) if meant != found => Err(Error::new(
            ErrorKind::InvalidConfig,
            "ensure",
            format!(
                "the {what} {} is configured in the account {meant}, and the credentials belong to {found}",
                named.name
            ),
        )),
        _ => Ok(()),
    }
}

fn topic_in_account(named: &Named, arn: &str) -> Result<()> {
    match Arn::parse("sns", arn) {
        Ok(arn) => same_account("topic", named, Some(&arn.account)),
        Err(_) => Ok(()),
    }
}
