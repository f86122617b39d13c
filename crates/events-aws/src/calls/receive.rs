//! Receiving from a queue.

use std::time::Duration;

use aws_sdk_sqs::types::{Message, MessageAttributeValue, MessageSystemAttributeName as System};
use time::OffsetDateTime;

use super::AwsClients;
use crate::attribute::{Attribute, Value};
use crate::error::CallError;
use crate::incoming::{Incoming, moment};
use crate::limits;
use crate::seconds::whole_seconds;

impl AwsClients {
    /// Takes up to `max` messages, at most ten, out of everybody's sight for `lease`, waiting up to `wait` for the first.
    pub(crate) async fn receive(
        &self,
        queue: &str,
        max: usize,
        wait: Duration,
        lease: Duration,
    ) -> Result<Vec<Incoming>, CallError> {
        const OPERATION: &str = "ReceiveMessage";
        let max = i32::try_from(max.clamp(1, limits::BATCH_ENTRIES)).unwrap_or(1);
        let call = self
            .receiving
            .receive_message()
            .queue_url(queue)
            .max_number_of_messages(max)
            .wait_time_seconds(whole_seconds(wait))
            .visibility_timeout(whole_seconds(lease))
            .message_attribute_names("All")
            .message_system_attribute_names(System::ApproximateReceiveCount)
            .message_system_attribute_names(System::SentTimestamp)
            .message_system_attribute_names(System::ApproximateFirstReceiveTimestamp)
            .message_system_attribute_names(System::MessageGroupId)
            .message_system_attribute_names(System::DeadLetterQueueSourceArn)
            .customize()
            .config_override(self.receive_timeouts(wait));
        let answer =
            Box::pin(call.send()).await.map_err(|error| CallError::of_call(OPERATION, queue, &error))?;
        Ok(answer.messages.unwrap_or_default().into_iter().filter_map(incoming).collect())
    }
}

/// A message without id or handle could neither be named nor settled; no queue gives one.
fn incoming(message: Message) -> Option<Incoming> {
    let mut system = message.attributes.unwrap_or_default();
    let mut attributes: Vec<Attribute> =
        message.message_attributes.unwrap_or_default().into_iter().map(attribute).collect();
    attributes.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let received = system.get(&System::ApproximateReceiveCount).and_then(|count| count.parse().ok());
    Some(Incoming {
        message_id: message.message_id?,
        handle: message.receipt_handle?,
        body: message.body.unwrap_or_default(),
        attributes,
        receive_count: received.unwrap_or(1).max(1),
        sent_at: system.get(&System::SentTimestamp).and_then(|text| moment(text)),
        first_received_at: system
            .get(&System::ApproximateFirstReceiveTimestamp)
            .and_then(|text| moment(text)),
        received_at: OffsetDateTime::now_utc(),
        group: system.remove(&System::MessageGroupId),
        source_arn: system.remove(&System::DeadLetterQueueSourceArn),
    })
}

fn attribute((name, value): (String, MessageAttributeValue)) -> Attribute {
    let binary = value.binary_value.map(|blob| Value::Binary(blob.into_inner()));
    let content = binary.unwrap_or_else(|| Value::Text(value.string_value.unwrap_or_default()));
    Attribute { name, data_type: value.data_type, value: content }
}
