//! What is left of an event no consumer could handle.

use std::fmt;
use std::str::FromStr;

use time::OffsetDateTime;

use crate::wire::RawMessage;
use crate::{Error, ErrorKind, MessageId};

/// Why an event was dead-lettered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeadLetterReason {
    /// A consumer rejected it.
    Rejected,
    /// It was delivered `max_deliveries` times and never acknowledged.
    MaxDeliveries,
    /// Its bytes are no event.
    Undecodable,
}

impl DeadLetterReason {
    /// The reason as it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::MaxDeliveries => "max-deliveries",
            Self::Undecodable => "undecodable",
        }
    }
}

impl fmt::Display for DeadLetterReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for DeadLetterReason {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let all = [Self::Rejected, Self::MaxDeliveries, Self::Undecodable];
        all.into_iter().find(|reason| reason.as_str() == text).ok_or_else(|| {
            let message = format!("{text:?} is no reason; there are {}, {} and {}", all[0], all[1], all[2]);
            Error::new(ErrorKind::InvalidEvent, "read dead letter", message)
        })
    }
}

/// An event, or what should have been one, that was taken out of its group's way.
///
/// It keeps everything that is needed to understand it and to put it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The dead letter's own id.
    pub id: MessageId,
    /// The message as it lay at the broker, byte for byte.
    pub message: RawMessage,
    /// Why it is here.
    pub reason: DeadLetterReason,
    /// The reason or last error in words: what the consumer said, or why the bytes are no event. When the last attempt
    /// ended without a word, what an earlier one said.
    pub detail: Option<String>,
    /// How often it was delivered.
    pub attempts: u32,
    /// The stream it came from.
    pub stream: String,
    /// The group it failed in.
    pub group: String,
    /// The consumer that held it last; empty where nobody noted it.
    pub consumer: String,
    /// Its id in that stream.
    pub origin_id: MessageId,
    /// When the broker accepted it, where that is known.
    pub published_at: Option<OffsetDateTime>,
    /// When it was first delivered; `None` where nobody noted it. It is not before `published_at` in any case.
    pub first_delivered_at: Option<OffsetDateTime>,
    /// When it was last delivered, or its holder last extended its lease where the broker does not tell these apart;
    /// `None` where nobody noted it.
    pub last_delivered_at: Option<OffsetDateTime>,
    /// When it became a dead letter.
    pub dead_at: OffsetDateTime,
}
