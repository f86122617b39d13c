//! What makes the message group of an event: the unit of order on FIFO topics and queues.

use events_core::Event;
use serde::Deserialize;

use crate::limits;

/// The group of events that have nothing to be grouped by.
const NO_GROUP: &str = "-";

/// What makes the message group of an event on a FIFO topic or queue.
///
/// Events of one group are delivered one after the other; groups are independent of each other.
/// Written `source`, `event_type`, `stream` or `header:<name>`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
#[non_exhaustive]
pub enum GroupKey {
    /// The event's source.
    #[default]
    Source,
    /// The event's type.
    EventType,
    /// Nothing: all events are one group, and so in one order.
    Stream,
    /// The value of this header; events without it are a group of their own.
    Header(String),
}

impl GroupKey {
    /// The group of `event`: at most 128 of the characters SQS takes, so others are replaced by `_`.
    pub(crate) fn group(&self, event: &Event) -> String {
        let text = match self {
            Self::Source => event.source(),
            Self::EventType => event.event_type(),
            Self::Stream => NO_GROUP,
            Self::Header(name) => event.headers().get(name).unwrap_or(NO_GROUP),
        };
        let group = limits::group_text(text);
        if group.is_empty() { NO_GROUP.to_owned() } else { group }
    }
}

impl TryFrom<String> for GroupKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "source" => Ok(Self::Source),
            "event_type" => Ok(Self::EventType),
            "stream" => Ok(Self::Stream),
            _ => match text.strip_prefix("header:") {
                Some(name) if !name.is_empty() => Ok(Self::Header(name.to_owned())),
                _ => Err(format!("{text:?} is none of `source`, `event_type`, `stream`, `header:<name>`")),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_what_its_key_says_in_characters_sqs_takes() {
        let event = Event::builder("a.b", "Büro 7")
            .with_header("tenant", "x".repeat(200))
            .with_header("empty", "")
            .build()
            .unwrap();
        let header = |name: &str| GroupKey::Header(name.into()).group(&event);
        assert_eq!(GroupKey::Source.group(&event), "B_ro_7");
        assert_eq!(GroupKey::EventType.group(&event), "a.b");
        assert_eq!(GroupKey::Stream.group(&event), "-");
        assert_eq!(header("tenant").len(), 128);
        assert_eq!((header("empty"), header("missing")), ("-".to_owned(), "-".to_owned()));
    }
}
