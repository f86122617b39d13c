//! Deleting messages, and changing how long they stay hidden.

use std::time::Duration;

use aws_sdk_sqs::types::{ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry};

use super::{AwsClients, Outcomes, in_order, sqs_failed};
use crate::error::CallError;
use crate::seconds::whole_seconds;

impl AwsClients {
    /// Deletes up to ten messages.
    pub(crate) async fn delete(&self, queue: &str, handles: &[&str]) -> Result<Outcomes<()>, CallError> {
        const OPERATION: &str = "DeleteMessageBatch";
        let entry = |(at, handle): (usize, &&str)| {
            // Only a missing id or handle is refused, and there are both.
            DeleteMessageBatchRequestEntry::builder().id(at.to_string()).receipt_handle(*handle).build().ok()
        };
        let entries = handles.iter().enumerate().filter_map(entry).collect();
        let call = self.sqs.delete_message_batch().queue_url(queue).set_entries(Some(entries)).send();
        let answer = Box::pin(call).await.map_err(|error| CallError::of_call(OPERATION, queue, &error))?;
        Ok(in_order(
            OPERATION,
            queue,
            handles.len(),
            answer.successful.into_iter().map(|done| (Some(done.id), ())),
            answer.failed.iter().map(|failed| sqs_failed(OPERATION, queue, failed)),
        ))
    }

    /// Hides up to ten messages for these times from now; zero shows one at once.
    pub(crate) async fn hide(
        &self,
        queue: &str,
        hidden: &[(&str, Duration)],
    ) -> Result<Outcomes<()>, CallError> {
        const OPERATION: &str = "ChangeMessageVisibilityBatch";
        let entry = |(at, (handle, time)): (usize, &(&str, Duration))| {
            ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(at.to_string())
                .receipt_handle(*handle)
                .visibility_timeout(whole_seconds(*time))
                .build()
                .ok()
        };
        let entries = hidden.iter().enumerate().filter_map(entry).collect();
        let call =
            self.sqs.change_message_visibility_batch().queue_url(queue).set_entries(Some(entries)).send();
        let answer = Box::pin(call).await.map_err(|error| CallError::of_call(OPERATION, queue, &error))?;
        Ok(in_order(
            OPERATION,
            queue,
            hidden.len(),
            answer.successful.into_iter().map(|done| (Some(done.id), ())),
            answer.failed.iter().map(|failed| sqs_failed(OPERATION, queue, failed)),
        ))
    }
}
