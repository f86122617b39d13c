//! What publishing and consuming need at AWS: described here, and made when somebody asks for it and never otherwise.

use std::time::Duration;

use events_core::{ConsumerOptions, Error, ErrorKind, Result};

use crate::address::{Arn, QueueAddress};
use crate::calls::AwsClients;
use crate::config::AwsConfig;
use crate::ensure::Ensure;
use crate::limits;
use crate::step::Step;

/// What the names of dead-letter queues end in that nobody chose.
const DEAD_SUFFIX: &str = "-dead";

/// A queue, with what belongs to it: its dead-letter queue, and the topic it is subscribed to. Or a topic alone.
///
/// Names that end in `.fifo` make FIFO queues and topics.
#[derive(Clone, Debug)]
pub struct Setup {
    pub(crate) queue: Option<Named>,
    pub(crate) topic: Option<Named>,
    pub(crate) dead_letters: Option<DeadLetterQueue>,
    pub(crate) lease: Option<Duration>,
    max_deliveries: u32,
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

/// A queue or a topic by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) name: String,
    /// The account the configuration says it is in, where it says so. One in another account is not the one that is meant.
    pub(crate) account: Option<String>,
}

/// The queue for dead letters.
#[derive(Clone, Debug)]
pub(crate) struct DeadLetterQueue {
    pub(crate) queue: Named,
    /// Whether a queue that has its dead letters elsewhere already keeps it so.
    pub(crate) yields: bool,
}

impl Setup {
    /// A queue by its name, with nothing that belongs to it.
    pub fn queue(name: impl Into<String>) -> Self {
        Self { queue: Some(Named::from(name.into())), ..Self::nothing() }
    }

    /// What a configuration names: its topic, its queue, the subscription between the two, and a dead-letter queue.
    ///
    /// Where `dead_letter_queue_url` names none, that is the one of the queue's redrive policy, else `<queue>-dead`
    /// (`<queue>-dead.fifo` for a FIFO queue). It needs no setting afterwards: consumers find it by the redrive policy.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) for settings that break a rule or name neither topic nor queue.
    pub fn of(config: &AwsConfig) -> Result<Self> {
        config.validate()?;
        let queue = config.queue_url.as_deref().map(QueueAddress::parse).transpose()?.map(Named::from);
        let topic =
            config.topic_arn.as_deref().map(|arn| Arn::parse("sns", arn)).transpose()?.map(Named::from);
        if queue.is_none() && topic.is_none() {
            return invalid("neither `topic_arn` nor `queue_url` names anything");
        }
        let dead_letters = match (&config.dead_letter_queue_url, &queue) {
            (Some(url), _) => {
                Some(DeadLetterQueue { queue: Named::from(QueueAddress::parse(url)?), yields: false })
            }
            (None, Some(queue)) => Some(DeadLetterQueue { queue: queue.dead_letters(), yields: true }),
            (None, None) => None,
        };
        Ok(Self { queue, topic, dead_letters, ..Self::nothing() })
    }

    fn nothing() -> Self {
        Self {
            queue: None,
            topic: None,
            dead_letters: None,
            lease: None,
            max_deliveries: ConsumerOptions::DEFAULT_MAX_DELIVERIES.get(),
        }
    }

    /// The topic the queue is subscribed to, by its name.
    #[must_use]
    pub fn with_topic(mut self, name: impl Into<String>) -> Self {
        self.topic = Some(Named::from(name.into()));
        self
    }

    /// The queue for dead letters, by its name.
    #[must_use]
    pub fn with_dead_letter_queue(mut self, name: impl Into<String>) -> Self {
        self.dead_letters = Some(DeadLetterQueue { queue: Named::from(name.into()), yields: false });
        self
    }

