//! Looking up, creating and setting queues, topics and subscriptions.

use std::collections::BTreeMap;

use aws_sdk_sqs::types::QueueAttributeName as Name;

use super::AwsClients;
use crate::address::Arn;
use crate::error::{CallError, Code};

/// Attributes of a queue by their names, as AWS spells them.
pub(crate) type QueueAttributes = BTreeMap<String, String>;

/// How many messages a queue holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueDepth {
    /// Those that could be received, now or when their delay ends.
    pub(crate) waiting: u64,
    /// Those somebody received, and that are hidden for that.
    pub(crate) in_flight: u64,
}

/// `None` for what does not exist, so that absence is an answer and no error.
fn unless_missing<T>(outcome: Result<T, CallError>) -> Result<Option<T>, CallError> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.code() == Code::Missing => Ok(None),
        Err(error) => Err(error),
    }
}

impl AwsClients {
    /// All attributes of a queue.
    pub(crate) async fn queue_attributes(&self, queue: &str) -> Result<QueueAttributes, CallError> {
        let call = self.sqs.get_queue_attributes().queue_url(queue).attribute_names(Name::All).send();
        let answer =
            Box::pin(call).await.map_err(|error| CallError::of_call("GetQueueAttributes", queue, &error))?;
        let attributes = answer.attributes.unwrap_or_default();
        Ok(attributes.into_iter().map(|(name, value)| (name.as_str().to_owned(), value)).collect())
    }

    /// How many messages a queue holds, as far as it says.
    pub(crate) async fn queue_depth(&self, queue: &str) -> Result<QueueDepth, CallError> {
        let attributes = self.queue_attributes(queue).await?;
        let number = |name: &str| {
            let text = attributes.get(name);
            text.and_then(|text| text.parse::<u64>().ok())
                .ok_or_else(|| CallError::unreadable("GetQueueAttributes", queue))
        };
        Ok(QueueDepth {
            waiting: number("ApproximateNumberOfMessages")? + number("ApproximateNumberOfMessagesDelayed")?,
            in_flight: number("ApproximateNumberOfMessagesNotVisible")?,
        })
    }

    /// The URL of the queue an ARN names, if it exists.
    pub(crate) async fn queue_url_of(&self, arn: &Arn) -> Result<Option<String>, CallError> {
        let call = self.sqs.get_queue_url().queue_name(&arn.name).queue_owner_aws_account_id(&arn.account);
        let answer = Box::pin(call.send()).await;
        let url =
            answer.map_err(|error| CallError::of_call("GetQueueUrl", &arn.name, &error)).and_then(|answer| {
                answer.queue_url.ok_or_else(|| CallError::unreadable("GetQueueUrl", &arn.name))
            });
        unless_missing(url)
    }

    /// The URL of the caller's queue of this name, if it exists.
    pub(crate) async fn queue_url(&self, name: &str) -> Result<Option<String>, CallError> {
        let answer = Box::pin(self.sqs.get_queue_url().queue_name(name).send()).await;
        let url = answer
            .map_err(|error| CallError::of_call("GetQueueUrl", name, &error))
            .and_then(|answer| answer.queue_url.ok_or_else(|| CallError::unreadable("GetQueueUrl", name)));
        unless_missing(url)
    }

    /// Creates a queue and returns its URL.
    pub(crate) async fn create_queue(
        &self,
        name: &str,
        attributes: &QueueAttributes,
    ) -> Result<String, CallError> {
        let mut call = self.sqs.create_queue().queue_name(name);
        for (attribute, value) in attributes {
            call = call.attributes(Name::from(attribute.as_str()), value);
        }
        let answer =
            Box::pin(call.send()).await.map_err(|error| CallError::of_call("CreateQueue", name, &error))?;
        answer.queue_url.ok_or_else(|| CallError::unreadable("CreateQueue", name))
    }

