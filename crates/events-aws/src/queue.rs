//! A queue to consume from, and what it says about itself.

use std::time::Duration;

use events_core::Result;
use serde::Deserialize;
use tokio::sync::OnceCell;
use tracing::warn;

use crate::address::{Arn, QueueAddress};
use crate::body_format::BodyFormat;
use crate::calls::{AwsClients, QueueAttributes};
use crate::config::AwsConfig;
use crate::error::{CallError, Code};

/// The visibility timeout of a queue that was created without one.
const DEFAULT_VISIBILITY: Duration = Duration::from_secs(30);

/// A queue to consume from.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) clients: AwsClients,
    pub(crate) address: QueueAddress,
    pub(crate) format: BodyFormat,
    /// The dead-letter queue of the configuration.
    dead_letters: Option<QueueAddress>,
    traits: OnceCell<Traits>,
}

/// What a queue says about itself.
#[derive(Clone, Debug)]
pub(crate) struct Traits {
    pub(crate) arn: Option<String>,
    /// The queue's own lease.
    pub(crate) visibility: Duration,
    /// Where its dead letters go.
    pub(crate) dead_letters: Option<QueueAddress>,
    /// Deliveries after which the queue itself moves a message to its dead-letter queue.
    pub(crate) max_receives: Option<u32>,
}

impl Queue {
    pub(crate) fn new(clients: AwsClients, config: &AwsConfig) -> Result<Self> {
        config.validate()?;
        Ok(Self {
            clients,
            address: config.queue_address()?,
            format: config.body_format,
            dead_letters: config.dead_letter_queue_url.as_deref().map(QueueAddress::parse).transpose()?,
            traits: OnceCell::new(),
        })
    }

    /// What the queue says about itself, asked once.
    pub(crate) async fn traits(&self) -> Result<&Traits, CallError> {
        self.traits.get_or_try_init(|| self.ask()).await
    }

    /// What is known of the dead-letter queue so far.
    pub(crate) fn known_dead_letters(&self) -> Option<&QueueAddress> {
        self.traits.get().map_or(self.dead_letters.as_ref(), |traits| traits.dead_letters.as_ref())
    }

    async fn ask(&self) -> Result<Traits, CallError> {
        let attributes = match self.clients.queue_attributes(&self.address.url).await {
            Ok(attributes) => attributes,
            Err(error) if error.code() == Code::Denied => {
                warn!(
                    queue = %self.address.name,
                    "may not read the queue's attributes: taking a visibility timeout of 30 s and no redrive policy"
                );
                QueueAttributes::new()
            }
            Err(error) => return Err(error),
        };
        let seconds = attributes.get("VisibilityTimeout").and_then(|seconds| seconds.parse().ok());
        let policy = attributes.get("RedrivePolicy").and_then(|policy| RedrivePolicy::parse(policy));
        let dead_letters = match (&self.dead_letters, &policy) {
            (Some(configured), _) => Some(configured.clone()),
            (None, Some(policy)) => self.dead_letter_queue(policy).await?,
            (None, None) => None,
        };
        Ok(Traits {
            arn: attributes.get("QueueArn").cloned(),
            // A queue whose own visibility timeout is zero hides nothing, and nothing could be settled in time.
            visibility: seconds
                .filter(|seconds| *seconds > 0)
                .map_or(DEFAULT_VISIBILITY, Duration::from_secs),
            dead_letters,
            max_receives: policy.map(|policy| policy.max_receives),
        })
    }

    async fn dead_letter_queue(&self, policy: &RedrivePolicy) -> Result<Option<QueueAddress>, CallError> {
        let Ok(arn) = Arn::parse("sqs", &policy.target) else { return Ok(None) };
        let url = match self.clients.queue_url_of(&arn).await {
            Err(error) if error.code() == Code::Denied => {
                warn!(queue = %self.address.name, "may not look up the dead-letter queue {}", arn.name);
                None
            }
            url => url?,
        };
        Ok(url.and_then(|url| QueueAddress::parse(&url).ok()))
    }
}

/// The attribute `RedrivePolicy` of a queue.
#[derive(Debug)]
pub(crate) struct RedrivePolicy {
    pub(crate) target: String,
    pub(crate) max_receives: u32,
}

impl RedrivePolicy {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        /// AWS gives the number as it was set, which may have been in quotes.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Number {
            Plain(u32),
            Quoted(String),
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Json {
            dead_letter_target_arn: String,
            max_receive_count: Number,
        }
        let json: Json = serde_json::from_str(text).ok()?;
        let max_receives = match json.max_receive_count {
            Number::Plain(number) => number,
            Number::Quoted(text) => text.parse().ok()?,
        };
        Some(Self { target: json.dead_letter_target_arn, max_receives })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redrive_policy_is_read_however_its_number_is_spelled() {
        for number in ["3", "\"3\""] {
            let text = format!(r#"{{"deadLetterTargetArn":"arn:aws:sqs:r:1:d","maxReceiveCount":{number}}}"#);
            let policy = RedrivePolicy::parse(&text).unwrap();
            assert_eq!((&*policy.target, policy.max_receives), ("arn:aws:sqs:r:1:d", 3));
        }
        assert!(RedrivePolicy::parse("").is_none());
    }
}