    /// The queue's visibility timeout, in whole seconds. Default: 60 s for a queue that is created, and what it is for one
    /// that is there.
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = Some(lease);
        self
    }

    /// Deliveries after which the queue itself moves a message to the dead-letter queue. Default: 5.
    ///
    /// The redrive policy is set to one more, so that a consumer, which writes down the reason, comes first.
    #[must_use]
    pub fn with_max_deliveries(mut self, max_deliveries: u32) -> Self {
        self.max_deliveries = max_deliveries;
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
        self.validate()?;
        Box::pin(Ensure::planning(self, clients).run()).await
    }

    /// Creates and sets what is missing; what is there and right is left as it is. Running it twice does nothing more.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) for names that do not go together, and for a topic or queue that turns
    /// out to be in another account than the configuration says; otherwise as the services answer.
    /// What was done before the error stays and is named by it; running it again goes on from there.
    ///
    /// # Cancel safety
    ///
    /// As after an error.
    pub async fn ensure(&self, clients: &AwsClients) -> Result<Ensured> {
        self.validate()?;
        Box::pin(Ensure::applying(self, clients).run()).await
    }

    /// Deliveries after which the queue moves a message by itself: one more than a consumer counts to.
    pub(crate) fn max_receives(&self) -> u32 {
        self.max_deliveries + 1
    }

    fn validate(&self) -> Result<()> {
        let is_fifo = |named: &Named| limits::is_fifo(&named.name);
        let fifo = self.queue.as_ref().is_some_and(is_fifo);
        if self.dead_letters.as_ref().is_some_and(|dead| is_fifo(&dead.queue) != fifo) {
            return invalid("a queue and its dead-letter queue are both FIFO, or neither is");
        }
        if fifo && self.topic.as_ref().is_some_and(|topic| !is_fifo(topic)) {
            return invalid("a FIFO queue can be subscribed to a FIFO topic only");
        }
        if self.lease.is_some_and(|lease| lease < Duration::from_secs(1) || lease > limits::VISIBILITY) {
            return invalid("the lease must be from a second to twelve hours");
        }
        if !(1..=999).contains(&self.max_deliveries) {
            return invalid("deliveries must be from 1 to 999");
        }
        Ok(())
    }
}

impl Named {
    fn dead_letters(&self) -> Self {
        let name = match self.name.strip_suffix(limits::FIFO_SUFFIX) {
            Some(stem) => format!("{stem}{DEAD_SUFFIX}{}", limits::FIFO_SUFFIX),
            None => format!("{}{DEAD_SUFFIX}", self.name),
        };
        Self { name, account: self.account.clone() }
    }
}

impl From<String> for Named {
    fn from(name: String) -> Self {
        Self { name, account: None }
    }
}

impl From<QueueAddress> for Named {
    fn from(address: QueueAddress) -> Self {
        Self { account: address.account().map(ToOwned::to_owned), name: address.name }
    }
}

impl From<Arn> for Named {
    fn from(arn: Arn) -> Self {
        Self { name: arn.name, account: Some(arn.account) }
    }
}

fn invalid<T>(message: &'static str) -> Result<T> {
    Err(Error::new(ErrorKind::InvalidConfig, "ensure", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_names_what_there_must_be() {
        let config: AwsConfig = toml::from_str(
            "topic_arn = 'arn:aws:sns:eu-west-1:1:t.fifo'\nqueue_url = 'https://sqs.eu-west-1.amazonaws.com/2/q.fifo'",
        )
        .unwrap();
        let setup = Setup::of(&config).unwrap();
        let named = |name: &str, account: &str| Named { name: name.into(), account: Some(account.into()) };
        assert_eq!(setup.topic, Some(named("t.fifo", "1")));
        assert_eq!(setup.queue, Some(named("q.fifo", "2")));
        let dead = setup.dead_letters.unwrap();
        assert_eq!((dead.queue, dead.yields), (named("q-dead.fifo", "2"), true));

        let mut config = AwsConfig::queue("https://h/1/q");
        config.dead_letter_queue_url = Some("https://h/1/elsewhere".into());
        let dead = Setup::of(&config).unwrap().dead_letters.unwrap();
        assert_eq!((&*dead.queue.name, dead.yields), ("elsewhere", false));

        let topic = Setup::of(&AwsConfig::topic("arn:aws:sns:r:1:t")).unwrap();
        assert!(topic.queue.is_none() && topic.dead_letters.is_none());
        assert_eq!(Setup::of(&AwsConfig::default()).unwrap_err().kind(), ErrorKind::InvalidConfig);
    }
}
