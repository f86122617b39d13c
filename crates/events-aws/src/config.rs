//! What can be set about publishing to and consuming from AWS.

use std::num::NonZeroUsize;
use std::time::Duration;

use events_core::{Error, ErrorKind, Result, duration};
use serde::Deserialize;

use crate::address::{Arn, QueueAddress};
use crate::body_format::BodyFormat;
use crate::group_key::GroupKey;
use crate::limits;

/// Where events go, where they come from, and how AWS is called.
///
/// Credentials are not part of it: they come from the standard chain of the AWS SDK (environment, profile files, web
/// identity, container and instance roles; Identity Center and `credential_process` with the features of those names).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AwsConfig {
    /// The SNS topic to publish to, by its ARN. Default: none, events are published to `queue_url`.
    pub topic_arn: Option<String>,
    /// The SQS queue to consume from, and to publish to where there is no topic, by its URL. Default: none.
    pub queue_url: Option<String>,
    /// The SQS queue for dead letters, by its URL. Default: the one the queue's own redrive policy names, if it has one.
    pub dead_letter_queue_url: Option<String>,
    /// The region. Default: the one the ARN or the URL names, else what the standard chain finds.
    pub region: Option<String>,
    /// Where SNS and SQS are called, for emulators and private endpoints. Default: scheme and host of a `queue_url` that
    /// is not on AWS, else `AWS_ENDPOINT_URL_SNS`, `AWS_ENDPOINT_URL_SQS` and `AWS_ENDPOINT_URL`, else AWS itself.
    pub endpoint_url: Option<String>,
    /// The profile of the AWS configuration files. Default: `AWS_PROFILE`, else `default`.
    pub profile: Option<String>,
    /// How message bodies are read. Default: [`BodyFormat::Auto`].
    pub body_format: BodyFormat,
    /// What makes the message group of an event on FIFO topics and queues. Default: [`GroupKey::Source`].
    pub group_by: GroupKey,
    /// The largest message in bytes, attributes included, as the topic or the queue is set. Default: 262144 where a topic
    /// is published to, 1048576 otherwise; at least 16384, at most 1048576.
    pub max_message_bytes: Option<usize>,
    /// How many receive calls of one consumer, and how many batches of one publish, are on their way at a time.
    /// Default: 8; at most 64.
    pub concurrency: NonZeroUsize,
    /// The longest a receive call waits at the queue, and so the longest closing waits for one that is under way.
    /// Default: `5s`; whole seconds from `1s` to `20s`.
    #[serde(deserialize_with = "duration::deserialize")]
    pub poll_wait: Duration,
    /// How long one attempt of a call may take, the wait of a receive call not counted. Default: `10s`; at least `100ms`.
    #[serde(deserialize_with = "duration::deserialize")]
    pub call_timeout: Duration,
    /// How long a publish may take, repetitions included, before it fails. Default: `30s`; at least `100ms`.
    #[serde(deserialize_with = "duration::deserialize")]
    pub publish_timeout: Duration,
}

impl Default for AwsConfig {
    fn default() -> Self {
        Self {
            topic_arn: None,
            queue_url: None,
            dead_letter_queue_url: None,
            region: None,
            endpoint_url: None,
            profile: None,
            body_format: BodyFormat::default(),
            group_by: GroupKey::default(),
            max_message_bytes: None,
            concurrency: NonZeroUsize::new(8).unwrap_or(NonZeroUsize::MIN),
            poll_wait: Duration::from_secs(5),
            call_timeout: Duration::from_secs(10),
            publish_timeout: Duration::from_secs(30),
        }
    }
}

impl AwsConfig {
    /// Publishes to a topic, every other setting at its default.
    pub fn topic(arn: impl Into<String>) -> Self {
        Self { topic_arn: Some(arn.into()), ..Self::default() }
    }

    /// Consumes from a queue and publishes to it, every other setting at its default.
    pub fn queue(url: impl Into<String>) -> Self {
        Self { queue_url: Some(url.into()), ..Self::default() }
    }