    /// Sets attributes of a queue.
    pub(crate) async fn set_queue_attributes(
        &self,
        queue: &str,
        attributes: &QueueAttributes,
    ) -> Result<(), CallError> {
        let mut call = self.sqs.set_queue_attributes().queue_url(queue);
        for (attribute, value) in attributes {
            call = call.attributes(Name::from(attribute.as_str()), value);
        }
        let answer = Box::pin(call.send()).await;
        answer.map(drop).map_err(|error| CallError::of_call("SetQueueAttributes", queue, &error))
    }

    /// Creates a topic, or finds the caller's topic of this name, and returns its ARN.
    pub(crate) async fn create_topic(&self, name: &str, fifo: bool) -> Result<String, CallError> {
        let mut call = self.sns.create_topic().name(name);
        if fifo {
            call = call.attributes("FifoTopic", "true");
        }
        let answer =
            Box::pin(call.send()).await.map_err(|error| CallError::of_call("CreateTopic", name, &error))?;
        answer.topic_arn.ok_or_else(|| CallError::unreadable("CreateTopic", name))
    }

    /// The ARN of the caller's topic of this name, if it exists.
    pub(crate) async fn find_topic(&self, name: &str) -> Result<Option<String>, CallError> {
        let mut next = None;
        loop {
            let answer = Box::pin(self.sns.list_topics().set_next_token(next).send()).await;
            let page = answer.map_err(|error| CallError::of_call("ListTopics", name, &error))?;
            let arns = page.topics().iter().filter_map(|topic| topic.topic_arn());
            if let Some(arn) = arns.into_iter().find(|arn| arn.rsplit(':').next() == Some(name)) {
                return Ok(Some(arn.to_owned()));
            }
            match page.next_token {
                Some(token) if !token.is_empty() => next = Some(token),
                _ => return Ok(None),
            }
        }
    }

    /// The subscription of a queue to a topic, if there is one, and whether it delivers raw.
    pub(crate) async fn subscription(
        &self,
        topic: &str,
        queue_arn: &str,
    ) -> Result<Option<(String, bool)>, CallError> {
        let mut next = None;
        loop {
            let call = self.sns.list_subscriptions_by_topic().topic_arn(topic).set_next_token(next);
            let answer = Box::pin(call.send()).await;
            let page =
                answer.map_err(|error| CallError::of_call("ListSubscriptionsByTopic", topic, &error))?;
            let mine = page
                .subscriptions()
                .iter()
                .find(|subscription| subscription.endpoint() == Some(queue_arn))
                .and_then(|subscription| subscription.subscription_arn());
            if let Some(arn) = mine {
                let call = self.sns.get_subscription_attributes().subscription_arn(arn).send();
                let answer = Box::pin(call).await;
                let attributes =
                    answer.map_err(|error| CallError::of_call("GetSubscriptionAttributes", arn, &error))?;
                let raw = attributes.attributes().and_then(|all| all.get("RawMessageDelivery"));
                return Ok(Some((arn.to_owned(), raw.is_some_and(|raw| raw == "true"))));
            }
            match page.next_token {
                Some(token) if !token.is_empty() => next = Some(token),
                _ => return Ok(None),
            }
        }
    }

    /// Subscribes a queue to a topic, with raw delivery.
    pub(crate) async fn subscribe(&self, topic: &str, queue_arn: &str) -> Result<(), CallError> {
        let call = self
            .sns
            .subscribe()
            .topic_arn(topic)
            .protocol("sqs")
            .endpoint(queue_arn)
            .attributes("RawMessageDelivery", "true");
        let answer = Box::pin(call.send()).await;
        answer.map(drop).map_err(|error| CallError::of_call("Subscribe", topic, &error))
    }

    /// Lets a subscription deliver raw.
    pub(crate) async fn deliver_raw(&self, subscription: &str) -> Result<(), CallError> {
        let call = self
            .sns
            .set_subscription_attributes()
            .subscription_arn(subscription)
            .attribute_name("RawMessageDelivery")
            .attribute_value("true");
        let answer = Box::pin(call.send()).await;
        answer
            .map(drop)
            .map_err(|error| CallError::of_call("SetSubscriptionAttributes", subscription, &error))
    }
}
