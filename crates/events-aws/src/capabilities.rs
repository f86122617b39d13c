//! What this backend declares.

use events_core::Capabilities;

use crate::config::AwsConfig;
use crate::group_key::GroupKey;
use crate::limits;
use crate::message::MAX_HEADERS;

/// What holds for the publisher of a topic or queue.
pub(crate) fn publishing(config: &AwsConfig, fifo: bool, max_event_bytes: usize) -> Capabilities {
    let mut capabilities = Capabilities::default();
    capabilities.durable = true;
    // Across groups there is no order, so that only a stream that is one group has one.
    capabilities.ordered = fifo && config.group_by == GroupKey::Stream;
    capabilities.delayed_nack = true;
    capabilities.extend = true;
    capabilities.max_event_bytes = max_event_bytes;
    capabilities.max_headers = Some(MAX_HEADERS);
    capabilities.max_lease = Some(limits::VISIBILITY);
    capabilities
}

/// What holds for a queue, which is one group: groups of their own are queues of their own.
pub(crate) fn consuming(config: &AwsConfig, fifo: bool, dead_letters: bool) -> Capabilities {
    let max_message_bytes = config.max_message_bytes.unwrap_or(limits::SQS_MESSAGE_BYTES);
    let mut capabilities = publishing(config, fifo, max_message_bytes - limits::RESERVED_BYTES);
    capabilities.dead_letters = dead_letters;
    capabilities
}
