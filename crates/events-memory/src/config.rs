//! What can be set.

use events_core::{Capabilities, DEFAULT_MAX_EVENT_BYTES};
use serde::Deserialize;

/// The settings of a [`MemoryBroker`](crate::MemoryBroker).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MemoryConfig {
    /// The largest event in bytes: its JSON body, and names and values of its headers. Default: 1 MiB.
    pub max_event_bytes: usize,
    /// How many events a stream holds, its history and its dead letters included. Default: 100,000.
    ///
    /// A full stream makes room by forgetting its oldest events, never one that a group has yet to acknowledge and never
    /// a dead letter; when there is nothing it may forget, publishing fails as [`Full`](events_core::ErrorKind::Full).
    pub max_events: usize,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self { max_event_bytes: DEFAULT_MAX_EVENT_BYTES, max_events: 100_000 }
    }
}

impl MemoryConfig {
    pub(crate) fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.ordered = true;
        capabilities.groups = true;
        capabilities.replay = true;
        capabilities.delayed_nack = true;
        capabilities.extend = true;
        capabilities.uncounted_release = true;
        capabilities.dead_letters = true;
        capabilities.trim = true;
        capabilities.keeps_errors = true;
        capabilities.max_event_bytes = self.max_event_bytes;
        capabilities
    }
}