    /// Checks everything but the addresses' existence.
    pub(crate) fn validate(&self) -> Result<()> {
        let invalid =
            |message: &'static str| Err(Error::new(ErrorKind::InvalidConfig, "aws settings", message));
        if let Some(arn) = &self.topic_arn {
            Arn::parse("sns", arn)?;
        }
        for url in [&self.queue_url, &self.dead_letter_queue_url].into_iter().flatten() {
            QueueAddress::parse(url)?;
        }
        if self.concurrency.get() > 64 {
            return invalid("`concurrency` must be at most 64");
        }
        if self.poll_wait.subsec_nanos() > 0 || !(1..=20).contains(&self.poll_wait.as_secs()) {
            return invalid("`poll_wait` must be whole seconds from 1s to 20s");
        }
        if self.call_timeout.min(self.publish_timeout) < Duration::from_millis(100) {
            return invalid("`call_timeout` and `publish_timeout` must be at least 100ms");
        }
        if self
            .max_message_bytes
            .is_some_and(|bytes| !(16 * 1024..=limits::SQS_MESSAGE_BYTES).contains(&bytes))
        {
            return invalid("`max_message_bytes` must be from 16384 to 1048576");
        }
        Ok(())
    }

    /// The queue to consume from.
    pub(crate) fn queue_address(&self) -> Result<QueueAddress> {
        let Some(url) = &self.queue_url else {
            let message = "`queue_url` is missing: events are consumed from a queue";
            return Err(Error::new(ErrorKind::InvalidConfig, "aws settings", message));
        };
        QueueAddress::parse(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_setting_and_fills_in_the_rest() {
        let config: AwsConfig = toml::from_str(
            "topic_arn = 'arn:aws:sns:eu-west-1:1:t'\nqueue_url = 'http://localhost:4566/1/q'\n\
             dead_letter_queue_url = 'http://localhost:4566/1/d'\nregion = 'eu-west-1'\n\
             endpoint_url = 'http://localhost:4566'\nprofile = 'p'\nbody_format = 'envelope'\n\
             group_by = 'header:tenant'\nmax_message_bytes = 65536\nconcurrency = 3\npoll_wait = '20s'\n\
             call_timeout = '500ms'\npublish_timeout = '5m'",
        )
        .unwrap();
        config.validate().unwrap();
        assert_eq!(config.body_format, BodyFormat::Envelope);
        assert_eq!(config.group_by, GroupKey::Header("tenant".into()));
        assert_eq!(config.concurrency.get(), 3);
        assert_eq!(config.poll_wait, Duration::from_secs(20));
        assert_eq!(config.call_timeout, Duration::from_millis(500));
        assert_eq!(config.publish_timeout, Duration::from_secs(300));
        let short: AwsConfig = toml::from_str("queue_url = 'https://h/1/q'").unwrap();
        assert_eq!(short, AwsConfig::queue("https://h/1/q"));
    }

    #[test]
    fn refuses_unknown_keys_and_missing_units() {
        for text in [
            "queue = 'x'",
            "poll_wait = '5'",
            "body_format = 'xml'",
            "group_by = 'weekday'",
            "concurrency = 0",
        ] {
            assert!(toml::from_str::<AwsConfig>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn refuses_values_aws_has_no_use_for() {
        for text in [
            "topic_arn = 'orders'",
            "queue_url = 'orders'",
            "dead_letter_queue_url = 'orders'",
            "poll_wait = '21s'",
            "poll_wait = '1500ms'",
            "call_timeout = '1ms'",
            "max_message_bytes = 2000000",
            "concurrency = 65",
        ] {
            let config: AwsConfig = toml::from_str(text).unwrap();
            assert_eq!(config.validate().unwrap_err().kind(), ErrorKind::InvalidConfig, "{text}");
        }
        assert!(AwsConfig::default().queue_address().is_err());
    }
}
