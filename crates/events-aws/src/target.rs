//! Where events are published: a topic, or a queue directly.

use events_core::{Error, ErrorKind, Result};

use crate::address::{Arn, QueueAddress};
use crate::calls::{AwsClients, Outcomes};
use crate::config::AwsConfig;
use crate::error::CallError;
use crate::limits;
use crate::message::Outgoing;

#[derive(Clone, Debug)]
pub(crate) enum Target {
    Topic(Arn),
    Queue(QueueAddress),
}

impl Target {
    /// The topic of the configuration, else its queue.
    pub(crate) fn of(config: &AwsConfig) -> Result<Self> {
        match (&config.topic_arn, &config.queue_url) {
            (Some(arn), _) => Ok(Self::Topic(Arn::parse("sns", arn)?)),
            (None, Some(url)) => Ok(Self::Queue(QueueAddress::parse(url)?)),
            (None, None) => {
                let message = "neither `topic_arn` nor `queue_url` says where to publish";
                Err(Error::new(ErrorKind::InvalidConfig, "aws settings", message))
            }
        }
    }

    pub(crate) fn is_fifo(&self) -> bool {
        match self {
            Self::Topic(arn) => arn.is_fifo(),
            Self::Queue(queue) => queue.is_fifo(),
        }
    }

    /// The largest message, and the largest sum of a batch, where nobody says otherwise.
    pub(crate) fn max_message_bytes(&self) -> usize {
        match self {
            Self::Topic(_) => limits::SNS_MESSAGE_BYTES,
            Self::Queue(_) => limits::SQS_MESSAGE_BYTES,
        }
    }

    /// Sends up to ten messages; each outcome is the message's id.
    pub(crate) async fn send(
        &self,
        clients: &AwsClients,
        messages: &[&Outgoing],
    ) -> Result<Outcomes<String>, CallError> {
        match self {
            Self::Topic(arn) => clients.publish(&arn.text, messages).await,
            Self::Queue(queue) => clients.send(&queue.url, messages).await,
        }
    }

    /// The error of a call that was not finished, or not made, in time.
    pub(crate) fn out_of_time(&self) -> CallError {
        match self {
            Self::Topic(arn) => CallError::out_of_time("PublishBatch", &arn.text),
            Self::Queue(queue) => CallError::out_of_time("SendMessageBatch", &queue.url),
        }
    }

    /// The error of a message that was not sent because an earlier one of its group was not accepted.
    pub(crate) fn held_back(&self) -> CallError {
        match self {
            Self::Topic(arn) => CallError::held_back("PublishBatch", &arn.text),
            Self::Queue(queue) => CallError::held_back("SendMessageBatch", &queue.url),
        }
    }
}
