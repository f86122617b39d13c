//! Sending to a queue.

use aws_sdk_sqs::types::SendMessageBatchRequestEntry;

use super::{AwsClients, Outcomes, in_order, sqs_attribute, sqs_failed};
use crate::error::CallError;
use crate::message::Outgoing;

impl AwsClients {
    /// Sends up to ten messages to a queue; each outcome is the message's id.
    pub(crate) async fn send(
        &self,
        queue: &str,
        messages: &[&Outgoing],
    ) -> Result<Outcomes<String>, CallError> {
        const OPERATION: &str = "SendMessageBatch";
        let entries = messages.iter().enumerate().filter_map(|(at, message)| entry(at, message)).collect();
        let call = self.sqs.send_message_batch().queue_url(queue).set_entries(Some(entries)).send();
        let answer = Box::pin(call).await.map_err(|error| CallError::of_call(OPERATION, queue, &error))?;
        Ok(in_order(
            OPERATION,
            queue,
            messages.len(),
            answer.successful.into_iter().map(|sent| (Some(sent.id), sent.message_id)),
            answer.failed.iter().map(|failed| sqs_failed(OPERATION, queue, failed)),
        ))
    }
}

fn entry(at: usize, message: &Outgoing) -> Option<SendMessageBatchRequestEntry> {
    let mut entry =
        SendMessageBatchRequestEntry::builder().id(at.to_string()).message_body(message.body.clone());
    for attribute in &message.attributes {
        entry = entry.message_attributes(&attribute.name, sqs_attribute(attribute)?);
    }
    if let Some(order) = &message.order {
        entry = entry.message_group_id(&order.group).message_deduplication_id(&order.deduplication_id);
    }
    // Only a missing id or body is refused, and there are both.
    entry.build().ok()
}
