//! Every call to AWS, and nothing else: the rest of the crate knows queues, topics and messages of its own.

mod clients;
mod manage;
mod receive;
mod send;
mod settle;
mod topic;

pub use clients::AwsClients;
pub(crate) use manage::QueueAttributes;

use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{BatchResultErrorEntry, MessageAttributeValue};

use crate::attribute::{Attribute, Value};
use crate::error::CallError;

/// One outcome per entry of a batch call, in the order of the entries.
pub(crate) type Outcomes<T> = Vec<Result<T, CallError>>;

/// Puts the answers to a batch in the order of its entries, whose ids are their numbers.
fn in_order<T>(
    operation: &'static str,
    resource: &str,
    count: usize,
    successful: impl Iterator<Item = (Option<String>, T)>,
    failed: impl Iterator<Item = (Option<String>, CallError)>,
) -> Outcomes<T> {
    let mut outcomes: Vec<Option<Result<T, CallError>>> = (0..count).map(|_| None).collect();
    let answers =
        successful.map(|(id, value)| (id, Ok(value))).chain(failed.map(|(id, error)| (id, Err(error))));
    for (id, outcome) in answers {
        let slot = id.and_then(|id| id.parse::<usize>().ok()).and_then(|at| outcomes.get_mut(at));
        if let Some(slot) = slot {
            *slot = Some(outcome);
        }
    }
    let missing = || Err(CallError::unreadable(operation, resource));
    outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(missing)).collect()
}

fn sqs_failed(
    operation: &'static str,
    resource: &str,
    entry: &BatchResultErrorEntry,
) -> (Option<String>, CallError) {
    let error = CallError::of_entry(operation, resource, entry.code(), entry.message(), entry.sender_fault());
    (Some(entry.id().to_owned()), error)
}

fn sqs_attribute(attribute: &Attribute) -> Option<MessageAttributeValue> {
    let value = MessageAttributeValue::builder().data_type(&attribute.data_type);
    match &attribute.value {
        Value::Text(text) => value.string_value(text),
        Value::Binary(bytes) => value.binary_value(Blob::new(bytes.clone())),
    }
    .build()
    // Only a missing type is refused, and there is one.
    .ok()
}
