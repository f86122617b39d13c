//! Publishing to a topic.

use aws_sdk_sns::primitives::Blob;
use aws_sdk_sns::types::{MessageAttributeValue, PublishBatchRequestEntry};

use super::{AwsClients, Outcomes, in_order};
use crate::attribute::{Attribute, Value};
use crate::error::CallError;
use crate::message::Outgoing;

impl AwsClients {
    /// Publishes up to ten messages to a topic; each outcome is the message's id.
    pub(crate) async fn publish(
        &self,
        topic: &str,
        messages: &[&Outgoing],
    ) -> Result<Outcomes<String>, CallError> {
        const OPERATION: &str = "PublishBatch";
        let entries = messages.iter().enumerate().filter_map(|(at, message)| entry(at, message)).collect();
        let call =
            self.sns.publish_batch().topic_arn(topic).set_publish_batch_request_entries(Some(entries)).send();
        let answer = Box::pin(call).await.map_err(|error| CallError::of_call(OPERATION, topic, &error))?;
        let failed = |entry: &aws_sdk_sns::types::BatchResultErrorEntry| {
            let fault = entry.sender_fault();
            let error = CallError::of_entry(OPERATION, topic, entry.code(), entry.message(), fault);
            (Some(entry.id().to_owned()), error)
        };
        let successful = answer.successful.as_deref().unwrap_or_default();
        Ok(in_order(
            OPERATION,
            topic,
            messages.len(),
            successful.iter().map(|sent| (sent.id.clone(), sent.message_id.clone().unwrap_or_default())),
            answer.failed.as_deref().unwrap_or_default().iter().map(failed),
        ))
    }
}

fn entry(at: usize, message: &Outgoing) -> Option<PublishBatchRequestEntry> {
    let mut entry = PublishBatchRequestEntry::builder().id(at.to_string()).message(message.body.clone());
    for attribute in &message.attributes {
        entry = entry.message_attributes(&attribute.name, sns_attribute(attribute)?);
    }
    if let Some(order) = &message.order {
        entry = entry.message_group_id(&order.group).message_deduplication_id(&order.deduplication_id);
    }
    // Only a missing id or message is refused, and there are both.
    entry.build().ok()
}

fn sns_attribute(attribute: &Attribute) -> Option<MessageAttributeValue> {
    let value = MessageAttributeValue::builder().data_type(&attribute.data_type);
    match &attribute.value {
        Value::Text(text) => value.string_value(text),
        Value::Binary(bytes) => value.binary_value(Blob::new(bytes.clone())),
    }
    .build()
    .ok()
}
