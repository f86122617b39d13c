//! What a service stores about its events, for documents that are made without its code.

use serde::{Deserialize, Serialize};

use crate::EventDescription;

/// What the application does with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Action {
    /// It publishes it.
    Send,
    /// It handles it.
    Receive,
}

impl Action {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Receive => "receive",
        }
    }
}

/// One event of a service's catalogue, which is a JSON list of them: what `events asyncapi` makes a document of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogEntry {
    /// What the service does with it.
    pub action: Action,
    /// The stream, queue or topic. Default: the one configured where the document is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// The event.
    pub event: EventDescription,
}

impl CatalogEntry {
    /// The service publishes the event to the channel that is configured where the document is made.
    pub fn sent(event: &EventDescription) -> Self {
        Self { action: Action::Send, channel: None, event: event.clone() }
    }

    /// The service handles the event from the channel that is configured where the document is made.
    pub fn received(event: &EventDescription) -> Self {
        Self { action: Action::Receive, channel: None, event: event.clone() }
    }
}
